//! The places of licences: a backup reads them, and a restore writes them.

#![forbid(unsafe_code)]

mod backups;
mod content_batch;
pub mod directory;
pub mod host;
pub mod license;
mod names;
mod patience;
mod placed;
mod snapshot;
pub mod sqlite;
mod staging;
pub mod tree;

use std::fmt;
use std::sync::Arc;

pub use self::backups::Backups;
use self::host::{Host, HostSnapshot};
pub use self::patience::{GoOn, PATIENCE};
pub use self::placed::Placed;
pub use self::snapshot::{Again, Batch, Entry, Feed, Sighting, Snapshot};
use crate::error::{Error, Result};
use crate::sys::anchored_path::AnchoredPath;
use crate::sys::files::{Dir, Errno};

/// The place where a host keeps its licences.
pub enum Place {
    /// The host's own store.
    Host(Arc<dyn Host>),
    /// The path of a directory or a database.
    Path(AnchoredPath),
}

/// A store that is restored into.
pub enum RestoreTarget {
    Host(Arc<dyn Host>),
    Directory(Box<directory::restore::Restore>),
    Database(Box<sqlite::restore::Restore>),
}

impl Place {
    /// Opens the store for a backup, which does not take in `backups`. What has to wait on a disk may
    /// be hidden there.
    pub fn open(&self, backups: Backups, hides: bool, go_on: GoOn) -> Result<Arc<dyn Snapshot>> {
        let path = match self {
            Place::Host(host) => return Ok(Arc::new(HostSnapshot(Arc::clone(host)))),
            Place::Path(path) => path,
        };
        match Dir::open(path) {
            Ok(root) => Ok(Arc::new(directory::Listing::new(root, backups))),
            Err(Errno::NOTDIR) if sqlite::is_database(path) => Ok(Arc::new(
                sqlite::snapshot::Snapshot::open(path, hides, go_on)?,
            )),
            Err(errno) => Err(Error::directory("StorePath", path, errno)),
        }
    }

    /// Tells whether the store is a directory that can be opened.
    pub fn is_directory(&self) -> bool {
        matches!(self, Place::Path(path) if Dir::open(path).is_ok())
    }

    /// Opens the store for a restore, and makes it where it does not exist.
    pub fn open_for_restore(
        &self,
        replace: bool,
        dry_run: bool,
        go_on: GoOn,
    ) -> Result<RestoreTarget> {
        let path = match self {
            Place::Host(host) => return Ok(RestoreTarget::Host(Arc::clone(host))),
            Place::Path(path) => path,
        };
        let is_database = match Dir::open(path) {
            Ok(_) => false,
            Err(Errno::NOENT) => sqlite::is_named_database(path),
            Err(Errno::NOTDIR) => sqlite::is_database(path),
            Err(errno) => return Err(Error::directory("StorePath", path, errno)),
        };
        Ok(match is_database {
            true => {
                let store = sqlite::restore::Restore::open(path, replace, dry_run, go_on)?;
                RestoreTarget::Database(Box::new(store))
            }
            false => {
                let store = directory::restore::Restore::open(path, replace, dry_run, go_on)?;
                RestoreTarget::Directory(Box::new(store))
            }
        })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Host(_) => f.write_str("of the host"),
            Place::Path(path) => write!(f, "'{}'", path.display()),
        }
    }
}
