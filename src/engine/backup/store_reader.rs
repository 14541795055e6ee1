//! Reads a store into frames of licences, and again where it moved meanwhile, until nothing can
//! have been missed.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::attempts::{Attempts, Verdict};
use super::previous_backup::PreviousBackup;
use super::readings::{Keys, MakeScratch, Reading, Readings};
use crate::archive::builder::{FrameBuilder, LicenseFrame};
use crate::archive::frames::Compressor;
use crate::archive::reader::is_backup;
use crate::archive::records::FileState;
use crate::archive::{Fault, writer};
use crate::engine::operation::Operation;
use crate::engine::operation::events::Notice;
use crate::engine::operation::pool::{Outlet, Pool, Work, ordered};
use crate::engine::operation::progress::{Counters, Counting, Phase};
use crate::engine::reading::backup_file::Stored;
use crate::engine::stop::Stop;
use crate::error::{Error, Outcome, Result};
use crate::license::{self, BackupRight, Statement};
use crate::random::{HashMap, HashSet};
use crate::store::directory::{FileEntry, OpenFile, Opened, Seen, Sight, TICK};
use crate::store::license::License;
use crate::store::{self, Again, Batch, Entry, Feed, PATIENCE, Snapshot};
use crate::sync::channel::{Receiver, Sender, bounded};
use crate::sys::files::{Facts, Identity, Kind};
use crate::sys::origin::Origin;

/// Takes frames as they come, in the order of the store.
pub trait Sink {
    /// Takes a frame, and returns its memory.
    fn take(&mut self, frame: LicenseFrame) -> Result<Vec<u8>, Fault>;
}

/// The part of a store that is read.
pub enum Extent {
    All,
    These(Vec<(String, Kind)>),
}

/// The rules for reading licences.
#[derive(Clone, Copy)]
pub struct Rules {
    pub workers: usize,
    pub level: Option<i32>,
    pub leave_out_unstated: bool,
}

pub struct StoreReader<'g> {
    operation: &'g Arc<Operation>,
    pool: &'g Pool,
    store: Arc<dyn Snapshot>,
    /// The store's name in sentences.
    shown: String,
    rules: Rules,
    /// Names that the host was told are left out; it is told of each once.
    told: HashSet<String>,
    readings: Readings<'g>,
    /// Parts of the store were read at different times.
    pub has_moved: bool,
    /// The licences that were read again since the store moved, and the last finding of each.
    pub read_again: HashMap<String, writer::LastLook>,
}

