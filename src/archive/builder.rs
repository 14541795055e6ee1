//! Builds a frame of licences: members in one buffer, with their lines and records.

use std::iter;
use std::ops::Range;

use super::frames::{Compressor, Frame};
use super::index::{KeyIds, Record};
use super::lines::{hex, push_json, push_license, push_line, push_sum, time};
use super::records::{LicenseLine, RestrictedLine};
use super::state::{self, Proof, State};
use super::tally::Tally;
use super::{Digest, FOLDER, Fault, Result, limits, members, parameters};
use crate::buffer::sized;
use crate::digest;
use crate::license::{self, Statement};

/// A finished frame of licences.
#[derive(Debug)]
pub struct LicenseFrame {
    pub frame: Frame,
    pub listed: FrameLists,
}

/// The lines of the lists for the licences in a frame, and for those left out of it.
#[derive(Debug, Default)]
pub struct FrameLists {
    pub tally: Tally,
    pub sums: Vec<u8>,
    pub lines: Vec<u8>,
    pub restricted: Vec<u8>,
    /// The states of the licences.
    pub states: Vec<u8>,
    /// The records for the index; they count from the frame's first licence.
    pub keys: Vec<Record>,
}

impl FrameLists {
    /// Takes a licence in whose digest is still to be [set](Self::set_digest), and gives the place
    /// of its line in the sums.
    fn push(&mut self, line: &LicenseLine, proof: Option<Proof>) -> Result<usize> {
        let place = self.sums.len();
        self.sums.try_reserve(line_size([line.name.as_ref()]))?;
        let others = line.other_key_ids.iter().map(AsRef::as_ref);
        let texts = [line.name.as_ref(), &line.key_id].into_iter().chain(others);
        self.lines.try_reserve(line_size(texts))?;
        push_sum(&mut self.sums, &Digest::default(), &line.name);
        push_license(&mut self.lines, line)?;
        self.push_state(proof, line.size)?;
        Ok(place)
    }

    fn push_state(&mut self, proof: Option<Proof>, size: u64) -> Result<()> {
        let state = State {
            proof,
            size: size as u32,
        };
        self.states.try_reserve(state::RECORD)?;
        self.states.extend_from_slice(&state.to_bytes());
        self.tally.licenses += 1;
        self.tally.content_bytes += size;
        Ok(())
    }

    /// Sets the digest in the line of the sums at `place`.
    fn set_digest(&mut self, place: usize, digest: &Digest) {
        let line = self.sums.get_mut(place..);
        if let Some(digits) = line.and_then(|line| line.first_chunk_mut()) {
            *digits = hex::<{ 2 * size_of::<Digest>() }>(digest);
        }
    }

    /// Makes empty lists with room for as many licences as are in these: frame after frame has
    /// about as many.
    fn next(&self) -> Result<FrameLists> {
        let mut next = FrameLists::default();
        next.sums.try_reserve(self.sums.len())?;
        next.lines.try_reserve(self.lines.len())?;
        next.states.try_reserve(self.states.len())?;
        Ok(next)
    }

    /// Takes a licence in by its lines in the lists of another backup.
    pub fn take_over(
        &mut self,
        sum: &[u8],
        line: &[u8],
        proof: Option<Proof>,
        size: u64,
    ) -> Result<()> {
        push_line(&mut self.sums, sum)?;
        push_line(&mut self.lines, line)?;
        self.push_state(proof, size)
    }

    /// Empties the lists, and keeps their memory.
    pub fn clear(&mut self) {
        self.sums.clear();
        self.lines.clear();
        self.restricted.clear();
        self.states.clear();
        self.keys.clear();
        self.tally = Tally::default();
    }

    /// Notes that a licence is left out.
    fn restrict(&mut self, line: &RestrictedLine) -> Result<()> {
        self.tally.restricted += 1;
        self.restricted
            .try_reserve(line_size([line.name.as_ref(), &line.key_id]))?;
        push_json(&mut self.restricted, line)
    }
}

/// A licence that is being read into the frame.
struct Pending {
    start: usize,
    content: usize,
    /// Bytes of the content: the number announced, until it has been read.
    size: usize,
    /// The time of modification in whole seconds since 1970 UTC, as tar has it.
    modified: u64,
}

/// Builds frames, one after the other, in the same memory.
pub struct FrameBuilder {
    /// The members, in a buffer that never shrinks, so that it is zeroed only once; `used` bytes
    /// count.
    members: Vec<u8>,
    used: usize,
    pending: Option<Pending>,
    listed: FrameLists,
    key_ids: KeyIds,
    /// The places of the contents of listed licences, and of their lines in the sums.
    contents: Vec<(Range<usize>, usize)>,
}

impl FrameBuilder {
    pub fn new() -> Result<FrameBuilder> {
        let mut members = Vec::new();
        sized(&mut members, limits::FRAME_TARGET)?;
        Ok(FrameBuilder {
            members,
            used: 0,
            pending: None,
            listed: FrameLists::default(),
            key_ids: KeyIds::default(),
            contents: Vec::new(),
        })
    }

    /// Tells whether there is nothing to make a frame of, nor anything to tell.
    pub fn is_empty(&self) -> bool {
        self.listed.tally.licenses == 0 && self.listed.tally.restricted == 0
    }

    /// Tells whether the frame is better closed before a licence of `size` bytes.
    pub fn is_full(&self, size: u64) -> bool {
        self.used > 0 && self.used as u64 + size > limits::FRAME_TARGET as u64
    }

