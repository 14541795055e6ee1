//! Files by handle.

use std::os::windows::io::{AsHandle, BorrowedHandle, OwnedHandle};
use std::sync::atomic::{AtomicU64, Ordering};

use windows_sys::Win32::Storage::FileSystem::{
    FILE_ATTRIBUTE_ARCHIVE, FILE_ATTRIBUTE_HIDDEN, FILE_ATTRIBUTE_READONLY, FILE_ATTRIBUTE_SYSTEM,
    FILE_BASIC_INFO, FILE_GENERIC_WRITE, READ_CONTROL, WRITE_DAC,
};

use super::super::anchor::native;
use super::super::clock;
use super::super::errno::Errno;
use super::super::handles;
use super::super::opening::{READ, open, reopen};
use super::super::rights;
use super::facts::{Facts, facts, is_unavailable};
use crate::sys::anchored_path::AnchoredPath;
use crate::sys::kinds::{Lock, Protection};
use crate::sys::transfers::{drain, fill};

/// An open file. Windows moves a handle's position with every read and write, so the file keeps its
/// own, and threads can share it.
#[derive(Debug)]
pub struct File {
    handle: OwnedHandle,
    position: AtomicU64,
}

impl From<OwnedHandle> for File {
    fn from(handle: OwnedHandle) -> File {
        let position = AtomicU64::new(0);
        File { handle, position }
    }
}

impl AsHandle for File {
    fn as_handle(&self) -> BorrowedHandle<'_> {
        self.handle.as_handle()
    }
}

impl File {
    /// Opens the file at `path` for reading, through a symbolic link too.
    pub fn open(path: &AnchoredPath) -> Result<File, Errno> {
        open(None, &native(&path.to_absolute())?, READ).map(File::from)
    }

    pub fn facts(&self) -> Result<Facts, Errno> {
        facts(self.as_handle())
    }

    /// Gives the same: the system asks where the file is kept.
    pub fn facts_now(&self) -> Result<Facts, Errno> {
        self.facts()
    }

    /// Is certain here.
    pub fn reads_what_it_writes(&self) -> bool {
        true
    }

    /// Tells whether the file belongs to the user of this process.
    pub fn is_own(&self) -> bool {
        rights::is_own(self.as_handle()) == Ok(true)
    }

    /// Reads until `buffer` is full or the file ends; returns how much was read.
    pub fn read_full(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        let position = self.position.load(Ordering::Relaxed);
        let read = self.read_full_at(buffer, position)?;
        self.position
            .store(position + read as u64, Ordering::Relaxed);
        Ok(read)
    }

    /// Reads from the beginning in one call, which may give less than there is.
    pub fn read_once(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        handles::read(self.as_handle(), buffer, 0)
    }

    /// Reads as [`File::read_full`] does, from `offset`.
    pub fn read_full_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize, Errno> {
        fill(buffer, |rest, done| {
            handles::read(self.as_handle(), rest, offset + done as u64)
        })
    }

    pub fn write_all(&self, bytes: &[u8]) -> Result<(), Errno> {
        drain(bytes, |rest| {
            let position = self.position.load(Ordering::Relaxed);
            let written = handles::write(self.as_handle(), rest, position)
                .map_err(|errno| self.reason_of(errno, position + rest.len() as u64))?;
            self.position
                .store(position + written as u64, Ordering::Relaxed);
            Ok(written)
        })
    }

    /// Tells a file that grows to `size`, too large for FAT, from a full disk, which FAT does not.
    fn reason_of(&self, errno: Errno, size: u64) -> Errno {
        let is_too_large = || {
            let file_system = handles::file_system(self.as_handle());
            size > u64::from(u32::MAX) && file_system.is_some_and(|name| name.starts_with("FAT"))
        };
        match errno {
            Errno::NOSPC if is_too_large() => Errno::FBIG,
            errno => errno,
        }
    }

    /// Shares no blocks: only ReFS could.
    pub fn share(&self, _: &File) -> Result<(), Errno> {
        Err(Errno::NOTSUP)
    }

    /// Frees no blocks.
    pub fn make_hole(&self, _: u64, _: u64) -> Result<(), Errno> {
        Err(Errno::NOTSUP)
    }