impl<'g> StoreReader<'g> {
    /// Makes a reader. `spool` makes an empty file for the notes of each file, where one can be
    /// written.
    pub fn new(
        operation: &'g Arc<Operation>,
        pool: &'g Pool,
        store: Arc<dyn Snapshot>,
        shown: String,
        rules: Rules,
        spool: Option<MakeScratch<'g>>,
    ) -> StoreReader<'g> {
        StoreReader {
            operation,
            pool,
            store,
            shown,
            rules,
            told: HashSet::default(),
            readings: Readings::new(spool),
            has_moved: false,
            read_again: HashMap::default(),
        }
    }

    /// Tells whether the licences are files, which may move while they are read.
    pub fn is_of_files(&self) -> bool {
        self.store.is_of_files()
    }

    /// Gives the origin at which the states of the files are noted, if they show each change.
    pub fn origin(&self) -> Option<&Origin> {
        self.store.origin()
    }

    /// Reads what `look` says into `sink`, except what can be taken over from `old`. Where the
    /// store moves, reads it again until every file that was in it all the time has been read.
    pub fn read(
        &mut self,
        look: Extent,
        old: Option<&Arc<PreviousBackup>>,
        sink: &mut dyn Sink,
    ) -> Result<(), Stop> {
        // Earlier readings do not stay in the backup.
        match &look {
            Extent::All => {
                self.readings.forget_all()?;
                self.read_again.clear();
                self.has_moved = false;
            }
            Extent::These(names) => {
                let mut names = names.iter();
                names.try_for_each(|(name, _)| self.readings.forget(name))?;
            }
        }
        self.pass(look, false, old, sink)?;
        let until = Instant::now() + PATIENCE;
        loop {
            let (operation, readings) = (self.operation, &mut self.readings);
            let mut fault = None;
            let mut known = |name: &str, file| {
                operation.check()?;
                readings.knows(name, file).map_err(|found| {
                    fault = Some(found);
                    Error::canceled()
                })
            };
            let again = self
                .store
                .look_again(&mut known, until, &|| operation.check());
            if let Some(fault) = fault {
                return Err(Stop::Fault(fault));
            }
            let seen = match again? {
                Again::Seen(seen) if seen.is_empty() => return Ok(()),
                Again::Seen(seen) => seen,
                Again::Restless(folder) => {
                    let how = format!("the folder '{folder}' changes again and again");
                    return Err(self.moves(&how).into());
                }
            };
            self.has_moved = true;
            let mut names = Vec::new();
            names.try_reserve_exact(seen.len()).map_err(Error::from)?;
            names.extend(seen.iter().map(|seen| (seen.name.clone(), seen.kind)));
            self.pass(Extent::These(names), true, old, sink)?;
            // A file that kept moving while it was read has to be found once more. A file that has
            // taken its place is new, or is found where it was before.
            if self.has_read(&seen)? {
                return Ok(());
            }
        }
    }

    /// Makes the error of a store that keeps moving.
    pub fn moves(&self, how: &str) -> Error {
        let sentence = format!(
            "The store {} changes faster than it can be read: {how}. Try again when it is quiet.",
            self.shown
        );
        Error::new(Outcome::SharingViolation, sentence)
    }

    /// Tells whether each of these files has been read, under whatever name.
    fn has_read(&mut self, seen: &[store::Sighting]) -> Result<bool, Fault> {
        let files = seen.iter().filter(|seen| seen.kind == Kind::File);
        self.readings.have_all(files.map(|seen| seen.identity))
    }

    /// Reads what `look` says, once; `again` says that the store has moved.
    fn pass(
        &mut self,
        look: Extent,
        again: bool,
        old: Option<&Arc<PreviousBackup>>,
        sink: &mut dyn Sink,
    ) -> Result<(), Stop> {
        let (give_back, buffers) = crossbeam_channel::bounded(2 * self.rules.workers + 1);
        let reader = Arc::new(Packer {
            operation: Arc::clone(self.operation),
            rules: self.rules,
            old: old.map(Arc::clone),
            again,
            keys: self.readings.keys.clone(),
            buffers,
        });
        let batches = self.start_listing(look, old.is_some())?;
        let mut fault = None;
        let done = ordered(
            self.pool,
            self.rules.workers,
            reader,
            batches,
            |portion: Portion| {
                self.operation.check()?;
                tell(self.operation, &mut self.told, portion.notices)?;
                let counters = &self.operation.counters;
                counters.phase_done.add(portion.taken_over);
                self.read_again.try_reserve(portion.again.len())?;
                self.read_again.extend(portion.again);
                let take = || {
                    self.readings.note(&portion.readings)?;
                    let Some(frame) = portion.frame else {
                        return Ok(());
                    };
                    let listed = &frame.listed;
                    let read = listed.records.len() as u64 + listed.restricted_count;
                    let memory = sink.take(frame)?;
                    let _ = give_back.try_send(memory);
                    counters.phase_done.add(read);
                    Ok(())
                };
                take().map_err(|found| {
                    fault = Some(found);
                    Error::canceled()
                })
            },
        );
        if let Some(fault) = fault {
            return Err(Stop::Fault(fault));
        }
        done?;
        // Listed names that have vanished, or were no licences, leave nothing to do.
        let counters = &self.operation.counters;
        counters
            .phase_done
            .set(counters.phase_total.load(Ordering::Relaxed));
        Ok(())
    }

    /// Lists the store on a thread of the pool.
    fn start_listing(&self, look: Extent, takes_over: bool) -> Result<Batches> {
        let (sender, batches) = bounded(self.store.batches_ahead());
        if let Extent::These(names) = &look {
            count(&self.operation.counters, names.len() as u64);
        }
        let (operation, store) = (Arc::clone(self.operation), Arc::clone(&self.store));
        self.pool.run(move || {
            let mut feed = ListFeed {
                operation: &operation,
                sender: &sender,
                takes_over,
                listed: 0,
            };
            let done = catch_unwind(AssertUnwindSafe(|| match &look {
                Extent::All => store.list(&mut feed),
                Extent::These(names) => store.list_these(names, &mut feed),
            }));
            match done.unwrap_or_else(|panic| Err(Error::panicked(panic.as_ref()))) {
                Err(error) => drop(sender.send(Err(error))),
                Ok(()) if matches!(look, Extent::All) => count(&operation.counters, feed.listed),
                Ok(()) => {}
            }
        })?;
        Ok(batches)
    }
}

