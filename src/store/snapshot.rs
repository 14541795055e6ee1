//! A store as a backup reads it.

use std::sync::Arc;

use super::directory::FileEntry;
use super::license::License;
use crate::error::{Error, Result};
use crate::sys::files::{Facts, File, Identity, Kind};
use crate::sys::origin::Origin;
use crate::sys::patience::Patience;

/// Takes the entries of a store, batch by batch.
pub trait Feed {
    /// Fails if the operation is to end.
    fn check(&self) -> Result<()>;

    /// Notes that so many more names have been listed, which are emitted later; fails if the
    /// operation is to end.
    fn listed(&mut self, _: u64) -> Result<()> {
        self.check()
    }

    /// Tells whether most of the listed licences need not be read.
    fn takes_over(&self) -> bool;

    /// Tells whether what can't be taken is to be fed on as such, in place of a failure.
    fn keeps_going(&self) -> bool;

    fn emit(&mut self, batch: Box<dyn Batch>) -> Result<()>;

    /// Gives an empty file for notes about the store, once, where one can be had.
    fn scratch(&mut self) -> Option<File>;
}

/// A store as a backup reads it: one thread lists it in batches, many read them.
pub trait Snapshot: Send + Sync {
    /// Gives the number of batches that may wait to be read.
    fn batches_ahead(&self) -> usize;

    /// Tells whether its licences are files, which may move while they are read.
    fn is_of_files(&self) -> bool {
        false
    }

    /// Gives the origin at which the states of its files are noted, if they show each change.
    fn origin(&self) -> Option<&Origin> {
        None
    }

    /// Gives the facts about the file of this name now, if its licences are files.
    fn facts(&self, _: &str) -> Option<Facts> {
        None
    }

    /// Gives everything in the store to `feed`: sorted by the bytes of the names where the store can,
    /// else always in the same order, since equal stores make equal backups.
    fn list(self: Arc<Self>, feed: &mut dyn Feed) -> Result<()>;

    /// Looks again for entries that the listings so far may have missed, with patience, until all
    /// are seen as they were at one moment; `go_on` may end it.
    fn look_again(
        &self,
        _: IsKnown,
        _: &mut Patience,
        _: &dyn Fn() -> Result<()>,
    ) -> Result<Again> {
        Ok(Again::Seen(Seen::default()))
    }

    /// Lets these folders change from here on: they are looked at no more.
    fn give_up(&self, _: Vec<String>) {}

    /// Gives the entries with these names to `feed`, as far as they are still there.
    fn list_these(self: Arc<Self>, _: &[(String, Kind)], _: &mut dyn Feed) -> Result<()> {
        Ok(())
    }
}

/// The result of a second look at a store.
pub enum Again {
    Seen(Seen),
    /// The folders that were never all unchanged for a moment, and what was seen all the same.
    Restless(Vec<String>, Seen),
}

/// A store at one moment.
#[derive(Default)]
pub struct Seen {
    /// All unknown entries; nothing, where all were known.
    pub unknown: Vec<Sighting>,
    /// The names that could not be looked at, and why. The folders among them are given up.
    pub failed: Vec<(String, Error)>,
}

/// An entry of a store, as it was at one moment.
pub struct Sighting {
    pub name: String,
    pub kind: Kind,
    pub identity: Identity,
}

/// Tells whether a file has been read under a name.
pub type IsKnown<'k> = &'k mut dyn FnMut(&str, Identity) -> Result<bool>;

/// Some licences of the store, in order, which are taken one by one.
pub trait Batch: Send {
    /// Counts the licences.
    fn len(&self) -> u64;

    /// Gives the next entry, if there is one.
    fn next(&mut self) -> Result<Option<Entry<'_>>>;

    /// Makes the licence that was given last the next again.
    fn step_back(&mut self);
}

/// An entry of a store under a name.
pub enum Entry<'b> {
    /// A licence that came with its content.
    License(License<'b>),
    File(FileEntry<'b>),
    /// A licence or folder that can't be taken.
    Failed {
        name: &'b str,
        error: Error,
    },
    /// An entry that is no licence which could be backed up.
    LeftOut {
        name: &'b str,
        reason: &'static str,
    },
}
