//! A host's own store: its functions, called one at a time, and the values that they may give and
//! take.

use std::sync::Arc;

use super::content_batch::{AHEAD, ContentBatches};
use super::license::License;
use super::snapshot::{Feed, Snapshot};
use crate::error::{Error, Result};

/// Takes a licence from a host's function; after an error the function is to return at once.
pub type Take<'a> = &'a mut dyn FnMut(Result<License, Unfit>) -> Result<()>;

/// A licence that a host gives, and nobody can take.
pub struct Unfit {
    /// The name as it is shown.
    pub name: String,
    pub error: Error,
}

impl From<Unfit> for Error {
    fn from(unfit: Unfit) -> Error {
        unfit.error
    }
}

/// The functions of a host. They are called on one thread at a time; a failure of the host is an
/// error with its own code.
pub trait Host: Send + Sync {
    /// Tells whether the host has the functions that a backup needs.
    fn can_back_up(&self) -> bool;

    /// Tells whether the host has the functions that a restore needs; a dry run puts nothing.
    fn can_restore(&self, dry_run: bool) -> bool;

    /// Gives every licence to `take`.
    fn enumerate(&self, take: Take) -> Result<()>;

    /// Gives the licence of that name to `take`, if there is one.
    fn get(&self, name: &str, take: Take) -> Result<()>;

    fn put(&self, license: &License) -> Result<()>;

    /// Tells whether the host chooses between versions itself.
    fn can_merge(&self) -> bool;

    /// Gives the version to keep to `take`, of the store's and the backup's, or none, where that is
    /// the store's.
    fn merge(&self, mine: &License, theirs: &License, take: Take) -> Result<()>;
}

/// A host's store while it is backed up. Its licences come with their contents, which are copied.
pub struct HostSnapshot(pub Arc<dyn Host>);

impl Snapshot for HostSnapshot {
    fn batches_ahead(&self) -> usize {
        AHEAD
    }

    fn list(self: Arc<Self>, feed: &mut dyn Feed) -> Result<()> {
        let mut batches = ContentBatches::new("host", feed);
        self.0.enumerate(&mut |license| match license {
            Ok(license) => batches.add(&license),
            Err(Unfit { name, error }) => batches.pass_over(&name, error),
        })?;
        batches.finish()
    }
}
