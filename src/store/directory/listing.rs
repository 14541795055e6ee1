//! Lists a directory in the order of the names, and finds out whether it moved meanwhile.

use std::collections::BTreeMap;
use std::ffi::CStr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::batch::BatchBuilder;
use super::names::Names;
use crate::error::{Access, Error, Outcome, Result};
use crate::license::name::{self, BadName};
use crate::store::{Backups, Feed, Known, Snapshot, Unsettled, tree};
use crate::sys::files::{Dir, Errno, Facts, Kind};
use crate::sys::locks::Mutex;

/// Between two looks at a store that moves.
const PAUSE: Duration = Duration::from_millis(20);
/// More than most stores have, so that soon after the start it is known how many licences there are; and a
/// few bytes a name, so that of a million licences those that wait need no more memory than the index.
const BATCHES_AHEAD: usize = 32;

/// A directory while it is backed up.
pub struct Listing {
    pub(super) root: Dir,
    pub(super) backups: Backups,
    /// The device of the store, where its files show each change in their times.
    device: Option<u64>,
    /// What each folder was just before it was listed.
    stamps: Mutex<BTreeMap<String, Stamp>>,
}

struct Stamp {
    facts: Facts,
    /// It had changed so shortly before that the next change may not show; until then.
    fresh: Option<Duration>,
    /// Something that it lists was not to be found.
    misses: bool,
}

/// The moment, as file systems of this machine count it.
pub(super) fn now() -> i64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH);
    since_1970.map_or(0, |since| since.as_nanos() as i64)
}

/// How long to wait until the next change of what has these `facts` shows in its times, if it may not
/// yet; `asked` is the moment before it was asked for them.
///
/// File systems count time in ticks, and what changes twice within one looks as if it had changed
/// once. A kernel's own tick is 10 ms at the longest. Some file systems (FAT, ext4 with small inodes)
/// keep whole seconds, FAT every second one; a time of theirs has no fraction.
pub(super) fn freshness(facts: &Facts, asked: i64) -> Option<Duration> {
    let tick = match facts.changed % 1_000_000_000 {
        0 => Duration::from_secs(2),
        _ => Duration::from_millis(20),
    };
    (u128::from(asked.abs_diff(facts.changed)) < tick.as_nanos()).then_some(tick)
}

impl Listing {
    pub fn new(root: Dir, backups: Backups) -> Listing {
        let device = root.facts().map(|facts| facts.identity.device);
        Listing {
            device: device.ok().filter(|_| root.shows_changes()),
            root,
            backups,
            stamps: Mutex::default(),
        }
    }

    /// Whether a file with these `facts`, asked for at `asked`, has the content that it had whenever it
    /// has the same. What is written to within the grain of its times might not show it: three seconds
    /// are more than any file system's, and than clocks are apart.
    pub(super) fn has_settled(&self, facts: &Facts, asked: i64) -> bool {
        const SETTLED: i64 = 3_000_000_000;
        let latest = facts.modified.max(facts.changed);
        self.device == Some(facts.identity.device) && asked.saturating_sub(latest) >= SETTLED
    }

    /// Lists the folders in `start` and all that is below them and was not listed before. `is_new`
    /// tells of a folder and a name in it whether the name is to be emitted.
    fn list_from(
        self: &Arc<Self>,
        start: Vec<String>,
        is_new: impl Fn(&str, &str) -> bool,
        feed: &mut dyn Feed,
    ) -> Result<()> {
        let mut batch = BatchBuilder::new(Arc::clone(self));
        for folder in start {
            let mut open = vec![self.read_folder(folder)?];
            while let Some(folder) = open.last_mut() {
                let Some((name, kind)) = folder.names.get(folder.next) else {
                    open.pop();
                    continue;
                };
                folder.next += 1;
                if kind != Kind::Folder {
                    if is_new(&folder.path, name) {
                        batch.push(&folder.path, name, kind, feed)?;
                    }
                    continue;
                }
                let below = tree::join(&folder.path, name);
                if !self.stamps.lock().contains_key(&below) {
                    feed.check()?;
                    let below = self.read_folder(below)?;
                    open.try_reserve(1)?;
                    open.push(below);
                }
            }
        }
        batch.emit(feed)
    }

    /// Learns that something which `folder` lists was not to be found. It has vanished since, or the file
    /// system lists what it can't open: the folder is listed again, and won't settle while it lists that.
    pub(super) fn miss(&self, folder: &str) {
        if let Some(stamp) = self.stamps.lock().get_mut(folder) {
            stamp.misses = true;
        }
    }

    /// Reads the names in `folder`, and remembers what it was just before. A folder that has vanished
    /// since its parent was read has none, and is missed there.
    fn read_folder(&self, folder: String) -> Result<Folder> {
        let mut read = Folder {
            path: folder,
            names: Names::default(),
            next: 0,
            misses: false,
        };
        match self.read_names(&mut read) {
            Ok(stamp) => {
                self.stamps.lock().insert(read.path.clone(), stamp);
            }
            Err(ListError::System(errno)) if vanished(errno) && !read.path.is_empty() => {
                self.stamps.lock().remove(&read.path);
                self.miss(name::split(&read.path).0);
            }
            Err(ListError::System(errno)) => return Err(read_error(&read.path, errno)),
            Err(ListError::Told(error)) => return Err(error),
        }
        read.names.sort();
        Ok(read)
    }

