//! What a restore has still to bring to the disk. To wait for a few files and folders is to wait for
//! them alone; to wait for a file system is to wait for all that others write there, too, but of
//! many files that takes less time.

use std::collections::BTreeSet;

use crate::error::Result;
use crate::license::name;
use crate::sync::locks::Mutex;
use crate::sys::anchored_path::AnchoredPath;
use crate::sys::clock;
use crate::sys::files::{Dir, Errno, is_unavailable};

/// Licences that are few.
const FEW: usize = 16;
/// Licences that are few where all are old: most likely they are on the disk, and not waited for.
const FEW_OLD: usize = 256;
/// The time after which a system has long written what it was given, in nanoseconds: a day. Clocks may
/// be wrong, so it decides only which way is the shorter one.
const LONG: u64 = 24 * 3600 * 1_000_000_000;

#[derive(Default)]
pub struct Unsynced {
    /// Licences that were written beside the store.
    written: Mutex<Listed>,
    /// Licences that the store had: whoever put them there may not have waited for the disk. A
    /// restore that was killed has not.
    found: Mutex<Listed>,
}

/// The names of licences, as long as they are few.
#[derive(Default)]
struct Listed {
    names: Vec<String>,
    are_many: bool,
    /// One of them has changed not long ago.
    is_any_fresh: bool,
}

impl Listed {
    fn add(&mut self, name: &str, is_fresh: bool) -> Result<()> {
        self.is_any_fresh |= is_fresh;
        let few = if self.is_any_fresh { FEW } else { FEW_OLD };
        match self.are_many || self.names.len() >= few {
            true => (self.names, self.are_many) = (Vec::new(), true),
            false => {
                self.names.try_reserve(1)?;
                self.names.push(name.to_owned());
            }
        }
        Ok(())
    }
}

impl Unsynced {
    /// Notes a licence that was written beside the store. Any thread may call it.
    pub fn wrote(&self, name: &str) -> Result<()> {
        self.written.lock().add(name, true)
    }

    /// Notes a licence of the store, whose file has `changed` last then. Any thread may call it.
    pub fn found(&self, name: &str, changed: i64) -> Result<()> {
        let is_fresh = clock::now().abs_diff(changed) < LONG;
        self.found.lock().add(name, is_fresh)
    }

    /// Brings what was written to `staging` to the disk, as it is to be moved from there. The `root`
    /// stands for the file system: Windows writes to no folder that is locked, as the staging is.
    pub fn sync_written(&self, staging: &Dir, root: &Dir) -> Result<(), Errno> {
        let written = self.written.lock();
        let few = || {
            let mut folders = folders_of(written.names.iter());
            // Nothing is found by its name there.
            folders.remove("");
            Ok(sync_files(staging, &written.names)? && sync_folders(staging, &folders)?)
        };
        match written.are_many || !few()? {
            true => root.sync_file_system(),
            false => Ok(()),
        }
    }

    /// Brings to the disk what was moved to `root`, the folder at `path`, and what was there; where
    /// the folder `is_new`, its name in any case.
    pub fn sync_store(&self, root: &Dir, path: &AnchoredPath, is_new: bool) -> Result<(), Errno> {
        let (written, found) = (self.written.lock(), self.found.lock());
        let needs_all = written.are_many || found.are_many;
        let folders = folders_of(written.names.iter().chain(&found.names));
        if folders.is_empty() && !needs_all && !is_new {
            return Ok(());
        }
        // The folder itself may have been made by a restore, this one or one that was killed.
        let above = || match Dir::open(&path.parent()) {
            Ok(above) => is_done(above.sync()),
            Err(_) => Ok(false),
        };
        let few =
            || Ok(sync_files(root, &found.names)? && sync_folders(root, &folders)? && above()?);
        match needs_all || !few()? {
            true => root.sync_file_system(),
            false => Ok(()),
        }
    }
}

/// Brings the files of these names to the disk; tells whether that was possible.
fn sync_files(root: &Dir, names: &[String]) -> Result<bool, Errno> {
    for name in names {
        let (folder, file) = name::split(name);
        let opened = root.folder(folder);
        let Ok(file) = opened.and_then(|folder| folder.file_to_sync(file)) else {
            return Ok(false);
        };
        if !is_done(file.sync())? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Does the same with these folders.
fn sync_folders(root: &Dir, folders: &BTreeSet<&str>) -> Result<bool, Errno> {
    for folder in folders {
        let Ok(folder) = root.folder(folder) else {
            return Ok(false);
        };
        if !is_done(folder.sync())? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Gives the folders that lead to the names.
fn folders_of<'n>(names: impl Iterator<Item = &'n String>) -> BTreeSet<&'n str> {
    let mut folders = BTreeSet::new();
    for name in names {
        let mut below = name.as_str();
        while !below.is_empty() {
            below = name::split(below).0;
            folders.insert(below);
        }
    }
    folders
}

/// Tells whether it could be synced. Not every file system can do that with a folder.
fn is_done(synced: Result<(), Errno>) -> Result<bool, Errno> {
    match synced {
        Err(errno) if errno == Errno::INVAL || is_unavailable(errno) => Ok(false),
        synced => synced.map(|()| true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_was_found_is_brought_to_the_disk_whatever_the_clock_says() {
        let (now, day) = (clock::now(), LONG as i64);
        for changed in [now, now - 2 * day, now + 2 * day, 0, i64::MIN, i64::MAX] {
            let unsynced = Unsynced::default();
            for count in 1..2 * FEW_OLD {
                unsynced.found("name", changed).unwrap();
                let found = unsynced.found.lock();
                assert!(found.are_many || found.names.len() == count, "{changed}");
                let few = if changed == now { FEW } else { FEW_OLD };
                assert_eq!(found.are_many, count > few, "{changed}");
            }
        }
        let unsynced = Unsynced::default();
        for changed in [0; FEW + 1] {
            unsynced.found("name", changed).unwrap();
        }
        unsynced.found("name", now).unwrap();
        assert!(unsynced.found.lock().are_many);
    }
}
