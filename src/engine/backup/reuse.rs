//! Takes over from an old backup what has not changed: frames are copied as they are, and so are
//! the lines of their licences.

use std::io::Write;

use super::output::Output;
use super::previous_backup::{Fate, OldLicense, PreviousBackup, Superseded};
use super::surviving_frames::{FrameFate, kept};
use crate::archive::builder::FrameLists;
use crate::archive::index::Record;
use crate::archive::lines::{parse_license, parse_sum};
use crate::archive::seek_table::Span;
use crate::archive::spool::Scratch;
use crate::archive::writer::Writer;
use crate::archive::{Digest, Fault, LICENSES, ReadAt, SUMS, digest, limits, reader};
use crate::buffer::sized;
use crate::engine::operation::Operation;
use crate::engine::reading::backup_file::Source;
use crate::engine::stop::Stop;
use crate::error::{Result, has_given_up};
use crate::license::name;
use crate::random::HashSet;

/// The size below which a frame is small.
const SMALL: u32 = (limits::FRAME_TARGET / 16) as u32;

/// The plan for taking over the frames of an old backup, once the fate of all its licences is
/// known.
pub struct Reuse<'o> {
    old: &'o PreviousBackup,
    /// The frames that are kept, by number; those with a licence that must go are made anew.
    kept: Vec<bool>,
}

/// Collects the facts about each frame of the old backup.
fn fates(old: &PreviousBackup) -> Result<Vec<FrameFate>> {
    let reader = &old.backup.reader;
    let frames = reader.license_frames();
    let mut fates = Vec::new();
    fates.try_reserve_exact(frames)?;
    for frame in 0..frames {
        let mut fate = FrameFate {
            is_small: reader
                .span(frame)
                .is_ok_and(|span| span.content_size < SMALL),
            ..FrameFate::default()
        };
        for license in old.licenses_in(frame) {
            fate.must_go |= license.must_go();
            match license.fate() {
                Fate::Unchanged => {
                    fate.has_life = true;
                    fate.live += u64::from(license.size);
                }
                _ => fate.dead += u64::from(license.size),
            }
        }
        fates.push(fate);
    }
    for (frame, superseded) in &old.superseded {
        // Any tar would bring back an old version of a licence that is gone. The same goes for an
        // old version that does not come before the one that counts.
        let is_superseded = |name: &str| {
            let found = old.find_in_frame(name);
            found.is_some_and(|(license, its_frame)| match license.fate() {
                Fate::Unchanged => its_frame > *frame as usize,
                fate => fate == Fate::Changed,
            })
        };
        if let Some(fate) = fates.get_mut(*frame as usize) {
            fate.must_go |= !superseded.iter().all(|old| is_superseded(&old.name));
            fate.dead += superseded
                .iter()
                .map(|old| u64::from(old.size))
                .sum::<u64>();
        }
    }
    Ok(fates)
}

