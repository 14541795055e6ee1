//! Keeps descriptors above those of the standard streams. In a process without these streams, the
//! next opened file gets one of their numbers: the process's standard output would go into that
//! file, and its standard input would come out of it.

use std::ffi::{CStr, c_char, c_int};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{MutexGuard, PoisonError};

use rusqlite::ffi;
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::{Errno, retry_on_intr};
#[cfg(feature = "object-storage")]
use rustix::net::AddressFamily;
use rustix::path::Arg;

use super::fork::{HomeMark, home};
use super::streams::{FIRST, Streams, lacks_any};
use super::system::process::{self, set_errno};
use crate::sys::patience::patiently;

/// Opens `path`, which leads from `folder`, above the standard streams. The descriptor is closed
/// when this process becomes another program.
pub fn open(
    folder: impl AsFd,
    path: impl Arg + Copy,
    flags: OFlags,
    mode: Mode,
) -> Result<OwnedFd, Errno> {
    let writes = flags.intersects(OFlags::WRONLY | OFlags::RDWR);
    above(writes, || {
        rustix::fs::openat(&folder, path, flags | OFlags::CLOEXEC, mode)
    })
}

/// Calls `open` so that its descriptor is above the standard streams. A file that `writes` must not
/// be below them for a moment, in which the process may write to it.
pub fn above(writes: bool, open: impl FnMut() -> Result<OwnedFd, Errno>) -> Result<OwnedFd, Errno> {
    let _taken = may_lack_streams(writes).then(Taken::new);
    retry_on_intr(open).and_then(lift)
}

/// Makes a socket for TCP above the standard streams, which never waits.
#[cfg(feature = "object-storage")]
pub fn socket(family: AddressFamily) -> Result<OwnedFd, Errno> {
    above(true, || process::socket(family))
}

/// Calls `work`, which opens and closes sockets and files of its own, none of which may be in the
/// place of a standard stream meanwhile.
#[cfg(feature = "object-storage")]
pub fn beside_streams<T>(work: impl FnOnce() -> T) -> T {
    let _taken = may_lack_streams(true).then(Taken::new);
    work()
}

/// Makes a pipe above the standard streams, whose ends never wait, the one to read first.
pub fn pipe() -> Result<(OwnedFd, OwnedFd), Errno> {
    let _taken = may_lack_streams(true).then(Taken::new);
    let (reading, writing) = process::pipe()?;
    Ok((lift(reading)?, lift(writing)?))
}

fn lift(descriptor: OwnedFd) -> Result<OwnedFd, Errno> {
    if descriptor.as_raw_fd() >= FIRST {
        return Ok(descriptor);
    }
    LACKED.store(true, Ordering::SeqCst);
    rustix::io::fcntl_dupfd_cloexec(&descriptor, FIRST)
}

/// The process has lacked a standard stream at some time.
static LACKED: AtomicBool = AtomicBool::new(false);

/// Tells whether the process may lack a standard stream. Most processes have all, and open many
/// files: only where it is `sure` that nothing may go wrong once is the kernel asked.
fn may_lack_streams(sure: bool) -> bool {
    if sure && lacks_any() {
        LACKED.store(true, Ordering::SeqCst);
    }
    // Looked at last: another thread may just have taken the place of what is missing.
    LACKED.load(Ordering::SeqCst)
}

/// The places of the standard streams that the process lacks, taken until this is dropped.
struct Taken(&'static HomeMark);

impl Taken {
    fn new() -> Taken {
        let home = home();
        locked(home).take();
        Taken(home)
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        locked(self.0).give_back();
    }
}

/// Held for moments only: to open a file may take as long as its file system likes.
fn locked(home: &HomeMark) -> MutexGuard<'_, Streams> {
    home.streams.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes SQLite open its files above the standard streams, and nothing but files and folders. SQLite
/// does the first by itself too, but leaves open what it has put in their place. It is called before
/// any use of SQLite: a second call changes nothing.
pub fn lift_sqlite() {
    type Open = unsafe extern "C" fn(*const c_char, c_int, c_int) -> c_int;
    const NAME: &CStr = c"open";
    // SAFETY: SQLite's own system interface is never freed, and its "open" is a function of this
    // type.
    unsafe {
        let open = std::mem::transmute::<Open, unsafe extern "C" fn()>(open_for_sqlite);
        let system = ffi::sqlite3_vfs_find(std::ptr::null());
        let Some(system) = system.as_mut() else {
            return;
        };
        if let (Some(get), Some(set)) = (system.xGetSystemCall, system.xSetSystemCall)
            && get(system, NAME.as_ptr()).is_none_or(|is| is as usize != open as usize)
        {
            set(system, NAME.as_ptr(), Some(open));
        }
    }
}

/// Opens a file for SQLite. Closing a file takes the process's locks on it away, also those of
/// another connection: so no database may get one of the low numbers, not even for a moment.
///
/// Beside a database of a stranger's, or where its journal says, may be a pipe: to open it would
/// wait for ever.
unsafe extern "C" fn open_for_sqlite(path: *const c_char, flags: c_int, mode: c_int) -> c_int {
    let _taken = may_lack_streams(true).then(Taken::new);
    let opened = patiently(|| {
        // SAFETY: SQLite's own arguments for this very call.
        let opened = unsafe { libc::open(path, flags | libc::O_NONBLOCK | libc::O_NOCTTY, mode) };
        match opened < 0 {
            true => {
                Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO))
            }
            // SAFETY: just opened, and nobody else's.
            false => Ok(unsafe { OwnedFd::from_raw_fd(opened) }),
        }
    });
    let opened = opened.and_then(|opened| {
        let kind = FileType::from_raw_mode(rustix::fs::fstat(&opened)?.st_mode);
        let is_opened = matches!(kind, FileType::RegularFile | FileType::Directory);
        // SAFETY: SQLite's own argument.
        let is_source = || unsafe { CStr::from_ptr(path) } == c"/dev/urandom";
        match is_opened || is_source() {
            true => Ok(opened),
            false => Err(Errno::NXIO),
        }
    });
    // Still low where the host has closed one meanwhile.
    match opened.and_then(lift) {
        Ok(lifted) => lifted.into_raw_fd(),
        Err(errno) => {
            set_errno(errno); // where SQLite looks for the reason
            -1
        }
    }
}
