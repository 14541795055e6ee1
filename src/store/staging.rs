//! A hidden folder beside the restored licences: all is made in it first, and moved to its place
//! when it is right.
//!
//! The user of such a folder holds a lock on it, so that a folder left by a killed restore can be
//! told from one in use.

use std::ffi::OsStr;

use crate::random::{HIDDEN_RESTORE, hidden_name, is_hidden_name};
use crate::store::patience::GoOn;
use crate::store::tree;
use crate::sys::files::{Dir, Errno, Lock, is_unavailable};

/// A hidden folder of ours. When it is dropped, it is removed with all that is left in it.
pub struct Staging {
    /// The folder that it is in.
    pub place: Dir,
    pub name: String,
    pub folder: Dir,
    /// The process's umask keeps rights from the owner.
    pub masked: bool,
    /// Fails where the operation has been stopped.
    go_on: GoOn,
}

/// Files that who stops an operation waits for to be removed. The rest of a larger folder is left to
/// the next restore.
const STOPPED_MOST: usize = 10_000;

impl Staging {
    /// Makes a hidden folder in `place`, and removes those that others have left there.
    pub fn make(place: Dir, go_on: GoOn) -> Result<Staging, Errno> {
        remove_stale(&place, &go_on);
        loop {
            let name = hidden_name(HIDDEN_RESTORE);
            match place.make_folder(&name) {
                Err(Errno::EXIST) => continue,
                made => made?,
            }
            let held = hold(&place, &name).inspect_err(|_| {
                let _ = place.remove_folder(&name);
            })?;
            if let Some((folder, masked)) = held {
                // Who may read the licences is the choice of their own folders.
                folder.drop_default_list();
                return Ok(Staging {
                    place,
                    name,
                    folder,
                    masked,
                    go_on,
                });
            }
        }
    }

    /// Finds out whether files made here can be moved to their places, where they must not
    /// `replace` others without the risk of that. What is made for that has names that no licence
    /// has: where a file is made when it is closed, one that was removed may come back.
    pub fn can_move(&self, replace: bool) -> Result<bool, Errno> {
        let (name, folder) = (".file", ".folder");
        self.folder.create(name)?;
        self.folder.make_folder(folder)?;
        if self.masked {
            self.folder.unmask(folder)?;
        }
        let into = self.folder.folder(folder)?;
        let moved = match replace {
            true => self.folder.rename(name, &into, name),
            false => move_new(&self.folder, name, &into, name, false),
        };
        match moved {
            // On one file system only a sandbox says that the folders are on two: Landlock, to who
            // may not move files between folders.
            Err(errno) if errno == Errno::XDEV || is_unavailable(errno) => return Ok(false),
            Err(Errno::INVAL | Errno::MLINK) if !replace => return Ok(false),
            moved => moved?,
        }
        into.remove_file(name)?;
        self.folder.remove_folder(folder).map(|()| true)
    }

    /// Finds out whether names that differ in case alone are one name here.
    pub fn folds_case(&self) -> Result<bool, Errno> {
        self.folder.create(".file")?;
        let is_found = self.folder.facts_of(".FILE").is_ok();
        self.folder.remove_file(".file")?;
        Ok(is_found)
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        let mut left = STOPPED_MOST;
        let mut go_on = || match (self.go_on)() {
            Ok(()) => Ok(()),
            Err(_) => {
                left = left.checked_sub(1).ok_or(Errno::WOULDBLOCK)?;
                Ok(())
            }
        };
        let _ = tree::remove(&self.place, &self.name, &mut go_on);
    }
}

/// Opens the new folder `name` and tells whether the umask keeps rights from its owner. None means
/// that another restore has taken it for left behind, as it may before it is locked.
fn hold(place: &Dir, name: &str) -> Result<Option<(Dir, bool)>, Errno> {
    // A umask may take rights from the owner too; then each file and folder is given its rights.
    let masked = place.facts_of(name).is_ok_and(|made| made.is_masked());
    if masked {
        place.unmask(name)?;
    }
    let folder = match place.folder(name) {
        Err(Errno::NOENT) => return Ok(None),
        folder => folder?,
    };
    let is_ours = folder.try_lock()? != Lock::Others && place.facts_of(name).is_ok();
    Ok(is_ours.then_some((folder, masked)))
}

/// Removes the folders that killed and stopped restores of this user have left in `place`, as long
/// as `go_on` lets it: they may have much in them. One that can't be removed is no reason not to
/// restore.
pub fn remove_stale(place: &Dir, go_on: &GoOn) {
    let mut go_on = || go_on().map_err(|_| Errno::WOULDBLOCK);
    for name in hidden(place) {
        let Ok(folder) = place.folder(&name) else {
            continue;
        };
        if folder.is_own() && folder.try_lock() == Ok(Lock::Ours) {
            let _ = tree::remove(place, &name, &mut go_on);
        }
    }
}

/// Finds the names in `place` that this module has given.
fn hidden(place: &Dir) -> Vec<String> {
    let mut found = Vec::new();
    let _ = place.entries::<Errno>(|name, _, _| {
        let name = name
            .to_str()
            .ok()
            .filter(|name| is_hidden_name(name, HIDDEN_RESTORE));
        found.try_reserve(1).map_err(|_| Errno::NOMEM)?;
        found.extend(name.map(str::to_owned));
        Ok(())
    });
    found
}

/// Moves `name` to `to`, where nothing has that name.
pub fn move_new(
    from: &Dir,
    name: &str,
    into: &Dir,
    to: impl AsRef<OsStr>,
    is_folder: bool,
) -> Result<(), Errno> {
    let to = to.as_ref();
    let refused = match from.rename_new(name, into, to) {
        Ok(()) => return Ok(()),
        Err(errno) if errno != Errno::INVAL && !is_unavailable(errno) => return Err(errno),
        Err(errno) => errno,
    };
    // The file system does not know such a rename. A folder replaces only an empty one.
    if is_folder {
        return from.rename(name, into, to);
    }
    from.link_instead(name, into, to, refused)?;
    from.remove_file(name)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::error::Error;
    use crate::sys::anchored_path::AnchoredPath;
    use crate::sys::test_folder;

    #[test]
    fn who_stops_a_restore_waits_for_few_files_though_their_removal_has_begun() {
        let path = test_folder("staging");
        let place = || Dir::open(&AnchoredPath::now(&path)).unwrap();
        let removed = Arc::new(AtomicUsize::new(0));
        let asked = Arc::clone(&removed);
        const BEFORE: usize = 100;
        let go_on: GoOn = Arc::new(move || match asked.fetch_add(1, Ordering::Relaxed) {
            before if before < BEFORE => Ok(()),
            _ => Err(Error::canceled()),
        });
        let staging = Staging::make(place(), go_on).unwrap();
        let folder = path.join(&staging.name);
        for number in 0..BEFORE + STOPPED_MOST + 7 {
            std::fs::write(folder.join(number.to_string()), "").unwrap();
        }
        removed.store(0, Ordering::Relaxed);
        drop(staging);
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 7);
        // The next restore removes the rest. A child that another test has forked may still have the
        // folder open, and then it is not taken for left behind.
        let mut left = (0..1000).map(|_| {
            drop(Staging::make(place(), Arc::new(|| Ok(()))).unwrap());
            std::thread::sleep(std::time::Duration::from_millis(10));
            std::fs::read_dir(&path).unwrap().count()
        });
        assert!(left.any(|left| left == 0));
        std::fs::remove_dir_all(path).unwrap();
    }
}
