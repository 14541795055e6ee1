//! The names of a backup on a file system that does not tell upper from lower case: two of them may
//! be one file there.

use crate::error::Result;
use crate::license::name;
use crate::random::HashSet;
use crate::sync::locks::Mutex;

/// The names that were taken so far, whatever their case.
#[derive(Default)]
pub struct Twins {
    hash: name::Hash,
    taken: Mutex<HashSet<u128>>,
}

impl Twins {
    /// Takes `name`. Tells whether one that differs in case alone was taken before.
    pub fn has_one_of(&self, name: &str) -> Result<bool> {
        let folded = self.hash.of_folded(name);
        let mut taken = self.taken.lock();
        taken.try_reserve(1)?;
        Ok(!taken.insert(folded))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twins_differ_in_case_alone() {
        let twins = Twins::default();
        let has_one_of = |name| twins.has_one_of(name).unwrap();
        for name in ["KEY", "a/KEY", "\u{c9}t\u{e9}", "keys", "ke"] {
            assert!(!has_one_of(name), "{name}");
        }
        for name in ["key", "A/key", "\u{e9}T\u{c9}", "Keys"] {
            assert!(has_one_of(name), "{name}");
        }
    }
}
