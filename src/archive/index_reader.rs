//! Reads the index of a backup, and checks it as it goes.

use std::ops::Range;

use super::index::{COUNT, Counts, Record};
use super::reader::{MemberReader, Reader};
use super::{Fault, INDEX, LICENSES, RESTRICTED, ReadAt, Result, SUMS, index_frame, members};

fn bad() -> Fault {
    Fault::damaged("the index is not what it should be")
}

impl<R: ReadAt> Reader<R> {
    /// Reads the numbers of licences and lines in frames.
    pub fn counts(&self) -> Result<Counts> {
        self.index().map(|(counts, _)| counts)
    }

    /// Reads the numbers of licences and lines in frames; then the records can be read.
    pub fn index(&self) -> Result<(Counts, IndexReader<'_, R>)> {
        let mut index = IndexReader {
            reader: self,
            member: self.member(INDEX)?,
            records: Vec::new(),
            at: 0,
            last: None,
            frames: 0,
        };
        Ok((index.counts()?, index))
    }

    /// Gives the frames of the member `name`.
    fn frames_of(&self, name: &str) -> Result<Range<usize>> {
        let entry = self.trailer().entry(name)?;
        Ok(self.frame_at(entry.offset)?..self.frame_at(entry.end() - 1)? + 1)
    }
}

/// Reads the records of the index.
pub struct IndexReader<'r, R> {
    reader: &'r Reader<R>,
    member: MemberReader<'r, R>,
    /// The records of a frame, and the next of them.
    records: Vec<Record>,
    at: usize,
    last: Option<Record>,
    /// The number of frames of records so far.
    frames: usize,
}

impl<R: ReadAt> IndexReader<'_, R> {
    /// Reads the numbers, which are frames of their own and come first.
    fn counts(&mut self) -> Result<Counts> {
        let reader = self.reader;
        let frames = reader.frame_at(reader.trailer().entry(INDEX)?.offset)?;
        let (licenses, sums) = (0..reader.license_frames(), reader.frames_of(SUMS)?);
        let (lines, restricted) = (reader.frames_of(LICENSES)?, reader.frames_of(RESTRICTED)?);
        let mut starts = Vec::new();
        starts.try_reserve_exact(frames)?;
        let mut sum = 0_u64;
        while starts.len() < frames {
            let part = self.member.next()?.ok_or_else(bad)?;
            let (counts, rest) = part.as_chunks::<COUNT>();
            if !rest.is_empty() || starts.len() + counts.len() > frames {
                return Err(bad());
            }
            for count in counts {
                // So many can't be in the frame; whoever believed it would make room for them.
                let span = reader.span(starts.len())?;
                let least = match starts.len() < licenses.end {
                    true => members::BLOCK as u32,
                    false => 1,
                };
                if u32::from_le_bytes(*count) > span.content_size / least {
                    return Err(bad());
                }
                // Each member counts from its beginning, and has as many as the trailer says.
                let ends = [licenses.end, sums.end, lines.end];
                if ends.contains(&starts.len()) {
                    check_sum(sum, reader.trailer().licenses)?;
                    sum = 0;
                }
                starts.push(u32::try_from(sum).map_err(|_| bad())?);
                sum += u64::from(u32::from_le_bytes(*count));
            }
        }
        check_sum(sum, reader.trailer().restricted)?;
        let follow =
            [sums.end, lines.end, restricted.end] == [lines.start, restricted.start, frames];
        match follow && licenses.end == sums.start {
            true => Ok(Counts {
                starts,
                licenses,
                sums,
                lines,
                total: u32::try_from(reader.trailer().licenses).map_err(|_| bad())?,
            }),
            false => Err(bad()),
        }
    }

    /// Gives the numbers of the licences for which the index has `hint`, of which there may be any
    /// number, and of other licences seldom.
    pub fn licenses_at(mut self, hint: u32) -> Result<Vec<u32>> {
        let first = &self.reader.trailer().index;
        // The first record with the hint may be in the last frame that begins before it.
        let start = first.partition_point(|first| *first < hint);
        self.frames = start.saturating_sub(1);
        self.member.skip(self.frames);
        let mut found = Vec::new();
        while let Some(record) = self.next()? {
            if record.hint > hint {
                break;
            }
            if record.hint == hint {
                found.try_reserve(1)?;
                found.push(record.license);
            }
        }
        Ok(found)
    }

    /// Gives the next record. No record may come twice: so each is checked against the one before.
    pub fn next(&mut self) -> Result<Option<Record>> {
        if self.at == self.records.len() {
            let Some(part) = self.member.next()? else {
                return Ok(None);
            };
            let is_whole = index_frame::read(part, &mut self.records)?;
            let first = self.records.first().map(|first| first.hint);
            let stated = self.reader.trailer().index.get(self.frames).copied();
            if !is_whole || first.is_none() || first != stated {
                return Err(bad());
            }
            self.frames += 1;
            self.at = 0;
        }
        let record = *self.records.get(self.at).ok_or_else(bad)?;
        self.at += 1;
        let is_known = u64::from(record.license) < self.reader.trailer().licenses;
        if !is_known || self.last.is_some_and(|last| last >= record) {
            return Err(bad());
        }
        self.last = Some(record);
        Ok(Some(record))
    }

    /// Checks that all was read, and is what the trailer says.
    pub fn finish(mut self) -> Result<()> {
        let is_complete = self.next()?.is_none();
        match is_complete && self.frames == self.reader.trailer().index.len() {
            true => self.member.finish(),
            false => Err(bad()),
        }
    }
}

fn check_sum(sum: u64, stated: u64) -> Result<()> {
    if sum == stated { Ok(()) } else { Err(bad()) }
}
