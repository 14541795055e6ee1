//! Restores into a directory: all licences are written beside the store's own first, in one hidden
//! folder, and moved into their places once the whole backup is found right.

pub mod publishing;

use super::comparison::{Existing, compare};
use super::twins::{Twins, finds_any_case};
use super::unsynced::Unsynced;
use crate::error::{Access, Error, Outcome, Result, words};
use crate::license::name;
use crate::store::directory::rights::{Rights, fill, give_new, make_below};
use crate::store::patience::{GoOn, PATIENCE};
use crate::store::placed::Placed;
use crate::store::staging::Staging;
use crate::sys::anchored_path::AnchoredPath;
use crate::sys::files::{Dir, Errno, Facts, File, Protection, Room, check_name};
use crate::sys::patience::while_in_use;

/// A directory while it is restored into.
pub struct Restore {
    path: AnchoredPath,
    /// The store's folder, none where it does not exist and is not to be made.
    root: Option<Dir>,
    staging: Option<Staging>,
    /// Where the store does not exist and is not to be made: the folder that it would be in.
    above: Option<Dir>,
    /// The device of the store's folder, and its mount: nothing can be moved to another.
    place: Option<(u64, Option<u64>)>,
    /// The file system does not tell cases apart.
    folds_case: bool,
    twins: Twins,
    replace: bool,
    /// The folder was made for this restore.
    is_new: bool,
    /// So it was, also when it is not to be removed any more.
    was_made: bool,
    unsynced: Unsynced,
}

/// The reason why a name can't be had where another name of the backup is the same.
const TAKEN: &str = "takes this name for another name of the backup";

/// The folders that a worker used last; licences come folder by folder.
#[derive(Default)]
pub struct Cursor {
    folder: Option<String>,
    store: Option<Dir>,
    /// Other names may be the same here.
    folds_case: bool,
    ground: Option<Ground>,
    staging: Option<Staged>,
    content: Vec<u8>,
}

/// A folder of the store that licences can be moved to, as far as is known before it is tried.
struct Ground {
    protection: Option<Protection>,
}

/// A folder of the staging, and the facts of the folder whose owner gets the new files in it.
struct Staged {
    folder: Dir,
    of: Facts,
}

impl Restore {
    pub fn open(path: &AnchoredPath, replace: bool, dry_run: bool, go_on: GoOn) -> Result<Restore> {
        let failed = |errno| Error::directory("StorePath", path, errno);
        let not_made = |errno| {
            let doing = format_args!("make the store '{}'", path.display());
            Error::system(Access::Write, doing, errno)
        };
        let mut above = None;
        let (root, is_new) = match Dir::open(path) {
            Err(Errno::NOENT) if dry_run => {
                // The folder would be made, and so its parent must be there.
                let parent = Dir::open(&path.parent()).map_err(failed)?;
                parent.check_writable().map_err(not_made)?;
                above = Some(parent);
                (None, false)
            }
            Err(Errno::NOENT) => {
                let is_new = match Dir::make(path) {
                    Ok(()) => true,
                    // Another restore was faster.
                    Err(Errno::EXIST) => false,
                    Err(Errno::NOENT) => return Err(failed(Errno::NOENT)),
                    Err(errno) => return Err(not_made(errno)),
                };
                let root = Dir::open(path).map_err(failed)?;
                if is_new {
                    let given = give_new(&root, path).inspect_err(|_| {
                        let _ = Dir::remove(path);
                    });
                    given.map_err(not_made)?;
                }
                (Some(root), is_new)
            }
            opened => (Some(opened.map_err(failed)?), false),
        };
        let place = root.as_ref().map(place_of).transpose().map_err(failed)?;
        let mut restore = Restore {
            path: path.clone(),
            root,
            staging: None,
            above,
            place,
            folds_case: false,
            twins: Twins::default(),
            replace,
            is_new,
            was_made: is_new,
            unsynced: Unsynced::default(),
        };
        if dry_run {
            restore.rehearse()?;
        } else {
            let staging = restore.stage(go_on)?;
            let folds_case = staging.folds_case();
            let failed = |errno| restore.write_error("make a file in the store", "", errno);
            restore.folds_case = folds_case.map_err(failed)?;
            restore.staging = Some(staging);
        }
        Ok(restore)
    }

