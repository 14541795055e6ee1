//! The backup that a repeated one takes licences over from: which of them have not changed, and the
//! frames that can be copied.
//!
//! Nothing of it is believed but what its own digests vouch for, and that a licence has not changed only
//! if its file is in every respect as it was. Who can write to the directory of the backups can make it
//! say so all the same.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Write};
use std::num::NonZeroU64;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use super::gathering::Stop;
use super::operation::Operation;
use super::reading::{Backup, Stored};
use crate::archive::agreement::{Agreement, Expected};
use crate::archive::builder::Listed;
use crate::archive::frames::Span;
use crate::archive::lines::{State, StateLine, parse_json};
use crate::archive::reader::{Lines, Reader};
use crate::archive::writer::Writer;
use crate::archive::{Fault, ReadAt, STATE, digest, limits};
use crate::buffer::sized;
use crate::error::{Outcome, Result};
use crate::license::{self, name};
use crate::sys::files::{Errno, File, user};

/// Where more than one byte in so many would be of old versions, the backup is written afresh.
const DEAD: u64 = 4;
/// Frames of less are small: each backup that finds something new leaves one, and licences compress better
/// together.
const SMALL: u32 = (limits::FRAME_TARGET / 16) as u32;
/// Where there are more small frames, they are made anew as one.
const SMALL_FRAMES: usize = 32;
/// How much is copied until it is looked whether to go on: blocks can be shared from such a step to the
/// next, as it is a multiple of their size.
const COPIED: u64 = 32 << 20;

/// What has become of a licence of the old backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Fate {
    /// Nothing is known yet; in the end: it is gone from the store.
    Unseen,
    Unchanged,
    /// It was read again, and follows in a new frame.
    Changed,
    /// It must not be in a backup any more.
    Restricted,
}

impl Fate {
    const ALL: [Fate; 4] = [
        Fate::Unseen,
        Fate::Unchanged,
        Fate::Changed,
        Fate::Restricted,
    ];
}

/// A licence of the old backup.
struct Known {
    /// By its hash.
    name: [u64; 2],
    /// The hash of its file's state, if that is known.
    state: Option<NonZeroU64>,
    frame: u32,
    size: u32,
    fate: AtomicU8,
}

impl Known {
    fn fate(&self) -> Fate {
        let fate = usize::from(self.fate.load(Ordering::Relaxed));
        Fate::ALL.get(fate).copied().unwrap_or(Fate::Restricted)
    }

    fn set(&self, fate: Fate) {
        self.fate.store(fate as u8, Ordering::Relaxed);
    }
}

/// An old version that is still in a frame.
struct Superseded {
    name: String,
    size: u64,
}

pub struct Old {
    backup: Arc<Backup>,
    names: name::Hash,
    states: RandomState,
    /// Sorted by name.
    known: Vec<Known>,
    /// By the number of their frame.
    superseded: HashMap<u32, Vec<Superseded>>,
}

impl Old {
    /// The backup in the directory at `path`, if it can be used.
    pub fn open(
        path: &Path,
        leave_out_unstated: bool,
        operation: &Operation,
    ) -> Result<Option<Arc<Old>>> {
        let backup = match Backup::open(path) {
            Err(error) if error.outcome == Outcome::OutOfMemory => return Err(error),
            Err(_) => return Ok(None),
            Ok(backup) => backup,
        };
        let ours = backup
            .reader
            .source()
            .0
            .facts()
            .is_ok_and(|facts| facts.owner.0 == user());
        let mut old = Old {
            backup,
            names: name::Hash::default(),
            states: RandomState::new(),
            known: Vec::new(),
            superseded: HashMap::new(),
        };
        if !ours {
            return Ok(None);
        }
        match old.read(leave_out_unstated, || operation.check()) {
            Ok(()) => Ok(Some(Arc::new(old))),
            Err(Stop::Error(error)) => Err(error),
            Err(Stop::Fault(fault @ Fault::OutOfMemory)) => Err(old.backup.error(fault)),
            // What is damaged, or has no states, is no help, but no hindrance either.
            Err(_) => Ok(None),
        }
    }

