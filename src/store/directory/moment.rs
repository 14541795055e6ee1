//! Finds the content of a directory at one moment, although it moves.
//!
//! The folders are listed one after the other, and each is looked at once more when all have been
//! listed: where none has changed since, the lists are those of the moment between. The shorter
//! this takes, the more often it works; so nothing is looked at meanwhile except the lists as the
//! kernel has them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::descent::Descent;
use super::file;
use super::listing::{Listing, PAUSE, Stamp, bad_name, checked, read_error, vanished};
use crate::error::{Error, Result};
use crate::license::name;
use crate::store::snapshot::{Again, IsKnown, Seen, Sighting};
use crate::store::tree;
use crate::sys::files::{Dir, Errno, Identity, Inode, Kind};
use crate::sys::patience::Patience;

/// The names in a folder as the kernel has them, without the hidden ones.
#[derive(Default)]
struct ListedNames {
    text: Vec<u8>,
    entries: Vec<ListedName>,
}

struct ListedName {
    end: usize,
    kind: Kind,
    inode: Inode,
}

impl ListedNames {
    fn push(&mut self, name: &[u8], kind: Kind, inode: Inode) -> Result<(), Errno> {
        self.text
            .try_reserve(name.len())
            .map_err(|_| Errno::NOMEM)?;
        self.entries.try_reserve(1).map_err(|_| Errno::NOMEM)?;
        self.text.extend_from_slice(name);
        self.entries.push(ListedName {
            end: self.text.len(),
            kind,
            inode,
        });
        Ok(())
    }

    fn iter(&self) -> impl Iterator<Item = (&[u8], &ListedName)> {
        let mut start = 0;
        self.entries.iter().map(move |entry| {
            let name = self.text.get(start..entry.end).unwrap_or_default();
            start = entry.end;
            (name, entry)
        })
    }
}

/// The names that could not be looked at, and why.
type Failed = Vec<(String, Error)>;

/// Notes what has happened to the licence or folder `name`; fails where it is not that one's alone.
fn fail(failed: &mut Failed, name: &str, error: Error) -> Result<()> {
    if !error.is_of_one() {
        return Err(error);
    }
    failed.try_reserve(1)?;
    failed.push((name.to_owned(), error));
    Ok(())
}

/// The lists of folders that have changed since the whole store was listed.
type Lists = BTreeMap<String, ListedNames>;

impl Listing {
    /// Looks at the folders that have changed since they were listed, until all of them are known
    /// as they were at one moment. Gives those of their files that are not `known`.
    pub(super) fn look_at_moment(
        &self,
        known: IsKnown,
        patience: &mut Patience,
        go_on: &dyn Fn() -> Result<()>,
    ) -> Result<Again> {
        let (mut lists, mut failed) = (Lists::new(), Vec::new());
        let (mut changed, mut wait) = self.changed(&BTreeSet::new(), &lists, go_on)?;
        loop {
            if changed.is_empty() && !lists.is_empty() {
                // A second look is needed: during the first, one folder may have been in the place
                // of another.
                (changed, wait) = self.changed(&changed, &lists, go_on)?;
            }
            if changed.is_empty() {
                let unknown;
                (unknown, changed) = self.unknown(&lists, known, &mut failed)?;
                if changed.is_empty() {
                    return Ok(Again::Seen(Seen { unknown, failed }));
                }
                continue;
            }
            // The fewer folders are still to be seen at rest, the nearer is the moment.
            patience.renew(changed.len());
            if !patience.pause(wait, go_on)? {
                let (unknown, _) = self.unknown(&lists, known, &mut failed)?;
                let folders = changed.into_iter().collect();
                return Ok(Again::Restless(folders, Seen { unknown, failed }));
            }
            for folder in &changed {
                go_on()?;
                lists.remove(folder);
                self.list(folder, &mut lists, &mut failed)?;
            }
            (changed, wait) = self.changed(&changed, &lists, go_on)?;
        }
    }

    /// Lists `folder`, unless it has vanished. One that can't be listed has `failed`.
    fn list(&self, folder: &str, lists: &mut Lists, failed: &mut Failed) -> Result<()> {
        let mut entries = ListedNames::default();
        let listed = self.stamp(folder, &mut Descent::default(), |directory| {
            directory.entries(|name, kind, inode| match name.to_bytes() {
                [b'.', ..] => Ok(()),
                name => entries.push(name, kind, inode),
            })
        });
        match listed {
            Ok(stamp) => {
                self.stamps.lock().insert(folder.to_owned(), stamp);
                lists.insert(folder.to_owned(), entries);
                Ok(())
            }
            Err(errno) if vanished(errno) && !folder.is_empty() => {
                self.stamps.lock().remove(folder);
                self.miss(name::split(folder).0);
                Ok(())
            }
            Err(errno) => {
                fail(failed, folder, read_error(folder, errno))?;
                self.given_up.lock().insert(folder.to_owned());
                Ok(())
            }
        }
    }

