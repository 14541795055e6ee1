//! Writes a backup, strictly front to back.
//!
//! The members that list the licences follow them, and grow while the licences are written; their
//! finished frames wait in a second file, the spool, so that memory holds one unfinished frame of
//! each and a record for every licence.

use std::io::Write;

use memchr::memchr;
use sha2::{Digest as _, Sha256};

use super::builder::{FrameLists, LicenseFrame};
use super::frames::{Compressor, Decompressor, Frame, SeekTable, Span};
use super::index::{RECORD, Record};
use super::records::{NotedOrigin, RestrictedLine, StateLine};
use super::trailer::{Entry, FORMAT, Trailer, VERSION};
use super::{
    Digest, FRAMES, Fault, INDEX, LICENSES, RESTRICTED, ReadAt, Result, STATE, SUMS, TRAILER,
    limits, lines, members,
};
use crate::buffer::sized;
use crate::random::{HashMap, HashSet};

pub struct Writer<'s, F, S> {
    file: Output<F>,
    spool: Spool<'s, S>,
    compressor: Compressor,
    sums: ListWriter,
    lines: ListWriter,
    restricted: ListWriter,
    states: ListWriter,
    records: Vec<Record>,
    restricted_count: u64,
    content_bytes: u64,
    /// The number of licences that may be listed twice.
    read_again: u64,
    /// The trailer of another backup whose lists are taken over whole.
    same_as: Option<Trailer>,
}

/// The last finding about a licence that was read more than once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LastLook {
    Kept,
    Restricted,
}

/// The figures of the licences written so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// The number of licences. Those that may be listed twice count only after the lists have been
    /// [settled](Writer::keep_last).
    pub licenses: u64,
    pub restricted: u64,
    pub content_bytes: u64,
}

