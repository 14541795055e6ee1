//! The backup that a repeated one takes licences over from, and which of them have not changed.
//!
//! Nothing of it is believed but what its own digests vouch for, and that a licence has not changed only
//! if its file is in every respect as it was. Who can write to the directory of the backups can make it
//! say so all the same.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::num::NonZeroU64;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use super::gathering::Stop;
use super::operation::Operation;
use super::reading::{Backup, Stored};
use crate::archive::agreement::Agreement;
use crate::archive::lines::{State, StateLine, parse_state};
use crate::archive::reader::{Lines, Reader};
use crate::archive::{Fault, STATE};
use crate::error::{Outcome, Result};
use crate::license::{self, name};
use crate::sys::files::{File, user};

/// What has become of a licence of the old backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Fate {
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
pub struct Known {
    /// By its hash.
    name: [u64; 2],
    /// The hash of its file's state, if that is known.
    state: Option<NonZeroU64>,
    /// In the index.
    pub key: [u8; 8],
    /// Its member, in the decompressed stream.
    pub member: u64,
    pub size: u32,
    fate: AtomicU8,
}

impl Known {
    pub fn fate(&self) -> Fate {
        let fate = usize::from(self.fate.load(Ordering::Relaxed));
        Fate::ALL.get(fate).copied().unwrap_or(Fate::Restricted)
    }

    fn set(&self, fate: Fate) {
        self.fate.store(fate as u8, Ordering::Relaxed);
    }

    /// Whether there is a line of it in `state.jsonl`.
    pub fn has_state(&self) -> bool {
        self.state.is_some()
    }
}

/// Finds licences by the hash of their name: their places in the list, in a table twice as long.
#[derive(Default)]
struct Places(Vec<u32>);

impl Places {
    const FREE: u32 = u32::MAX;

    fn of(known: &[Known]) -> Result<Places, Fault> {
        let mut places = Places::default();
        let length = (2 * known.len()).next_power_of_two();
        places.0.try_reserve_exact(length)?;
        places.0.resize(length, Places::FREE);
        for (place, license) in known.iter().enumerate() {
            match places.slot(known, license.name) {
                Some(slot) if *slot == Places::FREE => *slot = place as u32,
                _ => return Err(Fault::damaged("it names a licence twice")),
            }
        }
        Ok(places)
    }

    /// Where a name is, or would be.
    fn slot(&mut self, known: &[Known], name: [u64; 2]) -> Option<&mut u32> {
        let slot = self.search(known, name)?;
        self.0.get_mut(slot)
    }

    fn find<'k>(&self, known: &'k [Known], name: [u64; 2]) -> Option<&'k Known> {
        let place = *self.0.get(self.search(known, name)?)?;
        known.get(place as usize)
    }

    fn search(&self, known: &[Known], [high, low]: [u64; 2]) -> Option<usize> {
        let mask = self.0.len().checked_sub(1)?;
        let mut slot = low as usize & mask;
        loop {
            match known.get(*self.0.get(slot)? as usize) {
                Some(other) if other.name != [high, low] => slot = (slot + 1) & mask,
                _ => return Some(slot),
            }
        }
    }
}

/// An old version that is still in a frame.
pub struct Superseded {
    pub name: String,
    pub size: u64,
}

/// All old versions, and which lines of `state.jsonl` tell of them.
#[derive(Default)]
pub struct OldVersions {
    pub by_frame: HashMap<u32, Vec<Superseded>>,
    pub lines: Vec<u64>,
}

