//! The member `state`: what a repeated backup needs to know what has not changed.
//!
//! It begins with a record for each licence, in the order of the lists. Lines of JSON follow: the
//! first tells where, when and by which rules all of it was noted, and each further one of an older
//! version of a licence that is still in a frame. Only this library reads it.

use std::borrow::Cow;
use std::hash::BuildHasher;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::reader::{Lines, MemberReader, Reader};
use super::{Fault, ReadAt, Result, STATE, lines};
use crate::random;

/// Bytes of a record.
pub const RECORD: usize = 2 * PROOF;
/// Bytes of a proof: of a million files that change each day, one has its old proof once in 3,000
/// years.
const PROOF: usize = 5;

/// The facts about a file that change with its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileState {
    pub device: u64,
    pub inode: u128,
    /// The time of modification in nanoseconds since 1970 UTC.
    pub mtime: i64,
    pub ctime: i64,
    pub size: u64,
}

/// What is noted of a licence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// A hash of its file's state; none where that can't be relied on.
    pub proof: Option<Proof>,
    /// Bytes of its content.
    pub size: u32,
}

/// A hash of a file's state, under a key that only the backup's owner knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proof(pub u64);

impl State {
    /// Writes the proof, 0 for none, and the size, the least significant byte first. Sizes that are
    /// alike compress to nothing where the length of a record is even.
    pub fn to_bytes(self) -> [u8; RECORD] {
        let mut bytes = [0; RECORD];
        let hash = self.proof.map_or(0, |Proof(hash)| hash);
        let (proof, size) = bytes.split_at_mut(PROOF);
        for (field, number) in [(proof, hash), (size, self.size.into())] {
            field.copy_from_slice(number.to_le_bytes().split_at(PROOF).0);
        }
        bytes
    }

    pub fn from_bytes(bytes: [u8; RECORD]) -> State {
        let [p0, p1, p2, p3, p4, s0, s1, s2, s3, _] = bytes;
        let proof = u64::from_le_bytes([p0, p1, p2, p3, p4, 0, 0, 0]);
        State {
            proof: (proof != 0).then_some(Proof(proof)),
            size: u32::from_le_bytes([s0, s1, s2, s3]),
        }
    }
}

/// The first line of JSON. States say nothing of another run of the machine, nor of another mount,
/// which may show another file system in the same place; and licences that another version of the
/// library has looked into, or by other rules, are looked into again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Noted {
    /// The version of the library.
    #[serde(rename = "library")]
    pub version: String,
    /// Licences whose backup right is unstated were left out.
    pub leaves_out_unstated: bool,
    /// The run of the machine, in the system's own words; empty where states can't be relied on.
    pub boot: String,
    pub mount: u64,
    /// The key of the proofs, in hexadecimal.
    pub key: String,
}

impl Noted {
    /// Tells whether states were noted in the same run of the machine, on the same mount.
    pub fn has_origin_of(&self, other: &Noted) -> bool {
        (&self.boot, self.mount) == (&other.boot, other.mount)
    }

    pub fn prover(&self) -> Option<Prover> {
        Some(Prover(random::Key::of(&lines::parse_hex(&self.key)?)))
    }
}

/// Makes proofs.
#[derive(Clone, Debug)]
pub struct Prover(random::Key);

impl Prover {
    pub fn proof(&self, state: &FileState) -> Proof {
        const UNUSED: u32 = u64::BITS - 8 * PROOF as u32;
        Proof((self.0.hash_one(state) >> UNUSED).max(1))
    }
}

/// Reads the states, then the lines.
pub struct StateReader<'r, R> {
    member: MemberReader<'r, R>,
    /// The rest of the member's present part.
    rest: Range<usize>,
}

impl<R: ReadAt> Reader<R> {
    /// Reads the states, if the backup has any. The digests of their frames vouch for them.
    pub fn states(&self) -> Result<Option<StateReader<'_, R>>> {
        match self.trailer().entry(STATE) {
            Err(_) => Ok(None),
            Ok(_) => Ok(Some(StateReader {
                member: self.framed_member(STATE)?,
                rest: 0..0,
            })),
        }
    }
}

impl<'r, R: ReadAt> StateReader<'r, R> {
    /// Gives the state of the next licence.
    pub fn state(&mut self) -> Result<State> {
        if self.rest.is_empty() {
            self.rest = 0..self.member.next()?.map_or(0, <[u8]>::len);
        }
        let rest = self.member.part().get(self.rest.clone());
        let record = rest.and_then(|rest| rest.first_chunk()).copied();
        self.rest.start += RECORD;
        let record = record.ok_or_else(|| Fault::damaged("its states end too early"))?;
        Ok(State::from_bytes(record))
    }

    /// Gives the lines, once all states were read.
    pub fn into_lines(self) -> Lines<'r, R> {
        Lines {
            member: self.member,
            rest: self.rest,
        }
    }
}

/// An older version of a licence, a line of JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OlderVersion<'a> {
    #[serde(borrow)]
    pub name: Cow<'a, str>,
    pub size: u32,
    /// The number of the frame that has it.
    pub frame: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_keep_their_bytes() {
        let state = State {
            proof: Some(Proof(0x05_0403_0201)),
            size: 0x0908_0706,
        };
        assert_eq!(state.to_bytes(), [1, 2, 3, 4, 5, 6, 7, 8, 9, 0]);
        let none = State {
            proof: None,
            ..state
        };
        for state in [state, none] {
            assert_eq!(State::from_bytes(state.to_bytes()), state);
        }
    }

    #[test]
    fn every_fact_counts_and_so_does_the_key() {
        let prover = |byte| Prover(random::Key::of(&[byte; 16]));
        let state = FileState {
            device: 1,
            inode: 2,
            mtime: 3,
            ctime: 4,
            size: 5,
        };
        let others = [
            FileState { device: 0, ..state },
            FileState { inode: 0, ..state },
            FileState { mtime: 0, ..state },
            FileState { ctime: 0, ..state },
            FileState { size: 0, ..state },
        ];
        let proof = prover(1).proof(&state);
        assert_eq!(proof, prover(1).proof(&state));
        assert_ne!(proof, prover(2).proof(&state));
        assert!(others.iter().all(|other| prover(1).proof(other) != proof));
    }
}