    /// Finds out what can be known of the store's folder without writing to it.
    fn rehearse(&mut self) -> Result<()> {
        let failed = |errno| self.write_error("make a folder in the store", "", errno);
        if let Some(root) = &self.root {
            self.check_protection(root)?;
            root.check_writable().map_err(failed)?;
        }
        let near = [self.root.as_ref(), self.above.as_ref()];
        let folds_case = near.into_iter().flatten().find_map(finds_any_case);
        self.folds_case = folds_case.unwrap_or(false);
        Ok(())
    }

    /// Refuses the store's folder if it is protected: the hidden folder could not be removed.
    fn check_protection(&self, root: &Dir) -> Result<()> {
        let protection = root.protection();
        protection.map_or(Ok(()), |protection| Err(self.protected("", protection)))
    }

    /// Makes the hidden folder. Finds out, before any licence is written, whether one can be moved
    /// to its place, and without the risk of replacing another, unless it may replace one.
    fn stage(&self, go_on: GoOn) -> Result<Staging> {
        let failed = |errno| self.write_error("make a folder in the store", "", errno);
        let root = self.root.as_ref().ok_or_else(|| failed(Errno::NOENT))?;
        self.check_protection(root)?;
        let place = root.folder("").map_err(failed)?;
        let staging = Staging::make(place, go_on).map_err(failed)?;
        if staging.can_move(self.replace).map_err(failed)? {
            return Ok(staging);
        }
        let path = self.path.display();
        let sentence = match self.replace {
            true => format!(
                "A sandbox denies moving files between the folders of '{path}'. Allow it, or restore outside of the \
                 sandbox."
            ),
            false => format!(
                "The file system of '{path}' can't name a file without the risk of replacing another, or a sandbox \
                 denies this or moving files between folders. Ask for the store's licences to be replaced, or \
                 restore into a store on another file system, or outside of the sandbox."
            ),
        };
        Err(Error::new(Outcome::NotSupported, sentence))
    }

    pub fn path(&self) -> &AnchoredPath {
        &self.path
    }

    /// Gives the folder where licences are written first, and its room, where that is known.
    pub fn room(&self) -> Option<(&Dir, Room)> {
        let staging = self.staging.as_ref().map(|staging| &staging.folder);
        let folder = staging.or(self.above.as_ref()).or(self.root.as_ref())?;
        let mut room = folder.room()?;
        // What is to be made before the first licence.
        let folders = u64::from(self.staging.is_none()) + u64::from(self.above.is_some());
        room.files = room.files.map(|files| files.saturating_sub(folders));
        Some((folder, room))
    }

    /// Tells whether the store is sure to have no file of this name. `last` is the folder that was
    /// asked last.
    pub fn lacks(&self, last: &mut Option<(String, Option<Dir>)>, name: &str) -> bool {
        let (folder, file) = name::split(name);
        if last.as_ref().is_none_or(|(last, _)| last != folder) {
            *last = match self.root.as_ref().map(|root| root.folder(folder)) {
                Some(Ok(found)) => Some((folder.to_owned(), Some(found))),
                Some(Err(Errno::NOENT)) | None => Some((folder.to_owned(), None)),
                Some(Err(_)) => return false,
            };
        }
        match last {
            Some((_, Some(found))) => found.facts_of(file).err() == Some(Errno::NOENT),
            Some((_, None)) => true,
            None => false,
        }
    }

