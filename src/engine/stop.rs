//! The reasons why work on a backup ends early.

use crate::archive::Fault;
use crate::error::Error;

/// A fault in the backup's bytes or in writing them, or an error that ends the operation.
pub enum Stop {
    Fault(Fault),
    Error(Error),
}

impl Stop {
    pub fn into_error(self, error: impl FnOnce(Fault) -> Error) -> Error {
        match self {
            Stop::Fault(fault) => error(fault),
            Stop::Error(error) => error,
        }
    }
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Stop {
        Stop::Fault(fault)
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Stop {
        Stop::Error(error)
    }
}
