//! Restores a backup into a host's own store.
//!
//! A host can't be asked to take back what it was given, so the backup is walked twice: once to
//! check it, once to give it. One walk is enough where only the intact part of a damaged backup is
//! wanted.

use std::sync::Arc;

use super::options::Options;
use super::report;
use crate::archive::catalog_in_step::Expected;
use crate::engine::operation::progress::Phase;
use crate::engine::reading::check::{Copying, Looking, Selection, Walk};
use crate::error::{Error, Outcome, Result};
use crate::store::Placed;
use crate::store::host::Host;
use crate::store::license::License;

/// Restores, and gives the backup's damage, where it is tolerated.
pub fn restore_to_host(
    walk: Walk,
    selection: &Selection,
    host: &dyn Host,
    options: Options,
) -> Result<Option<Error>> {
    let operation = walk.operation;
    if !options.salvage {
        let looking = Arc::new(Looking);
        let damage = walk.see(Phase::Checking, selection, looking, |_, ()| Ok(()))?;
        damage.map_or(Ok(()), Err)?;
    }
    // The host can object only before it is given anything.
    operation.settle()?;
    let copying = Arc::new(Copying);
    let damage = walk.see(Phase::Working, selection, copying, |license, content| {
        report::placed(operation, license, give(host, license, &content, options)?);
        Ok(())
    })?;
    match damage {
        // The backup was right in the first walk.
        Some(damage) if !options.salvage => Err(damage),
        damage => Ok(damage),
    }
}

fn give(host: &dyn Host, license: &Expected, content: &[u8], options: Options) -> Result<Placed> {
    let mut is_same = None;
    host.get(&license.name, &mut |found| {
        if found.name != license.name || is_same.is_some() {
            let sentence = format!(
                "The host was asked for the licence '{}', and gave another one, or more than one. Correct its function get.",
                license.name
            );
            return Err(Error::new(Outcome::InvalidArgument, sentence));
        }
        is_same = Some(found.content == content);
        Ok(())
    })?;
    let placed = Placed::by(is_same, options.overwrite);
    if placed == Placed::Written && !options.dry_run {
        host.put(&License {
            name: &license.name,
            key_id: Some(&license.key_id),
            content,
            modified: license.modified,
            right: license.right,
            format: license.format,
        })?;
    }
    Ok(placed)
}