    /// Compares the licence with the store's file of its name, and writes it beside the store where
    /// it is to be restored. A file of the store that is in use is waited for, which `go_on` may end.
    /// Any thread may call this, each with its own cursor.
    pub fn place(
        &self,
        cursor: &mut Cursor,
        name: &str,
        content: &[u8],
        modified: i64,
        go_on: impl Fn() -> Result<()>,
    ) -> Result<Placed> {
        let (folder, file) = name::split(name);
        if cursor.folder.as_deref() != Some(folder) {
            cursor.folder = None;
            cursor.store = self.store_folder(folder)?;
            cursor.folds_case =
                self.folds_case || cursor.store.as_ref().is_some_and(Dir::folds_case);
            if cursor.folds_case {
                self.check_folder_twins(self.root.as_ref(), name)?;
            }
            (cursor.ground, cursor.staging) = (None, None);
            cursor.folder = Some(folder.to_owned());
        }
        let existing = match &cursor.store {
            None => None,
            Some(directory) => {
                let buffer = &mut cursor.content;
                let compare = || compare(directory, file, content, buffer);
                let found = while_in_use(PATIENCE, go_on, compare)?;
                found.map_err(|errno| self.read_error(name, errno))?
            }
        };
        let (is_same, old) = match existing {
            None => (None, None),
            Some(Existing::Same(changed)) => {
                self.unsynced.found(name, changed)?;
                (Some(true), None)
            }
            Some(Existing::Other(file)) => (Some(false), Some(file)),
            Some(Existing::NoFile) => return Err(self.in_the_way(name)),
        };
        if cursor.folds_case {
            self.check_twins(cursor.store.as_ref(), name)?;
        }
        let placed = Placed::by(is_same, self.replace);
        if placed != Placed::Written {
            return Ok(placed);
        }
        if name.split('/').any(|part| check_name(part).is_err()) {
            return Err(self.bad_name(name, "can't have this name"));
        }
        self.check_ground(cursor, name, old.as_ref())?;
        if let Some(staging) = &self.staging {
            self.write_beside(staging, cursor, name, content, modified, old.as_ref())?;
        }
        Ok(Placed::Written)
    }

    /// Refuses the licence `name` where the file system takes one of its folders in `root` for
    /// another folder of the backup.
    fn check_folder_twins(&self, root: Option<&Dir>, name: &str) -> Result<()> {
        for folder in name::folders(name) {
            let found = root.and_then(|root| root.folder(folder).ok());
            let facts = found.and_then(|found| found.facts().ok());
            if self.twins.has_one_of(folder)? || self.is_shared(folder, facts)? {
                return Err(self.bad_name(name, TAKEN));
            }
        }
        Ok(())
    }

    /// Refuses the licence `name` where the file system takes its file in the store's `folder` for
    /// that of another licence of the backup.
    fn check_twins(&self, folder: Option<&Dir>, name: &str) -> Result<()> {
        let (_, file) = name::split(name);
        let found = folder.filter(|folder| !folder.has_links(file));
        let facts = found.and_then(|folder| folder.facts_of(file).ok());
        match self.twins.has_one_of(name)? || self.is_shared(name, facts)? {
            true => Err(self.bad_name(name, TAKEN)),
            false => Ok(()),
        }
    }

    fn is_shared(&self, name: &str, facts: Option<Facts>) -> Result<bool> {
        let shared = facts.map(|facts| self.twins.share(name, facts.identity));
        Ok(shared.transpose()?.unwrap_or(false))
    }

    /// Refuses to write the licence `name`, or to replace the store's file `old` of this name, where
    /// it is known before that this can't be.
    fn check_ground(&self, cursor: &mut Cursor, name: &str, old: Option<&File>) -> Result<()> {
        let (folder, _) = name::split(name);
        let ground = match &cursor.ground {
            Some(ground) => ground,
            None => {
                let protection = cursor.store.as_ref().and_then(Dir::protection);
                if let Some(immutable @ Protection::Immutable) = protection {
                    return Err(self.protected(folder, immutable));
                }
                if self.staging.is_none() {
                    self.check_writable(name)?;
                }
                cursor.ground.insert(Ground { protection })
            }
        };
        let Some(old) = old else { return Ok(()) };
        if let Some(protection) = ground.protection {
            return Err(self.protected(folder, protection));
        }
        old.protection().map_or(Ok(()), |protection| {
            let (doing, path) = ("replace a licence", self.path.join(name));
            Err(Error::protected(doing, "its file", &path, protection))
        })
    }

