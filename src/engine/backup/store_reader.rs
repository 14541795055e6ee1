//! Reads a store into frames of licences, and again where it moved meanwhile, until nothing can
//! have been missed.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::packer::{Packer, Portion, Rules, state};
use super::previous_backup::PreviousBackup;
use super::readings::{MakeScratch, Readings};
use crate::archive::builder::LicenseFrame;
use crate::archive::state::Prover;
use crate::archive::{Fault, writer};
use crate::engine::operation::Operation;
use crate::engine::operation::listener::Notice;
use crate::engine::operation::pool::{Pool, ordered};
use crate::engine::operation::progress::{Counters, Counting, Phase};
use crate::engine::passed_over::PassedOver;
use crate::engine::stop::Stop;
use crate::error::{Error, Outcome, Result, caught};
use crate::random::{HashMap, HashSet};
use crate::store::{Again, Batch, Feed, PATIENCE, Sighting, Snapshot};
use crate::sync::channel::{Receiver, Sender, bounded};
use crate::sys::files::{File, Kind};
use crate::sys::origin::Origin;
use crate::sys::patience::Patience;

/// The patience with each look at a store of which restless folders have been given up.
const WHERE_OTHERS_ARE_GIVEN_UP: Duration = Duration::from_millis(100);

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

pub struct StoreReader<'g> {
    operation: &'g Arc<Operation>,
    pool: &'g Pool,
    store: Arc<dyn Snapshot>,
    /// The store's name in sentences.
    shown: String,
    rules: Rules,
    /// Names that the host was told are left out; it is told of each once.
    told: HashSet<String>,
    pub passed_over: PassedOver,
    /// The names of files and folders that were passed over. They stay so, whatever becomes of them.
    lost: Arc<HashSet<String>>,
    readings: Readings<'g>,
    /// Makes the proofs of files' states, where they are noted.
    pub prover: Option<Prover>,
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
        keeps_going: bool,
        spool: Option<MakeScratch<'g>>,
    ) -> StoreReader<'g> {
        StoreReader {
            operation,
            pool,
            store,
            shown,
            rules,
            told: HashSet::default(),
            passed_over: PassedOver::new(keeps_going),
            lost: Arc::default(),
            readings: Readings::new(spool),
            prover: None,
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

    /// Tells whether next to nothing of the `old` backup can be taken over.
    pub fn outdates(&self, old: &PreviousBackup) -> bool {
        old.is_outdated(|name| self.store.facts(name).as_ref().map(state))
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
        let (operation, mut patience) = (self.operation, Patience::new(PATIENCE));
        let mut limit = PATIENCE;
        loop {
            let (seen, is_at_rest) = match self.look_again(&mut Patience::new(limit))? {
                Again::Seen(seen) => (seen, true),
                Again::Restless(folders, seen) => {
                    for folder in &folders {
                        self.pass_over_folder(folder)?;
                    }
                    self.store.give_up(folders);
                    limit = WHERE_OTHERS_ARE_GIVEN_UP;
                    (seen, false)
                }
            };
            for (name, error) in seen.failed {
                self.pass_over(&name, error)?;
            }
            if !seen.unknown.is_empty() {
                self.has_moved = true;
                let (mut names, unknown) = (Vec::new(), seen.unknown.iter());
                names
                    .try_reserve_exact(unknown.len())
                    .map_err(Error::from)?;
                names.extend(unknown.map(|seen| (seen.name.clone(), seen.kind)));
                self.pass(Extent::These(names), true, old, sink)?;
            }
            // A file that kept moving while it was read has to be found once more. A file that has
            // taken its place is new, or is found where it was before.
            let left = self.unread(seen.unknown)?;
            if left.is_empty() && is_at_rest {
                return Ok(());
            }
            if is_at_rest {
                patience.renew(left.len());
            }
            if !patience.pause(Duration::ZERO, || operation.check())? {
                for name in &left {
                    let how = format!("the licence '{name}' is moved again and again");
                    let error = self.moves(&how).of_one("it is moved again and again");
                    self.pass_over(name, error)?;
                }
                return Ok(());
            }
        }
    }

    /// Looks for files that have not been read under the names that they have now.
    fn look_again(&mut self, patience: &mut Patience) -> Result<Again, Stop> {
        let (operation, readings, lost) = (self.operation, &mut self.readings, &self.lost);
        let mut fault = None;
        let mut known = |name: &str, file| {
            operation.check()?;
            if lost.contains(name) {
                return Ok(true);
            }
            readings.knows(name, file).map_err(|found| {
                fault = Some(found);
                Error::canceled()
            })
        };
        let again = self
            .store
            .look_again(&mut known, patience, &|| operation.check());
        match fault {
            Some(fault) => Err(Stop::Fault(fault)),
            None => Ok(again?),
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

    /// Tells whether the file or folder `name` has been passed over.
    pub fn has_lost(&self, name: &str) -> bool {
        self.lost.contains(name)
    }

    fn pass_over_folder(&mut self, folder: &str) -> Result<()> {
        let shown = if folder.is_empty() { "." } else { folder };
        let how = format!("the folder '{shown}' changes again and again");
        let error = self.moves(&how).of_one("it changes again and again");
        self.pass_over(shown, error)
    }

    /// Passes over the file or folder `name`, once; fails with its `error` where that is to end the
    /// backup.
    pub fn pass_over(&mut self, name: &str, error: Error) -> Result<()> {
        if self.lost.contains(name) {
            return Ok(());
        }
        self.passed_over.take(self.operation, name, error)?;
        // It may have been read before.
        self.has_moved = true;
        let lost = Arc::make_mut(&mut self.lost);
        lost.try_reserve(1)?;
        lost.insert(name.to_owned());
        Ok(())
    }

    /// Finds the names of those of these files that have not been read, under whatever name.
    fn unread(&mut self, seen: Vec<Sighting>) -> Result<Vec<String>, Fault> {
        let is_open = |seen: &Sighting| seen.kind == Kind::File && !self.lost.contains(&seen.name);
        let files: Vec<Sighting> = seen.into_iter().filter(is_open).collect();
        // Of a store that has not moved nothing need be in memory.
        if files.is_empty() {
            return Ok(Vec::new());
        }
        let is_read = self.readings.have(files.iter().map(|seen| seen.identity))?;
        let both = files.into_iter().zip(is_read);
        Ok(both
            .filter_map(|(seen, is_read)| (!is_read).then_some(seen.name))
            .collect())
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
            prover: self.prover.clone(),
            again,
            keeps_going: self.passed_over.keeps_going,
            passed_over: Arc::clone(&self.lost),
            keys: self.readings.keys.clone(),
            buffers,
        });
        let scratch = match self.store.is_of_files() {
            true => None,
            false => self.readings.scratch(),
        };
        let batches = self.start_listing(look, old.is_some(), scratch)?;
        let (mut fault, mut lost) = (None, HashSet::default());
        let done = ordered(
            self.pool,
            self.rules.workers,
            reader,
            batches,
            |portion: Portion| {
                self.operation.check()?;
                tell(self.operation, &mut self.told, portion.notices)?;
                for (name, error) in portion.failed {
                    // Of what else is listed once and for all, rows may look alike.
                    let is_file = self.store.is_of_files();
                    if is_file && (self.lost.contains(&name) || lost.contains(&name)) {
                        continue;
                    }
                    self.passed_over.take(self.operation, &name, error)?;
                    lost.try_reserve(1)?;
                    lost.insert(name);
                }
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
                    let read =
                        u64::from(listed.tally.licenses) + u64::from(listed.tally.restricted);
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
        if !lost.is_empty() {
            let all = Arc::make_mut(&mut self.lost);
            all.try_reserve(lost.len()).map_err(Error::from)?;
            all.extend(lost);
        }
        // Listed names that have vanished, or were no licences, leave nothing to do.
        let counters = &self.operation.counters;
        counters
            .phase_done
            .set(counters.phase_total.load(Ordering::Relaxed));
        Ok(())
    }

    /// Lists the store on a thread of the pool.
    fn start_listing(
        &self,
        look: Extent,
        takes_over: bool,
        scratch: Option<File>,
    ) -> Result<Batches> {
        let (sender, batches) = bounded(self.store.batches_ahead());
        if let Extent::These(names) = &look {
            count(&self.operation.counters, names.len() as u64);
        }
        let (operation, store) = (Arc::clone(self.operation), Arc::clone(&self.store));
        let keeps_going = self.passed_over.keeps_going;
        self.pool.run(move || {
            let mut feed = ListFeed {
                operation: &operation,
                sender: &sender,
                takes_over,
                keeps_going,
                listed: 0,
                early: 0,
                scratch,
            };
            let done = caught(|| match &look {
                Extent::All => store.list(&mut feed),
                Extent::These(names) => store.list_these(names, &mut feed),
            });
            // From here on the phase counts licences that are done.
            operation.counters.phase_done.take(feed.early);
            match done {
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
    keeps_going: bool,
    listed: u64,
    /// Names that the host was told of while their folder was read.
    early: u64,
    scratch: Option<File>,
}

impl Feed for ListFeed<'_> {
    fn check(&self) -> Result<()> {
        self.operation.check()
    }

    fn listed(&mut self, names: u64) -> Result<()> {
        self.early += names;
        self.operation.counters.phase_done.add(names);
        self.check()
    }

    fn takes_over(&self) -> bool {
        self.takes_over
    }

    fn keeps_going(&self) -> bool {
        self.keeps_going
    }

    fn emit(&mut self, batch: Box<dyn Batch>) -> Result<()> {
        self.check()?;
        self.listed += batch.len();
        // No receiver is left: the operation has failed elsewhere.
        self.sender.send(Ok(batch)).map_err(|_| Error::canceled())
    }

    fn scratch(&mut self) -> Option<File> {
        self.scratch.take()
    }
}
