//! The directory that a new backup goes to: files in it that are hidden or have no name, and the
//! backup that may be replaced there.

use std::time::{Duration, Instant};

use crate::error::{Access, Error, Outcome, Result};
use crate::location::BackupKind;
use crate::random::{HIDDEN_BACKUP, hidden_name, is_hidden_name};
use crate::sys::anchored_path::AnchoredPath;
use crate::sys::files::{Dir, Errno, File, Held, Kind, Lock};

/// The time that is waited for another backup that is about to appear in the directory.
const PATIENCE: Duration = Duration::from_secs(5);

/// The name of a lock, where the system locks no folder.
pub(super) const LOCK: &str = ".licenses.tar.zst.lock";

/// The part of a hidden name before its digits.
pub(super) const HIDDEN: &str = HIDDEN_BACKUP;

/// The directory that a new backup goes to.
pub struct Destination {
    pub(super) directory: Dir,
    pub(super) path: AnchoredPath,
    pub(super) kind: BackupKind,
    pub(super) replaces: Replaces,
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

impl Destination {
    /// Opens the directory at `path` for a new backup of that kind, and removes the files that killed
    /// processes of this user have left there.
    pub fn open(path: &AnchoredPath, kind: BackupKind, replaces: Replaces) -> Result<Destination> {
        let directory =
            Dir::open(path).map_err(|errno| Error::directory("BackupPath", path, errno))?;
        let target = Destination {
            directory,
            path: path.clone(),
            kind,
            replaces,
        };
        target.remove_stale();
        Ok(target)
    }

    /// Refuses a directory where a name can't be taken away again, and a backup that can't be
    /// replaced.
    pub(super) fn check_open(&self) -> Result<()> {
        let doing = "write the backup";
        if let Some(protection) = self.directory.protection() {
            let what = "the directory";
            return Err(Error::protected(doing, what, &self.path, protection));
        }
        let old = match self.replaces.has_one() {
            true => self.directory.protection_of(self.kind.file()),
            false => None,
        };
        old.map_or(Ok(()), |protection| {
            let (what, path) = ("the old backup", self.path.join(self.kind.file()));
            Err(Error::protected(doing, what, &path, protection))
        })
    }

    /// Locks the directory against other backups that are about to replace one there, as far as its
    /// file system has locks.
    pub(super) fn lock(&self) -> Result<Dir> {
        let failed = |errno| self.error("write the backup", errno);
        let directory = self.directory.folder("").map_err(failed)?;
        let until = Instant::now() + PATIENCE;
        while directory.try_lock_by(LOCK).map_err(failed)? == Lock::Others {
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
    pub(super) fn error(&self, doing: &str, errno: Errno) -> Error {
        Error::system(
            Access::Write,
            format_args!("{doing} '{}/{}'", self.path.display(), self.kind.file()),
            errno,
        )
    }

    /// Finds out with an empty file whether one without a name can get a backup's. The error is
    /// that of a rename, where a backup is to be replaced.
    pub(super) fn can_name_unnamed(&self) -> Result<bool, Errno> {
        let Some(file) = self.directory.create_unnamed(&hidden_name(HIDDEN))? else {
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
    pub(super) fn name_hidden(&self, file: &File) -> Result<String, Errno> {
        loop {
            let name = hidden_name(HIDDEN);
            match self.directory.name_unnamed(file, &name) {
                Err(Errno::EXIST) => continue,
                done => return done.map(|()| name),
            }
        }
    }

    /// Gives the file with the hidden name `name` another, as it will be renamed over a backup.
    pub(super) fn rename_hidden(&self, name: &mut String) -> Result<(), Errno> {
        let other = hidden_name(HIDDEN);
        self.directory.rename(name, &self.directory, &other)?;
        *name = other;
        Ok(())
    }

    pub(super) fn create_hidden(&self) -> Result<(File, String), Errno> {
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
    pub(super) fn is_still(&self, name: &str, file: &File) -> bool {
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
            let is_file = file.facts().is_ok_and(|facts| facts.kind == Kind::File);
            if is_file
                && file.is_own()
                && file.try_lock() == Ok(Lock::Ours)
                && self.is_still(&name, &file)
            {
                let _ = self.directory.remove_file(&name);
            }
        }
    }
}

/// Accepts that some file systems have no sync for folders; there its effect is not promised.
pub(super) fn unsupported_is_fine(errno: Errno) -> Result<(), Errno> {
    match errno {
        Errno::INVAL | Errno::NOTSUP | Errno::NOSYS => Ok(()),
        errno => Err(errno),
    }
}
