//! The seek table, which ends a backup and says where its frames are. The zstd repository describes
//! it: `contrib/seekable_format/zstd_seekable_compression_format.md`, version 0.1.0.

use std::io::{self, Write};

use super::{Fault, ReadAt, Result, limits};
use crate::buffer::sized;

/// The place of a frame in the file and in the decompressed stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub start: u64,
    pub length: u32,
    pub content_start: u64,
    pub content_size: u32,
}

impl Span {
    pub fn end(&self) -> u64 {
        self.start + u64::from(self.length)
    }

    pub fn content_end(&self) -> u64 {
        self.content_start + u64::from(self.content_size)
    }
}

const SKIPPABLE_MAGIC: u32 = 0x184D_2A5E;
const TABLE_MAGIC: u32 = 0x8F92_EAB1;
const TABLE_HEADER: u64 = 8;
const TABLE_FOOTER: u64 = 9;
const TABLE_ENTRY: u64 = 8;

/// The places of all frames.
#[derive(Debug, Default)]
pub struct SeekTable {
    spans: Vec<Span>,
}

impl SeekTable {
    pub fn spans(&self) -> &[Span] {
        &self.spans
    }

    pub fn span(&self, frame: usize) -> Result<Span> {
        self.spans
            .get(frame)
            .copied()
            .ok_or_else(|| Fault::damaged("a frame is missing"))
    }

    /// Gives the end of the decompressed stream.
    pub fn content_size(&self) -> u64 {
        self.spans.last().map_or(0, Span::content_end)
    }

    /// Gives the end of the last frame in the file.
    pub fn end(&self) -> u64 {
        self.spans.last().map_or(0, Span::end)
    }

    /// Finds the frame that holds the byte `offset` of the decompressed stream.
    pub fn frame_at(&self, offset: u64) -> Result<usize> {
        let frame = self
            .spans
            .partition_point(|span| span.content_end() <= offset);
        if frame == self.spans.len() {
            return Err(Fault::damaged("an offset points behind the end"));
        }
        Ok(frame)
    }

    /// Takes the next frame in, right behind the last one.
    pub fn push(&mut self, length: u32, content_size: u32) -> Result<()> {
        self.push_at(self.end(), length, content_size)
    }

    /// Takes the next frame in, in a file that may have lost some before it.
    pub fn push_at(&mut self, start: u64, length: u32, content_size: u32) -> Result<()> {
        self.spans.try_reserve(1)?;
        self.spans.push(Span {
            start,
            length,
            content_start: self.content_size(),
            content_size,
        });
        Ok(())
    }

    /// Writes the table and returns its size.
    pub fn write(&self, out: &mut impl Write) -> Result<u64> {
        let count = self.spans.len() as u32;
        let mut bytes = Vec::new();
        bytes.try_reserve_exact((TABLE_HEADER + TABLE_FOOTER) as usize + self.spans.len() * 8)?;
        bytes.extend_from_slice(&SKIPPABLE_MAGIC.to_le_bytes());
        bytes.extend_from_slice(
            &((u64::from(count) * TABLE_ENTRY + TABLE_FOOTER) as u32).to_le_bytes(),
        );
        for span in &self.spans {
            bytes.extend_from_slice(&span.length.to_le_bytes());
            bytes.extend_from_slice(&span.content_size.to_le_bytes());
        }
        bytes.extend_from_slice(&count.to_le_bytes());
        bytes.push(0); // no checksums in the table: each frame has its own
        bytes.extend_from_slice(&TABLE_MAGIC.to_le_bytes());
        out.write_all(&bytes)?;
        Ok(bytes.len() as u64)
    }

    /// Reads the table at the end of `source`. Its frames must fill the file from the first byte to
    /// the table.
    pub fn read(source: &impl ReadAt, tail: &Tail) -> Result<SeekTable> {
        let bad = |what: &str| Err(Fault::damaged(format!("the seek table {what}")));
        let mut footer = [0; TABLE_FOOTER as usize];
        if tail.file_size < TABLE_HEADER + TABLE_FOOTER {
            return bad("is missing: the file is too short for a backup");
        }
        tail.read(source, &mut footer, tail.file_size - TABLE_FOOTER)?;
        let [c0, c1, c2, c3, descriptor, magic @ ..] = footer;
        if magic != TABLE_MAGIC.to_le_bytes() {
            return bad("is missing: the file is truncated or no backup");
        }
        let count = u64::from(u32::from_le_bytes([c0, c1, c2, c3]));
        let size = count * TABLE_ENTRY + TABLE_FOOTER;
        if descriptor != 0 || count > limits::FRAMES_MAX || size + TABLE_HEADER > tail.file_size {
            return bad("states what can't be");
        }
        // The table is at most as large as the file, by the comparison above.
        let mut bytes = Vec::new();
        bytes.try_reserve_exact((size + TABLE_HEADER) as usize)?;
        bytes.resize((size + TABLE_HEADER) as usize, 0);
        let start = tail.file_size - size - TABLE_HEADER;
        tail.read(source, &mut bytes, start)?;
        let header = [SKIPPABLE_MAGIC.to_le_bytes(), (size as u32).to_le_bytes()].concat();
        let Some(entries) = bytes.strip_prefix(header.as_slice()) else {
            return bad("has no header");
        };
        let mut table = SeekTable::default();
        table.spans.try_reserve_exact(count as usize)?;
        for entry in entries
            .as_chunks::<{ TABLE_ENTRY as usize }>()
            .0
            .iter()
            .take(count as usize)
        {
            let [l0, l1, l2, l3, s0, s1, s2, s3] = *entry;
            let (length, content) = (
                u32::from_le_bytes([l0, l1, l2, l3]),
                u32::from_le_bytes([s0, s1, s2, s3]),
            );
            if length == 0 || content == 0 {
                return bad("has an empty frame");
            }
            if content as usize > limits::FRAME_MAX
                || length as usize > zstd_safe::compress_bound(limits::FRAME_MAX)
            {
                return bad("has a frame that is too large");
            }
            table.push(length, content)?;
        }
        if table.end() != start {
            return bad("does not fill the file");
        }
        Ok(table)
    }
}

