//! Whether there has been memory for all that was asked for.

use crate::error::{Error, Outcome, Result};

/// A moment, from which on it is known whether memory ran out.
pub struct Memory {
    #[cfg(feature = "standalone")]
    reserve_used: usize,
}

impl Memory {
    pub fn now() -> Memory {
        Memory {
            #[cfg(feature = "standalone")]
            reserve_used: crate::sys::reserve::used(),
        }
    }

    /// An error if some of what was asked for since then was not there, or came from the reserve.
    pub fn check(&self) -> Result<()> {
        #[cfg(feature = "standalone")]
        if crate::sys::reserve::used() != self.reserve_used {
            return Err(Error::out_of_memory());
        }
        Ok(())
    }

    /// What a failure means: where memory ran out it may look like anything, but for a host's own.
    pub fn explain(&self, error: Error) -> Error {
        match error.outcome {
            Outcome::Host(_) => error,
            _ => self.check().err().unwrap_or(error),
        }
    }
}
