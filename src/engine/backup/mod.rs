//! Backs a store up.

mod attempts;
mod gone;
mod packer;
mod previous_backup;
mod readings;
mod reuse;
mod store_reader;
mod surviving_frames;

use std::io::{self, Write};
use std::sync::Arc;

use self::packer::Rules;
use self::previous_backup::PreviousBackup;
use self::readings::MakeScratch;
use self::reuse::{Reuse, is_intact};
use self::store_reader::{Extent, Sink, StoreReader};
use crate::archive::builder::LicenseFrame;
use crate::archive::frames::Compressor;
use crate::archive::spool::{IN_MEMORY, Scratch, Spool};
use crate::archive::state::Noted;
use crate::archive::waiting_frames::WaitingFrames;
use crate::archive::writer::{Stamp, Writer};
use crate::archive::{Digest, Fault, RESTRICTED, lines};
use crate::engine::machine;
use crate::engine::operation::Operation;
use crate::engine::operation::pool::Pool;
use crate::engine::operation::progress::{Counting, Phase};
use crate::engine::properties::Property;
use crate::engine::reading::backup_file::{Backup, Stored, errno};
use crate::engine::restorer::{Plan, Settings};
use crate::engine::stop::Stop;
use crate::error::{Access, Error, Outcome, Result};
use crate::license::name;
use crate::location;
use crate::location::directory::destination::{Destination, Replaces};
use crate::location::directory::draft::Draft;
use crate::location::directory::existing;
use crate::random;
use crate::store::{Backups, Place};
use crate::sys;
use crate::sys::anchored_path::AnchoredPath;
use crate::sys::direct_io::Uncached;
use crate::sys::files::{File, Kind, user};

/// The host's choices for a backup.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// An existing backup is replaced.
    pub overwrite: bool,
    pub dry_run: bool,
    /// Nothing is taken over from the existing backup.
    pub full: bool,
}

/// All that the story of a backup needs.
struct Request {
    options: Options,
    store: Place,
    /// The directory of the backup; not needed where nothing is to be written.
    backup: Option<AnchoredPath>,
    /// Places where backups may lie, which are no licences should the store have them.
    backups: Vec<AnchoredPath>,
    rules: Rules,
    created: String,
    /// The machine, in the host's words.
    machine: Option<String>,
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
        store: settings.place()?,
        backups: backup.iter().cloned().chain(restore).collect(),
        backup,
        rules: Rules {
            workers: properties.workers(),
            level: properties.level(),
            leave_out_unstated: properties.leaves_out_unstated(),
        },
        created: created(),
        machine: properties.machine().map(str::to_owned),
    };
    if matches!(&request.store, Place::Host(host) if !host.can_back_up()) {
        return Err(Error::new(
            Outcome::NotImplemented,
            "The host's store has no function that enumerates its licences.",
        ));
    }
    if let Some(path) = &request.backup
        && !options.overwrite
        && !options.dry_run
        && existing::is_taken(path)
    {
        return Err(existing::already_exists(path));
    }
    // Looked at within this call: a backup that appears from now on is not replaced.
    let replaces = match &request.backup {
        Some(path) if options.overwrite => existing::hold(path, false).map(Replaces::Seen),
        _ => Ok(Replaces::None),
    };
    // One thread more, to list the store.
    let threads = request.rules.workers + 1;
    Ok(Plan {
        threads,
        story: Box::new(move |operation, pool| back_up(operation, pool, request, replaces?)),
    })
}

/// Gives the time that the backup is to carry: that of the sources, where a reproducible build asks
/// for it.
fn created() -> String {
    let epoch = std::env::var("SOURCE_DATE_EPOCH")
        .ok()
        .and_then(|text| text.parse().ok());
    let epoch = epoch.and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    format!("{:.0}", epoch.unwrap_or_else(jiff::Timestamp::now))
}

