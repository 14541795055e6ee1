//! Many names in one piece of memory: a folder may hold millions.

use std::cmp::Ordering;

use crate::error::{Error, Result};
use crate::sys::files::Kind;

#[derive(Default)]
pub struct Names {
    text: String,
    places: Vec<NamePlace>,
}

#[derive(Clone, Copy)]
struct NamePlace {
    start: u32,
    length: u16,
    kind: Kind,
}

impl Names {
    pub fn push(&mut self, name: &str, kind: Kind) -> Result<()> {
        let start = u32::try_from(self.text.len()).map_err(|_| Error::out_of_memory())?;
        let length = u16::try_from(name.len()).map_err(|_| Error::out_of_memory())?;
        self.text.try_reserve(name.len())?;
        self.places.try_reserve(1)?;
        self.text.push_str(name);
        self.places.push(NamePlace {
            start,
            length,
            kind,
        });
        Ok(())
    }

    pub fn len(&self) -> usize {
        self.places.len()
    }

    pub fn get(&self, number: usize) -> Option<(&str, Kind)> {
        let place = self.places.get(number)?;
        Some((text(&self.text, *place), place.kind))
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, Kind)> {
        self.places
            .iter()
            .map(|place| (text(&self.text, *place), place.kind))
    }

    /// Sorts by the bytes of the whole names below: a folder sorts as its name with a slash added.
    pub fn sort(&mut self) {
        let all = &self.text;
        self.places
            .sort_unstable_by(|a, b| compare((text(all, *a), a.kind), (text(all, *b), b.kind)));
        // A name can come twice if a file was renamed over it while the folder was read.
        self.places.dedup_by(|a, b| text(all, *a) == text(all, *b));
    }
}

fn text(all: &str, place: NamePlace) -> &str {
    let start = place.start as usize;
    all.get(start..start + usize::from(place.length))
        .unwrap_or_default()
}

fn compare((a, a_kind): (&str, Kind), (b, b_kind): (&str, Kind)) -> Ordering {
    // The slash decides only where one name is the beginning of the other; the bytes before it are
    // compared fast.
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let common = a.len().min(b.len());
    let next = |name: &[u8], kind| match name.get(common) {
        Some(byte) => Some(*byte),
        None if kind == Kind::Folder => Some(b'/'),
        None => None,
    };
    a.get(..common)
        .cmp(&b.get(..common))
        .then_with(|| next(a, a_kind).cmp(&next(b, b_kind)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_sort_as_their_names_with_a_slash() {
        let mut names = Names::default();
        let (file, folder) = (Kind::File, Kind::Folder);
        for (name, kind) in [
            ("b", file),
            ("a", folder),
            ("a.b", file),
            ("a0", file),
            ("b", file),
            ("", file),
        ] {
            names.push(name, kind).unwrap();
        }
        names.sort();
        let sorted: Vec<_> = names.iter().map(|(name, _)| name).collect();
        assert_eq!(sorted, ["", "a.b", "a", "a0", "b"]);
    }
}