    /// Refuses a licence if this user may not write to the folder of the store that it would be
    /// moved to, or that the first missing one of its folders would be moved to.
    fn check_writable(&self, name: &str) -> Result<()> {
        let Some(root) = &self.root else {
            return Ok(());
        };
        let mut folder = name::split(name).0;
        let found = loop {
            match root.folder(folder) {
                Err(Errno::NOENT) if !folder.is_empty() => folder = name::split(folder).0,
                found => break found,
            }
        };
        found
            .and_then(|found| found.check_writable())
            .map_err(|errno| {
                let error = self.write_error("write the licence", name, errno);
                error.of_one(words(errno))
            })
    }

    /// Writes the licence into the `staging`, from where it is to replace the store's file `old`, if
    /// there is one.
    fn write_beside(
        &self,
        staging: &Staging,
        cursor: &mut Cursor,
        name: &str,
        content: &[u8],
        modified: i64,
        old: Option<&File>,
    ) -> Result<()> {
        let (folder, file) = name::split(name);
        // The backup has no name twice, and the names are good: so the fault is this store's.
        let failed = |errno| match errno {
            Errno::EXIST | Errno::NOTDIR | Errno::ISDIR => self.bad_name(name, TAKEN),
            // Its folder is there: some file systems say so of a name that they can't have.
            Errno::NOENT | Errno::INVAL | Errno::NAMETOOLONG | Errno::ILSEQ => {
                self.bad_name(name, "can't have this name")
            }
            errno => self
                .write_error("write the licence", name, errno)
                .of_one(words(errno)),
        };
        let staged = match &mut cursor.staging {
            Some(staged) => staged,
            none => {
                let staged = self.stage_folder(staging, cursor.store.as_ref(), folder, failed)?;
                if cursor.folds_case {
                    self.check_folder_twins(Some(&staging.folder), name)?;
                }
                none.insert(staged)
            }
        };
        let new = staged.folder.create(file).map_err(failed)?;
        let rights = match old {
            Some(old) => Rights::Of(old),
            None => Rights::New(&staged.of),
        };
        if let Err(errno) = fill(&new, content, modified, rights, staging.masked) {
            drop(new);
            // Else the part that was written would be moved to its place.
            let removed = staged.folder.remove_file(file);
            let error = self.write_error("write the licence", name, errno);
            return Err(if removed.is_ok() {
                error.of_one(words(errno))
            } else {
                error
            });
        }
        self.unsynced.wrote(name)
    }

    /// Opens the folder of the staging in which licences wait for `store`'s folder of this name, if
    /// there is one, and makes it.
    fn stage_folder(
        &self,
        staging: &Staging,
        store: Option<&Dir>,
        folder: &str,
        failed: impl Fn(Errno) -> Error,
    ) -> Result<Staged> {
        let root = self.root.as_ref().ok_or_else(|| failed(Errno::NOENT))?;
        let staged = make_below(&staging.folder, root, folder, staging.masked).map_err(&failed)?;
        let of = store.unwrap_or(&staged).facts().map_err(&failed)?;
        Ok(Staged { folder: staged, of })
    }

    /// Makes the error of a folder of the store that is protected.
    fn protected(&self, folder: &str, protection: Protection) -> Error {
        let path = match folder {
            "" => self.path.clone(),
            folder => self.path.join(folder),
        };
        let doing = "restore licences into the store";
        Error::protected(doing, "its folder", &path, protection)
    }

    /// Gives the store's folder, none if there is none.
    fn store_folder(&self, folder: &str) -> Result<Option<Dir>> {
        let Some(root) = &self.root else {
            return Ok(None);
        };
        match root.folder(folder) {
            Ok(directory) => self
                .check_device(folder, &directory)
                .map(|()| Some(directory)),
            Err(Errno::NOENT) => Ok(None),
            Err(Errno::NOTDIR | Errno::LOOP) => Err(self.in_the_way(folder)),
            Err(errno) => Err(self.read_error(folder, errno)),
        }
    }

