//! What a restore may be asked for.

/// What the host asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// The backup's version replaces the store's.
    pub overwrite: bool,
    pub dry_run: bool,
    /// Whatever is intact of a damaged backup is restored.
    pub salvage: bool,
}
