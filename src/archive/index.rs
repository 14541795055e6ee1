//! The index, which finds licences by their key IDs.
//!
//! Licences are counted in the order of the lists. The index begins with a number for each frame
//! before it: of licences that count in the frame, or of lines. The sums of these numbers lead from
//! a licence to its frame and to its lines. Records follow, one for each key ID of each licence.

use std::ops::Range;

use super::records::LicenseLine;
use super::{Digest, Result, digest};

/// Bytes of a record in the file, and of the number for a frame.
pub const RECORD: usize = 8;
pub const COUNT: usize = 4;

/// A licence by one of its key IDs. Records are sorted by the hint, and of one hint by the licence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Record {
    /// A hint of the key ID: some bytes of its SHA-256. The key ID in `licenses.jsonl` decides.
    pub hint: u32,
    /// The number of the licence.
    pub license: u32,
}

/// Gives the part of a record that stands for `key_id`.
pub fn hint(key_id: &str) -> u32 {
    let digest: Digest = digest(key_id.as_bytes());
    let [h0, h1, h2, h3, ..] = digest;
    u32::from_be_bytes([h0, h1, h2, h3])
}

/// Calls `take` with the hint of each key ID of a licence. Key IDs with the same hint share one.
pub fn each_hint(line: &LicenseLine, mut take: impl FnMut(u32) -> Result<()>) -> Result<()> {
    let first = hint(&line.key_id);
    take(first)?;
    let mut others = Vec::new();
    others.try_reserve_exact(line.other_key_ids.len())?;
    others.extend(line.other_key_ids.iter().map(|key_id| hint(key_id)));
    others.sort_unstable();
    others.dedup();
    let mut others = others.into_iter().filter(|other| *other != first);
    others.try_for_each(take)
}

impl Record {
    /// Writes the licence, then the hint, the least significant byte first.
    pub fn to_bytes(self) -> [u8; RECORD] {
        (u64::from(self.hint) << 32 | u64::from(self.license)).to_le_bytes()
    }

    pub fn from_bytes(bytes: [u8; RECORD]) -> Record {
        let number = u64::from_le_bytes(bytes);
        Record {
            hint: (number >> 32) as u32,
            license: number as u32,
        }
    }
}

/// The numbers of licences and lines in the frames of a backup.
pub struct Counts {
    /// Of each frame before the index, the number of its first licence or line in its member.
    pub starts: Vec<u32>,
    /// The frames of the licences, of `SHA256SUMS` and of `licenses.jsonl`.
    pub licenses: Range<usize>,
    pub sums: Range<usize>,
    pub lines: Range<usize>,
    /// The number of all licences.
    pub total: u32,
}

impl Counts {
    /// Gives the numbers of the licences that count in a frame.
    pub fn licenses_in(&self, frame: usize) -> Range<u32> {
        let of_licenses = self.starts.get(self.licenses.clone()).unwrap_or_default();
        let start = |frame: usize| of_licenses.get(frame).copied().unwrap_or(self.total);
        start(frame)..start(frame + 1)
    }

    /// Gives the frame that has the licence `number`.
    pub fn frame_of(&self, number: u32) -> usize {
        self.find(&self.licenses, number).0
    }

    /// Gives the frame that has the line of the licence `number` in `SHA256SUMS`, and the number of
    /// the first line in that frame.
    pub fn sums_of(&self, number: u32) -> (usize, u32) {
        self.find(&self.sums, number)
    }

    /// Gives the same for `licenses.jsonl`.
    pub fn lines_of(&self, number: u32) -> (usize, u32) {
        self.find(&self.lines, number)
    }

    fn find(&self, frames: &Range<usize>, number: u32) -> (usize, u32) {
        let starts = self.starts.get(frames.clone()).unwrap_or_default();
        let after = starts.partition_point(|start| *start <= number);
        let within = after.saturating_sub(1);
        let start = starts.get(within).copied().unwrap_or_default();
        (frames.start + within, start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_a_licence_and_a_hint_in_little_endian() {
        let record = Record {
            hint: 0x0403_0201,
            license: 5,
        };
        assert_eq!(record.to_bytes(), [5, 0, 0, 0, 1, 2, 3, 4]);
        assert_eq!(Record::from_bytes(record.to_bytes()), record);
        assert_eq!(hint("abc"), 0xba78_16bf);
    }

    #[test]
    fn a_licence_is_in_the_last_frame_that_begins_with_it_or_before() {
        let counts = Counts {
            starts: vec![0, 3, 3, 7, 0, 0, 5, 0, 9],
            licenses: 0..4,
            sums: 4..7,
            lines: 7..9,
            total: 10,
        };
        let frames = [0, 2, 3, 6, 7, 9].map(|number| counts.frame_of(number));
        assert_eq!(frames, [0, 0, 2, 2, 3, 3]);
        assert_eq!(counts.licenses_in(0), 0..3);
        assert_eq!(counts.licenses_in(1), 3..3);
        assert_eq!(counts.licenses_in(3), 7..10);
        assert_eq!(counts.licenses_in(4), 10..10);
        assert_eq!(
            [0, 4, 5].map(|number| counts.sums_of(number)),
            [(5, 0), (5, 0), (6, 5)]
        );
        assert_eq!(
            [8, 9].map(|number| counts.lines_of(number)),
            [(7, 0), (8, 9)]
        );
    }
}
