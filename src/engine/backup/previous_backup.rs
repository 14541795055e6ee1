//! The backup that a repeated one takes licences over from, and the fate of each of them.
//!
//! Only what the backup's own digests vouch for is believed. A licence counts as unchanged only if
//! its file is in every respect as it was, seen from the same mount in the same run of the system;
//! else it is read, and compared. Even so, anybody who can write to the directory of the backups
//! can make a licence count as unchanged.

use std::hash::BuildHasher;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use crate::archive::catalog_in_step::agreed;
use crate::archive::index::Counts;
use crate::archive::lines::{parse_json, parse_sum, parse_time};
use crate::archive::state::{FileState, Noted, OlderVersion, Proof, Prover, State};
use crate::archive::{Digest, Fault, LICENSES, SUMS, digest};
use crate::engine::operation::Operation;
use crate::engine::reading::backup_file::Backup;
use crate::engine::stop::Stop;
use crate::error::{Result, has_given_up};
use crate::license::{self, name};
use crate::random::{self, HashMap};

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
    /// The proof of its file's state, if there is one that counts, else the hash of the licence.
    proof: AtomicU64,
    has_state: AtomicBool,
    pub size: u32,
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

    /// Gives the proof of its file's state, if there is one that counts.
    pub fn proof(&self) -> Option<Proof> {
        let proof = Proof(self.proof.load(Ordering::Relaxed));
        self.has_state.load(Ordering::Relaxed).then_some(proof)
    }

    /// Sets the proof, or the hash of the licence where that counts instead.
    fn set_proof(&self, proof: u64, has_state: bool) {
        self.proof.store(proof, Ordering::Relaxed);
        self.has_state.store(has_state, Ordering::Relaxed);
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

/// All of a licence but its name that decides whether it is the same.
#[derive(Hash)]
struct Content<'c> {
    digest: &'c Digest,
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
    pub size: u32,
}

pub struct PreviousBackup {
    pub backup: Arc<Backup>,
    pub counts: Counts,
    /// Where the new backup's states are noted.
    pub noted: Noted,
    prover: Prover,
    /// The lines of `state` that the new backup gets too would be the same.
    has_same_origin: bool,
    /// A licence whose state was not known has one now.
    has_news: AtomicBool,
    names: name::Hash,
    contents: random::Key,
    /// The licences in the order of the lists.
    known: Vec<OldLicense>,
    places: HashTable<u32>,
    /// The old versions that are still in frames.
    pub superseded: HashMap<u32, Vec<Superseded>>,
    /// Names from all over the backup, where it has very many more.
    sample: Vec<String>,
}

/// Names in a sample. If one licence in twenty is unchanged, a sample misses all of them once in
/// 170 times.
const SAMPLE: usize = 100;

impl PreviousBackup {
    /// Reads the backup, if it can be used for one whose states are `noted`.
    pub fn of(
        backup: &Arc<Backup>,
        noted: Noted,
        operation: &Operation,
    ) -> Result<Option<Arc<PreviousBackup>>> {
        match PreviousBackup::read(backup, noted, || operation.check()) {
            Ok(old) => Ok(old.map(Arc::new)),
            Err(Stop::Error(error)) => Err(error),
            Err(Stop::Fault(fault @ Fault::OutOfMemory)) => Err(backup.error(fault)),
            Err(Stop::Fault(Fault::System(error))) if has_given_up(&error) => {
                Err(backup.error(Fault::System(error)))
            }
            // A damaged backup is no help, but no hindrance either.
            Err(_) => Ok(None),
        }
    }

