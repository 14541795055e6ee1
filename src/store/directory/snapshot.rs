//! Lists a directory in the order of the names.

use std::ffi::CStr;
use std::sync::Arc;

use super::batch::BatchBuilder;
use super::descent::Descent;
use super::listing::{Listing, checked, read_error, vanished};
use super::names::{Listed, Names};
use crate::error::{Error, Result};
use crate::license::name;
use crate::random::is_own_hidden_name;
use crate::store::snapshot::{Again, Feed, IsKnown, Snapshot};
use crate::store::tree;
use crate::sys::files::{Dir, Errno, Facts, Kind};
use crate::sys::origin::Origin;
use crate::sys::patience::Patience;

/// Batches that may wait. These are more than most stores have, so that the number of licences is
/// known soon after the start. A name takes a few bytes, so that of a million licences the waiting
/// ones need no more memory than the index.
const BATCHES_AHEAD: usize = 32;

/// Names after which the host is told how many have been read of a folder, and may have cancelled.
const FIGURE: usize = 4096;

impl Snapshot for Listing {
    fn batches_ahead(&self) -> usize {
        BATCHES_AHEAD
    }

    fn is_of_files(&self) -> bool {
        true
    }

    fn origin(&self) -> Option<&Origin> {
        self.origin.as_ref().map(|(_, origin)| origin)
    }

    fn facts(&self, name: &str) -> Option<Facts> {
        let (folder, file) = name::split(name);
        self.root.folder(folder).ok()?.facts_at_rest(file).ok()
    }

    fn list(self: Arc<Self>, feed: &mut dyn Feed) -> Result<()> {
        // This may be the second listing.
        self.stamps.lock().clear();
        let mut batch = BatchBuilder::new(Arc::clone(&self));
        let mut descent = Descent::default();
        let mut open = vec![self.read_folder(String::new(), &mut descent, feed)?];
        while let Some(folder) = open.last_mut() {
            let Some((name, listed)) = folder.names.get(folder.next) else {
                open.pop();
                continue;
            };
            folder.next += 1;
            if listed != Listed::Is(Kind::Folder) {
                batch.push(&folder.path, name, listed, feed)?;
                continue;
            }
            feed.check()?;
            let path = tree::join(&folder.path, name);
            match self.read_folder(path.clone(), &mut descent, feed) {
                Ok(below) => {
                    open.try_reserve(1)?;
                    open.push(below);
                }
                Err(error) if error.is_of_one() => {
                    self.give_up(vec![path]);
                    batch.push_failed(&folder.path, name, error, feed)?;
                }
                Err(error) => return Err(error),
            }
        }
        batch.emit(feed)
    }

    fn look_again(
        &self,
        known: IsKnown,
        patience: &mut Patience,
        go_on: &dyn Fn() -> Result<()>,
    ) -> Result<Again> {
        self.look_at_moment(known, patience, go_on)
    }

    fn give_up(&self, folders: Vec<String>) {
        self.given_up.lock().extend(folders);
    }

    fn list_these(self: Arc<Self>, names: &[(String, Kind)], feed: &mut dyn Feed) -> Result<()> {
        let mut batch = BatchBuilder::new(self);
        for (name, kind) in names {
            let (folder, name) = name::split(name);
            batch.push(folder, name, Listed::Is(*kind), feed)?;
        }
        batch.emit(feed)
    }
}

impl Listing {
    /// Reads the names in `folder`, and remembers its facts from just before. A folder that has
    /// vanished since its parent was read has no names, and is missed there.
    fn read_folder(
        &self,
        folder: String,
        descent: &mut Descent,
        feed: &mut dyn Feed,
    ) -> Result<Folder> {
        let mut read = Folder {
            path: folder,
            names: Names::default(),
            next: 0,
            misses: false,
        };
        let path = read.path.clone();
        let stamp = self.stamp(&path, descent, |directory| {
            directory.entries(|name, kind, _| {
                read.push(name, kind, directory)?;
                match read.names.len().is_multiple_of(FIGURE) {
                    true => feed.listed(FIGURE as u64).map_err(ListError::Told),
                    false => Ok(()),
                }
            })
        });
        match stamp {
            Ok(mut stamp) => {
                stamp.misses = read.misses;
                self.stamps.lock().insert(path, stamp);
            }
            Err(ListError::System(errno)) if vanished(errno) && !read.path.is_empty() => {
                self.stamps.lock().remove(&read.path);
                self.miss(name::split(&read.path).0);
            }
            Err(ListError::System(errno)) => return Err(read_error(&read.path, errno)),
            Err(ListError::Told(error)) => return Err(error),
        }
        read.names.sort()?;
        Ok(read)
    }
}

