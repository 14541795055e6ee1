//! A backup that is being read: its file, and faults in the words of an operation.

use std::borrow::Borrow;
use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;

use crate::archive::catalog_in_step::Expected;
use crate::archive::frames::FRAME_MAGIC;
use crate::archive::reader::Reader;
use crate::archive::spool::Scratch;
use crate::archive::trailer::VERSION;
use crate::archive::{Fault, ReadAt};
use crate::encryption::MAGIC;
use crate::encryption::keys::Keys;
use crate::encryption::payload::{Payload, Refusal};
use crate::engine::stop::Stop;
use crate::error::{Access, Error, GoOn, Outcome, Result, told};
use crate::location::{Existing, Location};
use crate::sys::files::{Errno, File};

/// A file as the archive reads and writes it.
pub struct Stored<F>(pub F);

impl<F: Borrow<File>> ReadAt for Stored<F> {
    fn size(&self) -> io::Result<u64> {
        Ok(self.0.borrow().facts()?.size)
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let read = self.0.borrow().read_full_at(buffer, offset)?;
        if read == buffer.len() {
            Ok(())
        } else {
            Err(io::ErrorKind::UnexpectedEof.into())
        }
    }
}

impl<F: Borrow<File>> Scratch for Stored<F> {
    fn release(&self, start: u64, length: u64) {
        // Without a hole the disk needs more room, and nothing else changes.
        let _ = self.0.borrow().make_hole(start, length);
    }
}

impl<F: Borrow<File>> Write for Stored<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow().write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Gives the system's own error behind an I/O error.
pub fn errno(error: &io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}

/// A backup at its place, as the archive reads it.
pub struct Opened(Box<dyn Existing>);

impl ReadAt for Opened {
    fn size(&self) -> io::Result<u64> {
        self.0.size()
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.0.read_exact_at(buffer, offset)
    }
}

/// The bytes of a backup, whether it has them as they are or encrypted.
pub enum Source {
    Plain(Opened),
    Encrypted(Payload<Opened>),
}

impl ReadAt for Source {
    fn size(&self) -> io::Result<u64> {
        match self {
            Source::Plain(opened) => opened.size(),
            Source::Encrypted(payload) => payload.size(),
        }
    }

    fn block(&self) -> u64 {
        match self {
            Source::Plain(opened) => opened.block(),
            Source::Encrypted(payload) => payload.block(),
        }
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        match self {
            Source::Plain(opened) => opened.read_exact_at(buffer, offset),
            Source::Encrypted(payload) => payload.read_exact_at(buffer, offset),
        }
    }
}

impl Source {
    /// Opens the backup with the keys, if it needs some. `opens` opens an encrypted one.
    fn of(
        opened: Box<dyn Existing>,
        about: &About,
        keys: &Keys,
        opens: impl FnOnce(Opened, &Keys) -> Result<Payload<Opened>, Refusal>,
    ) -> Result<Source> {
        let opened = Opened(opened);
        if about.start.is(MAGIC) {
            let payload = opens(opened, keys).map_err(|refusal| about.locked(keys, refusal))?;
            return Ok(Source::Encrypted(payload));
        }
        if keys.is_empty() {
            return Ok(Source::Plain(opened));
        }
        // Whoever can write there may have put it in place of the one that was encrypted. One that is
        // damaged, too: a salvage finds what is in it.
        Err(match about.start.begins_with(&FRAME_MAGIC) {
            true => about.undecrypted(
                "it is not encrypted, and keys to an encrypted one are set",
                "Remove the keys to read it",
            ),
            false => about.open_error(Fault::damaged("it does not begin as an encrypted one")),
        })
    }

    /// Gives the backup at its place.
    pub fn existing(&self) -> &dyn Existing {
        match self {
            Source::Plain(opened) => &*opened.0,
            Source::Encrypted(payload) => &*payload.source().0,
        }
    }

    /// Gives the backup at its place, if it has the bytes as they are.
    pub fn plain(&self) -> Option<&dyn Existing> {
        match self {
            Source::Plain(opened) => Some(&*opened.0),
            Source::Encrypted(_) => None,
        }
    }

