//! Files and folders by handle: no path is followed twice, and no link below an opened folder is
//! followed.

#![forbid(unsafe_code)]

use std::ffi::{CStr, CString, OsString};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::windows::ffi::OsStringExt;
use std::os::windows::io::{AsHandle, BorrowedHandle, OwnedHandle};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use windows_sys::Wdk::Storage::FileSystem::{
    FILE_CREATE, FILE_DELETE_ON_CLOSE, FILE_DIRECTORY_FILE, FILE_NON_DIRECTORY_FILE, FILE_OPEN,
    FILE_OPEN_IF, FILE_OPEN_REPARSE_POINT,
};
use windows_sys::Win32::Storage::FileSystem::{
    DELETE, FILE_ADD_FILE, FILE_ATTRIBUTE_DEVICE, FILE_ATTRIBUTE_DIRECTORY, FILE_ATTRIBUTE_HIDDEN,
    FILE_ATTRIBUTE_NORMAL, FILE_ATTRIBUTE_READONLY, FILE_ATTRIBUTE_REPARSE_POINT,
    FILE_ATTRIBUTE_SYSTEM, FILE_BASIC_INFO, FILE_GENERIC_READ, FILE_GENERIC_WRITE,
    FILE_LIST_DIRECTORY, FILE_READ_ATTRIBUTES, FILE_READ_DATA, FILE_SHARE_DELETE, FILE_SHARE_READ,
    FILE_WRITE_ATTRIBUTES, FileIdBothDirectoryInfo, FileIdBothDirectoryRestartInfo, READ_CONTROL,
    WRITE_DAC,
};

use super::anchored_path::AnchoredPath;
use super::clock;
pub use super::errno::Errno;
use super::handles::{self, Opening, SHARE_ALL, open, open_once, reopen};
use super::names::{Name, to_find, to_make};
use super::rights;
use crate::sys::patience::patiently;

/// The kind of a name in a folder, or of an open handle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    File,
    Folder,
    /// A symbolic link, a mount point, or what else stands for another name.
    Link,
    Special,
    /// The file must be asked.
    Unknown,
}

/// The number that a file has on its volume.
pub type Inode = u128;

/// The identity of a file, whatever its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    /// The number of the volume.
    pub device: u64,
    pub inode: Inode,
}

/// The facts that the file system states about a file; two equal values mean that it was not
/// changed in between, if nobody had it open for writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    pub identity: Identity,
    pub kind: Kind,
    pub size: u64,
    /// The time of modification in nanoseconds since 1970 UTC.
    pub modified: i64,
    pub changed: i64,
}

impl Facts {
    /// Tells whether the owner lacks rights to what the owner has just made: no umask takes them.
    pub fn is_masked(&self) -> bool {
        false
    }
}

fn facts(handle: BorrowedHandle) -> Result<Facts, Errno> {
    let basic = handles::basic(handle)?;
    let (device, inode) = handles::identity(handle)?;
    Ok(Facts {
        identity: Identity { device, inode },
        kind: kind(handle, basic.FileAttributes)?,
        size: handles::size(handle)?,
        modified: clock::from_system(basic.LastWriteTime),
        changed: clock::from_system(basic.ChangeTime),
    })
}

fn kind(handle: BorrowedHandle, attributes: u32) -> Result<Kind, Errno> {
    /// The tag's flag for what stands for another name (IsReparseTagNameSurrogate). Others are
    /// files that come from elsewhere when they are read.
    const NAME_SURROGATE: u32 = 0x2000_0000;
    if attributes & FILE_ATTRIBUTE_REPARSE_POINT != 0
        && handles::reparse_tag(handle)? & NAME_SURROGATE != 0
    {
        return Ok(Kind::Link);
    }
    Ok(match attributes {
        attributes if attributes & FILE_ATTRIBUTE_DIRECTORY != 0 => Kind::Folder,
        attributes if attributes & FILE_ATTRIBUTE_DEVICE != 0 => Kind::Special,
        _ => Kind::File,
    })
}

/// The holder of the lock on a file or folder that was to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lock {
    /// This handle, until it is closed.
    Ours,
    Others,
    /// The file system has no locks.
    None,
}

/// Tells whether a call is unavailable: the system or the file system does not know it.
pub fn is_unavailable(errno: Errno) -> bool {
    matches!(errno, Errno::NOSYS | Errno::NOTSUP)
}

