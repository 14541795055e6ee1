//! Reads a store into frames of licences, again where it moved meanwhile, until nothing can have been
//! missed.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::events::Notice;
use super::old::Old;
use super::operation::Operation;
use super::pool::{Outlet, Pool, Work, ordered};
use super::progress::{Count, Phase};
use crate::archive::Fault;
use crate::archive::builder::{FrameBuilder, LicenseFrame};
use crate::archive::frames::Compressor;
use crate::archive::lines::State;
use crate::error::{Error, Outcome, Result};
use crate::license::{self, name};
use crate::store::{Batch, Described, Feed, Fill, Intake, Known, Snapshot, Unsettled};
use crate::sys::channel::{Receiver, Sender, bounded};
use crate::sys::files::{Errno, Facts};

/// How often a store that moves is listed.
const ROUNDS: usize = 5;

/// Takes frames as they come, in the order of the store.
pub trait Sink {
    /// Takes a frame, and returns its memory.
    fn take(&mut self, frame: LicenseFrame) -> Result<Vec<u8>, Fault>;

    /// Calls `visit` with the name of every licence that was taken or left out.
    fn names(&self, visit: &mut dyn FnMut(&str) -> Result<(), Fault>) -> Result<(), Fault>;
}

/// What of a store is read.
pub enum Look {
    All,
    These(Vec<String>),
    Again(Unsettled, Known),
}

/// How licences are read.
#[derive(Clone, Copy)]
pub struct Rules {
    pub workers: usize,
    pub level: Option<i32>,
    pub leave_out_unstated: bool,
}

pub struct Gathering<'g> {
    operation: &'g Arc<Operation>,
    pool: &'g Pool,
    store: Arc<dyn Snapshot>,
    rules: Rules,
    /// Names that the host was told are left out; it is told of none twice.
    told: HashSet<String>,
    /// Whether parts of the store were read at different times.
    pub has_moved: bool,
}

/// Why a store could not be read into a sink.
pub enum Stop {
    Error(Error),
    Fault(Fault),
    /// It won't hold still.
    Moves(String),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Stop {
        Stop::Fault(fault)
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Stop {
        Stop::Error(error)
    }
}

impl<'g> Gathering<'g> {
    pub fn new(
        operation: &'g Arc<Operation>,
        pool: &'g Pool,
        store: Arc<dyn Snapshot>,
        rules: Rules,
    ) -> Gathering<'g> {
        Gathering {
            operation,
            pool,
            store,
            rules,
            told: HashSet::new(),
            has_moved: false,
        }
    }

    /// Reads what `look` says into `sink`, but for what can be taken over from `old`; and again where
    /// the store moves.
    pub fn read(
        &mut self,
        look: Look,
        old: Option<&Arc<Old>>,
        sink: &mut dyn Sink,
    ) -> Result<(), Stop> {
        let (give_back, buffers) = bounded(2 * self.rules.workers + 1).map_err(Error::from)?;
        let reading = Arc::new(Reading {
            operation: Arc::clone(self.operation),
            rules: self.rules,
            old: old.map(Arc::clone),
            buffers,
        });
        let mut look = Some(look);
        for _ in 0..ROUNDS {
            let batches = self.start_listing(look.take().unwrap_or(Look::All), old.is_some())?;
            let mut fault = None;
            let done = ordered(
                self.pool,
                self.rules.workers,
                Arc::clone(&reading),
                batches,
                |portion: Portion| {
                    self.operation.check()?;
                    tell(self.operation, &mut self.told, portion.notices)?;
                    let counters = &self.operation.counters;
                    counters.phase_done.add(portion.taken_over);
                    if let Some(frame) = portion.frame {
                        let listed = &frame.listed;
                        let read = listed.records.len() as u64 + listed.restricted_count;
                        let memory = sink.take(frame).map_err(|found| {
                            fault = Some(found);
                            Error::canceled()
                        })?;
                        let _ = give_back.try_send(memory);
                        counters.phase_done.add(read);
                    }
                    Ok(())
                },
            );
            if let Some(fault) = fault {
                return Err(Stop::Fault(fault));
            }
            done?;
            let moved = self.store.unsettled()?;
            if moved.folders.is_empty() {
                return Ok(());
            }
            self.has_moved = true;
            let known = known(&moved, old, sink).map_err(Stop::Fault)?;
            look = Some(Look::Again(moved, known));
        }
        let folder = match look {
            Some(Look::Again(moved, _)) => moved.folders.into_iter().next(),
            _ => None,
        };
        let folder = folder.unwrap_or_default();
        Err(Stop::Moves(format!(
            "the folder '{folder}' changes again and again"
        )))
    }

