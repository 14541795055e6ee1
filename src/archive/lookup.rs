//! Finds licences by their key ID with the index, and reads as few frames as possible.

use super::catalog_in_step::{Expected, agreed};
use super::frames::FrameReader;
use super::index::hint;
use super::reader::{Reader, line_length};
use super::{Fault, LICENSES, ReadAt, Result, SUMS};

impl<R: ReadAt> Reader<R> {
    /// Finds the licences in the lists that have the key ID `key_id`, in the order of the backup.
    /// It reads a frame of the index, and for each licence one of `SHA256SUMS` and one of
    /// `licenses.jsonl`. `go_on` is asked for each.
    pub fn find<E: From<Fault>>(
        &self,
        key_id: &str,
        mut go_on: impl FnMut() -> Result<(), E>,
    ) -> Result<Vec<Expected>, E> {
        let ((counts, index), mut found) = (self.index()?, Vec::new());
        let (mut sums, mut lines) = (
            ListReader::new(self, SUMS)?,
            ListReader::new(self, LICENSES)?,
        );
        for license in index.licenses_at(hint(key_id))? {
            go_on()?;
            let sum = sums.line(counts.sums_of(license), license)?;
            let line = lines.line(counts.lines_of(license), license)?;
            let (digest, line) = agreed(sum, line)?;
            // The index holds a part of a hash, which other key IDs may share.
            if line.key_ids().any(|of_license| of_license == key_id) {
                found.try_reserve(1).map_err(Fault::from)?;
                found.push(Expected::new(digest, line, counts.frame_of(license))?);
            }
        }
        Ok(found)
    }
}

/// Reads lines of a member here and there, each behind the one before, and mostly in its frame.
struct ListReader<'r, R> {
    reader: &'r Reader<R>,
    content: std::ops::Range<u64>,
    memory: FrameReader,
    frame: Option<usize>,
    /// The next line in the frame, by its number and by its place.
    next: u32,
    start: usize,
}

impl<'r, R: ReadAt> ListReader<'r, R> {
    fn new(reader: &'r Reader<R>, name: &str) -> Result<ListReader<'r, R>> {
        let entry = reader.trailer().entry(name)?;
        Ok(ListReader {
            reader,
            content: entry.content()..entry.content_end(),
            memory: FrameReader::new()?,
            frame: None,
            next: 0,
            start: 0,
        })
    }

    /// Gives the line `number`, without its newline. It is in that frame, which begins with the
    /// line `first`.
    fn line(&mut self, (frame, first): (usize, u32), number: u32) -> Result<&[u8]> {
        let bad = || Fault::damaged("the index points to no line");
        let span = self.reader.span(frame)?;
        let within = |offset: u64| {
            (offset.clamp(span.content_start, span.content_end()) - span.content_start) as usize
        };
        let end = within(self.content.end);
        if self.frame != Some(frame) {
            self.frame = None;
            self.reader.frame(frame, &mut self.memory)?;
            self.frame = Some(frame);
            (self.next, self.start) = (first, within(self.content.start));
        }
        loop {
            let rest = self.memory.content(self.start..end);
            let length = line_length(rest).ok_or_else(bad)?;
            let start = self.start;
            self.start += length + 1;
            self.next += 1;
            if self.next > number {
                return Ok(self.memory.content(start..start + length));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::io;

    use super::super::builder::FrameBuilder;
    use super::super::frames::Compressor;
    use super::super::testing::{new_writer, stamp};
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
        let mut writer = new_writer(&mut bytes, None).unwrap();
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
        writer.finish(&stamp()).unwrap();
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
                reader
                    .frame(found[0].frame, &mut FrameReader::new().unwrap())
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
        assert!(found.is_sorted_by_key(|license| license.frame));
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