fn back_up(
    operation: &Arc<Operation>,
    pool: &Pool,
    request: Request,
    replaces: Replaces,
) -> Result<()> {
    operation.counters.enter(Phase::Listing, 0);
    let mut backups = Backups::default();
    for path in &request.backups {
        backups.0.extend(existing::hold(path, true)?);
    }
    if request.options.dry_run {
        return rehearse(operation, pool, &request, backups, &replaces);
    }
    let target = Destination::open(request.path()?, replaces)?;
    let before = request.before(&target.replaces)?;
    // Where nothing may have to be written, nothing is: else what can't be is found before the work.
    let may_stay = before.is_some() && !request.options.full && request.store.is_directory();
    let early = match may_stay {
        true => None,
        false => Some(Draft::begin(&target)?),
    };
    let scratch: MakeScratch = Box::new(|| target.scratch());
    let mut reader = request.reader(operation, pool, backups, Some(scratch))?;
    let mut noted = reader.is_of_files().then(|| request.noted(reader.origin()));
    let old = request.old(before.as_ref(), noted.as_ref(), operation)?;
    noted = old.as_ref().map(|old| old.noted.clone()).or(noted);
    reader.prover = noted.as_ref().and_then(Noted::prover);
    let mut changes = None;
    if let Some(old) = &old {
        let new = request.changes(old, &mut reader, &target)?;
        if is_same(old, &new, &reader) && request.keeps(&old.backup, &target, operation)? {
            return keep(operation, &old.backup);
        }
        changes = Some((old, new));
    }
    let draft = early.map_or_else(|| Draft::begin(&target), Ok)?;
    let new_writer = || -> Result<_> {
        let (file, spool) = (Uncached::new(&draft.file)?, spool(&target, IN_MEMORY));
        Ok(Writer::new(
            file,
            spool,
            request.compressor()?,
            noted.clone(),
        ))
    };
    let mut writer = new_writer()?;
    let mut saving = Saving {
        operation,
        request: &request,
        writer: &mut writer,
        stays: true,
    };
    let mut repeated = Repeated::No;
    if let Some((old, new)) = changes {
        repeated = repeat(&mut reader, &mut saving, old, new, &draft)?;
    }
    if repeated == Repeated::InVain {
        let cut = draft.file.cut(0).map_err(io::Error::from);
        cut.map_err(|error| request.error(error.into()))?;
        *saving.writer = new_writer()?;
    }
    if matches!(repeated, Repeated::No | Repeated::InVain) {
        // Licences that were not read, or not kept, are now read with the rest.
        saving.start_again();
        reader
            .read(Extent::All, None, &mut saving)
            .map_err(|stop| request.stopped(stop))?;
    }
    let old = old.as_deref().filter(|_| repeated == Repeated::AtOnce);
    saving.finish(&reader, before.as_deref(), &target.replaces, old)?;
    // Nothing but its lists tells whether such a store is as it was.
    if let Some(before) = before.as_ref().filter(|_| !reader.is_of_files())
        && writer.lists_as(before.reader.trailer())
        && request.keeps(before, &target, operation)?
    {
        return keep(operation, before);
    }
    operation.counters.enter(Phase::Committing, 0);
    let written = writer
        .finish(&request.stamp(before.as_deref()))
        .map_err(|fault| request.error(fault))?;
    operation.counters.backup_bytes.set(written);
    draft.sync()?;
    operation.commit()?;
    draft.publish()
}

/// Tells all that a backup would tell, and writes nothing.
fn rehearse(
    operation: &Arc<Operation>,
    pool: &Pool,
    request: &Request,
    backups: Backups,
    replaces: &Replaces,
) -> Result<()> {
    let mut reader = request.reader(operation, pool, backups, None)?;
    let waiting: Spool<Vec<u8>> = Spool::new(0, || Ok(Vec::new()));
    let mut writer = Writer::new(io::sink(), waiting, request.compressor()?, None);
    let mut saving = Saving {
        operation,
        request,
        writer: &mut writer,
        stays: true,
    };
    let read = reader.read(Extent::All, None, &mut saving);
    read.map_err(|stop| request.stopped(stop))?;
    let before = request.before(replaces)?;
    saving.finish(&reader, before.as_deref(), replaces, None)
}

/// Makes a spool on the disk of the backup, for what is more than `in_memory` bytes.
fn spool<'t>(target: &'t Destination, in_memory: usize) -> Spool<'t, Stored<File>> {
    let make = || Ok(Stored(target.scratch().map_err(io::Error::from)?));
    Spool::new(in_memory, make)
}

/// Tells whether the store is as it was when the old backup was made.
fn is_same(old: &PreviousBackup, new: &WaitingFrames<Stored<File>>, reader: &StoreReader) -> bool {
    let restricted = old.backup.reader.trailer().entry(RESTRICTED);
    old.is_whole()
        && !new.has_licenses()
        && restricted.is_ok_and(|restricted| new.restricts_as(restricted))
        && !reader.has_moved
}

