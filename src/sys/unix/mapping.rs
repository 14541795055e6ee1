//! Files in memory.

use std::ffi::c_void;

use rustix::mm::{Advice, madvise};

/// Gives memory back to the system, which fills it from its file when it is used next.
///
/// # Safety
///
/// The bytes are those of a file that is mapped there.
pub unsafe fn give_back(start: *mut c_void, length: usize) {
    // SAFETY: the caller's promise: the bytes stay what they are.
    let _ = unsafe { madvise(start, length, Advice::LinuxDontNeed) };
}
