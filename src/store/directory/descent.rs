//! Opens the folders of a store.

use crate::sys::files::{Dir, Errno};

/// Opens folders one after the other. A folder below the one before is opened from there: its path
/// from the store on is a walk through all folders above it.
#[derive(Default)]
pub(super) struct Descent(Option<(String, Dir)>);

impl Descent {
    pub fn open(&mut self, root: &Dir, path: &str) -> Result<&Dir, Errno> {
        let before = self.0.take();
        let above = before.as_ref().and_then(|(above, folder)| {
            let below = path.strip_prefix(above.as_str())?;
            Some((folder, below.strip_prefix('/')?))
        });
        let opened = match above {
            Some((folder, below)) => folder.folder(below)?,
            None => root.folder(path)?,
        };
        let (_, opened) = self.0.insert((path.to_owned(), opened));
        Ok(opened)
    }

    /// Gives the folder that was opened last, if it could be.
    pub fn last(&self) -> Option<&Dir> {
        self.0.as_ref().map(|(_, opened)| opened)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::anchored_path::AnchoredPath;
    use crate::sys::test_folder;

    #[test]
    fn each_path_opens_its_folder_whatever_was_opened_before() {
        let path = test_folder("descent");
        for folder in ["a/b/c", "ab/b", "b"] {
            std::fs::create_dir_all(path.join(folder)).unwrap();
        }
        let root = Dir::open(&AnchoredPath::now(&path)).unwrap();
        let folders = ["", "a", "a/b", "a/b/c", "ab", "ab/b", "b"];
        let facts = |folder: &Dir| folder.facts().unwrap().identity;
        for before in folders {
            for folder in folders {
                let mut descent = Descent::default();
                descent.open(&root, before).unwrap();
                let opened = facts(descent.open(&root, folder).unwrap());
                assert_eq!(opened, facts(&root.folder(folder).unwrap()));
                assert!(descent.open(&root, "a/none").is_err());
                assert!(descent.last().is_none());
            }
        }
        // It goes on from a folder whose name another has now.
        let mut descent = Descent::default();
        descent.open(&root, "a").unwrap();
        std::fs::rename(path.join("a"), path.join("c")).unwrap();
        assert!(descent.open(&root, "a/b").is_ok());
        std::fs::remove_dir_all(path).unwrap();
    }
}
