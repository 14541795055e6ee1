//! A directory while it is backed up: what its folders were when they were listed.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::error::{Access, Error, Outcome, Result};
use crate::license::name::{self, BadName};
use crate::store::backups::Backups;
use crate::store::tree;
use crate::sync::locks::Mutex;
use crate::sys::clock;
use crate::sys::files::{Dir, Errno, Facts};
use crate::sys::origin::{Origin, Stamps};

const SECOND: i64 = 1_000_000_000;
/// Between two looks at a store that moves.
pub(super) const PAUSE: Duration = Duration::from_millis(1);

/// A directory while it is backed up.
pub struct Listing {
    pub(super) root: Dir,
    pub(super) backups: Backups,
    /// The device of the store and its origin, where its files show each change in their times.
    pub(super) origin: Option<(u64, Origin)>,
    /// What each folder was just before it was listed.
    pub(super) stamps: Mutex<BTreeMap<String, Stamp>>,
}

pub(super) struct Stamp {
    pub facts: Facts,
    /// Until the next change shows; zero where it does now.
    pub fresh: Duration,
    /// Something that it lists was not to be found.
    pub misses: bool,
}

/// What is longer than a kernel's own tick, of 10 ms at most.
pub const TICK: Duration = Duration::from_millis(20);

/// How long to wait until the next change of what was `changed` shows in its times, if it may not yet;
/// `asked` is the moment before it was asked for that.
///
/// File systems count time in ticks, and what changes twice within one looks as if it had changed
/// once. Some file systems (FAT, ext4 with small inodes) keep whole seconds, FAT every second one; a time
/// of theirs has no fraction.
pub(super) fn freshness(changed: i64, asked: i64) -> Option<Duration> {
    let tick = match changed % SECOND {
        0 => Duration::from_secs(2),
        _ => TICK,
    };
    (u128::from(asked.abs_diff(changed)) < tick.as_nanos()).then_some(tick)
}

/// The facts of something, and when they were asked for.
pub(super) struct Asked {
    pub facts: Facts,
    /// The moment before.
    pub at: i64,
    /// From the tick before to the tick after.
    ticks: RangeInclusive<i64>,
}

impl Asked {
    pub fn of(facts: impl FnOnce() -> Result<Facts, Errno>) -> Result<Asked, Errno> {
        let (at, tick) = (clock::now(), clock::tick());
        Ok(Asked {
            facts: facts()?,
            at,
            ticks: tick..=clock::tick(),
        })
    }
}

impl Listing {
    pub fn new(root: Dir, backups: Backups) -> Listing {
        let device = root.facts().map(|facts| facts.identity.device);
        let origin = device.ok().zip(Origin::of(&root));
        Listing {
            origin,
            root,
            backups,
            stamps: Mutex::default(),
        }
    }

    /// Whether what is on `device` shows each change in its times.
    fn shows_changes(&self, device: u64) -> bool {
        let known = self.origin.as_ref().map(|(device, _)| *device);
        known == Some(device)
    }

    /// How long to wait until the next change shows of what has these facts, if it may not yet.
    pub(super) fn freshness(&self, asked: &Asked) -> Option<Duration> {
        let Facts {
            identity, changed, ..
        } = asked.facts;
        let has_changed_now = match self.origin.as_ref().map(|(_, origin)| origin.stamps) {
            _ if !self.shows_changes(identity.device) || changed % SECOND == 0 => {
                return freshness(changed, asked.at);
            }
            // What is stamped between two ticks is so since it was looked at, and will be again.
            Some(Stamps::WhenLookedAt) => asked.ticks.contains(&changed),
            _ => changed >= *asked.ticks.start(),
        };
        has_changed_now.then_some(PAUSE)
    }

    /// Whether a file with these facts has the content that it had whenever it has the same. What is written to
    /// within the grain of its times might not show it: three seconds are more than any file system's, and
    /// than clocks are apart.
    pub(super) fn has_settled(&self, asked: &Asked) -> bool {
        const SETTLED: i64 = 3 * SECOND;
        let latest = asked.facts.modified.max(asked.facts.changed);
        let rest = asked.at.saturating_sub(latest);
        self.shows_changes(asked.facts.identity.device) && rest >= SETTLED
    }

