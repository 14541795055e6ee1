//! What macOS states about files, and how it is asked.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{CWD, FileType, Mode, OFlags, fcntl_fullfsync, getpath};
use rustix::io::{Errno, retry_on_intr};

use crate::sys::anchored_path::AnchoredPath;
use crate::sys::descriptors::open;
use crate::sys::files::{Facts, facts_at};
use crate::sys::unix::files::facts::READ;

/// The way to open what is neither read nor written to.
pub const HELD: OFlags = OFlags::from_bits_retain(libc::O_EVTONLY as u32).union(OFlags::NONBLOCK);
/// The way to open a symbolic link itself so.
pub const HELD_LINK: OFlags = HELD.union(OFlags::SYMLINK);

/// Gives the facts of what is open: the system has no way to ask where it is kept.
pub fn facts_now(open: impl AsFd) -> Result<Facts, Errno> {
    rustix::fs::fstat(open).map(Facts::from)
}

/// Gives the facts of the file or folder at `path` in the same way.
pub fn facts_now_at(path: &AnchoredPath) -> Result<Facts, Errno> {
    facts_at(path)
}

/// Opens what is `open` once more, to read it, with the rights that this user has now.
pub fn open_again(what: impl AsFd) -> Result<OwnedFd, Errno> {
    open(CWD, getpath(what)?.as_c_str(), READ, Mode::empty())
}

/// Tells whether a descriptor may be one that was opened to be held: those are folders, as no stream
/// is.
pub fn is_held(descriptor: &OwnedFd) -> bool {
    rustix::fs::fstat(descriptor)
        .is_ok_and(|facts| FileType::from_raw_mode(facts.st_mode) == FileType::Directory)
}

/// Brings what is open to the disk, and what the disk has in its own memory with it. Disks that are
/// served from elsewhere do not know the second. A signal is no failure.
pub fn sync(open: impl AsFd) -> Result<(), Errno> {
    match retry_on_intr(|| fcntl_fullfsync(&open)) {
        Err(Errno::NOTSUP | Errno::NOTTY | Errno::INVAL | Errno::NOSYS) => hand_over(open),
        synced => synced,
    }
}

/// Brings what is open to the disk, which may still have it in its own memory.
pub fn hand_over(open: impl AsFd) -> Result<(), Errno> {
    retry_on_intr(|| rustix::fs::fsync(&open))
}

/// Every user and group has a number.
pub fn are_known(_: (u32, u32)) -> bool {
    true
}
