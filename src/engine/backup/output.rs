//! The files of a backup that is being written, plain or encrypted: its own, and those that wait.

use std::io::{self, Write};

use crate::archive::ReadAt;
use crate::archive::spool::Scratch;
use crate::encryption::Encrypted;
use crate::encryption::lock::Lock;
use crate::encryption::waiting::Waiting;
use crate::engine::reading::backup_file::Stored;
use crate::location::temporary::Temporary;
use crate::location::{Draft, Sink};
use crate::sys::files::File;

/// The bytes of a new backup. What it was given is all with the draft only when it is finished.
pub enum Output<'d> {
    Plain(Box<dyn Sink + 'd>),
    Encrypted(Box<Encrypted<Box<dyn Sink + 'd>>>),
}

impl<'d> Output<'d> {
    /// Begins a backup in the draft.
    pub fn begin(draft: &'d dyn Draft, lock: Option<&Lock>) -> io::Result<Output<'d>> {
        let out = draft.begin()?;
        Ok(match lock {
            None => Output::Plain(out),
            Some(lock) => Output::Encrypted(Box::new(lock.encrypt(out)?)),
        })
    }

    pub fn finish(self) -> io::Result<()> {
        match self {
            Output::Plain(mut out) => out.flush(),
            Output::Encrypted(out) => out.finish()?.flush(),
        }
    }
}

impl Write for Output<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Output::Plain(out) => out.write(bytes),
            Output::Encrypted(out) => out.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Output::Plain(out) => out.flush(),
            Output::Encrypted(out) => out.flush(),
        }
    }
}

/// A file for what waits until its turn.
pub enum ScratchFile {
    Plain(Kept),
    Encrypted(Waiting<Kept>),
}

impl ScratchFile {
    /// Takes an empty file, and hides what will be in it if the backup is encrypted.
    pub fn new(file: Temporary, is_encrypted: bool) -> io::Result<ScratchFile> {
        let file = Kept(file);
        Ok(match is_encrypted {
            false => ScratchFile::Plain(file),
            true => ScratchFile::Encrypted(Waiting::new(file)?),
        })
    }
}

impl Write for ScratchFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            ScratchFile::Plain(file) => file.write(bytes),
            ScratchFile::Encrypted(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl ReadAt for ScratchFile {
    fn size(&self) -> io::Result<u64> {
        match self {
            ScratchFile::Plain(file) => file.size(),
            ScratchFile::Encrypted(file) => file.size(),
        }
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        match self {
            ScratchFile::Plain(file) => file.read_exact_at(buffer, offset),
            ScratchFile::Encrypted(file) => file.read_exact_at(buffer, offset),
        }
    }
}

impl Scratch for ScratchFile {
    fn release(&self, start: u64, length: u64) {
        match self {
            ScratchFile::Plain(file) => file.release(start, length),
            ScratchFile::Encrypted(file) => file.release(start, length),
        }
    }
}

/// The bytes of such a file.
pub struct Kept(Temporary);

impl Kept {
    fn stored(&self) -> Stored<&File> {
        Stored(&self.0.file)
    }
}

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.stored().write(bytes);
        written.map_err(|error| self.0.failed(error))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl ReadAt for Kept {
    fn size(&self) -> io::Result<u64> {
        let size = self.stored().size();
        size.map_err(|error| self.0.failed(error))
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let read = self.stored().read_exact_at(buffer, offset);
        read.map_err(|error| self.0.failed(error))
    }
}

impl Scratch for Kept {
    fn release(&self, start: u64, length: u64) {
        self.stored().release(start, length);
    }
}