    fn read_names(&self, read: &mut Folder) -> Result<Stamp, ListError> {
        let asked = now();
        let directory = self.root.folder(&read.path)?;
        let facts = directory.facts()?;
        directory.entries(|name, kind| read.push(name, kind, &directory))?;
        Ok(Stamp {
            facts,
            fresh: freshness(&facts, asked),
            misses: read.misses,
        })
    }
}

/// The folder is not there any more; a link in its place is none of ours.
fn vanished(errno: Errno) -> bool {
    matches!(errno, Errno::NOENT | Errno::NOTDIR | Errno::LOOP)
}

impl Snapshot for Listing {
    fn batches_ahead(&self) -> usize {
        BATCHES_AHEAD
    }

    fn shows_changes(&self) -> bool {
        self.device.is_some()
    }

    fn list(self: Arc<Self>, feed: &mut dyn Feed) -> Result<()> {
        // It may be the second time.
        self.stamps.lock().clear();
        self.list_from(vec![String::new()], |_, _| true, feed)
    }

    fn unsettled(&self) -> Result<Unsettled> {
        let mut unsettled = Unsettled::default();
        for (folder, stamp) in self.stamps.lock().iter() {
            let now = match self.root.folder(folder).and_then(|folder| folder.facts()) {
                Err(errno) if vanished(errno) => None,
                facts => Some(facts.map_err(|errno| read_error(folder, errno))?),
            };
            if stamp.fresh.is_some() || stamp.misses || now != Some(stamp.facts) {
                unsettled.wait = unsettled.wait.max(stamp.fresh.unwrap_or(PAUSE));
                unsettled.folders.insert(folder.clone());
            }
        }
        Ok(unsettled)
    }

    fn list_again(
        self: Arc<Self>,
        unsettled: &Unsettled,
        known: &Known,
        feed: &mut dyn Feed,
    ) -> Result<()> {
        std::thread::sleep(unsettled.wait);
        let mut folders = Vec::new();
        folders.try_reserve_exact(unsettled.folders.len())?;
        folders.extend(unsettled.folders.iter().cloned());
        self.list_from(
            folders,
            |folder, name| !known(&tree::join(folder, name)),
            feed,
        )
    }

    fn list_these(self: Arc<Self>, names: &[String], feed: &mut dyn Feed) -> Result<()> {
        let mut batch = BatchBuilder::new(self);
        for name in names {
            let (folder, name) = name::split(name);
            batch.push(folder, name, Kind::File, feed)?;
        }
        batch.emit(feed)
    }
}

fn read_error(folder: &str, errno: Errno) -> Error {
    let shown = if folder.is_empty() { "." } else { folder };
    Error::system(
        Access::Read,
        format_args!("read the folder '{shown}' of the store"),
        errno,
    )
}

/// The sorted names of a folder, to be taken one by one.
struct Folder {
    path: String,
    names: Names,
    next: usize,
    /// Something that it lists was not to be found.
    misses: bool,
}

/// Why a folder could not be listed.
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
        if name.to_bytes().starts_with(b".") {
            return Ok(());
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
        let told = match (self.check(name), kind) {
            (Ok(name), _) => self.names.push(name, kind),
            (Err(error), Kind::File | Kind::Folder) => Err(error),
            // What is no licence is told, and must be told as text.
            (Err(_), _) => self.names.push(&name::shown(&name.to_string_lossy()), kind),
        };
        told.map_err(ListError::Told)
    }

    fn check<'n>(&self, name: &'n CStr) -> Result<&'n str> {
        let checked = match name::check(name.to_bytes()) {
            Ok(name) if self.path.len() + 1 + name.len() > name::NAME_MAX => Err(BadName::Length),
            checked => checked,
        };
        checked.map_err(|reason| {
            let whole = tree::join(&self.path, &name.to_string_lossy());
            let sentence = format!(
                "The name '{}' can't be kept in a backup: {reason}. Rename it and try again.",
                name::shown(&whole)
            );
            Error::new(Outcome::InvalidName, sentence)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::files::Identity;

    #[test]
    fn what_changed_within_a_tick_of_its_file_system_is_fresh() {
        let facts = |changed| Facts {
            identity: Identity {
                device: 1,
                inode: 1,
            },
            kind: Kind::Folder,
            size: 0,
            modified: changed,
            changed,
            mode: 0o700,
            owner: (0, 0),
        };
        let (second, millisecond) = (1_000_000_000, 1_000_000);
        let fresh = |changed, asked| freshness(&facts(changed), asked).is_some();
        assert!(fresh(7 * second + 1, 7 * second + 10 * millisecond));
        assert!(!fresh(7 * second + 1, 7 * second + 30 * millisecond));
        // Whole seconds: 7.9 is still told as 7, and so is 7.0; on FAT 7.9 is told as 6.
        assert!(fresh(7 * second, 7 * second + 900 * millisecond));
        assert!(fresh(6 * second, 7 * second + 900 * millisecond));
        assert!(!fresh(7 * second, 9 * second));
    }
}
