//! The one rule for names, of every store and every backup.

use std::collections::TryReserveError;
use std::hash::{BuildHasher, RandomState};

/// Bytes of a whole name, and of a part of it between slashes.
pub const NAME_MAX: usize = 4000;
pub const PART_MAX: usize = 255;
/// Bytes of a key ID.
pub const KEY_ID_MAX: usize = 1024;

/// Why a name can't be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadName {
    #[error("it is empty or longer than 4000 bytes")]
    Length,
    #[error("it is no UTF-8")]
    Encoding,
    #[error("it has an empty part or one longer than 255 bytes")]
    Part,
    #[error("a part of it begins with a dot")]
    Hidden,
    #[error("it has a backslash or a control character")]
    Character,
}

/// `name` as text, if it keeps the rule: UTF-8, relative, `/` between parts.
pub fn check(name: &[u8]) -> Result<&str, BadName> {
    if name.is_empty() || name.len() > NAME_MAX {
        return Err(BadName::Length);
    }
    let name = std::str::from_utf8(name).map_err(|_| BadName::Encoding)?;
    for part in name.split('/') {
        if part.is_empty() || part.len() > PART_MAX {
            return Err(BadName::Part);
        }
        if part.starts_with('.') {
            return Err(BadName::Hidden);
        }
    }
    if name.contains('\\') || name.contains(char::is_control) {
        return Err(BadName::Character);
    }
    Ok(name)
}

/// Whether `key_id` may stand for a licence.
pub fn is_key_id(key_id: &str) -> bool {
    (1..=KEY_ID_MAX).contains(&key_id.len()) && !key_id.contains(char::is_control)
}

/// The name of the folder, empty for the store itself, and the name in it.
pub fn split(name: &str) -> (&str, &str) {
    name.rsplit_once('/').unwrap_or(("", name))
}

/// The last part of `name` without its extension.
pub fn stem(name: &str) -> &str {
    let (_, file) = split(name);
    match file.rsplit_once('.') {
        Some((stem, _)) if !stem.is_empty() => stem,
        _ => file,
    }
}

/// Names of one store or backup: no name twice, and none a folder of another.
///
/// Of each name a hash of 128 bits is kept, under keys that nobody else knows.
#[derive(Default)]
pub struct Set {
    keys: [RandomState; 2],
    names: Vec<u128>,
    folders: Vec<u128>,
    last_folder: String,
}

/// A set that is complete, and keeps the rule.
pub struct CheckedSet {
    keys: [RandomState; 2],
    names: Vec<u128>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Clash {
    #[error("it has two licences of one name")]
    Twice,
    #[error("it has a licence and a folder of one name")]
    Folder,
}

fn hash(keys: &[RandomState; 2], name: &str) -> u128 {
    let [high, low] = keys.each_ref().map(|key| u128::from(key.hash_one(name)));
    high << 64 | low
}

impl Set {
    pub fn insert(&mut self, name: &str) -> Result<(), TryReserveError> {
        self.names.try_reserve(1)?;
        self.names.push(hash(&self.keys, name));
        let (folder, _) = split(name);
        if folder != self.last_folder {
            folder.clone_into(&mut self.last_folder);
            let slashes = name.match_indices('/');
            for folder in slashes.filter_map(|(slash, _)| name.get(..slash)) {
                self.folders.try_reserve(1)?;
                self.folders.push(hash(&self.keys, folder));
            }
        }
        Ok(())
    }

    pub fn finish(mut self) -> Result<CheckedSet, Clash> {
        self.names.sort_unstable();
        if self
            .names
            .windows(2)
            .any(|pair| pair.first() == pair.last())
        {
            return Err(Clash::Twice);
        }
        if self
            .folders
            .iter()
            .any(|folder| self.names.binary_search(folder).is_ok())
        {
            return Err(Clash::Folder);
        }
        Ok(CheckedSet {
            keys: self.keys,
            names: self.names,
        })
    }
}

impl CheckedSet {
    pub fn contains(&self, name: &str) -> bool {
        self.names.binary_search(&hash(&self.keys, name)).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_has_its_reason() {
        let long = "x".repeat(256);
        let deep = "d/".repeat(2000) + "x";
        let cases: [(&[u8], BadName); 13] = [
            (b"", BadName::Length),
            (deep.as_bytes(), BadName::Length),
            (b"a\xff", BadName::Encoding),
            (b"/a", BadName::Part),
            (b"a/", BadName::Part),
            (b"a//b", BadName::Part),
            (long.as_bytes(), BadName::Part),
            (b".a", BadName::Hidden),
            (b"a/..", BadName::Hidden),
            (b"a/./b", BadName::Hidden),
            (b"a\\b", BadName::Character),
            (b"a\nb", BadName::Character),
            ("a\u{85}".as_bytes(), BadName::Character),
        ];
        for (name, reason) in cases {
            assert_eq!(
                check(name),
                Err(reason),
                "{:?}",
                String::from_utf8_lossy(name)
            );
        }
        for name in [
            "a",
            "a.b/c d/é…",
            &"y".repeat(255),
            &("d/".repeat(1999) + "xy"),
        ] {
            assert_eq!(check(name.as_bytes()), Ok(name));
        }
    }

    #[test]
    fn the_stem_is_what_a_user_would_call_the_licence() {
        assert_eq!(stem("books/dune.lcpl"), "dune");
        assert_eq!(stem("books/dune.tar.gz"), "dune.tar");
        assert_eq!(stem("seat"), "seat");
        assert_eq!(stem("seat."), "seat");
    }

    #[test]
    fn clashes_are_found_in_any_order() {
        let set = |names: &[&str]| {
            let mut set = Set::default();
            names.iter().for_each(|name| set.insert(name).unwrap());
            set.finish().map(|checked| {
                names.iter().all(|name| checked.contains(name)) && !checked.contains("z")
            })
        };
        assert_eq!(set(&["a", "b/c", "b/d", "b.c", "a b/c/d"]), Ok(true));
        assert_eq!(set(&["a", "b/c", "a"]), Err(Clash::Twice));
        assert_eq!(set(&["b/c/d", "x", "b"]), Err(Clash::Folder));
        assert_eq!(set(&["b/c", "x", "b/c/d/e"]), Err(Clash::Folder));
    }
}
