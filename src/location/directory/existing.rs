//! The backup that is in a directory already: it is found, held and opened.

use std::io;

use super::super::{BackupKind, Existing, refusals};
use crate::error::{Access, Error, Outcome, Result};
use crate::sys::anchored_path::AnchoredPath;
use crate::sys::files::{Dir, Errno, File, Held, Kind, facts_at};

/// Tells whether something has a backup's name, of either kind, in the directory at `path`.
pub fn is_taken(path: &AnchoredPath) -> bool {
    let has = |directory: &Dir| {
        let mut kinds = BackupKind::ALL.iter();
        kinds.any(|kind| directory.facts_of(kind.file()).is_ok())
    };
    Dir::open(path).is_ok_and(|directory| has(&directory))
}

/// Makes the error of a backup that would have to replace another.
pub fn already_exists(path: &AnchoredPath) -> Error {
    for kind in BackupKind::ALL {
        if let Ok(Some(there)) = hold(path, kind, false)
            && let Err(error) = check_replaceable(path, kind, &there)
        {
            return error;
        }
    }
    refusals::already_exists(path.display(), "directory")
}

/// Holds the backup in the directory at `path` that a new one of that kind is to replace, if there
/// is one. A symbolic link in its place is held itself.
pub fn hold_to_replace(path: &AnchoredPath, kind: BackupKind) -> Result<Option<Held>> {
    if let Ok(directory) = Dir::open(path) {
        check_no_other(&directory, path, kind)?;
    }
    let there = hold(path, kind, false)?;
    if let Some(there) = &there {
        check_replaceable(path, kind, there)?;
    }
    Ok(there)
}

/// Refuses a backup beside one of the other kind.
pub(super) fn check_no_other(directory: &Dir, path: &AnchoredPath, kind: BackupKind) -> Result<()> {
    match directory.facts_of(kind.other().file()) {
        Ok(_) => Err(refusals::is_of_other_kind(
            path.display(),
            "directory",
            kind,
        )),
        Err(_) => Ok(()),
    }
}

/// Refuses to replace what is no file: it is somebody else's.
fn check_replaceable(path: &AnchoredPath, kind: BackupKind, there: &Held) -> Result<()> {
    let what = match there.kind {
        Kind::Folder => "a folder",
        Kind::Special => "a FIFO, a socket or a device",
        Kind::File | Kind::Link | Kind::Unknown => return Ok(()),
    };
    let sentence = format!(
        "In '{}' the name of the backup, {}, is that of {what}, which is kept. Move it away, or name another \
         directory.",
        path.display(),
        kind.file()
    );
    Err(Error::new(Outcome::BackupExists, sentence))
}

/// Holds the backup of that kind in the directory at `path`, if it can be seen. A symbolic link in
/// its place is held itself, or with `follow` the file that it leads to.
pub fn hold(path: &AnchoredPath, kind: BackupKind, follow: bool) -> Result<Option<Held>> {
    match Held::at(&path.join(kind.file()), follow) {
        Ok(held) => Ok(Some(held)),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::ACCESS | Errno::LOOP) => Ok(None),
        Err(errno) => Err(Error::system(
            Access::Read,
            format_args!("look for a backup in '{}'", path.display()),
            errno,
        )),
    }
}

/// The open file of a backup.
pub struct OpenFile {
    file: File,
    name: String,
}

impl OpenFile {
    pub fn new(file: File, path: &AnchoredPath) -> OpenFile {
        let name = path.display().to_string();
        OpenFile { file, name }
    }
}

impl Existing for OpenFile {
    fn name(&self) -> &str {
        &self.name
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.file.facts()?.size)
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        match self.file.read_full_at(buffer, offset)? {
            read if read == buffer.len() => Ok(()),
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    fn forget(&self, start: u64, length: u64) {
        self.file.forget(start, length);
    }

    fn is_own(&self) -> bool {
        self.file.is_own()
    }

    fn file(&self) -> Option<&File> {
        Some(&self.file)
    }
}

/// Opens the backup at `path`, which is its directory or the file itself.
pub fn open_file(path: &AnchoredPath) -> Result<Box<dyn Existing>> {
    let (file, path) = open(path)?;
    Ok(Box::new(OpenFile::new(file, &path)))
}

/// Opens it, and gives the file's path.
fn open(path: &AnchoredPath) -> Result<(File, AnchoredPath)> {
    let (file, path) = match Dir::open(path) {
        Ok(directory) => open_in(&directory, path)?,
        // Nothing else is opened: that may have effects.
        Err(Errno::NOTDIR) if facts_at(path).is_ok_and(|facts| facts.kind == Kind::File) => {
            let file = File::open(path).map_err(|errno| unopened(path, errno))?;
            (file, path.clone())
        }
        Err(errno) => return Err(Error::directory("RestorePath", path, errno)),
    };
    let shown = path.display();
    let facts = file.facts();
    let facts = facts.map_err(|errno| {
        Error::system(
            Access::Read,
            format_args!("read the backup '{shown}'"),
            errno,
        )
    })?;
    match facts.kind {
        Kind::File => Ok((file, path)),
        _ => Err(Error::new(
            Outcome::BackupCorrupt,
            format!(
                "'{shown}' is not a file, and so not a backup. Name the directory of a backup."
            ),
        )),
    }
}

/// Opens the only backup in the directory.
fn open_in(directory: &Dir, path: &AnchoredPath) -> Result<(File, AnchoredPath)> {
    let [plain, encrypted] = BackupKind::ALL.map(BackupKind::file);
    let is_there = |name| directory.facts_of(name).is_ok();
    let name = match (is_there(plain), is_there(encrypted)) {
        (true, true) => return Err(refusals::two_backups(path.display())),
        (false, true) => encrypted,
        _ => plain,
    };
    let file = directory.linked_file(name).map_err(|errno| match errno {
        Errno::NOENT => refusals::no_backup(path.display(), "directory"),
        _ => unopened(&path.join(name), errno),
    })?;
    Ok((file, path.join(name)))
}

/// Makes the error of a backup file that could not be opened.
fn unopened(path: &AnchoredPath, errno: Errno) -> Error {
    let doing = format_args!("open the backup '{}'", path.display());
    Error::system(Access::Read, doing, errno)
}
