//! Sorts the rows of a table or view by the bytes of their names.
//!
//! SQLite sorts whole rows, and holds one of each part in memory while it merges: too much where
//! each may be of 16 MiB. Here the parts have the names and what is short; the other contents lie in
//! the file as they came, and are read once, in order.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::ops::Range;

use super::Database;
use super::temporary_file::TemporaryFile;
use crate::buffer::sized;
use crate::error::Result;
use crate::license::{BackupRight, Format, name};
use crate::store::content_batch::ContentBatches;
use crate::store::license::License;

/// Bytes of rows that are sorted in memory, as a part of all.
const PART: usize = 4 << 20;
/// Bytes of a content that stays with its name.
const SHORT: usize = 1 << 10;
/// Bytes of a row as it is sorted, at most.
const ROW_MAX: usize = HEAD + name::NAME_MAX + name::KEY_ID_MAX + SHORT;
/// Bytes of all parts that are in memory while they are merged, but for very many.
const MERGED: usize = 4 << 20;
/// Bytes of a part that are in memory at a time.
const MERGED_OF_PART: Range<usize> = 2 * ROW_MAX..256 << 10;

pub struct Sorting<'d> {
    part: Part,
    /// The places of the parts that are in the file.
    written: Vec<Range<u64>>,
    file: TemporaryFile<'d>,
}

impl Sorting<'_> {
    pub fn new(database: &Database) -> Sorting<'_> {
        Sorting {
            part: Part::default(),
            written: Vec::new(),
            file: TemporaryFile::new(database),
        }
    }

    /// Takes a licence that can be kept.
    pub fn add(&mut self, license: &License) -> Result<()> {
        let place = match license.content.len() > SHORT {
            true => Some(self.file.end()),
            false => None,
        };
        if place.is_some() {
            self.file.append(license.content)?;
        }
        self.part.push(license, place)?;
        match self.part.bytes.len() >= PART {
            true => self.write_part(),
            false => Ok(()),
        }
    }

    /// Gives all in order to `batches`.
    pub fn finish(mut self, batches: &mut ContentBatches) -> Result<()> {
        let mut content = Vec::new();
        if self.written.is_empty() {
            self.part.sort();
            for row in self.part.rows() {
                batches.add(&self.license(row, &mut content)?)?;
            }
            return Ok(());
        }
        self.write_part()?;
        self.file.flush()?;
        self.part = Part::default();
        let mut parts = self.written_parts()?;
        while let Some(mut first) = parts.peek_mut() {
            batches.add(&self.license(first.row(), &mut content)?)?;
            if !first.go_on(&self.file)? {
                PeekMut::pop(first);
            }
        }
        Ok(())
    }

    fn write_part(&mut self) -> Result<()> {
        self.part.sort();
        let start = self.file.end();
        for row in self.part.rows() {
            let row = row.ok_or_else(|| self.file.unlike())?;
            self.file.append(row.bytes)?;
        }
        self.part.clear();
        self.written.try_reserve(1)?;
        self.written.push(start..self.file.end());
        Ok(())
    }

    /// Gives each part with its first row.
    fn written_parts(&self) -> Result<BinaryHeap<WrittenPart>> {
        let most =
            (MERGED / self.written.len().max(1)).clamp(MERGED_OF_PART.start, MERGED_OF_PART.end);
        let mut parts = BinaryHeap::new();
        parts.try_reserve_exact(self.written.len())?;
        for (number, place) in self.written.iter().enumerate() {
            let mut part = WrittenPart::new(number, place.clone(), most)?;
            if part.go_on(&self.file)? {
                parts.push(part);
            }
        }
        Ok(parts)
    }

    /// Makes a licence of a row again, with its content in `memory` where that is not in the row.
    fn license<'r>(&self, row: Option<Row<'r>>, memory: &'r mut Vec<u8>) -> Result<License<'r>> {
        let row = row.ok_or_else(|| self.file.unlike())?;
        let content = match row.content {
            Content::Here(content) => content,
            Content::At(place, length) => {
                let content = sized(memory, length)?;
                self.file.read(content, place)?;
                content
            }
        };
        Ok(License {
            name: row.name,
            key_id: row.key_id,
            content,
            modified: 0,
            right: row.right,
            format: Format::Opaque,
        })
    }
}

/// A row as it is sorted: its head, name, key ID, and its content if that is short.
struct Row<'r> {
    bytes: &'r [u8],
    name: &'r str,
    key_id: Option<&'r str>,
    right: BackupRight,
    content: Content<'r>,
}

enum Content<'r> {
    Here(&'r [u8]),
    /// The place in the file, and the length.
    At(u64, usize),
}

/// Bytes of a head: the lengths of name, key ID and content, the right, and the content's place.
const HEAD: usize = 4 * size_of::<u32>() + size_of::<u64>();
/// Stands for the length of a key ID, or for a place, that there is none of.
const NO_LENGTH: u32 = u32::MAX;
const NO_PLACE: u64 = u64::MAX;

