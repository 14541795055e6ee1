//! Files by descriptor.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags, RawMode, Timespec, Timestamps};
use rustix::io::{Errno, retry_on_intr};

use super::facts::{Facts, OWNERS, PRIVATE, READ, lock};
use super::owners::{give, set_owner};
use crate::sys::anchor::folder;
use crate::sys::anchored_path::AnchoredPath;
use crate::sys::descriptors::open;
use crate::sys::kinds::Lock;
use crate::sys::patience::patiently;
use crate::sys::transfers::{drain, fill};
use crate::sys::unix::system::attributes::{take_access_list, take_attributes};
use crate::sys::unix::system::facts;
use crate::sys::unix::system::file::is_of_disk;

/// An open file. Reads and writes at a position leave the descriptor's own alone, so that threads
/// can share it.
#[derive(Debug)]
pub struct File(OwnedFd);

impl From<OwnedFd> for File {
    fn from(descriptor: OwnedFd) -> File {
        File(descriptor)
    }
}

impl AsFd for File {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// The bits of a mode by which a program runs as its owner or its group.
const RUNS_AS_OWNER: RawMode = 0o6000;

impl File {
    /// Opens the file at `path` for reading, through a symbolic link too, as [`Dir::linked_file`]
    /// does.
    pub fn open(path: &AnchoredPath) -> Result<File, Errno> {
        let (anchor, flags) = (folder(path.anchor())?, READ | OFlags::NONBLOCK);
        patiently(|| open(anchor, path.as_given(), flags, Mode::empty()).map(File))
    }

    pub fn facts(&self) -> Result<Facts, Errno> {
        rustix::fs::fstat(&self.0).map(Facts::from)
    }

    /// Gives the facts as they are where the file is kept, whatever this machine has in its cache.
    pub fn facts_now(&self) -> Result<Facts, Errno> {
        facts::facts_now(&self.0)
    }

    /// Reads until `buffer` is full or the file ends; returns how much was read.
    pub fn read_full(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        fill(buffer, |rest, _| {
            retry_on_intr(|| rustix::io::read(&self.0, &mut *rest))
        })
    }

    /// Reads from the beginning in one call, which may give less than there is.
    pub fn read_once(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        retry_on_intr(|| rustix::io::pread(&self.0, &mut *buffer, 0))
    }

    /// Reads as [`File::read_full`] does, from `offset`.
    pub fn read_full_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize, Errno> {
        fill(buffer, |rest, done| {
            retry_on_intr(|| rustix::io::pread(&self.0, &mut *rest, offset + done as u64))
        })
    }

    fn write(&self, bytes: &[u8]) -> Result<usize, Errno> {
        retry_on_intr(|| rustix::io::write(&self.0, bytes)).map_err(|errno| self.reason_of(errno))
    }

    /// Tells a full file system from a failing disk, where the one says of both that a write failed,
    /// as those do that are served from elsewhere.
    fn reason_of(&self, errno: Errno) -> Errno {
        /// Bytes that are as good as none.
        const NONE: u64 = 1 << 20;
        let is_full = || {
            let facts = rustix::fs::fstatvfs(&self.0);
            facts.is_ok_and(|facts| facts.f_bavail.saturating_mul(facts.f_frsize) < NONE)
        };
        match errno {
            Errno::IO if is_full() => Errno::NOSPC,
            // So rclone calls a write after one that has failed.
            Errno::SPIPE => self.reason_of(Errno::IO),
            errno => errno,
        }
    }

    pub fn write_all(&self, bytes: &[u8]) -> Result<(), Errno> {
        drain(bytes, |rest| self.write(rest))
    }

    /// Cuts the file to `size` bytes, behind which the next write goes.
    pub fn cut(&self, size: u64) -> Result<(), Errno> {
        retry_on_intr(|| rustix::fs::ftruncate(&self.0, size))?;
        rustix::fs::seek(&self.0, rustix::fs::SeekFrom::Start(size)).map(drop)
    }

    /// Tells whether what is written to this file, which is empty and stays so, can be read while it
    /// is open.
    pub fn reads_what_it_writes(&self) -> bool {
        let mut read = [0];
        let is_read = self.write_all(b"x").is_ok() && self.read_full_at(&mut read, 0) == Ok(1);
        is_read && self.cut(0).is_ok()
    }