    /// Refuses a folder on another file system or mount: nothing can be moved there from the store's.
    fn check_device(&self, folder: &str, directory: &Dir) -> Result<()> {
        let place = place_of(directory).map_err(|errno| self.read_error(folder, errno))?;
        let is_same = self.place.is_some_and(|(device, mount)| {
            let mounts = mount.zip(place.1);
            device == place.0 && mounts.is_none_or(|(own, its)| own == its)
        });
        if is_same {
            return Ok(());
        }
        let sentence = format!(
            "The folder '{}' is on another file system, or in another mount, than the store that it is in. \
             Restore the backup into a store on one file system.",
            self.path.join(folder).display()
        );
        let error = Error::new(Outcome::NotSupported, sentence);
        Err(error.of_one("its folder is on another file system than the store"))
    }

    /// Removes the staged folders of the licence `name`, which was not placed, if nothing else is in
    /// them: they would be moved into the store.
    pub fn forget(&self, name: &str) {
        let Some(staging) = &self.staging else { return };
        let mut folder = name::split(name).0;
        while !folder.is_empty() {
            let (above, last) = name::split(folder);
            let removed = staging.folder.folder(above);
            if removed.and_then(|above| above.remove_folder(last)).is_err() {
                return;
            }
            folder = above;
        }
    }

    /// Brings to the disk what was written, before it is moved into its place.
    pub fn sync_written(&self) -> Result<()> {
        let places = self.staging.as_ref().zip(self.root.as_ref());
        let synced =
            places.map(|(staging, root)| self.unsynced.sync_written(&staging.folder, root));
        self.synced(synced.unwrap_or(Ok(())))
    }

    /// Brings to the disk what was moved into its place, and what was there as it is.
    pub fn sync(&self) -> Result<()> {
        let root = self.root.as_ref();
        let synced = root.map(|root| self.unsynced.sync_store(root, &self.path, self.was_made));
        self.synced(synced.unwrap_or(Ok(())))
    }

    fn synced(&self, synced: Result<(), Errno>) -> Result<()> {
        let doing = "bring to the disk what is in the store";
        synced.map_err(|errno| self.write_error(doing, "", errno))
    }

    /// Makes the error of a file system that has lost so many licences before they could be moved.
    pub fn lost(&self, licenses: u64) -> Error {
        let doing = format_args!("restore into the store '{}'", self.path.display());
        let reason = format_args!("its file system has lost {licenses} licences that were written");
        Error::reasoned(Outcome::WriteFault, doing, reason)
    }

    fn bad_name(&self, name: &str, why: &str) -> Error {
        let sentence = format!(
            "Cannot write the licence '{}': the file system {why}. Restore into a store on another file system.",
            self.path.join(name).display()
        );
        Error::new(Outcome::InvalidName, sentence).of_one(format_args!("the file system {why}"))
    }

    fn in_the_way(&self, name: &str) -> Error {
        let sentence = format!(
            "The store has something else where the backup has a licence or folder, at '{}': a folder, \
             a file, a link or a special file. Move it away and try again.",
            self.path.join(name).display()
        );
        let error = Error::new(Outcome::InvalidName, sentence);
        error.of_one("the store has something else in its place")
    }

    fn read_error(&self, name: &str, errno: Errno) -> Error {
        let error = self.error(Access::Read, "read", name, errno);
        error.of_one(words(errno))
    }

    fn write_error(&self, doing: &str, name: &str, errno: Errno) -> Error {
        self.error(Access::Write, doing, name, errno)
    }

    /// Makes an error about `name`, which is in the store, or empty for the store itself.
    fn error(&self, access: Access, doing: &str, name: &str, errno: Errno) -> Error {
        let path = if name.is_empty() {
            self.path.clone()
        } else {
            self.path.join(name)
        };
        Error::system(access, format_args!("{doing} '{}'", path.display()), errno)
    }
}

impl Drop for Restore {
    fn drop(&mut self) {
        self.staging = None;
        if self.is_new {
            let _ = Dir::remove(&self.path);
        }
    }
}

/// Gives the device of a folder, and its mount where that is known.
fn place_of(folder: &Dir) -> Result<(u64, Option<u64>), Errno> {
    Ok((folder.facts()?.identity.device, folder.mount()))
}
