//! Takes over from an old backup what has not changed: frames are copied as they are, and so are
//! the lines of their licences.

use std::io::{self, Write};
use std::iter::Peekable;
use std::slice;

use super::plan::{self, FrameFate};
use super::previous_backup::{Fate, OldLicense, PreviousBackup, Superseded};
use crate::archive::builder::FrameLists;
use crate::archive::frames::Span;
use crate::archive::index::Record;
use crate::archive::lines::{parse_license, parse_state, push_line};
use crate::archive::reader;
use crate::archive::writer::Writer;
use crate::archive::{Digest, Fault, LICENSES, RESTRICTED, ReadAt, STATE, SUMS, digest, limits};
use crate::buffer::sized;
use crate::engine::operation::Operation;
use crate::engine::reading::backup_file::Stored;
use crate::engine::stop::Stop;
use crate::error::Result;
use crate::random::HashSet;
use crate::sys::direct_io::Uncached;
use crate::sys::files::File;

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
    for (frame, superseded) in &old.superseded.by_frame {
        let end = reader.span(*frame as usize).map(|span| span.content_end());
        // Any tar would bring back an old version of a licence that is gone. The same goes for an
        // old version that does not come before the one that counts.
        let is_superseded = |name: &str| {
            old.find(name).is_some_and(|license| match license.fate() {
                Fate::Unchanged => end.as_ref().is_ok_and(|end| license.member >= *end),
                fate => fate == Fate::Changed,
            })
        };
        if let Some(fate) = fates.get_mut(*frame as usize) {
            fate.must_go |= !superseded.iter().all(|old| is_superseded(&old.name));
            fate.dead += superseded.iter().map(|old| old.size).sum::<u64>();
        }
    }
    Ok(fates)
}

