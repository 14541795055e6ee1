//! A backup in a directory of this machine: only here does one get its name.
//!
//! A new backup is written to a file without a name, brought to the disk, and named in one step. A
//! backup that replaces another gets a hidden name first and is renamed over the old one, which is
//! never written into. An empty file goes this way before, since a sandbox may deny it. Only the
//! backup that was there when the new one began is replaced; a lock on the directory is held for
//! the check and the rename. On file systems without unnamed files the file has a hidden name from
//! the start. The writer of a file with a hidden name holds a lock on it, so that a file left by a
//! killed process can be told from one that is being written.

use std::time::{Duration, Instant};

use super::FILE;
use crate::error::{Access, Error, Outcome, Result};
use crate::random::{hidden_name, is_hidden_name};
use crate::sys::anchored_path::AnchoredPath;
use crate::sys::files::{Dir, Errno, File, Held, Kind, Lock, facts_at, is_unavailable, user};

/// The time that is waited for another backup that is about to appear in the directory.
const PATIENCE: Duration = Duration::from_secs(5);

/// Tells whether something has a backup's name in the directory at `path`.
pub fn is_taken(path: &AnchoredPath) -> bool {
    Dir::open(path).is_ok_and(|directory| directory.facts_of(FILE).is_ok())
}

/// Makes the error of a backup that would have to replace another.
pub fn already_exists(path: &AnchoredPath) -> Error {
    let path = path.display();
    let sentence = format!(
        "There is a backup in '{path}' already, and it is kept. Ask for it to be replaced, or name another directory."
    );
    Error::new(Outcome::BackupExists, sentence)
}

/// Makes the error of a backup that would have to replace another than the one that was there.
fn replaced_meanwhile(path: &AnchoredPath) -> Error {
    let sentence = format!(
        "Another backup has come to '{}' while this one was made, and it is kept. Back up again to replace it.",
        path.display()
    );
    Error::new(Outcome::BackupExists, sentence)
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
            format!("'{shown}' is not a file, and so not a backup. Name another directory."),
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

/// The directory that a new backup goes to.
pub struct Destination {
    directory: Dir,
    path: AnchoredPath,
    pub replaces: Replaces,
}

/// The backup that a new one may replace.
#[derive(Debug)]
pub enum Replaces {
    None,
    /// The backup that was there when the new one began, if there was one.
    Seen(Option<Held>),
}

impl Replaces {
    pub fn has_one(&self) -> bool {
        matches!(self, Replaces::Seen(Some(_)))
    }
}

/// A backup that is being written. When it is dropped, it leaves nothing behind.
pub struct Draft<'t> {
    pub file: File,
    target: &'t Destination,
    name: Name,
}

enum Name {
    /// The file has no name, and can get one.
    None,
    /// The file has a hidden name; `exclusive` is the way to rename it without replacing a backup.
    Hidden { name: String, exclusive: Exclusive },
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Exclusive {
    Rename,
    Link,
    /// There is no way; one is needed only where no backup is to be replaced.
    No,
}

impl Destination {
    /// Opens the directory at `path` for a new backup, and removes the files that killed processes
    /// of this user have left there.
    pub fn open(path: &AnchoredPath, replaces: Replaces) -> Result<Destination> {
        let directory =
            Dir::open(path).map_err(|errno| Error::directory("BackupPath", path, errno))?;
        let target = Destination {
            directory,
            path: path.clone(),
            replaces,
        };
        target.remove_stale();
        Ok(target)
    }

