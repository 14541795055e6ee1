//! Frames of licences that wait until their turn in a backup, with their lines for the lists.

use sha2::{Digest as _, Sha256};

use super::builder::{FrameLists, LicenseFrame};
use super::frames::{Compressor, Decompressor, Frame};
use super::index::{RECORD, Record};
use super::spool::{Scratch, Spool};
use super::tally::Tally;
use super::trailer::Entry;
use super::{Digest, Fault, Result};
use crate::buffer::sized;

pub struct WaitingFrames<'s, S> {
    spool: Spool<'s, S>,
    frames: Vec<Waiter>,
    compressor: Compressor,
    /// The digest of all lines of licences that are left out.
    restricted: Sha256,
}

/// The facts about a frame in the spool.
struct Waiter {
    start: u64,
    /// Bytes of the frame, and of its lists, compressed, behind it.
    length: usize,
    packed: usize,
    /// Bytes of the parts of its lists: sums, lines, restricted, states and keys.
    parts: [usize; 5],
    content_size: u32,
    digest: Digest,
    tally: Tally,
}

impl<'s, S: Scratch> WaitingFrames<'s, S> {
    /// Makes an empty queue of frames, which wait in the spool.
    pub fn new(spool: Spool<'s, S>) -> Result<WaitingFrames<'s, S>> {
        Ok(WaitingFrames {
            spool,
            frames: Vec::new(),
            compressor: Compressor::of_lists(None)?,
            restricted: Sha256::new(),
        })
    }

    /// Tells whether licences wait, not only lines of licences that are left out.
    pub fn has_licenses(&self) -> bool {
        self.frames.iter().any(|waiter| waiter.tally.licenses > 0)
    }

    /// Tells whether the licences that are left out are those of this member of another backup.
    pub fn restricts_as(&self, restricted: &Entry) -> bool {
        restricted.is_of(&self.restricted)
    }

    /// Takes a frame, and returns its memory.
    pub fn push(&mut self, licenses: LicenseFrame) -> Result<Vec<u8>> {
        let LicenseFrame { frame, listed } = licenses;
        self.restricted.update(&listed.restricted);
        let texts = [
            &listed.sums,
            &listed.lines,
            &listed.restricted,
            &listed.states,
        ];
        let [sums, lines, restricted, states] = texts.map(Vec::len);
        let keys = listed.keys.len() * RECORD;
        let parts = [sums, lines, restricted, states, keys];
        let mut all = Vec::new();
        all.try_reserve_exact(parts.iter().sum())?;
        texts.iter().for_each(|text| all.extend_from_slice(text));
        let records = listed.keys.iter();
        records.for_each(|record| all.extend_from_slice(&record.to_bytes()));
        let packed = self.compressor.pack(&all, Vec::new())?;
        self.frames.try_reserve(1)?;
        self.frames.push(Waiter {
            start: self.spool.append(&[&frame.bytes, &packed])?,
            length: frame.bytes.len(),
            packed: packed.len(),
            parts,
            content_size: frame.content_size,
            digest: frame.digest,
            tally: listed.tally,
        });
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
        let [sums, lines, restricted, states, keys] = waiter.parts;
        let mut listed = FrameLists {
            tally: waiter.tally,
            sums: next(sums)?,
            lines: next(lines)?,
            restricted: next(restricted)?,
            states: next(states)?,
            keys: Vec::new(),
        };
        let keys = next(keys)?;
        let (keys, _) = keys.as_chunks();
        listed.keys.try_reserve_exact(keys.len())?;
        listed
            .keys
            .extend(keys.iter().copied().map(Record::from_bytes));
        Ok(listed)
    }

    fn read(&self, start: u64, length: usize) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.spool.read(sized(&mut bytes, length)?, start)?;
        Ok(bytes)
    }
}
