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

/// An opened backup whose trailer is right.
pub struct Backup {
    pub reader: Reader<Stored<File>>,
    path: AnchoredPath,
}

impl Backup {
    /// Opens the backup at `path`, its directory or the file itself.
    pub fn open(path: &AnchoredPath) -> Result<Arc<Backup>> {
        let (file, path) = existing::open(path)?;
        let reader = Reader::open(Stored(file)).map_err(|fault| open_error(&path, fault))?;
        Ok(Arc::new(Backup { reader, path }))
    }

    /// Opens what is left of the backup at `path`; `go_on` may end it.
    pub fn open_damaged(
        path: &AnchoredPath,
        go_on: impl Fn() -> Result<()>,
    ) -> Result<Arc<Backup>> {
        let (file, path) = existing::open(path)?;
        Backup::without_end(Stored(file), path, go_on)
    }

    /// Opens the backup's file again, without its end, which has proved damaged; `go_on` may end
    /// it. The file stays the same, whatever has taken its name meanwhile.
    pub fn forget_end(self: Arc<Self>, go_on: impl Fn() -> Result<()>) -> Result<Arc<Backup>> {
        let Some(Backup { reader, path }) = Arc::into_inner(self) else {
            return Err(Error::panicked(&"a worker holds the backup"));
        };
        Backup::without_end(reader.into_source(), path, go_on)
    }

    fn without_end(
        file: Stored<File>,
        path: AnchoredPath,
        go_on: impl Fn() -> Result<()>,
    ) -> Result<Arc<Backup>> {
        let reader = Reader::open_damaged(file, || go_on().map_err(Stop::Error));
        let reader = reader.map_err(|stop| stop.into_error(|fault| open_error(&path, fault)))?;
        Ok(Arc::new(Backup { reader, path }))
    }

    /// Tells whether it has an end that could be read, which states a generation.
    pub fn has_end(&self) -> bool {
        self.reader.trailer().generation > 0
    }

    pub fn file(&self) -> &File {
        &self.reader.source().0
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

/// Tells by its first bytes why the file can't be a backup, which begins with a frame of zstd.
fn not_a_backup(path: &AnchoredPath) -> Option<&'static str> {
    let mut first = [0; 4];
    match File::open(path).ok()?.read_full_at(&mut first, 0).ok()? {
        0 => Some("it is empty"),
        4 if first == FRAME_MAGIC => None,
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
