//! Backs a store up.

use std::collections::HashSet;
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::events::Notice;
use super::operation::Operation;
use super::pool::{Outlet, Pool, Work, ordered};
use super::progress::{Count, Phase};
use super::properties::Property;
use super::reading::{Stored, errno};
use super::restorer::{Plan, Settings};
use crate::archive::builder::{FrameBuilder, LicenseFrame};
use crate::archive::frames::Compressor;
use crate::archive::writer::Writer;
use crate::archive::{Fault, ReadAt};
use crate::error::{Access, Error, Outcome, Result};
use crate::license::{self, name};
use crate::location;
use crate::location::local::{self, Target};
use crate::store::host::{Host, HostSnapshot};
use crate::store::{self, Backups, Batch, Feed, Fill, Intake, Snapshot, Stated, Unsettled};

/// What the host asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// A backup that is there is replaced.
    pub overwrite: bool,
    pub dry_run: bool,
}

/// How often a store that moves is listed.
const ROUNDS: usize = 5;
/// All that the story needs to know.
struct Request {
    options: Options,
    store: Source,
    /// Not needed where nothing is to be written.
    backup: Option<PathBuf>,
    /// Backups that may lie in the store and are no licences.
    backups: Vec<PathBuf>,
    workers: usize,
    level: Option<i32>,
    leave_out_unstated: bool,
    created: String,
}

/// Where the licences are.
enum Source {
    Host(Arc<dyn Host>),
    Path(PathBuf),
}

impl Source {
    fn of(settings: &Settings) -> Result<Source> {
        match &settings.host {
            None => Ok(Source::Path(settings.properties.path(Property::StorePath)?)),
            Some(host) if host.can_back_up() => Ok(Source::Host(Arc::clone(host))),
            Some(_) => Err(Error::new(
                Outcome::NotImplemented,
                "The host's store has no function that enumerates its licences.",
            )),
        }
    }

    fn open(&self, backups: Backups) -> Result<Arc<dyn Snapshot>> {
        match self {
            Source::Host(host) => Ok(Arc::new(HostSnapshot(Arc::clone(host)))),
            Source::Path(path) => store::open(path, backups),
        }
    }
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Source::Host(_) => f.write_str("of the host"),
            Source::Path(path) => write!(f, "'{}'", path.display()),
        }
    }
}

pub fn plan(settings: &Settings, options: Options) -> Result<Plan> {
    let Settings { properties, .. } = settings;
    let path = |property| properties.path(property);
    let (backup, restore) = (path(Property::BackupPath), path(Property::RestorePath).ok());
    let backup = if options.dry_run {
        backup.ok()
    } else {
        Some(backup?)
    };
    let request = Request {
        options,
        store: Source::of(settings)?,
        backups: backup.iter().cloned().chain(restore).collect(),
        backup,
        workers: properties.workers(),
        level: properties.level(),
        leave_out_unstated: properties.leaves_out_unstated(),
        created: created(),
    };
    if let Some(path) = &request.backup
        && !options.overwrite
        && !options.dry_run
        && local::is_taken(path)
    {
        return Err(local::already_exists(path));
    }
    // One more thread lists the store.
    let threads = request.workers + 1;
    Ok(Plan {
        threads,
        story: Box::new(move |operation, pool| back_up(operation, pool, request)),
    })
}

/// The time that the backup is to carry: that of the sources, where a reproducible build asks for
/// it.
fn created() -> String {
    let epoch = std::env::var("SOURCE_DATE_EPOCH")
        .ok()
        .and_then(|text| text.parse().ok());
    let epoch = epoch.and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    format!("{:.0}", epoch.unwrap_or_else(jiff::Timestamp::now))
}

fn back_up(operation: &Arc<Operation>, pool: &Pool, request: Request) -> Result<()> {
    operation.counters.enter(Phase::Listing, 0);
    let paths = || request.backups.iter();
    let backups = Backups {
        name: location::FILE,
        files: paths().filter_map(|path| local::identity(path)).collect(),
        directories: paths()
            .filter_map(|path| local::directory_identity(path))
            .collect(),
    };
    if request.options.dry_run {
        let store = request.store.open(backups)?;
        let compressor = Compressor::new(request.level).map_err(|fault| request.error(fault))?;
        let mut writer = Writer::new(io::sink(), || Ok(Vec::new()), compressor);
        return save_licenses(operation, pool, &request, store, &mut writer);
    }
    let path = request.backup.as_deref().unwrap_or(Path::new(""));
    let target = Target::open(path, request.options.overwrite)?;
    let draft = target.draft()?;
    let store = request.store.open(backups)?;
    let spool = || Ok(Stored(target.scratch().map_err(io::Error::from)?));
    let compressor = Compressor::new(request.level).map_err(|fault| request.error(fault))?;
    let mut writer = Writer::new(Stored(&draft.file), spool, compressor);
    save_licenses(operation, pool, &request, store, &mut writer)?;
    operation.counters.enter(Phase::Committing, 0);
    let written = writer
        .finish(request.created.clone())
        .map_err(|fault| request.error(fault))?;
    operation.counters.backup_bytes.set(written);
    draft.sync()?;
    operation.commit()?;
    draft.publish()
}