    /// Lets the system's cache drop these bytes.
    pub fn forget(&self, start: u64, length: u64) {
        match self {
            Source::Plain(opened) => opened.0.forget(start, length),
            Source::Encrypted(payload) => {
                let sealed = payload.sealed(start..start + length);
                let existing = self.existing();
                existing.forget(sealed.start, sealed.end - sealed.start);
            }
        }
    }
}

/// An opened backup whose trailer is right.
pub struct Backup {
    pub reader: Reader<Source>,
    about: About,
}

impl Backup {
    /// Opens the backup at that place, with the keys if it needs some; `go_on` may end it, and all
    /// that is read later.
    pub fn open(location: &dyn Location, keys: &Keys, go_on: &GoOn) -> Result<Arc<Backup>> {
        Backup::of(location.open(go_on)?, keys)
    }

    /// Opens this backup, with the keys if it needs some.
    pub fn of(opened: Box<dyn Existing>, keys: &Keys) -> Result<Arc<Backup>> {
        let about = About::of(&*opened)?;
        let source = Source::of(opened, &about, keys, Payload::open)?;
        let reader = Reader::open(source).map_err(|fault| about.open_error(fault))?;
        Ok(Arc::new(Backup { reader, about }))
    }

    /// Opens what is left of the backup at that place; `go_on` may end it.
    pub fn open_damaged(location: &dyn Location, keys: &Keys, go_on: &GoOn) -> Result<Arc<Backup>> {
        let opened = location.open(go_on)?;
        let about = About::of(&*opened)?;
        let source = Source::of(opened, &about, keys, Payload::open_damaged)?;
        Backup::without_end(source, about, go_on)
    }

    /// Opens the backup again, without its end, which has proved damaged; `go_on` may end it. It
    /// stays the same, whatever has taken its name meanwhile.
    pub fn forget_end(self: Arc<Self>, go_on: &GoOn) -> Result<Arc<Backup>> {
        let Some(Backup { reader, about }) = Arc::into_inner(self) else {
            return Err(Error::panicked(&"a worker holds the backup"));
        };
        let source = match reader.into_source() {
            Source::Encrypted(payload) => Source::Encrypted(payload.forgive()),
            source => source,
        };
        Backup::without_end(source, about, go_on)
    }

    fn without_end(source: Source, about: About, go_on: &GoOn) -> Result<Arc<Backup>> {
        let reader = Reader::open_damaged(source, || go_on().map_err(Stop::Error));
        let reader = reader.map_err(|stop| stop.into_error(|fault| about.open_error(fault)))?;
        Ok(Arc::new(Backup { reader, about }))
    }

    /// Tells whether it has an end that could be read, which states a generation.
    pub fn has_end(&self) -> bool {
        self.reader.trailer().generation > 0
    }

    pub fn source(&self) -> &Source {
        self.reader.source()
    }

    /// Gives the bytes of the file.
    pub fn file_size(&self) -> u64 {
        match self.source() {
            Source::Plain(_) => self.reader.file_size(),
            Source::Encrypted(payload) => payload.file_size(),
        }
    }

    /// Finds the licences with a key ID in the lists; `go_on` may end it.
    pub fn find(&self, key_id: &str, go_on: impl Fn() -> Result<()>) -> Result<Vec<Expected>> {
        let found = self.reader.find(key_id, || go_on().map_err(Stop::Error));
        found.map_err(|stop| stop.into_error(|fault| self.error(fault)))
    }

    /// Finds all licences that can be found without the lists; `go_on` may end it.
    pub fn search(&self, go_on: impl Fn() -> Result<()>) -> Result<Vec<Expected>> {
        let found = self.reader.search(|| go_on().map_err(Stop::Error));
        found.map_err(|stop| stop.into_error(|fault| self.error(fault)))
    }

    /// Makes the error of an operation that met `fault` in this backup.
    pub fn error(&self, fault: Fault) -> Error {
        self.about.read_error(fault)
    }
}

impl fmt::Display for Backup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "The backup '{}'", self.about.name)
    }
}

/// The first bytes of a file.
struct Start {
    bytes: [u8; MAGIC.len()],
    length: usize,
}

