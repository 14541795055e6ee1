//! A backup that is being written, until it is named.

use std::io;

use super::super::refusals::replaced_meanwhile;
use super::super::{self as location, Sink};
use super::destination::{Destination, HIDDEN, Replaces, unsupported_is_fine};
use super::existing::{already_exists, check_no_other};
use super::sink::FileSink;
use crate::error::{Error, Outcome, Result};
use crate::random::hidden_name;
use crate::sys::files::{Dir, Errno, File, Held, is_unavailable};

/// A backup that is being written. When it is dropped, it leaves nothing behind.
pub struct Draft<'t> {
    file: File,
    target: &'t Destination,
    /// Dropped after the file is closed: some file systems make a file only then.
    has: Named<'t>,
}

/// The name of a file, which is removed if it is a hidden one.
struct Named<'t> {
    directory: &'t Dir,
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

impl Draft<'_> {
    /// Makes a file for the new backup, for this user alone from the first byte.
    pub fn begin(target: &Destination) -> Result<Draft<'_>> {
        target.check_open()?;
        let failed = |errno| target.error("create the backup", errno);
        let unnamed = match target.can_name_unnamed().map_err(failed)? {
            true => {
                let name = hidden_name(HIDDEN);
                target.directory.create_unnamed(&name).map_err(failed)?
            }
            false => None,
        };
        let (file, name) = match unnamed {
            Some(file) => (file, Name::None),
            None => {
                let (file, name) = target.create_hidden().map_err(failed)?;
                let exclusive = Exclusive::No;
                (file, Name::Hidden { name, exclusive })
            }
        };
        let directory = &target.directory;
        let has = Named { directory, name };
        let mut draft = Draft { file, target, has };
        draft.file.keep_private().map_err(failed)?;
        draft.file.try_lock().map_err(failed)?;
        match &target.replaces {
            Replaces::None => draft.find_exclusive_rename()?,
            // A backup that may replace another needs this only where there is none, or it goes
            // meanwhile; so a failure is no error here.
            Replaces::Seen(_) => {
                let _ = draft.find_exclusive_rename();
                if let Name::Hidden { name, .. } = &mut draft.has.name {
                    target.rename_hidden(name).map_err(failed)?;
                }
            }
        }
        Ok(draft)
    }

    fn appear(&mut self) -> Result<(), Errno> {
        let (directory, file) = (&self.target.directory, self.target.kind.file());
        match &self.has.name {
            Name::None => directory.name_unnamed(&self.file, file),
            Name::Hidden {
                name,
                exclusive: Exclusive::Link,
            } => {
                directory.link(name, directory, file)?;
                let _ = directory.remove_file(name);
                Ok(())
            }
            Name::Hidden {
                name,
                exclusive: Exclusive::Rename,
            } => directory.rename_new(name, directory, file),
            Name::Hidden { name, .. } => directory.rename(name, directory, file),
        }
    }

    /// Replaces the backup that was `seen`, and no other; tells whether there was one.
    fn replace(&mut self, seen: Option<&Held>) -> Result<bool, Errno> {
        let directory = &self.target.directory;
        let there = match directory.facts_of(self.target.kind.file()) {
            Err(Errno::NOENT) => None,
            there => Some(there?),
        };
        match there {
            Some(there) if seen.is_some_and(|seen| seen.is(&there)) => {
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
        if matches!(self.has.name, Name::None) {
            self.has.name = Name::Hidden {
                name: target.name_hidden(&self.file)?,
                exclusive: Exclusive::No,
            };
        }
        match &self.has.name {
            Name::Hidden { name, .. } => {
                let file = target.kind.file();
                target.directory.rename(name, &target.directory, file)
            }
            Name::None => Err(Errno::INVAL),
        }
    }

    /// Finds out, before anything is written, how a hidden name becomes the backup's without
    /// replacing one.
    fn find_exclusive_rename(&mut self) -> Result<()> {
        let Name::Hidden { name, exclusive } = &mut self.has.name else {
            return Ok(());
        };
        let (target, other) = (self.target, hidden_name(HIDDEN));
        let directory = &target.directory;
        let Err(refused) = directory.rename_new(name, directory, &other) else {
            (*name, *exclusive) = (other, Exclusive::Rename);
            return Ok(());
        };
        let linked = directory.link_instead(name, directory, &other, refused);
        let linked = linked.and_then(|()| match directory.remove_file(&other) {
            // Another backup has taken it for left behind: some file systems do not see the lock by
            // a second name.
            Err(Errno::NOENT) => Ok(()),
            removed => removed,
        });
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

impl location::Draft for Draft<'_> {
    fn begin(&self) -> io::Result<Box<dyn Sink + '_>> {
        Ok(Box::new(FileSink::begin(&self.file)?))
    }

    fn clear(&self) -> io::Result<()> {
        Ok(self.file.cut(0)?)
    }

    /// Gives the bytes that the file has.
    fn size(&self) -> Result<u64> {
        let facts = self.file.facts();
        let facts = facts.map_err(|errno| self.target.error("write the backup", errno));
        Ok(facts?.size)
    }

    /// Brings the file to the disk.
    fn sync(&self) -> Result<()> {
        self.file
            .sync()
            .map_err(|errno| self.target.error("write the backup", errno))
    }

    /// Gives the file, which is on the disk, the backup's name, and brings that to the disk too.
    /// Only then is the backup there.
    fn publish(mut self: Box<Self>, commit: &dyn Fn() -> Result<()>) -> Result<()> {
        commit()?;
        let target = self.target;
        let failed = |errno| target.error("write the backup", errno);
        check_no_other(&target.directory, &target.path, target.kind)?;
        let has_replaced = match &target.replaces {
            Replaces::Seen(seen) => {
                let _lock = target.lock()?;
                self.replace(seen.as_ref())
            }
            Replaces::None => self.appear().map(|()| false),
        };
        let has_replaced = has_replaced.map_err(|errno| match (errno, &target.replaces) {
            (Errno::EXIST, Replaces::None) => already_exists(&target.path),
            (Errno::EXIST, Replaces::Seen(_)) => replaced_meanwhile(target.path.display()),
            (errno, _) => failed(errno),
        })?;
        self.has.name = Name::None;
        target
            .directory
            .sync_name_of(&self.file)
            .or_else(unsupported_is_fine)
            .map_err(|errno| {
                if !has_replaced && target.is_still(target.kind.file(), &self.file) {
                    // The name may not outlast a power cut, so it must not stand in the way of the
                    // next attempt.
                    let _ = target.directory.remove_file(target.kind.file());
                }
                failed(errno)
            })
    }
}

impl Drop for Named<'_> {
    fn drop(&mut self) {
        if let Name::Hidden { name, .. } = &self.name {
            let _ = self.directory.remove_late(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use super::super::destination::LOCK;
    use super::super::existing::{hold, is_taken};
    use super::*;
    use crate::location::BackupKind;
    use crate::sys::anchored_path::AnchoredPath;
    use crate::sys::files::Lock;
    use crate::sys::test_folder;

    const FILE: &str = "licenses.tar.zst";

    fn names(path: &Path) -> Vec<String> {
        std::fs::read_dir(path)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }

    /// Opens a destination where a backup replaces the one that is there now.
    fn over(path: &Path) -> Result<Destination> {
        let place = AnchoredPath::now(path);
        Destination::open(
            &place,
            BackupKind::Plain,
            Replaces::Seen(hold(&place, BackupKind::Plain, false)?),
        )
    }

    /// Makes a draft with a hidden name, as on a file system without unnamed files.
    fn hidden_draft<'t>(target: &'t Destination) -> Draft<'t> {
        let (file, name) = target.create_hidden().unwrap();
        let exclusive = Exclusive::No;
        let has = Named {
            directory: &target.directory,
            name: Name::Hidden { name, exclusive },
        };
        let mut draft = Draft { file, target, has };
        draft.find_exclusive_rename().unwrap();
        draft
    }

    fn publish(draft: Draft) -> Result<()> {
        location::Draft::sync(&draft)?;
        location::Draft::publish(Box::new(draft), &|| Ok(()))
    }

    #[test]
    fn a_backup_appears_at_the_commit_and_is_replaced_only_on_request() {
        let path = test_folder("commit");
        for hidden in [false, true] {
            let target =
                Destination::open(&AnchoredPath::now(&path), BackupKind::Plain, Replaces::None)
                    .unwrap();
            let draft = || {
                if hidden {
                    hidden_draft(&target)
                } else {
                    Draft::begin(&target).unwrap()
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
                Draft::begin(&target).unwrap()
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
                    false => Draft::begin(target).unwrap(),
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
        assert_eq!(locked.try_lock_by(LOCK), Ok(Lock::Ours));
        let publishing = std::thread::scope(|scope| {
            let publishing = scope.spawn(|| publish(Draft::begin(&target).unwrap()));
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
    #[cfg(unix)] // elsewhere no links are needed
    fn where_renames_can_replace_links_do_not() {
        let path = test_folder("links");
        let target =
            Destination::open(&AnchoredPath::now(&path), BackupKind::Plain, Replaces::None)
                .unwrap();
        let drafts = [(), ()].map(|()| {
            let mut draft = hidden_draft(&target);
            if let Name::Hidden { exclusive, .. } = &mut draft.has.name {
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
        std::fs::write(path.join(format!(".{FILE}.F123456789ABCDEF")), "another's").unwrap();
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
