//! Frames of licences that wait in a file until their place in a backup comes, and all that is listed of them
//! with them: memory holds little more of each than its digest.

use std::io::Write;

use super::builder::{LicenseFrame, Listed};
use super::frames::Frame;
use super::index::{RECORD, Record};
use super::{Digest, Fault, ReadAt, Result};
use crate::buffer::sized;

pub struct Waiting<S> {
    spool: S,
    size: u64,
    frames: Vec<Spooled>,
}

/// What is known of a frame besides what is in the spool.
struct Spooled {
    start: u64,
    /// Of its parts, one behind the other: the frame's bytes, and of [`Listed`] the sums, lines, restricted,
    /// states and records.
    lengths: [usize; 6],
    content_size: u32,
    digest: Digest,
    restricted_count: u64,
    content_bytes: u64,
}

impl<S: Write + ReadAt> Waiting<S> {
    /// `spool` is empty.
    pub fn new(spool: S) -> Waiting<S> {
        Waiting {
            spool,
            size: 0,
            frames: Vec::new(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Takes a frame, and returns its memory.
    pub fn push(&mut self, licenses: LicenseFrame) -> Result<Vec<u8>> {
        let LicenseFrame { frame, listed } = licenses;
        let mut records = Vec::new();
        records.try_reserve_exact(listed.records.len() * RECORD)?;
        let each = listed.records.iter();
        each.for_each(|record| records.extend_from_slice(&record.to_bytes()));
        let parts = [
            &frame.bytes,
            &listed.sums,
            &listed.lines,
            &listed.restricted,
            &listed.states,
            &records,
        ];
        self.frames.try_reserve(1)?;
        self.frames.push(Spooled {
            start: self.size,
            lengths: parts.map(Vec::len),
            content_size: frame.content_size,
            digest: frame.digest,
            restricted_count: listed.restricted_count,
            content_bytes: listed.content_bytes,
        });
        for part in parts {
            self.spool.write_all(part)?;
            self.size += part.len() as u64;
        }
        Ok(frame.bytes)
    }

    /// Gives `take` each frame, in the order in which they came.
    pub fn each<E: From<Fault>>(
        &self,
        mut take: impl FnMut(LicenseFrame) -> Result<(), E>,
    ) -> Result<(), E> {
        self.frames
            .iter()
            .try_for_each(|frame| take(self.read(frame)?))
    }

    fn read(&self, frame: &Spooled) -> Result<LicenseFrame> {
        let mut at = frame.start;
        let mut parts = [const { Vec::new() }; 6];
        for (part, length) in parts.iter_mut().zip(frame.lengths) {
            self.spool.read_exact_at(sized(part, length)?, at)?;
            at += length as u64;
        }
        let [bytes, sums, lines, restricted, states, as_bytes] = parts;
        let mut records = Vec::new();
        let (each, _) = as_bytes.as_chunks();
        records.try_reserve_exact(each.len())?;
        records.extend(each.iter().map(Record::from_bytes));
        Ok(LicenseFrame {
            frame: Frame {
                bytes,
                content_size: frame.content_size,
                digest: frame.digest,
            },
            listed: Listed {
                sums,
                lines,
                restricted,
                states,
                records,
                restricted_count: frame.restricted_count,
                content_bytes: frame.content_bytes,
            },
        })
    }
}