impl Start {
    fn of(existing: &dyn Existing) -> io::Result<Start> {
        let mut bytes = [0; MAGIC.len()];
        let length = existing.size()?.min(bytes.len() as u64) as usize;
        existing.read_exact_at(bytes.get_mut(..length).unwrap_or_default(), 0)?;
        Ok(Start { bytes, length })
    }

    fn is(&self, magic: &[u8]) -> bool {
        self.known() == magic
    }

    fn begins_with(&self, magic: &[u8]) -> bool {
        self.known().starts_with(magic)
    }

    fn known(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

/// The name and the beginning of a backup, for sentences about it.
struct About {
    name: String,
    start: Start,
}

impl About {
    fn of(existing: &dyn Existing) -> Result<About> {
        let name = existing.name().to_owned();
        match Start::of(existing) {
            Ok(start) => Ok(About { name, start }),
            Err(error) => Err(system_error(&name, &error)),
        }
    }

    /// Makes the error of a backup that could not be opened. A file that never was a backup is no
    /// damaged one: another copy of it would not help.
    fn open_error(&self, fault: Fault) -> Error {
        let what = match fault {
            Fault::Damaged(_) => self.not_a_backup(),
            _ => None,
        };
        let Some(what) = what else {
            return self.read_error(fault);
        };
        let name = &self.name;
        let sentence =
            format!("'{name}' is not a backup: {what}. Name the backup, or its directory.");
        Error::new(Outcome::BackupCorrupt, sentence)
    }

    /// Tells by its first bytes why the file can't be a backup, which begins with a frame of zstd.
    fn not_a_backup(&self) -> Option<&'static str> {
        let first = self.start.known().get(..FRAME_MAGIC.len());
        match first {
            None if self.start.length == 0 => Some("it is empty"),
            Some(first) if first == FRAME_MAGIC || MAGIC.starts_with(first) => None,
            _ => Some("it is a file of another kind"),
        }
    }

    /// Makes the error of an encrypted backup that can't be opened.
    fn locked(&self, keys: &Keys, refusal: Refusal) -> Error {
        match refusal {
            Refusal::NoKey if keys.is_empty() => self.undecrypted(
                "it is encrypted, and no key to it is set",
                "Set its passphrase, or an identity of one of its recipients",
            ),
            Refusal::NoKey => self.undecrypted(
                "no key that is set fits, or its own keys have been altered",
                "Set its passphrase, or an identity of one of its recipients",
            ),
            Refusal::TooMuchWork => {
                let sentence = format!(
                    "The backup '{}' can't be opened: its passphrase takes more than 2^20 steps of scrypt. Decrypt it \
                     with age, and name the result.",
                    self.name
                );
                Error::new(Outcome::NotSupported, sentence)
            }
            Refusal::Damaged(what) => self.read_error(Fault::damaged(what)),
            Refusal::System(error) => self.read_error(Fault::System(error)),
            Refusal::OutOfMemory => Error::out_of_memory(),
        }
    }

    fn undecrypted(&self, why: &str, what_to_do: &str) -> Error {
        let name = &self.name;
        let sentence = format!("The backup '{name}' can't be decrypted: {why}. {what_to_do}.");
        Error::new(Outcome::DecryptionFailed, sentence)
    }

    fn read_error(&self, fault: Fault) -> Error {
        let name = &self.name;
        match fault {
            Fault::Damaged(what) => Error::new(
                Outcome::BackupCorrupt,
                format!(
                    "The backup '{name}' is damaged or incomplete: {what}. Use another copy of it, or back up again."
                ),
            ),
            Fault::OtherVersion { version, .. } => {
                let what_to_do = match version > VERSION {
                    true => "Use a later version of licbak",
                    false => "Back up again",
                };
                Error::new(
                    Outcome::RevisionMismatch,
                    format!("The backup '{name}' can't be read: {fault}. {what_to_do}."),
                )
            }
            Fault::System(error) => system_error(name, &error),
            Fault::OutOfMemory => Error::out_of_memory(),
            Fault::Stopped => Error::canceled(),
        }
    }
}

fn system_error(name: &str, error: &io::Error) -> Error {
    let doing = format_args!("read the backup '{name}'");
    told(error)
        .cloned()
        .unwrap_or_else(|| Error::system(Access::Read, doing, errno(error)))
}
