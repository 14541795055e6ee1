//! The index, which finds licences by their key IDs.
//!
//! Licences are counted in the order of the lists. The index begins with a number for each frame
//! before it: of licences that count in the frame, or of lines. The sums of these numbers lead from
//! a licence to its frame and to its lines. Records follow, one for each key ID of each licence.

use std::ops::Range;

use super::records::LicenseLine;
use super::{Digest, Result, digest, digests};

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
    hint_of(&digest(key_id.as_bytes()))
}

fn hint_of(digest: &Digest) -> u32 {
    let [h0, h1, h2, h3, ..] = *digest;
    u32::from_be_bytes([h0, h1, h2, h3])
}

/// Key IDs of licences, whose records are made all at once: so their digests take less time.
#[derive(Default)]
pub struct KeyIds {
    text: Vec<u8>,
    /// The licence of each, and its end in the text.
    ends: Vec<(u32, usize)>,
}

impl KeyIds {
    /// Takes the key IDs of the licence that has this number, which ascends.
    pub fn push(&mut self, license: u32, line: &LicenseLine) -> Result<()> {
        for key_id in line.key_ids() {
            self.text.try_reserve(key_id.len())?;
            self.ends.try_reserve(1)?;
            self.text.extend_from_slice(key_id.as_bytes());
            self.ends.push((license, self.text.len()));
        }
        Ok(())
    }

    /// Gives the records of the key IDs taken so far, and begins anew. Key IDs of one licence with
    /// the same hint share one.
    pub fn records(&mut self) -> Result<Vec<Record>> {
        let starts = std::iter::once(0).chain(self.ends.iter().map(|(_, end)| *end));
        let places = starts.zip(&self.ends).map(|(start, (_, end))| start..*end);
        let key_ids = places.map(|place| self.text.get(place).unwrap_or_default());
        let digests = digests(self.ends.len(), key_ids)?;
        let mut records = Vec::new();
        records.try_reserve_exact(digests.len())?;
        let licenses = self.ends.iter().map(|(license, _)| *license);
        records.extend(licenses.zip(&digests).map(|(license, digest)| Record {
            hint: hint_of(digest),
            license,
        }));
        // Most licences have one key ID, and then these are sorted.
        records.sort_by_key(|record| (record.license, record.hint));
        records.dedup();
        self.text.clear();
        self.ends.clear();
        Ok(records)
    }
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
    fn each_key_id_has_a_record_and_none_has_two() {
        let line = |key_id: &'static str, others: &[&'static str]| LicenseLine {
            name: "a".into(),
            key_id: key_id.into(),
            format: "lcp".into(),
            right: "unstated".into(),
            size: 1,
            modified: None,
            other_key_ids: others.iter().map(|other| (*other).into()).collect(),
        };
        let mut key_ids = KeyIds::default();
        assert_eq!(key_ids.records().unwrap(), []);
        for first in [0, 7] {
            key_ids.push(first, &line("abc", &[])).unwrap();
            let several = line("x", &["abc", "", "x", "abc"]);
            key_ids.push(first + 1, &several).unwrap();
            key_ids.push(first + 2, &line("abc", &[])).unwrap();
            let mut expected = vec![(first, hint("abc")), (first + 2, hint("abc"))];
            expected.extend(["", "abc", "x"].map(|key_id| (first + 1, hint(key_id))));
            expected.sort_unstable();
            let records = key_ids.records().unwrap().into_iter();
            let records: Vec<_> = records
                .map(|record| (record.license, record.hint))
                .collect();
            assert_eq!(records, expected);
        }
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
