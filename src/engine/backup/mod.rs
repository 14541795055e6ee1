//! Backs a store up.

mod attempts;
mod gone;
mod intact;
mod output;
mod packer;
mod previous_backup;
mod readings;
mod request;
mod reuse;
mod saving;
mod store_reader;
mod surviving_frames;

use std::io::{self, Write};
use std::sync::Arc;

use self::output::{Output, ScratchFile};
use self::packer::Rules;
use self::previous_backup::PreviousBackup;
use self::readings::MakeScratch;
pub use self::request::Options;
use self::request::Request;
use self::reuse::Reuse;
use self::saving::Saving;
use self::store_reader::{Extent, StoreReader};
use crate::archive::spool::{IN_MEMORY, Scratch, Spool};
use crate::archive::state::Noted;
use crate::archive::waiting_frames::WaitingFrames;
use crate::archive::writer::Writer;
use crate::archive::{Fault, RESTRICTED};
use crate::engine::operation::Operation;
use crate::engine::operation::pool::Pool;
use crate::engine::operation::progress::{Counting, Phase};
use crate::engine::properties::Property;
use crate::engine::reading::backup_file::Backup;
use crate::engine::restorer::{Plan, Settings};
use crate::engine::stop::Stop;
use crate::error::{Error, Outcome, Result};
use crate::location::{Look, Target};
use crate::store::{Backups, PATIENCE, Place};
use crate::sys::files::Kind;
use crate::sys::patience::Patience;

