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
use crate::encryption::payload::{Payload, Refusal, is_encrypted};
use crate::engine::stop::Stop;
use crate::error::{Access, Error, Outcome, Result};
use crate::location::directory::existing;
use crate::sys::anchored_path::AnchoredPath;
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

/// The bytes of a backup, whether its file has them as they are or encrypted.
pub enum Source {
    Plain(Stored<File>),
    Encrypted(Payload<Stored<File>>),
}

impl ReadAt for Source {
    fn size(&self) -> io::Result<u64> {
        match self {
            Source::Plain(file) => file.size(),
            Source::Encrypted(payload) => payload.size(),
        }
    }

    fn block(&self) -> u64 {
        match self {
            Source::Plain(file) => file.block(),
            Source::Encrypted(payload) => payload.block(),
        }
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        match self {
            Source::Plain(file) => file.read_exact_at(buffer, offset),
            Source::Encrypted(payload) => payload.read_exact_at(buffer, offset),
        }
    }
}

impl Source {
    /// Opens the backup in `file` with the keys, if it needs some. `opens` opens an encrypted one.
    fn of(
        file: File,
        path: &AnchoredPath,
        keys: &Keys,
        opens: impl FnOnce(Stored<File>, &Keys) -> Result<Payload<Stored<File>>, Refusal>,
    ) -> Result<Source> {
        let file = Stored(file);
        let is_encrypted = is_encrypted(&file);
        if is_encrypted.map_err(|error| read_error(path, error.into()))? {
            let payload = opens(file, keys).map_err(|refusal| locked(path, keys, refusal))?;
            return Ok(Source::Encrypted(payload));
        }
        if keys.is_empty() {
            return Ok(Source::Plain(file));
        }
        // Whoever can write there may have put it in place of the one that was encrypted. One that is
        // damaged, too: a salvage finds what is in it.
        Err(match begins_plain(&file) {
            true => undecrypted(
                path,
                "it is not encrypted, and keys to an encrypted one are set",
                "Remove the keys to read it",
            ),
            false => open_error(
                path,
                Fault::damaged("it does not begin as an encrypted one"),
            ),
        })
    }

    pub fn file(&self) -> &File {
        match self {
            Source::Plain(file) => &file.0,
            Source::Encrypted(payload) => &payload.source().0,
        }
    }

    /// Gives the file, if it has the bytes as they are.
    pub fn plain_file(&self) -> Option<&File> {
        match self {
            Source::Plain(file) => Some(&file.0),
            Source::Encrypted(_) => None,
        }
    }

    /// Lets the system's cache drop these bytes.
    pub fn forget(&self, start: u64, length: u64) {
        match self {
            Source::Plain(file) => file.0.forget(start, length),
            Source::Encrypted(payload) => {
                let sealed = payload.sealed(start..start + length);
                self.file().forget(sealed.start, sealed.end - sealed.start);
            }
        }
    }
}

/// An opened backup whose trailer is right.
pub struct Backup {
    pub reader: Reader<Source>,
    path: AnchoredPath,
}

impl Backup {
    /// Opens the backup at `path`, its directory or the file itself, with the keys if it needs some.
    pub fn open(path: &AnchoredPath, keys: &Keys) -> Result<Arc<Backup>> {
        let (file, path) = existing::open(path)?;
        let source = Source::of(file, &path, keys, Payload::open)?;
        let reader = Reader::open(source).map_err(|fault| open_error(&path, fault))?;
        Ok(Arc::new(Backup { reader, path }))
    }

    /// Opens what is left of the backup at `path`; `go_on` may end it.
    pub fn open_damaged(
        path: &AnchoredPath,
        keys: &Keys,
        go_on: impl Fn() -> Result<()>,
    ) -> Result<Arc<Backup>> {
        let (file, path) = existing::open(path)?;
        let source = Source::of(file, &path, keys, Payload::open_damaged)?;
        Backup::without_end(source, path, go_on)
    }

    /// Opens the backup's file again, without its end, which has proved damaged; `go_on` may end
    /// it. The file stays the same, whatever has taken its name meanwhile.
    pub fn forget_end(self: Arc<Self>, go_on: impl Fn() -> Result<()>) -> Result<Arc<Backup>> {
        let Some(Backup { reader, path }) = Arc::into_inner(self) else {
            return Err(Error::panicked(&"a worker holds the backup"));
        };
        let source = match reader.into_source() {
            Source::Encrypted(payload) => Source::Encrypted(payload.forgive()),
            source => source,
        };
        Backup::without_end(source, path, go_on)
    }

