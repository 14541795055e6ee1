//! Restores a backup into a directory: everything is written beside its place, and moved there at
//! the end.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::options::Options;
use super::report::{self, check};
use super::room::{Ground, check_room};
use crate::archive::catalog_in_step::Expected;
use crate::engine::operation::Operation;
use crate::engine::operation::progress::{Counting as _, Phase};
use crate::engine::passed_over::PassedOver;
use crate::engine::reading::check::{Selection, Visitor, Walk};
use crate::error::{Error, Result};
use crate::license::name;
use crate::store::Placed;
use crate::store::directory::restore::publishing::Published;
use crate::store::directory::restore::{Cursor, Restore};

/// Restores, and gives the backup's damage, where it is tolerated.
pub fn restore_to_directory(
    walk: Walk,
    selection: &Selection,
    store: Restore,
    options: Options,
) -> Result<Option<Error>> {
    let operation = walk.operation;
    let counters = &operation.counters;
    check_room_in(walk, selection, &store, options)?;
    let placing = Arc::new(Placing {
        operation: Arc::clone(operation),
        store,
    });
    let (mut staged, mut same) = (Tally::default(), Count::default());
    let (mut passed_over, mut lost) = (PassedOver::new(options.keep_going), Vec::new());
    let visitor = Arc::clone(&placing);
    let damage = walk.see(Phase::Checking, selection, visitor, |license, placed| {
        match placed {
            Ok(Placed::Written) => staged.add(license),
            Ok(Placed::Same) => same.add(license.size),
            Ok(Placed::Kept) => report::kept(operation, &license.name),
            Err(error) => {
                passed_over.take(operation, &license.name, error)?;
                lost.try_reserve(1)?;
                lost.push(license.name.clone());
            }
        }
        Ok(())
    })?;
    let damage = match damage {
        Some(damage) if !options.salvage => return Err(damage),
        damage => damage,
    };
    let Some(Placing { mut store, .. }) = Arc::into_inner(placing) else {
        return Err(Error::panicked(&"a worker holds the store"));
    };
    let done = |count: Count| {
        counters.licenses_done.add(count.licenses);
        counters.content_bytes.add(count.bytes);
        counters.phase_done.add(count.licenses);
    };
    let total = staged.all.licenses + same.licenses;
    if options.dry_run {
        counters.enter(Phase::Working, total);
        done(same);
        done(staged.all);
        check(&passed_over, operation, &damage)?;
        return Ok(damage);
    }
    // The time that the disk takes to store its part is not known.
    counters.enter(Phase::Working, 0);
    if total == 0 {
        check(&passed_over, operation, &damage)?;
    }
    lost.iter().for_each(|name| store.forget(name));
    // The host can object only before anything is moved into its place.
    operation.settle()?;
    store.sync_written()?;
    counters.enter(Phase::Working, total);
    done(same);
    let mut left = staged.all.licenses;
    store.publish(&mut |news| {
        let moved = match news {
            Published::File(bytes) => Some(Count { licenses: 1, bytes }),
            Published::Folder(folder) => Some(staged.below(folder)),
            Published::Kept(name) => {
                report::kept(operation, name);
                None
            }
            Published::Failed(name, error) => {
                passed_over.take(operation, name, error)?;
                None
            }
        };
        match moved {
            Some(moved) => done(moved),
            None => counters.phase_done.add(1),
        }
        left = left.saturating_sub(moved.map_or(1, |moved| moved.licenses));
        operation.check()
    })?;
    if left > 0 {
        return Err(store.lost(left));
    }
    check(&passed_over, operation, &damage)?;
    counters.enter(Phase::Committing, 0);
    store.sync()?;
    Ok(damage)
}

/// Refuses a restore that can't have room. Of a damaged backup it is not known what is restored.
fn check_room_in(
    walk: Walk,
    selection: &Selection,
    store: &Restore,
    options: Options,
) -> Result<()> {
    let Some((folder, room)) = store.room().filter(|_| !options.salvage) else {
        return Ok(());
    };
    let ground = Ground {
        path: store.path(),
        folder,
        room,
        is_rehearsal: options.dry_run,
    };
    let mut last = None;
    check_room(walk, selection, &ground, |license| {
        let is_lacking = store.lacks(&mut last, &license.name);
        is_lacking.then(|| room.taken_by(license.size))
    })
}

struct Placing {
    operation: Arc<Operation>,
    store: Restore,
}

impl Visitor for Placing {
    type Cursor = Cursor;
    type Found = Result<Placed>;

    fn visit(
        &self,
        cursor: &mut Cursor,
        license: &Expected,
        content: &[u8],
    ) -> Result<Result<Placed>> {
        let (name, go_on) = (&license.name, || self.operation.check());
        let placed = self
            .store
            .place(cursor, name, content, license.modified, go_on);
        match placed {
            Err(error) if !error.is_of_one() => Err(error),
            placed => Ok(placed),
        }
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

/// The licences that wait to be moved, folder by folder: whole folders are moved at once.
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

    /// Counts what is in `folder` and the folders below it.
    fn below(&self, folder: &str) -> Count {
        // The character '0' follows '/'.
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
