//! A backup that is put together from parts, each of which may lie: everything that follows from a
//! part (digests, checksums, offsets, sizes) is made to fit, so that a reader gets as far as the
//! lie.

use crate::archive::frames::{Compressor, FrameReader, SeekTable};
use crate::archive::index::{self, Record};
use crate::archive::lines;
use crate::archive::reader::Reader;
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
            state: b"{}\n".to_vec(),
        })
    }

    /// Builds the backup, and lets `alter` change each part.
    pub fn build(&self, mut alter: impl FnMut(Part, &mut Vec<u8>)) -> Result<Vec<u8>> {
        let mut file = File {
            bytes: Vec::new(),
            table: SeekTable::default(),
            digests: Vec::new(),
            compressor: Compressor::of_licenses(None)?,
        };
        let mut altered = |part, content: &[u8]| {
            let mut content = content.to_vec();
            alter(part, &mut content);
            content
        };
        let mut places = Vec::new();
        for (number, content) in self.frames.iter().enumerate() {
            let content = altered(Part::Licenses(number), content);
            let start = file.table.content_size();
            places.extend(members_of(&content).into_iter().map(|place| start + place));
            file.append(&content)?;
        }
        let sums = altered(Part::Sums, &self.sums);
        let lines = altered(Part::Lines, &self.lines);
        let mut entries = vec![file.member(SUMS, &sums)?, file.member(LICENSES, &lines)?];
        let starts: Vec<u64> = entries.iter().map(Entry::content).collect();
        let records = records(&places, &sums, &lines, &starts);
        let records = altered(Part::Index, &records);
        let restricted = altered(Part::Restricted, &self.restricted);
        entries.push(file.member(RESTRICTED, &restricted)?);
        entries.push(file.member(INDEX, &records)?);
        entries.push(file.member(STATE, &altered(Part::State, &self.state))?);
        let digests = altered(Part::Digests, &file.digests.concat());
        entries.push(file.member(FRAMES, &digests)?);
        let first = records.first_chunk::<{ index::RECORD }>();
        let first = first.map(|first| lines::hex::<{ 2 * index::RECORD }>(first));
        let trailer = Trailer {
            format: crate::archive::trailer::FORMAT.into(),
            version: crate::archive::trailer::VERSION,
            created: "2001-09-09T01:46:40Z".into(),
            licenses: (records.len() / index::RECORD) as u64,
            restricted: count(&restricted),
            content_bytes: content_bytes(&lines),
            members: entries,
            index: first
                .map(|hex| hex.iter().copied().map(char::from).collect())
                .into_iter()
                .collect(),
        };
        let mut json = Vec::new();
        lines::push_json(&mut json, &trailer)?;
        let json = altered(Part::Trailer, &json);
        let mut last = members::header(TRAILER, json.len() as u64, 0).into_owned();
        last.extend_from_slice(&json);
        last.resize(last.len().next_multiple_of(members::BLOCK), 0);
        last.extend_from_slice(&members::END);
        file.append(&last)?;
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
    compressor: Compressor,
}

impl File {
    fn append(&mut self, content: &[u8]) -> Result<()> {
        if content.is_empty() {
            return Ok(());
        }
        let frame = self.compressor.compress(content)?;
        self.table
            .push(frame.bytes.len() as u32, frame.content_size)?;
        self.digests.push(frame.digest);
        self.bytes.extend_from_slice(&frame.bytes);
        Ok(())
    }

    fn member(&mut self, name: &str, content: &[u8]) -> Result<Entry> {
        let offset = self.table.content_size();
        let mut bytes = members::header(name, content.len() as u64, 0).into_owned();
        bytes.extend_from_slice(content);
        bytes.resize(bytes.len().next_multiple_of(members::BLOCK), 0);
        self.append(&bytes)?;
        let sha256 = lines::hex::<64>(&digest(content));
        Ok(Entry {
            name: name.into(),
            offset,
            size: content.len() as u64,
            sha256: sha256.iter().copied().map(char::from).collect(),
        })
    }
}

fn content<R: ReadAt>(reader: &Reader<R>, name: &str) -> Result<Vec<u8>> {
    let (mut member, mut content) = (reader.member(name)?, Vec::new());
    while let Some((_, part)) = member.next()? {
        content.extend_from_slice(part);
    }
    Ok(content)
}

/// Finds the beginnings of members, as far as there are any.
fn members_of(content: &[u8]) -> Vec<u64> {
    let (mut places, mut start) = (Vec::new(), 0);
    while let Some(Ok(member)) = content.get(start..).map(members::parse) {
        places.push(start as u64);
        start += member.end;
    }
    places
}

/// Makes the index of licences in these places, as their lines tell of them.
fn records(places: &[u64], sums: &[u8], lines: &[u8], starts: &[u64]) -> Vec<u8> {
    let offsets = |text: &[u8], start: u64| {
        let ends = text.split_inclusive(|byte| *byte == b'\n');
        let starts = ends.scan(start, |at, line| {
            *at += line.len() as u64;
            Some(*at - line.len() as u64)
        });
        starts.collect::<Vec<_>>()
    };
    let [sums_at, lines_at] = starts else {
        return Vec::new();
    };
    let keys = lines.split(|byte| *byte == b'\n').map(|line| {
        let line = lines::parse_license(line);
        line.map_or([0; 8], |line| index::key(&line.key_id))
    });
    let places = places.iter().zip(offsets(sums, *sums_at));
    let places = places.zip(offsets(lines, *lines_at)).zip(keys);
    let mut records: Vec<Record> = places
        .map(|(((member, sum), line), key)| Record {
            key,
            member: *member,
            sum,
            line,
        })
        .collect();
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