impl<'s, F: Write, S: Write + ReadAt> Writer<'s, F, S> {
    /// Makes a writer; `spool` is called for an empty file when the lists outgrow memory.
    pub fn new(
        file: F,
        spool: impl FnOnce() -> Result<S> + 's,
        compressor: Compressor,
    ) -> Writer<'s, F, S> {
        Writer {
            file: Output {
                out: file,
                table: SeekTable::default(),
                digests: Vec::new(),
            },
            spool: Spool {
                make: Some(Box::new(spool)),
                file: None,
                size: 0,
            },
            compressor,
            sums: ListWriter::default(),
            lines: ListWriter::default(),
            restricted: ListWriter::default(),
            states: ListWriter::default(),
            records: Vec::new(),
            restricted_count: 0,
            content_bytes: 0,
            read_again: 0,
            same_as: None,
        }
    }

    /// Notes where and when the states were noted, before any state comes.
    pub fn note_origin(&mut self, origin: &NotedOrigin) -> Result<()> {
        let mut line = Vec::new();
        lines::push_json(&mut line, origin)?;
        self.take_over_states(&line)
    }

    /// Takes in lines of `state.jsonl` as they are.
    pub fn take_over_states(&mut self, lines: &[u8]) -> Result<()> {
        self.states
            .append(lines, &mut self.compressor, &mut self.spool)
    }

    /// Appends a frame of licences, and returns its memory.
    pub fn append(&mut self, licenses: LicenseFrame) -> Result<Vec<u8>> {
        let start = self.file.position();
        if licenses.frame.content_size > 0 {
            self.file.append(&licenses.frame)?;
        }
        self.list(start, &licenses.listed)?;
        Ok(licenses.frame.bytes)
    }

    /// Takes in a frame that is already at the end of the file, and gives its number.
    pub fn adopt(&mut self, span: Span, digest: Digest, listed: &FrameLists) -> Result<u32> {
        let start = self.file.position();
        self.file.adopt(span.length, span.content_size, digest)?;
        self.list(start, listed)?;
        Ok(self.file.digests.len() as u32 - 1)
    }

    /// Notes that the file is the same as another backup, which has `trailer`, up to the member
    /// `frames`.
    pub fn adopt_all(
        &mut self,
        frames: impl Iterator<Item = (Span, Digest)>,
        trailer: &Trailer,
    ) -> Result<()> {
        for (span, digest) in frames {
            self.file.adopt(span.length, span.content_size, digest)?;
        }
        self.same_as = Some(trailer.try_clone()?);
        Ok(())
    }

    /// Notes that `frame` has an older version of a licence.
    pub fn supersede(&mut self, name: &str, size: u64, frame: u32) -> Result<()> {
        let mut line = Vec::new();
        lines::push_json(&mut line, &StateLine::superseded(name, size, frame))?;
        self.take_over_states(&line)
    }

    /// Lists the licences of a frame whose content starts at `start`.
    fn list(&mut self, start: u64, licenses: &FrameLists) -> Result<()> {
        self.records.try_reserve(licenses.records.len())?;
        let (sums, lines) = (self.sums.size, self.lines.size);
        self.records
            .extend(licenses.records.iter().map(|record| Record {
                key: record.key,
                member: record.member + start,
                sum: record.sum + sums,
                line: record.line + lines,
            }));
        self.sums
            .append(&licenses.sums, &mut self.compressor, &mut self.spool)?;
        self.lines
            .append(&licenses.lines, &mut self.compressor, &mut self.spool)?;
        self.restricted
            .append(&licenses.restricted, &mut self.compressor, &mut self.spool)?;
        self.take_over_states(&licenses.states)?;
        self.restricted_count += licenses.restricted_count;
        self.content_bytes += licenses.content_bytes;
        self.read_again += licenses.read_again;
        Ok(())
    }

    pub fn counts(&self) -> Counts {
        if let Some(other) = &self.same_as {
            return Counts {
                licenses: other.licenses,
                restricted: other.restricted,
                content_bytes: other.content_bytes,
            };
        }
        Counts {
            licenses: (self.records.len() as u64).saturating_sub(self.read_again),
            restricted: self.restricted_count,
            content_bytes: self.content_bytes,
        }
    }

    /// Counts the bytes that the file was given so far; some may wait in memory.
    pub fn written(&self) -> u64 {
        self.file.written()
    }

    /// Calls `visit` with the name of every licence that was appended, by reading the list of them
    /// again.
    pub fn kept_names(&self, mut visit: impl FnMut(&str) -> Result<()>) -> Result<()> {
        let mut sums = ListLines::new()?;
        while let Some(line) = sums.next(&self.sums, &self.spool)? {
            visit(lines::parse_sum(line)?.1)?;
        }
        Ok(())
    }

    /// Calls `visit` with the name of every licence that was appended or left out, by reading the
    /// lists of them again.
    pub fn names(&self, mut visit: impl FnMut(&str) -> Result<()>) -> Result<()> {
        self.kept_names(&mut visit)?;
        let mut restricted = ListLines::new()?;
        while let Some(line) = restricted.next(&self.restricted, &self.spool)? {
            visit(&lines::parse_json::<RestrictedLine>(line)?.name)?;
        }
        Ok(())
    }

    /// Drops from the lists all findings before the last look at each of these licences, which were
    /// read more than once. Gives the first that was left out in the end, while a frame has it.
    pub fn keep_last(&mut self, looks: &HashMap<String, LastLook>) -> Result<Option<String>> {
        self.read_again = 0;
        let mut left = HashMap::default();
        left.try_reserve(looks.len())?;
        let mut sums = ListLines::new()?;
        while let Some(line) = sums.next(&self.sums, &self.spool)? {
            let (_, name) = lines::parse_sum(line)?;
            match looks.get_key_value(name) {
                Some((name, LastLook::Restricted)) => return Ok(Some(name.clone())),
                Some((name, LastLook::Kept)) => *left.entry(name.as_str()).or_insert(0_u32) += 1,
                None => {}
            }
        }
        self.keep_last_listed(&mut left)?;
        self.keep_last_restricted(looks)?;
        // The version that a state belongs to can't be told: such licences are read again.
        let (old, mut states) = (std::mem::take(&mut self.states), ListLines::new()?);
        while let Some(line) = states.next(&old, &self.spool)? {
            let of = lines::parse_state(line).ok();
            let of = of.filter(|line| line.superseded_in.is_none());
            if of.is_none_or(|line| !looks.contains_key(line.name.as_ref())) {
                self.states
                    .append_line(line, &mut self.compressor, &mut self.spool)?;
            }
        }
        Ok(None)
    }

    /// Drops the lines of a licence of which another is `left` to come.
    fn keep_last_listed(&mut self, left: &mut HashMap<&str, u32>) -> Result<()> {
        let (old_sums, old_lines) = (
            std::mem::take(&mut self.sums),
            std::mem::take(&mut self.lines),
        );
        let mut records = std::mem::take(&mut self.records);
        let (mut sums, mut lines, mut superseded) =
            (ListLines::new()?, ListLines::new()?, Vec::new());
        let mut number = 0;
        let ends = || Fault::damaged("a list ends too early");
        while let Some(sum) = sums.next(&old_sums, &self.spool)? {
            let line = lines.next(&old_lines, &self.spool)?.ok_or_else(ends)?;
            let record: &mut Record = records.get_mut(number).ok_or_else(ends)?;
            number += 1;
            let (_, name) = lines::parse_sum(sum)?;
            let more = left.get_mut(name).filter(|left| **left > 1);
            if let Some(left) = more {
                *left -= 1;
                let size = lines::parse_license(line)?.size;
                let frame = self.file.table.frame_at(record.member)?;
                superseded.try_reserve(1)?;
                superseded.push((name.to_owned(), size, frame as u32));
                self.content_bytes -= size;
                // No licence has its member there.
                record.member = u64::MAX;
                continue;
            }
            (record.sum, record.line) = (self.sums.size, self.lines.size);
            let (compressor, spool) = (&mut self.compressor, &mut self.spool);
            self.sums.append_line(sum, compressor, spool)?;
            self.lines.append_line(line, compressor, spool)?;
        }
        records.retain(|record| record.member != u64::MAX);
        self.records = records;
        for (name, size, frame) in superseded {
            self.supersede(&name, size, frame)?;
        }
        Ok(())
    }

    /// Drops the lines of licences that were kept in the end, and of those left out all but one.
    fn keep_last_restricted(&mut self, looks: &HashMap<String, LastLook>) -> Result<()> {
        let (old, mut restricted) = (std::mem::take(&mut self.restricted), ListLines::new()?);
        let mut listed = HashSet::default();
        self.restricted_count = 0;
        while let Some(line) = restricted.next(&old, &self.spool)? {
            let of: RestrictedLine = lines::parse_json(line)?;
            let look = looks.get_key_value(of.name.as_ref());
            listed.try_reserve(1)?;
            let counts = match look {
                None => true,
                Some((_, LastLook::Kept)) => false,
                Some((name, LastLook::Restricted)) => listed.insert(name.as_str()),
            };
            if counts {
                self.restricted_count += 1;
                self.restricted
                    .append_line(line, &mut self.compressor, &mut self.spool)?;
            }
        }
        Ok(())
    }

    /// Appends the lists, the index and the trailer, and returns the size of the file. Nothing is
    /// synced.
    pub fn finish(self, created: String) -> Result<u64> {
        let counts = self.counts();
        let Writer {
            mut file,
            mut spool,
            mut compressor,
            sums,
            lines,
            restricted,
            states,
            mut records,
            same_as,
            ..
        } = self;
        if let Some(mut other) = same_as {
            other.members.retain(|entry| entry.name != FRAMES);
            other.members.push(file.frames(&mut compressor)?);
            other.created = created;
            return file.end(&other, &mut compressor);
        }
        let sums = sums.finish(SUMS, &mut file, &mut compressor, &mut spool)?;
        let lines = lines.finish(LICENSES, &mut file, &mut compressor, &mut spool)?;
        let restricted = restricted.finish(RESTRICTED, &mut file, &mut compressor, &mut spool)?;
        for record in &mut records {
            record.sum += sums.content();
            record.line += lines.content();
        }
        records.sort_unstable();
        let per_frame = limits::INDEX_TARGET / RECORD;
        let first = records.chunks(per_frame).filter_map(<[Record]>::first);
        let mut index_starts = Vec::new();
        index_starts.try_reserve_exact(records.len().div_ceil(per_frame))?;
        index_starts
            .extend(first.map(|record| text(&lines::hex::<{ 2 * RECORD }>(&record.to_bytes()))));
        let frames = records
            .chunks(per_frame)
            .map(|chunk| chunk.iter().map(|record| record.to_bytes()));
        let size = (records.len() * RECORD) as u64;
        let index = file.member(INDEX, size, frames, |content| compressor.compress(content))?;
        drop(records);
        let states = match states.size {
            0 => None,
            _ => Some(states.finish(STATE, &mut file, &mut compressor, &mut spool)?),
        };
        drop(spool);
        let frames = file.frames(&mut compressor)?;
        let trailer = Trailer {
            format: FORMAT.into(),
            version: VERSION,
            created,
            licenses: counts.licenses,
            restricted: counts.restricted,
            content_bytes: counts.content_bytes,
            members: [sums, lines, restricted, index]
                .into_iter()
                .chain(states)
                .chain([frames])
                .collect(),
            index: index_starts,
        };
        file.end(&trailer, &mut compressor)
    }
}