impl Request {
    /// What `fault` means to the operation that met it while it wrote.
    fn error(&self, fault: Fault) -> Error {
        match fault {
            Fault::System(error) => {
                let path = self
                    .backup
                    .as_deref()
                    .unwrap_or(Path::new(""))
                    .join(location::FILE);
                Error::system(
                    Access::Write,
                    format_args!("write the backup '{}'", path.display()),
                    errno(&error),
                )
            }
            Fault::OutOfMemory => Error::out_of_memory(),
            Fault::Damaged(_) | Fault::Newer(_) => {
                Error::new(Outcome::Fail, format!("Cannot write the backup: {fault}."))
            }
        }
    }

    /// The error of a store that won't hold still.
    fn moves(&self, how: &str) -> Error {
        let sentence = format!(
            "The store {} changes faster than it can be read: {how}. Try again when it is quiet.",
            self.store
        );
        Error::new(Outcome::SharingViolation, sentence)
    }

    fn nothing_to_save(&self, restricted: u64) -> Error {
        let store = &self.store;
        let sentence = match restricted {
            0 => format!(
                "There is no licence in the store {store}, and nothing was written. Look whether its disk is mounted."
            ),
            _ => format!(
                "None of the {restricted} licences in the store {store} may be backed up, and nothing was written."
            ),
        };
        Error::new(Outcome::Empty, sentence)
    }
}

/// Reads the store into the backup, again where it moved meanwhile, until nothing can have been
/// missed.
fn save_licenses<F: Write, S: Write + ReadAt>(
    operation: &Arc<Operation>,
    pool: &Pool,
    request: &Request,
    store: Arc<dyn Snapshot>,
    writer: &mut Writer<'_, F, S>,
) -> Result<()> {
    let (give_back, buffers) = bounded(2 * request.workers + 1);
    let reading = Arc::new(Reading {
        operation: Arc::clone(operation),
        leave_out_unstated: request.leave_out_unstated,
        level: request.level,
        buffers,
    });
    let mut unsettled = None;
    let mut left_out = HashSet::new();
    for round in 0..ROUNDS {
        let batches = start_listing(operation, pool, Arc::clone(&store), unsettled.take())?;
        ordered(
            pool,
            request.workers,
            Arc::clone(&reading),
            batches.into_iter(),
            |portion| {
                operation.check()?;
                left_out.try_reserve(portion.notices.len())?;
                for notice in portion.notices {
                    match &notice {
                        // Told before, when its folder was listed before.
                        Notice::LeftOut { name, .. } if !left_out.insert(name.clone()) => {}
                        _ => operation.tell(notice),
                    }
                }
                if let Some(frame) = portion.frame {
                    let memory = writer.append(frame).map_err(|fault| request.error(fault))?;
                    let _ = give_back.try_send(memory);
                    count(operation, request, writer);
                }
                Ok(())
            },
        )?;
        let mut moved = store.unsettled()?;
        if moved.folders.is_empty() {
            if round > 0 {
                check_names(request, writer)?;
            }
            return check_not_empty(operation, request, writer);
        }
        let known = writer.names(|name| {
            if moved.folders.contains(name::split(name).0) {
                moved.known.try_reserve(1)?;
                moved.known.insert(name.to_owned());
            }
            Ok(())
        });
        known.map_err(|fault| request.error(fault))?;
        unsettled = Some(moved);
    }
    let folder = unsettled
        .and_then(|moved| moved.folders.into_iter().next())
        .unwrap_or_default();
    Err(request.moves(&format!("the folder '{folder}' changes again and again")))
}

