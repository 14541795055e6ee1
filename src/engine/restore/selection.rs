//! Selects the licences of a backup to restore: all, those with a key ID, or what is left of a
//! damaged one.

use std::sync::Arc;

use crate::archive::Fault;
use crate::archive::catalog_in_step::Expected;
use crate::encryption::keys::Keys;
use crate::engine::operation::Operation;
use crate::engine::reading::backup_file::Backup;
use crate::engine::reading::catalog::Catalog;
use crate::engine::reading::check::Selection;
use crate::error::{Error, Outcome, Result};
use crate::license::name;
use crate::location::Location;

/// A backup that has been opened.
pub struct Opened {
    pub backup: Arc<Backup>,
    /// The fault of a backup whose end is lost.
    damage: Option<Error>,
}

pub struct Choice {
    pub backup: Arc<Backup>,
    pub selection: Selection,
    /// The fault of a backup of which only parts are left.
    pub damage: Option<Error>,
}

/// Opens the backup at `place`; with `salvage` also one whose end is lost.
pub fn open(
    operation: &Arc<Operation>,
    place: &dyn Location,
    keys: &Keys,
    salvage: bool,
) -> Result<Opened> {
    let (backup, damage) = match Backup::open(place, keys, &operation.go_on()) {
        Err(damage) if is_salvaged(salvage, &damage) => {
            let ruin = Backup::open_damaged(place, keys, &operation.go_on())?;
            (ruin, Some(damage))
        }
        opened => (opened?, None),
    };
    Ok(Opened { backup, damage })
}

/// Finds the licences that are asked for. With `salvage` a damaged backup is searched from its
/// front.
pub fn choose(
    operation: &Arc<Operation>,
    opened: Opened,
    key_id: Option<&str>,
    salvage: bool,
) -> Result<Choice> {
    let Opened { backup, damage } = opened;
    if let Some(damage) = damage {
        return search(operation, backup, key_id, damage);
    }
    let selection = match key_id {
        Some(key_id) => find(operation, &backup, key_id).map(Selection::These),
        None if salvage => check_lists(operation, &backup).map(|()| Selection::All),
        None => Ok(Selection::All),
    };
    match selection {
        Err(damage) if is_salvaged(salvage, &damage) => {
            let ruin = backup.forget_end(&operation.go_on())?;
            search(operation, ruin, key_id, damage)
        }
        selection => Ok(Choice {
            backup,
            selection: selection?,
            damage: None,
        }),
    }
}

fn is_salvaged(salvage: bool, error: &Error) -> bool {
    salvage && error.outcome == Outcome::BackupCorrupt
}

fn find(operation: &Operation, backup: &Backup, key_id: &str) -> Result<Vec<Expected>> {
    let found = backup.find(key_id, || operation.check())?;
    if found.is_empty() {
        let sentence = format!(
            "{backup} has no licence with the key ID '{key_id}'. List it to see those that it has."
        );
        return Err(Error::new(Outcome::NotFound, sentence));
    }
    let mut names = name::Set::default();
    for license in &found {
        if let Err(clash) = names.insert(&license.name)? {
            let what = format!("a name clashes: {}: {clash}", license.name);
            return Err(backup.error(Fault::Damaged(what)));
        }
    }
    Ok(found)
}

/// Checks the lists of licences. The other members behind the licences may be damaged: with these
/// lists all licences are found.
fn check_lists(operation: &Operation, backup: &Backup) -> Result<()> {
    let (reader, fault) = (&backup.reader, |fault| backup.error(fault));
    let mut lists = Catalog::new(reader).map_err(fault)?;
    for frame in 0..reader.license_frames() {
        operation.check()?;
        lists.of_frame(frame).map_err(fault)?;
    }
    lists.finish_lists().map_err(fault)
}

/// Looks for licences without the help of the members behind them.
fn search(
    operation: &Operation,
    backup: Arc<Backup>,
    key_id: Option<&str>,
    damage: Error,
) -> Result<Choice> {
    let mut found = backup.search(|| operation.check())?;
    found.retain(|license| key_id.is_none_or(|key_id| license.has_key_id(key_id)));
    if found.is_empty() {
        return Err(damage);
    }
    let sentence = format!(
        "{} {} licences were found in what is left of it. They may be older versions, and go only \
         where the store has none of their names.",
        damage.sentence(),
        found.len()
    );
    Ok(Choice {
        backup,
        selection: Selection::These(found),
        damage: Some(Error::new(damage.outcome, sentence)),
    })
}
