//! Whether a host may cancel the thread (`pthread_cancel`): what would end it in the middle of a call must
//! not, neither where the library waits nor where it has a function of the host called.

use std::ffi::c_int;

unsafe extern "C" {
    // POSIX; not every version of libc's bindings has it.
    fn pthread_setcancelstate(state: c_int, old: *mut c_int) -> c_int;
}

#[cfg(target_os = "linux")]
const DISABLE: c_int = 1;

/// The thread can't be cancelled until this is dropped.
pub struct Off {
    before: c_int,
}

pub fn off() -> Off {
    let mut before = DISABLE;
    // SAFETY: sets a flag of this thread, and writes what it was.
    unsafe { pthread_setcancelstate(DISABLE, &raw mut before) };
    Off { before }
}

impl Drop for Off {
    fn drop(&mut self) {
        // SAFETY: sets a flag of this thread to what it was.
        unsafe { pthread_setcancelstate(self.before, std::ptr::null_mut()) };
    }
}
