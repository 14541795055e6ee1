//! A backup while it is written: frames as they come, the host's figures, and the last look at it.

use std::io::Write;
use std::sync::atomic::Ordering;

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
use crate::error::Result;
use crate::license::name;
use crate::location::directory::destination::Replaces;

/// The backup that is being written, and the figures that the host is told of it.
pub struct Saving<'s, W> {
    pub operation: &'s Operation,
    pub request: &'s Request,
    pub writer: &'s mut W,
    /// The counts are told: nothing suggests yet that all has to be written afresh.
    pub stays: bool,
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

    /// Makes one backup of all that was read, even more than once, and counts the licences that
    /// only the backup which it replaces has. The fates of the `old` backup's licences serve for
    /// that, where they are known.
    pub fn finish(
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
        self.check_not_empty(reader, replaces.has_one())?;
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
        let all = self.writer.names(|name| {
            if let Err(clash) = names.insert(name)? {
                clashing.get_or_insert_with(|| format!("of the licence '{name}', {clash}"));
            }
            Ok(())
        });
        all.map_err(|fault| self.request.error(fault))?;
        clashing.map_or(Ok(()), |what| Err(reader.moves(&what)))
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
