//! What the system states about files, opened or not.

use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, FileType, FlockOperation, Mode, OFlags, RawMode, Stat};
use rustix::io::Errno;

use crate::sys::anchor::folder;
use crate::sys::anchored_path::AnchoredPath;
use crate::sys::descriptors::open;
use crate::sys::kinds::{Identity, Kind, Lock};
use crate::sys::unix::system::facts::{HELD, HELD_LINK};

impl From<FileType> for Kind {
    fn from(kind: FileType) -> Kind {
        match kind {
            FileType::RegularFile => Kind::File,
            FileType::Directory => Kind::Folder,
            FileType::Symlink => Kind::Link,
            FileType::Unknown => Kind::Unknown,
            _ => Kind::Special,
        }
    }
}

/// The facts that the file system states about a file; two equal values mean that it was not
/// changed in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    pub identity: Identity,
    pub kind: Kind,
    pub size: u64,
    /// The time of modification in nanoseconds since 1970 UTC.
    pub modified: i64,
    pub changed: i64,
    pub(in crate::sys::unix) mode: RawMode,
    pub(in crate::sys::unix) owner: (u32, u32),
}

impl Facts {
    /// Tells whether the owner lacks rights to what the owner has just made: the umask took them.
    pub fn is_masked(&self) -> bool {
        self.mode & OWNERS != OWNERS
    }

    /// Tells whether owner and mode are those of `other`, but for the right to run as the owner.
    pub fn has_rights_of(&self, other: &Facts) -> bool {
        (self.owner, self.mode & 0o1777) == (other.owner, other.mode & 0o1777)
    }

    /// Tells whether this belongs to the user of this process.
    pub(super) fn is_own(&self) -> bool {
        self.owner.0 == rustix::process::geteuid().as_raw()
    }
}

/// The rights of an owner.
pub const OWNERS: RawMode = 0o700;

impl From<Stat> for Facts {
    #[allow(clippy::unnecessary_cast, reason = "the types differ between systems")]
    fn from(stat: Stat) -> Facts {
        Facts {
            identity: Identity {
                device: stat.st_dev as u64,
                inode: stat.st_ino,
            },
            kind: FileType::from_raw_mode(stat.st_mode).into(),
            size: u64::try_from(stat.st_size).unwrap_or(0),
            modified: nanoseconds(stat.st_mtime, stat.st_mtime_nsec as i64),
            changed: nanoseconds(stat.st_ctime, stat.st_ctime_nsec as i64),
            mode: stat.st_mode & 0o7777,
            owner: (stat.st_uid, stat.st_gid),
        }
    }
}

/// Counts in nanoseconds. Times that 64 bits can't hold so, before 1678 and after 2261, are clamped.
pub fn nanoseconds(seconds: i64, fraction: i64) -> i64 {
    seconds
        .saturating_mul(1_000_000_000)
        .saturating_add(fraction)
}

pub fn lock(descriptor: &OwnedFd) -> Result<Lock, Errno> {
    match rustix::fs::flock(descriptor, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Lock::Ours),
        Err(Errno::WOULDBLOCK) => Ok(Lock::Others),
        // NFS locks only files that are open for writing, as no folder is.
        Err(Errno::INVAL | Errno::NOTSUP | Errno::NOSYS | Errno::NOLCK | Errno::BADF) => {
            Ok(Lock::None)
        }
        Err(errno) => Err(errno),
    }
}

/// Tells whether a call is unavailable: the kernel or the file system does not know it, or a
/// sandbox denies it. A user without the right to its effect gets these errors too, and then also
/// from every other way to it.
pub fn is_unavailable(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::NOSYS | Errno::NOTSUP | Errno::PERM | Errno::ACCESS
    )
}

/// Checks that a file or folder could have this name: what is more depends on the file system.
pub fn check_name(_: &str) -> Result<(), Errno> {
    Ok(())
}

/// Checks that this user could write to the file or folder at `path`; the error tells why not.
pub fn check_writable(path: &AnchoredPath) -> Result<(), Errno> {
    let access = rustix::fs::Access::READ_OK | rustix::fs::Access::WRITE_OK;
    rustix::fs::accessat(
        folder(path.anchor())?,
        path.as_given(),
        access,
        AtFlags::empty(),
    )
}

/// Gives the facts of the file or folder at `path`, without opening it.
pub fn facts_at(path: &AnchoredPath) -> Result<Facts, Errno> {
    rustix::fs::statat(folder(path.anchor())?, path.as_given(), AtFlags::empty()).map(Facts::from)
}

/// Tells what is at `path`, without opening or following it.
pub fn kind_at(path: &AnchoredPath) -> Result<Kind, Errno> {
    let found = rustix::fs::statat(
        folder(path.anchor())?,
        path.as_given(),
        AtFlags::SYMLINK_NOFOLLOW,
    );
    found.map(|stat| Facts::from(stat).kind)
}

/// Tells whether anything is at `path`, even a symbolic link that leads nowhere.
pub fn is_taken(path: &AnchoredPath) -> Result<bool, Errno> {
    match rustix::fs::statat(
        folder(path.anchor())?,
        path.as_given(),
        AtFlags::SYMLINK_NOFOLLOW,
    ) {
        Ok(_) => Ok(true),
        Err(Errno::NOENT) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// A file, folder or link that is held without being opened: until it is dropped, no other has its
/// identity.
#[derive(Debug)]
pub struct Held {
    pub identity: Identity,
    pub kind: Kind,
    _descriptor: OwnedFd,
}

impl Held {
    /// Holds the file, folder or link at `path`; a symbolic link is followed only if asked for.
    pub fn at(path: &AnchoredPath, follow: bool) -> Result<Held, Errno> {
        let flags = if follow { HELD } else { HELD_LINK };
        let (anchor, path) = (folder(path.anchor())?, path.as_given());
        let descriptor = open(anchor, path, flags, Mode::empty())?;
        let facts = Facts::from(rustix::fs::fstat(&descriptor)?);
        Ok(Held {
            identity: facts.identity,
            kind: facts.kind,
            _descriptor: descriptor,
        })
    }

    /// Tells whether a file with these facts is the one that is held.
    pub fn is(&self, facts: &Facts) -> bool {
        self.identity == facts.identity
    }
}

// -- ways to open

pub const READ: OFlags = OFlags::RDONLY.union(OFlags::NOCTTY);
pub const FOLDER: OFlags = READ.union(OFlags::DIRECTORY);
pub const PRIVATE: Mode = Mode::RUSR.union(Mode::WUSR);