    /// Reads the lists; `go_on` may end it.
    fn read(
        &mut self,
        leave_out_unstated: bool,
        go_on: impl Fn() -> Result<()>,
    ) -> Result<(), Stop> {
        let backup = Arc::clone(&self.backup);
        let mut walk = Walk::new(&backup.reader)?;
        while let Some((frame, licenses)) = walk.next()? {
            go_on()?;
            self.known
                .try_reserve(licenses.len())
                .map_err(Fault::from)?;
            for (license, state) in licenses {
                let fate = match license.right.is_restricted(leave_out_unstated) {
                    true => Fate::Restricted,
                    false => Fate::Unseen,
                };
                self.known.push(Known {
                    name: self.hash(&license.name),
                    state: state.map(|state| self.state(&state)),
                    frame,
                    size: license.size as u32,
                    fate: AtomicU8::new(fate as u8),
                });
            }
        }
        self.superseded = walk.finish()?;
        self.known.sort_unstable_by_key(|known| known.name);
        let is_twice = |pair: &[Known]| matches!(pair, [one, other] if one.name == other.name);
        match self.known.windows(2).any(is_twice) {
            true => Err(Fault::damaged("it names a licence twice").into()),
            false => Ok(()),
        }
    }

    fn hash(&self, name: &str) -> [u64; 2] {
        let hash = self.names.of(name);
        [(hash >> 64) as u64, hash as u64]
    }

    fn state(&self, state: &State) -> NonZeroU64 {
        NonZeroU64::MIN | self.states.hash_one(state)
    }

    fn find(&self, name: &str) -> Option<&Known> {
        let name = self.hash(name);
        let place = self
            .known
            .binary_search_by_key(&name, |known| known.name)
            .ok()?;
        self.known.get(place)
    }

    fn fate(&self, name: &str) -> Option<Fate> {
        self.find(name).map(Known::fate)
    }

    /// Whether the licence `name` is taken over as it is: it was there, and its file has not changed.
    /// Any thread.
    pub fn takes_over(&self, name: &str, state: impl FnOnce() -> Option<State>) -> bool {
        let Some(known) = self.find(name) else {
            return false;
        };
        if known.fate() == Fate::Restricted {
            return false;
        }
        let same = known.state.is_some() && state().map(|state| self.state(&state)) == known.state;
        if same {
            known.set(Fate::Unchanged);
        }
        same
    }

    /// Notes that the licence `name` is in the new backup in a version that was read now. Not before that
    /// is known: what vanishes while it is read is gone, and so must its old versions be.
    pub fn renew(&self, name: &str) {
        if let Some(known) = self.find(name).filter(|known| known.fate() == Fate::Unseen) {
            known.set(Fate::Changed);
        }
    }

    /// Whether the licence `name` was found unchanged.
    pub fn has_taken_over(&self, name: &str) -> bool {
        self.fate(name) == Some(Fate::Unchanged)
    }

    /// Notes that the licence `name` must not be in the new backup, in no version.
    pub fn restrict(&self, name: &str) {
        if let Some(known) = self.find(name) {
            known.set(Fate::Restricted);
        }
    }
}

/// How the frames of an old backup are taken over, once the fate of all its licences is known.
pub struct TakeOver<'o> {
    old: &'o Old,
    /// By frame; those with a licence that must go are made anew.
    kept: Vec<bool>,
}

