//! What macOS does for processes and threads.

use std::ffi::{CStr, c_int, c_void};
use std::os::fd::OwnedFd;
use std::ptr::NonNull;
use std::sync::atomic::AtomicU32;

use rustix::io::{Errno, FdFlags, fcntl_setfd, ioctl_fionbio};
#[cfg(feature = "object-storage")]
use rustix::net::{AddressFamily, SocketType, ipproto};

/// The clock from which the kernel takes the times of files.
pub const STAMPS: libc::clockid_t = libc::CLOCK_REALTIME;
/// The clock that runs from the machine's start on, also while it sleeps.
pub const SINCE_BOOT: libc::clockid_t = libc::CLOCK_MONOTONIC;

/// Makes a pipe whose ends never wait, the one to read first. A program that another thread starts in
/// the same moment may get its ends.
pub fn pipe() -> Result<(OwnedFd, OwnedFd), Errno> {
    let ends = rustix::pipe::pipe()?;
    never_wait(&ends.0)?;
    never_wait(&ends.1)?;
    Ok(ends)
}

/// Makes a socket for TCP that never waits, as a pipe is made.
#[cfg(feature = "object-storage")]
pub fn socket(family: AddressFamily) -> Result<OwnedFd, Errno> {
    let socket = rustix::net::socket(family, SocketType::STREAM, Some(ipproto::TCP))?;
    never_wait(&socket)?;
    Ok(socket)
}

fn never_wait(open: &OwnedFd) -> Result<(), Errno> {
    fcntl_setfd(open, FdFlags::CLOEXEC)?;
    ioctl_fionbio(open, true)
}

/// Sets what this thread's last failed call says.
pub fn set_errno(errno: Errno) {
    // SAFETY: this thread's own.
    unsafe { *libc::__error() = errno.raw_os_error() };
}

/// Names this thread.
pub fn name_thread(name: &CStr) {
    // SAFETY: a text for this thread.
    unsafe { libc::pthread_setname_np(name.as_ptr()) };
}

/// Ends the process, of which this thread is the last as a rule: no call ends a thread alone without
/// unwinding its stack.
pub fn end_thread(status: c_int) {
    // SAFETY: nothing of this process is used any more.
    unsafe { libc::_exit(status) };
}

/// Does nothing: the system writes no core files, unless it is told to.
///
/// # Safety
///
/// There is nothing to keep.
pub unsafe fn leave_out_of_dumps(_: *mut c_void, _: usize) {}

/// Makes none: the kernel clears no page in a child.
pub fn cleared_on_fork() -> Option<NonNull<AtomicU32>> {
    None
}
