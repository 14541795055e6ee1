//! The host's function that decides whether a backup may be restored on this machine.

use super::reading::info::Info;
use crate::error::Error;

/// The authorizer of a host. It is called on one thread at a time.
pub trait Authorizer: Send + Sync {
    /// Asks the host whether the backup with these facts may be restored.
    fn authorize(&self, info: &Info) -> Result<(), Refusal>;
}

/// The host's answer if a backup may not be restored.
pub struct Refusal {
    pub error: Error,
    /// The address of a page about it.
    pub url: Option<String>,
}
