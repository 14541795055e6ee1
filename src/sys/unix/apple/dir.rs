//! Folders as macOS alone opens, lists and syncs them.

use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use rustix::fs::Mode;
use rustix::io::Errno;

use super::facts;
use crate::sys::descriptors::open;
use crate::sys::files::{Dir, File, Room};
use crate::sys::kinds::{Inode, Kind};
use crate::sys::unix::files::facts::FOLDER;

impl Dir {
    /// Fails: a path is walked, folder by folder.
    pub(in crate::sys::unix) fn folder_at_once(&self, _: &str) -> Result<OwnedFd, Errno> {
        Err(Errno::NOSYS)
    }

    /// Makes none: each file here has a name.
    pub fn create_unnamed(&self, _: &str) -> Result<Option<File>, Errno> {
        Ok(None)
    }

    /// Fails: there is no unnamed file.
    pub fn name_unnamed(&self, _: &File, _: &str) -> Result<(), Errno> {
        Err(Errno::NOTSUP)
    }

    /// Tells whether the file system is a program of a user (macFUSE).
    pub fn is_of_program(&self) -> bool {
        let name = rustix::fs::fstatfs(self).map(|facts| facts.f_fstypename.map(|byte| byte as u8));
        name.is_ok_and(|name| {
            name.windows(4)
                .any(|part| part.eq_ignore_ascii_case(b"fuse"))
        })
    }

    /// Calls `visit` with the name, the kind and the inode of everything in the folder except `.`
    /// and `..`. Not every file system lists the inode that the file has.
    pub fn entries<E: From<Errno>>(
        &self,
        mut visit: impl FnMut(&CStr, Kind, Inode) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut entries = rustix::fs::Dir::new(open(self, ".", FOLDER, Mode::empty())?)?;
        while let Some(entry) = entries.read() {
            let entry = entry?;
            if entry.file_name() != c"." && entry.file_name() != c".." {
                visit(entry.file_name(), entry.file_type().into(), entry.ino())?;
            }
        }
        Ok(())
    }

    /// Tells whether names are found in any case here, as on most disks of macOS.
    pub fn folds_case(&self) -> bool {
        // SAFETY: asks for a number about an open folder.
        unsafe { libc::fpathconf(self.as_fd().as_raw_fd(), libc::_PC_CASE_SENSITIVE) == 0 }
    }

    /// Hands the folder's names to the disk, where [`Dir::sync_file_system`] finds them.
    pub fn hand_over(&self) -> Result<(), Errno> {
        facts::hand_over(self)
    }

    /// Lets the disk keep all that was handed to it.
    pub fn sync_file_system(&self) -> Result<(), Errno> {
        facts::sync(self)
    }

    /// Is not known.
    pub fn room(&self) -> Option<Room> {
        None
    }

    /// Is not asked: the room is not known.
    pub fn refuses(&self, _: &Room, _: u64) -> bool {
        false
    }

    /// Is not known: a move tells.
    pub fn mount(&self) -> Option<u64> {
        None
    }
}
