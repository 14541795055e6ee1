//! Counts the licences that only the replaced backup has.
//!
//! Names that are in order, as those of most stores are, are compared as they are read. Where they
//! are not, those of the replaced backup are kept as hashes.

use std::hash::BuildHasher;
use std::io::Write;

use crate::archive::lines::parse_sum;
use crate::archive::reader::Lines;
use crate::archive::spool::Scratch;
use crate::archive::writer::Writer;
use crate::archive::{Fault, SUMS};
use crate::engine::operation::Operation;
use crate::engine::reading::backup_file::{Backup, Source};
use crate::engine::stop::Stop;
use crate::error::{Error, Result, has_given_up};
use crate::random::{self, HashSet};

/// Counts the licences of `before` that `writer` was not given; none where its names can't be read.
pub fn count<F: Write, S: Scratch>(
    before: &Backup,
    writer: &Writer<'_, F, S>,
    operation: &Operation,
) -> Result<Option<u64>> {
    let counted = in_order(before, writer, operation).and_then(|counted| match counted {
        None => by_hash(before, writer, operation),
        counted => Ok(counted),
    });
    match counted {
        Ok(counted) => Ok(counted),
        Err(Stop::Fault(Fault::OutOfMemory)) => Err(Error::out_of_memory()),
        Err(Stop::Error(error)) if error.has_given_up() => Err(error),
        Err(Stop::Fault(Fault::System(error))) if has_given_up(&error) => {
            Err(before.error(Fault::System(error)))
        }
        Err(_) => operation.check().map(|()| None),
    }
}

/// Counts them, if all names are in order.
fn in_order<F: Write, S: Scratch>(
    before: &Backup,
    writer: &Writer<'_, F, S>,
    operation: &Operation,
) -> Result<Option<u64>, Stop> {
    let mut gone = before.reader.trailer().licenses;
    // Two lists of names, each in an order of its own.
    for is_kept in [true, false] {
        let mut old = OldNames {
            lines: before.reader.framed_lines(SUMS)?,
            next: String::new(),
            are_in_order: true,
            are_left: true,
        };
        old.go_on()?;
        let (mut last, mut are_in_order, mut shared) = (String::new(), true, 0);
        let mut visit = |name: &str| -> Result<(), Stop> {
            operation.check()?;
            are_in_order &= last.as_str() < name;
            name.clone_into(&mut last);
            while are_in_order && old.are_left && old.next.as_str() < name {
                old.go_on()?;
            }
            shared += u64::from(old.are_left && old.next == name);
            Ok(())
        };
        match is_kept {
            true => writer.kept_names(&mut visit)?,
            false => writer.restricted_names(&mut visit)?,
        }
        while are_in_order && old.are_left {
            operation.check()?;
            old.go_on()?;
        }
        if !are_in_order || !old.are_in_order {
            return Ok(None);
        }
        gone = gone.saturating_sub(shared);
    }
    Ok(Some(gone))
}

/// The names of the replaced backup, one after the other.
struct OldNames<'b> {
    lines: Lines<'b, Source>,
    next: String,
    /// The names so far are in order.
    are_in_order: bool,
    are_left: bool,
}

impl OldNames<'_> {
    fn go_on(&mut self) -> Result<(), Fault> {
        let Some(line) = self.lines.next()? else {
            self.are_left = false;
            return Ok(());
        };
        let (_, name) = parse_sum(line)?;
        self.are_in_order &= self.next.as_str() < name;
        name.clone_into(&mut self.next);
        Ok(())
    }
}

/// Counts them, whatever the order of names.
fn by_hash<F: Write, S: Scratch>(
    before: &Backup,
    writer: &Writer<'_, F, S>,
    operation: &Operation,
) -> Result<Option<u64>, Stop> {
    let (key, mut left) = (random::Key::default(), HashSet::default());
    let mut lines = before.reader.framed_lines(SUMS)?;
    while let Some(line) = lines.next()? {
        operation.check()?;
        left.try_reserve(1).map_err(Fault::from)?;
        left.insert(key.hash_one(parse_sum(line)?.1));
    }
    writer.names(|name| -> Result<(), Stop> {
        operation.check()?;
        left.remove(&key.hash_one(name));
        Ok(())
    })?;
    Ok(Some(left.len() as u64))
}