/// Tells whether the backup is of this user.
fn is_own(backup: &Backup) -> bool {
    let facts = backup.file().facts();
    facts.is_ok_and(|facts| facts.owner.0 == user())
}

/// Ends a backup that has found nothing to write.
fn keep(operation: &Operation, backup: &Backup) -> Result<()> {
    let (counters, trailer) = (&operation.counters, backup.reader.trailer());
    counters
        .licenses_total
        .set(trailer.licenses + trailer.restricted);
    counters.licenses_done.set(trailer.licenses);
    counters.licenses_restricted.set(trailer.restricted);
    counters.content_bytes.set(trailer.content_bytes);
    counters.backup_bytes.set(backup.reader.file_size());
    counters.licenses_gone.set(0);
    operation.counters.enter(Phase::Committing, 0);
    operation.commit()
}

impl Request {
    fn reader<'r>(
        &self,
        operation: &'r Arc<Operation>,
        pool: &'r Pool,
        backups: Backups,
        scratch: Option<MakeScratch<'r>>,
    ) -> Result<StoreReader<'r>> {
        let store = self.store.open(backups, operation.go_on())?;
        let shown = self.store.to_string();
        Ok(StoreReader::new(
            operation, pool, store, shown, self.rules, scratch,
        ))
    }

    fn compressor(&self) -> Result<Compressor> {
        Compressor::of_lists(self.rules.level).map_err(|fault| self.error(fault))
    }

    /// Gives the directory of the backup, where one is to be written.
    fn path(&self) -> Result<&AnchoredPath> {
        let path = self.backup.as_ref();
        path.ok_or_else(|| Error::panicked(&"a backup without a path"))
    }

    /// Makes the error of an operation that met `fault` while it wrote.
    fn error(&self, fault: Fault) -> Error {
        match fault {
            Fault::System(error) => {
                let file = self.backup.as_ref().map(|path| path.join(location::FILE));
                let shown = file.map_or_else(String::new, |file| format!(" '{}'", file.display()));
                let doing = format_args!("write the backup{shown}");
                Error::system(Access::Write, doing, errno(&error))
            }
            Fault::OutOfMemory => Error::out_of_memory(),
            Fault::Damaged(_) | Fault::OtherVersion { .. } => {
                Error::new(Outcome::Fail, format!("Cannot write the backup: {fault}."))
            }
        }
    }

    /// Makes the error of work on the backup that stopped early.
    fn stopped(&self, stop: Stop) -> Error {
        stop.into_error(|fault| self.error(fault))
    }

    /// Tells whether the backup of the same licences that is there may stay: it says of itself what
    /// the new one would say, is of this user, and whole. If others may read it they can't then.
    fn keeps(&self, backup: &Backup, target: &Destination, operation: &Operation) -> Result<bool> {
        let trailer = backup.reader.trailer();
        let is_of_machine = trailer
            .identity()
            .is_ok_and(|(id, machine)| machine == self.machine_hash(&id));
        let may_stay = !self.options.full
            && is_of_machine
            && is_own(backup)
            && trailer.licenses + trailer.restricted > 0
            && is_intact(backup, operation).map_err(|stop| self.stopped(stop))?;
        Ok(may_stay && target.keeps(backup.file())?)
    }

    /// Opens the backup that is replaced, if it can be read.
    fn before(&self, replaces: &Replaces) -> Result<Option<Arc<Backup>>> {
        if !replaces.has_one() {
            return Ok(None);
        }
        match Backup::open(self.path()?) {
            Err(error) if error.outcome == Outcome::OutOfMemory => Err(error),
            opened => Ok(opened.ok()),
        }
    }

    /// Tells where and when, and by which rules, the states of files are noted.
    fn noted(&self, origin: Option<&sys::origin::Origin>) -> Noted {
        Noted {
            library: env!("CARGO_PKG_VERSION").to_owned(),
            leaves_out_unstated: self.rules.leave_out_unstated,
            boot: origin.map_or_else(String::new, |origin| origin.boot.clone()),
            mount: origin.map_or(0, |origin| origin.mount),
            key: lines::hex_text::<32>(&random::bytes()),
        }
    }

    /// Reads the names and states of the backup whose licences can be taken over.
    fn old(
        &self,
        before: Option<&Arc<Backup>>,
        noted: Option<&Noted>,
        operation: &Operation,
    ) -> Result<Option<Arc<PreviousBackup>>> {
        let (Some(before), Some(noted), false) = (before, noted, self.options.full) else {
            return Ok(None);
        };
        match is_own(before) {
            true => PreviousBackup::of(before, noted.clone(), operation),
            false => Ok(None),
        }
    }

    /// Reads what has changed in the store since the `old` backup.
    fn changes<'t>(
        &self,
        old: &Arc<PreviousBackup>,
        reader: &mut StoreReader,
        target: &'t Destination,
    ) -> Result<WaitingFrames<'t, Stored<File>>> {
        // The lines of all licences that are denied, as a rule: where nothing has changed no room
        // is needed.
        let new = WaitingFrames::new(spool(target, 8 * IN_MEMORY));
        let mut new = new.map_err(|fault| self.error(fault))?;
        let read = reader.read(Extent::All, Some(old), &mut new);
        read.map_err(|stop| self.stopped(stop))?;
        Ok(new)
    }

    /// Gives what the new backup says about itself, as the successor of the one `before`.
    fn stamp(&self, before: Option<&Backup>) -> Stamp {
        let trailer = before.map(|before| before.reader.trailer());
        let succession = trailer.and_then(|trailer| {
            let (id, _) = trailer.identity().ok()?;
            Some((id, trailer.generation.checked_add(1)?))
        });
        let (id, generation) = succession.unwrap_or_else(|| (random::bytes(), 1));
        Stamp {
            created: self.created.clone(),
            id,
            generation,
            machine: self.machine_hash(&id),
        }
    }

    /// Gives the hash of the machine for the backup with that ID, if the host has a word for it.
    fn machine_hash(&self, id: &[u8; 16]) -> Option<Digest> {
        let machine = self.machine.as_deref();
        machine.map(|machine| machine::of_backup(machine, id))
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

/// The result of a backup over an older one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Repeated {
    /// Too little is left of the old backup, and nothing has been written yet.
    No,
    AtOnce,
    /// Some unchanged licences had to be read after all, and may have vanished in between.
    InTwoSteps,
    /// A licence has vanished so, or is denied now, and an older version of it has been copied: all
    /// has to be written afresh.
    InVain,
}

