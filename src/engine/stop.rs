//! Why work on a backup ends early.

use crate::archive::Fault;
use crate::error::Error;

/// The bytes of the backup are not as they should be or can't be written, or the operation is over.
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