/// What was listed at different times may not go together: a file may have become a folder.
fn check_names<F: Write, S: Write + ReadAt>(
    request: &Request,
    writer: &Writer<'_, F, S>,
) -> Result<()> {
    let (mut names, mut clashing) = (name::Set::default(), None);
    let all = writer.names(|name| {
        if let Err(clash) = names.insert(name)? {
            clashing.get_or_insert_with(|| format!("of the licence '{name}', {clash}"));
        }
        Ok(())
    });
    all.map_err(|fault| request.error(fault))?;
    clashing.map_or(Ok(()), |what| Err(request.moves(&what)))
}

/// A store in which there is nothing to save is no backup, and no reason to give the old one up;
/// but where all that is there is restricted, an old backup must not keep what its issuer has come
/// to deny.
fn check_not_empty<F: Write, S: Write + ReadAt>(
    operation: &Operation,
    request: &Request,
    writer: &Writer<'_, F, S>,
) -> Result<()> {
    let counts = writer.counts();
    // Names that were listed and turned out to be no licences, or to have vanished, do not count.
    operation
        .counters
        .licenses_total
        .set(counts.licenses + counts.restricted);
    let replaces = request.options.overwrite
        && request
            .backup
            .as_ref()
            .is_some_and(|path| local::is_taken(path));
    match counts.licenses > 0 || (counts.restricted > 0 && replaces) {
        true => Ok(()),
        false => Err(request.nothing_to_save(counts.restricted)),
    }
}

fn count<F: Write, S: Write + ReadAt>(
    operation: &Operation,
    request: &Request,
    writer: &Writer<'_, F, S>,
) {
    let (counters, counts) = (&operation.counters, writer.counts());
    counters.licenses_done.set(counts.licenses);
    counters.licenses_restricted.set(counts.restricted);
    counters.content_bytes.set(counts.content_bytes);
    counters.phase_done.set(counts.licenses + counts.restricted);
    if !request.options.dry_run {
        counters.backup_bytes.set(writer.written());
    }
}

type Batches = Receiver<Result<Box<dyn Batch>>>;

/// Has a thread of the pool list the store, or what of it is unsettled.
fn start_listing(
    operation: &Arc<Operation>,
    pool: &Pool,
    store: Arc<dyn Snapshot>,
    unsettled: Option<Unsettled>,
) -> Result<Batches> {
    let (sender, batches) = bounded(store.batches_ahead());
    let operation = Arc::clone(operation);
    pool.run(move || {
        let mut feed = Listing {
            operation: &operation,
            sender: &sender,
            listed: 0,
        };
        let done = catch_unwind(AssertUnwindSafe(|| match &unsettled {
            None => store.list(&mut feed),
            Some(unsettled) => store.list_again(unsettled, &mut feed),
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

/// Hands on what a store lists.
struct Listing<'l> {
    operation: &'l Operation,
    sender: &'l Sender<Result<Box<dyn Batch>>>,
    listed: u64,
}

impl Feed for Listing<'_> {
    fn check(&self) -> Result<()> {
        self.operation.check()
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
    leave_out_unstated: bool,
    level: Option<i32>,
    /// Memory of frames that have been written.
    buffers: Receiver<Vec<u8>>,
}

/// A part of the backup.
struct Portion {
    frame: Option<LicenseFrame>,
    notices: Vec<Notice>,
}

impl Work for Reading {
    type Job = Box<dyn Batch>;
    type Output = Portion;
    type Scratch = (FrameBuilder, Compressor);

    fn scratch(&self) -> Result<Self::Scratch> {
        Ok((
            FrameBuilder::new().map_err(packing)?,
            Compressor::new(self.level).map_err(packing)?,
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
        })
    }
}

impl Intake for Packing<'_> {
    fn check(&self) -> Result<()> {
        self.reading.operation.check()
    }

    fn license(
        &mut self,
        name: &str,
        size: u64,
        modified: i64,
        stated: &Stated,
        fill: Fill,
    ) -> Result<bool> {
        if self.builder.is_full(size) {
            self.send()?;
        }
        let buffer = self.builder.begin(name, size, modified).map_err(packing)?;
        if !fill(buffer)? {
            return Ok(false);
        }
        let mut statement = license::read(name, self.builder.content())?;
        stated.correct(&mut statement);
        if statement
            .right
            .is_restricted(self.reading.leave_out_unstated)
        {
            self.builder.restrict(name, &statement).map_err(packing)?;
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
        } else {
            self.builder
                .keep(name, modified, &statement)
                .map_err(packing)?;
        }
        Ok(true)
    }

    fn left_out(&mut self, name: &str, reason: &str) {
        self.notices.push(Notice::LeftOut {
            name: name.to_owned(),
            reason: reason.to_owned(),
        });
    }
}
