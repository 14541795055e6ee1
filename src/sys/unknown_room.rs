//! The room on a file system, which is not known here.

/// The room on a file system, never less than there is.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    pub bytes: u64,
    pub files: Option<u64>,
}

impl Room {
    /// Is not asked: the room is not known.
    pub fn holds(&self, _: u64, _: u64) -> bool {
        true
    }

    /// Gives the bytes that a file with a content of this size is sure to take.
    pub fn taken_by(&self, _: u64) -> u64 {
        0
    }
}
