//! Files as macOS alone reads and writes them.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use rustix::fs::{AtFlags, CloneFlags, fclonefileat, fcntl_nocache, getpath};
use rustix::io::{Errno, FdFlags, fcntl_setfd, retry_on_intr};

use crate::sys::files::{Dir, File};

impl Dir {
    /// Gives `file`, which has a name here, the content of `from`, in blocks that both share. Not
    /// every file system can do this; after an error the file is as it was, or has no name any more.
    /// The system makes new files alone that share blocks: so one that is called `aside` takes the
    /// file's name and descriptor.
    pub fn share(&self, file: &File, from: &File, aside: &str) -> Result<(), Errno> {
        let path = getpath(file)?;
        let name = path.to_bytes().rsplit(|byte| *byte == b'/').next();
        let name = name.ok_or(Errno::NOENT)?;
        let flags = CloneFlags::NOFOLLOW | CloneFlags::NOOWNERCOPY;
        retry_on_intr(|| fclonefileat(from, self, aside, flags))?;
        let cloned = self.own_file(aside).and_then(|clone| {
            clone.make_private()?;
            // Another process may take it for left behind until it is locked: then it has no name.
            clone.try_lock()?;
            self.rename(aside, self, name)?;
            file.become_file(&clone).inspect_err(|_| {
                // What is written next would not be in the file of this name.
                let _ = rustix::fs::unlinkat(self, name, AtFlags::empty());
            })
        });
        cloned.inspect_err(|_| {
            let _ = self.remove_file(aside);
        })
    }
}

impl File {
    /// Opens `other` under the number of this file's descriptor, whichever threads know it. A program
    /// that another thread starts in the same moment may get it.
    fn become_file(&self, other: &File) -> Result<(), Errno> {
        retry_on_intr(|| {
            // SAFETY: both are open for as long as they are borrowed, and nothing relies on which
            // file a descriptor leads to.
            match unsafe { libc::dup2(other.as_fd().as_raw_fd(), self.as_fd().as_raw_fd()) } {
                ..0 => Err(Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::IO)),
                _ => fcntl_setfd(self, FdFlags::CLOEXEC),
            }
        })
    }

    /// Frees no blocks.
    pub fn make_hole(&self, _: u64, _: u64) -> Result<(), Errno> {
        Err(Errno::NOTSUP)
    }

    /// Does nothing: the system drops no part of its cache for a user.
    pub fn forget(&self, _: u64, _: u64) {}

    /// Makes every read and write from now on, by whatever thread, go past the system's cache, or no
    /// longer.
    pub fn set_direct(&self, direct: bool) -> Result<(), Errno> {
        retry_on_intr(|| fcntl_nocache(self, direct))
    }
}

/// Tells the disk's own words for an error that every write through the cache calls an I/O error.
pub fn is_of_disk(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::NODATA | Errno::NOLINK | Errno::TIMEDOUT | Errno::ILSEQ
    )
}