impl Reuse<'_> {
    /// Makes the plan; none where too little of the old backup is left. `has_new` says that the
    /// backup gets new licences.
    pub fn of(old: &PreviousBackup, has_new: bool) -> Result<Option<Reuse<'_>>> {
        let kept = kept(&fates(old)?, has_new);
        let any = kept.iter().any(|kept| *kept);
        Ok(any.then_some(Reuse { old, kept }))
    }

    /// Gives those `names` of which an older version is in a frame that is kept.
    pub fn with_older_versions(&self, names: &[String]) -> Result<HashSet<String>> {
        let (mut older, mut found) = (HashSet::default(), HashSet::default());
        for (frame, superseded) in &self.old.superseded {
            if self.is_kept(*frame as usize) {
                older.try_reserve(superseded.len())?;
                older.extend(superseded.iter().map(|license| license.name.as_str()));
            }
        }
        for name in names.iter().filter(|name| older.contains(name.as_str())) {
            found.try_reserve(1)?;
            found.insert(name.clone());
        }
        Ok(found)
    }

    /// Copies the frames that are kept to the beginning of the backup that `writer` writes, which
    /// has been given nothing yet. Gives the names of the unchanged licences that have to be read
    /// all the same.
    pub fn copy<S: Scratch>(
        &self,
        operation: &Operation,
        writer: &mut Writer<'_, Output<'_>, S>,
    ) -> Result<Vec<String>, Stop> {
        let reader = &self.old.backup.reader;
        let mut copy = FrameCopy::begin(reader.source());
        copy.share(self.kept_in_a_row()?, writer.file())?;
        let mut lists = OldLists::new(self.old)?;
        let (mut again, mut listed) = (Vec::new(), FrameLists::default());
        for frame in 0..reader.license_frames() {
            operation.check()?;
            if self.is_kept(frame)
                && copy.take(reader.span(frame)?, &reader.digest(frame)?, writer.file())?
            {
                self.adopt(writer, frame, &mut lists, &mut listed)?;
                continue;
            }
            for known in self.old.licenses_in(frame) {
                let name = lists.pass_over()?;
                if known.fate() == Fate::Unchanged {
                    again.try_reserve(1).map_err(Fault::from)?;
                    again.push(name);
                }
            }
        }
        self.take_over_keys(operation, writer, &lists.numbers)?;
        Ok(again)
    }

    /// Takes over the key IDs of the licences that have new `numbers`.
    fn take_over_keys<S: Scratch>(
        &self,
        operation: &Operation,
        writer: &mut Writer<'_, Output<'_>, S>,
        numbers: &[Option<u32>],
    ) -> Result<(), Stop> {
        let (_, mut index) = self.old.backup.reader.index().map_err(unreadable)?;
        let (mut read, mut found) = (0_u64, Vec::new());
        found
            .try_reserve_exact(numbers.len())
            .map_err(Fault::from)?;
        found.resize(numbers.len(), false);
        while let Some(Record { hint, license }) = index.next().map_err(unreadable)? {
            read += 1;
            if read.is_multiple_of(1 << 16) {
                operation.check()?;
            }
            let old = license as usize;
            if let (Some(Some(new)), Some(is_found)) = (numbers.get(old), found.get_mut(old)) {
                let license = *new;
                writer.push_key(Record { hint, license })?;
                *is_found = true;
            }
        }
        let both = numbers.iter().zip(found);
        let mut missing = both.filter(|(number, is_found)| number.is_some() && !is_found);
        match missing.next() {
            None => Ok(()),
            Some(_) => Err(Fault::damaged("a licence is not in the index").into()),
        }
    }

    fn is_kept(&self, frame: usize) -> bool {
        self.kept.get(frame).copied().unwrap_or(false)
    }

    /// Counts the bytes of the frames at the beginning that are all kept.
    fn kept_in_a_row(&self) -> Result<u64, Fault> {
        let kept = self.kept.iter().take_while(|kept| **kept).count();
        match kept.checked_sub(1) {
            None => Ok(0),
            Some(last) => Ok(self.old.backup.reader.span(last)?.end()),
        }
    }

    /// Takes a frame that was copied into the new backup, with its unchanged licences.
    fn adopt<S: Scratch>(
        &self,
        writer: &mut Writer<'_, Output<'_>, S>,
        frame: usize,
        lists: &mut OldLists,
        listed: &mut FrameLists,
    ) -> Result<(), Fault> {
        let reader = &self.old.backup.reader;
        let (span, mut changed) = (reader.span(frame)?, Vec::new());
        let first = writer.counts().licenses;
        listed.clear();
        for known in self.old.licenses_in(frame) {
            if known.fate() == Fate::Unchanged {
                lists.take_over(known, first + listed.tally.licenses, listed)?;
                continue;
            }
            changed.try_reserve(1)?;
            changed.push(Superseded {
                name: lists.pass_over()?,
                size: known.size,
            });
        }
        let number = writer.adopt(span, reader.digest(frame)?, listed)?;
        let earlier = self.old.superseded.get(&(frame as u32));
        for license in changed.iter().chain(earlier.into_iter().flatten()) {
            writer.supersede(&license.name, license.size, number)?;
        }
        Ok(())
    }
}

/// The lists of the old backup, walked in step with its licences.
struct OldLists<'b> {
    sums: reader::Lines<'b, Source>,
    lines: reader::Lines<'b, Source>,
    /// The numbers that licences have in the new backup, none for those that are not taken over.
    numbers: Vec<Option<u32>>,
}

