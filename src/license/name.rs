//! The one rule for names, of every store and every backup.

use std::cmp::Ordering;
use std::collections::TryReserveError;
use std::hash::{BuildHasher, Hasher};

use memchr::memchr_iter;

use crate::bytes;
use crate::random::{self, HashSet};

/// Bytes of a whole name, and of a part of it between slashes.
pub const NAME_MAX: usize = 4000;
pub const PART_MAX: usize = 255;
/// Characters of a name in a sentence.
const SHOWN_MAX: usize = 4096;
/// Bytes of a key ID.
pub const KEY_ID_MAX: usize = 1024;

/// The reason why a name can't be kept.
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

/// Gives `name` as text, if it keeps the rule: UTF-8, relative, `/` between parts.
pub fn check(name: &[u8]) -> Result<&str, BadName> {
    match is_plain(name) {
        true => std::str::from_utf8(name).map_err(|_| BadName::Encoding),
        false => check_slowly(name),
    }
}

/// Tells whether `name` keeps the rule.
pub fn is_allowed(name: &str) -> bool {
    is_plain(name.as_bytes()) || check_slowly(name.as_bytes()).is_ok()
}

fn check_slowly(name: &[u8]) -> Result<&str, BadName> {
    if name.is_empty() || name.len() > NAME_MAX {
        return Err(BadName::Length);
    }
    let name = std::str::from_utf8(name).map_err(|_| BadName::Encoding)?;
    for part in name.as_bytes().split(|byte| *byte == b'/') {
        if part.is_empty() || part.len() > PART_MAX {
            return Err(BadName::Part);
        }
        if part.starts_with(b".") {
            return Err(BadName::Hidden);
        }
    }
    if name.as_bytes().contains(&b'\\') || has_control(name) {
        return Err(BadName::Character);
    }
    Ok(name)
}

/// Tells of most names that they keep the rule: every name is checked again and again, so no loop
/// here has a branch for each byte.
fn is_plain(name: &[u8]) -> bool {
    let is_seen = |byte| (b' '..0x7F).contains(&byte) & (byte != b'\\');
    let begins_part = |slash: usize| !matches!(name.get(slash + 1), Some(b'/' | b'.'));
    let ends = match name {
        [first, .., last] => !matches!(first, b'/' | b'.') && *last != b'/',
        [only] => !matches!(only, b'/' | b'.'),
        [] => false,
    };
    let is_short = name.len() <= PART_MAX;
    is_short && ends && bytes::all(name, is_seen) && memchr_iter(b'/', name).all(begins_part)
}

/// Tells whether there is a control character in `text`. Most text is ASCII, and quick to search.
fn has_control(text: &str) -> bool {
    match text.is_ascii() {
        true => !bytes::all(text.as_bytes(), |byte| !byte.is_ascii_control()),
        false => text.contains(char::is_control),
    }
}

/// Tells whether `key_id` may stand for a licence.
pub fn is_key_id(key_id: &str) -> bool {
    (1..=KEY_ID_MAX).contains(&key_id.len()) && !has_control(key_id)
}

/// Gives the beginning of a name, even a wrong one, as people can read it.
pub fn shown(name: &str) -> String {
    let beginning: String = name.chars().take(SHOWN_MAX).collect();
    beginning.escape_debug().to_string()
}

/// Gives the beginning of a name as people can read it, whatever its bytes: those that are no text
/// are shown as numbers, so that no two names are shown alike.
pub fn shown_bytes(name: &[u8]) -> String {
    let mut shown = String::new();
    for part in name.get(..SHOWN_MAX).unwrap_or(name).utf8_chunks() {
        shown.extend(part.valid().escape_debug());
        shown.extend(part.invalid().iter().map(|byte| format!("\\x{byte:02x}")));
    }
    shown
}

/// Splits a name into its folder, empty for the store itself, and the name in that folder.
pub fn split(name: &str) -> (&str, &str) {
    name.rsplit_once('/').unwrap_or(("", name))
}

/// Gives the last part of `name` without its extension.
pub fn stem(name: &str) -> &str {
    let (_, file) = split(name);
    match file.rsplit_once('.') {
        Some((stem, _)) if !stem.is_empty() => stem,
        _ => file,
    }
}

