//! Restores a backup into a database: in one pass and one transaction.

use std::sync::Arc;

use super::events::Notice;
use super::progress::{Count, Phase};
use super::restore::Options;
use super::restore_host::Copying;
use super::walk::{Selection, Walk};
use crate::error::{Error, Result};
use crate::license::Statement;
use crate::store::Placed;
use crate::store::sqlite::restore::Restore;

/// Gives what is wrong with the backup, where that does not matter.
pub fn restore_to_database(
    walk: Walk,
    selection: &Selection,
    store: Restore,
    options: Options,
) -> Result<Option<Error>> {
    let restored = restore(walk, selection, store, options);
    if restored.is_err() {
        // The transaction is rolled back.
        let counters = &walk.operation.counters;
        counters.licenses_done.set(0);
        counters.content_bytes.set(0);
    }
    restored
}

fn restore(
    walk: Walk,
    selection: &Selection,
    mut store: Restore,
    options: Options,
) -> Result<Option<Error>> {
    let operation = walk.operation;
    let counters = &operation.counters;
    let copying = Arc::new(Copying);
    let damage = walk.see(Phase::Checking, selection, copying, |license, content| {
        let stated = Statement {
            key_id: license.key_id.clone(),
            format: license.format,
            right: license.right,
        };
        match store.place(&license.name, &content, &stated)? {
            Placed::Staged | Placed::Same => {
                counters.licenses_done.add(1);
                counters.content_bytes.add(license.size);
            }
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
    counters.enter(Phase::Committing, 0);
    if !options.dry_run {
        operation.commit()?;
        store.commit()?;
    }
    Ok(damage)
}