/// Counts the licences that are known to come.
fn count(counters: &Counters, listed: u64) {
    counters.licenses_total.add(listed);
    let total = counters.licenses_total.load(Ordering::Relaxed);
    counters.go_on(Phase::Working, total);
}

/// Tells the host what is left out. A licence may be read again after its folder has changed, or by
/// a backup that starts afresh. All notices of a licence come together, the one with its name last.
fn tell(operation: &Operation, told: &mut HashSet<String>, notices: Vec<Notice>) -> Result<()> {
    told.try_reserve(notices.len())?;
    let mut restricted = None;
    for notice in notices {
        match &notice {
            Notice::Restricted { .. } => restricted = Some(notice),
            Notice::LeftOut { name, .. } => {
                let is_new = told.insert(name.clone());
                let both = restricted.take().into_iter().chain([notice]);
                both.filter(|_| is_new)
                    .for_each(|notice| operation.tell(notice));
            }
            _ => operation.tell(notice),
        }
    }
    Ok(())
}

type Batches = Receiver<Result<Box<dyn Batch>>>;

/// Hands on the batches that a store lists.
struct ListFeed<'l> {
    operation: &'l Operation,
    sender: &'l Sender<Result<Box<dyn Batch>>>,
    takes_over: bool,
    listed: u64,
}

impl Feed for ListFeed<'_> {
    fn check(&self) -> Result<()> {
        self.operation.check()
    }

    fn takes_over(&self) -> bool {
        self.takes_over
    }

    fn emit(&mut self, batch: Box<dyn Batch>) -> Result<()> {
        self.check()?;
        self.listed += batch.len();
        // No receiver is left: the operation has failed elsewhere.
        self.sender.send(Ok(batch)).map_err(|_| Error::canceled())
    }
}

/// Makes frames, and notices for the host, of a batch of names.
struct Packer {
    operation: Arc<Operation>,
    rules: Rules,
    /// The backup that licences are taken over from.
    old: Option<Arc<PreviousBackup>>,
    /// The store has moved, and licences read now may have been read before.
    again: bool,
    keys: Keys,
    /// Memory of frames that have been written; nobody waits for it.
    buffers: crossbeam_channel::Receiver<Vec<u8>>,
}

/// A part of the backup.
#[derive(Default)]
struct Portion {
    frame: Option<LicenseFrame>,
    notices: Vec<Notice>,
    /// The number of licences that need not be read.
    taken_over: u64,
    readings: Vec<Reading>,
    again: Vec<(String, writer::LastLook)>,
}

impl Work for Packer {
    type Job = Box<dyn Batch>;
    type Output = Portion;
    type Scratch = (FrameBuilder, Compressor);

    fn scratch(&self) -> Result<Self::Scratch> {
        Ok((
            FrameBuilder::new().map_err(packing)?,
            Compressor::of_licenses(self.rules.level).map_err(packing)?,
        ))
    }

    fn work(
        &self,
        scratch: &mut Self::Scratch,
        mut batch: Box<dyn Batch>,
        outlet: &Outlet<Portion>,
    ) -> Result<()> {
        let (builder, compressor) = scratch;
        let mut packing = Packing {
            reader: self,
            builder,
            compressor,
            outlet,
            portion: Portion::default(),
        };
        while let Some(entry) = batch.next()? {
            self.operation.check()?;
            packing.take(entry)?;
        }
        packing.send()
    }
}

