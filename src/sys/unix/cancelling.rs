//! Keeps a host from cancelling the thread (`pthread_cancel`) in the middle of a call, both where
//! the library waits and where it calls a function of the host.

use std::ffi::c_int;

unsafe extern "C" {
    // POSIX; not every version of libc's bindings has it.
    fn pthread_setcancelstate(state: c_int, old: *mut c_int) -> c_int;
}

#[cfg(target_os = "linux")]
const DISABLE: c_int = 1;
#[cfg(target_vendor = "apple")]
const DISABLE: c_int = 0;

/// Keeps the thread from being cancelled until this is dropped.
pub struct Off {
    before: c_int,
}

pub fn off() -> Off {
    let mut before = DISABLE;
    // SAFETY: sets a flag of this thread, and writes its old value.
    unsafe { pthread_setcancelstate(DISABLE, &raw mut before) };
    Off { before }
}

impl Drop for Off {
    fn drop(&mut self) {
        // SAFETY: sets a flag of this thread back to its old value.
        unsafe { pthread_setcancelstate(self.before, std::ptr::null_mut()) };
    }
}
