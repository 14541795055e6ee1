//! The backup that is in a directory already: it is found, held and opened.

use crate::error::{Access, Error, Outcome, Result};
use crate::location::FILE;
use crate::sys::anchored_path::AnchoredPath;
use crate::sys::files::{Dir, Errno, File, Held, Kind, facts_at};

/// Tells whether something has a backup's name in the directory at `path`.
pub fn is_taken(path: &AnchoredPath) -> bool {
    Dir::open(path).is_ok_and(|directory| directory.facts_of(FILE).is_ok())
}

/// Makes the error of a backup that would have to replace another.
pub fn already_exists(path: &AnchoredPath) -> Error {
    if let Ok(Some(there)) = hold(path, false)
        && let Err(error) = check_replaceable(path, &there)
    {
        return error;
    }
    let path = path.display();
    let sentence = format!(
        "There is a backup in '{path}' already, and it is kept. Ask for it to be replaced, or name another directory."
    );
    Error::new(Outcome::BackupExists, sentence)
}

/// Holds the backup in the directory at `path` that a new one is to replace, if there is one. A
/// symbolic link in its place is held itself.
pub fn hold_to_replace(path: &AnchoredPath) -> Result<Option<Held>> {
    let there = hold(path, false)?;
    if let Some(there) = &there {
        check_replaceable(path, there)?;
    }
    Ok(there)
}

/// Refuses to replace what is no file: it is somebody else's.
fn check_replaceable(path: &AnchoredPath, there: &Held) -> Result<()> {
    let what = match there.kind {
        Kind::Folder => "a folder",
        Kind::Special => "a FIFO, a socket or a device",
        Kind::File | Kind::Link | Kind::Unknown => return Ok(()),
    };
    let sentence = format!(
        "In '{}' the name of the backup, {FILE}, is that of {what}, which is kept. Move it away, or name another \
         directory.",
        path.display()
    );
    Err(Error::new(Outcome::BackupExists, sentence))
}

/// Holds the backup in the directory at `path`, if it can be seen. A symbolic link in its place is
/// held itself, or with `follow` the file that it leads to.
pub fn hold(path: &AnchoredPath, follow: bool) -> Result<Option<Held>> {
    match Held::at(&path.join(FILE), follow) {
        Ok(held) => Ok(Some(held)),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::ACCESS | Errno::LOOP) => Ok(None),
        Err(errno) => Err(Error::system(
            Access::Read,
            format_args!("look for a backup in '{}'", path.display()),
            errno,
        )),
    }
}

/// Opens the backup at `path`, which is its directory or the file itself, and gives the file's path.
pub fn open(path: &AnchoredPath) -> Result<(File, AnchoredPath)> {
    let (file, path) = match Dir::open(path) {
        Ok(directory) => (open_in(&directory, path)?, path.join(FILE)),
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

fn open_in(directory: &Dir, path: &AnchoredPath) -> Result<File> {
    directory.linked_file(FILE).map_err(|errno| match errno {
        Errno::NOENT => Error::new(
            Outcome::FileNotFound,
            format!(
                "There is no backup ({FILE}) in '{}'. Name the directory that has one.",
                path.display()
            ),
        ),
        _ => unopened(&path.join(FILE), errno),
    })
}

/// Makes the error of a backup file that could not be opened.
fn unopened(path: &AnchoredPath, errno: Errno) -> Error {
    let doing = format_args!("open the backup '{}'", path.display());
    Error::system(Access::Read, doing, errno)
}