/// The file and the facts about its frames.
struct Output<F> {
    out: F,
    table: SeekTable,
    digests: Vec<Digest>,
}

impl<F: Write> Output<F> {
    /// Gives the place in the decompressed stream that is reached.
    fn position(&self) -> u64 {
        self.table.content_size()
    }

    fn written(&self) -> u64 {
        self.table.end()
    }

    fn append(&mut self, frame: &Frame) -> Result<()> {
        self.append_bytes(&frame.bytes, frame.content_size, frame.digest)
    }

    fn append_bytes(&mut self, bytes: &[u8], content_size: u32, digest: Digest) -> Result<()> {
        self.adopt(bytes.len() as u32, content_size, digest)?;
        Ok(self.out.write_all(bytes)?)
    }

    /// Takes the next frame in, whose bytes are in the file or will be.
    fn adopt(&mut self, length: u32, content_size: u32, digest: Digest) -> Result<()> {
        self.digests.try_reserve(1)?;
        self.table.push(length, content_size)?;
        self.digests.push(digest);
        Ok(())
    }

    /// Appends a whole member whose content comes in `frames`, each of them as records.
    fn member<const SIZE: usize, I: Iterator<Item = [u8; SIZE]>>(
        &mut self,
        name: &str,
        size: u64,
        frames: impl Iterator<Item = I>,
        mut pack: impl FnMut(&[u8]) -> Result<Frame>,
    ) -> Result<Entry> {
        let offset = self.position();
        let (mut sha256, mut left) = (Sha256::new(), size);
        let mut content = members::header(name, checked(size)?, 0).into_owned();
        for frame in frames {
            let start = content.len();
            content.try_reserve(limits::LIST_TARGET)?;
            frame.for_each(|record| content.extend_from_slice(&record));
            let new = content.get(start..).unwrap_or_default();
            sha256.update(new);
            left -= new.len() as u64;
            if left == 0 {
                content.resize(content.len().next_multiple_of(members::BLOCK), 0);
            }
            self.append(&pack(&content)?)?;
            content.clear();
        }
        if size == 0 {
            self.append(&pack(&content)?)?;
        }
        Ok(entry(name, offset, size, sha256))
    }

