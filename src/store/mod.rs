//! Where licences live: what a backup reads and a restore writes.

#![forbid(unsafe_code)]

mod backups;
mod content_batch;
pub mod directory;
pub mod host;
pub mod license;
mod patience;
mod placed;
mod snapshot;
pub mod sqlite;
mod staging;
pub mod tree;

use std::sync::Arc;

pub use self::backups::Backups;
pub use self::patience::{GoOn, PATIENCE};
pub use self::placed::Placed;
pub use self::snapshot::{Again, Batch, Entry, Feed, Seen, Snapshot};
use crate::error::{Error, Result};
use crate::sys::anchored_path::AnchoredPath;
use crate::sys::files::{Dir, Errno};

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
