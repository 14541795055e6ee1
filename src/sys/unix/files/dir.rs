//! Folders by descriptor.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::thread::sleep;
use std::time::Duration;

use rustix::fs::{Access, AtFlags, Mode, OFlags, RenameFlags};
use rustix::io::Errno;
use rustix::path::Arg;

use super::facts::{FOLDER, Facts, PRIVATE, READ, facts_at, is_unavailable, lock};
use super::file::File;
use super::owners::{PASSES_GROUP, give, set_owner, tolerated};
use crate::sys::anchor::folder;
use crate::sys::anchored_path::AnchoredPath;
use crate::sys::descriptors::open;
use crate::sys::kinds::Lock;
use crate::sys::patience::patiently;
use crate::sys::unix::system::attributes::drop_default_list;
use crate::sys::unix::system::facts;

/// An open folder.
#[derive(Debug)]
pub struct Dir(OwnedFd);

impl AsFd for Dir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// The time after which such a program has long done what it was told when a file was closed.
const LATE: Duration = Duration::from_millis(50);

impl Dir {
    /// Opens the folder at `path`, through a symbolic link too: the host names its own folders as
    /// it likes.
    pub fn open(path: &AnchoredPath) -> Result<Dir, Errno> {
        open(
            folder(path.anchor())?,
            path.as_given(),
            FOLDER,
            Mode::empty(),
        )
        .map(Dir)
    }

    /// Makes the folder at `path`, for its owner alone, whatever the umask says.
    pub fn make(path: &AnchoredPath) -> Result<(), Errno> {
        let (anchor, given) = (folder(path.anchor())?, path.as_given());
        rustix::fs::mkdirat(anchor, given, Mode::RWXU)?;
        let keep_private = || match facts_at(path)?.mode & 0o777 == Mode::RWXU.as_raw_mode() {
            true => Ok(()),
            false => rustix::fs::chmodat(anchor, given, Mode::RWXU, AtFlags::empty()),
        };
        keep_private().inspect_err(|_| {
            let _ = Dir::remove(path);
        })
    }

    pub fn remove(path: &AnchoredPath) -> Result<(), Errno> {
        rustix::fs::unlinkat(folder(path.anchor())?, path.as_given(), AtFlags::REMOVEDIR)
    }

    /// Opens the folder `relative` below this one; a symbolic link on the way is an error.
    pub fn folder(&self, relative: &str) -> Result<Dir, Errno> {
        if relative.is_empty() {
            return open(&self.0, ".", FOLDER, Mode::empty()).map(Dir);
        }
        match self.folder_at_once(relative) {
            // The call does not exist before Linux 5.6, and where a sandbox does not know it.
            Err(errno) if is_unavailable(errno) => {}
            // A folder was renamed while the kernel walked the path, and it asks to be called
            // again.
            Err(Errno::AGAIN) => {}
            done => return done.map(Dir),
        }
        let mut folder: Option<OwnedFd> = None;
        for part in relative.split('/') {
            let parent = folder.as_ref().unwrap_or(&self.0);
            folder = Some(open(
                parent,
                part,
                FOLDER | OFlags::NOFOLLOW,
                Mode::empty(),
            )?);
        }
        folder.map(Dir).ok_or(Errno::INVAL)
    }

    /// A file that [`Dir::file`] opens can't be written to by others meanwhile.
    pub const FILES_BAR_WRITERS: bool = false;

    /// Opens the file `name` in this folder for reading. Anything but a regular file is opened
    /// without waiting or effect.
    pub fn file(&self, name: &str) -> Result<File, Errno> {
        let flags = READ | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        open(&self.0, name, flags, Mode::empty()).map(File::from)
    }

    /// Opens a file as [`Dir::file`] does, but `name` may be a symbolic link, and a file that is in
    /// use is waited for.
    pub fn linked_file(&self, name: &str) -> Result<File, Errno> {
        let flags = READ | OFlags::NONBLOCK;
        patiently(|| open(&self.0, name, flags, Mode::empty()).map(File::from))
    }

    /// Opens the file `name` to bring it to the disk.
    pub fn file_to_sync(&self, name: &str) -> Result<File, Errno> {
        self.file(name)
    }

    /// Opens a file as [`Dir::file`] does, but for writing too: some file systems lock nothing
    /// else.
    pub fn own_file(&self, name: &str) -> Result<File, Errno> {
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        open(&self.0, name, flags, Mode::empty()).map(File::from)
    }

