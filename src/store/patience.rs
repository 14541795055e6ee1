//! The limits of a wait.

use std::time::Duration;

pub use crate::error::GoOn;

/// The time that is waited for a store or a licence that keeps changing, and for another's lock.
pub const PATIENCE: Duration = Duration::from_secs(5);
