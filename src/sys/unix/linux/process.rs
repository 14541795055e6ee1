//! What Linux does for processes and threads.

use std::ffi::{CStr, c_int, c_void};
use std::os::fd::{AsFd, IntoRawFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::io::Errno;
#[cfg(feature = "object-storage")]
use rustix::net::{AddressFamily, SocketFlags, SocketType, ipproto, socket_with};
use rustix::pipe::{PipeFlags, pipe_with};

use crate::sys::unix::streams::FIRST;

/// The clock from which the kernel takes the times of files.
pub const STAMPS: libc::clockid_t = libc::CLOCK_REALTIME_COARSE;
/// The clock that runs from the machine's start on, also while it sleeps.
pub const SINCE_BOOT: libc::clockid_t = libc::CLOCK_BOOTTIME;

/// Makes a pipe whose ends never wait, the one to read first.
pub fn pipe() -> Result<(OwnedFd, OwnedFd), Errno> {
    pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)
}

/// Makes a socket for TCP that never waits.
#[cfg(feature = "object-storage")]
pub fn socket(family: AddressFamily) -> Result<OwnedFd, Errno> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    socket_with(family, SocketType::STREAM, flags, Some(ipproto::TCP))
}

/// Closes a second descriptor of what is open: some file systems that keep their files elsewhere say
/// only then whether they could.
pub fn close_second(of: impl AsFd) -> Result<(), Errno> {
    let second = match rustix::io::fcntl_dupfd_cloexec(of, FIRST) {
        // A sandbox denies the call.
        Err(Errno::NOSYS | Errno::PERM | Errno::ACCESS) => return Ok(()),
        second => second?,
    };
    // SAFETY: the descriptor is this function's own, and gone from here on.
    let closed = unsafe { libc::close(second.into_raw_fd()) };
    match std::io::Error::last_os_error() {
        error if closed < 0 => match Errno::from_io_error(&error) {
            // It is closed all the same.
            Some(Errno::INTR) | None => Ok(()),
            Some(errno) => Err(errno),
        },
        _ => Ok(()),
    }
}

/// Sets what this thread's last failed call says.
pub fn set_errno(errno: Errno) {
    // SAFETY: this thread's own.
    unsafe { *libc::__errno_location() = errno.raw_os_error() };
}

/// Names this thread, by at most 15 bytes.
pub fn name_thread(name: &CStr) {
    // SAFETY: a text for this thread.
    unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) };
}

/// Ends this thread, and the process with its last thread. The C library must not do it: it would
/// unwind the stack, and at the last thread run the functions that are registered for the process's
/// end.
pub fn end_thread(status: c_int) {
    // SAFETY: nothing of this thread is used any more.
    unsafe { libc::syscall(libc::SYS_exit, status) };
}

/// Keeps pages out of core files. Not every system knows this, and without it all else works.
///
/// # Safety
///
/// The pages are mapped.
pub unsafe fn leave_out_of_dumps(start: *mut c_void, length: usize) {
    // SAFETY: as the caller says.
    let _ = unsafe { rustix::mm::madvise(start, length, rustix::mm::Advice::LinuxDontDump) };
}

/// Makes a page with a 1 that the kernel clears in a child, which is never given back. None, where
/// the kernel can't: before Linux 4.14.
pub fn cleared_on_fork() -> Option<NonNull<AtomicU32>> {
    use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};
    let length = 4096;
    // SAFETY: a new private mapping at an address that the kernel chooses touches nothing that
    // exists.
    let page = unsafe {
        mmap_anonymous(
            std::ptr::null_mut(),
            length,
            ProtFlags::READ | ProtFlags::WRITE,
            MapFlags::PRIVATE,
        )
    }
    .ok()?;
    // SAFETY: the range is the mapping just made, and clearing it in a child is what it is for.
    let advise = |advice| unsafe { libc::madvise(page, length, advice) } == 0;
    // The first advice does not exist: a kernel that takes it, as user-mode qemu does, takes any
    // and obeys none.
    if advise(-1) || !advise(libc::MADV_WIPEONFORK) {
        // SAFETY: the mapping is ours and nobody else knows of it.
        let _ = unsafe { munmap(page, length) };
        return None;
    }
    let mark = NonNull::new(page.cast::<AtomicU32>())?;
    // SAFETY: a page is aligned for a u32, and zeros are one.
    unsafe { mark.as_ref() }.store(1, Ordering::Relaxed);
    Some(mark)
}
