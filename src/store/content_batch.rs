//! Checks licences that come one by one with their contents, and gathers them into batches.

use std::ops::Range;
use std::sync::Arc;

use super::license::License;
use super::names::Names;
use super::snapshot::{Batch, Entry, Feed};
use crate::error::{Error, Outcome, Result};
use crate::license::name::{self, Clash};
use crate::license::{self, BackupRight, Format};
use crate::sync::locks::Mutex;

/// Licences and bytes that a worker takes at a time.
const BATCH: usize = 512;
const BATCH_BYTES: usize = 2 << 20;
/// Batches that may wait to be read: they are large.
pub const AHEAD: usize = 4;

/// Gathers the licences of a store, and feeds them on. It gives licences only: it leaves nothing
/// out, and does not look for backups among them.
pub struct ContentBatches<'f> {
    /// The owner of these licences, for sentences.
    owner: &'static str,
    feed: &'f mut dyn Feed,
    names: Names,
    batch: Contents,
}

impl<'f> ContentBatches<'f> {
    pub fn new(owner: &'static str, feed: &'f mut dyn Feed) -> ContentBatches<'f> {
        ContentBatches {
            owner,
            names: Names::new(feed.scratch()),
            feed,
            batch: Contents::default(),
        }
    }

    /// Takes a licence, unless it can't be kept.
    pub fn add(&mut self, license: &License) -> Result<()> {
        self.feed.check()?;
        let clash = match self.check(license) {
            Ok(()) => self.names.insert(license.name)?,
            Err(error) => return self.pass_over(&name::shown(license.name), error),
        };
        if let Err(clash) = clash {
            return self.pass_over(license.name, self.clashes(license.name, clash));
        }
        self.make_room()?;
        self.batch.push(license)
    }

    /// Takes notice of the licence `name`, as it is shown, that can't be taken; fails with its
    /// `error` where that is to end the listing.
    pub fn pass_over(&mut self, name: &str, error: Error) -> Result<()> {
        if !self.feed.keeps_going() || !error.is_of_one() {
            return Err(error);
        }
        self.make_room()?;
        self.batch.push_failed(name, error)
    }

    /// Emits the batch, if it is full.
    fn make_room(&mut self) -> Result<()> {
        if self.batch.entries.len() < BATCH && self.batch.contents.len() <= BATCH_BYTES {
            return Ok(());
        }
        let next = Contents::in_memory_of(&self.batch);
        self.feed
            .emit(Box::new(std::mem::replace(&mut self.batch, next)))
    }

    pub fn finish(self) -> Result<()> {
        match self.batch.entries.is_empty() {
            true => Ok(()),
            false => self.feed.emit(Box::new(self.batch)),
        }
    }

    /// Refuses a licence that can't be kept, whatever the others are.
    pub fn check(&self, license: &License) -> Result<()> {
        let (owner, name) = (self.owner, license.name);
        if let Err(reason) = name::check(name.as_bytes()) {
            let name = name::shown(name);
            let sentence = format!("The {owner}'s licence '{name}' can't be kept: {reason}.");
            return Err(Error::new(Outcome::InvalidName, sentence).of_one(reason));
        }
        if license
            .key_id
            .is_some_and(|key_id| !name::is_key_id(key_id))
        {
            const REASON: &str = "it must have 1 to 1,024 bytes and no control characters";
            let sentence =
                format!("The key ID of the {owner}'s licence '{name}' can't be kept: {REASON}.");
            let error = Error::new(Outcome::InvalidName, sentence);
            return Err(error.of_one(format_args!("of its key ID, {REASON}")));
        }
        license::check_size(name, license.content.len() as u64)
    }

    fn clashes(&self, name: &str, clash: Clash) -> Error {
        let outcome = match clash {
            Clash::Twice => Outcome::AlreadyExists,
            Clash::Folder => Outcome::InvalidName,
        };
        let sentence = format!(
            "The {}'s licence '{name}' can't be kept: {clash}.",
            self.owner
        );
        Error::new(outcome, sentence).of_one(clash)
    }
}

#[derive(Default)]
struct Contents {
    entries: Vec<Owned>,
    contents: Vec<u8>,
    /// The number of entries given.
    given: usize,
    /// Memory of batches that have been read, for contents of the next ones: the system gives new
    /// memory page by page.
    spare: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Drop for Contents {
    fn drop(&mut self) {
        let mut contents = std::mem::take(&mut self.contents);
        contents.clear();
        // In a child that was forked inside the host's function, a worker of the parent may have
        // the lock for ever.
        if let Some(mut spare) = self.spare.lock_if_free()
            && contents.capacity() <= 2 * BATCH_BYTES
            && spare.try_reserve(1).is_ok()
        {
            spare.push(contents);
        }
    }
}

enum Owned {
    License(OwnedLicense),
    Failed { name: String, error: Error },
}

struct OwnedLicense {
    name: String,
    key_id: Option<String>,
    right: BackupRight,
    modified: i64,
    content: Range<usize>,
}

impl Contents {
    /// Makes an empty batch, in memory that `earlier` ones have left, if there is any.
    fn in_memory_of(earlier: &Contents) -> Contents {
        Contents {
            entries: Vec::new(),
            contents: earlier.spare.lock().pop().unwrap_or_default(),
            given: 0,
            spare: Arc::clone(&earlier.spare),
        }
    }

    fn push(&mut self, license: &License) -> Result<()> {
        let start = self.contents.len();
        self.contents.try_reserve(license.content.len())?;
        self.contents.extend_from_slice(license.content);
        self.entries.try_reserve(1)?;
        self.entries.push(Owned::License(OwnedLicense {
            name: license.name.to_owned(),
            key_id: license.key_id.map(str::to_owned),
            right: license.right,
            modified: license.modified,
            content: start..self.contents.len(),
        }));
        Ok(())
    }

    fn push_failed(&mut self, name: &str, error: Error) -> Result<()> {
        self.entries.try_reserve(1)?;
        let name = name.to_owned();
        self.entries.push(Owned::Failed { name, error });
        Ok(())
    }
}

impl Batch for Contents {
    fn len(&self) -> u64 {
        let licenses = self.entries.iter();
        licenses
            .filter(|entry| matches!(entry, Owned::License(_)))
            .count() as u64
    }

    fn next(&mut self) -> Result<Option<Entry<'_>>> {
        let entry = self.entries.get(self.given);
        self.given += 1;
        Ok(entry.map(|entry| match entry {
            Owned::License(license) => Entry::License(License {
                name: &license.name,
                key_id: license.key_id.as_deref(),
                content: self
                    .contents
                    .get(license.content.clone())
                    .unwrap_or_default(),
                modified: license.modified,
                right: license.right,
                format: Format::Opaque,
            }),
            Owned::Failed { name, error } => Entry::Failed {
                name,
                error: error.clone(),
            },
        }))
    }

    fn step_back(&mut self) {
        self.given = self.given.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_goes_while_another_holds_the_lock() {
        let batch = Contents::default();
        let spare = Arc::clone(&batch.spare);
        let held = spare.lock();
        drop(batch);
        assert!(held.is_empty());
    }
}
