//! Tells whether there has been memory for all requests.

use crate::error::{Error, Outcome, Result};

/// The moment from which on running out of memory is noticed.
#[derive(Clone, Copy)]
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

    /// Fails if a request since that moment was refused, or served from the reserve.
    pub fn check(&self) -> Result<()> {
        #[cfg(feature = "standalone")]
        if crate::sys::reserve::used() != self.reserve_used {
            return Err(Error::out_of_memory());
        }
        Ok(())
    }

    /// Explains a failure: where memory ran out it may look like anything, except for a host's own.
    pub fn explain(&self, error: Error) -> Error {
        match error.outcome {
            Outcome::Host(_) => error,
            _ => self.check().err().unwrap_or(error),
        }
    }
}
