//! Some names of a directory, and how their files are read whole.

use std::sync::Arc;
use std::time::Instant;

use super::listing::{Asked, Listing, TICK, freshness};
use super::names::Names;
use crate::error::{Access, Error, Outcome, Result};
use crate::license::{self, SIZE_MAX, name};
use crate::store::{Batch, Described, Feed, FileFacts, Intake, PATIENCE, Stated};
use crate::sys::files::{Dir, Errno, File, Kind};

/// How many names a worker takes at a time: with licences of a few KiB these fill a frame.
const BATCH: usize = 512;
/// The part of all names before, and how many at most, if that is more: of the frames of a large batch only the
/// last is small, and in a small store there is something to do for every worker.
const SHARE: usize = 8;
const BATCH_MAX: usize = 4 * BATCH;
/// Where most licences are taken over, so that what has changed here and there comes into few frames.
const REPEATED_BATCH: usize = 8 * BATCH;

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
            let opened = self.listing.open_listed(folder);
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
        let facts = || match directory.facts_of(name) {
            // What is no licence any more, however much it is as it was, is looked at again.
            Ok(facts) if self.listing.backups.has(facts.identity) => Err(Errno::NOENT),
            facts => facts,
        };
        if intake.takes_over(whole, &facts)? {
            return Ok(());
        }
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
        self.read_opened(&file, whole, intake)
    }

    /// Reads the opened file of the licence `name`. What has taken its name meanwhile does not matter.
    fn read_opened(&self, file: &File, name: &str, intake: &mut dyn Intake) -> Result<()> {
        let failed = |errno| read_error(name, errno);
        let (mut until, mut room, mut short) = (None, 0, None);
        loop {
            intake.check()?;
            let asked = Asked::of(|| file.facts()).map_err(failed)?;
            let before = asked.facts;
            if before.kind == Kind::Folder {
                // It is found when its own is listed again.
                self.listing.miss(name::split(name).0);
                return Ok(());
            }
            if before.kind != Kind::File {
                intake.left_out(name, "it is no regular file");
                return Ok(());
            }
            if self.listing.backups.has(before.identity) {
                return intake.pass_over(name, before.identity);
            }
            let size = before.size.max(room);
            if size > SIZE_MAX && intake.leaves_out_backup(name, &before, file)? {
                return Ok(());
            }
            license::check_size(name, size)?;
            // A writer at this very moment would leave no trace in the times, and be at it for a while; that
            // the file is renamed, which shows as well, does no harm.
            let fresh =
                freshness(before.modified, asked.at).or_else(|| self.listing.freshness(&asked));
            if fresh.is_none() {
                let (mut read, mut is_same) = (0, false);
                let mut fill = |content: &mut [u8]| {
                    read = file.read_full_at(content, 0).map_err(failed)? as u64;
                    is_same = file.facts().map_err(failed)? == before;
                    // What counts is what it holds, also where its size says less; where it says more, what
                    // it holds twice.
                    let is_all = read <= size && (read >= before.size || short == Some(read));
                    Ok((is_same && is_all).then_some(read as usize))
                };
                let described = Described {
                    name,
                    size,
                    modified: before.modified,
                    stated: &Stated::NOTHING,
                    file: Some(FileFacts {
                        facts: &before,
                        has_settled: self.listing.has_settled(&asked),
                    }),
                };
                if intake.license(&described, &mut fill)? {
                    return Ok(());
                }
                if is_same && read > size {
                    room = more_than(size);
                    continue;
                }
                short = is_same.then_some(read);
            }
            let now = Instant::now();
            if now >= *until.get_or_insert(now + PATIENCE) {
                return Err(Error::new(
                    Outcome::SharingViolation,
                    format!(
                        "The licence '{name}' is being written to again and again. Try again when its writer is done."
                    ),
                ));
            }
            std::thread::sleep(fresh.unwrap_or(TICK));
        }
    }
}

/// Room for a licence that holds more than `size` bytes, or one byte too many.
fn more_than(size: u64) -> u64 {
    const FIRST: u64 = 64 << 10;
    match size < SIZE_MAX {
        true => (2 * size).clamp(FIRST, SIZE_MAX),
        false => SIZE_MAX + 1,
    }
}

fn read_error(name: &str, errno: Errno) -> Error {
    Error::system(
        Access::Read,
        format_args!("read the licence '{name}'"),
        errno,
    )
}
