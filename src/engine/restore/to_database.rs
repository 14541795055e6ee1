//! Restores a backup into a database: in one pass and one transaction.

use std::sync::Arc;

use super::options::Options;
use super::report;
use super::room::{Ground, check_room};
use crate::engine::operation::progress::{Counters, Counting, Phase};
use crate::engine::passed_over::PassedOver;
use crate::engine::reading::check::{Copying, Selection, Walk};
use crate::error::{Error, Result};
use crate::license::Statement;
use crate::store::sqlite::restore::Restore;

/// Restores, and gives the backup's damage, where it is tolerated.
pub fn restore_to_database(
    walk: Walk,
    selection: &Selection,
    store: Restore,
    options: Options,
) -> Result<Option<Error>> {
    if let Some((folder, room)) = store.room().filter(|_| !options.salvage) {
        let path = store.path();
        let ground = Ground {
            path,
            folder,
            room,
            is_rehearsal: options.dry_run,
        };
        // A new database has no licence, and keeps all in one file.
        check_room(walk, selection, &ground, |license| Some(license.size))?;
    }
    let restored = restore(walk, selection, store, options);
    if restored.is_err() {
        forget(&walk.operation.counters);
    }
    restored
}

/// Resets the counts of a transaction that is rolled back.
fn forget(counters: &Counters) {
    counters.licenses_done.set(0);
    counters.licenses_skipped.set(0);
    counters.content_bytes.set(0);
}

fn restore(
    mut walk: Walk,
    selection: &Selection,
    mut store: Restore,
    options: Options,
) -> Result<Option<Error>> {
    let operation = walk.operation;
    let counters = &operation.counters;
    store.keep_going = options.keep_going;
    let mut passed_over = PassedOver::of_attempts(options.keep_going);
    loop {
        let damage = match place(walk, selection, &mut store, &mut passed_over)? {
            Some(damage) if !options.salvage => return Err(damage),
            damage => damage,
        };
        report::check(&passed_over, operation, &damage)?;
        counters.enter(Phase::Committing, 0);
        if options.dry_run {
            return Ok(damage);
        }
        // This comes first, since it may take long: then little time is left in which another
        // restore may be faster.
        operation.settle()?;
        let is_done = store.seal()? && {
            operation.commit()?;
            store.commit()?
        };
        if is_done {
            return Ok(damage);
        }
        // Another restore was faster, and its database is restored into.
        store = store.again()?;
        walk.is_again = true;
        passed_over.begin_again();
        forget(counters);
        counters.licenses_kept.set(0);
        counters.licenses_damaged.set(0);
    }
}

/// Places every licence in the store's transaction, and gives the backup's damage.
fn place(
    walk: Walk,
    selection: &Selection,
    store: &mut Restore,
    passed_over: &mut PassedOver,
) -> Result<Option<Error>> {
    let operation = walk.operation;
    let copying = Arc::new(Copying);
    walk.see(Phase::Checking, selection, copying, |license, content| {
        let stated = Statement {
            key_id: license.key_id.clone(),
            other_key_ids: Vec::new(),
            format: license.format,
            right: license.right,
        };
        match store.place(&license.name, &content, &stated) {
            Ok(placed) => report::placed(operation, &license.name, license.size, placed),
            Err(error) => passed_over.take(operation, &license.name, error)?,
        }
        Ok(())
    })
}
