//! Writes a backup, strictly front to back.
//!
//! The members that list the licences follow them, and grow while the licences are written.

use std::io::Write;
use std::{iter, mem};

use super::builder::{FrameLists, LicenseFrame};
use super::frames::{Compressor, Frame};
use super::index::{COUNT, RECORD, Record};
use super::index_writer::IndexWriter;
use super::list_writer::{ListWalk, ListWriter};
use super::output::Output;
use super::records::RestrictedLine;
use super::seek_table::Span;
use super::spool::{Scratch, Spool};
use super::state::{self, Noted, OlderVersion};
use super::tally::Tally;
use super::trailer::{Entry, FORMAT, Trailer, VERSION};
use super::{
    Digest, Fault, INDEX, LICENSES, RESTRICTED, Result, STATE, SUMS, index_frame, limits, lines,
};
use crate::random::{HashMap, HashSet};

pub struct Writer<'s, F, S> {
    file: Output<F>,
    spool: Spool<'s, S>,
    compressor: Compressor,
    sums: ListWriter,
    lines: ListWriter,
    restricted: ListWriter,
    index: IndexWriter,
    /// Where and when the states are noted, if they are.
    noted: Option<Noted>,
    states: ListWriter,
    older: ListWriter,
    tally: Tally,
}

/// What a backup says about itself besides its licences.
#[derive(Clone, Debug)]
pub struct Stamp {
    /// The time of creation by RFC 3339.
    pub created: String,
    pub id: [u8; 16],
    pub generation: u64,
    pub machine: Option<Digest>,
    /// What tells the recipients that it is encrypted to, if it is, from others.
    pub recipients: Option<Digest>,
}

/// The last finding about a licence that was read more than once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LastLook {
    Kept,
    Restricted,
}