    /// Locks the directory against other backups that are about to replace one there, as far as its
    /// file system has locks.
    fn lock(&self) -> Result<Dir> {
        let failed = |errno| self.error("write the backup", errno);
        let directory = self.directory.folder("").map_err(failed)?;
        let until = Instant::now() + PATIENCE;
        while directory.try_lock().map_err(failed)? == Lock::Others {
            if Instant::now() >= until {
                let doing = format!("replace the backup in '{}'", self.path.display());
                let reason = "its directory is locked";
                return Err(Error::reasoned(Outcome::LockViolation, doing, reason));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(directory)
    }

    /// Makes the error of an attempt to write the backup.
    fn error(&self, doing: &str, errno: Errno) -> Error {
        Error::system(
            Access::Write,
            format_args!("{doing} '{}/{FILE}'", self.path.display()),
            errno,
        )
    }

    /// Makes a file for the new backup, for this user alone from the first byte.
    pub fn draft(&self) -> Result<Draft<'_>> {
        let failed = |errno| self.error("create the backup", errno);
        let unnamed = match self.can_name_unnamed().map_err(failed)? {
            true => self.directory.create_unnamed().map_err(failed)?,
            false => None,
        };
        let (file, name) = match unnamed {
            Some(file) => (file, Name::None),
            None => {
                let (file, name) = self.create_hidden().map_err(failed)?;
                let exclusive = Exclusive::No;
                (file, Name::Hidden { name, exclusive })
            }
        };
        let mut draft = Draft {
            file,
            target: self,
            name,
        };
        draft.file.keep_private().map_err(failed)?;
        draft.file.try_lock().map_err(failed)?;
        match &self.replaces {
            Replaces::None => draft.find_exclusive_rename()?,
            // A backup that may replace another needs this only where there is none, or it goes
            // meanwhile; so a failure is no error here.
            Replaces::Seen(_) => {
                let _ = draft.find_exclusive_rename();
                if let Name::Hidden { name, .. } = &mut draft.name {
                    self.rename_hidden(name).map_err(failed)?;
                }
            }
        }
        Ok(draft)
    }

    /// Finds out with an empty file whether one without a name can get a backup's. The error is
    /// that of a rename, where a backup is to be replaced.
    fn can_name_unnamed(&self) -> Result<bool, Errno> {
        let Some(file) = self.directory.create_unnamed()? else {
            return Ok(false);
        };
        // With a name another process may take it for left behind until it is locked.
        file.try_lock()?;
        let Ok(mut name) = self.name_hidden(&file) else {
            return Ok(false);
        };
        let renamed = match self.replaces.has_one() {
            true => self.rename_hidden(&mut name),
            false => Ok(()),
        };
        let _ = self.directory.remove_file(&name);
        renamed.map(|()| true)
    }

    /// Gives the unnamed `file` a hidden name.
    fn name_hidden(&self, file: &File) -> Result<String, Errno> {
        loop {
            let name = hidden_name(HIDDEN);
            match self.directory.name_unnamed(file, &name) {
                Err(Errno::EXIST) => continue,
                done => return done.map(|()| name),
            }
        }
    }

    /// Gives the file with the hidden name `name` another, as it will be renamed over a backup.
    fn rename_hidden(&self, name: &mut String) -> Result<(), Errno> {
        let other = hidden_name(HIDDEN);
        self.directory.rename(name, &self.directory, &other)?;
        *name = other;
        Ok(())
    }

    /// Tells whether the backup that was seen, `file`, is still there, once that is on the disk;
    /// false where there is none any more.
    pub fn keeps(&self, file: &File) -> Result<bool> {
        let failed = |errno| self.error("keep the backup", errno);
        file.sync().map_err(failed)?;
        let _lock = self.lock()?;
        match (self.directory.facts_of(FILE), &self.replaces) {
            (Err(Errno::NOENT), _) => return Ok(false),
            (Ok(there), Replaces::Seen(Some(seen))) if there.identity == seen.identity => {}
            (Ok(_), _) => return Err(replaced_meanwhile(&self.path)),
            (Err(errno), _) => return Err(failed(errno)),
        }
        self.directory
            .sync()
            .or_else(unsupported_is_fine)
            .map_err(failed)?;
        Ok(true)
    }

    /// Makes a second file, which leaves nothing behind.
    pub fn scratch(&self) -> Result<File, Errno> {
        if let Some(file) = self.directory.create_unnamed()? {
            return Ok(file);
        }
        let (file, name) = self.create_hidden()?;
        self.directory.remove_file(&name)?;
        Ok(file)
    }

    fn create_hidden(&self) -> Result<(File, String), Errno> {
        loop {
            let name = hidden_name(HIDDEN);
            let file = match self.directory.create(&name) {
                Err(Errno::EXIST) => continue,
                // A sandbox may let it be made and not opened.
                made => made.inspect_err(|_| {
                    let _ = self.directory.remove_file(&name);
                })?,
            };
            // Another process may take it for left behind until it is locked.
            let is_free = file.try_lock().inspect_err(|_| {
                let _ = self.directory.remove_file(&name);
            })? != Lock::Others;
            if is_free && self.is_still(&name, &file) {
                return Ok((file, name));
            }
        }
    }

    /// Tells whether `name` is the name of `file`.
    fn is_still(&self, name: &str, file: &File) -> bool {
        let (named, open) = (self.directory.facts_of(name), file.facts());
        matches!((named, open), (Ok(named), Ok(open)) if named.identity == open.identity)
    }

    fn remove_stale(&self) {
        let mut stale: Vec<String> = Vec::new();
        // A file that can't be listed or removed is no reason not to back up: the next backup tries
        // again.
        let _ = self.directory.entries::<Errno>(|name, _, _| {
            stale.try_reserve(1).map_err(|_| Errno::NOMEM)?;
            stale.extend(
                name.to_str()
                    .ok()
                    .filter(|name| is_hidden_name(name, HIDDEN))
                    .map(str::to_owned),
            );
            Ok(())
        });
        for name in stale {
            let Ok(file) = self.directory.own_file(&name) else {
                continue;
            };
            let ours = file
                .facts()
                .is_ok_and(|facts| facts.kind == Kind::File && facts.owner.0 == user());
            if ours && file.try_lock() == Ok(Lock::Ours) && self.is_still(&name, &file) {
                let _ = self.directory.remove_file(&name);
            }
        }
    }
}

impl Draft<'_> {
    /// Brings the file to the disk.
    pub fn sync(&self) -> Result<()> {
        self.file
            .sync()
            .map_err(|errno| self.target.error("write the backup", errno))
    }

