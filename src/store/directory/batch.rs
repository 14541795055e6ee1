//! Some names of a directory, and how their files are read whole.

use std::sync::Arc;

use super::listing::{Listing, freshness, now};
use super::names::Names;
use crate::error::{Access, Error, Outcome, Result};
use crate::license::{self, name};
use crate::store::{Batch, Described, Feed, Intake, Stated};
use crate::sys::files::{Dir, Errno, Facts, Kind};

/// How many names a worker takes at a time: with licences of a few KiB these fill a frame.
const BATCH: usize = 512;
/// The part of all names before, and how many at most, if that is more: of the frames of a large batch only the
/// last is small, and in a small store there is something to do for every worker.
const SHARE: usize = 8;
const BATCH_MAX: usize = 4 * BATCH;
/// Where most licences are taken over, so that what has changed here and there comes into few frames.
const REPEATED_BATCH: usize = 8 * BATCH;
/// How often a file is read again that was written to meanwhile.
const ATTEMPTS: usize = 5;

/// Names of one or more folders, in order.
pub struct NameBatch {
    listing: Arc<Listing>,
    /// Each folder, and where its names end.
    folders: Vec<(String, usize)>,
    names: Names,
}

/// Collects names until they are enough for a batch.
pub struct BatchBuilder {
    listing: Arc<Listing>,
    folders: Vec<(String, usize)>,
    names: Names,
    /// Names in earlier batches.
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

    /// Emits what has been collected, if anything.
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

    fn read(&self, intake: &mut dyn Intake) -> Result<()> {
        let (mut names, mut start, mut whole) = (self.names.iter(), 0, String::new());
        for (folder, end) in &self.folders {
            let opened = self.listing.root.folder(folder);
            for (name, kind) in names.by_ref().take(end - start) {
                intake.check()?;
                whole.clear();
                if !folder.is_empty() {
                    whole.push_str(folder);
                    whole.push('/');
                }
                whole.push_str(name);
                match (&opened, kind) {
                    (_, Kind::Link) => {
                        intake.left_out(&whole, "it is a symbolic link, and links are not followed")
                    }
                    (Ok(directory), Kind::File) => {
                        self.read_file(directory, name, &whole, intake)?
                    }
                    (Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP), Kind::File) => {
                        self.listing.miss(folder)
                    }
                    (Err(errno), Kind::File) => return Err(read_error(folder, *errno)),
                    _ => intake.left_out(&whole, "it is no regular file"),
                }
            }
            start = *end;
        }
        Ok(())
    }
}

impl NameBatch {
    /// Reads the file `name` of `directory`, the licence `whole`, as it was at one moment.
    fn read_file(
        &self,
        directory: &Dir,
        name: &str,
        whole: &str,
        intake: &mut dyn Intake,
    ) -> Result<()> {
        let facts = || {
            let facts = directory.facts_of(name)?;
            // What is no licence any more, however much it is as it was, is looked at again.
            match self.is_backup(directory, name, &facts) {
                Ok(false) => Ok(facts),
                Ok(true) | Err(_) => Err(Errno::NOENT),
            }
        };
        if intake.takes_over(whole, &facts) {
            return Ok(());
        }
        for _ in 0..ATTEMPTS {
            let asked = now();
            let file = match directory.file(name) {
                Err(Errno::NOENT) => {
                    self.listing.miss(name::split(whole).0);
                    return Ok(());
                }
                Err(Errno::LOOP) => {
                    intake.left_out(whole, "it is a symbolic link, and links are not followed");
                    return Ok(());
                }
                // A socket in the file's place.
                Err(Errno::NXIO) => {
                    intake.left_out(whole, "it is no regular file");
                    return Ok(());
                }
                file => file.map_err(|errno| read_error(whole, errno))?,
            };
            let before = file.facts().map_err(|errno| read_error(whole, errno))?;
            if before.kind != Kind::File {
                intake.left_out(whole, "it is no regular file");
                return Ok(());
            }
            if self.is_backup(directory, name, &before)? {
                return Ok(());
            }
            license::check_size(whole, before.size)?;
            if let Some(tick) = freshness(&before, asked) {
                // A writer at this very moment would leave no trace in the times.
                std::thread::sleep(tick);
                continue;
            }
            let mut fill = |content: &mut [u8]| {
                let read = file
                    .read_full(content)
                    .map_err(|errno| read_error(whole, errno))?;
                let after = file.facts().map_err(|errno| read_error(whole, errno))?;
                Ok(read == content.len() && after == before)
            };
            let described = Described {
                name: whole,
                size: before.size,
                modified: before.modified,
                stated: &Stated::NOTHING,
                facts: self.listing.has_settled(&before, asked).then_some(&before),
            };
            if intake.license(&described, &mut fill)? {
                return Ok(());
            }
        }
        Err(Error::new(
            Outcome::SharingViolation,
            format!(
                "The licence '{whole}' is being written to again and again. Try again when its writer is done."
            ),
        ))
    }

    /// Whether a file is no licence but a backup that lies in the store.
    fn is_backup(&self, directory: &Dir, name: &str, facts: &Facts) -> Result<bool> {
        let backups = &self.listing.backups;
        if backups.files.contains(&facts.identity) {
            return Ok(true);
        }
        if name != backups.name {
            return Ok(false);
        }
        let directory = directory.facts().map_err(|errno| read_error(name, errno))?;
        Ok(backups.directories.contains(&directory.identity))
    }
}

fn read_error(name: &str, errno: Errno) -> Error {
    Error::system(
        Access::Read,
        format_args!("read the licence '{name}'"),
        errno,
    )
}