impl<'s, F: Write, S: Scratch> Writer<'s, F, S> {
    /// Makes a writer. The lists wait in the spool. States are kept where it is `noted` from where
    /// they are.
    pub fn new(
        file: F,
        spool: Spool<'s, S>,
        compressor: Compressor,
        noted: Option<Noted>,
    ) -> Writer<'s, F, S> {
        Writer {
            file: Output::new(file),
            spool,
            compressor,
            sums: ListWriter::new(limits::SUMS_TARGET),
            lines: ListWriter::new(limits::LIST_TARGET),
            restricted: ListWriter::new(limits::LIST_TARGET),
            index: IndexWriter::default(),
            noted,
            states: ListWriter::new(limits::LIST_TARGET),
            older: ListWriter::new(limits::LIST_TARGET),
            tally: Tally::default(),
        }
    }

    /// Appends a frame of licences, and returns its memory.
    pub fn append(&mut self, licenses: LicenseFrame) -> Result<Vec<u8>> {
        let LicenseFrame { frame, listed } = licenses;
        if frame.content_size > 0 {
            self.file.append(&frame, listed.tally.licenses)?;
        }
        self.list(&listed)?;
        Ok(frame.bytes)
    }

    /// Gives the file that it writes to.
    pub fn file(&mut self) -> &mut F {
        self.file.file()
    }

    /// Takes in a frame that is already at the end of the file, and gives its number. The keys of
    /// its licences are to be [pushed](Self::push_key).
    pub fn adopt(&mut self, span: Span, digest: Digest, listed: &FrameLists) -> Result<u32> {
        self.file.adopt(
            span.length,
            span.content_size,
            digest,
            listed.tally.licenses,
        )?;
        self.list(listed)?;
        Ok(self.file.counts.len() as u32 - 1)
    }

    /// Takes in a key of a licence that is listed.
    pub fn push_key(&mut self, record: Record) -> Result<()> {
        self.index.push(record, &mut self.spool)
    }

    /// Notes that `frame` has an older version of a licence.
    pub fn supersede(&mut self, name: &str, size: u32, frame: u32) -> Result<()> {
        let name = name.into();
        let mut line = Vec::new();
        lines::push_json(&mut line, &OlderVersion { name, size, frame })?;
        self.older
            .append(&line, 1, &mut self.compressor, &mut self.spool)
    }

    /// Lists the licences of a frame.
    fn list(&mut self, listed: &FrameLists) -> Result<()> {
        let first = self.tally.licenses;
        self.tally.add(&listed.tally)?;
        let (compressor, spool) = (&mut self.compressor, &mut self.spool);
        for key in &listed.keys {
            let license = key.license + first;
            self.index.push(Record { license, ..*key }, spool)?;
        }
        let count = listed.tally.licenses;
        self.sums.append(&listed.sums, count, compressor, spool)?;
        self.lines.append(&listed.lines, count, compressor, spool)?;
        let restricted = listed.tally.restricted;
        self.restricted
            .append(&listed.restricted, restricted, compressor, spool)?;
        if self.noted.is_some() {
            self.states.append(&listed.states, 0, compressor, spool)?;
        }
        Ok(())
    }

    /// Gives the figures of the licences so far. Those that may be listed twice count only after the
    /// lists have been [settled](Self::keep_last).
    pub fn counts(&self) -> Tally {
        self.tally.settled()
    }

    /// Tells whether the lists so far are those of another backup.
    pub fn lists_as(&self, other: &Trailer) -> bool {
        let lists = [
            (SUMS, &self.sums),
            (LICENSES, &self.lines),
            (RESTRICTED, &self.restricted),
        ];
        let mut both = lists.iter().map(|(name, list)| (other.entry(name), list));
        both.all(|(entry, list)| entry.is_ok_and(|entry| list.is_as(entry)))
    }

    /// Counts the bytes that the file was given so far; some may wait in memory.
    pub fn written(&self) -> u64 {
        self.file.written()
    }

    /// Calls `visit` with the name of every licence that was appended, by reading the list of them
    /// again.
    pub fn kept_names<E: From<Fault>>(
        &self,
        mut visit: impl FnMut(&str) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut sums = ListWalk::new()?;
        while let Some(line) = sums.line(&self.sums, &self.spool)? {
            visit(lines::parse_sum(line)?.1)?;
        }
        Ok(())
    }

    /// Does the same with the names of licences that were left out.
    pub fn restricted_names<E: From<Fault>>(
        &self,
        mut visit: impl FnMut(&str) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut restricted = ListWalk::new()?;
        while let Some(line) = restricted.line(&self.restricted, &self.spool)? {
            visit(&lines::parse_json::<RestrictedLine>(line)?.name)?;
        }
        Ok(())
    }

    /// Does the same with both.
    pub fn names<E: From<Fault>>(
        &self,
        mut visit: impl FnMut(&str) -> Result<(), E>,
    ) -> Result<(), E> {
        self.kept_names(&mut visit)?;
        self.restricted_names(visit)
    }

    /// Drops from the lists all findings before the last look at each of these licences, which were
    /// read more than once. Gives those that were left out in the end, while a frame has them; then
    /// nothing is dropped.
    pub fn keep_last(&mut self, looks: &HashMap<String, LastLook>) -> Result<Vec<String>> {
        let mut left_out = Vec::new();
        self.tally.read_again = 0;
        let mut left = HashMap::default();
        left.try_reserve(looks.len())?;
        let mut sums = ListWalk::new()?;
        while let Some(line) = sums.line(&self.sums, &self.spool)? {
            let (_, name) = lines::parse_sum(line)?;
            match looks.get_key_value(name) {
                Some((name, LastLook::Restricted)) => {
                    left_out.try_reserve(1)?;
                    left_out.push(name.clone());
                }
                Some((name, LastLook::Kept)) => *left.entry(name.as_str()).or_insert(0_u32) += 1,
                None => {}
            }
        }
        if left_out.is_empty() {
            self.keep_last_listed(&mut left)?;
            self.keep_last_restricted(looks)?;
        }
        Ok(left_out)
    }

    /// Drops the lines, keys and states of a licence of which another is `left` to come.
    fn keep_last_listed(&mut self, left: &mut HashMap<&str, u32>) -> Result<()> {
        let old_sums = self.sums.take();
        let old_lines = self.lines.take();
        let old_states = self.states.take();
        let (mut sums, mut lines) = (ListWalk::new()?, ListWalk::new()?);
        let (mut states, mut dropped) = (ListWalk::new()?, Vec::new());
        let (mut whole, mut older) = (Vec::new(), Vec::new());
        let frames = self.file.counts.iter().zip(0_u32..);
        let frames = frames.flat_map(|(count, frame)| iter::repeat_n(frame, *count as usize));
        for (number, frame) in (0..).zip(frames) {
            let sum = sums.line(&old_sums, &self.spool)?.ok_or_else(ends)?;
            let line = lines.line(&old_lines, &self.spool)?.ok_or_else(ends)?;
            let state: Option<[u8; state::RECORD]> = states.record(&old_states, &self.spool)?;
            let (_, name) = lines::parse_sum(sum)?;
            let more = left.get_mut(name).filter(|left| **left > 1);
            if let Some(left) = more {
                *left -= 1;
                let size = lines::parse_license(line)?.size;
                self.tally.content_bytes -= size;
                older.try_reserve(1)?;
                older.push((name.to_owned(), size as u32, frame));
                dropped.try_reserve(1)?;
                dropped.push(number);
                continue;
            }
            let (compressor, spool) = (&mut self.compressor, &mut self.spool);
            for (list, line) in [(&mut self.sums, sum), (&mut self.lines, line)] {
                whole.clear();
                lines::push_line(&mut whole, line)?;
                list.append(&whole, 1, compressor, spool)?;
            }
            if let Some(state) = state {
                self.states.append(&state, 0, compressor, spool)?;
            }
        }
        self.index.drop_licenses(&dropped, &mut self.spool)?;
        self.tally.licenses -= dropped.len() as u32;
        for (name, size, frame) in older {
            if let Some(count) = self.file.counts.get_mut(frame as usize) {
                *count -= 1;
            }
            self.supersede(&name, size, frame)?;
        }
        Ok(())
    }

    /// Drops the lines of licences that were kept in the end, and of those left out all but one.
    fn keep_last_restricted(&mut self, looks: &HashMap<String, LastLook>) -> Result<()> {
        let (old, mut restricted) = (self.restricted.take(), ListWalk::new()?);
        let (mut listed, mut whole) = (HashSet::default(), Vec::new());
        self.tally.restricted = 0;
        while let Some(line) = restricted.line(&old, &self.spool)? {
            let of: RestrictedLine = lines::parse_json(line)?;
            let look = looks.get_key_value(of.name.as_ref());
            listed.try_reserve(1)?;
            let counts = match look {
                None => true,
                Some((_, LastLook::Kept)) => false,
                Some((name, LastLook::Restricted)) => listed.insert(name.as_str()),
            };
            if counts {
                self.tally.restricted += 1;
                whole.clear();
                lines::push_line(&mut whole, line)?;
                self.restricted
                    .append(&whole, 1, &mut self.compressor, &mut self.spool)?;
            }
        }
        Ok(())
    }

    /// Appends the lists, the index, the states and the trailer, and returns the file. Nothing is
    /// flushed or synced.
    pub fn finish(mut self, stamp: &Stamp) -> Result<F> {
        let counts = self.counts();
        let mut members = Vec::new();
        let (sums, lines) = (self.sums.take(), self.lines.take());
        members.push(self.finish_list(SUMS, sums)?);
        members.push(self.finish_list(LICENSES, lines)?);
        let restricted = self.restricted.take();
        members.push(self.finish_list(RESTRICTED, restricted)?);
        let (entry, index) = self.finish_index()?;
        members.push(entry);
        members.extend(self.finish_states()?);
        let Writer {
            mut file,
            mut compressor,
            ..
        } = self;
        members.push(file.frames(&mut compressor)?);
        let trailer = Trailer {
            format: FORMAT.into(),
            version: VERSION,
            created: stamp.created.clone(),
            id: lines::hex_text::<32>(&stamp.id),
            generation: stamp.generation,
            machine: stamp.machine.map(|machine| lines::hex_text::<64>(&machine)),
            recipients: stamp.recipients.map(|hash| lines::hex_text::<64>(&hash)),
            licenses: counts.licenses.into(),
            restricted: counts.restricted.into(),
            content_bytes: counts.content_bytes,
            members,
            index,
        };
        file.end(&trailer, &mut compressor)
    }

    fn finish_list(&mut self, name: &str, list: ListWriter) -> Result<Entry> {
        list.finish(name, &mut self.file, &mut self.compressor, &self.spool)
    }

    /// Appends the index. Gives the hint in the first record of each of its frames, too.
    fn finish_index(&mut self) -> Result<(Entry, Vec<u32>)> {
        const PER_FRAME: usize = limits::INDEX_TARGET / RECORD;
        let index = mem::take(&mut self.index);
        let counts = mem::take(&mut self.file.counts);
        let size = (counts.len() * COUNT + index.len() * RECORD) as u64;
        let mut starts = Vec::new();
        starts.try_reserve_exact(index.len().div_ceil(PER_FRAME))?;
        let mut records = Vec::new();
        records.try_reserve_exact(index.len().min(PER_FRAME))?;
        let mut sorted = index.into_sorted(&self.spool)?;
        let mut counts = counts.chunks(limits::INDEX_TARGET / COUNT);
        let (spool, compressor) = (&self.spool, &mut self.compressor);
        let next = |content: &mut Vec<u8>| {
            content.try_reserve(limits::INDEX_TARGET + super::members::BLOCK)?;
            if let Some(counts) = counts.next() {
                let counts = counts.iter();
                counts.for_each(|count| content.extend_from_slice(&count.to_le_bytes()));
                return Ok(());
            }
            records.clear();
            while records.len() < PER_FRAME
                && let Some(record) = sorted.next(spool)?
            {
                records.push(record);
            }
            starts.extend(records.first().map(|first| first.hint));
            index_frame::push(content, &records)
        };
        let pack = |content: &[u8]| -> Result<Frame> { compressor.compress(content) };
        let entry = self.file.member(INDEX, size, next, pack)?;
        Ok((entry, starts))
    }

    /// Appends the states, if they are noted.
    fn finish_states(&mut self) -> Result<Option<Entry>> {
        let Some(noted) = self.noted.take() else {
            return Ok(None);
        };
        let (mut states, older) = (self.states.take(), self.older.take());
        let (mut line, mut walk) = (Vec::new(), ListWalk::new()?);
        lines::push_json(&mut line, &noted)?;
        states.append(&line, 0, &mut self.compressor, &mut self.spool)?;
        while let Some(older) = walk.line(&older, &self.spool)? {
            line.clear();
            lines::push_line(&mut line, older)?;
            states.append(&line, 0, &mut self.compressor, &mut self.spool)?;
        }
        self.finish_list(STATE, states).map(Some)
    }
}

fn ends() -> Fault {
    Fault::damaged("a list ends too early")
}
