//! A directory while it is backed up: the facts of its folders when they were listed.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::time::Duration;

use super::descent::Descent;
use crate::error::{Access, Error, Outcome, Result, words};
use crate::license::name::{self, BadName};
use crate::store::backups::Backups;
use crate::sync::locks::Mutex;
use crate::sys::clock;
use crate::sys::files::{Dir, Errno, Facts};
use crate::sys::origin::{Origin, Stamps};

pub(super) const SECOND: i64 = 1_000_000_000;
/// The pause between two looks at a store that moves.
pub(super) const PAUSE: Duration = Duration::from_millis(1);

/// A directory while it is backed up.
pub struct Listing {
    pub(super) root: Dir,
    pub(super) backups: Backups,
    /// The device of the store and its origin, where its files show each change in their times.
    pub(super) origin: Option<(u64, Origin)>,
    /// The facts of each folder just before it was listed.
    pub(super) stamps: Mutex<BTreeMap<String, Stamp>>,
    /// The folders that are not looked at any more.
    pub(super) given_up: Mutex<BTreeSet<String>>,
}

pub(super) struct Stamp {
    pub facts: Facts,
    /// The time until the next change shows; zero where it shows now.
    pub fresh: Duration,
    /// A name that the folder lists could not be found.
    pub misses: bool,
}

/// A time longer than a kernel's own tick, which is 10 ms at most.
pub const TICK: Duration = Duration::from_millis(20);

/// Gives the time to wait until the next change of a file or folder shows in its times, if it may
/// not show yet. It was `changed` last at one moment, and `asked` is the moment before its times
/// were asked for.
///
/// File systems count time in ticks, and two changes within one tick look like one. Some file
/// systems (FAT, ext4 with small inodes) keep whole seconds, FAT every second one; their times have
/// no fraction.
pub(super) fn freshness(changed: i64, asked: i64) -> Option<Duration> {
    let tick = match changed % SECOND {
        0 => Duration::from_secs(2),
        _ => TICK,
    };
    (u128::from(asked.abs_diff(changed)) < tick.as_nanos()).then_some(tick)
}

/// The facts of a file or folder, and the time when they were asked for.
pub(super) struct Asked {
    pub facts: Facts,
    /// The moment before they were asked for.
    pub at: i64,
    /// The ticks from the one before to the one after.
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
            given_up: Mutex::default(),
        }
    }

    /// Tells whether files on `device` show each change in their times.
    fn shows_changes(&self, device: u64) -> bool {
        let known = self.origin.as_ref().map(|(device, _)| *device);
        known == Some(device)
    }

    /// Gives the time to wait until the next change of a file or folder with these facts shows, if
    /// it may not show yet.
    pub(super) fn freshness(&self, asked: &Asked) -> Option<Duration> {
        let Facts {
            identity, changed, ..
        } = asked.facts;
        let has_changed_now = match self.origin.as_ref().map(|(_, origin)| origin.stamps) {
            _ if !self.shows_changes(identity.device) || changed % SECOND == 0 => {
                return freshness(changed, asked.at);
            }
            // A stamp between two ticks is exact since somebody has looked, and the next will be
            // exact too.
            Some(Stamps::WhenLookedAt) => asked.ticks.contains(&changed),
            _ => changed >= *asked.ticks.start(),
        };
        has_changed_now.then_some(PAUSE)
    }

    /// Tells whether a file with these facts is certain to have the same content whenever it has
    /// the same facts. A write within the grain of its times might not show in them: three seconds
    /// are more than any file system's grain, and than clocks differ.
    pub(super) fn has_settled(&self, asked: &Asked) -> bool {
        const SETTLED: i64 = 3 * SECOND;
        let latest = asked.facts.modified.max(asked.facts.changed);
        let rest = asked.at.saturating_sub(latest);
        self.shows_changes(asked.facts.identity.device) && rest >= SETTLED
    }

    /// Notes that a name which `folder` lists could not be found. It has vanished since, or the
    /// file system lists what it can't open: the folder is listed again, and won't settle while it
    /// lists that.
    pub(super) fn miss(&self, folder: &str) {
        if let Some(stamp) = self.stamps.lock().get_mut(folder) {
            stamp.misses = true;
        }
    }

    /// Opens a folder to read the files that were listed in it. Where it is another folder than the
    /// one listed, as its parent may have been exchanged, it is looked at again.
    pub(super) fn open_listed<'d>(
        &self,
        folder: &str,
        descent: &'d mut Descent,
    ) -> Result<&'d Dir, Errno> {
        let opened = descent.open(&self.root, folder)?;
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

    /// Takes the facts of `folder` just before `list` lists it.
    pub(super) fn stamp<E: From<Errno>>(
        &self,
        folder: &str,
        descent: &mut Descent,
        list: impl FnOnce(&Dir) -> Result<(), E>,
    ) -> Result<Stamp, E> {
        let directory = descent.open(&self.root, folder)?;
        let asked = Asked::of(|| directory.facts_now())?;
        list(directory)?;
        Ok(Stamp {
            facts: asked.facts,
            fresh: self.freshness(&asked).unwrap_or_default(),
            misses: false,
        })
    }
}

/// Tells whether the folder is not there any more; a link in its place is none of ours.
pub(super) fn vanished(errno: Errno) -> bool {
    matches!(errno, Errno::NOENT | Errno::NOTDIR | Errno::LOOP)
}

/// Makes the error of a folder that can't be read; without the store's own nothing can.
pub(super) fn read_error(folder: &str, errno: Errno) -> Error {
    let failed = |folder: &str| {
        let doing = format_args!("read the folder '{folder}' of the store");
        Error::system(Access::Read, doing, errno)
    };
    match folder {
        "" => failed("."),
        folder => failed(folder).of_one(words(errno)),
    }
}

/// Gives the `name` of an entry in `folder` as text, if it can be kept.
pub(super) fn checked<'n>(folder: &str, name: &'n [u8]) -> Result<&'n str, BadName> {
    match name::check(name) {
        Ok(name) if folder.len() + 1 + name.len() > name::NAME_MAX => Err(BadName::Length),
        checked => checked,
    }
}

/// Makes the error of a name, as it is `shown`, that can't be kept.
pub(super) fn bad_name(shown: &str, reason: BadName) -> Error {
    let sentence =
        format!("The name '{shown}' can't be kept in a backup: {reason}. Rename it and try again.");
    Error::new(Outcome::InvalidName, sentence).of_one(reason)
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

    /// Shows that links in /dev/shm leave a folder's times as they are, even where a rename has
    /// stamped it finely.
    #[test]
    #[cfg(target_os = "linux")]
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
            let stamp = listing.stamp::<Errno>("", &mut Descent::default(), |_| Ok(()));
            let stamp = stamp.unwrap();
            (clock::tick() == tick).then_some(!stamp.fresh.is_zero())
        });
        std::fs::remove_dir_all(path).unwrap();
        assert_eq!(is_fresh, Some(true));
    }
}
