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
        self.check(license)?;
        let clash = self.names.insert(license.name)?;
        clash.map_err(|clash| self.clashes(license.name, clash))?;
        if self.batch.licenses.len() == BATCH || self.batch.contents.len() > BATCH_BYTES {
            let next = Contents::in_memory_of(&self.batch);
            self.feed
                .emit(Box::new(std::mem::replace(&mut self.batch, next)))?;
        }
        self.batch.push(license)
    }

    pub fn finish(self) -> Result<()> {
        match self.batch.licenses.is_empty() {
            true => Ok(()),
            false => self.feed.emit(Box::new(self.batch)),
        }
    }

    fn check(&self, license: &License) -> Result<()> {
        let (owner, name) = (self.owner, license.name);
        if let Err(reason) = name::check(name.as_bytes()) {
            let name = name::shown(name);
            let sentence = format!("The {owner}'s licence '{name}' can't be kept: {reason}.");
            return Err(Error::new(Outcome::InvalidName, sentence));
        }
        if license
            .key_id
            .is_some_and(|key_id| !name::is_key_id(key_id))
        {
            let sentence = format!(
                "The key ID of the {owner}'s licence '{name}' can't be kept: it must have 1 to 1,024 \
                 bytes and no control characters."
            );
            return Err(Error::new(Outcome::InvalidName, sentence));
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
        Error::new(outcome, sentence)
    }
}

#[derive(Default)]
struct Contents {
    licenses: Vec<Owned>,
    contents: Vec<u8>,
    /// The number of licences given.
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

struct Owned {
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
            licenses: Vec::new(),
            contents: earlier.spare.lock().pop().unwrap_or_default(),
            given: 0,
            spare: Arc::clone(&earlier.spare),
        }
    }

    fn push(&mut self, license: &License) -> Result<()> {
        let start = self.contents.len();
        self.contents.try_reserve(license.content.len())?;
        self.contents.extend_from_slice(license.content);
        self.licenses.try_reserve(1)?;
        self.licenses.push(Owned {
            name: license.name.to_owned(),
            key_id: license.key_id.map(str::to_owned),
            right: license.right,
            modified: license.modified,
            content: start..self.contents.len(),
        });
        Ok(())
    }
}

impl Batch for Contents {
    fn len(&self) -> u64 {
        self.licenses.len() as u64
    }

    fn next(&mut self) -> Result<Option<Entry<'_>>> {
        let license = self.licenses.get(self.given);
        self.given += 1;
        Ok(license.map(|license| {
            Entry::License(License {
                name: &license.name,
                key_id: license.key_id.as_deref(),
                content: self
                    .contents
                    .get(license.content.clone())
                    .unwrap_or_default(),
                modified: license.modified,
                right: license.right,
                format: Format::Opaque,
            })
        }))
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
