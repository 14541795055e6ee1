//! What ends a wait.

use std::sync::Arc;
use std::time::Duration;

use crate::error::Result;

/// How long a store or a licence is waited for that won't hold still, and another's lock.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// An error if the operation is to end, for what takes long.
pub type GoOn = Arc<dyn Fn() -> Result<()> + Send + Sync>;
