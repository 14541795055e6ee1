//! Checks whether the members that list the licences agree with each other.

use std::borrow::Cow;
use std::hash::BuildHasher;

use super::index::{Counts, KeyIds, Record};
use super::lines::{parse_license, parse_sum, parse_time};
use super::reader::{Lines, Reader};
use super::records::LicenseLine;
use super::{Digest, Fault, LICENSES, ReadAt, Result, SUMS};
use crate::license::{BackupRight, Format, name};
use crate::random;

/// The facts that the lists state about one licence.
#[derive(Clone, Debug)]
pub struct Expected {
    pub name: String,
    pub key_id: String,
    /// The key IDs besides the first.
    pub other_key_ids: Vec<String>,
    pub right: BackupRight,
    pub format: Format,
    pub modified: i64,
    pub size: u64,
    pub digest: Digest,
    /// The frame that has it. Licences stand in it in their order.
    pub frame: usize,
}

impl Expected {
    /// Tells whether this is one of the licence's key IDs.
    pub fn has_key_id(&self, key_id: &str) -> bool {
        self.key_id == key_id || self.other_key_ids.iter().any(|other| other == key_id)
    }

    /// Makes the facts of a licence of which both lines are known.
    pub fn new(digest: Digest, mut line: LicenseLine, frame: usize) -> Result<Expected> {
        let mut other_key_ids = Vec::new();
        other_key_ids.try_reserve_exact(line.other_key_ids.len())?;
        other_key_ids.extend(line.other_key_ids.drain(..).map(Cow::into_owned));
        Ok(Expected {
            modified: parse_time(line.modified.as_deref())?,
            right: line.right(),
            format: line.format(),
            name: line.name.into_owned(),
            key_id: line.key_id.into_owned(),
            other_key_ids,
            size: line.size,
            digest,
            frame,
        })
    }
}

/// Gives the facts in both lines, which must name the same licence.
pub fn agreed<'a>(sum: &[u8], line: &'a [u8]) -> Result<(Digest, LicenseLine<'a>)> {
    let ((digest, name), line) = (parse_sum(sum)?, parse_license(line)?);
    match line.name == name {
        true => Ok((digest, line)),
        false => Err(disagree(&format!("at {}", name::shown(name)))),
    }
}

fn disagree(what: &str) -> Fault {
    Fault::Damaged(format!("its lists of licences disagree: {what}"))
}

/// Walks the lists in the order of the licences.
pub struct Agreement<'r, R> {
    reader: &'r Reader<R>,
    counts: Counts,
    /// The number of the next licence.
    next: u32,
    sums: Lines<'r, R>,
    lines: Lines<'r, R>,
    /// The key IDs of the licences in the frame.
    key_ids: KeyIds,
    keys: KeySum,
}

/// Sums hashes of records up, so that two lists of them can be compared in any order.
#[derive(Clone, Default)]
struct KeySum {
    key: random::Key,
    sum: u64,
}

impl KeySum {
    fn add(&mut self, record: Record) {
        self.sum = self.sum.wrapping_add(self.key.hash_one(record));
    }
}

impl<'r, R: ReadAt> Agreement<'r, R> {
    pub fn new(reader: &'r Reader<R>) -> Result<Agreement<'r, R>> {
        Ok(Agreement {
            reader,
            counts: reader.counts()?,
            next: 0,
            sums: reader.lines(SUMS)?,
            lines: reader.lines(LICENSES)?,
            key_ids: KeyIds::default(),
            keys: KeySum::default(),
        })
    }

    /// Gives the facts about the licences in `frame`, the next of all frames; fails where the lists
    /// disagree.
    pub fn of_frame(&mut self, frame: usize) -> Result<Vec<Expected>> {
        let (numbers, mut licenses) = (self.counts.licenses_in(frame), Vec::new());
        licenses.try_reserve_exact(numbers.len())?;
        for _ in numbers {
            licenses.push(self.next(frame)?);
        }
        let records = self.key_ids.records()?.into_iter();
        records.for_each(|record| self.keys.add(record));
        Ok(licenses)
    }

    fn next(&mut self, frame: usize) -> Result<Expected> {
        let sum = self.sums.next()?;
        let sum = sum.ok_or_else(|| disagree("SHA256SUMS ends first"))?;
        let line = self.lines.next()?;
        let line = line.ok_or_else(|| disagree("licenses.jsonl ends first"))?;
        let (digest, line) = agreed(sum, line)?;
        self.key_ids.push(self.next, &line)?;
        self.next += 1;
        Expected::new(digest, line, frame)
    }

    /// Counts the licences given so far.
    pub fn told(&self) -> u32 {
        self.next
    }

    /// Checks that all lists have ended together, and that the index has the key IDs of all
    /// licences.
    pub fn finish(self) -> Result<()> {
        if u64::from(self.next) != self.reader.trailer().licenses {
            return Err(Fault::damaged(
                "its lists name licences that it does not hold",
            ));
        }
        self.sums.finish()?;
        self.lines.finish()?;
        let ((_, mut index), mut keys) = (
            self.reader.index()?,
            KeySum {
                sum: 0,
                ..self.keys.clone()
            },
        );
        while let Some(record) = index.next()? {
            keys.add(record);
        }
        index.finish()?;
        match keys.sum == self.keys.sum {
            true => Ok(()),
            false => Err(disagree("the index has other key IDs")),
        }
    }
}