    /// Learns that something which `folder` lists was not to be found. It has vanished since, or the file
    /// system lists what it can't open: the folder is listed again, and won't settle while it lists that.
    pub(super) fn miss(&self, folder: &str) {
        if let Some(stamp) = self.stamps.lock().get_mut(folder) {
            stamp.misses = true;
        }
    }

    /// Opens a folder to read what was listed in it. Where it is not the one that was listed, as its parent
    /// may have been exchanged, that is looked at again.
    pub(super) fn open_listed(&self, folder: &str) -> Result<Dir, Errno> {
        let opened = self.root.folder(folder)?;
        let identity = opened.facts()?.identity;
        let listed = self
            .stamps
            .lock()
            .get(folder)
            .map(|stamp| stamp.facts.identity);
        match listed {
            Some(listed) if listed == identity => {}
            Some(_) => self.miss(folder),
            None => self.miss(name::split(folder).0),
        }
        Ok(opened)
    }

    /// What `folder` was just before `list` listed it.
    pub(super) fn stamp<E: From<Errno>>(
        &self,
        folder: &str,
        list: impl FnOnce(&Dir) -> Result<(), E>,
    ) -> Result<Stamp, E> {
        let directory = self.root.folder(folder)?;
        let asked = Asked::of(|| directory.facts())?;
        list(&directory)?;
        Ok(Stamp {
            facts: asked.facts,
            fresh: self.freshness(&asked).unwrap_or_default(),
            misses: false,
        })
    }
}

/// The folder is not there any more; a link in its place is none of ours.
pub(super) fn vanished(errno: Errno) -> bool {
    matches!(errno, Errno::NOENT | Errno::NOTDIR | Errno::LOOP)
}

pub(super) fn read_error(folder: &str, errno: Errno) -> Error {
    let shown = if folder.is_empty() { "." } else { folder };
    Error::system(
        Access::Read,
        format_args!("read the folder '{shown}' of the store"),
        errno,
    )
}

/// The `name` of something in `folder`, if it can be kept.
pub(super) fn checked<'n>(folder: &str, name: &'n [u8]) -> Result<&'n str> {
    let checked = match name::check(name) {
        Ok(name) if folder.len() + 1 + name.len() > name::NAME_MAX => Err(BadName::Length),
        checked => checked,
    };
    checked.map_err(|reason| {
        let whole = tree::join(folder, &String::from_utf8_lossy(name));
        let sentence = format!(
            "The name '{}' can't be kept in a backup: {reason}. Rename it and try again.",
            name::shown(&whole)
        );
        Error::new(Outcome::InvalidName, sentence)
    })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::sys::anchored_path::AnchoredPath;

    #[test]
    fn what_changed_within_a_tick_of_its_file_system_is_fresh() {
        let (second, millisecond) = (1_000_000_000, 1_000_000);
        let fresh = |changed, asked| freshness(changed, asked).is_some();
        assert!(fresh(7 * second + 1, 7 * second + 10 * millisecond));
        assert!(!fresh(7 * second + 1, 7 * second + 30 * millisecond));
        // Whole seconds: 7.9 is still told as 7, and so is 7.0; on FAT 7.9 is told as 6.
        assert!(fresh(7 * second, 7 * second + 900 * millisecond));
        assert!(fresh(6 * second, 7 * second + 900 * millisecond));
        assert!(!fresh(7 * second, 9 * second));
    }

    /// There links leave a folder's times as they are, also where a rename has stamped it finely.
    #[test]
    fn a_folder_in_memory_is_fresh_until_the_kernels_next_tick() {
        let path = PathBuf::from(format!("/dev/shm/licbak-fresh-{}", std::process::id()));
        if std::fs::create_dir(&path).is_err() {
            return;
        }
        let root = Dir::open(&AnchoredPath::now(&path)).unwrap();
        let listing = Listing::new(root, Backups::default());
        std::fs::write(path.join("a"), "a licence").unwrap();
        let is_fresh = (0..1000).find_map(|_| {
            let tick = clock::tick();
            for (from, to) in [("a", "b"), ("b", "a")] {
                listing.root.facts().unwrap();
                std::fs::rename(path.join(from), path.join(to)).unwrap();
            }
            let stamp = listing.stamp::<Errno>("", |_| Ok(())).unwrap();
            (clock::tick() == tick).then_some(!stamp.fresh.is_zero())
        });
        std::fs::remove_dir_all(path).unwrap();
        assert_eq!(is_fresh, Some(true));
    }
}
