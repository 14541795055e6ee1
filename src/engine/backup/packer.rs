//! Packs licences into frames, on the workers' threads.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use super::attempts::{Attempts, Verdict};
use super::previous_backup::PreviousBackup;
use super::readings::{Keys, Reading};
use crate::archive::builder::{FrameBuilder, LicenseFrame};
use crate::archive::frames::Compressor;
use crate::archive::reader::is_backup;
use crate::archive::state::{FileState, Proof, Prover};
use crate::archive::{Fault, ReadAt, writer};
use crate::encryption::payload::is_encrypted;
use crate::engine::operation::Operation;
use crate::engine::operation::listener::Notice;
use crate::engine::operation::pool::{Rest, Work};
use crate::engine::reading::backup_file::Stored;
use crate::error::{Error, Outcome, Result};
use crate::license::{self, BackupRight, Statement};
use crate::location::BackupKind;
use crate::random::HashSet;
use crate::store::directory::{FileEntry, OpenFile, Opened, Seen, Sight, TICK};
use crate::store::license::License;
use crate::store::{Batch, Entry};
use crate::sys::files::{Dir, Facts, Identity};

/// The rules for reading licences. A rule that decides which licences are in a backup is noted with
/// the states, too (`Noted`), or a repeated backup takes over what the rule leaves out.
#[derive(Clone, Copy)]
pub struct Rules {
    pub workers: usize,
    pub level: Option<i32>,
    pub leave_out_unstated: bool,
}

/// Makes frames, and notices for the host, of a batch of names.
pub struct Packer {
    pub operation: Arc<Operation>,
    pub rules: Rules,
    /// The backup that licences are taken over from.
    pub old: Option<Arc<PreviousBackup>>,
    /// Makes the proofs of files' states, where they are noted.
    pub prover: Option<Prover>,
    /// The store has moved, and licences read now may have been read before.
    pub again: bool,
    /// What can't be taken is sent on as such, and does not end the work.
    pub keeps_going: bool,
    /// The names that have been passed over, and are not to be taken any more.
    pub passed_over: Arc<HashSet<String>>,
    pub keys: Keys,
    /// Memory of frames that have been written; nobody waits for it.
    pub buffers: crossbeam_channel::Receiver<Vec<u8>>,
}

/// A part of the backup.
#[derive(Default)]
pub struct Portion {
    pub frame: Option<LicenseFrame>,
    pub notices: Vec<Notice>,
    /// The number of licences that need not be read.
    pub taken_over: u64,
    pub readings: Vec<Reading>,
    /// The licences and folders that could not be taken, and why.
    pub failed: Vec<(String, Error)>,
    pub again: Vec<(String, writer::LastLook)>,
}

impl Work for Packer {
    type Job = Box<dyn Batch>;
    type Output = Portion;
    type Scratch = (FrameBuilder, Compressor);

    fn scratch(&self) -> Result<Self::Scratch> {
        let compressor = Compressor::of_licenses(self.rules.level).map_err(packing)?;
        let operation = Arc::clone(&self.operation);
        Ok((
            FrameBuilder::new().map_err(packing)?,
            compressor.asking(Box::new(move || operation.check().is_ok())),
        ))
    }

    fn work(
        &self,
        scratch: &mut Self::Scratch,
        mut batch: Box<dyn Batch>,
        rest: Rest<Self::Job, Portion>,
    ) -> Result<Portion> {
        let (builder, compressor) = scratch;
        let mut packing = Packing {
            reader: self,
            builder,
            portion: Portion::default(),
        };
        while let Some(entry) = batch.next()? {
            self.operation.check()?;
            if packing.take(entry)? == Room::None {
                // Another worker reads what follows while this one compresses the frame.
                batch.step_back();
                rest.give(batch);
                break;
            }
        }
        packing.close(compressor)
    }

    fn weight(portion: &Portion) -> usize {
        let frame = portion.frame.as_ref();
        frame.map_or(0, |licenses| licenses.frame.bytes.len())
    }
}

/// Tells whether a frame has room for an entry. Without it the entry is the first of the next frame,
/// and nothing of it is in this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Room {
    Enough,
    None,
}

/// Makes the error of packing licences into a frame, which no file is to blame for.
fn packing(fault: Fault) -> Error {
    match fault {
        Fault::OutOfMemory => Error::out_of_memory(),
        Fault::Stopped => Error::canceled(),
        fault => Error::new(Outcome::Fail, format!("Cannot pack the licences: {fault}.")),
    }
}

