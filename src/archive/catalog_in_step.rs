//! Checks whether the members that list the licences agree with each other, and with the licences
//! that were found.

use super::index::{self, Record};
use super::lines::{parse_license, parse_sum, parse_time};
use super::reader::{Lines, Reader};
use super::records::LicenseLine;
use super::{Digest, Fault, LICENSES, ReadAt, Result, SUMS};
use crate::license::{BackupRight, Format, name};

/// The facts that the lists state about one licence.
#[derive(Clone, Debug)]
pub struct Expected {
    pub name: String,
    pub key_id: String,
    pub right: BackupRight,
    pub format: Format,
    pub modified: i64,
    pub size: u64,
    pub digest: Digest,
    /// The place of its member in the decompressed stream.
    pub offset: u64,
}

/// The facts that the lists state about one licence, with the places of its lines.
pub struct LinesInStep<'l> {
    pub place: Record,
    pub digest: Digest,
    pub modified: i64,
    pub line: LicenseLine<'l>,
}

impl Expected {
    /// Reads a licence from its line in `SHA256SUMS` and that in `licenses.jsonl`.
    pub fn parse(sum: &[u8], line: &[u8], offset: u64) -> Result<Expected> {
        let (digest, line) = agreed(sum, line)?;
        Ok(Expected {
            modified: parse_time(line.modified.as_deref())?,
            right: line.right(),
            format: line.format(),
            name: line.name.into_owned(),
            key_id: line.key_id.into_owned(),
            size: line.size,
            digest,
            offset,
        })
    }
}

/// Gives the facts in both lines, which must name the same licence.
fn agreed<'a>(sum: &[u8], line: &'a [u8]) -> Result<(Digest, LicenseLine<'a>)> {
    let ((digest, name), line) = (parse_sum(sum)?, parse_license(line)?);
    match line.name == name {
        true => Ok((digest, line)),
        false => Err(disagree(&format!("at {}", name::shown(name)))),
    }
}

fn disagree(what: &str) -> Fault {
    Fault::Damaged(format!("its lists of licences disagree: {what}"))
}

/// Checks that the index has the licence `name` under its key ID.
fn check_key(place: &Record, key_id: &str, name: &str) -> Result<()> {
    match place.key == index::key(key_id) {
        true => Ok(()),
        false => Err(disagree(&format!("at {}", name::shown(name)))),
    }
}

/// Walks the lists in the order of the licences' members.
pub struct Agreement<'r, R> {
    /// The index in the order of the members, which is also that of the lists.
    places: Vec<Record>,
    next: usize,
    sums: Lines<'r, R>,
    lines: Lines<'r, R>,
}

impl<'r, R: ReadAt> Agreement<'r, R> {
    pub fn new(reader: &'r Reader<R>) -> Result<Agreement<'r, R>> {
        let mut places = reader.index()?;
        places.sort_unstable_by_key(|place| place.member);
        Ok(Agreement {
            places,
            next: 0,
            sums: reader.lines(SUMS)?,
            lines: reader.lines(LICENSES)?,
        })
    }

    /// Counts the licences in the index.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Tells whether the next licence in the lists begins before `end` in the decompressed stream.
    pub fn has_next_before(&self, end: u64) -> bool {
        self.places
            .get(self.next)
            .is_some_and(|place| place.member < end)
    }

    /// Gives the facts about the next licence; fails where the lists disagree.
    pub fn next(&mut self) -> Result<Expected> {
        let (place, sum, line) = self.step()?;
        let expected = Expected::parse(sum, line, place.member)?;
        check_key(&place, &expected.key_id, &expected.name)?;
        Ok(expected)
    }

    /// Gives the facts about the next licence with its lines; fails where the lists disagree.
    pub fn next_listed(&mut self) -> Result<LinesInStep<'_>> {
        let (place, sum, line) = self.step()?;
        let (digest, line) = agreed(sum, line)?;
        check_key(&place, &line.key_id, &line.name)?;
        Ok(LinesInStep {
            place,
            digest,
            modified: parse_time(line.modified.as_deref())?,
            line,
        })
    }

    /// Gives the next licence's place and lines, which must be where the place says.
    fn step(&mut self) -> Result<(Record, &[u8], &[u8])> {
        let place = self.places.get(self.next).copied();
        let place = place.ok_or_else(|| disagree("the index ends first"))?;
        let sum = self.sums.next()?;
        let (sum_at, sum) = sum.ok_or_else(|| disagree("SHA256SUMS ends first"))?;
        let line = self.lines.next()?;
        let (line_at, line) = line.ok_or_else(|| disagree("licenses.jsonl ends first"))?;
        if (place.sum, place.line) != (sum_at, line_at) {
            return Err(disagree("the index points elsewhere"));
        }
        self.next += 1;
        Ok((place, sum, line))
    }

    /// Counts the licences given so far.
    pub fn told(&self) -> usize {
        self.next
    }

    /// Checks that all lists have ended together.
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