// -- ways to open

/// Opens for asking alone, which disturbs nobody.
const LOOK: Opening = Opening {
    access: FILE_READ_ATTRIBUTES,
    share: SHARE_ALL,
    disposition: FILE_OPEN,
    options: 0,
    is_private: false,
};
const FOLDER: Opening = Opening {
    access: FILE_LIST_DIRECTORY | FILE_READ_ATTRIBUTES,
    options: FILE_DIRECTORY_FILE,
    ..LOOK
};
const READ: Opening = Opening {
    access: FILE_GENERIC_READ,
    ..LOOK
};
const REMOVE: Opening = Opening {
    access: DELETE | FILE_READ_ATTRIBUTES | FILE_WRITE_ATTRIBUTES,
    options: FILE_OPEN_REPARSE_POINT,
    ..LOOK
};
const MAKE: Opening = Opening {
    access: FILE_GENERIC_READ | FILE_GENERIC_WRITE | DELETE,
    disposition: FILE_CREATE,
    options: FILE_NON_DIRECTORY_FILE,
    is_private: true,
    ..LOOK
};
const MAKE_FOLDER: Opening = Opening {
    disposition: FILE_CREATE,
    options: FILE_DIRECTORY_FILE,
    is_private: true,
    ..LOOK
};

/// Opens `name` in `folder` to rename or remove it.
fn open_to_remove(folder: &Dir, name: &[u16], kind: u32) -> Result<OwnedHandle, Errno> {
    let how = Opening {
        options: REMOVE.options | kind,
        ..REMOVE
    };
    match open(Some(folder.as_handle()), name, how) {
        // The right to the attributes is only needed where the file may be read only.
        Err(Errno::ACCESS) => {
            let access = DELETE | FILE_READ_ATTRIBUTES;
            open(Some(folder.as_handle()), name, Opening { access, ..how })
        }
        opened => opened,
    }
}

/// Opens `name` in `folder`, and no link: only files that come from elsewhere when they are read
/// are opened once more, as what they are for readers.
fn open_itself(folder: &Dir, name: &[u16], how: Opening) -> Result<OwnedHandle, Errno> {
    let options = how.options | FILE_OPEN_REPARSE_POINT;
    let itself = open_once(Some(folder.as_handle()), name, Opening { options, ..how })?;
    let attributes = handles::basic(itself.as_handle())?.FileAttributes;
    if attributes & FILE_ATTRIBUTE_REPARSE_POINT == 0 {
        return Ok(itself);
    }
    if kind(itself.as_handle(), attributes)? == Kind::Link {
        return Err(Errno::LOOP);
    }
    let identity = handles::identity(itself.as_handle())?;
    let read = open_once(Some(folder.as_handle()), name, how)?;
    match handles::identity(read.as_handle())? == identity {
        true => Ok(read),
        false => Err(Errno::LOOP),
    }
}

/// Checks that a file or folder could have this name.
pub fn check_name(name: &str) -> Result<(), Errno> {
    to_make(name).map(drop)
}

/// Checks that this user could write to the file or folder at `path`; the error tells why not.
pub fn check_writable(path: &AnchoredPath) -> Result<(), Errno> {
    let how = Opening {
        access: FILE_GENERIC_READ | FILE_GENERIC_WRITE,
        ..LOOK
    };
    open(None, &path.to_native()?, how).map(drop)
}

/// Gives the facts of the file or folder at `path`, without opening it for more.
pub fn facts_at(path: &AnchoredPath) -> Result<Facts, Errno> {
    facts(open(None, &path.to_native()?, LOOK)?.as_handle())
}

