//! Keeps descriptors above those of the standard streams. In a process without these streams, the
//! next opened file gets one of their numbers: the process's standard output would go into that
//! file, and its standard input would come out of it.

use std::ffi::{c_char, c_int};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{MutexGuard, PoisonError};

use rusqlite::ffi;
use rustix::fs::{Mode, OFlags};
use rustix::io::{Errno, retry_on_intr};
use rustix::path::Arg;

use super::fork::home;

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
    let writes = flags.intersects(OFlags::WRONLY | OFlags::RDWR);
    above(writes, || {
        rustix::fs::openat(&folder, path, flags | OFlags::CLOEXEC, mode)
    })
}

/// Calls `open`, which opens a folder, so that its descriptor is above the standard streams.
pub fn open_above(open: impl FnMut() -> Result<OwnedFd, Errno>) -> Result<OwnedFd, Errno> {
    above(false, open)
}

/// Calls `open` so that its descriptor is above the standard streams. A file that `writes` must not
/// be below them for a moment, in which the process may write to it.
fn above(writes: bool, open: impl FnMut() -> Result<OwnedFd, Errno>) -> Result<OwnedFd, Errno> {
    let _taken = may_lack_streams(writes).then(Taken::new);
    retry_on_intr(open).and_then(lift)
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
    if sure && (0..FIRST).any(is_missing) {
        LACKED.store(true, Ordering::SeqCst);
    }
    // Looked at last: another thread may just have taken the place of what is missing.
    LACKED.load(Ordering::SeqCst)
}

fn is_missing(stream: c_int) -> bool {
    // SAFETY: asks for a flag of a descriptor, if there is one.
    unsafe { libc::fcntl(stream, libc::F_GETFD) < 0 }
}

/// The places of the standard streams that the process lacks, taken by what can neither be read nor
/// written to. One thread at a time takes them: those of another would be given back too early.
struct Taken {
    _streams: [Option<OwnedFd>; FIRST as usize],
    _only: MutexGuard<'static, ()>,
}

impl Taken {
    fn new() -> Taken {
        let only = home()
            .streams
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let lacks_any = (0..FIRST).any(is_missing);
        let take = || rustix::fs::open("/", OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).ok();
        let streams = std::array::from_fn(|_| {
            let taken = lacks_any.then(take).flatten();
            taken.filter(|taken| taken.as_raw_fd() < FIRST)
        });
        Taken {
            _streams: streams,
            _only: only,
        }
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
    let _taken = may_lack_streams(true).then(Taken::new);
    // SAFETY: SQLite's own arguments for this very call.
    let opened = unsafe { libc::open(path, flags, mode) };
    if opened < 0 {
        return opened;
    }
    // SAFETY: just opened, and nobody else's. Still low where the host has closed one meanwhile.
    lift(unsafe { OwnedFd::from_raw_fd(opened) }).map_or(-1, IntoRawFd::into_raw_fd)
}
