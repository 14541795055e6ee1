//! Some names of a directory, which are taken one by one.

use std::collections::VecDeque;
use std::sync::Arc;

use super::descent::Descent;
use super::file::{self, FileEntry};
use super::listing::{Listing, bad_name, read_error, vanished};
use super::names::{Listed, Names};
use crate::error::{Error, Result};
use crate::store::snapshot::{Batch, Entry, Feed};
use crate::sys::files::{Errno, Kind};

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
    /// The failures of the folders that can't be listed.
    failures: VecDeque<Error>,
    /// The folder and the name that come next.
    folder: usize,
    next: usize,
    /// Whether the folder could be opened, once that has been tried.
    opened: Option<Result<(), Errno>>,
    descent: Descent,
    /// The name that was given last, from the store's root.
    whole: String,
}

/// Collects names until they are enough for a batch.
pub struct BatchBuilder {
    listing: Arc<Listing>,
    folders: Vec<(String, usize)>,
    names: Names,
    failures: VecDeque<Error>,
    /// The number of names in earlier batches.
    emitted: usize,
}

impl BatchBuilder {
    pub fn new(listing: Arc<Listing>) -> BatchBuilder {
        BatchBuilder {
            listing,
            folders: Vec::new(),
            names: Names::default(),
            failures: VecDeque::new(),
            emitted: 0,
        }
    }

    pub fn push(
        &mut self,
        folder: &str,
        name: &str,
        listed: Listed,
        feed: &mut dyn Feed,
    ) -> Result<()> {
        self.names.push(name, listed)?;
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

    /// Takes the folder `name` of `folder`, which can't be listed because of `error`.
    pub fn push_failed(
        &mut self,
        folder: &str,
        name: &str,
        error: Error,
        feed: &mut dyn Feed,
    ) -> Result<()> {
        self.failures.try_reserve(1)?;
        self.failures.push_back(error);
        self.push(folder, name, Listed::Failed, feed)
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
            failures: std::mem::take(&mut self.failures),
            folder: 0,
            next: 0,
            opened: None,
            descent: Descent::default(),
            whole: String::new(),
        }))
    }
}

impl Batch for NameBatch {
    fn len(&self) -> u64 {
        self.names
            .iter()
            .filter(|(_, listed)| *listed == Listed::Is(Kind::File))
            .count() as u64
    }

    fn next(&mut self) -> Result<Option<Entry<'_>>> {
        let Some(listed) = self.go_on() else {
            return Ok(None);
        };
        let name = &self.whole;
        let failed = |error| Entry::Failed { name, error };
        let left_out = |reason| Entry::LeftOut { name, reason };
        Ok(Some(match (listed, self.opened) {
            (Listed::Is(Kind::File), Some(Err(errno))) => failed(read_error(name, errno)),
            (Listed::Is(Kind::File), _) => match self.descent.last() {
                Some(folder) => Entry::File(FileEntry {
                    listing: &self.listing,
                    folder,
                    name,
                }),
                None => return Err(Error::panicked(&"a file without its folder")),
            },
            (Listed::Is(Kind::Link), _) => left_out(file::IS_LINK),
            (Listed::Is(_), _) => left_out(file::IS_OTHER),
            (Listed::Hidden, _) => left_out(file::IS_HIDDEN),
            (Listed::Unkept(reason), _) => failed(bad_name(name, reason)),
            (Listed::Failed, _) => match self.failures.pop_front() {
                Some(error) => failed(error),
                None => return Err(Error::panicked(&"a folder without its failure")),
            },
        }))
    }

    fn step_back(&mut self) {
        self.next = self.next.saturating_sub(1);
    }
}

impl NameBatch {
    /// Goes to the next name and opens its folder; gives what was listed under it. Names in a folder
    /// that has vanished are passed over. A folder that can't be opened comes in place of its names.
    fn go_on(&mut self) -> Option<Listed> {
        while let Some((folder, end)) = self.folders.get(self.folder) {
            let Some((name, listed)) = self.names.get(self.next).filter(|_| self.next < *end)
            else {
                (self.folder, self.opened) = (self.folder + 1, None);
                continue;
            };
            self.next += 1;
            self.whole.clear();
            self.whole.push_str(folder);
            if listed == Listed::Is(Kind::File) {
                let open = || {
                    let opened = self.listing.open_listed(folder, &mut self.descent);
                    opened.map(drop)
                };
                match self.opened.get_or_insert_with(open) {
                    Ok(()) => {}
                    Err(errno) if vanished(*errno) => {
                        self.listing.miss(folder);
                        continue;
                    }
                    Err(_) => {
                        // What else is in it is not told, nor why a folder there can't be listed.
                        let rest = (self.next..*end).filter_map(|at| self.names.get(at));
                        let failed = rest.filter(|(_, listed)| *listed == Listed::Failed);
                        let failed = failed.count().min(self.failures.len());
                        self.failures.drain(..failed);
                        self.next = *end;
                        return Some(listed);
                    }
                }
            }
            if !folder.is_empty() {
                self.whole.push('/');
            }
            self.whole.push_str(name);
            return Some(listed);
        }
        None
    }
}