impl<'b> OldLists<'b> {
    fn new(old: &'b PreviousBackup) -> Result<OldLists<'b>, Fault> {
        let (reader, mut numbers) = (&old.backup.reader, Vec::new());
        numbers.try_reserve_exact(old.len())?;
        Ok(OldLists {
            sums: reader.framed_lines(SUMS)?,
            lines: reader.framed_lines(LICENSES)?,
            numbers,
        })
    }

    /// Adds the next licence, which is `known`, to the lists of a frame. It gets that number.
    fn take_over(
        &mut self,
        known: &OldLicense,
        number: u32,
        listed: &mut FrameLists,
    ) -> Result<(), Fault> {
        let (sum, line) = (next(&mut self.sums)?, next(&mut self.lines)?);
        let (_, name) = parse_sum(sum)?;
        if !names(line, name)? {
            let shown = name::shown(name);
            return Err(Fault::Damaged(format!(
                "its lists of licences disagree: at {shown}"
            )));
        }
        self.numbers.push(Some(number));
        listed.take_over(sum, line, known.proof(), known.size.into())
    }

    /// Passes over the next licence, and gives its name.
    fn pass_over(&mut self) -> Result<String, Fault> {
        next(&mut self.lines)?;
        self.numbers.push(None);
        Ok(parse_sum(next(&mut self.sums)?)?.1.to_owned())
    }
}

/// Tells whether a line of `licenses.jsonl` is that of the licence `name`. Most lines begin with it
/// as it is.
fn names(line: &[u8], name: &str) -> Result<bool, Fault> {
    let rest = line.strip_prefix(br#"{"name":""#);
    let rest = rest.and_then(|rest| rest.strip_prefix(name.as_bytes()));
    match rest.is_some_and(|rest| rest.starts_with(b"\",")) {
        true => Ok(true),
        false => Ok(parse_license(line)?.name == name),
    }
}

fn next<'l>(lines: &'l mut reader::Lines<'_, Source>) -> Result<&'l [u8], Fault> {
    let next = lines.next().map_err(unreadable)?;
    next.ok_or_else(|| Fault::damaged("a list ends too early"))
}

/// Makes damage of an old backup of its part that the disk does not give any more.
fn unreadable(fault: Fault) -> Fault {
    match fault {
        Fault::System(error) if !has_given_up(&error) => {
            Fault::Damaged(format!("it can't be read: {error}"))
        }
        fault => fault,
    }
}

/// The beginning of a new backup, made of frames of the old one.
struct FrameCopy<'c> {
    old: &'c Source,
    buffer: Vec<u8>,
}

impl<'c> FrameCopy<'c> {
    fn begin(old: &'c Source) -> FrameCopy<'c> {
        FrameCopy {
            old,
            buffer: Vec::new(),
        }
    }

    /// Lets both backups share their first `first` bytes, where they can: the frames in them are
    /// the first to be taken.
    fn share(&self, first: u64, out: &mut Output) -> Result<(), Fault> {
        match (self.old.plain(), out) {
            (Some(old), Output::Plain(out)) => Ok(out.share(old, first)?),
            _ => Ok(()),
        }
    }

    /// Takes the next frame, unless it can't be read or has another digest.
    fn take(&mut self, span: Span, expected: &Digest, out: &mut Output) -> Result<bool, Fault> {
        let bytes = sized(&mut self.buffer, span.length as usize)?;
        let is_right = |bytes: &[u8]| digest(bytes) == *expected;
        if let (Some(old), Output::Plain(out)) = (self.old.plain(), &mut *out) {
            return Ok(out.take(old, span.start, bytes, &is_right)?);
        }
        let read = self.old.read_exact_at(bytes, span.start);
        self.old.forget(span.start, span.length.into());
        let is_right = match read {
            Err(error) if has_given_up(&error) => return Err(error.into()),
            read => read.is_ok() && is_right(bytes),
        };
        if is_right {
            out.write_all(bytes)?;
        }
        Ok(is_right)
    }
}
