//! Reads what is left of a backup whose end is lost: frames from the front, and the licences in
//! them.
//!
//! Only a frame's checksum vouches for these licences. The seek table is used where it survives.

use memchr::memmem::Finder;

use super::catalog_in_step::Expected;
use super::frames::FrameReader;
use super::reader::{Found, Reader, licenses_in};
use super::seek_table::{SeekTable, Span, Tail};
use super::trailer::Trailer;
use super::{Fault, ReadAt, Result, digest, limits};
use crate::buffer::sized;
use crate::license::{self, name};

impl<R: ReadAt> Reader<R> {
    /// Opens a backup that [`Reader::open`] finds damaged. `go_on` is asked from time to time.
    pub fn open_damaged<E: From<Fault>>(
        source: R,
        mut go_on: impl FnMut() -> Result<(), E>,
    ) -> Result<Reader<R>, E> {
        let tail = Tail::read_from(&source)?;
        let table = match SeekTable::read(&source, &tail) {
            Err(Fault::Damaged(_)) => scan(&source, &tail, &mut FrameReader::new()?, &mut go_on)?,
            table => table?,
        };
        Ok(Reader {
            license_frames: table.spans().len(),
            source,
            tail,
            table,
            digests: Vec::new(),
            trailer: Trailer::default(),
        })
    }

    /// Finds all licences in intact frames. If several have one name the last counts, as for tar. A
    /// licence found behind a gap may be from within a destroyed frame, and counts only if there is
    /// no other of its name.
    pub fn search<E: From<Fault>>(
        &self,
        mut go_on: impl FnMut() -> Result<(), E>,
    ) -> Result<Vec<Expected>, E> {
        let (mut memory, mut names) = (FrameReader::new()?, name::Set::default());
        let (mut found, mut behind_gaps) = (Vec::new(), Vec::new());
        // The search starts at the end, so that the first of a name is its last.
        for frame in (0..self.table.spans().len()).rev() {
            go_on()?;
            match self.is_behind_gap(frame) {
                true => {
                    behind_gaps.try_reserve(1).map_err(Fault::from)?;
                    behind_gaps.push(frame);
                }
                false => self.search_frame(frame, &mut memory, &mut names, &mut found)?,
            }
        }
        for frame in behind_gaps {
            go_on()?;
            self.search_frame(frame, &mut memory, &mut names, &mut found)?;
        }
        found.sort_unstable_by_key(|(place, _)| *place);
        let mut licenses = Vec::new();
        licenses
            .try_reserve_exact(found.len())
            .map_err(Fault::from)?;
        licenses.extend(found.into_iter().map(|(_, license)| license));
        Ok(licenses)
    }

    /// Tells whether the bytes before the frame are lost, so that it follows no other.
    fn is_behind_gap(&self, frame: usize) -> bool {
        let spans = self.table.spans();
        let start = spans.get(frame).map_or(0, |span| span.start);
        let before = frame.checked_sub(1).and_then(|before| spans.get(before));
        start != before.map_or(0, Span::end)
    }

    /// Adds the licences of a frame whose names are new.
    fn search_frame(
        &self,
        frame: usize,
        memory: &mut FrameReader,
        names: &mut name::Set,
        found: &mut Vec<(Place, Expected)>,
    ) -> Result<()> {
        let mut described = Vec::new();
        let read = self.frame(frame, memory).and_then(|content| {
            licenses_in(content, |license| {
                described.try_reserve(1)?;
                described.push(describe(&license, frame)?);
                Ok(())
            })
        });
        match read {
            // The frame is destroyed, or one of those behind the licences.
            Ok(()) | Err(Fault::Damaged(_)) => {}
            Err(fault) => return Err(fault),
        }
        for (number, license) in described.into_iter().enumerate().rev() {
            if names.insert(&license.name)?.is_ok() {
                found.try_reserve(1)?;
                found.push(((frame, number), license));
            }
        }
        Ok(())
    }
}

/// The frame of a licence, and its number in the frame.
type Place = (usize, usize);