impl TakeOver<'_> {
    /// None where too little of the old backup is left.
    pub fn of(old: &Old) -> Result<Option<TakeOver<'_>>> {
        let frames = old.backup.reader.license_frames();
        let (mut kept, mut has_life) = (marks(frames, true)?, marks(frames, false)?);
        let mark = |marks: &mut Vec<bool>, frame: u32, value| {
            if let Some(mark) = marks.get_mut(frame as usize) {
                *mark = value;
            }
        };
        for known in &old.known {
            match known.fate() {
                Fate::Unseen | Fate::Restricted => mark(&mut kept, known.frame, false),
                Fate::Unchanged => mark(&mut has_life, known.frame, true),
                Fate::Changed => {}
            }
        }
        for (frame, superseded) in &old.superseded {
            // An old version of what is gone would come back with any tar, and so would one that is not
            // before the version that counts.
            let is_superseded = |name: &str| {
                old.find(name).is_some_and(|known| match known.fate() {
                    Fate::Unchanged => known.frame > *frame,
                    fate => fate == Fate::Changed,
                })
            };
            if !superseded.iter().all(|old| is_superseded(&old.name)) {
                mark(&mut kept, *frame, false);
            }
        }
        kept.iter_mut()
            .zip(has_life)
            .for_each(|(kept, has_life)| *kept &= has_life);
        let is_small = |frame: usize| {
            let span = old.backup.reader.span(frame);
            span.is_ok_and(|span| span.content_size < SMALL)
        };
        let frames = kept.iter().enumerate();
        let small = frames.filter(|(frame, kept)| **kept && is_small(*frame));
        if small.count() > SMALL_FRAMES {
            let frames = kept.iter_mut().enumerate();
            frames.for_each(|(frame, kept)| *kept &= !is_small(frame));
        }
        let is_kept = |frame: u32| kept.get(frame as usize).copied().unwrap_or(false);
        let (mut live, mut dead) = (0, 0);
        for known in old.known.iter().filter(|known| is_kept(known.frame)) {
            match known.fate() {
                Fate::Unchanged => live += u64::from(known.size),
                _ => dead += u64::from(known.size),
            }
        }
        for (frame, superseded) in &old.superseded {
            let sizes = superseded.iter().map(|license| license.size);
            dead += if is_kept(*frame) { sizes.sum() } else { 0 };
        }
        let any = kept.iter().any(|kept| *kept);
        Ok((any && dead <= (live + dead) / DEAD).then_some(TakeOver { old, kept }))
    }

    /// Copies the frames that are kept to the beginning of `draft`, where they are hashed again, and gives
    /// the names of the unchanged licences that have to be read all the same.
    pub fn copy<S: Write + ReadAt>(
        &self,
        operation: &Operation,
        draft: &File,
        writer: &mut Writer<'_, Stored<&File>, S>,
    ) -> Result<Vec<String>, Stop> {
        let reader = &self.old.backup.reader;
        let mut walk = Walk::new(reader)?;
        let (mut again, mut copied_to, mut buffer) = (Vec::new(), 0, Vec::new());
        while let Some((frame, mut licenses)) = walk.next()? {
            operation.check()?;
            let number = frame as usize;
            let span = reader.span(number)?;
            let mut is_right = self.is_kept(number);
            if is_right && number >= copied_to {
                copied_to = self.copy_run(operation, draft, number)?;
            }
            if is_right {
                is_right = is_copy(reader, draft, writer.written(), number, &mut buffer)?;
            }
            if is_right {
                self.adopt(writer, frame, span, licenses)?;
                continue;
            }
            if number < copied_to {
                // What follows is copied once more.
                draft
                    .cut(writer.written())
                    .map_err(io::Error::from)
                    .map_err(Fault::from)?;
                copied_to = number;
            }
            licenses.retain(|(license, _)| self.old.has_taken_over(&license.name));
            again.try_reserve(licenses.len()).map_err(Fault::from)?;
            again.extend(licenses.into_iter().map(|(license, _)| license.name));
        }
        Ok(again)
    }

    fn is_kept(&self, frame: usize) -> bool {
        self.kept.get(frame).copied().unwrap_or(false)
    }

    /// Appends the frames from `first` on that are kept in a row; they are to be looked at. Gives the
    /// first that was not copied.
    fn copy_run(&self, operation: &Operation, draft: &File, first: usize) -> Result<usize, Stop> {
        let reader = &self.old.backup.reader;
        let (mut end, mut start) = (first, reader.span(first)?.start);
        let mut length = 0;
        while self.is_kept(end) {
            length += u64::from(reader.span(end)?.length);
            end += 1;
        }
        while length > 0 {
            operation.check()?;
            let part = length.min(COPIED);
            match draft.append_from(&reader.source().0, start, part) {
                Ok(()) => (start, length) = (start + part, length - part),
                // The old backup can't be read: that shows in what was copied.
                Err(Errno::IO) => break,
                Err(errno) => return Err(Fault::from(io::Error::from(errno)).into()),
            }
        }
        Ok(end)
    }

    /// Takes a frame that was copied into the new backup, with its licences that have not changed.
    fn adopt<S: Write + ReadAt>(
        &self,
        writer: &mut Writer<'_, Stored<&File>, S>,
        frame: u32,
        span: Span,
        licenses: Vec<Stated>,
    ) -> Result<(), Fault> {
        let unchanged = |license: &Expected| self.old.has_taken_over(&license.name);
        let mut listed = Listed::default();
        for (license, state) in licenses.iter().filter(|(license, _)| unchanged(license)) {
            let start = license.offset - span.content_start;
            listed.push(start, &license.digest, &license.into(), state.as_ref())?;
        }
        let digest = self.old.backup.reader.digest(frame as usize)?;
        let number = writer.adopt(span, digest, &listed)?;
        for (license, _) in licenses.iter().filter(|(license, _)| !unchanged(license)) {
            writer.supersede(&license.name, license.size, number)?;
        }
        for license in self.old.superseded.get(&frame).into_iter().flatten() {
            writer.supersede(&license.name, license.size, number)?;
        }
        Ok(())
    }
}