    /// Reads names and states; `go_on` may end it.
    fn read(
        backup: &Arc<Backup>,
        mut noted: Noted,
        go_on: impl Fn() -> Result<()>,
    ) -> Result<Option<PreviousBackup>, Stop> {
        let reader = &backup.reader;
        let Some(mut states) = reader.states()? else {
            return Ok(None);
        };
        let (counts, names) = (reader.counts()?, name::Hash::default());
        let (mut sums, mut known) = (reader.framed_lines(SUMS)?, Vec::new());
        // A line has a digest and a name at least: what the backup claims beyond that is a lie.
        let lines_max = reader.trailer().entry(SUMS)?.size / (2 * size_of::<Digest>() as u64);
        let total = reader.trailer().licenses.min(lines_max) as usize;
        known.try_reserve_exact(total).map_err(Fault::from)?;
        let (mut sample, distance) = (Vec::new(), total / SAMPLE);
        for frame in 0..reader.license_frames() {
            go_on()?;
            for _ in counts.licenses_in(frame) {
                let sum = sums.next()?.ok_or_else(ends)?;
                let (_, name) = parse_sum(sum)?;
                let State { proof, size } = states.state()?;
                if distance >= SAMPLE && known.len().is_multiple_of(distance) {
                    sample.try_reserve(1).map_err(Fault::from)?;
                    sample.push(name.to_owned());
                }
                known.try_reserve(1).map_err(Fault::from)?;
                known.push(OldLicense {
                    name: halves(names.of(name)),
                    proof: AtomicU64::new(proof.map_or(0, |Proof(hash)| hash)),
                    has_state: AtomicBool::new(proof.is_some()),
                    size,
                    is_barred: false,
                    fate: AtomicU8::new(Fate::Unseen as u8),
                });
            }
        }
        let content_bytes: u64 = known.iter().map(|license| u64::from(license.size)).sum();
        if content_bytes != reader.trailer().content_bytes {
            return Ok(None);
        }
        let mut lines = states.into_lines();
        let noted_then: Noted = parse_json(lines.next()?.ok_or_else(ends)?)?;
        if noted_then.version != noted.version {
            return Ok(None);
        }
        let has_same_rules = noted_then.leaves_out_unstated == noted.leaves_out_unstated;
        let has_same_origin = noted_then.has_origin_of(&noted);
        if has_same_origin && !noted.boot.is_empty() {
            noted.key = noted_then.key;
        } else {
            known.iter().for_each(|license| license.set_proof(0, false));
        }
        let mut superseded: HashMap<u32, Vec<Superseded>> = HashMap::default();
        while let Some(line) = lines.next()? {
            let OlderVersion { name, size, frame } = parse_json(line)?;
            if u64::from(size) > license::SIZE_MAX {
                return Err(Fault::damaged("an old version is too large").into());
            }
            superseded.try_reserve(1).map_err(Fault::from)?;
            let in_frame = superseded.entry(frame).or_default();
            in_frame.try_reserve(1).map_err(Fault::from)?;
            in_frame.push(Superseded {
                name: name.into_owned(),
                size,
            });
        }
        let mut old = PreviousBackup {
            backup: Arc::clone(backup),
            counts,
            prover: noted.prover().ok_or_else(ends)?,
            noted,
            has_same_origin: has_same_origin && has_same_rules,
            has_news: AtomicBool::new(false),
            names,
            contents: random::Key::default(),
            places: places(&known)?,
            known,
            superseded,
            sample,
        };
        let mut licenses = old.known.iter();
        if !has_same_rules || licenses.any(|license| license.proof().is_none()) {
            old.read_contents(go_on)?;
        }
        Ok(Some(old))
    }

    /// Reads what the lists state of licences without a state that counts, and finds those that
    /// today's rules bar.
    fn read_contents(&mut self, go_on: impl Fn() -> Result<()>) -> Result<(), Stop> {
        let backup = Arc::clone(&self.backup);
        let mut sums = backup.reader.framed_lines(SUMS)?;
        let mut lines = backup.reader.framed_lines(LICENSES)?;
        for known in &mut self.known {
            go_on()?;
            let sum = sums.next()?.ok_or_else(ends)?;
            let (digest, line) = agreed(sum, lines.next()?.ok_or_else(ends)?)?;
            known.is_barred = line.right().is_restricted(self.noted.leaves_out_unstated);
            if known.proof().is_none() {
                let modified = parse_time(line.modified.as_deref())?;
                let digest = &digest;
                let hash = self.contents.hash_one(Content { digest, modified });
                known.set_proof(hash, false);
            }
        }
        Ok(())
    }