/// Describes a licence by its own statements, since nothing else tells of it.
fn describe(license: &Found, frame: usize) -> Result<Expected> {
    let statement =
        license::read(&license.name, license.content).map_err(|_| Fault::OutOfMemory)?;
    let modified = i64::try_from(license.modified).unwrap_or(i64::MAX);
    Ok(Expected {
        name: license.name.clone().into_owned(),
        key_id: statement.key_id,
        other_key_ids: statement.other_key_ids,
        right: statement.right,
        format: statement.format,
        modified: modified.saturating_mul(1_000_000_000),
        size: license.content.len() as u64,
        digest: digest(license.content),
        frame,
    })
}

/// Looks for frames where there is no table of them: one behind the other, and after bytes that are
/// no frame the next frame. Bytes that look like a frame must decompress, or a damaged length would
/// hide the frames behind it.
fn scan<E: From<Fault>>(
    source: &impl ReadAt,
    tail: &Tail,
    memory: &mut FrameReader,
    go_on: &mut impl FnMut() -> Result<(), E>,
) -> Result<SeekTable, E> {
    let (mut table, mut at) = (SeekTable::default(), 0);
    let (mut window, mut budget) = (Window::new(source, tail), Budget::default());
    while let Some(start) = window.next_magic(at, go_on)? {
        go_on()?;
        at = start + 1;
        if !budget.is_left(start) {
            continue;
        }
        let Some((length, content_size)) = frame(&window, start, &mut budget)? else {
            continue;
        };
        let span = Span {
            start,
            length,
            content_start: 0,
            content_size,
        };
        let work = u64::from(length) + u64::from(content_size);
        match memory.read(source, tail, span, None) {
            Ok(_) => {
                budget.earned += work;
                table.push_at(start, length, content_size)?;
                at = span.end();
            }
            Err(Fault::Damaged(_)) => budget.spent += work,
            Err(fault) => return Err(fault.into()),
        }
    }
    Ok(table)
}

/// The work on bytes that look like a frame and are none, counted in bytes read and decompressed.
/// Each place of a file that was made to do harm can be such a frame, as long as the rest of the
/// file and of the largest content. So what such frames may cost grows with the file and with what
/// is intact in it; where it is used up, a place that looks like a frame is passed over.
#[derive(Default)]
struct Budget {
    spent: u64,
    /// The work on intact frames.
    earned: u64,
}

impl Budget {
    /// Two of the largest frames.
    const START: u64 = 2 * limits::FRAME_MAX as u64;
    /// More than licences that differ compress by.
    const PER_BYTE: u64 = 32;
    /// A short read, which takes as long as so many bytes of a long one.
    const STEP: u64 = 512;

    /// Tells whether there is some left at that place of the file.
    fn is_left(&self, at: u64) -> bool {
        self.spent <= Self::START + self.earned + at.saturating_mul(Self::PER_BYTE)
    }
}

/// Gives the length of the frame at `at` and the size of its content, by the headers of the frame
/// and its blocks (RFC 8878, 3.1.1); None if there is no frame of ours.
fn frame(window: &Window<impl ReadAt>, at: u64, budget: &mut Budget) -> Result<Option<(u32, u32)>> {
    let Some((size, mut length)) = window.bytes(at)?.and_then(frame_header) else {
        return Ok(None);
    };
    for _ in 0..BLOCKS_MAX {
        let Some([low, middle, high]) = window.bytes(at + length)? else {
            return Ok(None);
        };
        budget.spent += Budget::STEP;
        let block = u32::from_le_bytes([low, middle, high, 0]);
        let (is_last, kind) = (block & 1 == 1, block >> 1 & 3);
        length += 3 + match kind {
            RAW | COMPRESSED => u64::from(block >> 3),
            REPEATED_BYTE => 1,
            _ => return Ok(None),
        };
        if length > zstd_safe::compress_bound(limits::FRAME_MAX) as u64 {
            return Ok(None);
        }
        if is_last {
            let end = length + CHECKSUM;
            let is_whole = at + end <= window.tail.file_size();
            return Ok(is_whole.then_some((end as u32, size)));
        }
    }
    Ok(None)
}

/// The most blocks of a frame: a block holds 128 KiB at most, and no writer has a reason for many
/// that hold less.
const BLOCKS_MAX: usize = 1024;

const RAW: u32 = 0;
const REPEATED_BYTE: u32 = 1;
const COMPRESSED: u32 = 2;
const CHECKSUM: u64 = 4;

