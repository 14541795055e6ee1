//! Files and folders by descriptor: no path is followed twice, and no link below an opened folder
//! is followed.

#![forbid(unsafe_code)]

use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::{
    AtFlags, CWD, FallocateFlags, FileType, FlockOperation, Mode, OFlags, RawDir, RenameFlags,
    ResolveFlags, Stat, Timespec, Timestamps,
};
pub use rustix::io::Errno;

use super::anchored_path::AnchoredPath;
use super::descriptors::{open, open_above};
use crate::sys::patience::patiently;
use rustix::io::retry_on_intr;
use rustix::path::Arg;

/// The kind of a name in a folder, or of an open descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    File,
    Folder,
    Link,
    Special,
    /// The file system tells only when it is asked for this one name.
    Unknown,
}

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

/// The number that a file has on its device.
pub type Inode = u64;

/// The identity of a file, whatever its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    pub device: u64,
    pub inode: Inode,
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
    mode: u32,
    owner: (u32, u32),
}

impl Facts {
    /// Tells whether the owner lacks rights to what the owner has just made: the umask took them.
    pub fn is_masked(&self) -> bool {
        self.mode & OWNERS != OWNERS
    }

    /// Tells whether this belongs to the user of this process.
    fn is_own(&self) -> bool {
        self.owner.0 == rustix::process::geteuid().as_raw()
    }
}

/// The rights of an owner.
const OWNERS: u32 = 0o700;