    /// Gives the file, which is on the disk, the backup's name, and brings that to the disk too.
    /// Only then is the backup there.
    pub fn publish(mut self) -> Result<()> {
        let target = self.target;
        let failed = |errno| target.error("write the backup", errno);
        let has_replaced = match &target.replaces {
            Replaces::Seen(seen) => {
                let _lock = target.lock()?;
                self.replace(seen.as_ref())
            }
            Replaces::None => self.appear().map(|()| false),
        };
        let has_replaced = has_replaced.map_err(|errno| match (errno, &target.replaces) {
            (Errno::EXIST, Replaces::None) => already_exists(&target.path),
            (Errno::EXIST, Replaces::Seen(_)) => replaced_meanwhile(&target.path),
            (errno, _) => failed(errno),
        })?;
        self.name = Name::None;
        target
            .directory
            .sync()
            .or_else(unsupported_is_fine)
            .map_err(|errno| {
                if !has_replaced && target.is_still(FILE, &self.file) {
                    // The name may not outlast a power cut, so it must not stand in the way of the
                    // next attempt.
                    let _ = target.directory.remove_file(FILE);
                }
                failed(errno)
            })
    }

    fn appear(&mut self) -> Result<(), Errno> {
        let directory = &self.target.directory;
        match &self.name {
            Name::None => directory.name_unnamed(&self.file, FILE),
            Name::Hidden {
                name,
                exclusive: Exclusive::Link,
            } => {
                directory.link(name, directory, FILE)?;
                let _ = directory.remove_file(name);
                Ok(())
            }
            Name::Hidden {
                name,
                exclusive: Exclusive::Rename,
            } => directory.rename_new(name, directory, FILE),
            Name::Hidden { name, .. } => directory.rename(name, directory, FILE),
        }
    }