    /// Begins the licence `name`, and gives the buffer for its content, which has one byte more
    /// than the `size` announced. Then [`end`](Self::end) is to be called, and [`keep`](Self::keep)
    /// or [`restrict`](Self::restrict). Without these the licence is forgotten.
    pub fn begin(&mut self, name: &str, size: u64, modified: i64) -> Result<&mut [u8]> {
        if size > license::SIZE_MAX {
            return Err(Fault::damaged("a licence is too large"));
        }
        let (start, size) = (self.used, size as usize);
        let content = start + members::header_length(&path(name));
        let buffer = sized(
            &mut self.members,
            content + members::padded(size as u64 + 1) as usize,
        )?;
        self.pending = Some(Pending {
            start,
            content,
            size,
            modified: seconds(modified),
        });
        buffer
            .get_mut(content..=content + size)
            .ok_or(Fault::OutOfMemory)
    }

    /// Takes the first `size` bytes of the buffer as the content of the licence: as many as were
    /// announced, or fewer. It was `modified` then.
    pub fn end(&mut self, size: usize, modified: i64) -> Result<()> {
        let Some(pending) = &mut self.pending else {
            return Ok(());
        };
        if size > pending.size {
            return Err(Fault::damaged("a licence is larger than announced"));
        }
        (pending.size, pending.modified) = (size, seconds(modified));
        Ok(())
    }

    /// Gives the content that was read since [`begin`](Self::begin).
    pub fn content(&self) -> &[u8] {
        let pending = self.pending.as_ref();
        pending
            .and_then(|p| self.members.get(p.content..p.content + p.size))
            .unwrap_or_default()
    }

    /// Takes the licence into the frame; `proof` is that of its file, if it can be relied on.
    pub fn keep(
        &mut self,
        name: &str,
        modified: i64,
        statement: &Statement,
        proof: Option<Proof>,
    ) -> Result<()> {
        let Some(pending) = self.pending.take() else {
            return Ok(());
        };
        let Pending { content, size, .. } = pending;
        let end = content + members::padded(size as u64) as usize;
        let header = members::header(&path(name), size as u64, pending.modified);
        let head = self.members.get_mut(pending.start..content);
        head.ok_or(Fault::OutOfMemory)?.copy_from_slice(&header);
        let padding = self.members.get_mut(content + size..end);
        padding.ok_or(Fault::OutOfMemory)?.fill(0);
        let line = LicenseLine {
            name: name.into(),
            key_id: statement.key_id.as_str().into(),
            format: statement.format.word().into(),
            right: statement.right.word().into(),
            size: size as u64,
            modified: time(modified),
            other_key_ids: statement
                .other_key_ids
                .iter()
                .map(|other| other.as_str().into())
                .collect(),
        };
        self.contents.try_reserve(1)?;
        self.key_ids.push(self.listed.tally.licenses, &line)?;
        let place = self.listed.push(&line, proof)?;
        self.contents.push((content..content + size, place));
        self.used = end;
        Ok(())
    }

    /// Notes that the licence that was kept last may also be in an earlier frame.
    pub fn note_read_again(&mut self) {
        self.listed.tally.read_again += 1;
    }

    /// Forgets the licence, which another frame has as it is.
    pub fn forget(&mut self) {
        self.pending = None;
    }

    /// Leaves the licence out, and notes that its issuer denies backup.
    pub fn restrict(&mut self, name: &str, statement: &Statement) -> Result<()> {
        self.pending = None;
        self.listed.restrict(&RestrictedLine {
            name: name.into(),
            key_id: statement.key_id.as_str().into(),
            format: statement.format.word().into(),
        })
    }

    /// Closes the frame, using the memory of `buffer` for its bytes, and begins the next.
    pub fn close(&mut self, compressor: &mut Compressor, buffer: Vec<u8>) -> Result<LicenseFrame> {
        self.pending = None;
        let members = self.members.get(..self.used).unwrap_or_default();
        let are_small = self.used <= parameters::SMALL * self.contents.len();
        compressor.suit(match are_small {
            true => &parameters::SMALL_LICENSES,
            false => &parameters::LICENSES,
        })?;
        let bytes = compressor.pack(members, buffer)?;
        // All digests are computed at once, which is faster than one by one.
        let contents = self.contents.iter();
        let contents =
            contents.map(|(content, _)| members.get(content.clone()).unwrap_or_default());
        let mut digest = Digest::default();
        digest::each(
            iter::once(bytes.as_slice()).chain(contents),
            |number, new| match number.checked_sub(1) {
                None => digest = new,
                Some(license) => {
                    let (_, place) = self.contents.get(license).cloned().unwrap_or_default();
                    self.listed.set_digest(place, &new);
                }
            },
        );
        self.contents.clear();
        self.listed.keys = self.key_ids.records()?;
        let frame = Frame::new(bytes, members, digest)?;
        self.used = 0;
        let next = self.listed.next()?;
        Ok(LicenseFrame {
            frame,
            listed: std::mem::replace(&mut self.listed, next),
        })
    }
}

/// Gives the whole seconds of a time, within what eleven octal digits hold.
fn seconds(modified: i64) -> u64 {
    modified
        .div_euclid(1_000_000_000)
        .clamp(0, limits::TIME_MAX) as u64
}

fn path(name: &str) -> String {
    [FOLDER, name].concat()
}

/// Gives the room for a line: the part that every licence has, and its texts with each character
/// escaped and quoted.
fn line_size<'t>(texts: impl IntoIterator<Item = &'t str>) -> usize {
    let texts = texts.into_iter().map(|text| 2 * text.len() + 3);
    256 + texts.sum::<usize>()
}