/// Makes the error of packing licences into a frame, which no file is to blame for.
fn packing(fault: Fault) -> Error {
    match fault {
        Fault::OutOfMemory => Error::out_of_memory(),
        fault => Error::new(Outcome::Fail, format!("Cannot pack the licences: {fault}.")),
    }
}

struct Packing<'w> {
    reader: &'w Packer,
    builder: &'w mut FrameBuilder,
    compressor: &'w mut Compressor,
    outlet: &'w Outlet<Portion>,
    portion: Portion,
}

impl Packing<'_> {
    /// Closes the frame, if there is anything in it, and sends it with its notices.
    fn send(&mut self) -> Result<()> {
        if !self.builder.is_empty() {
            let buffer = self.reader.buffers.try_recv().unwrap_or_default();
            let frame = self.builder.close(self.compressor, buffer);
            self.portion.frame = Some(frame.map_err(packing)?);
        }
        self.outlet.send(std::mem::take(&mut self.portion))
    }

    /// Notes which file is in the backup under a name, or left out of it.
    fn note(&mut self, name: &str, file: Identity) -> Result<()> {
        let readings = &mut self.portion.readings;
        readings.try_reserve(1)?;
        readings.push(self.reader.keys.reading(name, file));
        Ok(())
    }

    /// Notes the finding about a licence that may have been read before.
    fn looked(&mut self, name: &str, found: writer::LastLook) -> Result<()> {
        if self.reader.again {
            self.portion.again.try_reserve(1)?;
            self.portion.again.push((name.to_owned(), found));
        }
        Ok(())
    }
}

