//! Frames of licences that wait in a file until their turn in a backup, with their lines for the
//! lists: memory holds little more of each than its digest.

use std::io::Write;

use super::builder::{FrameLists, LicenseFrame};
use super::frames::{Compressor, Decompressor, Frame};
use super::index::{RECORD, Record};
use super::{Digest, Fault, ReadAt, Result};
use crate::buffer::sized;

/// A file for waiting data.
pub trait Scratch: Write + ReadAt {
    /// Gives back the room of data that is not read any more, where that is possible.
    fn release(&self, start: u64, length: u64);
}

pub struct FrameSpool<S> {
    spool: S,
    size: u64,
    frames: Vec<Waiter>,
    compressor: Compressor,
}

/// The facts about a frame in the spool.
struct Waiter {
    start: u64,
    /// Bytes of the frame, and of its lists, compressed, behind it.
    length: usize,
    packed: usize,
    /// Bytes of the parts of its lists: sums, lines, restricted, states and records.
    parts: [usize; 5],
    content_size: u32,
    digest: Digest,
    restricted_count: u64,
    content_bytes: u64,
    read_again: u64,
}

impl<S: Scratch> FrameSpool<S> {
    /// Makes a spool in the file `spool`, which is empty.
    pub fn new(spool: S) -> Result<FrameSpool<S>> {
        Ok(FrameSpool {
            spool,
            size: 0,
            frames: Vec::new(),
            compressor: Compressor::of_lists(None)?,
        })
    }

    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Tells whether licences wait, or are left out, and not only states of files.
    pub fn has_licenses(&self) -> bool {
        let mut frames = self.frames.iter();
        frames.any(|waiter| waiter.content_size > 0 || waiter.restricted_count > 0)
    }

    /// Takes a frame, and returns its memory.
    pub fn push(&mut self, licenses: LicenseFrame) -> Result<Vec<u8>> {
        let LicenseFrame { frame, listed } = licenses;
        let texts = [
            &listed.sums,
            &listed.lines,
            &listed.restricted,
            &listed.states,
        ];
        let [sums, lines, restricted, states] = texts.map(Vec::len);
        let parts = [
            sums,
            lines,
            restricted,
            states,
            listed.records.len() * RECORD,
        ];
        let mut all = Vec::new();
        all.try_reserve_exact(parts.iter().sum())?;
        texts.iter().for_each(|text| all.extend_from_slice(text));
        let records = listed.records.iter();
        records.for_each(|record| all.extend_from_slice(&record.to_bytes()));
        let packed = self.compressor.pack(&all, Vec::new())?;
        self.spool.write_all(&frame.bytes)?;
        self.spool.write_all(&packed)?;
        self.frames.try_reserve(1)?;
        self.frames.push(Waiter {
            start: self.size,
            length: frame.bytes.len(),
            packed: packed.len(),
            parts,
            content_size: frame.content_size,
            digest: frame.digest,
            restricted_count: listed.restricted_count,
            content_bytes: listed.content_bytes,
            read_again: listed.read_again,
        });
        self.size += (frame.bytes.len() + packed.len()) as u64;
        Ok(frame.bytes)
    }

    /// Gives `take` each frame, in the order in which they came.
    pub fn give_to<E: From<Fault>>(
        self,
        mut take: impl FnMut(LicenseFrame) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut decompressor = Decompressor::new()?;
        for waiter in &self.frames {
            let frame = Frame {
                bytes: self.read(waiter.start, waiter.length)?,
                content_size: waiter.content_size,
                digest: waiter.digest,
            };
            let listed = self.listed(waiter, &mut decompressor)?;
            // Without this the frame would take twice the room, here and where it is written now.
            let length = waiter.length + waiter.packed;
            self.spool.release(waiter.start, length as u64);
            take(LicenseFrame { frame, listed })?;
        }
        Ok(())
    }

    fn listed(&self, waiter: &Waiter, decompressor: &mut Decompressor) -> Result<FrameLists> {
        let packed = self.read(waiter.start + waiter.length as u64, waiter.packed)?;
        let mut all = Vec::new();
        let all = sized(&mut all, waiter.parts.iter().sum())?;
        decompressor.decompress(&packed, all)?;
        let mut rest = &*all;
        let mut next = |length| {
            let mut part = Vec::new();
            let (bytes, behind) = rest.split_at_checked(length).unwrap_or_default();
            part.try_reserve_exact(length)?;
            part.extend_from_slice(bytes);
            rest = behind;
            Ok::<_, Fault>(part)
        };
        let [sums, lines, restricted, states, records] = waiter.parts;
        let mut listed = FrameLists {
            sums: next(sums)?,
            lines: next(lines)?,
            restricted: next(restricted)?,
            states: next(states)?,
            records: Vec::new(),
            restricted_count: waiter.restricted_count,
            content_bytes: waiter.content_bytes,
            read_again: waiter.read_again,
        };
        let records = next(records)?;
        let (records, _) = records.as_chunks();
        listed.records.try_reserve_exact(records.len())?;
        listed
            .records
            .extend(records.iter().map(Record::from_bytes));
        Ok(listed)
    }

    fn read(&self, start: u64, length: usize) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.spool
            .read_exact_at(sized(&mut bytes, length)?, start)?;
        Ok(bytes)
    }
}
