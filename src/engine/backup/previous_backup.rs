//! The backup that a repeated one takes licences over from, and the fate of each of them.
//!
//! Only what the backup's own digests vouch for is believed. A licence counts as unchanged only if
//! its file is in every respect as it was, seen from the same mount in the same run of the system;
//! else it is read, and compared. Even so, anybody who can write to the directory of the backups
//! can make a licence count as unchanged.

use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use crate::archive::catalog_in_step::Agreement;
use crate::archive::lines::{parse_json, parse_state, parse_sum};
use crate::archive::reader::{Lines, Reader};
use crate::archive::records::{FileState, NotedOrigin, StateLine};
use crate::archive::{Digest, Fault, STATE, SUMS, digest};
use crate::engine::operation::Operation;
use crate::engine::reading::backup_file::{Backup, Stored};
use crate::engine::stop::Stop;
use crate::error::{Error, Outcome, Result};
use crate::license::{self, BackupRight, Format, Statement, name};
use crate::random::{self, HashMap, HashSet};
use crate::sys::anchored_path::AnchoredPath;
use crate::sys::files::{File, user};

/// The fate of a licence of the old backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Fate {
    /// Nothing is known yet; at the end it means that the store does not have the licence any more.
    Unseen,
    Unchanged,
    /// The licence was read again, and follows in a new frame.
    Changed,
    /// The licence must not be in a backup any more.
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
pub struct OldLicense {
    /// The hash of the name.
    name: [u64; 2],
    /// The hash of its file's state, if that counts, else of the licence itself.
    proof: u64,
    /// The key in the index.
    pub key: [u8; 8],
    /// The place of its member in the decompressed stream.
    pub member: u64,
    pub size: u32,
    /// The licence has a state that counts.
    has_state: bool,
    /// The licence is in the old backup, and must not be in the new one by today's rules.
    is_barred: bool,
    fate: AtomicU8,
}

impl OldLicense {
    pub fn fate(&self) -> Fate {
        let fate = usize::from(self.fate.load(Ordering::Relaxed));
        Fate::ALL.get(fate).copied().unwrap_or(Fate::Restricted)
    }

    fn set(&self, fate: Fate) {
        self.fate.store(fate as u8, Ordering::Relaxed);
    }

    /// Tells whether a state of its file is taken over with the licence.
    pub fn has_state(&self) -> bool {
        self.has_state
    }

    /// Tells whether the licence may be taken over: it has not been found changed so far.
    fn is_open(&self) -> bool {
        !self.is_barred && matches!(self.fate(), Fate::Unseen | Fate::Unchanged)
    }

    /// Tells whether every version of the licence in the old backup must stay out of the new one.
    pub fn must_go(&self) -> bool {
        self.is_barred || matches!(self.fate(), Fate::Unseen | Fate::Restricted)
    }
}

/// Gives the names of the licences of the backup in the directory at `path`, if they can be read.
pub fn names(path: &AnchoredPath, operation: &Operation) -> Result<Option<NameHashes>> {
    let read = || -> Result<NameHashes, Stop> {
        let backup = Backup::open(path)?;
        // The digests of the frames are enough, since the names only give a figure.
        let (mut names, mut sums) = (NameHashes::default(), backup.reader.lines_again(SUMS)?);
        while let Some((_, line)) = sums.next()? {
            operation.check()?;
            names.insert(parse_sum(line)?.1)?;
        }
        Ok(names)
    };
    match read() {
        Ok(names) => Ok(Some(names)),
        Err(Stop::Fault(Fault::OutOfMemory)) => Err(Error::out_of_memory()),
        Err(Stop::Error(error)) if error.outcome == Outcome::OutOfMemory => Err(error),
        Err(_) => operation.check().map(|()| None),
    }
}

/// A set of names, kept as hashes.
#[derive(Default)]
pub struct NameHashes {
    keys: random::Key,
    hashes: HashSet<u64>,
}

impl NameHashes {
    fn insert(&mut self, name: &str) -> Result<(), Fault> {
        self.hashes.try_reserve(1)?;
        self.hashes.insert(self.keys.hash_one(name));
        Ok(())
    }

