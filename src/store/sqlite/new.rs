//! Makes a new database in a hidden folder beside its path, and moves it there when it is whole.
//!
//! Other restores may have made one there meanwhile, and others have opened it: so nothing is ever
//! replaced or removed under a name that they know.

use std::ffi::OsStr;

use super::BESIDE;
use crate::error::{Access, Error, Outcome, Result};
use crate::store::patience::GoOn;
use crate::store::staging::{Staging, move_new};
use crate::sys::anchored_path::AnchoredPath;
use crate::sys::files::{self, Dir, Errno, Room, check_name};

/// The database's name in the hidden folder.
const NAME: &str = "store.db";

/// A database that has no path yet. When it is dropped, it is removed with all that SQLite has made
/// beside it.
pub struct New {
    path: AnchoredPath,
    staging: Staging,
}

impl New {
    /// Makes an empty file in a hidden folder of `parent`, for the database that is to be at
    /// `path`. Finds out whether it can be moved there without the risk of replacing another.
    pub fn make(path: &AnchoredPath, parent: Dir, go_on: &GoOn) -> Result<New> {
        let failed = |errno| failure(path, errno);
        if let Some(name) = path.as_given().file_name().and_then(OsStr::to_str) {
            check_name(name).map_err(failed)?;
        }
        if let Some(protection) = parent.protection() {
            let doing = format_args!("make the database '{}' (StorePath)", path.display());
            let what = "its directory";
            return Err(Error::protected(doing, what, &path.parent(), protection));
        }
        let staging = Staging::make(parent, GoOn::clone(go_on)).map_err(failed)?;
        if !staging.can_move(false).map_err(failed)? {
            let sentence = format!(
                "The file system of '{}' (StorePath) can't name a file without the risk of replacing another, or \
                 a sandbox denies this or moving files between folders. Restore into a database on another file \
                 system, or into one that is there.",
                path.display()
            );
            return Err(Error::new(Outcome::NotSupported, sentence));
        }
        let file = staging.folder.create(NAME);
        file.and_then(|file| file.keep_private()).map_err(failed)?;
        Ok(New {
            path: path.clone(),
            staging,
        })
    }

    /// Gives the path where SQLite finds it.
    pub fn file(&self) -> AnchoredPath {
        let parent = self.path.parent();
        parent.join(&self.staging.name).join(NAME)
    }

    /// Gives the hidden folder, and its room, where that is known.
    pub fn room(&self) -> Option<(&Dir, Room)> {
        let folder = &self.staging.folder;
        Some((folder, folder.room()?))
    }

    /// Moves the database, which is closed and on the disk, to its path, gives it to the owner of
    /// its directory, and brings its name to the disk too. Returns false where something has come
    /// there before.
    pub fn publish(&self) -> Result<bool> {
        let Staging { folder, place, .. } = &self.staging;
        if !is_free(&self.path)? {
            return Ok(false);
        }
        let name = self.path.as_given().file_name().unwrap_or_default();
        // Nobody else comes into the hidden folder.
        let given = folder
            .file(NAME)
            .and_then(|file| file.give(&place.facts()?));
        given.map_err(|errno| failure(&self.path, errno))?;
        let moved = move_new(folder, NAME, place, name, false);
        if moved == Err(Errno::EXIST) {
            return Ok(false);
        }
        let done = moved.and_then(|()| place.sync());
        done.map(|()| true)
            .map_err(|errno| failure(&self.path, errno))
    }
}

fn failure(path: &AnchoredPath, errno: Errno) -> Error {
    let doing = format_args!("make the database '{}' (StorePath)", path.display());
    Error::system(Access::Write, doing, errno)
}

/// Tells whether nothing is at `path`. Files beside it would then belong to another database, and
/// SQLite would take them for parts of the new one.
pub fn is_free(path: &AnchoredPath) -> Result<bool> {
    let is_taken = |path: &AnchoredPath| {
        files::is_taken(path).map_err(|errno| {
            let doing = format_args!("look for the database '{}' (StorePath)", path.display());
            Error::system(Access::Read, doing, errno)
        })
    };
    if is_taken(path)? {
        return Ok(false);
    }
    for suffix in BESIDE {
        let beside = path.with_suffix(suffix);
        if !is_taken(&beside)? {
            continue;
        }
        // The file is another restore's, or its host's, if the database has come meanwhile.
        if is_taken(path)? {
            return Ok(false);
        }
        let sentence = format!(
            "Cannot make the database '{}' (StorePath): beside it is '{}', which belongs to a database that is \
             not there, and would be taken for a part of the new one. Bring that database back, or move the \
             file away, and restore again.",
            path.display(),
            beside.display()
        );
        return Err(Error::new(Outcome::LicenseStoreError, sentence));
    }
    Ok(true)
}