    /// Finds the folders whose lists may miss something: those that have changed since they were
    /// listed, or in which a name could not be found. Gives also the time to wait until changes
    /// show. Where there are none, all lists are those of the moment of this call. The folders
    /// listed last, `latest`, are looked at first, so that this moment is as short as possible.
    fn changed(
        &self,
        latest: &BTreeSet<String>,
        lists: &Lists,
        go_on: &dyn Fn() -> Result<()>,
    ) -> Result<(BTreeSet<String>, Duration)> {
        let (mut changed, mut wait) = (BTreeSet::new(), Duration::ZERO);
        let (stamps, given_up) = (self.stamps.lock(), self.given_up.lock());
        let mut descent = Descent::default();
        let earlier = lists.keys().filter(|folder| !latest.contains(*folder));
        let others = stamps
            .keys()
            .filter(|folder| !latest.contains(*folder) && !lists.contains_key(*folder));
        for folder in latest.iter().chain(earlier).chain(others) {
            go_on()?;
            let Some(stamp) = stamps.get(folder) else {
                continue;
            };
            if given_up.contains(folder) {
                continue;
            }
            let is_same = stamp.fresh.is_zero()
                && !stamp.misses
                && self.is_as_stamped(folder, stamp, &mut descent)?;
            if !is_same {
                wait = wait.max(stamp.fresh).max(PAUSE);
                changed.insert(folder.clone());
            }
        }
        Ok((changed, wait))
    }

    /// Tells whether a folder is as it was when it was listed. Where it is opened from one above it
    /// that was so a moment ago, it was in its place at that moment.
    fn is_as_stamped(&self, folder: &str, stamp: &Stamp, descent: &mut Descent) -> Result<bool> {
        let folder_now = descent.open(&self.root, folder);
        match folder_now.and_then(|folder| folder.facts_now()) {
            Ok(facts) => Ok(facts == stamp.facts),
            Err(errno) if vanished(errno) => Ok(false),
            // It is then listed again, and what keeps it from that is told.
            Err(errno) => match read_error(folder, errno) {
                error if error.is_of_one() => Ok(false),
                error => Err(error),
            },
        }
    }

    /// Finds the entries of the `lists`, which are those of one moment, that are not `known`, and
    /// the folders among them that were not listed before. What can't be kept or looked at has
    /// `failed`.
    fn unknown(
        &self,
        lists: &Lists,
        known: IsKnown,
        failed: &mut Failed,
    ) -> Result<(Vec<Sighting>, BTreeSet<String>)> {
        let (mut unknown, mut new) = (Vec::new(), BTreeSet::new());
        let mut descent = Descent::default();
        for (folder, entries) in lists {
            let directory = self.open_listed(folder, &mut descent);
            let device = self
                .stamps
                .lock()
                .get(folder)
                .map(|stamp| stamp.facts.identity.device);
            let Some(device) = device else { continue };
            for (name, entry) in entries.iter() {
                let whole = match checked(folder, name) {
                    Ok(name) => tree::join(folder, name),
                    Err(reason) => {
                        // Of what is neither file nor folder the listing has told.
                        if matches!(entry.kind, Kind::File | Kind::Folder) {
                            let shown = tree::join(folder, &name::shown_bytes(name));
                            fail(failed, &shown, bad_name(&shown, reason))?;
                        }
                        continue;
                    }
                };
                // Most file systems list the number that the file has; where it differs, the file
                // is asked for its own.
                let listed = Identity {
                    device,
                    inode: entry.inode,
                };
                if entry.kind == Kind::File && known(&whole, listed)? {
                    continue;
                }
                let (kind, identity) = match &directory {
                    Ok(directory) => match self.seen(&whole, directory, entry.kind, listed) {
                        Ok(seen) => seen,
                        Err(error) => {
                            fail(failed, &whole, error)?;
                            continue;
                        }
                    },
                    Err(_) if entry.kind == Kind::Unknown => (Kind::File, listed),
                    Err(_) => (entry.kind, listed),
                };
                if kind == Kind::Folder {
                    let is_given_up = self.given_up.lock().contains(&whole);
                    if !is_given_up && !self.stamps.lock().contains_key(&whole) {
                        new.insert(whole);
                    }
                } else if !known(&whole, identity)? {
                    unknown.try_reserve(1)?;
                    unknown.push(Sighting {
                        name: whole,
                        kind,
                        identity,
                    });
                }
            }
        }
        Ok((unknown, new))
    }

