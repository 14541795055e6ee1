//! What can be read of a backup whose end is lost: frames from the front, and in them the licences.
//!
//! Nothing but a frame's checksum vouches for what is found so. Where the seek table or the digests
//! of the frames survive they are used.

use super::agreement::Expected;
use super::frames::{FrameReader, SeekTable, Tail};
use super::reader::{Found, Reader, licenses_in};
use super::trailer::Trailer;
use super::{Fault, ReadAt, Result, digest, limits};
use crate::buffer::sized;
use crate::license::{self, name};

impl<R: ReadAt> Reader<R> {
    /// Opens what [`Reader::open`] finds damaged. `go_on` is asked from time to time.
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

    /// All licences in intact frames. Of those with one name the last counts, as for tar.
    pub fn search<E: From<Fault>>(
        &self,
        mut go_on: impl FnMut() -> Result<(), E>,
    ) -> Result<Vec<Expected>, E> {
        let mut memory = FrameReader::new()?;
        let mut found = Vec::new();
        for frame in 0..self.table.spans().len() {
            go_on()?;
            let read = self.frame(frame, &mut memory).and_then(|content| {
                licenses_in(content, self.span(frame)?, |license| {
                    found.try_reserve(1)?;
                    found.push(describe(&license)?);
                    Ok(())
                })
            });
            match read {
                // Destroyed, or one of the frames behind the licences.
                Ok(()) | Err(Fault::Damaged(_)) => {}
                Err(fault) => return Err(fault.into()),
            }
        }
        Ok(latest(found)?)
    }
}

/// What a licence is by its own account, as nothing else tells.
fn describe(license: &Found) -> Result<Expected> {
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
        offset: license.offset,
    })
}

/// Those that no later one stands in for, or clashes with.
fn latest(mut found: Vec<Expected>) -> Result<Vec<Expected>> {
    let mut names = name::Set::default();
    let mut kept = Vec::new();
    kept.try_reserve_exact(found.len())?;
    while let Some(license) = found.pop() {
        if names.insert(&license.name)?.is_ok() {
            kept.push(license);
        }
    }
    kept.reverse();
    Ok(kept)
}

/// Looks for frames where there is no table of them: one behind the other, and behind what is none the
/// next that looks like one.
fn scan<E: From<Fault>>(
    source: &impl ReadAt,
    tail: &Tail,
    go_on: &mut impl FnMut() -> Result<(), E>,
) -> Result<SeekTable, E> {
    let (mut table, mut at) = (SeekTable::default(), 0);
    while at < tail.file_size() {
        go_on()?;
        match frame(source, tail, at)? {
            Some((length, content_size)) => {
                table.push_at(at, length, content_size)?;
                at += u64::from(length);
            }
            None => at = next_magic(source, tail, at + 1)?,
        }
    }
    Ok(table)
}

/// The length of the frame at `at` and the size of its content, by the headers of the frame and its
/// blocks (RFC 8878, 3.1.1); None if there is no frame of ours.
fn frame(source: &impl ReadAt, tail: &Tail, at: u64) -> Result<Option<(u32, u32)>> {
    let Some(header) = bytes::<13>(source, tail, at)? else {
        return Ok(None);
    };
    let Some((size, mut length)) = frame_header(header) else {
        return Ok(None);
    };
    loop {
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
}

const RAW: u32 = 0;
const REPEATED_BYTE: u32 = 1;
const COMPRESSED: u32 = 2;
const CHECKSUM: u64 = 4;

/// The size of a frame's content, and that of its header.
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
        // A frame that states no size, or one of over 4 GiB.
        _ => return None,
    };
    let is_possible = (1..=limits::FRAME_MAX as u64).contains(&size);
    let length = 5 + u64::from(!is_one_segment) + bytes;
    is_possible.then_some((size as u32, length))
}

/// Where the next frame could begin, or the end of the file.
fn next_magic(source: &impl ReadAt, tail: &Tail, mut at: u64) -> Result<u64> {
    const PART: usize = 64 << 10;
    let magic = zstd_safe::MAGICNUMBER.to_le_bytes();
    let mut buffer = Vec::new();
    loop {
        let left = tail.file_size().saturating_sub(at);
        if left < magic.len() as u64 {
            return Ok(tail.file_size());
        }
        let part = sized(&mut buffer, left.min(PART as u64) as usize)?;
        tail.read(source, part, at)?;
        if let Some(place) = part.windows(magic.len()).position(|four| four == magic) {
            return Ok(at + place as u64);
        }
        // The magic may begin in the last three bytes.
        at += (part.len() - (magic.len() - 1)) as u64;
    }
}

/// Some bytes of the file; None where it ends before.
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
                let mut compressor = Compressor::new(level).unwrap();
                let mut frame = compressor.compress(content, Vec::new()).unwrap();
                if number == 4 {
                    frame = frame.stored(content).unwrap();
                }
                if number == 2 {
                    // What is none, though it begins like a frame.
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

    #[test]
    fn of_one_name_the_last_counts() {
        let license = |name: &str, offset| Expected {
            offset,
            ..describe(&Found {
                offset,
                name: name.into(),
                modified: 0,
                content: b"",
            })
            .unwrap()
        };
        let found = [
            ("a", 1),
            ("b", 2),
            ("c/d", 3),
            ("a", 4),
            ("b/c", 5),
            ("c", 6),
        ];
        let kept = latest(found.map(|(name, offset)| license(name, offset)).into()).unwrap();
        let kept: Vec<_> = kept
            .iter()
            .map(|license| (license.name.as_str(), license.offset))
            .collect();
        assert_eq!(kept, [("a", 4), ("b/c", 5), ("c", 6)]);
    }
}
