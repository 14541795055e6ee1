//! Files as macOS alone reads and writes them.

use rustix::fs::fcntl_nocache;
use rustix::io::{Errno, retry_on_intr};

use crate::sys::files::File;

impl File {
    /// Shares no blocks: the system makes only new names that share them (`clonefile`).
    pub fn share(&self, _: &File) -> Result<(), Errno> {
        Err(Errno::NOTSUP)
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
