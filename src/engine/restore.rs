//! Restores a backup into a store.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::choice::choose;
use super::events::Notice;
use super::operation::Story;
use super::progress::{Count as _, Phase};
use super::properties::Property;
use super::restore_database::restore_to_database;
use super::restore_host::restore_to_host;
use super::restorer::{Plan, Settings};
use super::walk::{Selection, Visitor, Walk};
use crate::archive::agreement::Expected;
use crate::error::{Error, Outcome, Result};
use crate::license::name;
use crate::store::directory::restore::{Cursor, Published, Restore};
use crate::store::host::Host;
use crate::store::{self, Placed, Target};
use crate::sys::anchored_path::AnchoredPath;

/// What the host asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// The backup's version replaces the store's.
    pub overwrite: bool,
    pub dry_run: bool,
    /// Whatever is intact of a damaged backup is restored.
    pub salvage: bool,
}

/// Where the licences go.
enum Destination {
    Host(Arc<dyn Host>),
    Path(AnchoredPath),
}

impl Destination {
    fn of(settings: &Settings, options: Options) -> Result<Destination> {
        match &settings.host {
            None => Ok(Destination::Path(
                settings.properties.path(Property::StorePath)?,
            )),
            Some(host) if host.can_restore(options.dry_run) => {
                Ok(Destination::Host(Arc::clone(host)))
            }
            Some(_) => Err(Error::new(
                Outcome::NotImplemented,
                "The host's store has no functions that get and put a licence.",
            )),
        }
    }
}

/// Plans the restore of all licences, or of those with one key ID.
pub fn plan(settings: &Settings, key_id: Option<String>, mut options: Options) -> Result<Plan> {
    let path = settings.properties.path(Property::RestorePath)?;
    let destination = Destination::of(settings, options)?;
    let workers = settings.properties.workers();
    let story: Story = Box::new(move |operation, pool| {
        operation.counters.enter(Phase::Listing, 0);
        let choice = choose(operation, &path, key_id.as_deref(), options.salvage)?;
        // What is found in a ruin may be older than what the store has.
        options.overwrite &= choice.damage.is_none();
        let walk = Walk {
            operation,
            pool,
            workers,
            backup: &choice.backup,
            is_again: false,
        };
        let selection = &choice.selection;
        let damage = match destination {
            Destination::Host(host) => restore_to_host(walk, selection, host.as_ref(), options),
            Destination::Path(path) => {
                let Options {
                    overwrite, dry_run, ..
                } = options;
                match store::open_for_restore(&path, overwrite, dry_run, operation.go_on())? {
                    Target::Directory(store) => {
                        restore_to_directory(walk, selection, store, options)
                    }
                    Target::Database(store) => {
                        restore_to_database(walk, selection, *store, options)
                    }
                }
            }
        }?;
        choice.damage.or(damage).map_or(Ok(()), Err)
    });
    Ok(Plan {
        threads: workers,
        story,
    })
}

/// Gives what is wrong with the backup, where that does not matter.
fn restore_to_directory(
    walk: Walk,
    selection: &Selection,
    store: Restore,
    options: Options,
) -> Result<Option<Error>> {
    let operation = walk.operation;
    let counters = &operation.counters;
    let placing = Arc::new(Placing { store });
    let (mut staged, mut same) = (Tally::default(), Count::default());
    let visitor = Arc::clone(&placing);
    let damage = walk.see(Phase::Checking, selection, visitor, |license, placed| {
        match placed {
            Placed::Staged => staged.add(license),
            Placed::Same => same.add(license.size),
            Placed::Kept => {
                counters.licenses_kept.add(1);
                operation.tell(Notice::Kept {
                    name: license.name.clone(),
                });
            }
        }
        Ok(())
    })?;
    let damage = match damage {
        Some(damage) if !options.salvage => return Err(damage),
        damage => damage,
    };
    let Some(Placing { mut store }) = Arc::into_inner(placing) else {
        return Err(Error::panicked(&"a worker holds the store"));
    };
    let done = |count: Count| {
        counters.licenses_done.add(count.licenses);
        counters.content_bytes.add(count.bytes);
        counters.phase_done.add(count.licenses);
    };
    // How long the disk takes to bring its part is not known.
    counters.enter(Phase::Working, 0);
    if options.dry_run {
        done(same);
        done(staged.all);
        return Ok(damage);
    }
    // Whatever the host objects to, it objects before anything has its place.
    operation.settle()?;
    store.sync()?;
    counters.enter(Phase::Working, staged.all.licenses + same.licenses);
    done(same);
    store.publish(&mut |news| {
        match news {
            Published::File(size) => done(Count {
                licenses: 1,
                bytes: size,
            }),
            Published::Folder(folder) => done(staged.below(folder)),
            Published::Kept(name) => {
                counters.licenses_kept.add(1);
                operation.tell(Notice::Kept {
                    name: name.to_owned(),
                });
            }
        }
        operation.check()
    })?;
    counters.enter(Phase::Committing, 0);
    store.sync()?;
    Ok(damage)
}

struct Placing {
    store: Restore,
}

impl Visitor for Placing {
    type Cursor = Cursor;
    type Found = Placed;

    fn visit(&self, cursor: &mut Cursor, license: &Expected, content: &[u8]) -> Result<Placed> {
        self.store
            .place(cursor, &license.name, content, license.modified)
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    licenses: u64,
    bytes: u64,
}

impl Count {
    fn add(&mut self, bytes: u64) {
        self.licenses += 1;
        self.bytes += bytes;
    }
}

/// What waits to be moved, folder by folder: whole folders are moved at once.
#[derive(Default)]
struct Tally {
    folders: BTreeMap<String, Count>,
    all: Count,
}

impl Tally {
    fn add(&mut self, license: &Expected) {
        let (folder, _) = name::split(&license.name);
        self.all.add(license.size);
        match self.folders.get_mut(folder) {
            Some(count) => count.add(license.size),
            None => drop(self.folders.insert(
                folder.to_owned(),
                Count {
                    licenses: 1,
                    bytes: license.size,
                },
            )),
        }
    }

    /// What is in `folder` and the folders below it.
    fn below(&self, folder: &str) -> Count {
        // '0' follows '/'.
        let below = self
            .folders
            .range([folder, "/"].concat()..[folder, "0"].concat());
        let own = self.folders.get(folder);
        own.into_iter()
            .chain(below.map(|(_, count)| count))
            .fold(Count::default(), |sum, count| Count {
                licenses: sum.licenses + count.licenses,
                bytes: sum.bytes + count.bytes,
            })
    }
}