/// The sorted names of a folder, which are taken one by one.
struct Folder {
    path: String,
    names: Names,
    next: usize,
    /// A name that the folder lists could not be found.
    misses: bool,
}

/// The reason why a folder could not be listed.
enum ListError {
    System(Errno),
    Told(Error),
}

impl From<Errno> for ListError {
    fn from(errno: Errno) -> ListError {
        ListError::System(errno)
    }
}

impl Folder {
    fn push(&mut self, name: &CStr, kind: Kind, directory: &Dir) -> Result<(), ListError> {
        if let [b'.', ..] = name.to_bytes() {
            return match is_own_hidden_name(name.to_bytes()) {
                true => Ok(()),
                false => self.take(&name::shown_bytes(name.to_bytes()), Listed::Hidden),
            };
        }
        let kind = match kind {
            Kind::Unknown => match directory.facts_of(name) {
                Err(Errno::NOENT) => {
                    self.misses = true;
                    return Ok(());
                }
                facts => facts?.kind,
            },
            kind => kind,
        };
        match (checked(&self.path, name.to_bytes()), kind) {
            (Ok(name), _) => self.take(name, Listed::Is(kind)),
            (Err(reason), Kind::File | Kind::Folder) => {
                self.take(&name::shown_bytes(name.to_bytes()), Listed::Unkept(reason))
            }
            // Entries that are no licences are told, and must be told as text.
            (Err(_), _) => self.take(&name::shown_bytes(name.to_bytes()), Listed::Is(kind)),
        }
    }

    fn take(&mut self, name: &str, listed: Listed) -> Result<(), ListError> {
        self.names.push(name, listed).map_err(ListError::Told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::backups::Backups;
    use crate::store::snapshot::Batch;
    use crate::sys::anchored_path::AnchoredPath;
    use crate::sys::files::File;
    use crate::sys::test_folder;

    /// Ends the listing when it is told of so many names.
    #[derive(Default)]
    struct Counting {
        listed: u64,
        emitted: u64,
        ends_at: Option<u64>,
    }

    impl Feed for Counting {
        fn check(&self) -> Result<()> {
            match self.ends_at.is_some_and(|end| self.listed >= end) {
                true => Err(Error::canceled()),
                false => Ok(()),
            }
        }

        fn listed(&mut self, names: u64) -> Result<()> {
            self.listed += names;
            self.check()
        }

        fn takes_over(&self) -> bool {
            false
        }

        fn keeps_going(&self) -> bool {
            false
        }

        fn emit(&mut self, batch: Box<dyn Batch>) -> Result<()> {
            self.emitted += batch.len();
            Ok(())
        }

        fn scratch(&mut self) -> Option<File> {
            None
        }
    }

    #[test]
    fn a_large_folder_is_told_of_and_left_while_it_is_read() {
        let path = test_folder("listing");
        let count = 3 * FIGURE + 1;
        for number in 0..count {
            std::fs::write(path.join(format!("{number}.lic")), "").unwrap();
        }
        let root = || Dir::open(&AnchoredPath::now(&path)).unwrap();
        let listing = || Arc::new(Listing::new(root(), Backups::default()));
        let mut feed = Counting::default();
        listing().list(&mut feed).unwrap();
        assert_eq!(
            (feed.listed, feed.emitted),
            (3 * FIGURE as u64, count as u64)
        );
        let mut feed = Counting {
            ends_at: Some(FIGURE as u64),
            ..Counting::default()
        };
        assert!(listing().list(&mut feed).is_err());
        assert_eq!((feed.listed, feed.emitted), (FIGURE as u64, 0));
        std::fs::remove_dir_all(path).unwrap();
    }
}