    /// Appends the member with the digests of all frames before it.
    fn frames(&mut self, compressor: &mut Compressor) -> Result<Entry> {
        let digests = std::mem::take(&mut self.digests);
        let frames = digests.chunks(limits::LIST_TARGET / 32);
        let frames = frames.map(|chunk| chunk.iter().copied());
        let size = (digests.len() * 32) as u64;
        self.member(FRAMES, size, frames, |content| stored(compressor, content))
    }

    /// Appends the last frame, of `backup.json` and the end of the archive, and the seek table.
    fn end(&mut self, trailer: &Trailer, compressor: &mut Compressor) -> Result<u64> {
        let mut json = Vec::new();
        // More than the members and the figures take, and each start of the index with its
        // punctuation.
        json.try_reserve(4096 + trailer.index.len() * (2 * RECORD + 3))?;
        lines::push_json(&mut json, trailer)?;
        if json.len() as u64 > limits::TRAILER_MAX {
            return Err(Fault::damaged(
                "there are more licences than a backup can hold",
            ));
        }
        let mut content = members::header(TRAILER, json.len() as u64, 0).into_owned();
        content.try_reserve_exact(json.len() + 3 * members::BLOCK)?;
        content.extend_from_slice(&json);
        content.resize(content.len().next_multiple_of(members::BLOCK), 0);
        content.extend_from_slice(&members::END);
        self.append(&stored(compressor, &content)?)?;
        let size = self.written() + self.table.write(&mut self.out)?;
        self.out.flush()?;
        Ok(size)
    }
}