/// Takes over what has not changed since the `old` backup, and reads the rest that is not `new`.
fn repeat<S: Scratch>(
    reader: &mut StoreReader,
    saving: &mut Saving<Writer<'_, Uncached<'_>, S>>,
    old: &PreviousBackup,
    new: WaitingFrames<Stored<File>>,
    draft: &Draft,
) -> Result<Repeated> {
    let request = saving.request;
    // New licences wait until the others have been taken over, which come first: a changed licence
    // that turns out to be denied, or has vanished, must void its old frame.
    let Some(taking) = Reuse::of(old, new.has_licenses())? else {
        if old.has_unchanged() {
            return Ok(Repeated::No);
        }
        saving.append(new)?;
        return Ok(Repeated::AtOnce);
    };
    let again = match taking.copy(saving.operation, &draft.file, saving.writer) {
        // The lists of the old backup are not what its index says.
        Err(Stop::Fault(Fault::Damaged(_))) => return Ok(Repeated::InVain),
        copied => copied.map_err(|stop| request.stopped(stop))?,
    };
    let mut older = taking.with_older_versions(&again)?;
    saving.stays = older.is_empty();
    saving.count();
    saving.append(new)?;
    if again.is_empty() {
        return Ok(Repeated::AtOnce);
    }
    let mut names = Vec::new();
    names.try_reserve_exact(again.len())?;
    names.extend(again.into_iter().map(|name| (name, Kind::File)));
    let read = reader.read(Extent::These(names), None, saving);
    read.map_err(|stop| request.stopped(stop))?;
    // An older version that was copied must not stand for a licence that has vanished meanwhile, or
    // is denied now.
    if !older.is_empty() {
        let listed = saving.writer.kept_names(|name| {
            older.remove(name);
            Ok(())
        });
        listed.map_err(|fault| request.error(fault))?;
    }
    saving.stays = true;
    if !older.is_empty() {
        return Ok(Repeated::InVain);
    }
    saving.count();
    Ok(Repeated::InTwoSteps)
}

/// The backup that is being written, and the figures that the host is told of it.
struct Saving<'s, W> {
    operation: &'s Operation,
    request: &'s Request,
    writer: &'s mut W,
    /// The counts are told: nothing suggests yet that all has to be written afresh.
    stays: bool,
}

