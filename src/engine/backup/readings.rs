//! Notes which file was read under which name. From this a store that has moved shows what is still
//! to be read.

use std::hash::BuildHasher;
use std::io;

use crate::archive::Fault;
use crate::buffer::sized;
use crate::random::{self, HashMap, HashSet};
use crate::sys::files::{File, Identity};

/// A name and the file that was read under it, by their hashes.
#[derive(Clone, Copy)]
pub struct Reading {
    name: u64,
    /// The file's hash, or [`NONE`] where what was read is not in the backup.
    file: u64,
}

const NONE: u64 = 0;

/// Hashes names and files, under keys that nobody else knows.
#[derive(Clone, Default)]
pub struct Keys(random::Key);

impl Keys {
    pub fn reading(&self, name: &str, file: Identity) -> Reading {
        Reading {
            name: self.0.hash_one(name),
            file: self.file(file),
        }
    }

    fn file(&self, file: Identity) -> u64 {
        self.0.hash_one(file).max(NONE + 1)
    }
}

/// Bytes of a reading in the spool.
const SIZE: usize = 2 * size_of::<u64>();
/// Readings that wait in memory before they go to the spool.
const KEPT: usize = 1 << 16;

impl Reading {
    fn to_bytes(self) -> [u8; SIZE] {
        let mut bytes = [0; SIZE];
        let (name, file) = bytes.split_at_mut(SIZE / 2);
        name.copy_from_slice(&self.name.to_ne_bytes());
        file.copy_from_slice(&self.file.to_ne_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8; SIZE]) -> Reading {
        let mut fields = bytes.as_chunks::<{ SIZE / 2 }>().0.iter();
        let mut next = || {
            fields
                .next()
                .map_or(NONE, |field| u64::from_ne_bytes(*field))
        };
        Reading {
            name: next(),
            file: next(),
        }
    }
}

/// Makes an empty file, where one can be made.
pub type MakeScratch<'s> = Box<dyn FnOnce() -> Option<File> + 's>;

/// All readings of a backup. They wait on the disk where that is possible, since most stores do not
/// move. Only where a store has moved are they in memory, in a table.
pub struct Readings<'s> {
    pub keys: Keys,
    spool: Option<MakeScratch<'s>>,
    file: Option<File>,
    /// The file takes no more.
    is_full: bool,
    /// The number of readings in the file.
    written: usize,
    /// The latest readings, where there is no table yet.
    recent: Vec<Reading>,
    /// The hashes of files by those of their names.
    table: Option<HashMap<u64, u64>>,
}