pub struct Old {
    pub backup: Arc<Backup>,
    names: name::Hash,
    states: RandomState,
    /// In the order of the lists.
    known: Vec<Known>,
    places: Places,
    /// Where those of each frame end.
    ends: Vec<usize>,
    pub superseded: OldVersions,
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
        let facts = backup.reader.source().0.facts();
        if !facts.is_ok_and(|facts| facts.owner.0 == user()) {
            return Ok(None);
        }
        let mut old = Old {
            backup,
            names: name::Hash::default(),
            states: RandomState::new(),
            known: Vec::new(),
            places: Places::default(),
            ends: Vec::new(),
            superseded: OldVersions::default(),
        };
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
        let reader = &backup.reader;
        let (mut lists, mut states) = (Agreement::new(reader)?, States::new(reader)?);
        self.known
            .try_reserve_exact(lists.len())
            .map_err(Fault::from)?;
        self.ends
            .try_reserve_exact(reader.license_frames())
            .map_err(Fault::from)?;
        for frame in 0..reader.license_frames() {
            go_on()?;
            let end = reader.span(frame)?.content_end();
            while lists.has_next_before(end) {
                let (place, license) = lists.next_line()?;
                let fate = match license.right().is_restricted(leave_out_unstated) {
                    true => Fate::Restricted,
                    false => Fate::Unseen,
                };
                let state = states.of(&license.name)?;
                self.known.push(Known {
                    name: self.hash(&license.name),
                    state: state.map(|state| self.state(&state)),
                    key: place.key,
                    member: place.member,
                    size: license.size as u32,
                    fate: AtomicU8::new(fate as u8),
                });
            }
            self.ends.push(self.known.len());
        }
        lists.finish()?;
        self.superseded = states.finish()?;
        self.places = Places::of(&self.known)?;
        Ok(())
    }

    fn hash(&self, name: &str) -> [u64; 2] {
        let hash = self.names.of(name);
        [(hash >> 64) as u64, hash as u64]
    }

    fn state(&self, state: &State) -> NonZeroU64 {
        NonZeroU64::MIN | self.states.hash_one(state)
    }

    pub fn find(&self, name: &str) -> Option<&Known> {
        self.places.find(&self.known, self.hash(name))
    }

    /// Whether any licence was found unchanged.
    pub fn has_unchanged(&self) -> bool {
        self.known
            .iter()
            .any(|known| known.fate() == Fate::Unchanged)
    }

    /// The licences of a frame, in the order of the lists.
    pub fn licenses_in(&self, frame: usize) -> &[Known] {
        let end = |frame: usize| self.ends.get(frame).copied().unwrap_or_default();
        let start = frame.checked_sub(1).map_or(0, end);
        self.known.get(start..end(frame)).unwrap_or_default()
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
        self.find(name).map(Known::fate) == Some(Fate::Unchanged)
    }

    /// Notes that the licence `name` must not be in the new backup, in no version.
    pub fn restrict(&self, name: &str) {
        if let Some(known) = self.find(name) {
            known.set(Fate::Restricted);
        }
    }
}

/// The lines of `state.jsonl`, walked in step with the licences.
struct States<'b> {
    lines: Lines<'b, Stored<File>>,
    /// The next state, and whose it is.
    name: String,
    state: Option<State>,
    superseded: OldVersions,
    /// How many lines have been read.
    read: u64,
}

impl<'b> States<'b> {
    fn new(reader: &'b Reader<Stored<File>>) -> Result<States<'b>, Fault> {
        Ok(States {
            lines: reader.lines(STATE)?,
            name: String::new(),
            state: None,
            superseded: OldVersions::default(),
            read: 0,
        })
    }

    /// The state of the licence `name`, if that is known. States stand in the order of the licences.
    fn of(&mut self, name: &str) -> Result<Option<State>, Fault> {
        self.look_ahead()?;
        Ok(self.state.take_if(|_| self.name == name))
    }

    /// Notes the old versions that stand before the next state.
    fn look_ahead(&mut self) -> Result<(), Fault> {
        while self.state.is_none() {
            let Some((_, line)) = self.lines.next()? else {
                break;
            };
            let line: StateLine = parse_state(line)?;
            self.read += 1;
            match line.superseded_in {
                None => {
                    self.state = Some(line.state());
                    line.name.as_ref().clone_into(&mut self.name);
                }
                Some(_) if line.size > license::SIZE_MAX => {
                    return Err(Fault::damaged("an old version is too large"));
                }
                Some(frame) => {
                    self.superseded.by_frame.try_reserve(1)?;
                    let in_frame = self.superseded.by_frame.entry(frame).or_default();
                    in_frame.try_reserve(1)?;
                    in_frame.push(Superseded {
                        name: line.name.into_owned(),
                        size: line.size,
                    });
                    self.superseded.lines.try_reserve(1)?;
                    self.superseded.lines.push(self.read - 1);
                }
            }
        }
        Ok(())
    }

    /// The old versions, once all has been walked over.
    fn finish(mut self) -> Result<OldVersions, Fault> {
        loop {
            self.look_ahead()?;
            // A state of no licence: there is nothing to be made of it.
            if self.state.take().is_none() {
                break;
            }
        }
        self.lines.finish()?;
        Ok(self.superseded)
    }
}
