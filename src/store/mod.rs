//! Where licences live: what a backup reads and a restore writes.

#![forbid(unsafe_code)]

mod contents;
pub mod directory;
pub mod host;
pub mod sqlite;
pub mod tree;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::license::{BackupRight, Statement};
use crate::sys::files::{Dir, Errno, Facts, Identity};

/// An error if the operation is to end, for what takes long.
pub type GoOn = Arc<dyn Fn() -> Result<()> + Send + Sync>;

/// Takes what a store lists, batch by batch.
pub trait Feed {
    /// An error if the operation is to end.
    fn check(&self) -> Result<()>;

    /// Whether most of what is listed need not be read.
    fn takes_over(&self) -> bool;

    fn emit(&mut self, batch: Box<dyn Batch>) -> Result<()>;
}

/// A store as a backup reads it: one thread lists it in batches, many read them.
pub trait Snapshot: Send + Sync {
    /// How many batches may wait to be read.
    fn batches_ahead(&self) -> usize;

    /// Whether there are licences in it that need not be read to know that they have not changed.
    fn shows_changes(&self) -> bool {
        false
    }

    /// Gives everything in the store to `feed`, in order.
    fn list(self: Arc<Self>, feed: &mut dyn Feed) -> Result<()>;

    /// What may have escaped the listings so far; empty once they are known to have missed nothing.
    fn unsettled(&self) -> Result<Unsettled>;

    /// Lists `unsettled` again, but for what is `known`.
    fn list_again(
        self: Arc<Self>,
        unsettled: &Unsettled,
        known: &Known,
        feed: &mut dyn Feed,
    ) -> Result<()>;

    /// Gives those with these names to `feed`, as far as they are still there.
    fn list_these(self: Arc<Self>, names: &[String], feed: &mut dyn Feed) -> Result<()>;
}

/// Folders whose names have to be listed again.
#[derive(Debug, Default)]
pub struct Unsettled {
    /// How long to wait before, so that what changes from then on shows.
    pub wait: Duration,
    pub folders: std::collections::BTreeSet<String>,
}

/// Which names of an unsettled folder have been read already.
pub type Known = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// Backups that may lie in a store: they are no licences, wherever a link of them is.
#[derive(Debug, Default)]
pub struct Backups {
    /// The name of a backup in its directory.
    pub name: &'static str,
    /// Which files they are now.
    pub files: Vec<Identity>,
    /// Their directories: another process may put another backup there meanwhile.
    pub directories: Vec<Identity>,
}

/// Some licences of the store, in order.
pub trait Batch: Send {
    /// How many there are.
    fn len(&self) -> u64;

    /// Reads each of them into `intake`.
    fn read(&self, intake: &mut dyn Intake) -> Result<()>;
}

/// What a store states of a licence. It wins over what the content says.
#[derive(Clone, Debug)]
pub struct Stated {
    pub key_id: Option<String>,
    pub right: BackupRight,
}

impl Stated {
    /// A store of mere files.
    pub const NOTHING: Stated = Stated {
        key_id: None,
        right: BackupRight::Unstated,
    };

    /// Corrects what the content says.
    pub fn correct(&self, statement: &mut Statement) {
        if let Some(key_id) = &self.key_id {
            statement.key_id.clone_from(key_id);
        }
        if self.right != BackupRight::Unstated {
            statement.right = self.right;
        }
    }
}

/// A licence that is about to be read.
pub struct Described<'a> {
    pub name: &'a str,
    pub size: u64,
    pub modified: i64,
    pub stated: &'a Stated,
    /// Those of its file, where the same facts mean the same content.
    pub facts: Option<&'a Facts>,
}

/// Puts a licence's content into the buffer; false if it is not what it was announced to be.
pub type Fill<'a> = &'a mut dyn FnMut(&mut [u8]) -> Result<bool>;

/// Takes what a worker reads from a store.
pub trait Intake {
    /// An error if the operation is to end.
    fn check(&self) -> Result<()>;

    /// Whether the licence need not be read, since it is known and its file has not changed; `facts` are
    /// those of the file.
    fn takes_over(&mut self, name: &str, facts: &dyn Fn() -> Result<Facts, Errno>) -> bool;

    /// Takes a licence; false where `fill` says that it would not do.
    fn license(&mut self, license: &Described, fill: Fill) -> Result<bool>;

    /// Learns that something is no licence that could be backed up.
    fn left_out(&mut self, name: &str, reason: &str);
}

/// What became of a licence of a backup that is restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placed {
    /// It waits to be made part of the store, or would.
    Staged,
    /// The store has it already.
    Same,
    /// The store has another version, and keeps it.
    Kept,
}

/// Opens the store at `path` for a backup, which is not to swallow `backups`.
pub fn open(path: &Path, backups: Backups, go_on: GoOn) -> Result<Arc<dyn Snapshot>> {
    match Dir::open(path) {
        Ok(root) => Ok(Arc::new(directory::Listing::new(root, backups))),
        Err(Errno::NOTDIR) if sqlite::is_database(path) => {
            Ok(Arc::new(sqlite::snapshot::Snapshot::open(path, go_on)?))
        }
        Err(errno) => Err(Error::directory("StorePath", path, errno)),
    }
}

/// A store that is restored into.
pub enum Target {
    Directory(directory::restore::Restore),
    Database(sqlite::restore::Restore),
}

/// Opens the store at `path` for a restore, and makes it where it does not exist.
pub fn open_for_restore(path: &Path, replace: bool, dry_run: bool, go_on: GoOn) -> Result<Target> {
    let is_database = match Dir::open(path) {
        Ok(_) => false,
        Err(Errno::NOENT) => sqlite::is_named_database(path),
        Err(Errno::NOTDIR) => sqlite::is_database(path),
        Err(errno) => return Err(Error::directory("StorePath", path, errno)),
    };
    Ok(match is_database {
        true => Target::Database(sqlite::restore::Restore::open(
            path, replace, dry_run, go_on,
        )?),
        false => Target::Directory(directory::restore::Restore::open(path, replace, dry_run)?),
    })
}