pub fn plan(settings: &Settings, options: Options) -> Result<Plan> {
    let Settings { properties, .. } = settings;
    let place = |property| properties.location(property);
    let (backup, restore) = (
        place(Property::BackupPath),
        place(Property::RestorePath).ok(),
    );
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
        keys: properties.keys(),
        lock: properties.lock()?,
    };
    if matches!(&request.store, Place::Host(host) if !host.can_back_up()) {
        return Err(Error::new(
            Outcome::NotImplemented,
            "The host's store has no function that enumerates its licences.",
        ));
    }
    if let Some(place) = &request.backup
        && !options.overwrite
        && !options.dry_run
    {
        place.check_free()?;
    }
    // A backup that appears from now on is not replaced; to a dry run it matters only where it would.
    let place = request.backup.as_ref();
    let place = place.filter(|_| options.overwrite || !options.dry_run);
    let look = place.map(|place| place.look(request.kind(), options.overwrite));
    // One thread more, to list the store.
    let threads = request.rules.workers + 1;
    Ok(Plan {
        threads,
        story: Box::new(move |operation, pool| back_up(operation, pool, request, look)),
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
    look: Option<Look>,
) -> Result<()> {
    operation.counters.enter(Phase::Listing, 0);
    let target = look.map(|look| look(&operation.go_on())).transpose()?;
    let mut backups = Backups::default();
    for place in &request.backups {
        backups.0.extend(place.hold()?);
    }
    let target = match target {
        Some(target) if !request.options.dry_run => target,
        target => return rehearse(operation, pool, &request, backups, target.as_deref()),
    };
    let before = request.before(Some(&*target))?;
    let replaces_one = target.replaces_one();
    let target = target.prepare(request.rules.workers)?;
    // Where nothing may have to be written, nothing is: else what can't be is found before the work.
    let may_stay = before.is_some() && !request.options.full && request.store.is_directory();
    let early = match may_stay {
        true => None,
        false => Some(target.draft()?),
    };
    let scratch: MakeScratch = Box::new(|| Some(target.scratch().ok()?.file));
    let mut reader = request.reader(operation, pool, backups, Some(scratch))?;
    let mut noted = reader.is_of_files().then(|| request.noted(reader.origin()));
    let old = request.old(before.as_ref(), noted.as_ref(), operation)?;
    let old = old.filter(|old| !reader.outdates(old));
    noted = old.as_ref().map(|old| old.noted.clone()).or(noted);
    reader.prover = noted.as_ref().and_then(Noted::prover);
    let mut changes = None;
    if let Some(old) = &old {
        let new = request.changes(old, &mut reader, &*target)?;
        if is_same(old, &new, &reader) && request.keeps(&old.backup, &*target, operation, pool)? {
            return keep(operation, &old.backup);
        }
        changes = Some((old, new));
    }
    let draft = early.map_or_else(|| target.draft(), Ok)?;
    let new_writer = || -> Result<_> {
        let file = Output::begin(&*draft, request.lock.as_ref());
        Ok(Writer::new(
            file.map_err(|error| request.error(error.into()))?,
            request.spool(&*target, IN_MEMORY),
            request.compressor(operation)?,
            noted.clone(),
        ))
    };
    let afresh = || {
        let cleared = draft.clear();
        cleared.map_err(|error| request.error(error.into()))?;
        new_writer()
    };
    let mut writer = new_writer()?;
    let mut saving = Saving::new(operation, &request, &mut writer, &reader);
    let mut repeated = Repeated::No;
    if let Some((old, new)) = changes {
        repeated = repeat(&mut reader, &mut saving, old, new)?;
    }
    let is_whole = matches!(repeated, Repeated::AtOnce | Repeated::InTwoSteps)
        && saving.settle(&mut reader, &mut Patience::new(PATIENCE))?;
    if !is_whole {
        if repeated != Repeated::No {
            *saving.writer = afresh()?;
        }
        // Licences that were not read, or not kept, are now read with the rest.
        read_all(&mut reader, &mut saving, afresh)?;
    }
    let taken = old
        .as_deref()
        .filter(|_| is_whole && repeated == Repeated::AtOnce);
    saving.finish(&reader, before.as_deref(), replaces_one, taken)?;
    // Nothing but its lists tells whether such a store is as it was.
    if let Some(before) = before.as_ref().filter(|_| !reader.is_of_files())
        && writer.lists_as(before.reader.trailer())
        && request.keeps(before, &*target, operation, pool)?
    {
        return keep(operation, before);
    }
    operation.counters.enter(Phase::Committing, 0);
    let written = writer.finish(&request.stamp(before.as_deref()));
    let written = written.and_then(|file| Ok(file.finish()?));
    written.map_err(|fault| request.error(fault))?;
    operation.counters.backup_bytes.set(draft.size()?);
    draft.sync()?;
    // Some file systems replace no file that is open.
    drop((reader, before, old));
    draft.publish(&|| operation.commit())
}

/// Tells all that a backup would tell, and writes nothing.
fn rehearse(
    operation: &Arc<Operation>,
    pool: &Pool,
    request: &Request,
    backups: Backups,
    target: Option<&dyn Target>,
) -> Result<()> {
    let mut reader = request.reader(operation, pool, backups, None)?;
    let new_writer = || -> Result<_> {
        let waiting: Spool<Vec<u8>> = Spool::new(0, || Ok(Vec::new()));
        Ok(Writer::new(
            io::sink(),
            waiting,
            request.compressor(operation)?,
            None,
        ))
    };
    let mut writer = new_writer()?;
    let mut saving = Saving::new(operation, request, &mut writer, &reader);
    read_all(&mut reader, &mut saving, new_writer)?;
    let before = request.before(target)?;
    let replaces_one = target.is_some_and(Target::replaces_one);
    saving.finish(&reader, before.as_deref(), replaces_one, None)
}

/// Reads the whole store into the backup, which is written `afresh` where what was read at different
/// times does not go together.
fn read_all<'w, F: Write, S: Scratch>(
    reader: &mut StoreReader,
    saving: &mut Saving<Writer<'w, F, S>>,
    afresh: impl Fn() -> Result<Writer<'w, F, S>>,
) -> Result<()> {
    let mut patience = Patience::new(PATIENCE);
    loop {
        saving.start_again();
        let read = reader.read(Extent::All, None, saving);
        read.map_err(|stop| saving.request.stopped(stop))?;
        if saving.settle(reader, &mut patience)? {
            return Ok(());
        }
        *saving.writer = afresh()?;
    }
}

/// Tells whether the store is as it was when the old backup was made.
fn is_same(old: &PreviousBackup, new: &WaitingFrames<ScratchFile>, reader: &StoreReader) -> bool {
    let restricted = old.backup.reader.trailer().entry(RESTRICTED);
    old.is_whole()
        && !new.has_licenses()
        && restricted.is_ok_and(|restricted| new.restricts_as(restricted))
        && !reader.has_moved
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
    counters.backup_bytes.set(backup.file_size());
    counters.licenses_gone.set(0);
    counters.enter(Phase::Committing, 0);
    operation.commit()
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
    saving: &mut Saving<Writer<'_, Output<'_>, S>>,
    old: &PreviousBackup,
    new: WaitingFrames<ScratchFile>,
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
    let again = match taking.copy(saving.operation, saving.writer) {
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
