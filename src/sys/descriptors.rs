//! Keeps descriptors above those of the standard streams. In a process without these streams, the
//! next opened file gets one of their numbers: the process's standard output would go into that
//! file, and its standard input would come out of it.

use std::ffi::{c_char, c_int};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, IntoRawFd, OwnedFd};

use rusqlite::ffi;
use rustix::fs::{Mode, OFlags};
use rustix::io::{Errno, retry_on_intr};
use rustix::path::Arg;

/// The first descriptor that is no standard stream.
const FIRST: c_int = 3;

/// Opens `path`, which leads from `folder`, above the standard streams. The descriptor is closed
/// when this process becomes another program.
pub fn open(
    folder: impl AsFd,
    path: impl Arg + Copy,
    flags: OFlags,
    mode: Mode,
) -> Result<OwnedFd, Errno> {
    open_above(|| rustix::fs::openat(&folder, path, flags | OFlags::CLOEXEC, mode))
}

/// Calls `open` so that its descriptor is above the standard streams.
pub fn open_above(open: impl FnMut() -> Result<OwnedFd, Errno>) -> Result<OwnedFd, Errno> {
    retry_on_intr(open).and_then(lift)
}

fn lift(descriptor: OwnedFd) -> Result<OwnedFd, Errno> {
    match descriptor.as_raw_fd() < FIRST {
        true => rustix::io::fcntl_dupfd_cloexec(&descriptor, FIRST),
        false => Ok(descriptor),
    }
}

/// Makes SQLite open its files above the standard streams. SQLite does that by itself too, but
/// leaves open what it has put in their place. It is called before any use of SQLite: a second call
/// changes nothing.
pub fn lift_sqlite() {
    type Open = unsafe extern "C" fn(*const c_char, c_int, c_int) -> c_int;
    // SAFETY: SQLite's own system interface is never freed, and its "open" is a function of this
    // type.
    unsafe {
        let open = std::mem::transmute::<Open, unsafe extern "C" fn()>(open_for_sqlite);
        let system = ffi::sqlite3_vfs_find(std::ptr::null());
        if let Some(set) = system.as_ref().and_then(|system| system.xSetSystemCall) {
            set(system, c"open".as_ptr(), Some(open));
        }
    }
}

/// Opens a file for SQLite. Closing a file takes the process's locks on it away, also those of
/// another connection: so no database may get one of the low numbers, not even for a moment.
unsafe extern "C" fn open_for_sqlite(path: *const c_char, flags: c_int, mode: c_int) -> c_int {
    let _taken = take_streams();
    // SAFETY: SQLite's own arguments for this very call.
    let opened = unsafe { libc::open(path, flags, mode) };
    if opened < 0 {
        return opened;
    }
    // SAFETY: just opened, and nobody else's. Still low where the host has closed one meanwhile.
    lift(unsafe { OwnedFd::from_raw_fd(opened) }).map_or(-1, IntoRawFd::into_raw_fd)
}

/// Fills the places of missing standard streams with something that can neither be read nor written
/// to.
fn take_streams() -> [Option<OwnedFd>; FIRST as usize] {
    // SAFETY: asks for a flag of a descriptor, if there is one.
    let lacks = |stream| unsafe { libc::fcntl(stream, libc::F_GETFD) } < 0;
    let lacks_any = (0..FIRST).any(lacks);
    std::array::from_fn(|_| {
        let taken = lacks_any
            .then(|| rustix::fs::open("/", OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).ok());
        taken.flatten().filter(|taken| taken.as_raw_fd() < FIRST)
    })
}
