//! Whether the members that list the licences agree with each other, and with the licences that
//! were found.

use super::index::{self, Record};
use super::lines::{LicenseLine, parse_license, parse_sum, parse_time};
use super::reader::{Lines, Reader};
use super::{Digest, Fault, LICENSES, ReadAt, Result, SUMS};

/// What the lists say of one licence.
#[derive(Debug)]
pub struct Listed<'a> {
    pub line: LicenseLine<'a>,
    pub modified: i64,
    pub digest: Digest,
    /// Of its member, in the decompressed stream.
    pub offset: u64,
}

/// Walks the lists in the order of the licences' members.
pub struct Agreement<'r, R> {
    places: &'r [Record],
    next: usize,
    sums: Lines<'r, R>,
    lines: Lines<'r, R>,
}

/// The index in the order of the members, which is that of the lists.
pub fn places(reader: &Reader<impl ReadAt>) -> Result<Vec<Record>> {
    let mut records = reader.index()?;
    records.sort_unstable_by_key(|record| record.member);
    Ok(records)
}

impl<'r, R: ReadAt> Agreement<'r, R> {
    pub fn new(reader: &'r Reader<R>, places: &'r [Record]) -> Result<Agreement<'r, R>> {
        Ok(Agreement {
            places,
            next: 0,
            sums: reader.lines(SUMS)?,
            lines: reader.lines(LICENSES)?,
        })
    }

    /// Whether the next licence in the lists begins before `end` in the decompressed stream.
    pub fn has_next_before(&self, end: u64) -> bool {
        self.places
            .get(self.next)
            .is_some_and(|place| place.member < end)
    }

    /// What the lists say of the next licence; it is an error where they disagree.
    pub fn next(&mut self) -> Result<Listed<'_>> {
        let disagree =
            |what: &str| Fault::Damaged(format!("its lists of licences disagree: {what}"));
        let place = self
            .places
            .get(self.next)
            .ok_or_else(|| disagree("the index ends first"))?;
        let (sum_at, sum) = self
            .sums
            .next()?
            .ok_or_else(|| disagree("SHA256SUMS ends first"))?;
        let (digest, name) = parse_sum(sum)?;
        let (line_at, line) = self
            .lines
            .next()?
            .ok_or_else(|| disagree("licenses.jsonl ends first"))?;
        let line = parse_license(line)?;
        let modified = parse_time(line.modified.as_deref())?;
        let key = index::key(&line.key_id);
        if line.name != name || (place.key, place.sum, place.line) != (key, sum_at, line_at) {
            return Err(disagree(&format!("at {}", name.escape_debug())));
        }
        self.next += 1;
        Ok(Listed {
            line,
            modified,
            digest,
            offset: place.member,
        })
    }

    /// Whether all lists have ended together.
    pub fn finish(self) -> Result<()> {
        if self.next != self.places.len() {
            return Err(Fault::damaged(
                "its lists name licences that it does not hold",
            ));
        }
        self.sums.finish()?;
        self.lines.finish()
    }
}
