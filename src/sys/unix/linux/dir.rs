//! Folders as Linux alone opens, lists and syncs them.

use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, CWD, IFlags, Mode, OFlags, RawDir, ResolveFlags, SeekFrom};
use rustix::io::{Errno, retry_on_intr};

use super::facts::own_path;
use crate::sys::descriptors::{above, open};
use crate::sys::files::{Dir, File, is_unavailable};
use crate::sys::kinds::{Inode, Kind};
use crate::sys::unix::files::facts::{FOLDER, PRIVATE};

impl Dir {
    /// Opens the folder `relative` below this one in one call; an error that [`is_unavailable`], where
    /// the system has none.
    pub(in crate::sys::unix) fn folder_at_once(&self, relative: &str) -> Result<OwnedFd, Errno> {
        let resolve =
            ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        let flags = FOLDER | OFlags::CLOEXEC;
        above(false, || {
            rustix::fs::openat2(self, relative, flags, Mode::empty(), resolve)
        })
    }

    /// Makes a file without a name, for its owner alone; None where that is not possible. Other
    /// systems hide it under the name that is given here.
    pub fn create_unnamed(&self, _: &str) -> Result<Option<File>, Errno> {
        match open(self, ".", OFlags::RDWR | OFlags::TMPFILE, PRIVATE) {
            // The answers of kernels and file systems that do not know unnamed files.
            Err(Errno::ISDIR | Errno::NOENT | Errno::INVAL) => Ok(None),
            Err(errno) if is_unavailable(errno) => Ok(None),
            made => made.map(|made| Some(File::from(made))),
        }
    }

    /// Gives the unnamed `file` the name `name`, which must not exist.
    pub fn name_unnamed(&self, file: &File, name: &str) -> Result<(), Errno> {
        // The kernel links by descriptor alone only for privileged users.
        rustix::fs::linkat(CWD, own_path(file), self, name, AtFlags::SYMLINK_FOLLOW)
    }

    /// Tells whether the file system is a program of a user (FUSE).
    pub fn is_of_program(&self) -> bool {
        const FUSE: i64 = 0x6573_5546; // linux/magic.h
        rustix::fs::fstatfs(self).is_ok_and(|facts| facts.f_type == FUSE)
    }

    /// Calls `visit` with the name, the kind and the inode of everything in the folder except `.`
    /// and `..`. Not every file system lists the inode that the file has.
    pub fn entries<E: From<Errno>>(
        &self,
        mut visit: impl FnMut(&CStr, Kind, Inode) -> Result<(), E>,
    ) -> Result<(), E> {
        // The position belongs to the descriptor, which one thread lists by at a time.
        rustix::fs::seek(self, SeekFrom::Start(0))?;
        let mut buffer = [MaybeUninit::uninit(); 32 * 1024];
        let mut entries = RawDir::new(self, &mut buffer);
        while let Some(entry) = entries.next() {
            let entry = entry?;
            if entry.file_name() != c"." && entry.file_name() != c".." {
                visit(entry.file_name(), entry.file_type().into(), entry.ino())?;
            }
        }
        Ok(())
    }

    /// Tells whether the folder has the attribute by which its names are found in any case
    /// (`chattr +F`).
    pub fn folds_case(&self) -> bool {
        const CASEFOLD: IFlags = IFlags::from_bits_retain(0x4000_0000);
        rustix::fs::ioctl_getflags(self).is_ok_and(|flags| flags.contains(CASEFOLD))
    }

    /// Does nothing: [`Dir::sync_file_system`] finds all names.
    pub fn hand_over(&self) -> Result<(), Errno> {
        Ok(())
    }

    /// Brings the whole file system that the folder is on to the disk.
    pub fn sync_file_system(&self) -> Result<(), Errno> {
        retry_on_intr(|| rustix::fs::syncfs(self))
    }
}
