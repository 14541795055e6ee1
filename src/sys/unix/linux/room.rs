//! The room that is left on a file system, where it is sure that what is written takes it.

use rustix::fs::{FallocateFlags, IFlags, fallocate, fstatfs, fstatvfs, ioctl_getflags};
use rustix::io::{Errno, retry_on_intr};

use crate::sys::files::Dir;

/// The file systems that neither compress nor share what is written, and how they keep small
/// contents. Sources: linux/magic.h.
const EXT4: i64 = 0xEF53; // ext2 and ext3, too
const XFS: i64 = 0x5846_5342;
const TMPFS: i64 = 0x0102_1994;

/// The name of a file that is only reserved: no licence has such a one.
const PROBE: &str = ".room";

/// The room on a file system, never less than there is.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    /// The bytes that are free, whoever they are reserved for.
    pub bytes: u64,
    /// The files that can be made, where their number has a limit of its own.
    pub files: Option<u64>,
    kind: i64,
    block: u64,
}

impl Room {
    /// Tells whether there is room for so many files with contents of so many bytes for sure.
    pub fn holds(&self, bytes: u64, files: u64) -> bool {
        let most = files.saturating_mul(self.block).saturating_add(bytes);
        most <= self.bytes && self.files.is_none_or(|free| files <= free)
    }

    /// Gives the bytes that a file with a content of this size is sure to take.
    pub fn taken_by(&self, size: u64) -> u64 {
        match self.kind {
            // A small content may be kept beside the file's facts, which is less than a block.
            EXT4 if size < self.block => 0,
            _ => size
                .checked_next_multiple_of(self.block)
                .unwrap_or(u64::MAX),
        }
    }
}

impl Dir {
    /// Gives the room on the folder's file system; none where it has no limit, or where what is
    /// written may take less than its size.
    pub fn room(&self) -> Option<Room> {
        let kind = fstatfs(self).ok()?.f_type;
        if ![EXT4, XFS, TMPFS].contains(&kind) {
            return None;
        }
        let facts = fstatvfs(self).ok()?;
        // The figures of a folder with a quota of its own are those of the quota, which may be a
        // wish and no limit.
        let has_quota = || {
            let flags = ioctl_getflags(self).ok();
            flags.is_none_or(|flags| flags.contains(IFlags::PROJECT_INHERIT))
        };
        if facts.f_blocks == 0 || facts.f_bsize == 0 || (kind != TMPFS && has_quota()) {
            return None;
        }
        // XFS makes inodes as it needs them.
        let has_files = facts.f_files > 0 && kind != XFS;
        Some(Room {
            bytes: facts.f_bfree.checked_mul(facts.f_bsize)?,
            files: has_files.then_some(facts.f_ffree),
            kind,
            block: facts.f_bsize,
        })
    }

    /// Tells whether the file system itself says that more bytes than its free ones have no place on
    /// it: it may have put aside some, which it gives back when they are needed. For that a file is
    /// made in this folder, which is one of ours, and removed.
    pub fn refuses(&self, room: &Room, bytes: u64) -> bool {
        if room.kind == TMPFS {
            return true;
        }
        let Ok(file) = self.create(PROBE) else {
            return false;
        };
        // The lists of so large a file's blocks may take room that those of many files would not.
        let most = bytes - bytes / 64;
        let reserved = retry_on_intr(|| fallocate(&file, FallocateFlags::empty(), 0, most));
        drop(file);
        let _ = self.remove_file(PROBE);
        matches!(reserved, Err(Errno::NOSPC | Errno::DQUOT))
    }
}