    /// Has a thread of the pool list the store.
    fn start_listing(&self, look: Look, takes_over: bool) -> Result<Batches> {
        let (sender, batches) = bounded(self.store.batches_ahead())?;
        let (operation, store) = (Arc::clone(self.operation), Arc::clone(&self.store));
        self.pool.run(move || {
            let mut feed = Listing {
                operation: &operation,
                sender: &sender,
                takes_over,
                listed: 0,
            };
            let done = catch_unwind(AssertUnwindSafe(|| match &look {
                Look::All => store.list(&mut feed),
                Look::These(names) => store.list_these(names, &mut feed),
                Look::Again(unsettled, known) => store.list_again(unsettled, known, &mut feed),
            }));
            let listed = feed.listed;
            match done.unwrap_or_else(|panic| Err(Error::panicked(panic.as_ref()))) {
                Err(error) => drop(sender.send(Err(error))),
                Ok(()) => {
                    operation.counters.licenses_total.add(listed);
                    let total = operation.counters.licenses_total.load(Ordering::Relaxed);
                    operation.counters.go_on(Phase::Working, total);
                }
            }
        })?;
        Ok(batches)
    }
}

/// Tells the host what is left out. A licence may be read again after its folder has changed, or by a
/// backup that starts afresh; the notices of one come together, its name last.
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

/// Which names of the unsettled folders have been read, or taken over.
fn known(moved: &Unsettled, old: Option<&Arc<Old>>, sink: &dyn Sink) -> Result<Known, Fault> {
    let mut names = HashSet::new();
    sink.names(&mut |name| {
        if moved.folders.contains(name::split(name).0) {
            names.try_reserve(1)?;
            names.insert(name.to_owned());
        }
        Ok(())
    })?;
    let old = old.map(Arc::clone);
    Ok(Arc::new(move |name| {
        names.contains(name) || old.as_ref().is_some_and(|old| old.has_taken_over(name))
    }))
}

type Batches = Receiver<Result<Box<dyn Batch>>>;

/// Hands on what a store lists.
struct Listing<'l> {
    operation: &'l Operation,
    sender: &'l Sender<Result<Box<dyn Batch>>>,
    takes_over: bool,
    listed: u64,
}

impl Feed for Listing<'_> {
    fn check(&self) -> Result<()> {
        self.operation.check()
    }

    fn takes_over(&self) -> bool {
        self.takes_over
    }

    fn emit(&mut self, batch: Box<dyn Batch>) -> Result<()> {
        self.check()?;
        self.listed += batch.len();
        // Nobody listens any more: the operation has failed elsewhere.
        self.sender.send(Ok(batch)).map_err(|_| Error::canceled())
    }
}

/// What a worker makes of a batch of names: frames, and what the host is to be told.
struct Reading {
    operation: Arc<Operation>,
    rules: Rules,
    /// What licences are taken over from.
    old: Option<Arc<Old>>,
    /// Memory of frames that have been written.
    buffers: Receiver<Vec<u8>>,
}

/// A part of the backup.
struct Portion {
    frame: Option<LicenseFrame>,
    notices: Vec<Notice>,
    /// How many licences need not be read.
    taken_over: u64,
}

