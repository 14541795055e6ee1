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
use crate::engine::passed_over::PassedOver;
use crate::engine::reading::check::{Copying, Looking, Selection, Walk};
use crate::error::{Error, Outcome, Result};
use crate::store::Placed;
use crate::store::host::Host;
use crate::store::license::{License, OwnLicense};

/// Restores, and gives the backup's damage, where it is tolerated.
pub fn restore_to_host(
    walk: Walk,
    selection: &Selection,
    host: &Arc<dyn Host>,
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
    let (copying, mut passed_over) = (Arc::new(Copying), PassedOver::new(options.keep_going));
    let damage = walk.see(Phase::Working, selection, copying, |license, content| {
        let (host, asked) = (Arc::clone(host), license.clone());
        let given = operation.ask(move |tell_what_is_due| {
            give(host.as_ref(), &asked, &content, options, tell_what_is_due)
        })?;
        match given {
            Ok((placed, size)) => report::placed(operation, &license.name, size, placed),
            Err(error) => passed_over.take(operation, &license.name, error)?,
        }
        Ok(())
    })?;
    report::check(&passed_over, operation, &damage)?;
    match damage {
        // The backup was right in the first walk.
        Some(damage) if !options.salvage => Err(damage),
        damage => Ok(damage),
    }
}

/// Gives the host what it is to keep, and says what became of the licence and how large it is.
fn give(
    host: &dyn Host,
    license: &Expected,
    content: &[u8],
    options: Options,
    tell_what_is_due: &dyn Fn() -> Result<()>,
) -> Result<(Placed, u64)> {
    let theirs = License {
        name: &license.name,
        key_id: Some(&license.key_id),
        content,
        modified: license.modified,
        right: license.right,
        format: license.format,
    };
    let merges = options.merge && host.can_merge();
    let (mut is_same, mut mine) = (None, None);
    let mut found = Only::new(&license.name, "get");
    host.get(&license.name, &mut |version| {
        tell_what_is_due()?;
        let version = version?;
        found.take(&version)?;
        is_same = Some(version.content == content);
        if merges && version.content != content {
            mine = Some(OwnLicense::of(&version)?);
        }
        Ok(())
    })?;
    let chosen = match &mine {
        Some(mine) => merge(host, &mine.get(), &theirs, tell_what_is_due)?,
        None => None,
    };
    let placed = match chosen {
        Some(_) => Placed::Written,
        None => Placed::by(is_same, options.overwrite),
    };
    let kept = chosen.as_ref().map_or(theirs, OwnLicense::get);
    if placed == Placed::Written && !options.dry_run {
        host.put(&kept)?;
    }
    Ok((placed, kept.content.len() as u64))
}

/// Lets the host choose between two versions; none where the store's stays.
fn merge(
    host: &dyn Host,
    mine: &License,
    theirs: &License,
    tell_what_is_due: &dyn Fn() -> Result<()>,
) -> Result<Option<OwnLicense>> {
    let mut chosen = None;
    let mut only = Only::new(theirs.name, "merge");
    host.merge(mine, theirs, &mut |version| {
        tell_what_is_due()?;
        let version = version?;
        only.take(&version)?;
        if version.content != mine.content {
            chosen = Some(OwnLicense::of(&version)?);
        }
        Ok(())
    })?;
    Ok(chosen)
}

/// The one licence that a function of the host may give.
struct Only<'n> {
    name: &'n str,
    function: &'static str,
    is_taken: bool,
}

impl Only<'_> {
    fn new<'n>(name: &'n str, function: &'static str) -> Only<'n> {
        Only {
            name,
            function,
            is_taken: false,
        }
    }

    fn take(&mut self, license: &License) -> Result<()> {
        if license.name != self.name || self.is_taken {
            let Only { name, function, .. } = self;
            let sentence = format!(
                "The host was asked for the licence '{name}', and gave another one, or more than one. Correct its function {function}."
            );
            return Err(Error::new(Outcome::InvalidArgument, sentence));
        }
        self.is_taken = true;
        Ok(())
    }
}
