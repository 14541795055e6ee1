//! A backup that is put together from parts, each of which may lie: everything that follows from a
//! part (digests, checksums, offsets, sizes) is made to fit, so that a reader gets as far as the
//! lie.

use crate::archive::frames::{Compressor, FrameReader};
use crate::archive::index::{self, COUNT, RECORD, Record};
use crate::archive::index_frame;
use crate::archive::lines;
use crate::archive::reader::Reader;
use crate::archive::seek_table::SeekTable;
use crate::archive::trailer::{Entry, Trailer};
use crate::archive::{
    FRAMES, INDEX, LICENSES, RESTRICTED, ReadAt, Result, STATE, SUMS, TRAILER, digest, members,
};

/// A part that may be altered, in the order in which they are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The content of a frame of licences.
    Licenses(usize),
    Sums,
    Lines,
    Restricted,
    Index,
    State,
    Digests,
    /// The JSON of `backup.json`.
    Trailer,
    /// The entries of the seek table.
    Table,
}

/// The parts of a backup.
pub struct Parts {
    pub frames: Vec<Vec<u8>>,
    pub sums: Vec<u8>,
    pub lines: Vec<u8>,
    pub restricted: Vec<u8>,
    pub state: Vec<u8>,
}

impl Parts {
    pub fn of<R: ReadAt>(reader: &Reader<R>) -> Result<Parts> {
        let mut memory = FrameReader::new()?;
        let frames = 0..reader.license_frames();
        Ok(Parts {
            frames: frames
                .map(|frame| Ok(reader.frame(frame, &mut memory)?.to_vec()))
                .collect::<Result<_>>()?,
            sums: content(reader, SUMS)?,
            lines: content(reader, LICENSES)?,
            restricted: content(reader, RESTRICTED)?,
            state: content(reader, STATE).unwrap_or_default(),
        })
    }

    /// Builds the backup, and lets `alter` change each part.
    pub fn build(&self, mut alter: impl FnMut(Part, &mut Vec<u8>)) -> Result<Vec<u8>> {
        let mut file = File {
            bytes: Vec::new(),
            table: SeekTable::default(),
            digests: Vec::new(),
            counts: Vec::new(),
            compressor: Compressor::of_licenses(None)?,
        };
        let mut altered = |part, content: &[u8]| {
            let mut content = content.to_vec();
            alter(part, &mut content);
            content
        };
        for (number, content) in self.frames.iter().enumerate() {
            let content = altered(Part::Licenses(number), content);
            file.append(&content, members_in(&content))?;
        }
        let sums = altered(Part::Sums, &self.sums);
        let lines = altered(Part::Lines, &self.lines);
        let restricted = altered(Part::Restricted, &self.restricted);
        let mut entries = Vec::new();
        for (name, list) in [(SUMS, &sums), (LICENSES, &lines), (RESTRICTED, &restricted)] {
            entries.push(file.member(name, list, count(list) as u32)?);
        }
        let counts = file.counts.iter().map(|count| count.to_le_bytes());
        let counts = counts.collect::<Vec<_>>();
        let mut records = counts.as_flattened().to_vec();
        records.extend(records_of(&lines));
        let records = altered(Part::Index, &records);
        // The numbers for frames are a frame of their own.
        let (counts, records) = records.split_at(records.len().min(counts.len() * COUNT));
        entries.push(file.index(counts, records)?);
        entries.push(file.member(STATE, &altered(Part::State, &self.state), 0)?);
        let digests = altered(Part::Digests, &file.digests.concat());
        entries.push(file.member(FRAMES, &digests, 0)?);
        let first = records.first_chunk().copied().map(Record::from_bytes);
        let trailer = Trailer {
            format: crate::archive::trailer::FORMAT.into(),
            version: crate::archive::trailer::VERSION,
            created: "2001-09-09T01:46:40Z".into(),
            id: "07".repeat(16),
            generation: 1,
            machine: None,
            recipients: None,
            licenses: (records.len() / RECORD) as u64,
            restricted: count(&restricted),
            content_bytes: content_bytes(&lines),
            members: entries,
            index: first.map(|first| first.hint).into_iter().collect(),
        };
        let mut json = Vec::new();
        lines::push_json(&mut json, &trailer)?;
        let json = altered(Part::Trailer, &json);
        let mut last = members::header(TRAILER, json.len() as u64, 0).into_owned();
        last.extend_from_slice(&json);
        last.resize(last.len().next_multiple_of(members::BLOCK), 0);
        last.extend_from_slice(&members::END);
        file.append(&last, 0)?;
        let mut table = Vec::new();
        file.table.write(&mut table)?;
        let (head, entries) = table.split_at_checked(8).unwrap_or_default();
        let (entries, footer) = entries
            .split_at_checked(entries.len().saturating_sub(9))
            .unwrap_or_default();
        let entries = altered(Part::Table, entries);
        file.bytes.extend_from_slice(head);
        file.bytes.extend_from_slice(&entries);
        file.bytes.extend_from_slice(footer);
        Ok(file.bytes)
    }
}