/// The end of the file, read at once.
pub struct Tail {
    file_size: u64,
    bytes: Vec<u8>,
}

/// Tells whether the last bytes of `source` are those of a seek table.
pub fn ends_as_table(source: &impl ReadAt) -> Result<bool> {
    let mut magic = [0; size_of_val(&TABLE_MAGIC)];
    let Some(start) = source.size()?.checked_sub(magic.len() as u64) else {
        return Ok(false);
    };
    match source.read_exact_at(&mut magic, start) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        read => Ok(read.map(|()| magic == TABLE_MAGIC.to_le_bytes())?),
    }
}

impl Tail {
    pub fn read_from(source: &impl ReadAt) -> Result<Tail> {
        let file_size = source.size()?;
        let start = file_size.saturating_sub(limits::TAIL);
        let start = start.next_multiple_of(source.block()).min(file_size);
        let mut bytes = Vec::new();
        sized(&mut bytes, (file_size - start) as usize)?;
        source.read_exact_at(&mut bytes, start).map_err(unread)?;
        Ok(Tail { file_size, bytes })
    }

    pub fn file_size(&self) -> u64 {
        self.file_size
    }

    /// Fills `buffer` from `offset` in the file on.
    pub fn read(&self, source: &impl ReadAt, buffer: &mut [u8], offset: u64) -> Result<()> {
        let known = offset
            .checked_sub(self.file_size - self.bytes.len() as u64)
            .and_then(|start| {
                let start = start as usize;
                self.bytes.get(start..start.checked_add(buffer.len())?)
            });
        match known {
            Some(bytes) => buffer.copy_from_slice(bytes),
            None => source.read_exact_at(buffer, offset).map_err(unread)?,
        }
        Ok(())
    }
}

fn unread(error: io::Error) -> Fault {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => Fault::damaged("the file ends too early"),
        io::ErrorKind::InvalidData => Fault::damaged("its encrypted content has been altered"),
        _ => Fault::from(error),
    }
}

#[cfg(test)]
pub mod tests {
    use super::super::digest;
    use super::super::frames::{Compressor, FrameReader};
    use super::*;

    /// Makes a file of frames that have these contents, and their table.
    pub fn file(contents: &[&[u8]]) -> Vec<u8> {
        let (mut file, mut table) = (Vec::new(), SeekTable::default());
        let mut compressor = Compressor::of_licenses(None).unwrap();
        for content in contents {
            let frame = compressor.compress(content).unwrap();
            table
                .push(frame.bytes.len() as u32, frame.content_size)
                .unwrap();
            file.extend_from_slice(&frame.bytes);
        }
        table.write(&mut file).unwrap();
        file
    }

    #[test]
    fn frames_come_back_by_the_table() {
        let large = vec![7; 3 << 20];
        let file = file(&[b"one", &large, b"three"]);
        let tail = Tail::read_from(&file).unwrap();
        let table = SeekTable::read(&file, &tail).unwrap();
        assert_eq!(table.content_size(), 8 + (3 << 20));
        assert_eq!(
            [0, 2, 3, 3 + (3 << 20)].map(|offset| table.frame_at(offset).unwrap()),
            [0, 0, 1, 2]
        );
        assert!(table.frame_at(table.content_size()).is_err());
        let mut reader = FrameReader::new().unwrap();
        for (frame, content) in [(2, &b"three"[..]), (1, &large), (0, b"one")] {
            let span = table.span(frame).unwrap();
            let compressed = &file[span.start as usize..][..span.length as usize];
            assert_eq!(
                reader
                    .read(&file, &tail, span, Some(&digest(compressed)))
                    .unwrap(),
                content
            );
            assert!(reader.read(&file, &tail, span, Some(&[0; 32])).is_err());
        }
    }

    #[test]
    fn a_table_that_lies_is_refused() {
        let good = file(&[b"one", b"two"]);
        for at in good.len() - 33..good.len() {
            for bit in 0..8 {
                let mut bad = good.clone();
                bad[at] ^= 1 << bit;
                let read = Tail::read_from(&bad).and_then(|tail| {
                    let table = SeekTable::read(&bad, &tail)?;
                    let mut reader = FrameReader::new()?;
                    table
                        .spans()
                        .iter()
                        .try_for_each(|span| reader.read(&bad, &tail, *span, None).map(drop))
                });
                assert!(
                    matches!(read, Err(Fault::Damaged(_))),
                    "byte {at} bit {bit}"
                );
            }
        }
        for length in 0..good.len() {
            let bad = good[..length].to_vec();
            let read = Tail::read_from(&bad).and_then(|tail| SeekTable::read(&bad, &tail));
            assert!(matches!(read, Err(Fault::Damaged(_))), "length {length}");
        }
    }
}