    /// Finds the kind and identity of the entry that was listed as `kind` under the name `whole` at
    /// the moment of the lists.
    fn seen(
        &self,
        whole: &str,
        directory: &Dir,
        kind: Kind,
        listed: Identity,
    ) -> Result<(Kind, Identity)> {
        let (folder, name) = name::split(whole);
        let facts = match directory.facts_of(name) {
            Err(errno) if vanished(errno) => None,
            facts => Some(facts.map_err(|errno| file::read_error(whole, errno))?),
        };
        if let Some(facts) = facts.filter(|facts| facts.identity.inode == listed.inode) {
            return Ok((facts.kind, facts.identity));
        }
        // Either the entry has changed since, as its folder shows; or the file system lists other
        // numbers. An entry not known to be anything else may be a licence.
        let kind = match kind {
            Kind::Unknown => Kind::File,
            kind => kind,
        };
        let stamps = self.stamps.lock();
        let is_still = match stamps.get(folder) {
            Some(stamp) => self.is_as_stamped(folder, stamp, &mut Descent::default())?,
            None => false,
        };
        Ok(match facts.filter(|_| is_still) {
            Some(facts) => (facts.kind, facts.identity),
            None => (kind, listed),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::path::{Path, PathBuf};
    use std::sync::Arc;

    use super::*;
    use crate::error::Outcome;
    use crate::store::backups::Backups;
    use crate::store::snapshot::{Batch, Feed, Snapshot};
    use crate::sys::anchored_path::AnchoredPath;
    use crate::sys::files::File;
    use crate::sys::test_folder;

    const NEVER: Duration = Duration::from_secs(1 << 30);

    /// Takes a list, and reads nothing.
    struct Unread;

    impl Feed for Unread {
        fn check(&self) -> Result<()> {
            Ok(())
        }

        fn takes_over(&self) -> bool {
            false
        }

        fn keeps_going(&self) -> bool {
            false
        }

        fn emit(&mut self, _: Box<dyn Batch>) -> Result<()> {
            Ok(())
        }

        fn scratch(&mut self) -> Option<File> {
            None
        }
    }

    /// Makes a store with the licences `a` and `folder/b`, and lists it.
    fn listed(test: &str) -> (PathBuf, Arc<Listing>) {
        let path = test_folder(test);
        std::fs::write(path.join("a"), "a licence").unwrap();
        std::fs::create_dir(path.join("folder")).unwrap();
        std::fs::write(path.join("folder/b"), "a licence").unwrap();
        let root = Dir::open(&AnchoredPath::now(&path)).unwrap();
        let listing = Arc::new(Listing::new(root, Backups::default()));
        Arc::clone(&listing).list(&mut Unread).unwrap();
        (path, listing)
    }

    /// Moves a licence to and fro, as hosts do that save one.
    fn save(store: &Path) {
        std::fs::rename(store.join("a"), store.join("folder/a")).unwrap();
        std::fs::rename(store.join("folder/a"), store.join("a")).unwrap();
    }

    fn names(again: Result<Again>) -> Vec<String> {
        match again.unwrap() {
            Again::Seen(seen) => seen.unknown.into_iter().map(|seen| seen.name).collect(),
            Again::Restless(folders, _) => panic!("restless: {folders:?}"),
        }
    }

    #[test]
    fn a_burst_is_waited_for() {
        let (path, listing) = listed("burst");
        let left = Cell::new(60);
        // Each folder is asked about once in every look.
        let go_on = || {
            if left.get() > 0 {
                left.set(left.get() - 1);
                save(&path);
            }
            Ok(())
        };
        let mut patience = Patience::new(NEVER);
        let again = listing.look_at_moment(&mut |_, _| Ok(false), &mut patience, &go_on);
        assert_eq!(
            (names(again), left.get()),
            (vec!["a".into(), "folder/b".into()], 0)
        );
        std::fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn what_never_rests_ends_the_patience_and_may_be_given_up() {
        let (path, listing) = listed("restless");
        let go_on = || {
            save(&path);
            Ok(())
        };
        let mut known = |_: &str, _| Ok(true);
        let mut patience = Patience::new(Duration::from_millis(50));
        let again = listing.look_at_moment(&mut known, &mut patience, &go_on);
        let Again::Restless(folders, _) = again.unwrap() else {
            panic!("it never rests");
        };
        assert!(!folders.is_empty());
        listing.give_up(vec![String::new(), "folder".into()]);
        let mut patience = Patience::new(Duration::ZERO);
        let again = listing.look_at_moment(&mut known, &mut patience, &go_on);
        assert!(names(again).is_empty());
        std::fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn a_wait_for_rest_is_ended_at_once() {
        let (path, listing) = listed("ended-wait");
        for asked_at_end in [1, 2, 30] {
            let asked = Cell::new(0);
            let go_on = || {
                save(&path);
                asked.set(asked.get() + 1);
                match asked.get() < asked_at_end {
                    true => Ok(()),
                    false => Err(Error::canceled()),
                }
            };
            let mut patience = Patience::new(NEVER);
            let again = listing.look_at_moment(&mut |_, _| Ok(true), &mut patience, &go_on);
            assert!(again.is_err_and(|error| error.outcome == Outcome::Canceled));
            assert_eq!(asked.get(), asked_at_end);
        }
        std::fs::remove_dir_all(path).unwrap();
    }
}
