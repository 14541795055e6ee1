//! Files as Linux alone reads and writes them.

use std::num::NonZeroU64;

use rustix::fs::{Advice, FallocateFlags, OFlags};
use rustix::io::{Errno, retry_on_intr};

use crate::sys::files::File;

/// A block of the cache on most machines.
const BLOCK: u64 = 4096;

impl File {
    /// Gives this file the content of `from`, in blocks that both share. Not every file system can
    /// do this; after an error this file may have any content.
    pub fn share(&self, from: &File) -> Result<(), Errno> {
        retry_on_intr(|| rustix::fs::ioctl_ficlone(self, from))
    }

    /// Frees the blocks in these bytes, which are zero from then on. Not every file system can do
    /// this.
    pub fn make_hole(&self, start: u64, length: u64) -> Result<(), Errno> {
        let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        retry_on_intr(|| rustix::fs::fallocate(self, hole, start, length))
    }

    /// Lets the system's cache drop these bytes, and those before them in their first block.
    pub fn forget(&self, start: u64, length: u64) {
        let first = start / BLOCK * BLOCK;
        let all = NonZeroU64::new(start + length - first);
        let _ = all.map(|all| rustix::fs::fadvise(self, first, Some(all), Advice::DontNeed));
    }

    /// Makes every read and write from now on, by whatever thread, go past the system's cache, or no
    /// longer: only whole blocks can go so, from and to addresses that begin one.
    pub fn set_direct(&self, direct: bool) -> Result<(), Errno> {
        let mut flags = rustix::fs::fcntl_getfl(self)?;
        flags.set(OFlags::DIRECT, direct);
        retry_on_intr(|| rustix::fs::fcntl_setfl(self, flags))
    }
}

/// Tells the disk's own words for an error that every write through the cache calls an I/O error.
pub fn is_of_disk(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::NODATA
            | Errno::NOLINK
            | Errno::REMOTEIO
            | Errno::TIMEDOUT
            | Errno::ILSEQ
            | Errno::BADE
    )
}
