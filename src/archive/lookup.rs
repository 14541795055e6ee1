//! Finds licences by their key ID with the index, and reads as few frames as possible.

use super::catalog_in_step::Expected;
use super::frames::FrameReader;
use super::index::{self, RECORD, Record};
use super::reader::Reader;
use super::{Fault, INDEX, LICENSES, ReadAt, Result, SUMS, limits, lines};

impl<R: ReadAt> Reader<R> {
    /// Finds the licences in the lists whose key ID is `key_id`, in the order of the backup. It
    /// reads a frame of the index, and for each licence one of `SHA256SUMS` and one of
    /// `licenses.jsonl`. `go_on` is asked for each.
    pub fn find<E: From<Fault>>(
        &self,
        key_id: &str,
        mut go_on: impl FnMut() -> Result<(), E>,
    ) -> Result<Vec<Expected>, E> {
        let (mut sums, mut lines) = (
            ListReader::new(self, SUMS)?,
            ListReader::new(self, LICENSES)?,
        );
        let mut found = Vec::new();
        for record in self.records(index::key(key_id))? {
            go_on()?;
            let expected = Expected::parse(
                sums.line(record.sum)?,
                lines.line(record.line)?,
                record.member,
            )?;
            // The index holds a part of a hash, which other key IDs may share.
            if expected.key_id == key_id {
                found.try_reserve(1).map_err(Fault::from)?;
                found.push(expected);
            }
        }
        Ok(found)
    }

    /// Gives the records with `key`, of which there may be any number.
    fn records(&self, key: [u8; 8]) -> Result<Vec<Record>> {
        let hex = lines::hex::<16>(&key);
        let first = &self.trailer().index;
        let is_before = |first: &String| first.as_bytes().get(..16) < Some(&hex[..]);
        // The first record with the key may be in the last frame that begins before it.
        let start = first.partition_point(is_before).saturating_sub(1);
        let mut member = self.member(INDEX)?;
        member.skip(start);
        let mut found = Vec::new();
        for stated in first.iter().skip(start) {
            if stated.as_bytes().get(..16) > Some(&hex[..]) {
                break;
            }
            let (_, part) = member.next()?.unwrap_or_default();
            let (records, rest) = part.as_chunks::<RECORD>();
            if !rest.is_empty() || records.first() != lines::parse_hex(stated).as_ref() {
                return Err(Fault::damaged("the index is not what it should be"));
            }
            let records = records.iter().map(Record::from_bytes);
            for record in records.filter(|record| record.key == key) {
                // Lists follow the members, so that all three go forward: a list that does not may
                // be endless, and one that jumps costs a frame for each line.
                let is_behind = |last: &Record| {
                    last.member < record.member && last.sum < record.sum && last.line < record.line
                };
                if !found.last().is_none_or(is_behind) {
                    return Err(Fault::damaged("the index is not what it should be"));
                }
                found.try_reserve(1)?;
                found.push(record);
            }
        }
        Ok(found)
    }
}

/// Reads lines of a member here and there, mostly in the frame that was read before.
struct ListReader<'r, R> {
    reader: &'r Reader<R>,
    content: std::ops::Range<u64>,
    memory: FrameReader,
    frame: Option<usize>,
}

