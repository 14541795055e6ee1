//! Files in memory.

use std::ffi::c_void;

use windows_sys::Win32::System::Memory::VirtualUnlock;

/// Gives memory back to the system, which fills it from its file when it is used next.
///
/// # Safety
///
/// The bytes are those of a file that is mapped there.
pub unsafe fn give_back(start: *mut c_void, length: usize) {
    // Memory that is not locked leaves the working set: so says the page of this call.
    // SAFETY: the caller's promise: the bytes stay what they are.
    unsafe { VirtualUnlock(start, length) };
}