    /// Gives the place of the next read or write without a position.
    pub fn position(&self) -> Result<u64, Errno> {
        retry_on_intr(|| rustix::fs::seek(&self.0, rustix::fs::SeekFrom::Current(0)))
    }

    /// Writes whole blocks past the system's cache, and tells how many bytes that took. `blocks`
    /// must begin a block in memory, and the position one in the file. The remaining bytes are to
    /// be written otherwise.
    pub fn write_direct(&self, blocks: &[u8]) -> Result<usize, Errno> {
        if self.set_direct(true).is_err() {
            return Ok(0);
        }
        let written = self.write(blocks);
        self.set_direct(false)?;
        match written {
            // The disk's blocks are larger, or the file system can't do it after all.
            Err(Errno::INVAL | Errno::NOTSUP) => Ok(0),
            Err(errno) if is_of_disk(errno) => Err(Errno::IO),
            written => written,
        }
    }

    /// Brings content and attributes to the disk.
    pub fn sync(&self) -> Result<(), Errno> {
        // A failed call is not repeated: the kernel forgets what it could not write.
        facts::sync(&self.0).map_err(|errno| self.reason_of(errno))?;
        self.hand_over()
    }

    /// Hands what was written to the file system, where [`Dir::sync_file_system`] finds it.
    pub fn hand_over(&self) -> Result<(), Errno> {
        facts::hand_over(&self.0).map_err(|errno| self.reason_of(errno))
    }

    /// Sets the time of modification, in nanoseconds since 1970 UTC.
    pub fn set_modified(&self, modified: i64) -> Result<(), Errno> {
        let last_modification = Timespec {
            tv_sec: modified.div_euclid(1_000_000_000),
            tv_nsec: modified.rem_euclid(1_000_000_000),
        };
        let last_access = Timespec {
            tv_sec: 0,
            tv_nsec: rustix::fs::UTIME_OMIT,
        };
        rustix::fs::futimens(
            &self.0,
            &Timestamps {
                last_access,
                last_modification,
            },
        )
    }

    /// Tells whether the file belongs to the user of this process.
    pub fn is_own(&self) -> bool {
        self.facts().is_ok_and(|facts| facts.is_own())
    }

    fn set_mode(&self, mode: RawMode) -> Result<(), Errno> {
        rustix::fs::fchmod(&self.0, Mode::from_raw_mode(mode))
    }

    /// Takes over the owner, the access list, the rights and the other attributes of `old`, which
    /// this file is to replace. At no moment it lets in whom `old` keeps out: the list comes before
    /// the mode, whose bits for a group open it.
    pub fn take_rights_of(&self, old: &File) -> Result<(), Errno> {
        let (there, own) = (old.facts()?, self.facts()?);
        if own.owner != there.owner {
            set_owner(&self.0, there.owner)?;
        }
        take_attributes(old.as_fd(), self.as_fd())?;
        let mode = match take_access_list(old.as_fd(), self.as_fd())? {
            true => there.mode,
            false => there.mode & OWNERS,
        };
        // To run as its owner was the right of the old content.
        self.set_mode(mode & !RUNS_AS_OWNER)
    }

    /// Gives this new file to the owner in the facts of the `folder` that it comes into. It stays
    /// this user's where that can't be, or where this user could not read it any more.
    pub fn give(&self, folder: &Facts) -> Result<(), Errno> {
        let own = self.facts()?;
        if own.owner == folder.owner {
            return Ok(());
        }
        give(self, &own, folder)?;
        match facts::open_again(self) {
            Err(Errno::ACCESS) => set_owner(self, own.owner),
            _ => Ok(()),
        }
    }

    /// Sets the rights of a file that was made for its owner alone; a strange umask may have taken
    /// some of them away.
    pub fn keep_private(&self) -> Result<(), Errno> {
        if self.facts()?.mode == PRIVATE.as_raw_mode() {
            return Ok(());
        }
        match self.set_mode(PRIVATE.as_raw_mode()) {
            // FAT and similar file systems have no rights to set.
            Err(Errno::PERM | Errno::NOTSUP) => Ok(()),
            done => done,
        }
    }

    /// Makes a file that was there before its owner's alone.
    pub fn make_private(&self) -> Result<(), Errno> {
        self.keep_private()
    }

    /// Locks the file for this descriptor alone, unless another holds it.
    pub fn try_lock(&self) -> Result<Lock, Errno> {
        lock(&self.0)
    }
}