impl<'r, R: ReadAt> ListReader<'r, R> {
    fn new(reader: &'r Reader<R>, name: &str) -> Result<ListReader<'r, R>> {
        let entry = reader.trailer().entry(name)?;
        Ok(ListReader {
            reader,
            content: entry.content()..entry.content_end(),
            memory: FrameReader::new()?,
            frame: None,
        })
    }

    /// Gives the line at `offset` of the decompressed stream, without its newline.
    fn line(&mut self, offset: u64) -> Result<&[u8]> {
        let bad = || Fault::damaged("the index points to no line");
        if !self.content.contains(&offset) {
            return Err(bad());
        }
        let frame = self.reader.frame_at(offset)?;
        let span = self.reader.span(frame)?;
        if self.frame != Some(frame) {
            self.frame = None;
            self.reader.frame(frame, &mut self.memory)?;
            self.frame = Some(frame);
        }
        let within = |offset: u64| (offset - span.content_start) as usize;
        let end = self.content.end.min(span.content_end());
        let rest = self.memory.content(within(offset)..within(end));
        let rest = rest.get(..limits::LINE_MAX).unwrap_or(rest);
        let length = rest
            .iter()
            .position(|byte| *byte == b'\n')
            .ok_or_else(bad)?;
        rest.get(..length).ok_or_else(bad)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::io;

    use super::super::builder::FrameBuilder;
    use super::super::frames::Compressor;
    use super::super::writer::Writer;
    use super::*;
    use crate::license;

    /// A backup that counts how often it is read.
    struct Counted {
        bytes: Vec<u8>,
        reads: Cell<usize>,
    }

    impl ReadAt for Counted {
        fn size(&self) -> io::Result<u64> {
            self.bytes.size()
        }

        fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
            self.reads.set(self.reads.get() + 1);
            self.bytes.read_exact_at(buffer, offset)
        }
    }

    /// Makes a backup of that many small licences, every tenth of which has the key ID "tenth".
    fn backup(count: usize) -> Counted {
        let mut bytes = Vec::new();
        let mut writer = Writer::new(
            &mut bytes,
            || Ok(Vec::new()),
            Compressor::of_lists(None).unwrap(),
        );
        let (mut builder, mut compressor) = (
            FrameBuilder::new().unwrap(),
            Compressor::of_licenses(None).unwrap(),
        );
        for number in 0..count {
            let name = match number % 10 {
                0 => format!("{number}/tenth.lic"),
                _ => format!("{number}.lic"),
            };
            let content = name.as_bytes();
            let buffer = builder.begin(&name, content.len() as u64, 0).unwrap();
            buffer[..content.len()].copy_from_slice(content);
            let statement = license::read(&name, content).unwrap();
            builder.keep(&name, 0, &statement, None).unwrap();
            if number % 500 == 499 || number + 1 == count {
                writer
                    .append(builder.close(&mut compressor, Vec::new()).unwrap())
                    .unwrap();
            }
        }
        writer.finish(String::new()).unwrap();
        Counted {
            bytes,
            reads: Cell::new(0),
        }
    }

    #[test]
    fn one_is_found_in_few_frames_however_many_there_are() {
        for count in [1000, 100_000] {
            let backup = backup(count);
            let reader = Reader::open(&backup).unwrap();
            // The first reads are the tail, and the seek table if it is longer.
            let opening = backup.reads.get();
            assert!(opening <= 3, "{opening}");
            for number in [1, count / 2 + 1, count - 1] {
                backup.reads.set(0);
                let found = reader
                    .find(&number.to_string(), || Ok::<(), Fault>(()))
                    .unwrap();
                assert_eq!(found.len(), 1, "{number} of {count}");
                let frame = reader.frame_at(found[0].offset).unwrap();
                reader
                    .frame(frame, &mut FrameReader::new().unwrap())
                    .unwrap();
                assert!(backup.reads.get() <= 6, "{number} of {count}");
            }
        }
    }

    #[test]
    fn all_of_a_key_id_are_found_and_none_of_another() {
        let backup = backup(100_000);
        let reader = Reader::open(&backup).unwrap();
        let found = reader.find("tenth", || Ok::<(), Fault>(())).unwrap();
        assert_eq!(found.len(), 10_000);
        assert!(
            found
                .iter()
                .all(|license| license.name.ends_with("/tenth.lic"))
        );
        assert!(found.is_sorted_by_key(|license| license.offset));
        // These are one frame of the index, and the lists once through.
        assert!(backup.reads.get() < 100, "{}", backup.reads.get());
        assert!(
            reader
                .find("eleventh", || Ok::<(), Fault>(()))
                .unwrap()
                .is_empty()
        );
    }
}
