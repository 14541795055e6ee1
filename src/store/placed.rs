//! What a restore does with a licence.

/// What became of a licence of a backup that is restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placed {
    /// It waits to be made part of the store, or would.
    Staged,
    /// The store has it already.
    Same,
    /// The store has another version, and keeps it.
    Kept,
}
