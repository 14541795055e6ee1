//! The way from Rust to C: a result becomes an HRESULT, and no panic goes further.

use std::panic::{AssertUnwindSafe, catch_unwind};
#[cfg(feature = "standalone")]
use std::sync::atomic::{AtomicBool, Ordering};

use super::hresult::{LICBAK_E_UNEXPECTED, LICBAK_S_OK, hresult};
use super::types::licbak_hresult;
use crate::error::Result;
use crate::sys::cancelling;

/// What a successful call answers.
pub trait Success {
    fn hresult(self) -> licbak_hresult;
}

impl Success for () {
    fn hresult(self) -> licbak_hresult {
        LICBAK_S_OK
    }
}

impl Success for licbak_hresult {
    fn hresult(self) -> licbak_hresult {
        self
    }
}

/// The body of every function of the ABI.
pub fn guard<S: Success>(body: impl FnOnce() -> Result<S>) -> licbak_hresult {
    // Else the thread could be cancelled where the body waits, or in the host's function.
    let _uncancelled = cancelling::off();
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(success)) => success.hresult(),
        Ok(Err(error)) => hresult(error.outcome),
        Err(_) => LICBAK_E_UNEXPECTED,
    }
}

/// Keeps the panics of this library off the host's standard error. A Rust host has its own hook.
pub fn keep_panics_quiet() {
    #[cfg(feature = "standalone")]
    {
        // No `Once`: other threads would wait for it, and a child forked meanwhile for ever.
        static DONE: AtomicBool = AtomicBool::new(cfg!(test));
        if !DONE.swap(true, Ordering::Relaxed) {
            std::panic::set_hook(Box::new(|_| {}));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::resume_unwind; // panics without a word

    use super::*;
    use crate::error::{Error, Outcome};

    #[test]
    fn a_panic_is_an_outcome() {
        assert_eq!(guard(|| Ok(())), LICBAK_S_OK);
        assert_eq!(guard(|| Ok(1)), 1);
        assert_eq!(
            guard(|| Err::<(), _>(Error::new(Outcome::Unexpected, ""))),
            LICBAK_E_UNEXPECTED
        );
        assert_eq!(
            guard(|| -> Result<()> { resume_unwind(Box::new("on purpose")) }),
            LICBAK_E_UNEXPECTED
        );
    }
}