impl Reuse<'_> {
    /// Makes the plan; none where too little of the old backup is left. `has_new` says that the
    /// backup gets new licences.
    pub fn of(old: &PreviousBackup, has_new: bool) -> Result<Option<Reuse<'_>>> {
        let kept = plan::kept(&fates(old)?, has_new);
        let any = kept.iter().any(|kept| *kept);
        Ok(any.then_some(Reuse { old, kept }))
    }

    /// Tells whether all of the old backup stays as it is.
    pub fn is_whole(&self) -> bool {
        let reader = &self.old.backup.reader;
        let unchanged = |known: &OldLicense| known.fate() == Fate::Unchanged;
        let stays =
            |frame| self.is_kept(frame) && self.old.licenses_in(frame).iter().all(unchanged);
        let frames = 0..reader.license_frames();
        let licenses = frames.clone().flat_map(|frame| self.old.licenses_in(frame));
        let content_bytes = licenses.map(|known| u64::from(known.size)).sum::<u64>();
        reader.is_of_this_version()
            && reader.trailer().content_bytes == content_bytes
            && frames.into_iter().all(stays)
            && self.restricts_nothing().unwrap_or(false)
    }

    /// Tells whether nothing was left out of the old backup.
    fn restricts_nothing(&self) -> Result<bool, Fault> {
        let reader = &self.old.backup.reader;
        let mut lines = reader.lines(RESTRICTED)?;
        let is_empty = lines.next()?.is_none();
        lines.finish()?;
        Ok(is_empty && reader.trailer().restricted == 0)
    }

    /// Gives those `names` of which an older version is in a frame that is kept.
    pub fn with_older_versions(&self, names: &[String]) -> Result<HashSet<String>> {
        let (mut older, mut found) = (HashSet::default(), HashSet::default());
        for (frame, superseded) in &self.old.superseded.by_frame {
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

    /// Copies all of the old backup, with its lists, to `draft`, which is empty. Returns false
    /// where the backup is damaged, and nothing is copied. Here and in [`copy`](Self::copy),
    /// `writer` has been given nothing yet: it writes behind what is copied.
    pub fn copy_all<S: Write + ReadAt>(
        &self,
        operation: &Operation,
        draft: &File,
        writer: &mut Writer<'_, Uncached<'_>, S>,
    ) -> Result<bool, Stop> {
        let reader = &self.old.backup.reader;
        let end = reader.digested().map(|(span, _)| span.end()).last();
        let mut copy = FrameCopy::begin(&reader.source().0, draft, end.unwrap_or(0))?;
        for (span, digest) in reader.digested() {
            operation.check()?;
            if !copy.take(span, &digest)? {
                drop(copy);
                cut(draft, 0)?;
                return Ok(false);
            }
        }
        copy.end()?;
        writer.adopt_all(reader.digested(), reader.trailer())?;
        Ok(true)
    }

    /// Copies the frames that are kept to the beginning of `draft`. Gives the names of the
    /// unchanged licences that have to be read all the same.
    pub fn copy<S: Write + ReadAt>(
        &self,
        operation: &Operation,
        draft: &File,
        writer: &mut Writer<'_, Uncached<'_>, S>,
    ) -> Result<Vec<String>, Stop> {
        let reader = &self.old.backup.reader;
        let mut copy = FrameCopy::begin(&reader.source().0, draft, self.kept_in_a_row()?)?;
        let mut lists = OldLists::new(self.old)?;
        let (mut again, mut listed) = (Vec::new(), FrameLists::default());
        for frame in 0..reader.license_frames() {
            operation.check()?;
            if self.is_kept(frame) && copy.take(reader.span(frame)?, &reader.digest(frame)?)? {
                self.adopt(writer, frame, &mut lists, &mut listed)?;
                continue;
            }
            for known in self.old.licenses_in(frame) {
                let name = lists.pass_over(known)?;
                if known.fate() == Fate::Unchanged {
                    again.try_reserve(1).map_err(Fault::from)?;
                    again.push(name);
                }
            }
        }
        copy.end()?;
        if !self.old.has_states_in_order {
            self.take_over_states(writer)?;
        }
        Ok(again)
    }

    /// Takes over the states of unchanged licences that count, in their order.
    fn take_over_states<S: Write + ReadAt>(
        &self,
        writer: &mut Writer<'_, Uncached<'_>, S>,
    ) -> Result<(), Fault> {
        let reader = &self.old.backup.reader;
        if reader.trailer().entry(STATE).is_err() {
            return Ok(());
        }
        let (mut states, mut taken) = (reader.lines_again(STATE)?, Vec::new());
        while let Some((_, line)) = states.next()? {
            // The first line tells where the states were noted.
            let of = parse_state(line).ok();
            let known = of.and_then(|of| match of.superseded_in {
                None => self.old.find(&of.name),
                Some(_) => None,
            });
            let frame = known.map(|known| reader.frame_at(known.member));
            let is_kept = frame.is_some_and(|frame| frame.is_ok_and(|frame| self.is_kept(frame)));
            let counts =
                known.is_some_and(|known| known.has_state() && known.fate() == Fate::Unchanged);
            if counts && is_kept {
                taken.clear();
                push_line(&mut taken, line)?;
                writer.take_over_states(&taken)?;
            }
        }
        Ok(())
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
    fn adopt<S: Write + ReadAt>(
        &self,
        writer: &mut Writer<'_, Uncached<'_>, S>,
        frame: usize,
        lists: &mut OldLists,
        listed: &mut FrameLists,
    ) -> Result<(), Fault> {
        let reader = &self.old.backup.reader;
        let (span, mut changed) = (reader.span(frame)?, Vec::new());
        listed.clear();
        for known in self.old.licenses_in(frame) {
            if known.fate() == Fate::Unchanged {
                lists.take_over(known, span, listed)?;
                continue;
            }
            changed.try_reserve(1)?;
            changed.push(Superseded {
                name: lists.pass_over(known)?,
                size: known.size.into(),
            });
        }
        let number = writer.adopt(span, reader.digest(frame)?, listed)?;
        let earlier = self.old.superseded.by_frame.get(&(frame as u32));
        for license in changed.iter().chain(earlier.into_iter().flatten()) {
            writer.supersede(&license.name, license.size, number)?;
        }
        Ok(())
    }
}

/// The lists of the old backup, already checked, and walked again in step with its licences.
struct OldLists<'b> {
    sums: reader::Lines<'b, Stored<File>>,
    lines: reader::Lines<'b, Stored<File>>,
    /// The states, none where they do not count, or stand in another order.
    states: Option<OldStates<'b>>,
}

impl<'b> OldLists<'b> {
    fn new(old: &'b PreviousBackup) -> Result<OldLists<'b>, Fault> {
        let reader = &old.backup.reader;
        Ok(OldLists {
            sums: reader.lines_again(SUMS)?,
            lines: reader.lines_again(LICENSES)?,
            states: match old.has_states_in_order {
                true => Some(OldStates::new(old)?),
                false => None,
            },
        })
    }

    /// Adds the next licence, which is `known`, to the lists of the frame at `span`.
    fn take_over(
        &mut self,
        known: &OldLicense,
        span: Span,
        listed: &mut FrameLists,
    ) -> Result<(), Fault> {
        let record = Record {
            key: known.key,
            member: known.member - span.content_start,
            sum: 0,
            line: 0,
        };
        let sum = line(&mut self.sums)?;
        listed.take_over(record, known.size.into(), sum, line(&mut self.lines)?)?;
        match self.states.as_mut().filter(|_| known.has_state()) {
            Some(states) => listed.take_over_state(states.next()?),
            None => Ok(()),
        }
    }

    /// Passes over the next licence, which is `known`, and gives its name.
    fn pass_over(&mut self, known: &OldLicense) -> Result<String, Fault> {
        line(&mut self.sums)?;
        if let Some(states) = self.states.as_mut().filter(|_| known.has_state()) {
            states.next()?;
        }
        Ok(parse_license(line(&mut self.lines)?)?.name.into_owned())
    }
}

/// The states of the old backup, which stand in the order of its licences.
struct OldStates<'b> {
    lines: reader::Lines<'b, Stored<File>>,
    /// The number of the next line, and those of the old versions' lines.
    next: u64,
    superseded: Peekable<slice::Iter<'b, u64>>,
}

impl<'b> OldStates<'b> {
    fn new(old: &'b PreviousBackup) -> Result<OldStates<'b>, Fault> {
        let mut lines = old.backup.reader.lines_again(STATE)?;
        // The first line tells where the states were noted.
        line(&mut lines)?;
        Ok(OldStates {
            lines,
            next: 1,
            superseded: old.superseded.lines.iter().peekable(),
        })
    }

    /// Gives the line of the next state, and skips the old versions between.
    fn next(&mut self) -> Result<&[u8], Fault> {
        while self.superseded.next_if_eq(&&self.next).is_some() {
            line(&mut self.lines)?;
            self.next += 1;
        }
        self.next += 1;
        line(&mut self.lines)
    }
}

fn line<'l>(lines: &'l mut reader::Lines<'_, Stored<File>>) -> Result<&'l [u8], Fault> {
    let next = lines.next()?;
    let (_, line) = next.ok_or_else(|| Fault::damaged("a list ends too early"))?;
    Ok(line)
}

/// The beginning of a new backup, made of frames of the old one.
struct FrameCopy<'c> {
    old: &'c File,
    draft: &'c File,
    out: Uncached<'c>,
    /// Bytes that both files have in the same place, in blocks that they share.
    shared: u64,
    buffer: Vec<u8>,
}

impl<'c> FrameCopy<'c> {
    /// Begins a copy to `draft`, which is empty. The frames in the first `first` bytes of `old` are
    /// the first to be taken.
    fn begin(old: &'c File, draft: &'c File, first: u64) -> Result<FrameCopy<'c>, Fault> {
        let shared = match first {
            0 => 0,
            _ => draft.share(old).map_or(0, |()| first),
        };
        cut(draft, shared)?;
        Ok(FrameCopy {
            old,
            draft,
            out: Uncached::new(draft)?,
            shared,
            buffer: Vec::new(),
        })
    }

    /// Takes the next frame, unless it can't be read or has another digest.
    fn take(&mut self, span: Span, expected: &Digest) -> Result<bool, Fault> {
        let is_shared = span.start < self.shared;
        let file = if is_shared { self.draft } else { self.old };
        let bytes = sized(&mut self.buffer, span.length as usize)?;
        let read = file.read_full_at(bytes, span.start);
        let is_right = read == Ok(bytes.len()) && digest(bytes) == *expected;
        match (is_right, is_shared) {
            (true, false) => self.out.write_all(bytes)?,
            // The following frames move to other places.
            (false, true) => {
                self.shared = span.start;
                cut(self.draft, span.start)?;
            }
            _ => {}
        }
        Ok(is_right)
    }

    fn end(mut self) -> Result<(), Fault> {
        Ok(self.out.flush()?)
    }
}

/// Cuts the file to its first `length` bytes; the next write goes behind them.
fn cut(draft: &File, length: u64) -> Result<(), Fault> {
    Ok(draft.cut(length).map_err(io::Error::from)?)
}