/// Gives the size of a frame's content, and that of its header.
fn frame_header(header: [u8; 13]) -> Option<(u32, u64)> {
    let [m0, m1, m2, m3, descriptor, rest @ ..] = header;
    let ours = [m0, m1, m2, m3] == zstd_safe::MAGICNUMBER.to_le_bytes()
        && descriptor & 0b0001_1111 == 0b0000_0100;
    if !ours {
        return None;
    }
    let is_one_segment = descriptor & 0b0010_0000 != 0;
    let rest = if is_one_segment {
        &rest[..]
    } else {
        rest.get(1..)?
    };
    let (size, bytes) = match (descriptor >> 6, rest) {
        (0, [size, ..]) if is_one_segment => (u64::from(*size), 1),
        (1, [s0, s1, ..]) => (256 + u64::from(u16::from_le_bytes([*s0, *s1])), 2),
        (2, [s0, s1, s2, s3, ..]) => (u32::from_le_bytes([*s0, *s1, *s2, *s3]).into(), 4),
        // The frame states no size, or one of over 4 GiB.
        _ => return None,
    };
    let is_possible = (1..=limits::FRAME_MAX as u64).contains(&size);
    let length = 5 + u64::from(!is_one_segment) + bytes;
    is_possible.then_some((size as u32, length))
}

/// A part of the file in which frames are looked for.
struct Window<'f, R> {
    source: &'f R,
    tail: &'f Tail,
    magic: Finder<'static>,
    start: u64,
    part: Vec<u8>,
}