    /// Makes the file `name`, which must not exist, for its owner alone, open for writing.
    pub fn create(&self, name: &str) -> Result<File, Errno> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
        open(&self.0, name, flags, PRIVATE).map(File::from)
    }

    pub fn make_folder(&self, name: &str) -> Result<(), Errno> {
        rustix::fs::mkdirat(&self.0, name, Mode::RWXU)
    }

    pub fn facts(&self) -> Result<Facts, Errno> {
        rustix::fs::fstat(&self.0).map(Facts::from)
    }

    /// Gives the facts as they are where the folder is kept, whatever this machine has in its cache.
    pub fn facts_now(&self) -> Result<Facts, Errno> {
        facts::facts_now(&self.0)
    }

    /// Tells whether the folder belongs to the user of this process.
    pub fn is_own(&self) -> bool {
        self.facts().is_ok_and(|facts| facts.is_own())
    }

    /// Gives this new folder to the owner in the facts of the `folder` that it comes into, and lets
    /// it pass on its group where that one does. It stays this user's where that can't be, or where
    /// this user could not enter it any more.
    pub fn give(&self, folder: &Facts) -> Result<(), Errno> {
        let own = self.facts()?;
        give(self, &own, folder)?;
        let given = self.facts()?;
        if given.owner != own.owner && self.folder("").is_err() {
            return set_owner(self, own.owner);
        }
        let passes_group = given.owner.1 == folder.owner.1 && folder.mode & PASSES_GROUP != 0;
        let mode = given.mode & !PASSES_GROUP | if passes_group { PASSES_GROUP } else { 0 };
        if mode == given.mode {
            return Ok(());
        }
        tolerated(rustix::fs::fchmod(self, Mode::from_raw_mode(mode)))
    }

    /// Lets this new folder give no access list to what is made in it.
    pub fn drop_default_list(&self) {
        drop_default_list(self.as_fd());
    }

    /// Gives the owner the rights to the folder `name`, which is one of ours.
    pub fn unmask(&self, name: &str) -> Result<(), Errno> {
        rustix::fs::chmodat(&self.0, name, Mode::RWXU, AtFlags::empty())
    }

    /// Gives the facts of `name` in this folder, those of a symbolic link itself.
    pub fn facts_of(&self, name: impl Arg) -> Result<Facts, Errno> {
        rustix::fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW).map(Facts::from)
    }

    /// Gives the facts of the file `name`, of which the times tell each write at once.
    pub fn facts_at_rest(&self, name: &str) -> Result<Facts, Errno> {
        self.facts_of(name)
    }

    pub fn link(&self, from: &str, into: &Dir, to: impl Arg) -> Result<(), Errno> {
        rustix::fs::linkat(&self.0, from, &into.0, to, AtFlags::empty())
    }

    /// Links `from` as [`Dir::link`] does, where the rename that does the same was `refused`.
    pub fn link_instead(
        &self,
        from: &str,
        into: &Dir,
        to: impl Arg,
        refused: Errno,
    ) -> Result<(), Errno> {
        match self.link(from, into, to) {
            // File systems that are programs of users say so where they have no links.
            Err(Errno::IO) => Err(refused),
            linked => linked,
        }
    }

    /// Renames `from` to `to`, and replaces a file there.
    pub fn rename(&self, from: &str, into: &Dir, to: impl Arg + Copy) -> Result<(), Errno> {
        match rustix::fs::renameat(&self.0, from, &into.0, to) {
            Err(errno) if is_unavailable(errno) => {
                rustix::fs::renameat_with(&self.0, from, &into.0, to, RenameFlags::empty())
            }
            done => done,
        }
    }

    /// Renames `from` to `to`, which must not exist, else `EEXIST`. File systems that can't do this
    /// answer `EINVAL`.
    pub fn rename_new(&self, from: &str, into: &Dir, to: impl Arg) -> Result<(), Errno> {
        rustix::fs::renameat_with(&self.0, from, &into.0, to, RenameFlags::NOREPLACE)
    }

    pub fn remove_file(&self, name: &str) -> Result<(), Errno> {
        rustix::fs::unlinkat(&self.0, name, AtFlags::empty())
    }

    /// Removes the file `name`, which was just closed. A file system that is a program of a user may
    /// make it only some time after that, even where it was removed meanwhile.
    pub fn remove_late(&self, name: &str) -> Result<(), Errno> {
        let removed = self.remove_file(name);
        if self.is_of_program() {
            sleep(LATE);
            let _ = self.remove_file(name);
        }
        removed
    }

    pub fn remove_folder(&self, name: &str) -> Result<(), Errno> {
        rustix::fs::unlinkat(&self.0, name, AtFlags::REMOVEDIR)
    }

    /// Checks that this user could make a name in the folder, as far as that is told without making
    /// one.
    pub fn check_writable(&self) -> Result<(), Errno> {
        let may = |access| rustix::fs::accessat(&self.0, ".", access, AtFlags::EACCESS);
        match may(Access::WRITE_OK | Access::EXEC_OK) {
            // A sandbox denies the call whatever it asks for.
            Err(errno @ (Errno::ACCESS | Errno::PERM | Errno::ROFS)) => {
                may(Access::EXISTS).map_or(Ok(()), |()| Err(errno))
            }
            _ => Ok(()),
        }
    }

    /// Tells whether the file `name` has other names, too.
    pub fn has_links(&self, name: &str) -> bool {
        let facts = rustix::fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW);
        facts.is_ok_and(|facts| facts.st_nlink > 1)
    }

    /// Brings the folder's names to the disk.
    pub fn sync(&self) -> Result<(), Errno> {
        facts::sync(&self.0)
    }

    /// Brings the name of `file` in this folder to the disk.
    pub fn sync_name_of(&self, _: &File) -> Result<(), Errno> {
        self.sync()
    }

    /// Locks the folder for this descriptor alone, unless another holds it.
    pub fn try_lock(&self) -> Result<Lock, Errno> {
        lock(&self.0)
    }

    /// Locks the folder as [`Dir::try_lock`] does. Other systems need a file with a `name` for it.
    pub fn try_lock_by(&self, _: &str) -> Result<Lock, Errno> {
        self.try_lock()
    }
}