/// Tells whether anything is at `path`, even a symbolic link that leads nowhere.
pub fn is_taken(path: &AnchoredPath) -> Result<bool, Errno> {
    match Held::at(path, false) {
        Ok(_) => Ok(true),
        Err(Errno::NOENT) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// A file, folder or link that was seen, and is told from others later. It is not open meanwhile:
/// then it could not be replaced on most file systems. NTFS and ReFS give no number twice.
#[derive(Debug)]
pub struct Held {
    pub identity: Identity,
    size: u64,
    modified: i64,
}

impl Held {
    /// Looks at the file, folder or link at `path`; a symbolic link is followed only if asked for.
    pub fn at(path: &AnchoredPath, follow: bool) -> Result<Held, Errno> {
        let options = if follow { 0 } else { FILE_OPEN_REPARSE_POINT };
        let handle = open(None, &path.to_native()?, Opening { options, ..LOOK })?;
        let facts = facts(handle.as_handle())?;
        Ok(Held {
            identity: facts.identity,
            size: facts.size,
            modified: facts.modified,
        })
    }

    /// Tells whether a file with these facts is the one that was seen: backups are never written
    /// to again.
    pub fn is(&self, facts: &Facts) -> bool {
        let seen = (self.identity, self.size, self.modified);
        seen == (facts.identity, facts.size, facts.modified)
    }
}

/// An open folder.
#[derive(Debug)]
pub struct Dir {
    handle: OwnedHandle,
    /// The handle that keeps others from locking the folder, once it is locked.
    lock: OnceLock<OwnedHandle>,
}

impl From<OwnedHandle> for Dir {
    fn from(handle: OwnedHandle) -> Dir {
        let lock = OnceLock::new();
        Dir { handle, lock }
    }
}

impl AsHandle for Dir {
    fn as_handle(&self) -> BorrowedHandle<'_> {
        self.handle.as_handle()
    }
}

impl Dir {
    /// Opens the folder at `path`, through a symbolic link too: the host names its own folders as
    /// it likes.
    pub fn open(path: &AnchoredPath) -> Result<Dir, Errno> {
        open(None, &path.to_native()?, FOLDER).map(Dir::from)
    }

    /// Makes the folder at `path`, for its owner alone.
    pub fn make(path: &AnchoredPath) -> Result<(), Errno> {
        open(None, &path.to_native()?, MAKE_FOLDER).map(drop)
    }

    pub fn remove(path: &AnchoredPath) -> Result<(), Errno> {
        let options = REMOVE.options | FILE_DIRECTORY_FILE;
        let handle = open(None, &path.to_native()?, Opening { options, ..REMOVE })?;
        handles::remove(handle.as_handle())
    }

    /// Opens the folder `relative` below this one; a symbolic link on the way is an error.
    pub fn folder(&self, relative: &str) -> Result<Dir, Errno> {
        if relative.is_empty() {
            return open(Some(self.as_handle()), &[], FOLDER).map(Dir::from);
        }
        let mut folder: Option<Dir> = None;
        for part in relative.split('/') {
            let parent = folder.as_ref().unwrap_or(self);
            let part = open_itself(parent, &to_find(part)?, FOLDER)?;
            folder = Some(part.into());
        }
        folder.ok_or(Errno::INVAL)
    }

    /// Opens the file `name` in this folder for reading, and nobody for writing meanwhile: the times
    /// of a file that somebody writes tell nothing before it is closed.
    pub fn file(&self, name: &str) -> Result<File, Errno> {
        let share = FILE_SHARE_READ | FILE_SHARE_DELETE;
        open_itself(self, &to_find(name)?, Opening { share, ..READ }).map(File::from)
    }

    /// Opens the file `name`, which may be a symbolic link, for reading.
    pub fn linked_file(&self, name: &str) -> Result<File, Errno> {
        open(Some(self.as_handle()), &to_find(name)?, READ).map(File::from)
    }

    /// Opens a file as [`Dir::file`] does, but for writing too.
    pub fn own_file(&self, name: &str) -> Result<File, Errno> {
        let access = FILE_GENERIC_READ | FILE_GENERIC_WRITE;
        open_itself(self, &to_find(name)?, Opening { access, ..READ }).map(File::from)
    }

    /// Makes the file `name`, which must not exist, for its owner alone, open for writing.
    pub fn create(&self, name: &str) -> Result<File, Errno> {
        self.make_file(to_make(name)?)
    }

    fn make_file(&self, name: Vec<u16>) -> Result<File, Errno> {
        match open(Some(self.as_handle()), &name, MAKE) {
            // A file of this name is about to go.
            Err(Errno::NOENT) => Err(Errno::EXIST),
            made => made.map(File::from),
        }
    }

    /// Makes a file for its owner alone that goes when it is closed, however that happens, and is
    /// hidden under `name` until then. None where that is not possible.
    pub fn create_unnamed(&self, name: &str) -> Result<Option<File>, Errno> {
        let file = match self.create(name) {
            Err(Errno::EXIST) => return Ok(None),
            made => made?,
        };
        // Another process may take it for left behind until it is locked.
        let is_ours = file.try_lock()? != Lock::Others
            && self.facts_of(name).map(|named| named.identity) == Ok(file.facts()?.identity);
        if is_ours && handles::set_disposition(file.as_handle(), true).is_ok() {
            return Ok(Some(file));
        }
        let _ = self.remove_file(name);
        Ok(None)
    }

    /// Gives the unnamed `file` the name `name`, which must not exist.
    pub fn name_unnamed(&self, file: &File, name: &str) -> Result<(), Errno> {
        let handle = file.as_handle();
        handles::set_disposition(handle, false)?;
        let renamed = handles::rename(handle, self.as_handle(), &to_make(name)?, false);
        renamed.inspect_err(|_| {
            let _ = handles::set_disposition(handle, true);
        })
    }

    pub fn make_folder(&self, name: &str) -> Result<(), Errno> {
        match open(Some(self.as_handle()), &to_make(name)?, MAKE_FOLDER) {
            Err(Errno::NOENT) => Err(Errno::EXIST),
            made => made.map(drop),
        }
    }

    pub fn facts(&self) -> Result<Facts, Errno> {
        let mut facts = facts(self.as_handle())?;
        // FAT stamps no folder: there its list stands for the time of its last change.
        if facts.changed == clock::from_system(0) {
            facts.changed = self.hash()?;
        }
        Ok(facts)
    }

    /// Hashes the list of the folder.
    fn hash(&self) -> Result<i64, Errno> {
        let mut hasher = DefaultHasher::new();
        self.entries::<Errno>(|name, kind, inode| {
            (name, kind as u8, inode).hash(&mut hasher);
            Ok(())
        })?;
        Ok(hasher.finish().cast_signed())
    }

    /// Tells whether the folder belongs to the user of this process.
    pub fn is_own(&self) -> bool {
        let folder = reopen(self.as_handle(), READ_CONTROL);
        folder.and_then(|folder| rights::is_own(folder.as_handle())) == Ok(true)
    }

    /// Does nothing: no umask takes rights away.
    pub fn unmask(&self, _: &str) -> Result<(), Errno> {
        Ok(())
    }

    /// Gives the facts of `name` in this folder, those of a symbolic link itself.
    pub fn facts_of(&self, name: impl Name) -> Result<Facts, Errno> {
        let options = FILE_OPEN_REPARSE_POINT;
        let how = Opening { options, ..LOOK };
        facts(open(Some(self.as_handle()), &to_find(name)?, how)?.as_handle())
    }

    /// Gives the facts of the file `name`, if nobody has it open for writing: the times of one that is
    /// written tell nothing before it is closed.
    pub fn facts_at_rest(&self, name: &str) -> Result<Facts, Errno> {
        let how = Opening {
            access: FILE_READ_DATA | FILE_READ_ATTRIBUTES,
            share: FILE_SHARE_READ | FILE_SHARE_DELETE,
            options: FILE_OPEN_REPARSE_POINT,
            ..LOOK
        };
        facts(open_once(Some(self.as_handle()), &to_find(name)?, how)?.as_handle())
    }

    /// Calls `visit` with the name, the kind and the inode of everything in the folder except `.`
    /// and `..`. Not every file system lists the inode that the file has.
    pub fn entries<E: From<Errno>>(
        &self,
        mut visit: impl FnMut(&CStr, Kind, Inode) -> Result<(), E>,
    ) -> Result<(), E> {
        // The position belongs to the handle, so a second reader of the same folder needs one of
        // its own.
        let folder = self.folder("")?;
        let mut buffer = [0_u64; 4096];
        let mut class = FileIdBothDirectoryRestartInfo;
        while handles::entries(folder.as_handle(), class, &mut buffer)? {
            class = FileIdBothDirectoryInfo;
            let bytes = buffer.map(u64::to_ne_bytes);
            let mut rest = bytes.as_flattened();
            loop {
                let entry = ListedEntry::of(rest).ok_or(Errno::IO)?;
                let name = CString::new(entry.name).map_err(|_| Errno::IO)?;
                if name.as_c_str() != c"." && name.as_c_str() != c".." {
                    visit(&name, entry.kind, entry.inode)?;
                }
                match entry.next {
                    0 => break,
                    next => rest = rest.get(next..).ok_or(Errno::IO)?,
                }
            }
        }
        Ok(())
    }

    /// Links are not needed: a rename that does not replace is always to be had.
    pub fn link(&self, _: &str, _: &Dir, _: impl Name) -> Result<(), Errno> {
        Err(Errno::NOTSUP)
    }

    /// Renames `from` to `to`, and replaces a file there.
    pub fn rename(&self, from: &str, into: &Dir, to: impl Name) -> Result<(), Errno> {
        self.rename_as(from, into, to, true)
    }

    /// Renames `from` to `to`, which must not exist.
    pub fn rename_new(&self, from: &str, into: &Dir, to: impl Name) -> Result<(), Errno> {
        self.rename_as(from, into, to, false)
    }

    fn rename_as(
        &self,
        from: &str,
        into: &Dir,
        to: impl Name,
        replaces: bool,
    ) -> Result<(), Errno> {
        let from = open_to_remove(self, &to_find(from)?, 0)?;
        let to = to_make(to)?;
        patiently(|| {
            let renamed = handles::rename(from.as_handle(), into.as_handle(), &to, replaces);
            match renamed {
                // Somebody has the file there open, where that keeps it from being replaced; or
                // what is in the folder that is renamed.
                Err(Errno::ACCESS) if into.could_take(&to) => Err(Errno::TXTBSY),
                renamed => renamed,
            }
        })
    }

    /// Tells whether this user could make a file `name` in this folder, or remove the one there.
    fn could_take(&self, name: &[u16]) -> bool {
        let to_add = Opening {
            access: FILE_ADD_FILE,
            ..FOLDER
        };
        let folder = open_once(Some(self.as_handle()), &[], to_add);
        let there = open_once(Some(self.as_handle()), name, REMOVE);
        folder.is_ok() && matches!(there, Ok(_) | Err(Errno::NOENT | Errno::TXTBSY))
    }

    pub fn remove_file(&self, name: &str) -> Result<(), Errno> {
        self.remove_below(name, FILE_NON_DIRECTORY_FILE)
    }

    pub fn remove_folder(&self, name: &str) -> Result<(), Errno> {
        self.remove_below(name, FILE_DIRECTORY_FILE)
    }

    fn remove_below(&self, name: &str, kind: u32) -> Result<(), Errno> {
        handles::remove(open_to_remove(self, &to_find(name)?, kind)?.as_handle())
    }

    /// Brings the folder's names to the disk.
    pub fn sync(&self) -> Result<(), Errno> {
        handles::flush(reopen(self.as_handle(), FILE_ADD_FILE)?.as_handle())
    }

    /// Hands the folder's names to the disk, where [`Dir::sync_file_system`] finds them.
    pub fn hand_over(&self) -> Result<(), Errno> {
        match self.sync() {
            Err(errno) if is_unavailable(errno) || errno == Errno::INVAL => Ok(()),
            done => done,
        }
    }

    /// Brings to the disk what was [handed over](File::hand_over) on the folder's volume: a user
    /// without rights to the volume can't bring the rest of it there.
    pub fn sync_file_system(&self) -> Result<(), Errno> {
        self.sync()
    }

    /// Locks the folder for this handle alone, unless another holds it. Windows locks no folder: so
    /// it is opened for writing, and nobody else is let do that. Nothing can be renamed into it from
    /// elsewhere meanwhile, for which the system itself opens it.
    pub fn try_lock(&self) -> Result<Lock, Errno> {
        let how = Opening {
            access: FILE_ADD_FILE,
            share: FILE_SHARE_READ | FILE_SHARE_DELETE,
            ..FOLDER
        };
        self.keep_lock(open_once(Some(self.as_handle()), &[], how))
    }

    /// Locks the folder as [`Dir::try_lock`] does, against those who use the same `name`: a file of
    /// this name that nobody else can open, and that goes with its handle, is the lock.
    pub fn try_lock_by(&self, name: &str) -> Result<Lock, Errno> {
        let how = Opening {
            access: DELETE,
            share: 0,
            disposition: FILE_OPEN_IF,
            options: FILE_NON_DIRECTORY_FILE | FILE_DELETE_ON_CLOSE,
            is_private: true,
        };
        match open_once(Some(self.as_handle()), &to_make(name)?, how) {
            // One is about to go; or it is another user's.
            Err(Errno::NOENT | Errno::ACCESS) => Ok(Lock::Others),
            lock => self.keep_lock(lock),
        }
    }

    fn keep_lock(&self, lock: Result<OwnedHandle, Errno>) -> Result<Lock, Errno> {
        match lock {
            Ok(lock) => match self.lock.set(lock) {
                Ok(()) => Ok(Lock::Ours),
                Err(_) => Ok(Lock::Others),
            },
            Err(Errno::TXTBSY) => Ok(Lock::Others),
            Err(errno) => Err(errno),
        }
    }
}

/// An entry of a folder, as the system lists it (FILE_ID_BOTH_DIR_INFO).
struct ListedEntry {
    /// Bytes from this entry to the next, 0 at the last one.
    next: usize,
    kind: Kind,
    inode: Inode,
    /// The name as UTF-8, if it is text.
    name: Vec<u8>,
}

impl ListedEntry {
    fn of(bytes: &[u8]) -> Option<ListedEntry> {
        let number = |at| {
            let bytes: &[u8; 4] = bytes.get(at..)?.first_chunk()?;
            Some(u32::from_ne_bytes(*bytes))
        };
        let (attributes, length) = (number(56)?, number(60)?);
        let inode: &[u8; 8] = bytes.get(96..)?.first_chunk()?;
        let name = bytes.get(104..)?.get(..length as usize)?;
        let (units, _) = name.as_chunks();
        let units: Vec<u16> = units.iter().map(|unit| u16::from_ne_bytes(*unit)).collect();
        Some(ListedEntry {
            next: number(0)? as usize,
            kind: match attributes {
                listed if listed & FILE_ATTRIBUTE_REPARSE_POINT != 0 => Kind::Unknown,
                listed if listed & FILE_ATTRIBUTE_DIRECTORY != 0 => Kind::Folder,
                listed if listed & FILE_ATTRIBUTE_DEVICE != 0 => Kind::Special,
                _ => Kind::File,
            },
            inode: u64::from_ne_bytes(*inode).into(),
            name: OsString::from_wide(&units).into_encoded_bytes(),
        })
    }
}

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
        open(None, &path.to_native()?, READ).map(File::from)
    }

    pub fn facts(&self) -> Result<Facts, Errno> {
        facts(self.as_handle())
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
        let mut done = 0;
        while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
            match handles::read(self.as_handle(), rest, offset + done as u64)? {
                0 => break,
                count => done += count,
            }
        }
        Ok(done)
    }

    pub fn write_all(&self, mut bytes: &[u8]) -> Result<(), Errno> {
        while !bytes.is_empty() {
            let position = self.position.load(Ordering::Relaxed);
            let written = handles::write(self.as_handle(), bytes, position)?;
            // A file that takes nothing and reports nothing would be written to for ever.
            if written == 0 {
                return Err(Errno::IO);
            }
            self.position
                .store(position + written as u64, Ordering::Relaxed);
            bytes = bytes.get(written..).ok_or(Errno::IO)?;
        }
        Ok(())
    }

    /// Shares no blocks: only ReFS could.
    pub fn share(&self, _: &File) -> Result<(), Errno> {
        Err(Errno::NOTSUP)
    }

    /// Frees no blocks.
    pub fn make_hole(&self, _: u64, _: u64) -> Result<(), Errno> {
        Err(Errno::NOTSUP)
    }

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

    /// Brings the file's name in `folder` to the disk: NTFS writes its log with the file.
    pub fn sync_name(&self, folder: &Dir) -> Result<(), Errno> {
        self.sync()?;
        folder.sync()
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
                    FileAttributes: FILE_ATTRIBUTE_NORMAL | kept,
                    ..FILE_BASIC_INFO::default()
                };
                handles::set_basic(self.as_handle(), &facts)
            }
        }
    }

    /// Locks the file for this handle alone, unless another holds it.
    pub fn try_lock(&self) -> Result<Lock, Errno> {
        match handles::try_lock(&self.handle) {
            Ok(true) => Ok(Lock::Ours),
            Ok(false) => Ok(Lock::Others),
            Err(errno) if is_unavailable(errno) => Ok(Lock::None),
            Err(errno) => Err(errno),
        }
    }
}

/// Makes an empty folder for the test of this name, which removes it.
#[cfg(test)]
pub fn test_folder(test: &str) -> std::path::PathBuf {
    let path = std::env::temp_dir().join(format!("licbak-{test}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&path);
    Dir::make(&AnchoredPath::now(&path)).unwrap();
    path
}
