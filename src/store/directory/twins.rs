//! The names of a backup where a file system takes two of them for one: it does not tell upper from
//! lower case, or ways of writing a letter. One licence would be taken for the other then, and
//! replace it or not be restored; one folder would get what is in the other.

use std::collections::hash_map::Entry;
use std::hash::Hash;

use crate::error::Result;
use crate::license::name;
use crate::random::HashMap;
use crate::sync::locks::Mutex;
use crate::sys::files::{Dir, Errno, Identity};

/// The names that were taken so far.
#[derive(Default)]
pub struct Twins {
    hash: name::Hash,
    /// The hash of each name by that of the name in lower case, and by the file that it leads to.
    by_case: Mutex<HashMap<u128, u128>>,
    by_file: Mutex<HashMap<Identity, u128>>,
}

impl Twins {
    /// Takes the `name` of a licence or folder. Tells whether one that differs in case alone was
    /// taken before.
    pub fn has_one_of(&self, name: &str) -> Result<bool> {
        differs(
            &mut self.by_case.lock(),
            self.hash.of_folded(name),
            self.hash.of(name),
        )
    }

    /// Notes that `name` leads to this file or folder. Tells whether another name has led there.
    pub fn share(&self, name: &str, file: Identity) -> Result<bool> {
        differs(&mut self.by_file.lock(), file, self.hash.of(name))
    }
}

/// Notes the `name` under the `key`, unless there is one, and tells whether that is another.
fn differs<K: Eq + Hash>(names: &mut HashMap<K, u128>, key: K, name: u128) -> Result<bool> {
    names.try_reserve(1)?;
    Ok(match names.entry(key) {
        Entry::Occupied(taken) => *taken.get() != name,
        Entry::Vacant(free) => {
            free.insert(name);
            false
        }
    })
}

/// Tells whether a folder finds its names in another case, too, by the first name that has one: it is
/// found so, though it is not listed. None where that can't be told.
pub fn finds_any_case(folder: &Dir) -> Option<bool> {
    let other = first_in(folder, |name| {
        let other = in_other_case(name);
        (other != name).then_some(other)
    })?;
    match folder.facts_of(&other) {
        Err(_) => Some(false),
        Ok(_) => first_in(folder, |name| (name == other).then_some(()))
            .is_none()
            .then_some(true),
    }
}

/// Gives the first answer to a name that the folder lists.
fn first_in<A>(folder: &Dir, mut answer: impl FnMut(&str) -> Option<A>) -> Option<A> {
    let mut first = None;
    let _ = folder.entries::<Errno>(|name, _, _| {
        first = name.to_str().ok().and_then(&mut answer);
        match first {
            None => Ok(()),
            Some(_) => Err(Errno::EXIST), // which ends it
        }
    });
    first
}

fn in_other_case(name: &str) -> String {
    let letters = name
        .chars()
        .map(|letter| match letter.is_ascii_lowercase() {
            true => letter.to_ascii_uppercase(),
            false => letter.to_ascii_lowercase(),
        });
    letters.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twins_differ_in_case_alone() {
        let twins = Twins::default();
        let has_one_of = |name| twins.has_one_of(name).unwrap();
        for name in ["KEY", "a", "a/KEY", "\u{c9}t\u{e9}", "keys", "ke"] {
            assert!(!has_one_of(name), "{name}");
        }
        for name in ["key", "A", "A/key", "\u{e9}T\u{c9}", "Keys"] {
            assert!(has_one_of(name), "{name}");
        }
        // A folder is taken with each of its licences.
        assert!(!has_one_of("a"));
    }

    #[test]
    fn twins_lead_to_one_file() {
        let twins = Twins::default();
        let file = |inode| Identity { device: 1, inode };
        let share = |name, inode| twins.share(name, file(inode)).unwrap();
        assert!(!share("stra\u{df}e", 1) && !share("others", 2));
        assert!(share("strasse", 1));
        assert!(!share("stra\u{df}e", 1));
    }
}
