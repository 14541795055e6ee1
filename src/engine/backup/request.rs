//! What a backup was asked for, and what follows from that.

use std::sync::Arc;

use super::intact::is_intact;
use super::output::ScratchFile;
use super::packer::Rules;
use super::previous_backup::PreviousBackup;
use super::readings::MakeScratch;
use super::store_reader::{Extent, StoreReader};
use crate::archive::frames::Compressor;
use crate::archive::spool::{IN_MEMORY, Spool};
use crate::archive::state::Noted;
use crate::archive::waiting_frames::WaitingFrames;
use crate::archive::writer::Stamp;
use crate::archive::{Digest, Fault, lines};
use crate::encryption::keys::Keys;
use crate::encryption::lock::Lock;
use crate::engine::machine;
use crate::engine::operation::Operation;
use crate::engine::operation::pool::Pool;
use crate::engine::reading::backup_file::{Backup, Source, errno};
use crate::engine::stop::Stop;
use crate::error::{Access, Error, Outcome, Result, told};
use crate::location::{BackupKind, Destination, Location, Target};
use crate::random;
use crate::store::{Backups, Place};
use crate::sys;

/// The host's choices for a backup.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// An existing backup is replaced.
    pub overwrite: bool,
    pub dry_run: bool,
    /// Nothing is taken over from the existing backup.
    pub full: bool,
    /// What can't be read or kept is passed over.
    pub keep_going: bool,
}

/// All that the story of a backup needs.
pub struct Request {
    pub options: Options,
    pub store: Place,
    /// The place of the backup; not needed where nothing is to be written.
    pub backup: Option<Arc<dyn Location>>,
    /// Places where backups may lie, which are no licences should the store have them.
    pub backups: Vec<Arc<dyn Location>>,
    pub rules: Rules,
    pub created: String,
    /// The machine, in the host's words.
    pub machine: Option<String>,
    /// The keys to the backup that is replaced, and the lock of the new one, if it is to be encrypted.
    pub keys: Keys,
    pub lock: Option<Lock>,
}