/// Checks that a tar header can state the size of a member.
fn checked(size: u64) -> Result<u64> {
    match size <= limits::MEMBER_MAX {
        true => Ok(size),
        false => Err(Fault::damaged(
            "there are more licences than a backup can hold",
        )),
    }
}

/// Makes a frame that no digest of an earlier member covers; its own checksum and size must be
/// enough.
fn stored(compressor: &mut Compressor, content: &[u8]) -> Result<Frame> {
    compressor.compress(content)?.stored(content)
}

fn entry(name: &str, offset: u64, size: u64, sha256: Sha256) -> Entry {
    let sha256: Digest = sha256.finalize().into();
    Entry {
        name: name.into(),
        offset,
        size,
        sha256: text(&lines::hex::<64>(&sha256)),
    }
}

fn text(hex: &[u8]) -> String {
    hex.iter().copied().map(char::from).collect()
}

/// The place of a finished frame of a list in the spool.
struct Spooled {
    start: u64,
    length: u32,
    content_size: u32,
    digest: Digest,
}

type MakeSpool<'s, S> = Box<dyn FnOnce() -> Result<S> + 's>;

struct Spool<'s, S> {
    make: Option<MakeSpool<'s, S>>,
    file: Option<S>,
    size: u64,
}

impl<S: Write + ReadAt> Spool<'_, S> {
    fn append(&mut self, frame: &Frame) -> Result<Spooled> {
        if let Some(make) = self.make.take() {
            self.file = Some(make()?);
        }
        let file = self.file.as_mut().ok_or(Fault::OutOfMemory)?;
        file.write_all(&frame.bytes)?;
        let (start, length) = (self.size, frame.bytes.len() as u32);
        self.size += u64::from(length);
        Ok(Spooled {
            start,
            length,
            content_size: frame.content_size,
            digest: frame.digest,
        })
    }

    fn read(&self, spooled: &Spooled) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let file = self.file.as_ref().ok_or(Fault::OutOfMemory)?;
        file.read_exact_at(sized(&mut bytes, spooled.length as usize)?, spooled.start)?;
        Ok(bytes)
    }
}

