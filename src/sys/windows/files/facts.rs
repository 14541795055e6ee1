//! What the system states about files, opened or not.

use std::os::windows::io::{AsHandle, BorrowedHandle};

use windows_sys::Wdk::Storage::FileSystem::FILE_OPEN_REPARSE_POINT;
use windows_sys::Win32::Storage::FileSystem::{
    FILE_ATTRIBUTE_DEVICE, FILE_ATTRIBUTE_DIRECTORY, FILE_ATTRIBUTE_REPARSE_POINT,
    FILE_GENERIC_READ, FILE_GENERIC_WRITE,
};

use super::super::anchor::native;
use super::super::clock;
use super::super::errno::Errno;
use super::super::handles;
use super::super::names::to_make;
use super::super::opening::{LOOK, Opening, open};
use crate::sys::anchored_path::AnchoredPath;
use crate::sys::kinds::{Identity, Kind};

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

    /// Is not known: the rights are not among the facts.
    pub fn has_rights_of(&self, _: &Facts) -> bool {
        true
    }
}

pub fn facts(handle: BorrowedHandle) -> Result<Facts, Errno> {
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

/// Finds the kind of a file with these attributes.
pub fn kind(handle: BorrowedHandle, attributes: u32) -> Result<Kind, Errno> {
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

/// Tells whether a call is unavailable: the system or the file system does not know it.
pub fn is_unavailable(errno: Errno) -> bool {
    matches!(errno, Errno::NOSYS | Errno::NOTSUP)
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
    open(None, &native(&path.to_absolute())?, how).map(drop)
}

/// Gives the facts of the file or folder at `path`, without opening it for more.
pub fn facts_at(path: &AnchoredPath) -> Result<Facts, Errno> {
    facts(open(None, &native(&path.to_absolute())?, LOOK)?.as_handle())
}

/// Gives the same: the system asks where it is kept.
pub fn facts_now_at(path: &AnchoredPath) -> Result<Facts, Errno> {
    facts_at(path)
}

/// Tells what is at `path`, without opening it for more, or following it.
pub fn kind_at(path: &AnchoredPath) -> Result<Kind, Errno> {
    let how = Opening {
        options: FILE_OPEN_REPARSE_POINT,
        ..LOOK
    };
    Ok(facts(open(None, &native(&path.to_absolute())?, how)?.as_handle())?.kind)
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
    pub kind: Kind,
    size: u64,
    modified: i64,
}

impl Held {
    /// Looks at the file, folder or link at `path`; a symbolic link is followed only if asked for.
    pub fn at(path: &AnchoredPath, follow: bool) -> Result<Held, Errno> {
        let options = if follow { 0 } else { FILE_OPEN_REPARSE_POINT };
        let handle = open(
            None,
            &native(&path.to_absolute())?,
            Opening { options, ..LOOK },
        )?;
        let facts = facts(handle.as_handle())?;
        Ok(Held {
            identity: facts.identity,
            kind: facts.kind,
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