impl Packing<'_> {
    /// Takes the entry that a store has under a name.
    fn take(&mut self, entry: Entry) -> Result<()> {
        match entry {
            Entry::License(license) => self.take_license(&license),
            Entry::File(file) => self.take_file(&file),
            Entry::LeftOut { name, reason } => {
                self.left_out(name, reason);
                Ok(())
            }
        }
    }

    fn take_license(&mut self, license: &License) -> Result<()> {
        let size = license.content.len();
        let place = self.begin(license.name, size as u64, license.modified)?;
        place
            .get_mut(..size)
            .ok_or_else(Error::out_of_memory)?
            .copy_from_slice(license.content);
        self.builder.end(license.name, size).map_err(packing)?;
        let mut statement = license::read(license.name, self.builder.content())?;
        license.correct(&mut statement);
        self.keep_or_restrict(license.name, license.modified, statement, None)
    }

    /// Takes a file as it is at one moment, unless it can be taken over.
    fn take_file(&mut self, entry: &FileEntry) -> Result<()> {
        if self.takes_over(entry)? {
            return Ok(());
        }
        let name = entry.name;
        let file = match entry.open()? {
            Opened::File(file) => file,
            Opened::Gone => return Ok(()),
            Opened::Other(reason) => {
                self.left_out(name, reason);
                return Ok(());
            }
        };
        let mut attempts = Attempts::default();
        loop {
            self.reader.operation.check()?;
            let seen = match file.look()? {
                Sight::License(seen) => seen,
                Sight::Backup(identity) => return self.note(name, identity),
                Sight::Gone => return Ok(()),
                Sight::Other(reason) => {
                    self.left_out(name, reason);
                    return Ok(());
                }
            };
            let room = attempts.room(&seen);
            if room > license::SIZE_MAX && self.is_backup(&file)? {
                return self.leave_out_backup(name, &seen);
            }
            license::check_size(name, room)?;
            if seen.fresh.is_none() {
                let place = self.begin(name, room, seen.facts.modified)?;
                let attempt = file.read_into(place, &seen)?;
                match attempts.judge(&seen, &attempt) {
                    Verdict::Whole => return self.end_file(name, attempt.read, &seen),
                    Verdict::HoldsMore => continue,
                    Verdict::Moves => {}
                }
            }
            attempts.pause(name, seen.fresh.unwrap_or(TICK))?;
        }
    }

    /// Tells whether the licence need not be read, since it is in the old backup and its file has
    /// not changed.
    fn takes_over(&mut self, entry: &FileEntry) -> Result<bool> {
        let Some(old) = &self.reader.old else {
            return Ok(false);
        };
        let mut file = None;
        let state_now = || {
            let facts = entry.facts().ok()?;
            file = Some(facts.identity);
            Some(state(&facts))
        };
        if !old.takes_over(entry.name, state_now) {
            return Ok(false);
        }
        self.portion.taken_over += 1;
        file.map_or(Ok(()), |file| self.note(entry.name, file))?;
        Ok(true)
    }

    /// Gives the place for the content of a licence of `size` bytes, and one byte more.
    fn begin(&mut self, name: &str, size: u64, modified: i64) -> Result<&mut [u8]> {
        if self.builder.is_full(size) {
            self.send()?;
        }
        self.builder.begin(name, size, modified).map_err(packing)
    }

    /// Ends the licence whose file has been read whole, `size` bytes, unless that is a backup.
    fn end_file(&mut self, name: &str, size: u64, seen: &Seen) -> Result<()> {
        self.builder.end(name, size as usize).map_err(packing)?;
        if is_backup(&self.builder.content()).map_err(packing)? {
            return self.leave_out_backup(name, seen);
        }
        self.note(name, seen.facts.identity)?;
        let statement = license::read(name, self.builder.content())?;
        let state = seen.has_settled.then(|| state(&seen.facts));
        self.keep_or_restrict(name, seen.facts.modified, statement, state)
    }

    /// Decides whether the licence that was read last is kept or left out.
    fn keep_or_restrict(
        &mut self,
        name: &str,
        modified: i64,
        statement: Statement,
        state: Option<FileState>,
    ) -> Result<()> {
        let leave_out_unstated = self.reader.rules.leave_out_unstated;
        if statement.right.is_restricted(leave_out_unstated) {
            return self.restrict(name, statement);
        }
        let old = self.reader.old.as_ref();
        let content = || self.builder.content();
        if old.is_some_and(|old| old.has_same(name, &statement, modified, content)) {
            self.builder.note(name, state.as_ref()).map_err(packing)?;
            self.portion.taken_over += 1;
            return Ok(());
        }
        self.builder
            .keep(name, modified, &statement, state.as_ref())
            .map_err(packing)?;
        if let Some(old) = old {
            old.renew(name);
        }
        if self.reader.again {
            self.builder.note_read_again();
        }
        self.looked(name, writer::LastLook::Kept)
    }

    fn restrict(&mut self, name: &str, statement: Statement) -> Result<()> {
        self.builder.restrict(name, &statement).map_err(packing)?;
        if let Some(old) = &self.reader.old {
            old.restrict(name);
        }
        let reason = match statement.right {
            BackupRight::Denied => "its issuer denies backup",
            _ => {
                "its issuer does not state whether it may be backed up, and such licences are to be left out"
            }
        };
        self.portion.notices.push(Notice::Restricted {
            key_id: statement.key_id,
        });
        self.left_out(name, reason);
        self.looked(name, writer::LastLook::Restricted)
    }

    /// Tells whether a file that is too large for a licence is a backup.
    fn is_backup(&self, file: &OpenFile) -> Result<bool> {
        match is_backup(&Stored(file.file())) {
            // A file that can't be read to its end is no backup.
            Err(Fault::System(_)) => Ok(false),
            told => told.map_err(packing),
        }
    }

    fn leave_out_backup(&mut self, name: &str, seen: &Seen) -> Result<()> {
        self.left_out(name, IS_BACKUP);
        self.note(name, seen.facts.identity)
    }

    fn left_out(&mut self, name: &str, reason: &str) {
        self.portion.notices.push(Notice::LeftOut {
            name: name.to_owned(),
            reason: reason.to_owned(),
        });
    }
}

/// The reason why a backup is no licence, wherever it lies.
const IS_BACKUP: &str = "it is a backup made by licbak";

/// Picks those facts of a file that change with its content.
fn state(facts: &Facts) -> FileState {
    FileState {
        device: facts.identity.device,
        inode: facts.identity.inode,
        mtime: facts.modified,
        ctime: facts.changed,
        size: facts.size,
    }
}
