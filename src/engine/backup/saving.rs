//! A backup while it is written: frames as they come, the host's figures, and the last look at it.

use std::io::Write;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::gone;
use super::previous_backup::PreviousBackup;
use super::request::Request;
use super::store_reader::{Sink, StoreReader};
use crate::archive::Fault;
use crate::archive::builder::LicenseFrame;
use crate::archive::spool::Scratch;
use crate::archive::waiting_frames::WaitingFrames;
use crate::archive::writer::Writer;
use crate::engine::operation::Operation;
use crate::engine::operation::progress::{Counting, Phase};
use crate::engine::reading::backup_file::Backup;
use crate::error::{Error, Result};
use crate::license::name;
use crate::sys::patience::Patience;

/// The backup that is being written, and the figures that the host is told of it.
pub struct Saving<'s, W> {
    pub operation: &'s Operation,
    pub request: &'s Request,
    pub writer: &'s mut W,
    /// The counts are told: nothing suggests yet that all has to be written afresh.
    pub stays: bool,
}

impl<'s, W> Saving<'s, W> {
    pub fn new(
        operation: &'s Operation,
        request: &'s Request,
        writer: &'s mut W,
        reader: &StoreReader,
    ) -> Saving<'s, W> {
        Saving {
            operation,
            request,
            writer,
            // A file that was read may be passed over after all, and what is counted never falls.
            stays: !(reader.passed_over.keeps_going && reader.is_of_files()),
        }
    }
}

impl<F: Write, S: Scratch> Sink for Saving<'_, Writer<'_, F, S>> {
    fn take(&mut self, frame: LicenseFrame) -> Result<Vec<u8>, Fault> {
        let memory = self.writer.append(frame)?;
        self.count();
        Ok(memory)
    }
}

impl<F: Write, S: Scratch> Saving<'_, Writer<'_, F, S>> {
    pub fn append(&mut self, frames: WaitingFrames<impl Scratch>) -> Result<()> {
        let appended = frames.give_to(|frame| {
            self.operation.check()?;
            self.take(frame)?;
            Ok(())
        });
        appended.map_err(|stop| self.request.stopped(stop))
    }

    /// Sets the counts back to their start.
    pub fn start_again(&self) {
        self.operation.counters.licenses_total.set(0);
        self.operation.counters.enter(Phase::Listing, 0);
    }

    pub fn count(&self) {
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

    /// Makes one backup of all that was read, even more than once. False: what was read at
    /// different times does not go together, and all is to be read afresh. Where that has been tried
    /// with `patience`, the licences in the way are passed over, or end the backup.
    pub fn settle(&mut self, reader: &mut StoreReader, patience: &mut Patience) -> Result<bool> {
        let (mut against, mut is_any_lost) = (Vec::new(), false);
        if !reader.read_again.is_empty() {
            let denied = self.writer.keep_last(&reader.read_again);
            for name in denied.map_err(|fault| self.request.error(fault))? {
                let why = "it must not be backed up any more";
                let error = reader.moves(&format!("of the licence '{name}', {why}"));
                against.push((name, error.of_one(why)));
            }
        }
        if reader.has_moved && against.is_empty() {
            (against, is_any_lost) = self.check_names(reader)?;
        }
        if against.is_empty() && !is_any_lost {
            self.stays = true;
            self.count();
            return Ok(true);
        }
        let go_on = || self.operation.check();
        if reader.passed_over.keeps_going && patience.pause(Duration::ZERO, go_on)? {
            return Ok(false);
        }
        for (name, error) in against {
            reader.pass_over(&name, error)?;
        }
        Ok(false)
    }

    /// Looks at a whole backup for the last time, and counts the licences that only the backup which
    /// it replaces has. The fates of the `old` backup's licences serve for that, where they are
    /// known.
    pub fn finish(
        &mut self,
        reader: &StoreReader,
        before: Option<&Backup>,
        replaces_one: bool,
        old: Option<&PreviousBackup>,
    ) -> Result<()> {
        self.check_not_empty(reader, replaces_one)?;
        if replaces_one {
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

    /// Finds the names that do not go with others: they were listed at different times, and a file
    /// may have become a folder. Tells also whether a licence is among them that was passed over
    /// later.
    fn check_names(&self, reader: &StoreReader) -> Result<(Vec<(String, Error)>, bool)> {
        let (mut names, mut clashing, mut is_any_lost) = (name::Set::default(), Vec::new(), false);
        let all = self.writer.names(|name| {
            is_any_lost |= reader.has_lost(name);
            if let Err(clash) = names.insert(name)? {
                let error = reader.moves(&format!("of the licence '{name}', {clash}"));
                clashing.try_reserve(1)?;
                clashing.push((name.to_owned(), error.of_one(clash)));
            }
            Ok(())
        });
        all.map_err(|fault| self.request.error(fault))?;
        Ok((clashing, is_any_lost))
    }

    /// Refuses an empty backup: a store with nothing to save is no reason to give the old backup
    /// up. Where all licences are restricted the old backup is replaced: it must not keep what its
    /// issuer has come to deny. Where all that may be saved was passed over, that is a failure.
    fn check_not_empty(&self, reader: &StoreReader, replaces_one: bool) -> Result<()> {
        let counts = self.writer.counts();
        reader.passed_over.check(counts.licenses > 0)?;
        // Listed names that proved to be no licences, or have vanished, do not count.
        let counters = &self.operation.counters;
        let skipped = counters.licenses_skipped.load(Ordering::Relaxed);
        counters
            .licenses_total
            .set(u64::from(counts.licenses) + u64::from(counts.restricted) + skipped);
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
