//! Where licences live: what a backup reads and a restore writes.

#![forbid(unsafe_code)]

mod content_batch;
pub mod directory;
pub mod host;
pub mod license;
pub mod sqlite;
mod staging;
pub mod tree;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::license::{BackupRight, Statement};
use crate::sys::anchored_path::AnchoredPath;
use crate::sys::files::{Dir, Errno, Facts, File, Held, Identity, Kind};
use crate::sys::origin::Origin;

/// How long a store or a licence is waited for that won't hold still, and another's lock.
pub const PATIENCE: Duration = Duration::from_secs(5);

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

    /// Whether its licences are files, which may move while they are read.
    fn is_of_files(&self) -> bool {
        false
    }

    /// Where the states of its files are noted, if they show each change.
    fn origin(&self) -> Option<&Origin> {
        None
    }

    /// Gives everything in the store to `feed`, in order.
    fn list(self: Arc<Self>, feed: &mut dyn Feed) -> Result<()>;

    /// Looks again at what may have escaped the listings so far, until all of it is seen as it was at one
    /// moment; `go_on` may end it.
    fn look_again(&self, _: Known, _: Instant, _: &dyn Fn() -> Result<()>) -> Result<Again> {
        Ok(Again::Seen(Vec::new()))
    }

    /// Gives those with these names to `feed`, as far as they are still there.
    fn list_these(self: Arc<Self>, _: &[(String, Kind)], _: &mut dyn Feed) -> Result<()> {
        Ok(())
    }
}

/// What a second look at a store has found.
pub enum Again {
    /// Everything at one moment that was not known; nothing, where all of it was.
    Seen(Vec<Seen>),
    /// This folder would not hold still for a moment.
    Restless(String),
}

/// Something in a store, as it was at one moment.
pub struct Seen {
    pub name: String,
    pub kind: Kind,
    pub identity: Identity,
}

/// Whether a file has been read under a name.
pub type Known<'k> = &'k mut dyn FnMut(&str, Identity) -> Result<bool>;

/// Backups that may lie in a store: they are no licences, wherever a link of them is.
#[derive(Debug, Default)]
pub struct Backups(pub Vec<Held>);

impl Backups {
    fn has(&self, file: Identity) -> bool {
        self.0.iter().any(|held| held.identity == file)
    }
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
    pub file: Option<FileFacts<'a>>,
}

/// What is known of a licence's file.
pub struct FileFacts<'a> {
    pub facts: &'a Facts,
    /// The same facts mean the same content.
    pub has_settled: bool,
}

/// Puts a licence's content into the buffer, which has room for one byte more than was announced, and gives
/// its size; None if it is not what it was announced to be.
pub type Fill<'a> = &'a mut dyn FnMut(&mut [u8]) -> Result<Option<usize>>;

/// Takes what a worker reads from a store.
pub trait Intake {
    /// An error if the operation is to end.
    fn check(&self) -> Result<()>;

    /// Whether the licence need not be read, since it is known and its file has not changed; `facts` are
    /// those of the file.
    fn takes_over(&mut self, name: &str, facts: &dyn Fn() -> Result<Facts, Errno>) -> Result<bool>;

    /// Takes a licence; false where `fill` says that it would not do.
    fn license(&mut self, license: &Described, fill: Fill) -> Result<bool>;

    /// Whether the file, which is too large for a licence, is a backup; if so, it is left out.
    fn leaves_out_backup(&mut self, name: &str, facts: &Facts, file: &File) -> Result<bool>;

    /// Learns that there is nothing to be read in the file of this name.
    fn pass_over(&mut self, name: &str, file: Identity) -> Result<()>;

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
pub fn open(path: &AnchoredPath, backups: Backups, go_on: GoOn) -> Result<Arc<dyn Snapshot>> {
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
    Database(Box<sqlite::restore::Restore>),
}

/// Opens the store at `path` for a restore, and makes it where it does not exist.
pub fn open_for_restore(
    path: &AnchoredPath,
    replace: bool,
    dry_run: bool,
    go_on: GoOn,
) -> Result<Target> {
    let is_database = match Dir::open(path) {
        Ok(_) => false,
        Err(Errno::NOENT) => sqlite::is_named_database(path),
        Err(Errno::NOTDIR) => sqlite::is_database(path),
        Err(errno) => return Err(Error::directory("StorePath", path, errno)),
    };
    Ok(match is_database {
        true => {
            let store = sqlite::restore::Restore::open(path, replace, dry_run, go_on)?;
            Target::Database(Box::new(store))
        }
        false => Target::Directory(directory::restore::Restore::open(path, replace, dry_run)?),
    })
}