/// Hashes names to 128 bits, under keys that nobody else knows.
#[derive(Default)]
pub struct Hash([random::Key; 2]);

impl Hash {
    pub fn of(&self, name: &str) -> u128 {
        let [high, low] = self.0.each_ref().map(|key| u128::from(key.hash_one(name)));
        high << 64 | low
    }

    /// Gives a hash that is the same for names which differ in case alone.
    pub fn of_folded(&self, name: &str) -> u128 {
        let [high, low] = self.0.each_ref().map(|key| {
            let mut hasher = key.build_hasher();
            let folded = name.chars().flat_map(char::to_lowercase);
            folded.for_each(|lower| hasher.write_u32(lower.into()));
            u128::from(hasher.finish())
        });
        high << 64 | low
    }

    /// Gives the hashes of the folders above `name`, from the store on. Each goes on where the one
    /// before ended: a name of 4,000 bytes may have 2,000 folders.
    fn of_folders<'n>(&self, name: &'n str) -> impl Iterator<Item = u128> + Clone + 'n {
        let mut hashers = self.0.each_ref().map(BuildHasher::build_hasher);
        let mut done = 0;
        folders(name).map(move |folder| {
            let more = folder.as_bytes().get(done..).unwrap_or_default();
            done = folder.len();
            let [high, low] = hashers.each_mut().map(|hasher| {
                hasher.write(more);
                let mut whole = hasher.clone();
                whole.write_u8(0xFF); // which ends a string that is hashed
                u128::from(whole.finish())
            });
            high << 64 | low
        })
    }
}

/// A set of the names of one store or backup: no name twice, and none a folder of another.
#[derive(Default)]
pub struct Set {
    hash: Hash,
    names: HashSet<u128>,
    folders: HashSet<u128>,
    last_folder: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Clash {
    #[error("there is another of the same name")]
    Twice,
    #[error("there is also a folder of this name, or a licence with the name of its folder")]
    Folder,
}

/// Hashes of names, and of the folders above them.
#[derive(Default)]
pub struct Hashes {
    pub names: Vec<u128>,
    pub folders: Vec<u128>,
}

impl Hashes {
    pub fn clear(&mut self) {
        self.names.clear();
        self.folders.clear();
    }
}

impl Set {
    /// Takes `name` in, if it clashes with none: else the inner error tells how, and the set stays
    /// as it was.
    pub fn insert(&mut self, name: &str) -> Result<Result<(), Clash>, TryReserveError> {
        let hash = self.hash.of(name);
        if self.folders.contains(&hash) {
            return Ok(Err(Clash::Folder));
        }
        if self.names.contains(&hash) {
            return Ok(Err(Clash::Twice));
        }
        let (folder, _) = split(name);
        if folder != self.last_folder {
            let hashes = self.hash.of_folders(name);
            if hashes.clone().any(|folder| self.names.contains(&folder)) {
                return Ok(Err(Clash::Folder));
            }
            self.folders.try_reserve(hashes.clone().count())?;
            self.folders.extend(hashes);
            folder.clone_into(&mut self.last_folder);
        }
        self.names.try_reserve(1)?;
        self.names.insert(hash);
        Ok(Ok(()))
    }

    /// Adds to `hashes` what the set would take in with `name`.
    pub fn hash(&mut self, name: &str, hashes: &mut Hashes) -> Result<(), TryReserveError> {
        hashes.names.try_reserve(1)?;
        hashes.names.push(self.hash.of(name));
        let (folder, _) = split(name);
        if folder != self.last_folder {
            let before = self.last_folder.as_str();
            let both = before.bytes().zip(name.bytes());
            let common = both.take_while(|(before, new)| before == new).count();
            // The folders above both are known.
            let is_known = |folder: &&str| {
                folder.len() <= common
                    && matches!(before.as_bytes().get(folder.len()), None | Some(b'/'))
            };
            let known = folders(name).take_while(is_known).count();
            let new = self.hash.of_folders(name).skip(known);
            hashes.folders.try_reserve(new.clone().count())?;
            hashes.folders.extend(new);
            folder.clone_into(&mut self.last_folder);
        }
        Ok(())
    }

