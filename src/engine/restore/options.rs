//! The options of a restore.

/// The host's choices for a restore.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// The backup's version replaces the store's.
    pub overwrite: bool,
    /// The host chooses between two versions, if it can.
    pub merge: bool,
    pub dry_run: bool,
    /// The user consents to bind the licences to this machine, where the backup is of another.
    pub individualize: bool,
    /// All that is intact of a damaged backup is restored.
    pub salvage: bool,
    /// What can't be put back is passed over.
    pub keep_going: bool,
}
