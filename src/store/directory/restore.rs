//! Restores into a directory: all licences are written beside the store's own first, in one hidden
//! folder, and moved into their places once the whole backup is found right.

use super::unsynced::Unsynced;
use crate::buffer::sized;
use crate::error::{Access, Error, Outcome, Result, words};
use crate::license::name;
use crate::store::directory::rights::{Rights, fill, give_new, keep_up, make_below};
use crate::store::directory::twins::Twins;
use crate::store::patience::{GoOn, PATIENCE};
use crate::store::placed::Placed;
use crate::store::staging::{Staging, move_new};
use crate::store::tree;
use crate::sys::anchored_path::AnchoredPath;
use crate::sys::clock;
use crate::sys::files::{Dir, Errno, Facts, File, Kind, Protection, Room, check_name};
use crate::sys::patience::while_in_use;

/// A directory while it is restored into.
pub struct Restore {
    path: AnchoredPath,
    /// The store's folder, none where it does not exist and is not to be made.
    root: Option<Dir>,
    staging: Option<Staging>,
    /// Where the file system does not tell cases apart.
    twins: Option<Twins>,
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
    staging: Option<Staged>,
    content: Vec<u8>,
}

/// A folder of the staging, and the facts of the folder whose owner gets the new files in it.
struct Staged {
    folder: Dir,
    of: Facts,
    /// That of the store's folder.
    protection: Option<Protection>,
}