    /// Takes hashes in that are known not to clash.
    pub fn extend(&mut self, hashes: &Hashes) -> Result<(), TryReserveError> {
        self.names.try_reserve(hashes.names.len())?;
        self.names.extend(hashes.names.iter().copied());
        self.folders.try_reserve(hashes.folders.len())?;
        self.folders.extend(hashes.folders.iter().copied());
        Ok(())
    }
}

/// Gives the folders above a name, from the store on.
pub fn folders(name: &str) -> impl Iterator<Item = &str> + Clone {
    let slashes = name.match_indices('/');
    slashes.filter_map(|(slash, _)| name.get(..slash))
}

/// Checks the names of one store or backup in the order of their bytes. It finds the same clashes
/// as [`Set`] without keeping the names: a repeated name comes twice in a row, and all names
/// between that of a licence and those in a folder of this name begin with it.
#[derive(Default)]
pub struct Sorted {
    last: String,
    /// The lengths of the names that `last` begins with, its own among them.
    beginnings: Vec<usize>,
}

impl Sorted {
    /// Takes `name` in, or tells how it clashes. Returns false for a name that is out of order and
    /// was not taken in.
    pub fn push(&mut self, name: &str) -> Result<bool, Clash> {
        match name.cmp(&self.last) {
            Ordering::Less => return Ok(false),
            Ordering::Equal => return Err(Clash::Twice),
            Ordering::Greater => {}
        }
        let both = self.last.bytes().zip(name.bytes());
        let common = both.take_while(|(last, new)| last == new).count();
        // A name that does not begin this one begins no later one.
        self.beginnings.retain(|length| *length <= common);
        let is_folder = |length: &usize| name.as_bytes().get(*length) == Some(&b'/');
        if self.beginnings.iter().any(is_folder) {
            return Err(Clash::Folder);
        }
        self.beginnings.push(name.len());
        name.clone_into(&mut self.last);
        Ok(true)
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
    fn no_two_names_are_shown_alike() {
        let names: [&[u8]; 6] = [
            b"caf\xe9",
            b"caf\xe8",
            b"caf\\xe9",
            b"caf\xe9\xa0",
            b"a\nb",
            b"a\\nb",
        ];
        let shown = names.map(shown_bytes);
        assert_eq!(
            shown,
            [
                "caf\\xe9",
                "caf\\xe8",
                "caf\\\\xe9",
                "caf\\xe9\\xa0",
                "a\\nb",
                "a\\\\nb"
            ]
        );
        assert_eq!(
            shown_bytes("zwölf-nächte.lcpl".as_bytes()),
            "zwölf-nächte.lcpl"
        );
    }

    #[test]
    fn what_is_plain_keeps_the_rule_and_nearly_all_that_keeps_it_is_plain() {
        let alphabet = [b'/', b'.', b'\\', b' ', b'~', 0x7F, 0x1F, 0x80];
        let mut all = vec![Vec::new()];
        for length in 0..6 {
            let longer = all.iter().filter(|name| name.len() == length);
            let longer: Vec<Vec<u8>> = longer
                .flat_map(|name| alphabet.map(|byte| [name.as_slice(), &[byte]].concat()))
                .collect();
            all.extend(longer);
        }
        for name in &all {
            assert_eq!(is_plain(name), check_slowly(name).is_ok(), "{name:?}");
            if let Ok(text) = std::str::from_utf8(name) {
                assert_eq!(is_allowed(text), check(name).is_ok());
            }
        }
    }

    #[test]
    fn a_plain_name_keeps_the_rule() {
        let parts = [
            "a", "b.c", "", ".", "..", ".a", "a ", "\u{7}", "é", "a\\b", "x\u{7f}",
        ];
        let long = ["x".repeat(PART_MAX), "x".repeat(PART_MAX + 1)];
        let names = parts.iter().flat_map(|one| {
            let two = parts.iter().map(move |two| format!("{one}/{two}"));
            two.chain([(*one).to_owned()])
        });
        let mut plain = 0;
        for name in names.chain(long) {
            let keeps = is_plain(name.as_bytes());
            assert!(!keeps || check_slowly(name.as_bytes()).is_ok(), "{name:?}");
            let is_ascii = name.is_ascii() && name.len() <= PART_MAX;
            assert_eq!(
                keeps,
                is_ascii && check_slowly(name.as_bytes()).is_ok(),
                "{name:?}"
            );
            plain += usize::from(keeps);
        }
        assert_eq!(plain, 13);
    }

    #[test]
    fn the_stem_is_what_a_user_would_call_the_licence() {
        assert_eq!(stem("books/dune.lcpl"), "dune");
        assert_eq!(stem("books/dune.tar.gz"), "dune.tar");
        assert_eq!(stem("seat"), "seat");
        assert_eq!(stem("seat."), "seat");
    }

    #[test]
    fn a_folder_is_hashed_as_a_name_of_its_own() {
        let hash = Hash::default();
        for name in ["a", "a/b", "a/bc/d/é/f", &"d/".repeat(1999)] {
            let folders = folders(name).map(|folder| hash.of(folder));
            assert!(hash.of_folders(name).eq(folders), "{name}");
        }
        // What is new of each name beside the one before.
        let (mut set, mut hashes) = (Set::default(), Hashes::default());
        for name in ["a/b/c", "a/b/d", "a/bb/c", "a/b", "x", "a/b/c/d"] {
            set.hash(name, &mut hashes).unwrap();
        }
        let folders = ["a", "a/b", "a/bb", "a", "a/b", "a/b/c"];
        assert_eq!(hashes.folders, folders.map(|folder| set.hash.of(folder)));
    }

    #[test]
    fn clashes_are_found_in_any_order() {
        let first = |names: &[&str]| {
            let mut set = Set::default();
            names
                .iter()
                .find_map(|name| set.insert(name).unwrap().err())
        };
        assert_eq!(first(&["a", "b/c", "b/d", "b.c", "a b/c/d"]), None);
        assert_eq!(first(&["a", "b/c", "a"]), Some(Clash::Twice));
        assert_eq!(first(&["b/c/d", "x", "b"]), Some(Clash::Folder));
        assert_eq!(first(&["b/c", "x", "b/c/d/e"]), Some(Clash::Folder));
    }

    #[test]
    fn what_clashes_is_not_taken_in() {
        let mut set = Set::default();
        let mut insert = |name| set.insert(name).unwrap();
        assert_eq!(insert("a"), Ok(()));
        // The second time, its folder is the last one seen.
        assert_eq!(insert("a/b"), Err(Clash::Folder));
        assert_eq!(insert("a/b"), Err(Clash::Folder));
        assert_eq!(insert("a/c"), Err(Clash::Folder));
        assert_eq!(insert("b/c"), Ok(()));
        assert_eq!(insert("b/c/d/e"), Err(Clash::Folder));
        assert_eq!(insert("b"), Err(Clash::Folder));
        assert_eq!(insert("b/d"), Ok(()));
        for name in ["a/b", "a/c", "b", "b/c/d/e"] {
            assert!(!set.names.contains(&set.hash.of(name)), "{name}");
        }
    }

    #[test]
    fn sorted_names_clash_as_those_of_a_set_do() {
        let all = ["a", "a!", "a/b", "a/b/c", "a/c", "a0", "ab", "ab/c", "b"];
        // Every choice of the names, each up to twice.
        for choice in 0..3_usize.pow(all.len() as u32) {
            let times = |number: usize| choice / 3_usize.pow(number as u32) % 3;
            let names = (0..all.len()).flat_map(|number| vec![all[number]; times(number)]);
            let (mut sorted, mut set) = (Sorted::default(), Set::default());
            for name in names {
                let clash = set.insert(name).unwrap().err();
                assert_eq!(sorted.push(name).err(), clash, "{choice}: {name}");
                if clash.is_some() {
                    break;
                }
            }
        }
        let mut sorted = Sorted::default();
        assert_eq!(
            ["b", "a", "c"].map(|name| sorted.push(name)),
            [Ok(true), Ok(false), Ok(true)]
        );
    }
}