impl<'r> Row<'r> {
    /// Reads the first row of `bytes`; None if it is not all there.
    fn first(bytes: &'r [u8]) -> Option<Row<'r>> {
        let mut rest = bytes;
        let mut number = || {
            let (number, after) = rest.split_first_chunk()?;
            rest = after;
            Some(u32::from_ne_bytes(*number))
        };
        let (name, key_id, content, right) = (number()?, number()?, number()?, number()?);
        let (place, mut rest) = rest.split_first_chunk()?;
        let place = u64::from_ne_bytes(*place);
        let mut part = |length: u32| {
            let (part, after) = rest.split_at_checked(length as usize)?;
            rest = after;
            Some(part)
        };
        let name = std::str::from_utf8(part(name)?).ok()?;
        let key_id = match key_id {
            NO_LENGTH => None,
            length => Some(std::str::from_utf8(part(length)?).ok()?),
        };
        let content = match place {
            NO_PLACE => Content::Here(part(content)?),
            place => Content::At(place, content as usize),
        };
        let length = bytes.len() - rest.len();
        Some(Row {
            bytes: bytes.get(..length)?,
            name,
            key_id,
            right: BackupRight::from_number(right)?,
            content,
        })
    }
}

/// Rows that are sorted in memory.
#[derive(Default)]
struct Part {
    bytes: Vec<u8>,
    /// The beginnings of the names, which decide most often, and where the rows are.
    order: Vec<(u64, u32)>,
}

impl Part {
    fn push(&mut self, license: &License, place: Option<u64>) -> Result<()> {
        let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(NO_LENGTH);
        let key_id = license.key_id.unwrap_or_default().as_bytes();
        let content = match place {
            Some(_) => &[],
            None => license.content,
        };
        let name = license.name.as_bytes();
        let start = length(&self.bytes);
        self.bytes
            .try_reserve(HEAD + name.len() + key_id.len() + content.len())?;
        for number in [
            length(name),
            license.key_id.map_or(NO_LENGTH, |_| length(key_id)),
            length(license.content),
            license.right.number(),
        ] {
            self.bytes.extend_from_slice(&number.to_ne_bytes());
        }
        self.bytes
            .extend_from_slice(&place.unwrap_or(NO_PLACE).to_ne_bytes());
        for part in [name, key_id, content] {
            self.bytes.extend_from_slice(part);
        }
        self.order.try_reserve(1)?;
        self.order.push((beginning(name), start));
        Ok(())
    }

    fn sort(&mut self) {
        let name = |start: u32| {
            let row = self.bytes.get(start as usize..)?;
            let length = u32::from_ne_bytes(*row.first_chunk()?);
            row.get(HEAD..HEAD + length as usize)
        };
        self.order.sort_unstable_by(|one, other| {
            let by_name = || name(one.1).cmp(&name(other.1));
            // Rows of one name stay as they came.
            let beginnings = one.0.cmp(&other.0);
            beginnings.then_with(by_name).then(one.1.cmp(&other.1))
        });
    }

    fn rows(&self) -> impl Iterator<Item = Option<Row<'_>>> {
        let rows = self.order.iter();
        rows.map(|(_, start)| Row::first(self.bytes.get(*start as usize..)?))
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.order.clear();
    }
}

/// Gives the first bytes of a name as a number, in the same order.
fn beginning(name: &[u8]) -> u64 {
    let mut first = [0; 8];
    first
        .iter_mut()
        .zip(name)
        .for_each(|(to, from)| *to = *from);
    u64::from_be_bytes(first)
}

/// A part in the file, at one of its rows.
struct WrittenPart {
    number: usize,
    /// The place of what has not been read.
    rest: Range<u64>,
    /// What has been read, the row at its start and its name.
    bytes: Vec<u8>,
    most: usize,
    row: Range<usize>,
    name: Range<usize>,
}

impl WrittenPart {
    fn new(number: usize, rest: Range<u64>, most: usize) -> Result<WrittenPart> {
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(most)?;
        Ok(WrittenPart {
            number,
            rest,
            bytes,
            most,
            row: 0..0,
            name: 0..0,
        })
    }

    fn row(&self) -> Option<Row<'_>> {
        Row::first(self.bytes.get(self.row.clone())?)
    }

    fn name(&self) -> &[u8] {
        self.bytes.get(self.name.clone()).unwrap_or_default()
    }

    /// Goes on to the next row; false if there is none.
    fn go_on(&mut self, file: &TemporaryFile) -> Result<bool> {
        self.row.start = self.row.end;
        if !self.find_row() {
            if self.rest.is_empty() && self.row.start == self.bytes.len() {
                return Ok(false);
            }
            self.read(file)?;
            if !self.find_row() {
                return Err(file.unlike());
            }
        }
        Ok(true)
    }

    /// Finds the end of the row, and its name; false if it is not all there.
    fn find_row(&mut self) -> bool {
        let rest = self.bytes.get(self.row.start..).unwrap_or_default();
        let Some(row) = Row::first(rest) else {
            return false;
        };
        let name = self.row.start + HEAD;
        self.name = name..name + row.name.len();
        self.row.end = self.row.start + row.bytes.len();
        true
    }

    /// Reads on, and keeps what has been read of the row.
    fn read(&mut self, file: &TemporaryFile) -> Result<()> {
        self.bytes.drain(..self.row.start);
        self.row = 0..0;
        let kept = self.bytes.len();
        let left = usize::try_from(self.rest.end - self.rest.start).unwrap_or(usize::MAX);
        self.bytes.resize(self.most.min(kept + left), 0); // there is room
        if let Some(bytes) = self.bytes.get_mut(kept..) {
            file.read(bytes, self.rest.start)?;
            self.rest.start += bytes.len() as u64;
        }
        Ok(())
    }
}

impl Ord for WrittenPart {
    /// The part whose row is first is the greatest, which a heap gives.
    fn cmp(&self, other: &WrittenPart) -> Ordering {
        let names = other.name().cmp(self.name());
        names.then(other.number.cmp(&self.number))
    }
}

impl PartialOrd for WrittenPart {
    fn partial_cmp(&self, other: &WrittenPart) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for WrittenPart {
    fn eq(&self, other: &WrittenPart) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for WrittenPart {}