    /// Replaces the backup that was `seen`, and no other; tells whether there was one.
    fn replace(&mut self, seen: Option<&Held>) -> Result<bool, Errno> {
        let directory = &self.target.directory;
        let there = match directory.facts_of(FILE) {
            Err(Errno::NOENT) => None,
            there => Some(there?.identity),
        };
        match there {
            Some(there) if seen.is_some_and(|seen| seen.identity == there) => {
                self.rename_over().map(|()| true)
            }
            Some(_) => Err(Errno::EXIST),
            // The old backup has gone, or there was none.
            None => self.appear().map(|()| false),
        }
    }

    /// Renames the file over the backup; it gets a hidden name first, if it has none.
    fn rename_over(&mut self) -> Result<(), Errno> {
        let target = self.target;
        if matches!(self.name, Name::None) {
            self.name = Name::Hidden {
                name: target.name_hidden(&self.file)?,
                exclusive: Exclusive::No,
            };
        }
        match &self.name {
            Name::Hidden { name, .. } => target.directory.rename(name, &target.directory, FILE),
            Name::None => Err(Errno::INVAL),
        }
    }

    /// Finds out, before anything is written, how a hidden name becomes the backup's without
    /// replacing one.
    fn find_exclusive_rename(&mut self) -> Result<()> {
        let Name::Hidden { name, exclusive } = &mut self.name else {
            return Ok(());
        };
        let (target, other) = (self.target, hidden_name(HIDDEN));
        let directory = &target.directory;
        if directory.rename_new(name, directory, &other).is_ok() {
            (*name, *exclusive) = (other, Exclusive::Rename);
            return Ok(());
        }
        let linked = directory.link(name, directory, &other);
        let linked = linked.and_then(|()| directory.remove_file(&other));
        linked.map_err(|errno| match errno {
            errno if is_unavailable(errno) || matches!(errno, Errno::INVAL | Errno::MLINK) => {
                let sentence = format!(
                    "The file system of '{}' can't name a file without the risk of replacing another, or a sandbox \
                     denies it. Ask for the backup to be replaced, or name a directory on another file system.",
                    target.path.display()
                );
                Error::new(Outcome::NotSupported, sentence)
            }
            errno => target.error("create the backup", errno),
        })?;
        *exclusive = Exclusive::Link;
        Ok(())
    }
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        if let Name::Hidden { name, .. } = &self.name {
            let _ = self.target.directory.remove_file(name);
        }
    }
}

/// Accepts that some file systems have no sync for folders; there its effect is not promised.
fn unsupported_is_fine(errno: Errno) -> Result<(), Errno> {
    match errno {
        Errno::INVAL | Errno::NOTSUP | Errno::NOSYS => Ok(()),
        errno => Err(errno),
    }
}