    /// Does nothing: Windows drops no part of its cache for a user.
    pub fn forget(&self, _: u64, _: u64) {}

    /// Cuts the file to `size` bytes, behind which the next write goes.
    pub fn cut(&self, size: u64) -> Result<(), Errno> {
        handles::set_size(self.as_handle(), size)?;
        self.position.store(size, Ordering::Relaxed);
        Ok(())
    }

    /// Gives the place of the next read or write without a position.
    pub fn position(&self) -> Result<u64, Errno> {
        Ok(self.position.load(Ordering::Relaxed))
    }

    /// Fails: all goes through the system's cache.
    pub fn set_direct(&self, _: bool) -> Result<(), Errno> {
        Err(Errno::NOTSUP)
    }

    /// Writes nothing: all goes through the system's cache.
    pub fn write_direct(&self, _: &[u8]) -> Result<usize, Errno> {
        Ok(0)
    }

    /// Brings content and attributes to the disk.
    pub fn sync(&self) -> Result<(), Errno> {
        match handles::flush(self.as_handle()) {
            // The file is open for reading alone.
            Err(Errno::ACCESS) => {
                handles::flush(reopen(self.as_handle(), FILE_GENERIC_WRITE)?.as_handle())
            }
            done => done,
        }
    }

    /// Hands the content to the disk, where [`Dir::sync_file_system`] finds it.
    pub fn hand_over(&self) -> Result<(), Errno> {
        handles::hand_over(self.as_handle())
    }

    /// Sets the time of modification, in nanoseconds since 1970 UTC.
    pub fn set_modified(&self, modified: i64) -> Result<(), Errno> {
        let facts = FILE_BASIC_INFO {
            LastWriteTime: clock::to_system(modified),
            ..FILE_BASIC_INFO::default()
        };
        match handles::set_basic(self.as_handle(), &facts) {
            // FAT has no time before 1980.
            Err(Errno::INVAL) => Ok(()),
            done => done,
        }
    }

    /// Does nothing: a file is private when it is made.
    pub fn keep_private(&self) -> Result<(), Errno> {
        Ok(())
    }

    /// Makes a file that was there before private, where the file system has rights, and lets this
    /// user set them: not every share does.
    pub fn make_private(&self) -> Result<(), Errno> {
        let private = reopen(self.as_handle(), WRITE_DAC | READ_CONTROL)
            .and_then(|file| rights::make_private(file.as_handle()));
        match private {
            Err(Errno::ACCESS) => Ok(()),
            Err(errno) if is_unavailable(errno) => Ok(()),
            done => done,
        }
    }

    /// Takes over the rights of `old`, which this file is to replace.
    pub fn take_rights_of(&self, old: &File) -> Result<(), Errno> {
        let copied = reopen(self.as_handle(), WRITE_DAC | READ_CONTROL)
            .and_then(|new| rights::copy(old.as_handle(), new.as_handle()));
        match copied {
            Err(errno) if is_unavailable(errno) => {}
            done => done?,
        }
        const KEPT: u32 = FILE_ATTRIBUTE_READONLY | FILE_ATTRIBUTE_HIDDEN | FILE_ATTRIBUTE_SYSTEM;
        match handles::basic(old.as_handle())?.FileAttributes & KEPT {
            0 => Ok(()),
            kept => {
                let facts = FILE_BASIC_INFO {
                    // As each new file has it, for programs that save what is new.
                    FileAttributes: FILE_ATTRIBUTE_ARCHIVE | kept,
                    ..FILE_BASIC_INFO::default()
                };
                handles::set_basic(self.as_handle(), &facts)
            }
        }
    }

    /// Does nothing: a new file is its maker's.
    pub fn give(&self, _: &Facts) -> Result<(), Errno> {
        Ok(())
    }

    /// Finds no protection: there are rights for that.
    pub fn protection(&self) -> Option<Protection> {
        None
    }

    /// Locks the file for this handle alone, unless another holds it.
    pub fn try_lock(&self) -> Result<Lock, Errno> {
        match handles::try_lock(self.as_handle()) {
            Ok(true) => Ok(Lock::Ours),
            Ok(false) => Ok(Lock::Others),
            Err(errno) if is_unavailable(errno) => Ok(Lock::None),
            Err(errno) => Err(errno),
        }
    }
}