/// The same for every frame.
fn marks(frames: usize, value: bool) -> Result<Vec<bool>> {
    let mut marks = Vec::new();
    marks.try_reserve_exact(frames)?;
    marks.resize(frames, value);
    Ok(marks)
}

/// Whether what stands in `draft` at `at` is that frame of the old backup.
fn is_copy(
    reader: &Reader<Stored<File>>,
    draft: &File,
    at: u64,
    frame: usize,
    buffer: &mut Vec<u8>,
) -> Result<bool, Fault> {
    let copy = sized(buffer, reader.span(frame)?.length as usize)?;
    let read = draft.read_full_at(copy, at).map_err(io::Error::from)?;
    Ok(read == copy.len() && digest(copy) == reader.digest(frame)?)
}

/// A licence, and the state of its file, if that is known.
type Stated = (Expected, Option<State>);

/// The licences of a backup, frame by frame, each with the state of its file, if that is known.
struct Walk<'b> {
    reader: &'b Reader<Stored<File>>,
    agreement: Agreement<'b, Stored<File>>,
    states: Lines<'b, Stored<File>>,
    /// The next state.
    ahead: Option<(String, State)>,
    superseded: HashMap<u32, Vec<Superseded>>,
    frame: usize,
}

impl<'b> Walk<'b> {
    fn new(reader: &'b Reader<Stored<File>>) -> Result<Walk<'b>, Fault> {
        Ok(Walk {
            reader,
            agreement: Agreement::new(reader)?,
            states: reader.lines(STATE)?,
            ahead: None,
            superseded: HashMap::new(),
            frame: 0,
        })
    }

    fn next(&mut self) -> Result<Option<(u32, Vec<Stated>)>, Fault> {
        if self.frame == self.reader.license_frames() {
            return Ok(None);
        }
        let end = self.reader.span(self.frame)?.content_end();
        let mut licenses = Vec::new();
        while self.agreement.has_next_before(end) {
            let license = self.agreement.next()?;
            self.look_ahead()?;
            let state = self.ahead.take_if(|(name, _)| *name == license.name);
            licenses.try_reserve(1)?;
            licenses.push((license, state.map(|(_, state)| state)));
        }
        self.frame += 1;
        Ok(Some((self.frame as u32 - 1, licenses)))
    }

    /// States stand in the order of the licences; between them old versions.
    fn look_ahead(&mut self) -> Result<(), Fault> {
        while self.ahead.is_none() {
            let Some((_, line)) = self.states.next()? else {
                break;
            };
            let line: StateLine = parse_json(line)?;
            match line.superseded_in {
                None => self.ahead = Some((line.name.clone().into_owned(), line.state())),
                Some(_) if line.size > license::SIZE_MAX => {
                    return Err(Fault::damaged("an old version is too large"));
                }
                Some(frame) => {
                    self.superseded.try_reserve(1)?;
                    let in_frame = self.superseded.entry(frame).or_default();
                    in_frame.try_reserve(1)?;
                    in_frame.push(Superseded {
                        name: line.name.into_owned(),
                        size: line.size,
                    });
                }
            }
        }
        Ok(())
    }

    /// Old versions, once all has been walked over.
    fn finish(mut self) -> Result<HashMap<u32, Vec<Superseded>>, Fault> {
        loop {
            self.look_ahead()?;
            // A state of no licence: there is nothing to be made of it.
            if self.ahead.take().is_none() {
                break;
            }
        }
        self.agreement.finish()?;
        self.states.finish()?;
        Ok(self.superseded)
    }
}
