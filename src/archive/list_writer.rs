//! A member that grows while the licences are written, by lines or by records of one size. Its
//! finished frames wait in the spool, so that memory holds one unfinished frame.

use std::io::Write;
use std::mem;

use memchr::{memchr, memchr_iter, memrchr};
use sha2::{Digest as _, Sha256};

use super::frames::{Compressor, Decompressor};
use super::output::{self, Output, checked};
use super::spool::{Scratch, Spool};
use super::trailer::Entry;
use super::{Digest, Result, members};
use crate::buffer::sized;

pub struct ListWriter {
    /// Bytes at which a frame is closed.
    target: usize,
    /// The lines of the frame that is not finished, and their number.
    text: Vec<u8>,
    count: u32,
    frames: Vec<Spooled>,
    size: u64,
    sha256: Sha256,
}

/// A finished frame in the spool.
struct Spooled {
    start: u64,
    length: u32,
    content_size: u32,
    digest: Digest,
    count: u32,
}

impl ListWriter {
    pub fn new(target: usize) -> ListWriter {
        ListWriter {
            target,
            text: Vec::new(),
            count: 0,
            frames: Vec::new(),
            size: 0,
            sha256: Sha256::new(),
        }
    }

    /// Takes the list away and leaves an empty one.
    pub fn take(&mut self) -> ListWriter {
        let empty = ListWriter::new(self.target);
        mem::replace(self, empty)
    }

    /// Tells whether the list has the content of that member so far.
    pub fn is_as(&self, member: &Entry) -> bool {
        self.size == member.size && member.is_of(&self.sha256)
    }

    /// Takes in `count` whole lines or records. Lines may be more than a frame holds, records never
    /// are.
    pub fn append<S: Scratch>(
        &mut self,
        mut lines: &[u8],
        mut count: u32,
        compressor: &mut Compressor,
        spool: &mut Spool<'_, S>,
    ) -> Result<()> {
        while lines.len() > self.target
            && let Some(end) = last_line_end(lines, self.target)
        {
            let (first, rest) = lines.split_at_checked(end).unwrap_or((lines, &[]));
            let of_first = memchr_iter(b'\n', first).count() as u32;
            self.append_frame(first, of_first, compressor, spool)?;
            (lines, count) = (rest, count.saturating_sub(of_first));
        }
        self.append_frame(lines, count, compressor, spool)
    }

    /// Takes in lines or records that fit a frame.
    fn append_frame<S: Scratch>(
        &mut self,
        lines: &[u8],
        count: u32,
        compressor: &mut Compressor,
        spool: &mut Spool<'_, S>,
    ) -> Result<()> {
        // This comes before the new lines, so that the last frame, which takes the padding, is
        // never empty.
        if self.text.len() + lines.len() > self.target && !self.text.is_empty() {
            let frame = compressor.compress(&self.text)?;
            self.frames.try_reserve(1)?;
            self.frames.push(Spooled {
                start: spool.append(&[&frame.bytes])?,
                length: frame.bytes.len() as u32,
                content_size: frame.content_size,
                digest: frame.digest,
                count: self.count,
            });
            self.text.clear();
            self.count = 0;
        }
        self.text.try_reserve(lines.len())?;
        self.text.extend_from_slice(lines);
        self.count += count;
        self.sha256.update(lines);
        self.size += lines.len() as u64;
        Ok(())
    }

    /// Appends the member to the file.
    pub fn finish<F: Write, S: Scratch>(
        mut self,
        name: &str,
        file: &mut Output<F>,
        compressor: &mut Compressor,
        spool: &Spool<'_, S>,
    ) -> Result<Entry> {
        let offset = file.position();
        let mut content = members::header(name, checked(self.size)?, 0).into_owned();
        if !self.frames.is_empty() {
            file.append(&compressor.compress(&content)?, 0)?;
            content.clear();
        }
        let mut bytes = Vec::new();
        for spooled in &self.frames {
            let bytes = sized(&mut bytes, spooled.length as usize)?;
            spool.read(bytes, spooled.start)?;
            file.append_bytes(bytes, spooled.content_size, spooled.digest, spooled.count)?;
        }
        content.try_reserve_exact(self.text.len() + members::BLOCK)?;
        content.append(&mut self.text);
        content.resize(
            content.len() + (members::padded(self.size) - self.size) as usize,
            0,
        );
        file.append(&compressor.compress(&content)?, self.count)?;
        Ok(output::entry(name, offset, self.size, self.sha256))
    }
}

/// Finds the end of the last line that fits a frame of `target` bytes.
fn last_line_end(lines: &[u8], target: usize) -> Option<usize> {
    let frame = lines.get(..target).unwrap_or(lines);
    memrchr(b'\n', frame).map(|newline| newline + 1)
}

/// Walks over a list that is not finished.
pub struct ListWalk {
    decompressor: Decompressor,
    compressed: Vec<u8>,
    /// The content of the frame being read, and the number of the next; behind the last comes what
    /// is still in memory.
    content: Vec<u8>,
    next_frame: usize,
    /// The beginning of the next line in the frame, and the end of the frame.
    start: usize,
    end: usize,
}

impl ListWalk {
    pub fn new() -> Result<ListWalk> {
        Ok(ListWalk {
            decompressor: Decompressor::new()?,
            compressed: Vec::new(),
            content: Vec::new(),
            next_frame: 0,
            start: 0,
            end: 0,
        })
    }

    /// Gives the next line of `list`, without its newline; every call is given the same list and
    /// spool.
    pub fn line<S: Scratch>(
        &mut self,
        list: &ListWriter,
        spool: &Spool<'_, S>,
    ) -> Result<Option<&[u8]>> {
        let rest = self.rest(list, spool)?;
        let length = memchr(b'\n', rest).unwrap_or(rest.len());
        let is_end = rest.is_empty();
        self.start += length + 1;
        let line = self.content.get(self.start - 1 - length..self.start - 1);
        Ok(line.filter(|_| !is_end))
    }

    /// Gives the next record of `list`, which has `SIZE` bytes.
    pub fn record<const SIZE: usize, S: Scratch>(
        &mut self,
        list: &ListWriter,
        spool: &Spool<'_, S>,
    ) -> Result<Option<[u8; SIZE]>> {
        let record = self.rest(list, spool)?.first_chunk().copied();
        self.start += SIZE;
        Ok(record)
    }

    /// Gives what is left of the frame, or of the next one.
    fn rest<S: Scratch>(&mut self, list: &ListWriter, spool: &Spool<'_, S>) -> Result<&[u8]> {
        while self.start >= self.end {
            (self.start, self.end) = (0, 0);
            match list.frames.get(self.next_frame) {
                Some(spooled) => {
                    let bytes = sized(&mut self.compressed, spooled.length as usize)?;
                    spool.read(bytes, spooled.start)?;
                    self.end = spooled.content_size as usize;
                    self.decompressor
                        .decompress(bytes, sized(&mut self.content, self.end)?)?;
                }
                None if self.next_frame == list.frames.len() && !list.text.is_empty() => {
                    self.end = list.text.len();
                    sized(&mut self.content, self.end)?.copy_from_slice(&list.text);
                }
                None => break,
            }
            self.next_frame += 1;
        }
        Ok(self.content.get(self.start..self.end).unwrap_or_default())
    }
}
