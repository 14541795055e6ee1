//! Folders by handle.

use std::ffi::{CStr, CString, OsString};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::windows::ffi::OsStringExt;
use std::os::windows::io::{AsHandle, BorrowedHandle, OwnedHandle};
use std::sync::OnceLock;

use windows_sys::Wdk::Storage::FileSystem::{
    FILE_DELETE_ON_CLOSE, FILE_DIRECTORY_FILE, FILE_NON_DIRECTORY_FILE, FILE_OPEN_IF,
    FILE_OPEN_REPARSE_POINT,
};
use windows_sys::Win32::Storage::FileSystem::{
    DELETE, FILE_ADD_FILE, FILE_ADD_SUBDIRECTORY, FILE_ATTRIBUTE_DEVICE, FILE_ATTRIBUTE_DIRECTORY,
    FILE_ATTRIBUTE_REPARSE_POINT, FILE_GENERIC_READ, FILE_GENERIC_WRITE, FILE_READ_ATTRIBUTES,
    FILE_READ_DATA, FILE_SHARE_DELETE, FILE_SHARE_READ, FILE_WRITE_ATTRIBUTES,
    FileIdBothDirectoryInfo, FileIdBothDirectoryRestartInfo, READ_CONTROL,
};

use super::super::anchor::native;
use super::super::clock;
use super::super::errno::Errno;
use super::super::handles;
use super::super::names::{Name, could_be_short, to_find, to_make};
use super::super::opening::{
    FOLDER, LOOK, MAKE, MAKE_FOLDER, Opening, READ, REMOVE, open, open_once, reopen,
};
use super::super::rights;
use super::facts::{Facts, facts, is_unavailable, kind};
use super::file::File;
use crate::sys::anchored_path::AnchoredPath;
use crate::sys::kinds::{Inode, Kind, Lock, Protection};
use crate::sys::patience::patiently;
use crate::sys::unknown_room::Room;

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
        open(None, &native(&path.to_absolute())?, FOLDER).map(Dir::from)
    }

    /// Makes the folder at `path`, for its owner alone.
    pub fn make(path: &AnchoredPath) -> Result<(), Errno> {
        let made = open(None, &native(&path.to_absolute())?, MAKE_FOLDER);
        made.map(drop)
            .map_err(|errno| match Dir::open(&path.parent()) {
                Ok(parent) => parent.reason_of(errno),
                Err(_) => errno,
            })
    }

    /// Tells why nothing could be made in this folder. What guards folders against programs that it
    /// does not know ("controlled folder access") says only that nothing is there.
    fn reason_of(&self, errno: Errno) -> Errno {
        match errno {
            Errno::NOENT if self.folder("").is_ok() => Errno::ACCESS,
            errno => errno,
        }
    }

    pub fn remove(path: &AnchoredPath) -> Result<(), Errno> {
        let options = REMOVE.options | FILE_DIRECTORY_FILE;
        let handle = open(
            None,
            &native(&path.to_absolute())?,
            Opening { options, ..REMOVE },
        )?;
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

    /// A file that [`Dir::file`] opens can't be written to by others meanwhile.
    pub const FILES_BAR_WRITERS: bool = true;

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

    /// Opens the file `name` to bring it to the disk, for which it is opened for writing.
    pub fn file_to_sync(&self, name: &str) -> Result<File, Errno> {
        self.own_file(name)
    }

    /// Opens a file as [`Dir::file`] does, but for writing too.
    pub fn own_file(&self, name: &str) -> Result<File, Errno> {
        let access = FILE_GENERIC_READ | FILE_GENERIC_WRITE;
        open_itself(self, &to_find(name)?, Opening { access, ..READ }).map(File::from)
    }

    /// Makes the file `name`, which must not exist, for its owner alone, open for writing.
    pub fn create(&self, name: &str) -> Result<File, Errno> {
        let made = open(Some(self.as_handle()), &to_make(name)?, MAKE);
        made.map(File::from).map_err(|errno| self.reason_of(errno))
    }

    /// Makes a file for its owner alone that goes when it is closed, however that happens, and is
    /// hidden under `name` until then. None where that is not possible.
    pub fn create_unnamed(&self, name: &str) -> Result<Option<File>, Errno> {
        let file = match self.create(name) {
            Err(Errno::EXIST) => return Ok(None),
            made => made?,
        };
        // Another process may take it for left behind until it is locked.
        let identity = |facts: Result<Facts, Errno>| facts.ok().map(|facts| facts.identity);
        let is_ours = matches!(file.try_lock(), Ok(Lock::Ours | Lock::None))
            && identity(file.facts()).is_some_and(|own| identity(self.facts_of(name)) == Some(own));
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

    /// Is not asked.
    pub fn is_of_program(&self) -> bool {
        false
    }

    pub fn make_folder(&self, name: &str) -> Result<(), Errno> {
        let made = open(Some(self.as_handle()), &to_make(name)?, MAKE_FOLDER);
        made.map(drop).map_err(|errno| self.reason_of(errno))
    }

    pub fn facts(&self) -> Result<Facts, Errno> {
        let mut facts = facts(self.as_handle())?;
        // FAT stamps no folder: there its list stands for the time of its last change.
        if facts.changed == clock::from_system(0) {
            facts.changed = self.hash()?;
        }
        Ok(facts)
    }

    /// Gives the same: the system asks where the folder is kept.
    pub fn facts_now(&self) -> Result<Facts, Errno> {
        self.facts()
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

    /// Does nothing: a new folder is its maker's.
    pub fn give(&self, _: &Facts) -> Result<(), Errno> {
        Ok(())
    }

    /// Does nothing: what is made private inherits nothing.
    pub fn drop_default_list(&self) {}

    /// Finds no protection: there are rights for that.
    pub fn protection(&self) -> Option<Protection> {
        None
    }

    /// Finds no protection: there are rights for that.
    pub fn protection_of(&self, _: &str) -> Option<Protection> {
        None
    }

    /// Gives nothing: a volume has one place.
    pub fn mount(&self) -> Option<u64> {
        None
    }

    /// Finds nothing: who may write is known by writing.
    pub fn check_writable(&self) -> Result<(), Errno> {
        Ok(())
    }

    /// Is not asked of a folder: a look at its names tells.
    pub fn folds_case(&self) -> bool {
        false
    }

    /// Tells whether the file `name` has other names, too.
    pub fn has_links(&self, name: &str) -> bool {
        let file = to_find(name).and_then(|name| open(Some(self.as_handle()), &name, LOOK));
        file.and_then(|file| handles::links(file.as_handle()))
            .is_ok_and(|links| links > 1)
    }

    /// Gives nothing: NTFS compresses, and keeps small contents beside a file's facts.
    pub fn room(&self) -> Option<Room> {
        None
    }

    /// Is not asked: the room is not known.
    pub fn refuses(&self, _: &Room, _: u64) -> bool {
        false
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

    /// Is not there either.
    pub fn link_instead(
        &self,
        _: &str,
        _: &Dir,
        _: impl Name,
        refused: Errno,
    ) -> Result<(), Errno> {
        Err(refused)
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
        let rename = || handles::rename(from.as_handle(), into.as_handle(), &to, replaces);
        patiently(|| {
            let renamed = match rename() {
                Err(Errno::ACCESS) if replaces => into.while_writable(&to, rename),
                renamed => renamed,
            };
            match renamed {
                // Somebody has the file there open, where that keeps it from being replaced; or
                // what is in the folder that is renamed.
                Err(Errno::ACCESS) if into.could_take(&to) => Err(Errno::TXTBSY),
                renamed => renamed,
            }
        })
    }

    /// Calls `replace` while the file `name` is not read only, which keeps it from being replaced on
    /// FAT and on shares; an error if it is not.
    fn while_writable(
        &self,
        name: &[u16],
        replace: impl Fn() -> Result<(), Errno>,
    ) -> Result<(), Errno> {
        // An open file could not be replaced there, so it is opened twice.
        let set_read_only = |is_read_only| {
            let how = Opening {
                access: FILE_READ_ATTRIBUTES | FILE_WRITE_ATTRIBUTES,
                options: FILE_OPEN_REPARSE_POINT,
                ..LOOK
            };
            let file = open_once(Some(self.as_handle()), name, how)?;
            handles::set_read_only(file.as_handle(), is_read_only)
        };
        if set_read_only(false) != Ok(true) {
            return Err(Errno::ACCESS);
        }
        replace().inspect_err(|_| {
            let _ = set_read_only(true);
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

    /// Removes the file `name`, which was just closed.
    pub fn remove_late(&self, name: &str) -> Result<(), Errno> {
        self.remove_file(name)
    }

    pub fn remove_folder(&self, name: &str) -> Result<(), Errno> {
        self.remove_below(name, FILE_DIRECTORY_FILE)
    }

    fn remove_below(&self, name: &str, kind: u32) -> Result<(), Errno> {
        handles::remove(open_to_remove(self, &to_find(name)?, kind)?.as_handle())
    }

    /// Brings the folder's names to the disk, for which it is opened for writing. Who may make neither
    /// a file nor a folder in it has made no name there.
    pub fn sync(&self) -> Result<(), Errno> {
        for access in [FILE_ADD_FILE, FILE_ADD_SUBDIRECTORY] {
            let folder = reopen(self.as_handle(), access);
            let done = folder.and_then(|folder| handles::flush(folder.as_handle()));
            if done != Err(Errno::ACCESS) {
                return done;
            }
        }
        Ok(())
    }

    /// Brings the name of `file` in this folder to the disk: NTFS writes its log with the file.
    pub fn sync_name_of(&self, file: &File) -> Result<(), Errno> {
        file.sync()?;
        self.sync()
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
            // A link would be followed, and what it leads to would go.
            options: FILE_NON_DIRECTORY_FILE | FILE_DELETE_ON_CLOSE | FILE_OPEN_REPARSE_POINT,
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

/// Opens `name` in `folder`, and no link or file of another name: only files that come from
/// elsewhere when they are read are opened once more, as what they are for readers.
fn open_itself(folder: &Dir, name: &[u16], how: Opening) -> Result<OwnedHandle, Errno> {
    let options = how.options | FILE_OPEN_REPARSE_POINT;
    let itself = open_once(Some(folder.as_handle()), name, Opening { options, ..how })?;
    // A short name stands for another, as a link does.
    if could_be_short(name) && handles::lists(folder.folder("")?.as_handle(), name) == Ok(false) {
        return Err(Errno::LOOP);
    }
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
