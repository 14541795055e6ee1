//! Many names in one piece of memory: a folder may hold millions.

use std::cmp::Ordering;

use crate::error::{Error, Result};
use crate::license::name::BadName;
use crate::sys::files::Kind;

/// What a folder has under a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listed {
    Is(Kind),
    /// An entry whose name begins with a dot.
    Hidden,
    /// A file or folder whose name can't be kept, and is shown.
    Unkept(BadName),
    /// A folder that can't be listed.
    Failed,
}

#[derive(Default)]
pub struct Names {
    text: String,
    places: Vec<NamePlace>,
}

#[derive(Clone, Copy)]
struct NamePlace {
    start: u32,
    length: u16,
    listed: Listed,
}

impl Names {
    pub fn push(&mut self, name: &str, listed: Listed) -> Result<()> {
        let start = u32::try_from(self.text.len()).map_err(|_| Error::out_of_memory())?;
        let length = u16::try_from(name.len()).map_err(|_| Error::out_of_memory())?;
        self.text.try_reserve(name.len())?;
        self.places.try_reserve(1)?;
        self.text.push_str(name);
        self.places.push(NamePlace {
            start,
            length,
            listed,
        });
        Ok(())
    }

    pub fn len(&self) -> usize {
        self.places.len()
    }

    pub fn get(&self, number: usize) -> Option<(&str, Listed)> {
        let place = self.places.get(number)?;
        Some((text(&self.text, *place), place.listed))
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, Listed)> {
        self.places
            .iter()
            .map(|place| (text(&self.text, *place), place.listed))
    }

    /// Sorts by the bytes of the whole names below: a folder sorts as its name with a slash added.
    pub fn sort(&mut self) -> Result<()> {
        let all = &self.text;
        let first = self.places.first().map_or("", |place| text(all, *place));
        let common = self.places.iter().fold(first.len(), |common, place| {
            shared(first.as_bytes(), text(all, *place).as_bytes()).min(common)
        });
        // The few bytes in which names differ first decide nearly always, and are near at hand.
        let mut keyed = Vec::new();
        keyed.try_reserve_exact(self.places.len())?;
        let places = self.places.iter();
        keyed.extend(places.map(|place| (key(text(all, *place), place.listed, common), *place)));
        keyed.sort_unstable_by(|(a_key, a), (b_key, b)| {
            let whole = || compare((text(all, *a), a.listed), (text(all, *b), b.listed));
            a_key.cmp(b_key).then_with(whole)
        });
        // A name can come twice if a file was renamed over it while the folder was read.
        keyed.dedup_by(|(_, a), (_, b)| text(all, *a) == text(all, *b));
        self.places.clear();
        self.places.extend(keyed.iter().map(|(_, place)| *place));
        Ok(())
    }
}

/// Counts the bytes that two names begin with alike.
fn shared(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// Gives the bytes behind the first `common` ones as a number, which is in their order.
fn key(name: &str, listed: Listed, common: usize) -> u64 {
    let mut key = [0; size_of::<u64>()];
    let rest = name.as_bytes().get(common..).unwrap_or_default();
    let slash: &[u8] = match listed {
        Listed::Is(Kind::Folder) => b"/",
        _ => b"",
    };
    let bytes = rest.iter().chain(slash);
    key.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    u64::from_be_bytes(key)
}

fn text(all: &str, place: NamePlace) -> &str {
    let start = place.start as usize;
    all.get(start..start + usize::from(place.length))
        .unwrap_or_default()
}

fn compare((a, a_is): (&str, Listed), (b, b_is): (&str, Listed)) -> Ordering {
    // The slash decides only where one name is the beginning of the other; the bytes before it are
    // compared fast.
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let common = a.len().min(b.len());
    let next = |name: &[u8], listed| match name.get(common) {
        Some(byte) => Some(*byte),
        None if listed == Listed::Is(Kind::Folder) => Some(b'/'),
        None => None,
    };
    a.get(..common)
        .cmp(&b.get(..common))
        .then_with(|| next(a, a_is).cmp(&next(b, b_is)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_sort_as_their_names_with_a_slash() {
        let mut names = Names::default();
        let (file, folder) = (Listed::Is(Kind::File), Listed::Is(Kind::Folder));
        for (name, listed) in [
            ("b", file),
            ("a", folder),
            ("a.b", file),
            ("a0", file),
            ("b", file),
            ("", file),
        ] {
            names.push(name, listed).unwrap();
        }
        names.sort().unwrap();
        let sorted: Vec<_> = names.iter().map(|(name, _)| name).collect();
        assert_eq!(sorted, ["", "a.b", "a", "a0", "b"]);
    }

    #[test]
    fn names_sort_by_all_of_their_bytes() {
        let mut names = Names::default();
        // They begin alike, differ near their ends, in length or in kind.
        let tails = [
            "",
            "0",
            "00000000",
            "00000000/",
            "000000001",
            "00000001",
            "1",
            "a",
            "é",
        ];
        let mut expected: Vec<String> = tails.map(|tail| format!("licence-{tail}")).into();
        for name in expected.iter().rev() {
            match name.strip_suffix('/') {
                Some(name) => names.push(name, Listed::Is(Kind::Folder)).unwrap(),
                None => names.push(name, Listed::Is(Kind::File)).unwrap(),
            }
        }
        // The name of a file and a folder at once: the file was replaced meanwhile.
        expected.retain(|name| !name.ends_with('/'));
        names.sort().unwrap();
        let sorted: Vec<_> = names.iter().map(|(name, _)| name).collect();
        assert_eq!(sorted, expected);
    }
}