impl Request {
    pub fn reader<'r>(
        &self,
        operation: &'r Arc<Operation>,
        pool: &'r Pool,
        backups: Backups,
        scratch: Option<MakeScratch<'r>>,
    ) -> Result<StoreReader<'r>> {
        let mut store = self
            .store
            .open(backups, self.is_encrypted(), operation.go_on())?;
        if let Place::Host(_) = self.store {
            store = operation.listed_by_host(store);
        }
        let shown = self.store.to_string();
        let keep_going = self.options.keep_going;
        Ok(StoreReader::new(
            operation, pool, store, shown, self.rules, keep_going, scratch,
        ))
    }

    /// Makes the compressor of the lists, which stops with the operation.
    pub fn compressor(&self, operation: &Arc<Operation>) -> Result<Compressor> {
        let compressor = Compressor::of_lists(self.rules.level);
        let operation = Arc::clone(operation);
        let go_on = Box::new(move || operation.check().is_ok());
        Ok(compressor.map_err(|fault| self.error(fault))?.asking(go_on))
    }

    /// Tells whether the new backup is encrypted, and so what waits for it.
    fn is_encrypted(&self) -> bool {
        self.lock.is_some()
    }

    /// Gives the kind of the new backup.
    pub fn kind(&self) -> BackupKind {
        match self.is_encrypted() {
            false => BackupKind::Plain,
            true => BackupKind::Encrypted,
        }
    }

    /// Makes a spool on the disk, for what is more than `in_memory` bytes.
    pub fn spool<'t>(
        &self,
        target: &'t dyn Destination,
        in_memory: usize,
    ) -> Spool<'t, ScratchFile> {
        let is_encrypted = self.is_encrypted();
        Spool::new(in_memory, move || {
            Ok(ScratchFile::new(target.scratch()?, is_encrypted)?)
        })
    }

    /// Makes the error of an operation that met `fault` while it wrote.
    pub fn error(&self, fault: Fault) -> Error {
        match fault {
            Fault::System(error) => told(&error).cloned().unwrap_or_else(|| {
                let place = self.backup.as_ref();
                let shown = place.map_or_else(String::new, |place| {
                    format!(" '{}'", place.name_of(self.kind()))
                });
                let doing = format_args!("write the backup{shown}");
                Error::system(Access::Write, doing, errno(&error))
            }),
            Fault::OutOfMemory => Error::out_of_memory(),
            Fault::Stopped => Error::canceled(),
            Fault::Damaged(_) | Fault::OtherVersion { .. } => {
                Error::new(Outcome::Fail, format!("Cannot write the backup: {fault}."))
            }
        }
    }

    /// Makes the error of work on the backup that stopped early.
    pub fn stopped(&self, stop: Stop) -> Error {
        stop.into_error(|fault| self.error(fault))
    }

    /// Tells whether the backup of the same licences that is there may stay: it says of itself what
    /// the new one would say, is of this user, and whole. If others may read it they can't then.
    pub fn keeps(
        &self,
        backup: &Arc<Backup>,
        target: &dyn Destination,
        operation: &Operation,
        pool: &Pool,
    ) -> Result<bool> {
        let trailer = backup.reader.trailer();
        let is_for_same = match (&self.lock, backup.source()) {
            (None, Source::Plain(_)) => true,
            (Some(lock), Source::Encrypted(payload)) => match lock.fingerprint() {
                Some(hash) => trailer.is_for(&hash),
                None => payload.is_by_passphrase() && lock.is_passphrase_of(&self.keys),
            },
            _ => false,
        };
        let is_of_machine = trailer
            .identity()
            .is_ok_and(|(id, machine)| machine == self.machine_hash(&id));
        let may_stay = !self.options.full
            && is_for_same
            && is_of_machine
            && is_own(backup)
            && trailer.licenses + trailer.restricted > 0
            && is_intact(backup, operation, pool, self.rules.workers)?;
        Ok(may_stay && target.keeps(backup.source().existing())?)
    }

    /// Opens the backup that is replaced, if it can be read.
    pub fn before(&self, target: Option<&dyn Target>) -> Result<Option<Arc<Backup>>> {
        let Some(target) = target.filter(|target| target.replaces_one()) else {
            return Ok(None);
        };
        match target
            .open_old()
            .and_then(|old| Backup::of(old, &self.keys))
        {
            // A backup that could not be asked for now is still one: the new one is its successor.
            Err(error) if error.has_given_up() => Err(error),
            opened => Ok(opened.ok()),
        }
    }

    /// Tells where and when, and by which rules, the states of files are noted.
    pub fn noted(&self, origin: Option<&sys::origin::Origin>) -> Noted {
        Noted {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            leaves_out_unstated: self.rules.leave_out_unstated,
            boot: origin.map_or_else(String::new, |origin| origin.boot.clone()),
            mount: origin.map_or(0, |origin| origin.mount),
            key: lines::hex_text::<32>(&random::bytes()),
        }
    }

    /// Reads the names and states of the backup whose licences can be taken over.
    pub fn old(
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
    pub fn changes<'t>(
        &self,
        old: &Arc<PreviousBackup>,
        reader: &mut StoreReader,
        target: &'t dyn Destination,
    ) -> Result<WaitingFrames<'t, ScratchFile>> {
        // The lines of all licences that are denied, as a rule: where nothing has changed no room
        // is needed.
        let new = WaitingFrames::new(self.spool(target, 8 * IN_MEMORY));
        let mut new = new.map_err(|fault| self.error(fault))?;
        let read = reader.read(Extent::All, Some(old), &mut new);
        read.map_err(|stop| self.stopped(stop))?;
        Ok(new)
    }

    /// Gives what the new backup says about itself, as the successor of the one `before`.
    pub fn stamp(&self, before: Option<&Backup>) -> Stamp {
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
            recipients: self.lock.as_ref().and_then(Lock::fingerprint),
        }
    }

    /// Gives the hash of the machine for the backup with that ID, if the host has a word for it.
    fn machine_hash(&self, id: &[u8; 16]) -> Option<Digest> {
        let machine = self.machine.as_deref();
        machine.map(|machine| machine::of_backup(machine, id))
    }

    pub fn nothing_to_save(&self, restricted: u64) -> Error {
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

/// Tells whether the backup is of this user.
fn is_own(backup: &Backup) -> bool {
    backup.source().existing().is_own()
}