impl From<Stat> for Facts {
    fn from(stat: Stat) -> Facts {
        // Times that nanoseconds in 64 bits can't hold, before 1678 and after 2261, are clamped.
        let nanoseconds = |seconds: i64, fraction: i64| {
            seconds
                .saturating_mul(1_000_000_000)
                .saturating_add(fraction)
        };
        Facts {
            identity: Identity {
                device: stat.st_dev,
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

/// The holder of the lock on a file or folder that was to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lock {
    /// This descriptor, until it is closed.
    Ours,
    Others,
    /// The file system has no locks.
    None,
}

fn lock(descriptor: &OwnedFd) -> Result<Lock, Errno> {
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
    rustix::fs::accessat(path.anchor()?, path.as_given(), access, AtFlags::empty())
}

/// Gives the facts of the file or folder at `path`, without opening it.
pub fn facts_at(path: &AnchoredPath) -> Result<Facts, Errno> {
    rustix::fs::statat(path.anchor()?, path.as_given(), AtFlags::empty()).map(Facts::from)
}

/// Tells whether anything is at `path`, even a symbolic link that leads nowhere.
pub fn is_taken(path: &AnchoredPath) -> Result<bool, Errno> {
    match rustix::fs::statat(path.anchor()?, path.as_given(), AtFlags::SYMLINK_NOFOLLOW) {
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
    _descriptor: OwnedFd,
}

impl Held {
    /// Holds the file, folder or link at `path`; a symbolic link is followed only if asked for.
    pub fn at(path: &AnchoredPath, follow: bool) -> Result<Held, Errno> {
        let mut flags = OFlags::PATH;
        flags.set(OFlags::NOFOLLOW, !follow);
        let (anchor, path) = (path.anchor()?, path.as_given());
        let descriptor = open(anchor, path, flags, Mode::empty())?;
        let facts = Facts::from(rustix::fs::fstat(&descriptor)?);
        Ok(Held {
            identity: facts.identity,
            _descriptor: descriptor,
        })
    }

    /// Tells whether a file with these facts is the one that is held.
    pub fn is(&self, facts: &Facts) -> bool {
        self.identity == facts.identity
    }
}

/// An open folder.
#[derive(Debug)]
pub struct Dir(OwnedFd);

impl AsFd for Dir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

const READ: OFlags = OFlags::RDONLY.union(OFlags::NOCTTY);
const FOLDER: OFlags = READ.union(OFlags::DIRECTORY);
/// The folder in which the kernel shows a process its descriptors.
const OWN_FILES: &str = "/proc/self/fd";
const PRIVATE: Mode = Mode::RUSR.union(Mode::WUSR);

impl Dir {
    /// Opens the folder at `path`, through a symbolic link too: the host names its own folders as
    /// it likes.
    pub fn open(path: &AnchoredPath) -> Result<Dir, Errno> {
        open(path.anchor()?, path.as_given(), FOLDER, Mode::empty()).map(Dir)
    }

    /// Makes the folder at `path`, for its owner alone, whatever the umask says.
    pub fn make(path: &AnchoredPath) -> Result<(), Errno> {
        let (anchor, given) = (path.anchor()?, path.as_given());
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
        rustix::fs::unlinkat(path.anchor()?, path.as_given(), AtFlags::REMOVEDIR)
    }

    /// Opens the folder `relative` below this one; a symbolic link on the way is an error.
    pub fn folder(&self, relative: &str) -> Result<Dir, Errno> {
        if relative.is_empty() {
            return open(&self.0, ".", FOLDER, Mode::empty()).map(Dir);
        }
        let resolve =
            ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        let flags = FOLDER | OFlags::CLOEXEC;
        let open_whole = || rustix::fs::openat2(&self.0, relative, flags, Mode::empty(), resolve);
        match open_above(open_whole) {
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

    /// Opens the file `name` in this folder for reading. Anything but a regular file is opened
    /// without waiting or effect.
    pub fn file(&self, name: &str) -> Result<File, Errno> {
        let flags = READ | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        open(&self.0, name, flags, Mode::empty()).map(File)
    }

    /// Opens a file as [`Dir::file`] does, but `name` may be a symbolic link, and a file that is in
    /// use is waited for.
    pub fn linked_file(&self, name: &str) -> Result<File, Errno> {
        let flags = READ | OFlags::NONBLOCK;
        patiently(|| open(&self.0, name, flags, Mode::empty()).map(File))
    }

    /// Opens a file as [`Dir::file`] does, but for writing too: some file systems lock nothing
    /// else.
    pub fn own_file(&self, name: &str) -> Result<File, Errno> {
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        open(&self.0, name, flags, Mode::empty()).map(File)
    }

    /// Makes the file `name`, which must not exist, for its owner alone, open for writing.
    pub fn create(&self, name: &str) -> Result<File, Errno> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
        open(&self.0, name, flags, PRIVATE).map(File)
    }

    /// Makes a file without a name, for its owner alone; None where that is not possible. Other
    /// systems hide it under the name that is given here.
    pub fn create_unnamed(&self, _: &str) -> Result<Option<File>, Errno> {
        match open(&self.0, ".", OFlags::RDWR | OFlags::TMPFILE, PRIVATE) {
            // The answers of kernels and file systems that do not know unnamed files.
            Err(Errno::ISDIR | Errno::NOENT | Errno::INVAL) => Ok(None),
            Err(errno) if is_unavailable(errno) => Ok(None),
            made => made.map(|made| Some(File(made))),
        }
    }

    /// Gives the unnamed `file` the name `name`, which must not exist.
    pub fn name_unnamed(&self, file: &File, name: &str) -> Result<(), Errno> {
        // The kernel links by descriptor alone only for privileged users.
        let path = format!("{OWN_FILES}/{}", file.0.as_raw_fd());
        rustix::fs::linkat(CWD, path, &self.0, name, AtFlags::SYMLINK_FOLLOW)
    }

    pub fn make_folder(&self, name: &str) -> Result<(), Errno> {
        rustix::fs::mkdirat(&self.0, name, Mode::RWXU)
    }

    pub fn facts(&self) -> Result<Facts, Errno> {
        rustix::fs::fstat(&self.0).map(Facts::from)
    }

    /// Tells whether the folder belongs to the user of this process.
    pub fn is_own(&self) -> bool {
        self.facts().is_ok_and(|facts| facts.is_own())
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

    /// Calls `visit` with the name, the kind and the inode of everything in the folder except `.`
    /// and `..`. Not every file system lists the inode that the file has.
    pub fn entries<E: From<Errno>>(
        &self,
        mut visit: impl FnMut(&CStr, Kind, Inode) -> Result<(), E>,
    ) -> Result<(), E> {
        // The position belongs to the descriptor, so a second reader of the same folder needs one
        // of its own.
        let folder = self.folder("")?;
        let mut buffer = [MaybeUninit::uninit(); 32 * 1024];
        let mut entries = RawDir::new(&folder.0, &mut buffer);
        while let Some(entry) = entries.next() {
            let entry = entry?;
            if entry.file_name() != c"." && entry.file_name() != c".." {
                visit(entry.file_name(), entry.file_type().into(), entry.ino())?;
            }
        }
        Ok(())
    }

    pub fn link(&self, from: &str, into: &Dir, to: impl Arg) -> Result<(), Errno> {
        rustix::fs::linkat(&self.0, from, &into.0, to, AtFlags::empty())
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

    pub fn remove_folder(&self, name: &str) -> Result<(), Errno> {
        rustix::fs::unlinkat(&self.0, name, AtFlags::REMOVEDIR)
    }

    /// Brings the folder's names to the disk.
    pub fn sync(&self) -> Result<(), Errno> {
        retry_on_intr(|| rustix::fs::fsync(&self.0))
    }

    /// Does nothing: [`Dir::sync_file_system`] finds all names.
    pub fn hand_over(&self) -> Result<(), Errno> {
        Ok(())
    }

    /// Brings the whole file system that the folder is on to the disk.
    pub fn sync_file_system(&self) -> Result<(), Errno> {
        retry_on_intr(|| rustix::fs::syncfs(&self.0))
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

/// An open file. Reads and writes at a position leave the descriptor's own alone, so that threads
/// can share it.
#[derive(Debug)]
pub struct File(OwnedFd);

impl File {
    /// Opens the file at `path` for reading, through a symbolic link too, as [`Dir::linked_file`]
    /// does.
    pub fn open(path: &AnchoredPath) -> Result<File, Errno> {
        let (anchor, flags) = (path.anchor()?, READ | OFlags::NONBLOCK);
        patiently(|| open(anchor, path.as_given(), flags, Mode::empty()).map(File))
    }

    pub fn facts(&self) -> Result<Facts, Errno> {
        rustix::fs::fstat(&self.0).map(Facts::from)
    }

    /// Reads until `buffer` is full or the file ends; returns how much was read.
    pub fn read_full(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        fill(buffer, |rest, _| rustix::io::read(&self.0, rest))
    }

    /// Reads from the beginning in one call, which may give less than there is.
    pub fn read_once(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        retry_on_intr(|| rustix::io::pread(&self.0, &mut *buffer, 0))
    }

    /// Reads as [`File::read_full`] does, from `offset`.
    pub fn read_full_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize, Errno> {
        fill(buffer, |rest, done| {
            rustix::io::pread(&self.0, rest, offset + done as u64)
        })
    }

    fn write(&self, bytes: &[u8]) -> Result<usize, Errno> {
        retry_on_intr(|| rustix::io::write(&self.0, bytes))
    }

    pub fn write_all(&self, mut bytes: &[u8]) -> Result<(), Errno> {
        while !bytes.is_empty() {
            let written = self.write(bytes)?;
            // A file that takes nothing and reports nothing would be written to for ever.
            if written == 0 {
                return Err(Errno::IO);
            }
            bytes = bytes.get(written..).ok_or(Errno::IO)?;
        }
        Ok(())
    }

    /// Gives this file the content of `from`, in blocks that both share. Not every file system can
    /// do this; after an error this file may have any content.
    pub fn share(&self, from: &File) -> Result<(), Errno> {
        retry_on_intr(|| rustix::fs::ioctl_ficlone(&self.0, &from.0))
    }

    /// Frees the blocks in these bytes, which are zero from then on. Not every file system can do
    /// this.
    pub fn make_hole(&self, start: u64, length: u64) -> Result<(), Errno> {
        let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        retry_on_intr(|| rustix::fs::fallocate(&self.0, hole, start, length))
    }

    /// Cuts the file to `size` bytes, behind which the next write goes.
    pub fn cut(&self, size: u64) -> Result<(), Errno> {
        retry_on_intr(|| rustix::fs::ftruncate(&self.0, size))?;
        rustix::fs::seek(&self.0, rustix::fs::SeekFrom::Start(size)).map(drop)
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
            // The disk's own words for an error that every other write to it calls an I/O error.
            Err(
                Errno::NODATA
                | Errno::NOLINK
                | Errno::REMOTEIO
                | Errno::TIMEDOUT
                | Errno::ILSEQ
                | Errno::BADE,
            ) => Err(Errno::IO),
            written => written,
        }
    }

    fn set_direct(&self, direct: bool) -> Result<(), Errno> {
        let mut flags = rustix::fs::fcntl_getfl(&self.0)?;
        flags.set(OFlags::DIRECT, direct);
        retry_on_intr(|| rustix::fs::fcntl_setfl(&self.0, flags))
    }

    /// Brings content and attributes to the disk.
    pub fn sync(&self) -> Result<(), Errno> {
        // A failed call is not repeated: the kernel forgets what it could not write. A signal is no
        // failure.
        retry_on_intr(|| rustix::fs::fsync(&self.0))
    }

    /// Does nothing: [`Dir::sync_file_system`] finds all that was written.
    pub fn hand_over(&self) -> Result<(), Errno> {
        Ok(())
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

    fn set_mode(&self, mode: u32) -> Result<(), Errno> {
        rustix::fs::fchmod(&self.0, Mode::from_raw_mode(mode))
    }

    /// Takes over the rights and the owner of `old`, which this file is to replace.
    pub fn take_rights_of(&self, old: &File) -> Result<(), Errno> {
        let (old, own) = (old.facts()?, self.facts()?);
        if own.owner != old.owner {
            self.set_owner(old.owner)?;
        }
        self.set_mode(old.mode)
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

    fn set_owner(&self, (user, group): (u32, u32)) -> Result<(), Errno> {
        rustix::fs::fchown(
            &self.0,
            Some(rustix::process::Uid::from_raw(user)),
            Some(rustix::process::Gid::from_raw(group)),
        )
    }

    /// Makes a file that was there before its owner's alone.
    pub fn make_private(&self) -> Result<(), Errno> {
        self.keep_private()
    }

    /// Brings the file's name in `folder` to the disk.
    pub fn sync_name(&self, folder: &Dir) -> Result<(), Errno> {
        folder.sync()
    }

    /// Locks the file for this descriptor alone, unless another holds it.
    pub fn try_lock(&self) -> Result<Lock, Errno> {
        lock(&self.0)
    }
}

/// Calls `read` with the part still to fill and the number of bytes done, until nothing is left or
/// nothing more comes.
fn fill(
    buffer: &mut [u8],
    read: impl Fn(&mut [u8], usize) -> Result<usize, Errno>,
) -> Result<usize, Errno> {
    let mut done = 0;
    while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
        match retry_on_intr(|| read(rest, done))? {
            0 => break,
            count => done += count,
        }
    }
    Ok(done)
}

/// Makes an empty folder for the test of this name, which removes it.
#[cfg(test)]
pub fn test_folder(test: &str) -> std::path::PathBuf {
    let path = std::env::temp_dir().join(format!("licbak-{test}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&path);
    Dir::make(&AnchoredPath::now(&path)).unwrap();
    path
}