/// Walks over the lines of a list that is not finished.
struct ListLines {
    decompressor: Decompressor,
    /// The content of the frame being read, and the number of the next; behind the last come the
    /// lines still in memory.
    content: Vec<u8>,
    next_frame: usize,
    /// The beginning of the next line in the frame.
    start: usize,
}

impl ListLines {
    fn new() -> Result<ListLines> {
        Ok(ListLines {
            decompressor: Decompressor::new()?,
            content: Vec::new(),
            next_frame: 0,
            start: 0,
        })
    }

    /// Gives the next line of `list`, without its newline; every call is given the same list and
    /// spool.
    fn next<S: Write + ReadAt>(
        &mut self,
        list: &ListWriter,
        spool: &Spool<'_, S>,
    ) -> Result<Option<&[u8]>> {
        while self.start >= self.content.len() {
            self.start = 0;
            self.content.clear();
            match list.frames.get(self.next_frame) {
                Some(spooled) => {
                    let content = sized(&mut self.content, spooled.content_size as usize)?;
                    self.decompressor
                        .decompress(&spool.read(spooled)?, content)?;
                }
                None if self.next_frame == list.frames.len() && !list.text.is_empty() => {
                    self.content.try_reserve(list.text.len())?;
                    self.content.extend_from_slice(&list.text);
                }
                None => return Ok(None),
            }
            self.next_frame += 1;
        }
        let rest = self.content.get(self.start..).unwrap_or_default();
        let length = memchr(b'\n', rest).unwrap_or(rest.len());
        self.start += length + 1;
        Ok(rest.get(..length))
    }
}

/// A member that grows by lines while the licences are written.
#[derive(Default)]
struct ListWriter {
    /// The lines of the frame that is not finished.
    text: Vec<u8>,
    frames: Vec<Spooled>,
    size: u64,
    sha256: Sha256,
}

impl ListWriter {
    fn append<S: Write + ReadAt>(
        &mut self,
        lines: &[u8],
        compressor: &mut Compressor,
        spool: &mut Spool<'_, S>,
    ) -> Result<()> {
        // This comes before the new lines, so that the last frame, which takes the padding, is
        // never empty.
        if self.text.len() + lines.len() > limits::LIST_TARGET && !self.text.is_empty() {
            let frame = compressor.compress(&self.text)?;
            self.frames.try_reserve(1)?;
            self.frames.push(spool.append(&frame)?);
            self.text.clear();
        }
        self.text.try_reserve(lines.len())?;
        self.text.extend_from_slice(lines);
        self.sha256.update(lines);
        self.size += lines.len() as u64;
        Ok(())
    }

    /// Appends `line`, which has no newline, and a newline.
    fn append_line<S: Write + ReadAt>(
        &mut self,
        line: &[u8],
        compressor: &mut Compressor,
        spool: &mut Spool<'_, S>,
    ) -> Result<()> {
        self.append(line, compressor, spool)?;
        self.text.try_reserve(1)?;
        self.text.push(b'\n');
        self.sha256.update(b"\n");
        self.size += 1;
        Ok(())
    }

    fn finish<F: Write, S: Write + ReadAt>(
        mut self,
        name: &str,
        file: &mut Output<F>,
        compressor: &mut Compressor,
        spool: &mut Spool<'_, S>,
    ) -> Result<Entry> {
        let offset = file.position();
        let mut content = members::header(name, checked(self.size)?, 0).into_owned();
        if !self.frames.is_empty() {
            file.append(&compressor.compress(&content)?)?;
            content.clear();
        }
        for spooled in &self.frames {
            file.append_bytes(&spool.read(spooled)?, spooled.content_size, spooled.digest)?;
        }
        content.try_reserve_exact(self.text.len() + members::BLOCK)?;
        content.append(&mut self.text);
        content.resize(
            content.len() + (members::padded(self.size) - self.size) as usize,
            0,
        );
        file.append(&compressor.compress(&content)?)?;
        Ok(entry(name, offset, self.size, self.sha256))
    }
}