    pub fn remove(&mut self, name: &str) {
        self.hashes.remove(&self.keys.hash_one(name));
    }

    pub fn len(&self) -> usize {
        self.hashes.len()
    }
}

/// All that is listed of a licence but its name.
#[derive(Hash)]
struct Content<'c> {
    digest: &'c Digest,
    key_id: &'c str,
    right: BackupRight,
    format: Format,
    modified: i64,
}

/// Indexes the licences in the list by the hash of their names.
fn places(known: &[OldLicense]) -> Result<HashTable<u32>, Fault> {
    let name = |place: u32| known.get(place as usize).map(|license| license.name);
    let hash = |place: &u32| name(*place).map_or(0, low);
    let mut places = HashTable::new();
    if places.try_reserve(known.len(), hash).is_err() {
        return Err(Fault::OutOfMemory);
    }
    for (place, license) in known.iter().enumerate() {
        let is_same = |other: &u32| name(*other) == Some(license.name);
        match places.entry(low(license.name), is_same, hash) {
            Entry::Occupied(_) => return Err(Fault::damaged("it names a licence twice")),
            Entry::Vacant(vacant) => vacant.insert(place as u32),
        };
    }
    Ok(places)
}

/// Gives half of a hash, which is enough for a table.
fn low([_, low]: [u64; 2]) -> u64 {
    low
}

/// An old version that is still in a frame.
pub struct Superseded {
    pub name: String,
    pub size: u64,
}

/// All old versions, and the numbers of their lines in `state.jsonl`.
#[derive(Default)]
pub struct OldVersions {
    pub by_frame: HashMap<u32, Vec<Superseded>>,
    pub lines: Vec<u64>,
}

pub struct PreviousBackup {
    pub backup: Arc<Backup>,
    names: name::Hash,
    states: random::Key,
    /// The licences in the order of the lists.
    known: Vec<OldLicense>,
    places: HashTable<u32>,
    /// The end of each frame's licences in that list.
    ends: Vec<usize>,
    pub superseded: OldVersions,
    /// The states count, and stand in the order of the licences.
    pub has_states_in_order: bool,
}

impl PreviousBackup {
    /// Opens the backup in the directory at `path`, if it can be used. Its states count if they
    /// were noted at `origin`.
    pub fn open(
        path: &AnchoredPath,
        origin: Option<&NotedOrigin>,
        leave_out_unstated: bool,
        operation: &Operation,
    ) -> Result<Option<Arc<PreviousBackup>>> {
        let backup = match Backup::open(path) {
            Err(error) if error.outcome == Outcome::OutOfMemory => return Err(error),
            Err(_) => return Ok(None),
            Ok(backup) => backup,
        };
        let facts = backup.reader.source().0.facts();
        if !facts.is_ok_and(|facts| facts.owner.0 == user()) {
            return Ok(None);
        }
        let mut old = PreviousBackup {
            backup,
            names: name::Hash::default(),
            states: random::Key::default(),
            known: Vec::new(),
            places: HashTable::new(),
            ends: Vec::new(),
            superseded: OldVersions::default(),
            has_states_in_order: false,
        };
        match old.read(origin, leave_out_unstated, || operation.check()) {
            Ok(()) => Ok(Some(Arc::new(old))),
            Err(Stop::Error(error)) => Err(error),
            Err(Stop::Fault(fault @ Fault::OutOfMemory)) => Err(old.backup.error(fault)),
            // A damaged backup is no help, but no hindrance either.
            Err(_) => Ok(None),
        }
    }

