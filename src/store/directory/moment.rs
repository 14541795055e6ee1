//! Finds the content of a directory at one moment, although it moves.
//!
//! The folders are listed one after the other, and each is looked at once more when all have been
//! listed: where none has changed since, the lists are those of the moment between. The shorter
//! this takes, the more often it works; so nothing is looked at meanwhile except the lists as the
//! kernel has them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::listing::{Listing, PAUSE, Stamp, checked, read_error, vanished};
use crate::error::Result;
use crate::license::name;
use crate::store::snapshot::{Again, IsKnown, Sighting};
use crate::store::tree;
use crate::sys::files::{Dir, Errno, Identity, Inode, Kind};

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

/// The lists of folders that have changed since the whole store was listed.
type Lists = BTreeMap<String, ListedNames>;

impl Listing {
    /// Looks at the folders that have changed since they were listed, until all of them are known
    /// as they were at one moment. Gives those of their files that are not `known`.
    pub(super) fn look_at_moment(
        &self,
        known: IsKnown,
        until: Instant,
        go_on: &dyn Fn() -> Result<()>,
    ) -> Result<Again> {
        let mut lists = Lists::new();
        let (mut changed, mut wait) = self.changed(&BTreeSet::new(), &lists, go_on)?;
        loop {
            if changed.is_empty() && !lists.is_empty() {
                // A second look is needed: during the first, one folder may have been in the place
                // of another.
                (changed, wait) = self.changed(&changed, &lists, go_on)?;
            }
            let Some(first) = changed.first() else {
                let (seen, new) = self.unknown(&lists, known)?;
                if new.is_empty() {
                    return Ok(Again::Seen(seen));
                }
                changed = new;
                continue;
            };
            go_on()?;
            if Instant::now() >= until {
                return Ok(Again::Restless(first.clone()));
            }
            std::thread::sleep(wait);
            for folder in &changed {
                lists.remove(folder);
                self.list(folder, &mut lists)?;
            }
            (changed, wait) = self.changed(&changed, &lists, go_on)?;
        }
    }

    /// Lists `folder`, unless it has vanished.
    fn list(&self, folder: &str, lists: &mut Lists) -> Result<()> {
        let mut entries = ListedNames::default();
        let listed = self.stamp(folder, |directory| {
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
            Err(errno) => Err(read_error(folder, errno)),
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
        let stamps = self.stamps.lock();
        let earlier = lists.keys().filter(|folder| !latest.contains(*folder));
        let others = stamps
            .keys()
            .filter(|folder| !latest.contains(*folder) && !lists.contains_key(*folder));
        for folder in latest.iter().chain(earlier).chain(others) {
            go_on()?;
            let Some(stamp) = stamps.get(folder) else {
                continue;
            };
            if !stamp.fresh.is_zero() || stamp.misses || !self.is_as_stamped(folder, stamp)? {
                wait = wait.max(stamp.fresh).max(PAUSE);
                changed.insert(folder.clone());
            }
        }
        Ok((changed, wait))
    }

    fn is_as_stamped(&self, folder: &str, stamp: &Stamp) -> Result<bool> {
        match self.root.folder(folder).and_then(|folder| folder.facts()) {
            Err(errno) if vanished(errno) => Ok(false),
            facts => Ok(facts.map_err(|errno| read_error(folder, errno))? == stamp.facts),
        }
    }

    /// Finds the entries of the `lists`, which are those of one moment, that are not `known`, and
    /// the folders among them that were not listed before.
    fn unknown(&self, lists: &Lists, known: IsKnown) -> Result<(Vec<Sighting>, BTreeSet<String>)> {
        let (mut unknown, mut new) = (Vec::new(), BTreeSet::new());
        for (folder, entries) in lists {
            let directory = self.open_listed(folder);
            let device = self
                .stamps
                .lock()
                .get(folder)
                .map(|stamp| stamp.facts.identity.device);
            let Some(device) = device else { continue };
            for (name, entry) in entries.iter() {
                let whole = match checked(folder, name) {
                    Ok(name) => tree::join(folder, name),
                    Err(error) if matches!(entry.kind, Kind::File | Kind::Folder) => {
                        return Err(error);
                    }
                    // The name is no licence's, and the listing has told so.
                    Err(_) => continue,
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
                    Ok(directory) => self.seen(folder, directory, name, entry.kind, listed)?,
                    Err(_) if entry.kind == Kind::Unknown => (Kind::File, listed),
                    Err(_) => (entry.kind, listed),
                };
                if kind == Kind::Folder {
                    if !self.stamps.lock().contains_key(&whole) {
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

    /// Finds the kind and identity of the entry that was listed as `kind` under `name` at the
    /// moment of the lists.
    fn seen(
        &self,
        folder: &str,
        directory: &Dir,
        name: &[u8],
        kind: Kind,
        listed: Identity,
    ) -> Result<(Kind, Identity)> {
        let facts = match directory.facts_of(name) {
            Err(errno) if vanished(errno) => None,
            facts => Some(facts.map_err(|errno| read_error(folder, errno))?),
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
            Some(stamp) => self.is_as_stamped(folder, stamp)?,
            None => false,
        };
        Ok(match facts.filter(|_| is_still) {
            Some(facts) => (facts.kind, facts.identity),
            None => (kind, listed),
        })
    }
}