struct File {
    bytes: Vec<u8>,
    table: SeekTable,
    digests: Vec<crate::archive::Digest>,
    counts: Vec<u32>,
    compressor: Compressor,
}

impl File {
    fn append(&mut self, content: &[u8], count: u32) -> Result<()> {
        if content.is_empty() {
            return Ok(());
        }
        let frame = self.compressor.compress(content)?;
        self.table
            .push(frame.bytes.len() as u32, frame.content_size)?;
        self.digests.push(frame.digest);
        self.counts.push(count);
        self.bytes.extend_from_slice(&frame.bytes);
        Ok(())
    }

    fn member(&mut self, name: &str, content: &[u8], count: u32) -> Result<Entry> {
        let offset = self.table.content_size();
        let mut bytes = members::header(name, content.len() as u64, 0).into_owned();
        bytes.extend_from_slice(content);
        bytes.resize(bytes.len().next_multiple_of(members::BLOCK), 0);
        self.append(&bytes, count)?;
        Ok(self.entry(name, offset, content))
    }

    fn index(&mut self, counts: &[u8], records: &[u8]) -> Result<Entry> {
        let laid_out = laid_out(records)?;
        let (offset, all) = (self.table.content_size(), [counts, &laid_out].concat());
        let mut bytes = members::header(INDEX, all.len() as u64, 0).into_owned();
        bytes.extend_from_slice(counts);
        self.append(&bytes, 0)?;
        let mut bytes = laid_out.clone();
        bytes.resize(members::padded(all.len() as u64) as usize - counts.len(), 0);
        self.append(&bytes, 0)?;
        Ok(self.entry(INDEX, offset, &all))
    }

    fn entry(&self, name: &str, offset: u64, content: &[u8]) -> Entry {
        Entry {
            name: name.into(),
            offset,
            size: content.len() as u64,
            sha256: lines::hex_text::<64>(&digest(content)),
        }
    }
}

fn content<R: ReadAt>(reader: &Reader<R>, name: &str) -> Result<Vec<u8>> {
    let (mut member, mut content) = (reader.member(name)?, Vec::new());
    while let Some(part) = member.next()? {
        content.extend_from_slice(part);
    }
    Ok(content)
}

/// Counts the members, as far as there are any.
fn members_in(content: &[u8]) -> u32 {
    let (mut count, mut start) = (0, 0);
    while let Some(Ok(member)) = content.get(start..).map(members::parse) {
        count += 1;
        start += member.end;
    }
    count
}

/// Lays records out as in a frame of the index, as far as they are whole.
fn laid_out(records: &[u8]) -> Result<Vec<u8>> {
    let (records, rest) = records.as_chunks::<RECORD>();
    let records: Vec<Record> = records.iter().copied().map(Record::from_bytes).collect();
    let mut frame = Vec::new();
    index_frame::push(&mut frame, &records)?;
    frame.extend_from_slice(rest);
    Ok(frame)
}

/// Makes the records of the index for licences in these lines.
fn records_of(lines: &[u8]) -> Vec<u8> {
    let mut records = Vec::new();
    for (line, license) in lines.split(|byte| *byte == b'\n').zip(0..) {
        if let Ok(line) = lines::parse_license(line) {
            let hint = index::hint(&line.key_id);
            records.push(Record { hint, license });
        }
    }
    records.sort_unstable();
    records.into_iter().flat_map(Record::to_bytes).collect()
}

fn count(lines: &[u8]) -> u64 {
    lines.iter().filter(|byte| **byte == b'\n').count() as u64
}

fn content_bytes(lines: &[u8]) -> u64 {
    let lines = lines.split(|byte| *byte == b'\n');
    let sizes = lines.filter_map(|line| Some(lines::parse_license(line).ok()?.size));
    sizes.fold(0, u64::saturating_add)
}
