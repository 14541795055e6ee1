//! Verifies a backup.

use std::sync::Arc;

use super::backup_file::Backup;
use super::check::{Looking, Selection, Walk};
use crate::encryption::keys::Keys;
use crate::engine::operation::Operation;
use crate::engine::operation::pool::Pool;
use crate::engine::operation::progress::{Counting, Phase};
use crate::engine::properties::Property;
use crate::engine::restorer::{Plan, Settings};
use crate::error::Result;
use crate::location::Location;

pub fn plan(settings: &Settings) -> Result<Plan> {
    let Settings { properties, .. } = settings;
    let place = properties.location(Property::RestorePath)?;
    let keys = properties.keys();
    let workers = properties.workers();
    Ok(Plan {
        threads: workers,
        story: Box::new(move |operation, pool| verify(operation, pool, workers, &*place, &keys)),
    })
}

fn verify(
    operation: &Arc<Operation>,
    pool: &Pool,
    workers: usize,
    place: &dyn Location,
    keys: &Keys,
) -> Result<()> {
    operation.counters.enter(Phase::Listing, 0);
    let backup = Backup::open(place, keys, &operation.go_on())?;
    let walk = Walk {
        operation,
        pool,
        workers,
        backup: &backup,
        is_again: false,
    };
    let looking = Arc::new(Looking);
    let damage = walk.see(Phase::Checking, &Selection::All, looking, |license, ()| {
        operation.counters.licenses_done.add(1);
        operation.counters.content_bytes.add(license.size);
        Ok(())
    })?;
    damage.map_or(Ok(()), Err)
}