/// The part of a hidden name before its digits.
const HIDDEN: &str = ".licenses.tar.zst.";

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::sys::files::test_folder;

    fn names(path: &Path) -> Vec<String> {
        std::fs::read_dir(path)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }

    /// Opens a destination where a backup replaces the one that is there now.
    fn over(path: &Path) -> Result<Destination> {
        let place = AnchoredPath::now(path);
        Destination::open(&place, Replaces::Seen(hold(&place, false)?))
    }

    /// Makes a draft with a hidden name, as on a file system without unnamed files.
    fn hidden_draft<'t>(target: &'t Destination) -> Draft<'t> {
        let (file, name) = target.create_hidden().unwrap();
        let mut draft = Draft {
            file,
            target,
            name: Name::Hidden {
                name,
                exclusive: Exclusive::No,
            },
        };
        draft.find_exclusive_rename().unwrap();
        draft
    }

    fn publish(draft: Draft) -> Result<()> {
        draft.sync()?;
        draft.publish()
    }

    #[test]
    fn a_backup_appears_at_the_commit_and_is_replaced_only_on_request() {
        let path = test_folder("commit");
        for hidden in [false, true] {
            let target = Destination::open(&AnchoredPath::now(&path), Replaces::None).unwrap();
            let draft = || {
                if hidden {
                    hidden_draft(&target)
                } else {
                    target.draft().unwrap()
                }
            };
            let (first, second) = (draft(), draft());
            first.file.write_all(b"first").unwrap();
            assert!(!is_taken(&AnchoredPath::now(&path)));
            publish(first).unwrap();
            assert_eq!(publish(second).unwrap_err().outcome, Outcome::BackupExists);
            assert_eq!(names(&path), [FILE]);

            let target = over(&path).unwrap();
            let third = if hidden {
                hidden_draft(&target)
            } else {
                target.draft().unwrap()
            };
            third.file.write_all(b"third").unwrap();
            assert_eq!(std::fs::read(path.join(FILE)).unwrap(), b"first");
            publish(third).unwrap();
            assert_eq!(std::fs::read(path.join(FILE)).unwrap(), b"third");
            assert_eq!(names(&path), [FILE]);
            std::fs::remove_file(path.join(FILE)).unwrap();
        }
        std::fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn only_the_backup_that_was_seen_is_replaced() {
        let path = test_folder("seen");
        // No backup, one, and one that goes meanwhile.
        for before in [None, Some("old"), Some("gone")] {
            for hidden in [false, true] {
                let _ = std::fs::remove_file(path.join(FILE));
                before.inspect(|text| std::fs::write(path.join(FILE), text).unwrap());
                let targets = [(), (), ()].map(|()| over(&path).unwrap());
                let drafts = targets.each_ref().map(|target| match hidden {
                    true => hidden_draft(target),
                    false => target.draft().unwrap(),
                });
                if before == Some("gone") {
                    std::fs::remove_file(path.join(FILE)).unwrap();
                }
                let outcomes = drafts.map(|draft| publish(draft).map_err(|error| error.outcome));
                let exists = Err(Outcome::BackupExists);
                assert_eq!(outcomes, [Ok(()), exists, exists], "{before:?}");
                assert_eq!(names(&path), [FILE]);
            }
        }
        std::fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn what_replaces_a_backup_waits_for_another_that_does() {
        let path = test_folder("locked");
        std::fs::write(path.join(FILE), "old").unwrap();
        let target = over(&path).unwrap();
        let locked = Dir::open(&AnchoredPath::now(&path)).unwrap();
        assert_eq!(locked.try_lock(), Ok(Lock::Ours));
        let publishing = std::thread::scope(|scope| {
            let publishing = scope.spawn(|| publish(target.draft().unwrap()));
            std::thread::sleep(Duration::from_millis(50));
            assert_eq!(std::fs::read(path.join(FILE)).unwrap(), b"old");
            drop(locked);
            publishing.join().unwrap()
        });
        publishing.unwrap();
        assert_eq!(std::fs::read(path.join(FILE)).unwrap(), b"");
        std::fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn where_renames_can_replace_links_do_not() {
        let path = test_folder("links");
        let target = Destination::open(&AnchoredPath::now(&path), Replaces::None).unwrap();
        let drafts = [(), ()].map(|()| {
            let mut draft = hidden_draft(&target);
            if let Name::Hidden { exclusive, .. } = &mut draft.name {
                *exclusive = Exclusive::Link;
            }
            draft
        });
        let outcomes = drafts.map(|draft| publish(draft).map_err(|error| error.outcome));
        assert_eq!(outcomes, [Ok(()), Err(Outcome::BackupExists)]);
        assert_eq!(names(&path), [FILE]);
        std::fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn what_was_left_behind_is_removed_and_what_is_held_is_not() {
        let path = test_folder("stale");
        let left = format!(".{FILE}.0123456789abcdef");
        std::fs::write(path.join(&left), "left").unwrap();
        std::fs::write(path.join(format!(".{FILE}.0123456789ABCDEF")), "another's").unwrap();
        let target = over(&path).unwrap();
        assert_eq!(names(&path).len(), 1);
        let held = hidden_draft(&target);
        over(&path).unwrap();
        assert_eq!(names(&path).len(), 2);
        drop(held);
        assert_eq!(names(&path).len(), 1);
        std::fs::remove_dir_all(path).unwrap();
    }
}