impl Restore {
    pub fn open(path: &AnchoredPath, replace: bool, dry_run: bool, go_on: GoOn) -> Result<Restore> {
        let failed = |errno| Error::directory("StorePath", path, errno);
        let not_made = |errno| {
            let doing = format_args!("make the store '{}'", path.display());
            Error::system(Access::Write, doing, errno)
        };
        let (root, is_new) = match Dir::open(path) {
            Err(Errno::NOENT) if dry_run => {
                // The folder would be made, and so its parent must be there.
                Dir::open(&path.parent()).map_err(failed)?;
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
        let mut restore = Restore {
            path: path.clone(),
            root,
            staging: None,
            twins: None,
            replace,
            is_new,
            was_made: is_new,
            unsynced: Unsynced::default(),
        };
        if !dry_run {
            let staging = restore.stage(go_on)?;
            let folds_case = staging.folds_case();
            let failed = |errno| restore.write_error("make a file in the store", "", errno);
            restore.twins = folds_case.map_err(failed)?.then(Twins::default);
            restore.staging = Some(staging);
        }
        Ok(restore)
    }

    /// Makes the hidden folder. Finds out, before any licence is written, whether one can be moved
    /// to its place, and without the risk of replacing another, unless it may replace one.
    fn stage(&self, go_on: GoOn) -> Result<Staging> {
        let failed = |errno| self.write_error("make a folder in the store", "", errno);
        let root = self.root.as_ref().ok_or_else(|| failed(Errno::NOENT))?;
        // The hidden folder could not be removed.
        if let Some(protection) = root.protection() {
            return Err(self.protected("", protection));
        }
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
        let folder = &self.staging.as_ref()?.folder;
        Some((folder, folder.room()?))
    }

    /// Tells whether the store is sure to have no file of this name. `last` is the folder that was
    /// asked last.
    pub fn lacks(&self, last: &mut Option<(String, Option<Dir>)>, name: &str) -> bool {
        let (folder, file) = name::split(name);
        if last.as_ref().is_none_or(|(last, _)| last != folder) {
            *last = match self.root.as_ref().map(|root| root.folder(folder)) {
                Some(Ok(found)) => Some((folder.to_owned(), Some(found))),
                Some(Err(Errno::NOENT)) => Some((folder.to_owned(), None)),
                _ => return false,
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
            cursor.staging = None;
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
        // One of them would be taken for the other, and replace it or not be restored.
        if let Some(twins) = &self.twins
            && twins.has_one_of(name)?
        {
            return Err(self.bad_name(name, TAKEN));
        }
        let placed = Placed::by(is_same, self.replace);
        if placed != Placed::Written {
            return Ok(placed);
        }
        if name.split('/').any(|part| check_name(part).is_err()) {
            return Err(self.bad_name(name, "can't have this name"));
        }
        if let Some(staging) = &self.staging {
            self.write_beside(staging, cursor, name, content, modified, old.as_ref())?;
        }
        Ok(Placed::Written)
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
                none.insert(self.stage_folder(staging, cursor.store.as_ref(), folder, failed)?)
            }
        };
        if let Some(old) = old {
            self.check_replaceable(old, name, staged)?;
        }
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
    /// there is one, and makes it. Finds out whether they can be moved there.
    fn stage_folder(
        &self,
        staging: &Staging,
        store: Option<&Dir>,
        folder: &str,
        failed: impl Fn(Errno) -> Error,
    ) -> Result<Staged> {
        let protection = store.and_then(Dir::protection);
        if let Some(immutable @ Protection::Immutable) = protection {
            return Err(self.protected(folder, immutable));
        }
        let root = self.root.as_ref().ok_or_else(|| failed(Errno::NOENT))?;
        let staged = make_below(&staging.folder, root, folder, staging.masked).map_err(&failed)?;
        let of = store.unwrap_or(&staged).facts().map_err(&failed)?;
        Ok(Staged {
            folder: staged,
            of,
            protection,
        })
    }

    /// Refuses to replace the store's file `old` of this name, if it or its folder is protected.
    fn check_replaceable(&self, old: &File, name: &str, staged: &Staged) -> Result<()> {
        if let Some(protection) = staged.protection {
            return Err(self.protected(name::split(name).0, protection));
        }
        old.protection().map_or(Ok(()), |protection| {
            let (doing, path) = ("replace a licence", self.path.join(name));
            Err(Error::protected(doing, "its file", &path, protection))
        })
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

    /// Refuses a folder on another file system: nothing can be moved there from the store's.
    fn check_device(&self, folder: &str, directory: &Dir) -> Result<()> {
        let device = directory
            .facts()
            .map_err(|errno| self.read_error(folder, errno))?
            .identity
            .device;
        if self
            .staging
            .as_ref()
            .is_none_or(|staging| staging.device == device)
        {
            return Ok(());
        }
        let sentence = format!(
            "The folder '{}' is on another file system than the store that it is in. Restore the backup \
             into a store on one file system.",
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

    /// Moves all staged licences into their places. `tell` learns of everything that has been
    /// moved, of licences that another has put there meanwhile, and of those that can't be moved; it
    /// may end the move.
    pub fn publish(&mut self, tell: &mut dyn FnMut(Published) -> Result<()>) -> Result<()> {
        let (Some(root), Some(staging)) = (&self.root, &self.staging) else {
            return Ok(());
        };
        self.is_new = false;
        let mut folders = vec![String::new()];
        while let Some(folder) = folders.pop() {
            let failed = |errno| self.write_error("move a licence to the folder", &folder, errno);
            let from = staging.folder.folder(&folder).map_err(failed)?;
            let into = match root.folder(&folder) {
                Err(errno) if !folder.is_empty() => {
                    self.fail_below(&folder, &failed(errno).of_one(words(errno)), tell)?;
                    continue;
                }
                opened => opened.map_err(failed)?,
            };
            let names = tree::names(&from).map_err(failed)?;
            // What was tried here may have come back, see [`Staging::can_move`].
            let licenses = names.into_iter().filter(|(name, _)| !name.starts_with('.'));
            for (name, kind) in licenses {
                let whole = tree::join(&folder, &name);
                if kind == Kind::Folder {
                    match move_new(&from, &name, &into, &name, true) {
                        Ok(()) => tell(Published::Folder(&whole))?,
                        Err(Errno::EXIST | Errno::NOTEMPTY) => {
                            folders.try_reserve(1)?;
                            folders.push(whole);
                        }
                        // Something in it is open, and keeps it from being moved as a whole.
                        Err(Errno::TXTBSY) => {
                            let made = into.make_folder(&name);
                            made.map_err(|errno| {
                                self.write_error("make the folder", &whole, errno)
                            })?;
                            folders.try_reserve(1)?;
                            folders.push(whole);
                        }
                        Err(errno) => {
                            let error = self.write_error("make the folder", &whole, errno);
                            self.fail_below(&whole, &error.of_one(words(errno)), tell)?;
                        }
                    }
                    continue;
                }
                tell(match self.publish_file(&from, &name, &into, &whole) {
                    Ok(Some(size)) => Published::File(size),
                    Ok(None) => Published::Kept(&whole),
                    Err(errno) => {
                        let error = self.write_error("write the licence", &whole, errno);
                        Published::Failed(&whole, error.of_one(words(errno)))
                    }
                })?;
            }
            into.hand_over().map_err(failed)?;
        }
        Ok(())
    }

    /// Tells of each licence in the staged `folder`, which can't be moved because of `error`.
    fn fail_below(
        &self,
        folder: &str,
        error: &Error,
        tell: &mut dyn FnMut(Published) -> Result<()>,
    ) -> Result<()> {
        let Some(staging) = &self.staging else {
            return Ok(());
        };
        let failed = |errno| self.write_error("move the licences of the folder", folder, errno);
        let mut folders = vec![folder.to_owned()];
        while let Some(folder) = folders.pop() {
            let staged = staging.folder.folder(&folder).map_err(failed)?;
            for (name, kind) in tree::names(&staged).map_err(failed)? {
                let whole = tree::join(&folder, &name);
                if kind == Kind::Folder {
                    folders.try_reserve(1)?;
                    folders.push(whole);
                } else {
                    tell(Published::Failed(&whole, error.clone()))?;
                }
            }
        }
        Ok(())
    }

    /// Moves a licence into its place and gives its size; none where another version has come there
    /// and is kept.
    fn publish_file(
        &self,
        from: &Dir,
        name: &str,
        into: &Dir,
        whole: &str,
    ) -> Result<Option<u64>, Errno> {
        let new = from.facts_of(name)?;
        if self.replace {
            keep_up(from, name, &new, into)?;
            from.rename(name, into, name)?;
            return Ok(Some(new.size));
        }
        match move_new(from, name, into, name, false) {
            Err(Errno::EXIST) if !same(from, into, name)? => return Ok(None),
            // Another has put it there, who may not have waited for the disk.
            Err(Errno::EXIST) => {
                let found = self.unsynced.found(whole, clock::now());
                found.map_err(|_| Errno::NOMEM)?;
            }
            moved => moved?,
        }
        Ok(Some(new.size))
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

/// News of the move of a licence or folder.
pub enum Published<'a> {
    /// A licence of this size.
    File(u64),
    /// A folder and everything below it.
    Folder(&'a str),
    /// A licence that was not moved: another version has come to the store meanwhile, and is kept.
    Kept(&'a str),
    /// A licence that could not be moved, and why.
    Failed(&'a str, Error),
}

impl Drop for Restore {
    fn drop(&mut self) {
        self.staging = None;
        if self.is_new {
            let _ = Dir::remove(&self.path);
        }
    }
}

enum Existing {
    /// The same content, in a file that has changed last then.
    Same(i64),
    Other(File),
    /// A folder, a link or a special file.
    NoFile,
}

/// Compares the file of this name in `directory` with a licence's content.
fn compare(
    directory: &Dir,
    name: &str,
    content: &[u8],
    buffer: &mut Vec<u8>,
) -> Result<Option<Existing>, Errno> {
    let file = match directory.file(name) {
        Err(Errno::NOENT) => return Ok(None),
        Err(Errno::LOOP | Errno::NXIO) => return Ok(Some(Existing::NoFile)),
        file => file?,
    };
    let facts = file.facts()?;
    if facts.kind != Kind::File {
        return Ok(Some(Existing::NoFile));
    }
    if facts.size == content.len() as u64 {
        // One more byte shows a file that grows.
        let read = file.read_full(sized(buffer, content.len() + 1).map_err(|_| Errno::NOMEM)?)?;
        if buffer.get(..read) == Some(content) {
            return Ok(Some(Existing::Same(facts.changed)));
        }
    }
    Ok(Some(Existing::Other(file)))
}

/// Tells whether `file` is the same in both folders.
fn same(from: &Dir, into: &Dir, file: &str) -> Result<bool, Errno> {
    let staged = from.file(file)?;
    let mut content = Vec::new();
    let size = staged.facts()?.size as usize;
    let read = staged.read_full(sized(&mut content, size).map_err(|_| Errno::NOMEM)?)?;
    content.truncate(read);
    Ok(matches!(
        compare(into, file, &content, &mut Vec::new())?,
        Some(Existing::Same(_))
    ))
}
