//! A file without a name for what does not stay in memory, where SQLite has its temporary files.

use rusqlite::Connection;

use super::Database;
use crate::error::{Error, Result};
use crate::sys::database_copy;

/// Bytes that wait for the file; where there are no more, none is made.
const WAITING: usize = 2 << 20;
/// Bytes that SQLite's functions read or write at once.
const BLOCK: usize = 64 << 10;

/// A file that is written front to back, and read anywhere.
pub struct TemporaryFile<'d> {
    /// The database whose rows it keeps, for what fails.
    database: &'d Database,
    /// The file as SQLite opens one; none before it is needed.
    file: Option<Connection>,
    /// The bytes in the file, which those that wait follow.
    written: u64,
    waiting: Vec<u8>,
}

impl TemporaryFile<'_> {
    pub fn new(database: &Database) -> TemporaryFile<'_> {
        TemporaryFile {
            database,
            file: None,
            written: 0,
            waiting: Vec::new(),
        }
    }

    /// Gives the place where the next bytes come to lie.
    pub fn end(&self) -> u64 {
        self.written + self.waiting.len() as u64
    }

    pub fn append(&mut self, bytes: &[u8]) -> Result<()> {
        if self.waiting.len() + bytes.len() <= WAITING {
            self.waiting.try_reserve(bytes.len())?;
            self.waiting.extend_from_slice(bytes);
            return Ok(());
        }
        self.flush()?;
        self.write(bytes)
    }

    /// Brings what waits into the file.
    pub fn flush(&mut self) -> Result<()> {
        let mut waiting = std::mem::take(&mut self.waiting);
        self.write(&waiting)?;
        waiting.clear();
        self.waiting = waiting;
        Ok(())
    }

    /// Fills `bytes` with those at `place`, which are wholly in the file or all wait.
    pub fn read(&self, bytes: &mut [u8], place: u64) -> Result<()> {
        if let (Some(file), true) = (&self.file, place < self.written) {
            let mut place = place;
            for block in bytes.chunks_mut(BLOCK) {
                (self.database.go_on)()?;
                let read = database_copy::read(file, block, place.cast_signed());
                read.map_err(|error| self.failure(&error))?;
                place += block.len() as u64;
            }
            return Ok(());
        }
        let start = usize::try_from(place - self.written).unwrap_or(usize::MAX);
        let waiting = self.waiting.get(start..).unwrap_or_default();
        match waiting.get(..bytes.len()) {
            Some(found) => bytes.copy_from_slice(found),
            None => return Err(self.unlike()),
        }
        Ok(())
    }

    /// Makes the error of a file that has other bytes than it was given.
    pub fn unlike(&self) -> Error {
        let reason = "a temporary file has other bytes than were written to it";
        self.database.unfit(reason)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        for block in bytes.chunks(BLOCK) {
            (self.database.go_on)()?;
            let place = self.written.cast_signed();
            let written = self
                .open()
                .and_then(|file| database_copy::write(file, block, place));
            written.map_err(|error| self.failure(&error))?;
            self.written += block.len() as u64;
        }
        Ok(())
    }

    fn open(&mut self) -> rusqlite::Result<&Connection> {
        match &mut self.file {
            Some(file) => Ok(file),
            none => Ok(none.insert(database_copy::open(self.database.hides)?)),
        }
    }

    fn failure(&self, error: &rusqlite::Error) -> Error {
        self.database.failure("sort the rows of", error)
    }
}