    /// Reads the lists; `go_on` may end it.
    fn read(
        &mut self,
        origin: Option<&NotedOrigin>,
        leave_out_unstated: bool,
        go_on: impl Fn() -> Result<()>,
    ) -> Result<(), Stop> {
        let backup = Arc::clone(&self.backup);
        let reader = &backup.reader;
        let mut lists = Agreement::new(reader)?;
        let mut states = States::new(reader, origin)?;
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
                let listed = lists.next_listed()?;
                let (place, line) = (listed.place, &listed.line);
                let state = states.of(&line.name)?;
                self.known.push(OldLicense {
                    name: self.hash(&line.name),
                    proof: match &state {
                        Some(state) => self.state(state),
                        None => self.license(&Content {
                            digest: &listed.digest,
                            key_id: &line.key_id,
                            right: line.right(),
                            format: line.format(),
                            modified: listed.modified,
                        }),
                    },
                    key: place.key,
                    member: place.member,
                    size: line.size as u32,
                    has_state: state.is_some(),
                    is_barred: line.right().is_restricted(leave_out_unstated),
                    fate: AtomicU8::new(Fate::Unseen as u8),
                });
            }
            self.ends.push(self.known.len());
        }
        lists.finish()?;
        self.places = places(&self.known)?;
        self.has_states_in_order = states.counts;
        // The remaining states stand in another order, and are found by name.
        while let Some((name, state)) = states.next()? {
            self.has_states_in_order = false;
            let (hash, proof) = (self.hash(&name), self.state(&state));
            if let Some(place) = self.place(hash)
                && let Some(known) = self.known.get_mut(place)
            {
                (known.proof, known.has_state) = (proof, true);
            }
        }
        self.superseded = states.finish()?;
        Ok(())
    }

    fn hash(&self, name: &str) -> [u64; 2] {
        let hash = self.names.of(name);
        [(hash >> 64) as u64, hash as u64]
    }

    fn state(&self, state: &FileState) -> u64 {
        self.states.hash_one(state)
    }

    /// Hashes a licence with all that is listed of it.
    fn license(&self, license: &Content) -> u64 {
        self.states.hash_one(license)
    }

    /// Finds the place of a licence in the list.
    fn place(&self, name: [u64; 2]) -> Option<usize> {
        let of = |place: &u32| self.known.get(*place as usize);
        let is_it = |place: &u32| of(place).is_some_and(|license| license.name == name);
        let place = self.places.find(low(name), is_it)?;
        Some(*place as usize)
    }

    pub fn find(&self, name: &str) -> Option<&OldLicense> {
        self.known.get(self.place(self.hash(name))?)
    }

    /// Tells whether any licence was found unchanged.
    pub fn has_unchanged(&self) -> bool {
        self.known
            .iter()
            .any(|known| known.fate() == Fate::Unchanged)
    }

    /// Counts the licences that were not found in the store.
    pub fn gone(&self) -> u64 {
        let gone = self
            .known
            .iter()
            .filter(|known| known.fate() == Fate::Unseen);
        gone.count() as u64
    }

    /// Gives the licences of a frame, in the order of the lists.
    pub fn licenses_in(&self, frame: usize) -> &[OldLicense] {
        let end = |frame: usize| self.ends.get(frame).copied().unwrap_or_default();
        let start = frame.checked_sub(1).map_or(0, end);
        self.known.get(start..end(frame)).unwrap_or_default()
    }

    /// Tells whether the licence `name` is taken over as it is: it was there, and its file has not
    /// changed. Any thread may call it.
    pub fn takes_over(&self, name: &str, state: impl FnOnce() -> Option<FileState>) -> bool {
        let known = self.find(name);
        let Some(known) = known.filter(|known| known.has_state && known.is_open()) else {
            return false;
        };
        let same = state().is_some_and(|state| self.state(&state) == known.proof);
        if same {
            known.set(Fate::Unchanged);
        }
        same
    }

    /// Tells whether the licence `name`, whose file has no state that counts, was found by reading
    /// it to be in the backup as it is. Any thread may call it.
    pub fn has_same<'c>(
        &self,
        name: &str,
        statement: &Statement,
        modified: i64,
        content: impl FnOnce() -> &'c [u8],
    ) -> bool {
        let known = self.find(name);
        let Some(known) = known.filter(|known| !known.has_state && known.is_open()) else {
            return false;
        };
        let content = Content {
            digest: &digest(content()),
            key_id: &statement.key_id,
            right: statement.right,
            format: statement.format,
            modified,
        };
        let same = self.license(&content) == known.proof;
        if same {
            known.set(Fate::Unchanged);
        }
        same
    }

    /// Notes that the licence `name` is in the new backup in a version that was read now. It is
    /// called only once that is certain: a licence that vanishes while it is read is gone, and its
    /// old versions must go too.
    pub fn renew(&self, name: &str) {
        let known = self.find(name);
        if let Some(known) = known.filter(|known| known.fate() != Fate::Restricted) {
            known.set(Fate::Changed);
        }
    }

    /// Notes that no version of the licence `name` may be in the new backup.
    pub fn restrict(&self, name: &str) {
        if let Some(known) = self.find(name) {
            known.set(Fate::Restricted);
        }
    }
}

