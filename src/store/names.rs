//! The names of the licences that a store has given so far. As long as they come in their order,
//! the last one shows a clash; then their hashes only wait, on the disk where that is possible, for
//! a name that is out of order.

use crate::buffer::sized;
use crate::error::{Access, Error, Result};
use crate::license::name::{Clash, Hashes, Set, Sorted};
use crate::sys::files::{Errno, File};

/// Names whose hashes wait in memory before they go to the disk.
const KEPT: usize = 1 << 16;
const HASH: usize = size_of::<u128>();

pub struct Names {
    /// The names so far, none where one was out of order.
    sorted: Option<Sorted>,
    set: Set,
    recent: Hashes,
    file: Option<File>,
    /// The file takes no more.
    is_full: bool,
    /// The numbers of names and folders of each part in the file.
    parts: Vec<(usize, usize)>,
}

impl Names {
    /// Makes an empty set of names. Their hashes wait in `file`, which is empty, if there is one.
    pub fn new(file: Option<File>) -> Names {
        Names {
            sorted: Some(Sorted::default()),
            set: Set::default(),
            recent: Hashes::default(),
            file,
            is_full: false,
            parts: Vec::new(),
        }
    }

    /// Takes `name` in, or tells how it clashes.
    pub fn insert(&mut self, name: &str) -> Result<Result<(), Clash>> {
        let pushed = self.sorted.as_mut().map(|sorted| sorted.push(name));
        match pushed {
            Some(Err(clash)) => Ok(Err(clash)),
            Some(Ok(true)) => {
                self.set.hash(name, &mut self.recent)?;
                if self.recent.names.len() + self.recent.folders.len() >= KEPT {
                    self.spill()?;
                }
                Ok(Ok(()))
            }
            Some(Ok(false)) => {
                self.load()?;
                Ok(self.set.insert(name)?)
            }
            None => Ok(self.set.insert(name)?),
        }
    }

    /// Moves hashes to the file. Where there is no room for them they stay in memory.
    fn spill(&mut self) -> Result<()> {
        let Some(file) = self.file.as_ref().filter(|_| !self.is_full) else {
            return Ok(());
        };
        let Hashes { names, folders } = &self.recent;
        let mut bytes = Vec::new();
        bytes.try_reserve_exact((names.len() + folders.len()) * HASH)?;
        let hashes = names.iter().chain(folders);
        hashes.for_each(|hash| bytes.extend_from_slice(&hash.to_ne_bytes()));
        self.is_full = file.write_all(&bytes).is_err();
        if !self.is_full {
            self.parts.try_reserve(1)?;
            self.parts.push((names.len(), folders.len()));
            self.recent.clear();
        }
        Ok(())
    }

    /// Takes all hashes into the set.
    fn load(&mut self) -> Result<()> {
        self.sorted = None;
        self.set.extend(&self.recent)?;
        self.recent = Hashes::default();
        let (mut buffer, mut start) = (Vec::new(), 0);
        if let Some(file) = self.file.take() {
            for (names, folders) in std::mem::take(&mut self.parts) {
                let bytes = sized(&mut buffer, (names + folders) * HASH)?;
                let read = file.read_full_at(bytes, start);
                if read.map_err(read_error)? < bytes.len() {
                    return Err(read_error(Errno::IO));
                }
                start += bytes.len() as u64;
                let (hashes, _) = bytes.as_chunks();
                let mut hashes = hashes.iter().map(|hash| u128::from_ne_bytes(*hash));
                let mut part = Hashes::default();
                part.names.try_reserve_exact(names)?;
                part.names.extend(hashes.by_ref().take(names));
                part.folders.try_reserve_exact(folders)?;
                part.folders.extend(hashes);
                self.set.extend(&part)?;
            }
        }
        Ok(())
    }
}

fn read_error(errno: Errno) -> Error {
    Error::system(
        Access::Read,
        "read the names that wait beside the backup",
        errno,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::anchored_path::AnchoredPath;
    use crate::sys::files::Dir;
    use crate::sys::test_folder;

    #[test]
    fn names_clash_alike_wherever_their_hashes_wait() {
        let path = test_folder("names");
        let folder = Dir::open(&AnchoredPath::now(&path)).unwrap();
        let count = 3 * KEPT / 2;
        let name = |number: usize| format!("{:03}/{number:07}.lic", number / 1000);
        for on_disk in [false, true] {
            let file = on_disk.then(|| folder.create("names").unwrap());
            let mut names = Names::new(file);
            for number in 0..count {
                assert_eq!(names.insert(&name(number)).unwrap(), Ok(()));
            }
            assert!(names.sorted.is_some());
            assert_eq!(names.parts.len(), usize::from(on_disk));
            assert_eq!(names.insert(&name(count - 1)).unwrap(), Err(Clash::Twice));
            // From here on the names are out of order.
            for (name, clash) in [
                (name(0), Some(Clash::Twice)),
                ("000".into(), Some(Clash::Folder)),
                (name(5) + "/below", Some(Clash::Folder)),
                (name(count - 2), Some(Clash::Twice)),
                (name(KEPT) + "/below", Some(Clash::Folder)),
                ("000/another".into(), None),
                ("000/another".into(), Some(Clash::Twice)),
            ] {
                assert_eq!(names.insert(&name).unwrap().err(), clash, "{name}");
            }
            assert!(names.sorted.is_none());
        }
        std::fs::remove_dir_all(path).unwrap();
    }
}