impl<'s> Readings<'s> {
    /// Makes an empty list of readings; without a spool all of them stay in memory.
    pub fn new(spool: Option<MakeScratch<'s>>) -> Readings<'s> {
        Readings {
            keys: Keys::default(),
            spool,
            file: None,
            is_full: false,
            written: 0,
            recent: Vec::new(),
            table: None,
        }
    }

    /// Gives the file away that readings would wait in, for a store that has none.
    pub fn scratch(&mut self) -> Option<File> {
        self.spool.take()?()
    }

    /// Takes in new readings; the last reading of a name counts.
    pub fn note(&mut self, new: &[Reading]) -> Result<(), Fault> {
        if let Some(table) = &mut self.table {
            table.try_reserve(new.len())?;
            table.extend(new.iter().map(|reading| (reading.name, reading.file)));
            return Ok(());
        }
        self.recent.try_reserve(new.len())?;
        self.recent.extend_from_slice(new);
        match self.recent.len() < KEPT {
            true => Ok(()),
            false => self.spill(),
        }
    }

    /// Moves the latest readings to the file. Where there is no room for it they stay in memory.
    fn spill(&mut self) -> Result<(), Fault> {
        if let Some(make) = self.spool.take() {
            self.file = make();
        }
        let Some(file) = self.file.as_ref().filter(|_| !self.is_full) else {
            return Ok(());
        };
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(self.recent.len() * SIZE)?;
        bytes.extend(self.recent.iter().flat_map(|reading| reading.to_bytes()));
        self.is_full = file.write_all(&bytes).is_err();
        if !self.is_full {
            self.written += self.recent.len();
            self.recent.clear();
        }
        Ok(())
    }

    /// Tells whether `file` was the last to be read under `name`.
    pub fn knows(&mut self, name: &str, file: Identity) -> Result<bool, Fault> {
        let Reading { name, file } = self.keys.reading(name, file);
        Ok(self.table()?.get(&name) == Some(&file))
    }

    /// Notes that what was read under `name` is not in the backup.
    pub fn forget(&mut self, name: &str) -> Result<(), Fault> {
        let name = self.keys.0.hash_one(name);
        self.note(&[Reading { name, file: NONE }])
    }

    /// Drops all readings.
    pub fn forget_all(&mut self) -> Result<(), Fault> {
        if let Some(file) = &self.file {
            file.cut(0).map_err(io::Error::from)?;
        }
        self.written = 0;
        self.recent.clear();
        self.table = None;
        Ok(())
    }

    /// Tells of each of these files whether it was the last to be read under some name.
    pub fn have(&mut self, files: impl Iterator<Item = Identity>) -> Result<Vec<bool>, Fault> {
        let keys = self.keys.clone();
        let table = self.table()?;
        let mut read = HashSet::default();
        read.try_reserve(table.len())?;
        read.extend(table.values().copied());
        Ok(files.map(|file| read.contains(&keys.file(file))).collect())
    }

    fn table(&mut self) -> Result<&mut HashMap<u64, u64>, Fault> {
        let table = match self.table.take() {
            Some(table) => table,
            None => self.load()?,
        };
        Ok(self.table.insert(table))
    }

    fn load(&mut self) -> Result<HashMap<u64, u64>, Fault> {
        let (mut table, mut part) = (HashMap::default(), Vec::new());
        table.try_reserve(self.written + self.recent.len())?;
        let mut insert = |reading: Reading| {
            table.insert(reading.name, reading.file);
        };
        let mut read = 0;
        while let Some(file) = self.file.as_ref().filter(|_| read < self.written) {
            let count = KEPT.min(self.written - read);
            let bytes = sized(&mut part, count * SIZE)?;
            let found = file.read_full_at(bytes, (read * SIZE) as u64);
            if found.map_err(io::Error::from)? < bytes.len() {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
            let (readings, _) = bytes.as_chunks();
            readings
                .iter()
                .map(Reading::from_bytes)
                .for_each(&mut insert);
            read += count;
        }
        self.recent.drain(..).for_each(insert);
        Ok(table)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::anchored_path::AnchoredPath;
    use crate::sys::files::{Dir, Inode};
    use crate::sys::test_folder;

    fn file(inode: Inode) -> Identity {
        Identity { device: 1, inode }
    }

    #[test]
    fn the_last_reading_of_a_name_counts_wherever_it_waits() {
        let path = test_folder("readings");
        let folder = Dir::open(&AnchoredPath::now(&path)).unwrap();
        let count = 3 * KEPT as u64 / 2;
        for spool in [false, true] {
            let make: MakeScratch = Box::new(|| folder.create("spool").ok());
            let mut readings = Readings::new(spool.then_some(make));
            for inode in 0..count {
                let reading = readings.keys.reading(&format!("{inode}"), file(inode));
                readings.note(&[reading]).unwrap();
            }
            readings.forget("8").unwrap();
            let moved = readings.keys.reading("7", file(count));
            readings.note(&[moved]).unwrap();
            for inode in 0..count {
                let is_known = readings.knows(&format!("{inode}"), file(inode)).unwrap();
                assert_eq!(is_known, inode != 7 && inode != 8, "{inode}");
            }
            assert!(readings.knows("7", file(count)).unwrap());
            // Among them a file that has no name any more, and one that was never read.
            let some = || [9, 7, count, count + 1].map(file).into_iter();
            let have = readings.have(some()).unwrap();
            assert_eq!(have, [true, false, true, false]);
            let back = readings.keys.reading("other", file(7));
            readings.note(&[back]).unwrap();
            assert_eq!(readings.have(some()).unwrap(), [true, true, true, false]);
            assert_eq!(path.join("spool").exists(), spool);
            readings.forget_all().unwrap();
            readings.note(&[moved]).unwrap();
            assert!(!readings.knows("9", file(9)).unwrap());
            assert!(readings.knows("7", file(count)).unwrap());
        }
        std::fs::remove_dir_all(path).unwrap();
    }
}