    fn without_end(
        source: Source,
        path: AnchoredPath,
        go_on: impl Fn() -> Result<()>,
    ) -> Result<Arc<Backup>> {
        let reader = Reader::open_damaged(source, || go_on().map_err(Stop::Error));
        let reader = reader.map_err(|stop| stop.into_error(|fault| open_error(&path, fault)))?;
        Ok(Arc::new(Backup { reader, path }))
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
        read_error(&self.path, fault)
    }
}

impl fmt::Display for Backup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "The backup '{}'", self.path.display())
    }
}

/// Makes the error of a backup that could not be opened. A file that never was a backup is no damaged
/// one: another copy of it would not help.
fn open_error(path: &AnchoredPath, fault: Fault) -> Error {
    let what = match fault {
        Fault::Damaged(_) => not_a_backup(path),
        _ => None,
    };
    let Some(what) = what else {
        return read_error(path, fault);
    };
    let sentence = format!(
        "'{}' is not a backup: {what}. Name the backup, or its directory.",
        path.display()
    );
    Error::new(Outcome::BackupCorrupt, sentence)
}

/// Tells whether a file begins as a backup that is not encrypted.
fn begins_plain(file: &Stored<File>) -> bool {
    let mut first = FRAME_MAGIC;
    let read = file.read_exact_at(&mut first, 0);
    read.is_ok() && first == FRAME_MAGIC
}

/// Makes the error of an encrypted backup that can't be opened.
fn locked(path: &AnchoredPath, keys: &Keys, refusal: Refusal) -> Error {
    match refusal {
        Refusal::NoKey if keys.is_empty() => undecrypted(
            path,
            "it is encrypted, and no key to it is set",
            "Set its passphrase, or an identity of one of its recipients",
        ),
        Refusal::NoKey => undecrypted(
            path,
            "no key that is set fits, or its own keys have been altered",
            "Set its passphrase, or an identity of one of its recipients",
        ),
        Refusal::TooMuchWork => {
            let sentence = format!(
                "The backup '{}' can't be opened: its passphrase takes more than 2^20 steps of scrypt. Decrypt it with \
                 age, and name the result.",
                path.display()
            );
            Error::new(Outcome::NotSupported, sentence)
        }
        Refusal::Damaged(what) => read_error(path, Fault::damaged(what)),
        Refusal::System(error) => read_error(path, Fault::System(error)),
        Refusal::OutOfMemory => Error::out_of_memory(),
    }
}

fn undecrypted(path: &AnchoredPath, why: &str, what_to_do: &str) -> Error {
    let shown = path.display();
    let sentence = format!("The backup '{shown}' can't be decrypted: {why}. {what_to_do}.");
    Error::new(Outcome::DecryptionFailed, sentence)
}

/// Tells by its first bytes why the file can't be a backup, which begins with a frame of zstd.
fn not_a_backup(path: &AnchoredPath) -> Option<&'static str> {
    let mut first = [0; 4];
    match File::open(path).ok()?.read_full_at(&mut first, 0).ok()? {
        0 => Some("it is empty"),
        4 if first == FRAME_MAGIC || MAGIC.starts_with(&first) => None,
        _ => Some("it is a file of another kind"),
    }
}

fn read_error(path: &AnchoredPath, fault: Fault) -> Error {
    let shown = path.display();
    match fault {
        Fault::Damaged(what) => Error::new(
            Outcome::BackupCorrupt,
            format!(
                "The backup '{shown}' is damaged or incomplete: {what}. Use another copy of it, or back up again."
            ),
        ),
        Fault::OtherVersion { version, .. } => {
            let what_to_do = match version > VERSION {
                true => "Use a later version of licbak",
                false => "Back up again",
            };
            Error::new(
                Outcome::RevisionMismatch,
                format!("The backup '{shown}' can't be read: {fault}. {what_to_do}."),
            )
        }
        Fault::System(error) => Error::system(
            Access::Read,
            format_args!("read the backup '{shown}'"),
            errno(&error),
        ),
        Fault::OutOfMemory => Error::out_of_memory(),
        Fault::Stopped => Error::canceled(),
    }
}
