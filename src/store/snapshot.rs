//! A store as a backup reads it.

use std::sync::Arc;
use std::time::Instant;

use super::directory::FileEntry;
use super::license::License;
use crate::error::Result;
use crate::sys::files::{Identity, Kind};
use crate::sys::origin::Origin;

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
    fn look_again(&self, _: IsKnown, _: Instant, _: &dyn Fn() -> Result<()>) -> Result<Again> {
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
    Seen(Vec<Sighting>),
    /// This folder would not hold still for a moment.
    Restless(String),
}

/// Something in a store, as it was at one moment.
pub struct Sighting {
    pub name: String,
    pub kind: Kind,
    pub identity: Identity,
}

/// Whether a file has been read under a name.
pub type IsKnown<'k> = &'k mut dyn FnMut(&str, Identity) -> Result<bool>;

/// Some licences of the store, in order, to be taken one by one.
pub trait Batch: Send {
    /// How many there are.
    fn len(&self) -> u64;

    /// The next, if there is one.
    fn next(&mut self) -> Result<Option<Entry<'_>>>;
}

/// What a store has under a name.
pub enum Entry<'b> {
    /// A licence that came with its content.
    License(License<'b>),
    File(FileEntry<'b>),
    /// No licence that could be backed up.
    LeftOut {
        name: &'b str,
        reason: &'static str,
    },
}
