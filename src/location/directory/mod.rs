//! A backup in a directory of this machine: only here does one get its name.
//!
//! A new backup is written to a file without a name, brought to the disk, and named in one step. A
//! backup that replaces another gets a hidden name first and is renamed over the old one, which is
//! never written into. An empty file goes this way before, since a sandbox may deny it. Only the
//! backup that was there when the new one began is replaced; a lock on the directory is held for
//! the check and the rename. On file systems without unnamed files the file has a hidden name from
//! the start. The writer of a file with a hidden name holds a lock on it, so that a file left by a
//! killed process can be told from one that is being written.

mod destination;
mod draft;
mod existing;
mod place;
mod sink;

use self::destination::Replaces;
use self::existing::{already_exists, hold, hold_to_replace, is_taken, open_file};
use self::place::Place;
use super::{BackupKind, Existing, Location, Look};
use crate::error::{GoOn, Result};
use crate::sys::anchored_path::AnchoredPath;
use crate::sys::files::Held;

/// A directory that backups are in; for readers it may be the path of a backup itself.
#[derive(Clone, Debug)]
pub struct Directory(pub AnchoredPath);

impl Location for Directory {
    fn name_of(&self, kind: BackupKind) -> String {
        self.0.join(kind.file()).display().to_string()
    }

    fn check_free(&self) -> Result<()> {
        match is_taken(&self.0) {
            true => Err(already_exists(&self.0)),
            false => Ok(()),
        }
    }

    fn look(&self, kind: BackupKind, overwrite: bool) -> Look {
        let replaces = match overwrite {
            true => hold_to_replace(&self.0, kind).map(Replaces::Seen),
            false => Ok(Replaces::None),
        };
        let path = self.0.clone();
        Box::new(move |_| {
            Ok(Box::new(Place {
                path,
                kind,
                replaces: replaces?,
            }))
        })
    }

    fn hold(&self) -> Result<Vec<Held>> {
        let mut all = Vec::new();
        for kind in BackupKind::ALL {
            all.extend(hold(&self.0, kind, true)?);
        }
        Ok(all)
    }

    fn open(&self, _: &GoOn) -> Result<Box<dyn Existing>> {
        open_file(&self.0)
    }
}