impl<'f, R: ReadAt> Window<'f, R> {
    fn new(source: &'f R, tail: &'f Tail) -> Window<'f, R> {
        const MAGIC: [u8; 4] = zstd_safe::MAGICNUMBER.to_le_bytes();
        Window {
            source,
            tail,
            magic: Finder::new(&MAGIC),
            start: 0,
            part: Vec::new(),
        }
    }

    /// Gives the bytes of the part from `at` on, as far as it has them.
    fn known(&self, at: u64) -> &[u8] {
        let within = at.checked_sub(self.start);
        let within = within.and_then(|within| usize::try_from(within).ok());
        within
            .and_then(|within| self.part.get(within..))
            .unwrap_or_default()
    }

    /// Gives the next place from `at` on where a frame could begin.
    fn next_magic<E: From<Fault>>(
        &mut self,
        mut at: u64,
        go_on: &mut impl FnMut() -> Result<(), E>,
    ) -> Result<Option<u64>, E> {
        const PART: u64 = 16 << 10;
        let length = self.magic.needle().len();
        loop {
            let known = self.known(at);
            if let Some(place) = self.magic.find(known) {
                return Ok(Some(at + place as u64));
            }
            // The magic may begin in the last three bytes.
            at += (known.len() + 1).saturating_sub(length) as u64;
            let left = self.tail.file_size().saturating_sub(at);
            if left < length as u64 {
                return Ok(None);
            }
            go_on()?;
            self.start = at;
            self.part.clear();
            let part = sized(&mut self.part, left.min(PART) as usize).map_err(Fault::from)?;
            self.tail.read(self.source, part, at)?;
        }
    }

    /// Gives some bytes of the file; None where it ends before.
    fn bytes<const SIZE: usize>(&self, at: u64) -> Result<Option<[u8; SIZE]>> {
        if let Some(bytes) = self.known(at).first_chunk() {
            return Ok(Some(*bytes));
        }
        let mut bytes = [0; SIZE];
        if self.tail.file_size().saturating_sub(at) < SIZE as u64 {
            return Ok(None);
        }
        self.tail.read(self.source, &mut bytes, at)?;
        Ok(Some(bytes))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::io;

    use super::super::frames::Compressor;
    use super::*;

    #[test]
    fn frames_are_found_without_a_table() {
        let noise: Vec<u8> = (0..300_000_u32)
            .map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8)
            .collect();
        let contents: [&[u8]; 7] = [
            b"x",
            &[7; 255],
            &[7; 256],
            &[7; 70_000],
            &noise,
            &[0; 3 << 20],
            &noise[..100],
        ];
        let (mut file, mut expected) = (Vec::new(), Vec::new());
        for (number, content) in contents.iter().enumerate() {
            for level in [None, Some(19)] {
                let mut compressor = Compressor::of_licenses(level).unwrap();
                let mut frame = compressor.compress(content).unwrap();
                if number == 4 {
                    frame = frame.stored(content).unwrap();
                }
                if number == 2 {
                    // These bytes are no frame, though they begin like one.
                    file.extend_from_slice(&zstd_safe::MAGICNUMBER.to_le_bytes());
                    file.extend_from_slice(&[0b1010_0100, 1, 1, 1, 1, 0xFF, 0xFF, 0xFF]);
                }
                expected.push((
                    file.len() as u64,
                    frame.bytes.len() as u32,
                    content.len() as u32,
                ));
                file.extend_from_slice(&frame.bytes);
            }
        }
        file.extend_from_slice(&zstd_safe::MAGICNUMBER.to_le_bytes()); // cut off
        let tail = Tail::read_from(&file).unwrap();
        let mut memory = FrameReader::new().unwrap();
        let table = scan(&file, &tail, &mut memory, &mut || Ok::<(), Fault>(())).unwrap();
        let found = table.spans().iter();
        let found: Vec<_> = found
            .map(|span| (span.start, span.length, span.content_size))
            .collect();
        assert_eq!(found, expected);
    }

    /// A file that counts the bytes read of it.
    struct Counted {
        bytes: Vec<u8>,
        read: Cell<u64>,
    }

    impl ReadAt for Counted {
        fn size(&self) -> io::Result<u64> {
            self.bytes.size()
        }

        fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
            self.read.set(self.read.get() + buffer.len() as u64);
            self.bytes.read_exact_at(buffer, offset)
        }
    }

    /// Makes the header of a frame with that much content.
    fn header_of(content: u32) -> Vec<u8> {
        let magic = zstd_safe::MAGICNUMBER.to_le_bytes();
        [&magic[..], &[0b1010_0100], &content.to_le_bytes()].concat()
    }

    fn block(size: u32, kind: u32, is_last: bool) -> [u8; 3] {
        let [low, middle, high, _] = (size << 3 | kind << 1 | u32::from(is_last)).to_le_bytes();
        [low, middle, high]
    }

    /// Makes what looks like many frames, one in the other, which all end with `end`, of that much
    /// content.
    fn nested(end: &[u8], content: u32) -> Vec<u8> {
        const HEADERS: u32 = 10_000;
        let mut bytes = Vec::new();
        for number in (0..HEADERS).rev() {
            // The headers behind this one are a raw block of its content.
            let within = number * 12;
            bytes.extend_from_slice(&header_of(content + within));
            bytes.extend_from_slice(&block(within, RAW, false));
        }
        [&bytes, end].concat()
    }

    #[test]
    fn the_search_takes_as_long_as_the_file_however_it_was_made() {
        const BLOCK: u32 = 128 << 10;
        let repeated = |count| {
            let blocks = (1..=count)
                .flat_map(|n| [&block(BLOCK, REPEATED_BYTE, n == count)[..], b"A"].concat());
            blocks.chain(*b"sum!").collect::<Vec<u8>>()
        };
        let raw = [
            &block(BLOCK, RAW, true),
            vec![b'x'; BLOCK as usize].as_slice(),
            b"sum!",
        ]
        .concat();
        let empty = [block(0, RAW, false); 1000].concat();
        let large = limits::FRAME_MAX as u32;
        let makers = [
            // Each expands to 32 MiB before its checksum proves wrong.
            nested(&repeated(255), 255 * BLOCK),
            // Each is as long as can be.
            nested(&raw, BLOCK),
            // Each has as many blocks as can be, and then is none.
            [nested(&empty, 1), block(0, 3, true).to_vec()].concat(),
            // They follow each other: bombs, and headers that claim what they do not have.
            [&header_of(255 * BLOCK), repeated(255).as_slice()].concat(),
            [&header_of(large), &block(1, RAW, true)[..], b"xsum!"].concat(),
            [
                &header_of(large),
                &block(2, COMPRESSED, true)[..],
                b"xxsum!",
            ]
            .concat(),
            header_of(1),
        ];
        let intact = frame_of(&[("a", "1")]);
        for (number, part) in makers.iter().enumerate() {
            for size in [1 << 20, 2 << 20] {
                let mut bytes = part.repeat(size / part.len());
                // As far behind them as one of them may have cost too much.
                bytes.resize(bytes.len() + (2 << 20), 0);
                bytes.extend_from_slice(&intact);
                let (file, mut asked) = (
                    Counted {
                        bytes,
                        read: Cell::new(0),
                    },
                    0,
                );
                let tail = Tail::read_from(&file).unwrap();
                let mut memory = FrameReader::new().unwrap();
                let mut go_on = || {
                    asked += 1;
                    Ok::<(), Fault>(())
                };
                let table = scan(&file, &tail, &mut memory, &mut go_on).unwrap();
                let found = table.spans().last().map(Span::end);
                assert_eq!(
                    found,
                    Some(tail.file_size()),
                    "{number}: the frame behind them"
                );
                let (file_size, largest) = (tail.file_size(), limits::FRAME_MAX as u64);
                let bound = Budget::START + largest + file_size * Budget::PER_BYTE;
                assert!(
                    memory.unpacked <= bound,
                    "{number}: {} unpacked",
                    memory.unpacked
                );
                let bound = bound + 3 * file_size;
                assert!(
                    file.read.get() <= bound,
                    "{number}: {} read",
                    file.read.get()
                );
                // It may be ended at every part of the file.
                assert!(
                    asked as u64 >= file_size / (16 << 10),
                    "{number}: {asked} times"
                );
            }
        }
    }

    fn frame_of(licenses: &[(&str, &str)]) -> Vec<u8> {
        let mut content = Vec::new();
        for (name, text) in licenses {
            let path = format!("licenses/{name}");
            content.extend_from_slice(&super::super::members::header(&path, text.len() as u64, 7));
            content.extend_from_slice(text.as_bytes());
            content.resize(content.len().next_multiple_of(512), 0);
        }
        Compressor::of_licenses(None)
            .unwrap()
            .compress(&content)
            .unwrap()
            .bytes
    }

    /// Gives name, size and time of the licences found in a file without an end.
    fn found(parts: &[&[u8]]) -> Vec<(String, u64, i64)> {
        let file = parts.concat();
        let go_on = || Ok::<(), Fault>(());
        let reader = Reader::open_damaged(&file, go_on).unwrap();
        let found = reader.search(go_on).unwrap().into_iter();
        found
            .map(|license| (license.name, license.size, license.modified))
            .collect()
    }

    fn expected(licenses: &[(&str, u64)]) -> Vec<(String, u64, i64)> {
        let license = |(name, size): &(&str, u64)| (String::from(*name), *size, 7_000_000_000);
        licenses.iter().map(license).collect()
    }

    #[test]
    fn of_one_name_the_last_counts() {
        let (first, second) = (
            frame_of(&[("a", "1"), ("b", "22"), ("c/d", "333")]),
            frame_of(&[("a", "4444"), ("c", "55555")]),
        );
        assert_eq!(
            found(&[&first, &second]),
            expected(&[("b", 2), ("a", 4), ("c", 5)])
        );
    }

    #[test]
    fn what_is_found_in_a_ruin_replaces_nothing() {
        let (good, evil) = (
            frame_of(&[("a", "1")]),
            frame_of(&[("a", "evil"), ("b", "22")]),
        );
        assert_eq!(
            found(&[&good, b"ruin", &evil, b"ruin"]),
            expected(&[("a", 1), ("b", 2)])
        );
        assert_eq!(
            found(&[b"ruin", &evil, &good]),
            expected(&[("b", 2), ("a", 1)])
        );
    }

    #[test]
    fn a_damaged_length_hides_no_other_frame() {
        let frames: Vec<_> = (0..6)
            .map(|n| frame_of(&[(&format!("{n}"), &"x".repeat(n * 40))]))
            .collect();
        for byte in 0..12 {
            for bit in 0..8 {
                let mut damaged = frames.clone();
                damaged[1][byte] ^= 1 << bit;
                let parts: Vec<&[u8]> = damaged.iter().map(Vec::as_slice).collect();
                let names: Vec<_> = found(&parts).into_iter().map(|(name, ..)| name).collect();
                let others = ["0", "2", "3", "4", "5"];
                assert!(
                    others
                        .iter()
                        .all(|other| names.iter().any(|name| name == other)),
                    "byte {byte} bit {bit}: {names:?}"
                );
            }
        }
    }
}