impl<F: Write, S: Scratch> Sink for Saving<'_, Writer<'_, F, S>> {
    fn take(&mut self, frame: LicenseFrame) -> Result<Vec<u8>, Fault> {
        let memory = self.writer.append(frame)?;
        self.count();
        Ok(memory)
    }
}

impl<F: Write, S: Scratch> Saving<'_, Writer<'_, F, S>> {
    fn append(&mut self, frames: WaitingFrames<impl Scratch>) -> Result<()> {
        let appended = frames.give_to(|frame| {
            self.operation.check()?;
            self.take(frame)?;
            Ok(())
        });
        appended.map_err(|stop| self.request.stopped(stop))
    }

    /// Sets the counts back to their start.
    fn start_again(&self) {
        self.operation.counters.licenses_total.set(0);
        self.operation.counters.enter(Phase::Listing, 0);
    }

    fn count(&self) {
        if !self.stays {
            return;
        }
        let (counters, counts) = (&self.operation.counters, self.writer.counts());
        counters.licenses_done.set(counts.licenses.into());
        counters.licenses_restricted.set(counts.restricted.into());
        counters.content_bytes.set(counts.content_bytes);
        if !self.request.options.dry_run {
            counters.backup_bytes.set(self.writer.written());
        }
    }

    /// Makes one backup of all that was read, even more than once, and counts the licences that
    /// only the backup which it replaces has. The fates of the `old` backup's licences serve for
    /// that, where they are known.
    fn finish(
        &mut self,
        reader: &StoreReader,
        before: Option<&Backup>,
        replaces: &Replaces,
        old: Option<&PreviousBackup>,
    ) -> Result<()> {
        if !reader.read_again.is_empty() {
            let kept = self.writer.keep_last(&reader.read_again);
            if let Some(name) = kept.map_err(|fault| self.request.error(fault))? {
                let how = format!("the licence '{name}' must not be backed up any more");
                return Err(reader.moves(&how));
            }
            self.count();
        }
        if reader.has_moved {
            self.check_names(reader)?;
        }
        self.check_not_empty(replaces.has_one())?;
        if replaces.has_one() {
            let gone = self.gone(before, old)?;
            self.operation.counters.licenses_gone.set(gone);
        }
        Ok(())
    }

    /// Counts the licences of the replaced backup that the store does not have any more; `u64::MAX`
    /// where that can't be told.
    fn gone(&self, before: Option<&Backup>, old: Option<&PreviousBackup>) -> Result<u64> {
        if let Some(old) = old {
            return Ok(old.gone());
        }
        let counted = before.map(|before| gone::count(before, self.writer, self.operation));
        Ok(counted.transpose()?.flatten().unwrap_or(u64::MAX))
    }

    /// Checks that all names go together: they were listed at different times, and a file may have
    /// become a folder.
    fn check_names(&self, reader: &StoreReader) -> Result<()> {
        let (mut names, mut clashing) = (name::Set::default(), None);
        let mut visit = |name: &str| -> Result<(), Fault> {
            if let Err(clash) = names.insert(name)? {
                clashing.get_or_insert_with(|| format!("of the licence '{name}', {clash}"));
            }
            Ok(())
        };
        let all = self.writer.kept_names(&mut visit);
        let all = all.and_then(|()| self.writer.restricted_names(&mut visit));
        all.map_err(|fault| self.request.error(fault))?;
        clashing.map_or(Ok(()), |what| Err(reader.moves(&what)))
    }

    /// Refuses an empty backup: a store with nothing to save is no reason to give the old backup
    /// up. Where all licences are restricted the old backup is replaced: it must not keep what its
    /// issuer has come to deny.
    fn check_not_empty(&self, replaces_one: bool) -> Result<()> {
        let counts = self.writer.counts();
        // Listed names that proved to be no licences, or have vanished, do not count.
        let counters = &self.operation.counters;
        counters
            .licenses_total
            .set(u64::from(counts.licenses) + u64::from(counts.restricted));
        match counts.licenses > 0 || (counts.restricted > 0 && replaces_one) {
            true => Ok(()),
            false => Err(self.request.nothing_to_save(counts.restricted.into())),
        }
    }
}

impl<S: Scratch> Sink for WaitingFrames<'_, S> {
    fn take(&mut self, frame: LicenseFrame) -> Result<Vec<u8>, Fault> {
        self.push(frame)
    }
}
