//! Windows forks no process: every process is the one that it was.

/// The mark of this process.
#[derive(Debug)]
pub struct HomeMark;

pub fn home() -> &'static HomeMark {
    &HomeMark
}

impl HomeMark {
    pub fn is_home(&self) -> bool {
        true
    }
}

/// The uses of something that has locks of its own.
pub struct Uses;

/// One use.
pub struct Use;

/// The error of a process that was forked in the middle of a use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stuck {}

impl Uses {
    pub const fn new() -> Uses {
        Uses
    }

    /// Begins a use.
    pub fn begin(&self) -> Result<Use, Stuck> {
        Ok(Use)
    }
}