impl Work for Reading {
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
        batch: Box<dyn Batch>,
        outlet: &Outlet<Portion>,
    ) -> Result<()> {
        let (builder, compressor) = scratch;
        let mut packing = Packing {
            reading: self,
            builder,
            compressor,
            outlet,
            notices: Vec::new(),
            taken_over: 0,
        };
        batch.read(&mut packing)?;
        packing.send()
    }
}

/// The error of putting licences into a frame: there is no file that it could be about.
fn packing(fault: Fault) -> Error {
    match fault {
        Fault::OutOfMemory => Error::out_of_memory(),
        fault => Error::new(Outcome::Fail, format!("Cannot pack the licences: {fault}.")),
    }
}

struct Packing<'w> {
    reading: &'w Reading,
    builder: &'w mut FrameBuilder,
    compressor: &'w mut Compressor,
    outlet: &'w Outlet<Portion>,
    notices: Vec<Notice>,
    taken_over: u64,
}

impl Packing<'_> {
    /// Closes the frame, if there is anything in it, and sends it with what there is to tell.
    fn send(&mut self) -> Result<()> {
        let frame = match self.builder.is_empty() {
            true => None,
            false => {
                let buffer = self.reading.buffers.try_recv().unwrap_or_default();
                Some(
                    self.builder
                        .close(self.compressor, buffer)
                        .map_err(packing)?,
                )
            }
        };
        self.outlet.send(Portion {
            frame,
            notices: std::mem::take(&mut self.notices),
            taken_over: std::mem::take(&mut self.taken_over),
        })
    }
}

impl Intake for Packing<'_> {
    fn check(&self) -> Result<()> {
        self.reading.operation.check()
    }

    fn takes_over(&mut self, name: &str, facts: &dyn Fn() -> Result<Facts, Errno>) -> bool {
        let old = self.reading.old.as_ref();
        let takes_over =
            old.is_some_and(|old| old.takes_over(name, || facts().ok().map(|f| state(&f))));
        self.taken_over += u64::from(takes_over);
        takes_over
    }

    fn license(&mut self, license: &Described, fill: Fill) -> Result<bool> {
        let Described {
            name,
            size,
            modified,
            stated,
            facts,
        } = *license;
        if self.builder.is_full(size) {
            self.send()?;
        }
        let buffer = self.builder.begin(name, size, modified).map_err(packing)?;
        if !fill(buffer)? {
            return Ok(false);
        }
        let mut statement = license::read(name, self.builder.content())?;
        stated.correct(&mut statement);
        let leave_out_unstated = self.reading.rules.leave_out_unstated;
        if !statement.right.is_restricted(leave_out_unstated) {
            let state = facts.map(state);
            self.builder
                .keep(name, modified, &statement, state.as_ref())
                .map_err(packing)?;
            if let Some(old) = &self.reading.old {
                old.renew(name);
            }
            return Ok(true);
        }
        self.builder.restrict(name, &statement).map_err(packing)?;
        if let Some(old) = &self.reading.old {
            old.restrict(name);
        }
        let reason = match statement.right {
            license::BackupRight::Denied => "its issuer denies backup",
            _ => {
                "its issuer does not state whether it may be backed up, and such licences are to be left out"
            }
        };
        self.notices.push(Notice::Restricted {
            key_id: statement.key_id,
        });
        self.left_out(name, reason);
        Ok(true)
    }

    fn left_out(&mut self, name: &str, reason: &str) {
        self.notices.push(Notice::LeftOut {
            name: name.to_owned(),
            reason: reason.to_owned(),
        });
    }
}

/// What of a file's facts changes when its content does.
fn state(facts: &Facts) -> State {
    State {
        device: facts.identity.device,
        inode: facts.identity.inode,
        mtime: facts.modified,
        ctime: facts.changed,
        size: facts.size,
    }
}
