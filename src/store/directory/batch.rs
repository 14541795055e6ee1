//! Some names of a directory, which are taken one by one.

use std::sync::Arc;

use super::file::{self, FileEntry, read_error};
use super::listing::{Listing, vanished};
use super::names::Names;
use crate::error::Result;
use crate::store::snapshot::{Batch, Entry, Feed};
use crate::sys::files::{Dir, Errno, Kind};

/// Names that a worker takes at a time: with licences of a few KiB these fill a frame.
const BATCH: usize = 512;
/// The divisor of the number of earlier names that gives the size of the next batch, and its upper
/// limit. Of the frames of a large batch only the last is small, and in a small store every worker
/// has something to do.
const SHARE: usize = 8;
const BATCH_MAX: usize = 4 * BATCH;
/// The size where most licences are taken over, so that scattered changes come into few frames.
const REPEATED_BATCH: usize = 8 * BATCH;

/// Names of one or more folders, in order.
pub struct NameBatch {
    listing: Arc<Listing>,
    /// Each folder, and the end of its names.
    folders: Vec<(String, usize)>,
    names: Names,
    /// The folder and the name that come next.
    folder: usize,
    next: usize,
    /// The folder, once it has been opened.
    opened: Option<Result<Dir, Errno>>,
    /// The name that was given last, from the store's root.
    whole: String,
}

/// Collects names until they are enough for a batch.
pub struct BatchBuilder {
    listing: Arc<Listing>,
    folders: Vec<(String, usize)>,
    names: Names,
    /// The number of names in earlier batches.
    emitted: usize,
}

impl BatchBuilder {
    pub fn new(listing: Arc<Listing>) -> BatchBuilder {
        BatchBuilder {
            listing,
            folders: Vec::new(),
            names: Names::default(),
            emitted: 0,
        }
    }

    pub fn push(
        &mut self,
        folder: &str,
        name: &str,
        kind: Kind,
        feed: &mut dyn Feed,
    ) -> Result<()> {
        self.names.push(name, kind)?;
        let end = self.names.len();
        match self.folders.last_mut().filter(|(last, _)| last == folder) {
            Some(last) => last.1 = end,
            None => self.folders.push((folder.to_owned(), end)),
        }
        let enough = match feed.takes_over() {
            true => REPEATED_BATCH,
            false => (self.emitted / SHARE).clamp(BATCH, BATCH_MAX),
        };
        if end < enough {
            Ok(())
        } else {
            self.emit(feed)
        }
    }

    /// Emits the collected names, if there are any.
    pub fn emit(&mut self, feed: &mut dyn Feed) -> Result<()> {
        if self.folders.is_empty() {
            return Ok(());
        }
        let (folders, names) = (
            std::mem::take(&mut self.folders),
            std::mem::take(&mut self.names),
        );
        self.emitted += names.len();
        feed.emit(Box::new(NameBatch {
            listing: Arc::clone(&self.listing),
            folders,
            names,
            folder: 0,
            next: 0,
            opened: None,
            whole: String::new(),
        }))
    }
}

impl Batch for NameBatch {
    fn len(&self) -> u64 {
        self.names
            .iter()
            .filter(|(_, kind)| *kind == Kind::File)
            .count() as u64
    }

    fn next(&mut self) -> Result<Option<Entry<'_>>> {
        let Some(kind) = self.go_on()? else {
            return Ok(None);
        };
        let name = &self.whole;
        let reason = match (&self.opened, kind) {
            (Some(Ok(folder)), Kind::File) => {
                let listing = &self.listing;
                return Ok(Some(Entry::File(FileEntry {
                    listing,
                    folder,
                    name,
                })));
            }
            (_, Kind::Link) => file::IS_LINK,
            _ => file::IS_OTHER,
        };
        Ok(Some(Entry::LeftOut { name, reason }))
    }
}

impl NameBatch {
    /// Goes to the next name and opens its folder; gives the kind that was listed under it. Names
    /// in a folder that has vanished are passed over.
    fn go_on(&mut self) -> Result<Option<Kind>> {
        while let Some((folder, end)) = self.folders.get(self.folder) {
            let Some((name, kind)) = self.names.get(self.next).filter(|_| self.next < *end) else {
                (self.folder, self.opened) = (self.folder + 1, None);
                continue;
            };
            self.next += 1;
            let open = || self.listing.open_listed(folder);
            match (&*self.opened.get_or_insert_with(open), kind) {
                (Err(errno), Kind::File) if vanished(*errno) => {
                    self.listing.miss(folder);
                    continue;
                }
                (Err(errno), Kind::File) => return Err(read_error(folder, *errno)),
                _ => {}
            }
            self.whole.clear();
            if !folder.is_empty() {
                self.whole.push_str(folder);
                self.whole.push('/');
            }
            self.whole.push_str(name);
            return Ok(Some(kind));
        }
        Ok(None)
    }
}