struct Packing<'w> {
    reader: &'w Packer,
    builder: &'w mut FrameBuilder,
    portion: Portion,
}

impl Packing<'_> {
    /// Closes the frame, if there is anything in it, and gives it with its notices.
    fn close(mut self, compressor: &mut Compressor) -> Result<Portion> {
        if !self.builder.is_empty() {
            let buffer = self.reader.buffers.try_recv().unwrap_or_default();
            let frame = self.builder.close(compressor, buffer);
            self.portion.frame = Some(frame.map_err(packing)?);
        }
        Ok(self.portion)
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

    /// Takes the entry that a store has under a name, if there is room for it.
    fn take(&mut self, entry: Entry) -> Result<Room> {
        match entry {
            Entry::License(_) | Entry::File(_) if self.builder.is_full(0) => Ok(Room::None),
            Entry::License(license) => self.take_license(&license),
            Entry::File(file) if self.reader.passed_over.contains(file.name) => Ok(Room::Enough),
            Entry::File(file) => {
                let taken = self.take_file(&file);
                taken.or_else(|error| self.fail(file.name, error))
            }
            Entry::Failed { name, error } => self.fail(name, error),
            Entry::LeftOut { name, reason } => {
                self.left_out(name, reason);
                Ok(Room::Enough)
            }
        }
    }

    /// Takes notice of a licence or folder that can't be taken; fails with its `error` where that is
    /// to end the work.
    fn fail(&mut self, name: &str, error: Error) -> Result<Room> {
        if !self.reader.keeps_going || !error.is_of_one() {
            return Err(error);
        }
        self.portion.failed.try_reserve(1)?;
        self.portion.failed.push((name.to_owned(), error));
        Ok(Room::Enough)
    }

    fn take_license(&mut self, license: &License) -> Result<Room> {
        let size = license.content.len();
        if self.builder.is_full(size as u64) {
            return Ok(Room::None);
        }
        let place = self.begin(license.name, size as u64, license.modified)?;
        place
            .get_mut(..size)
            .ok_or_else(Error::out_of_memory)?
            .copy_from_slice(license.content);
        let mut statement = license::read(license.name, self.builder.content())?;
        license.correct(&mut statement);
        self.keep_or_restrict(license.name, license.modified, statement, None)?;
        Ok(Room::Enough)
    }

    /// Takes a file as it is at one moment, unless it can be taken over.
    fn take_file(&mut self, entry: &FileEntry) -> Result<Room> {
        if self.takes_over(entry)? {
            return Ok(Room::Enough);
        }
        let go_on = || self.reader.operation.check();
        let (mut attempts, mut opened) = (Attempts::default(), None);
        loop {
            let is_first = opened.is_none();
            let file = match opened.take() {
                Some(file) => file,
                None => match entry.open(go_on)? {
                    Opened::File(file) => file,
                    Opened::Gone => return Ok(Room::Enough),
                    Opened::Other(reason) => {
                        self.left_out(entry.name, reason);
                        return Ok(Room::Enough);
                    }
                },
            };
            if is_first && let Some(room) = self.take_settled(entry.name, &file)? {
                return Ok(room);
            }
            let at_least = match self.take_seen(entry.name, &file, &mut attempts)? {
                ControlFlow::Break(room) => return Ok(room),
                ControlFlow::Continue(at_least) => at_least,
            };
            // Nobody is kept from writing to it during the pause.
            opened = Some(file).filter(|_| !Dir::FILES_BAR_WRITERS);
            attempts.pause(entry.name, at_least, go_on)?;
        }
    }

    /// Looks at a file, and takes it if it is as it was at one moment; else gives the time to wait
    /// at least before the next attempt.
    fn take_seen(
        &mut self,
        name: &str,
        file: &OpenFile,
        attempts: &mut Attempts,
    ) -> Result<ControlFlow<Room, Duration>> {
        const TAKEN: ControlFlow<Room, Duration> = ControlFlow::Break(Room::Enough);
        loop {
            self.reader.operation.check()?;
            let seen = match file.look()? {
                Sight::License(seen) => seen,
                Sight::Backup(identity) => return self.note(name, identity).map(|()| TAKEN),
                Sight::Gone => return Ok(TAKEN),
                Sight::Other(reason) => {
                    self.left_out(name, reason);
                    return Ok(TAKEN);
                }
            };
            let room = attempts.room(&seen);
            if room > license::SIZE_MAX && self.is_backup(name, file)? {
                return self.leave_out_backup(name, &seen).map(|()| TAKEN);
            }
            license::check_size(name, room)?;
            if self.builder.is_full(room) {
                return Ok(ControlFlow::Break(Room::None));
            }
            if seen.fresh.is_none() {
                let place = self.begin(name, room, seen.facts.modified)?;
                let attempt = file.read_into(place, &seen)?;
                match attempts.judge(&seen, &attempt) {
                    Verdict::Whole => {
                        return self.end_file(name, attempt.read, &seen).map(|()| TAKEN);
                    }
                    Verdict::HoldsMore => continue,
                    Verdict::Moves => {}
                }
            }
            return Ok(ControlFlow::Continue(seen.fresh.unwrap_or(TICK)));
        }
    }

    /// Takes a file that has not changed for long, as most have not, with as few calls as possible;
    /// none where it is not such a file.
    fn take_settled(&mut self, name: &str, file: &OpenFile) -> Result<Option<Room>> {
        /// Bytes to make room for: few licences are larger.
        const ROOM: u64 = 32 << 10;
        let place = self.begin(name, ROOM, 0)?;
        let Some((read, seen)) = file.read_settled(place) else {
            return Ok(None);
        };
        if self.builder.is_full(read) {
            // Where a frame ends must not depend on how its licences were read.
            return Ok(Some(Room::None));
        }
        let (size, modified) = (read as usize, seen.facts.modified);
        self.builder.end(size, modified).map_err(packing)?;
        self.end_file(name, read, &seen)?;
        Ok(Some(Room::Enough))
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
        self.builder.begin(name, size, modified).map_err(packing)
    }

    /// Ends the licence whose file has been read whole, `size` bytes, unless that is a backup.
    fn end_file(&mut self, name: &str, size: u64, seen: &Seen) -> Result<()> {
        let modified = seen.facts.modified;
        self.builder.end(size as usize, modified).map_err(packing)?;
        if is_backup_by(name, &self.builder.content()).map_err(packing)? {
            return self.leave_out_backup(name, seen);
        }
        self.note(name, seen.facts.identity)?;
        let statement = license::read(name, self.builder.content())?;
        let prover = self.reader.prover.as_ref().filter(|_| seen.has_settled);
        let proof = prover.map(|prover| prover.proof(&state(&seen.facts)));
        self.keep_or_restrict(name, seen.facts.modified, statement, proof)
    }

    /// Decides whether the licence that was read last is kept or left out.
    fn keep_or_restrict(
        &mut self,
        name: &str,
        modified: i64,
        statement: Statement,
        proof: Option<Proof>,
    ) -> Result<()> {
        let leave_out_unstated = self.reader.rules.leave_out_unstated;
        if statement.right.is_restricted(leave_out_unstated) {
            return self.restrict(name, statement);
        }
        let old = self.reader.old.as_ref();
        let content = || self.builder.content();
        if old.is_some_and(|old| old.has_same(name, modified, proof, content)) {
            self.builder.forget();
            self.portion.taken_over += 1;
            return Ok(());
        }
        self.builder
            .keep(name, modified, &statement, proof)
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
    fn is_backup(&self, name: &str, file: &OpenFile) -> Result<bool> {
        match is_backup_by(name, &Stored(file.file())) {
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

/// Tells whether the file of that name is a backup. What an encrypted one is only its name and its
/// beginning tell.
fn is_backup_by(name: &str, source: &impl ReadAt) -> Result<bool, Fault> {
    let own = name.rsplit('/').next();
    if own == Some(BackupKind::Encrypted.file()) && is_encrypted(source)? {
        return Ok(true);
    }
    is_backup(source)
}

/// The reason why a backup is no licence, wherever it lies.
const IS_BACKUP: &str = "it is a backup made by licbak";

/// Picks those facts of a file that change with its content.
pub fn state(facts: &Facts) -> FileState {
    FileState {
        device: facts.identity.device,
        inode: facts.identity.inode.into(),
        mtime: facts.modified,
        ctime: facts.changed,
        size: facts.size,
    }
}