/// The lines of `state.jsonl`, walked in step with the licences as long as they stand in their
/// order.
struct States<'b> {
    /// The lines, none where there are no states.
    lines: Option<Lines<'b, Stored<File>>>,
    /// The states were noted where and when the store is read now.
    counts: bool,
    /// The name of the next state's licence, and that state.
    name: String,
    state: Option<FileState>,
    superseded: OldVersions,
    /// The number of lines read.
    read: u64,
}

impl<'b> States<'b> {
    fn new(
        reader: &'b Reader<Stored<File>>,
        origin: Option<&NotedOrigin>,
    ) -> Result<States<'b>, Fault> {
        let has_states = reader.trailer().entry(STATE).is_ok();
        let mut states = States {
            lines: has_states.then(|| reader.lines(STATE)).transpose()?,
            counts: false,
            name: String::new(),
            state: None,
            superseded: OldVersions::default(),
            read: 0,
        };
        let first = match &mut states.lines {
            Some(lines) => lines.next()?,
            None => None,
        };
        if let Some((_, line)) = first {
            states.read = 1;
            match parse_json::<NotedOrigin>(line) {
                Ok(noted) => states.counts = origin == Some(&noted),
                Err(_) => {
                    let line = parse_state(line)?;
                    take(line, 0, &mut states.superseded)?;
                }
            }
        }
        Ok(states)
    }

    /// Gives the state of the licence `name`, if it comes next.
    fn of(&mut self, name: &str) -> Result<Option<FileState>, Fault> {
        self.look_ahead()?;
        Ok(self.state.take_if(|_| self.name == name))
    }

    /// Gives the next state with its licence's name.
    fn next(&mut self) -> Result<Option<(String, FileState)>, Fault> {
        self.look_ahead()?;
        Ok(self.state.take().map(|state| (self.name.clone(), state)))
    }

    /// Goes to the next state that counts, and notes the old versions before it.
    fn look_ahead(&mut self) -> Result<(), Fault> {
        let Some(lines) = &mut self.lines else {
            return Ok(());
        };
        while self.state.is_none() {
            let Some((_, line)) = lines.next()? else {
                break;
            };
            self.read += 1;
            let line = parse_state(line)?;
            let (name, state) = (&line.name, line.state());
            if line.superseded_in.is_some() {
                take(line, self.read - 1, &mut self.superseded)?;
            } else if self.counts {
                name.as_ref().clone_into(&mut self.name);
                self.state = Some(state);
            }
        }
        Ok(())
    }

    /// Gives the old versions, once all lines have been walked over.
    fn finish(self) -> Result<OldVersions, Fault> {
        self.lines.map_or(Ok(()), Lines::finish)?;
        Ok(self.superseded)
    }
}

/// Notes the old version, if the line `number` tells of one.
fn take(line: StateLine, number: u64, superseded: &mut OldVersions) -> Result<(), Fault> {
    let Some(frame) = line.superseded_in else {
        return Ok(());
    };
    if line.size > license::SIZE_MAX {
        return Err(Fault::damaged("an old version is too large"));
    }
    superseded.by_frame.try_reserve(1)?;
    let in_frame = superseded.by_frame.entry(frame).or_default();
    in_frame.try_reserve(1)?;
    in_frame.push(Superseded {
        name: line.name.into_owned(),
        size: line.size,
    });
    superseded.lines.try_reserve(1)?;
    superseded.lines.push(number);
    Ok(())
}