    fn hash(&self, name: &str) -> [u64; 2] {
        halves(self.names.of(name))
    }

    /// Finds the number of a licence in the list.
    fn place(&self, name: [u64; 2]) -> Option<usize> {
        let of = |place: &u32| self.known.get(*place as usize);
        let is_it = |place: &u32| of(place).is_some_and(|license| license.name == name);
        let place = self.places.find(low(name), is_it)?;
        Some(*place as usize)
    }

    fn find(&self, name: &str) -> Option<&OldLicense> {
        self.known.get(self.place(self.hash(name))?)
    }

    /// Finds a licence, and the frame that has it.
    pub fn find_in_frame(&self, name: &str) -> Option<(&OldLicense, usize)> {
        let place = self.place(self.hash(name))?;
        Some((self.known.get(place)?, self.counts.frame_of(place as u32)))
    }

    /// Counts the licences.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Tells whether each licence was found unchanged, and each has all the state that it can have.
    pub fn is_whole(&self) -> bool {
        let mut licenses = self.known.iter();
        self.has_same_origin
            && !self.has_news.load(Ordering::Relaxed)
            && licenses.all(|license| license.fate() == Fate::Unchanged)
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
        let Range { start, end } = self.counts.licenses_in(frame);
        let licenses = self.known.get(start as usize..end as usize);
        licenses.unwrap_or_default()
    }

    /// Tells whether the licence `name` is taken over as it is: it was there, and its file has not
    /// changed. Any thread may call it.
    pub fn takes_over(&self, name: &str, state: impl FnOnce() -> Option<FileState>) -> bool {
        let known = self.find(name).filter(|known| known.is_open());
        let Some((known, proof)) = known.and_then(|known| Some((known, known.proof()?))) else {
            return false;
        };
        let same = state().is_some_and(|state| self.prover.proof(&state) == proof);
        if same {
            known.set(Fate::Unchanged);
        }
        same
    }

    /// Tells whether the licence `name`, whose file had no state that counts, was found by reading
    /// it to be in the backup as it is. Then `proof` is that of its state now. Any thread may call
    /// it.
    pub fn has_same<'c>(
        &self,
        name: &str,
        modified: i64,
        proof: Option<Proof>,
        content: impl FnOnce() -> &'c [u8],
    ) -> bool {
        let known = self.find(name);
        let Some(known) = known.filter(|known| known.proof().is_none() && known.is_open()) else {
            return false;
        };
        let digest = &digest(content());
        let hash = self.contents.hash_one(Content { digest, modified });
        let same = hash == known.proof.load(Ordering::Relaxed);
        if same {
            known.set(Fate::Unchanged);
            if let Some(Proof(hash)) = proof {
                known.set_proof(hash, true);
                self.has_news.store(true, Ordering::Relaxed);
            }
        }
        same
    }

    /// Tells whether nothing or next to nothing can be taken over, from a sample of the states that
    /// the licences have now. Then it takes less time to read all without looking for it.
    pub fn is_outdated(&self, state: impl Fn(&str) -> Option<FileState>) -> bool {
        let mut sample = self.sample.iter();
        // Where a state is not known, only the content tells.
        let is_other = |name: &String| {
            let proof = self.find(name).and_then(OldLicense::proof);
            proof.is_some_and(|proof| {
                state(name).is_none_or(|state| self.prover.proof(&state) != proof)
            })
        };
        !self.sample.is_empty() && sample.all(is_other)
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

fn ends() -> Fault {
    Fault::damaged("a list ends too early")
}

fn halves(hash: u128) -> [u64; 2] {
    [(hash >> 64) as u64, hash as u64]
}
