//! The limits of a wait.

use std::sync::Arc;
use std::time::Duration;

use crate::error::Result;

/// The time that is waited for a store or a licence that keeps changing, and for another's lock.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// Fails if the operation is to end, for work that takes long.
pub type GoOn = Arc<dyn Fn() -> Result<()> + Send + Sync>;
