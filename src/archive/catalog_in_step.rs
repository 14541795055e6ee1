//! Whether the members that list the licences agree with each other, and with the licences that
//! were found.

use super::index::{self, Record};
use super::lines::{parse_license, parse_sum, parse_time};
use super::reader::{Lines, Reader};
use super::records::LicenseLine;
use super::{Digest, Fault, LICENSES, ReadAt, Result, SUMS};
use crate::license::{BackupRight, Format, name};

/// What the lists say of one licence.
#[derive(Clone, Debug)]
pub struct Expected {
    pub name: String,
    pub key_id: String,
    pub right: BackupRight,
    pub format: Format,
    pub modified: i64,
    pub size: u64,
    pub digest: Digest,
    /// Of its member, in the decompressed stream.
    pub offset: u64,
}

/// What the lists say of one licence, and where they say it.
pub struct LinesInStep<'l> {
    pub place: Record,
    pub digest: Digest,
    pub modified: i64,
    pub line: LicenseLine<'l>,
}

impl Expected {
    /// A licence by its line in `SHA256SUMS` and that in `licenses.jsonl`.
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

/// What both lines say of a licence.
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

/// Whether the index has the licence `name` under its key ID.
fn check_key(place: &Record, key_id: &str, name: &str) -> Result<()> {
    match place.key == index::key(key_id) {
        true => Ok(()),
        false => Err(disagree(&format!("at {}", name::shown(name)))),
    }
}

/// Walks the lists in the order of the licences' members.
pub struct Agreement<'r, R> {
    /// The index in the order of the members, which is that of the lists.
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

    /// How many licences the index has.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether the next licence in the lists begins before `end` in the decompressed stream.
    pub fn has_next_before(&self, end: u64) -> bool {
        self.places
            .get(self.next)
            .is_some_and(|place| place.member < end)
    }

    /// What the lists say of the next licence; it is an error where they disagree.
    pub fn next(&mut self) -> Result<Expected> {
        let (place, sum, line) = self.step()?;
        let expected = Expected::parse(sum, line, place.member)?;
        check_key(&place, &expected.key_id, &expected.name)?;
        Ok(expected)
    }

    /// What the lists say of the next licence, as they say it; it is an error where they disagree.
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

    /// The next licence's place and lines, which are where it says.
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

    /// How many licences of the lists have been told.
    pub fn told(&self) -> usize {
        self.next
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
