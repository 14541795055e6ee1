//! Reads what is left of a backup whose end is lost: frames from the front, and the licences in
//! them.
//!
//! Only a frame's checksum vouches for these licences. The seek table is used where it survives.

use super::catalog_in_step::Expected;
use super::frames::{FrameReader, SeekTable, Span, Tail};
use super::reader::{Found, Reader, licenses_in};
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
            Err(Fault::Damaged(_)) => scan(&source, &tail, &mut go_on)?,
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
    go_on: &mut impl FnMut() -> Result<(), E>,
) -> Result<SeekTable, E> {
    let (mut table, mut at) = (SeekTable::default(), 0);
    let (mut memory, mut window) = (FrameReader::new()?, Window::default());
    while at < tail.file_size() {
        go_on()?;
        let found = match frame(source, tail, at)? {
            Some((length, content_size)) => {
                let span = Span {
                    start: at,
                    length,
                    content_start: 0,
                    content_size,
                };
                match memory.read(source, tail, span, None) {
                    Ok(_) => Some(span),
                    Err(Fault::Damaged(_)) => None,
                    Err(fault) => return Err(fault.into()),
                }
            }
            None => None,
        };
        at = match found {
            Some(span) => {
                table.push_at(at, span.length, span.content_size)?;
                at + u64::from(span.length)
            }
            None => window.next_magic(source, tail, at + 1)?,
        };
    }
    Ok(table)
}

/// Gives the length of the frame at `at` and the size of its content, by the headers of the frame
/// and its blocks (RFC 8878, 3.1.1); None if there is no frame of ours.
fn frame(source: &impl ReadAt, tail: &Tail, at: u64) -> Result<Option<(u32, u32)>> {
    let Some(header) = bytes::<13>(source, tail, at)? else {
        return Ok(None);
    };
    let Some((size, mut length)) = frame_header(header) else {
        return Ok(None);
    };
    for _ in 0..BLOCKS_MAX {
        let Some([low, middle, high]) = bytes(source, tail, at + length)? else {
            return Ok(None);
        };
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
            let is_whole = at + end <= tail.file_size();
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
#[derive(Default)]
struct Window {
    start: u64,
    bytes: Vec<u8>,
}

impl Window {
    /// Gives the place from `at` on where the next frame could begin, or the end of the file.
    fn next_magic(&mut self, source: &impl ReadAt, tail: &Tail, mut at: u64) -> Result<u64> {
        const PART: u64 = 64 << 10;
        let magic = zstd_safe::MAGICNUMBER.to_le_bytes();
        loop {
            let left = tail.file_size().saturating_sub(at);
            if left < magic.len() as u64 {
                return Ok(tail.file_size());
            }
            let within = at.checked_sub(self.start).map(|within| within as usize);
            let known = within
                .and_then(|within| self.bytes.get(within..))
                .unwrap_or_default();
            if known.len() < magic.len() {
                self.bytes.clear();
                self.start = at;
                tail.read(source, sized(&mut self.bytes, left.min(PART) as usize)?, at)?;
                continue;
            }
            if let Some(place) = known.windows(magic.len()).position(|four| four == magic) {
                return Ok(at + place as u64);
            }
            // The magic may begin in the last three bytes.
            at += (known.len() - (magic.len() - 1)) as u64;
        }
    }
}

/// Reads some bytes of the file; None where it ends before.
fn bytes<const SIZE: usize>(
    source: &impl ReadAt,
    tail: &Tail,
    at: u64,
) -> Result<Option<[u8; SIZE]>> {
    let mut bytes = [0; SIZE];
    if tail.file_size().saturating_sub(at) < SIZE as u64 {
        return Ok(None);
    }
    tail.read(source, &mut bytes, at)?;
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
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
        let table = scan(&file, &tail, &mut || Ok::<(), Fault>(())).unwrap();
        let found = table.spans().iter();
        let found: Vec<_> = found
            .map(|span| (span.start, span.length, span.content_size))
            .collect();
        assert_eq!(found, expected);
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
