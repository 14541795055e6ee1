//! The part of an encrypted file that is in memory, which age reads from: it is read from the file
//! at once, as far as a reader will go.

use std::io::{self, BufRead, Read, Seek, SeekFrom};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::SEALED;
use crate::archive::ReadAt;
use crate::buffer::sized;

/// The part of the file that will be read next.
#[derive(Default)]
pub struct Ask {
    start: AtomicU64,
    end: AtomicU64,
}

impl Ask {
    pub fn set(&self, part: Range<u64>) {
        self.start.store(part.start, Ordering::Relaxed);
        self.end.store(part.end, Ordering::Relaxed);
    }

    pub fn has(&self, position: u64) -> bool {
        self.part().contains(&position)
    }

    fn part(&self) -> Range<u64> {
        self.start.load(Ordering::Relaxed)..self.end.load(Ordering::Relaxed)
    }

    /// Gives the part to read where the byte at `position` is missing.
    fn around(&self, position: u64) -> Range<u64> {
        match self.has(position) {
            true => self.part(),
            false => position..position.saturating_add(SEALED),
        }
    }
}

pub struct Window<S> {
    source: Arc<S>,
    file_size: u64,
    ask: Arc<Ask>,
    position: u64,
    /// The bytes of the file from `start` on: the first `length` of the buffer.
    start: u64,
    length: usize,
    buffer: Vec<u8>,
}

impl<S: ReadAt> Window<S> {
    /// Makes a window that has the first bytes of the file.
    pub fn new(source: Arc<S>, file_size: u64, ask: Arc<Ask>, first: Vec<u8>) -> Window<S> {
        Window {
            source,
            file_size,
            ask,
            position: 0,
            start: 0,
            length: first.len(),
            buffer: first,
        }
    }

    /// Gives the bytes of the buffer from the position on.
    fn rest(&self) -> &[u8] {
        let within = self.position.checked_sub(self.start);
        let within = within.and_then(|within| usize::try_from(within).ok());
        within
            .and_then(|within| self.buffer.get(within..self.length))
            .unwrap_or_default()
    }
}

impl<S: ReadAt> BufRead for Window<S> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.rest().is_empty() && self.position < self.file_size {
            let part = self.ask.around(self.position);
            self.length = 0;
            let length = part.end.min(self.file_size) - part.start;
            let bytes =
                sized(&mut self.buffer, length as usize).map_err(|_| io::ErrorKind::OutOfMemory)?;
            self.source.read_exact_at(bytes, part.start)?;
            (self.start, self.length) = (part.start, bytes.len());
        }
        Ok(self.rest())
    }

    fn consume(&mut self, count: usize) {
        self.position += count as u64;
    }
}

impl<S: ReadAt> Read for Window<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let rest = self.fill_buf()?;
        let count = rest.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..count), rest.get(..count)) {
            to.copy_from_slice(from);
        }
        self.consume(count);
        Ok(count)
    }
}

impl<S: ReadAt> Seek for Window<S> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(behind) => self.file_size.checked_add_signed(behind),
            SeekFrom::Current(behind) => self.position.checked_add_signed(behind),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}
