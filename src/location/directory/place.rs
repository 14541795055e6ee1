//! The directory of a new backup: as it was looked at, and when it is ready.

use std::io;

use super::super::refusals::replaced_meanwhile;
use super::super::temporary::Temporary;
use super::super::{self as location, BackupKind, Existing, Target};
use super::destination::{Destination, HIDDEN, Replaces, unsupported_is_fine};
use super::draft::Draft;
use super::existing::open_file;
use crate::error::Result;
use crate::random::hidden_name;
use crate::sys::anchored_path::AnchoredPath;
use crate::sys::files::Errno;

/// The directory of a new backup, as it was looked at.
pub struct Place {
    pub path: AnchoredPath,
    pub kind: BackupKind,
    pub replaces: Replaces,
}

impl Target for Place {
    fn replaces_one(&self) -> bool {
        self.replaces.has_one()
    }

    fn open_old(&self) -> Result<Box<dyn Existing>> {
        open_file(&self.path)
    }

    fn prepare(self: Box<Self>, _: usize) -> Result<Box<dyn location::Destination>> {
        let target = Destination::open(&self.path, self.kind, self.replaces)?;
        Ok(Box::new(target))
    }
}

impl location::Destination for Destination {
    /// Makes a second file. Where the file system reads no file that is being written, as some do that
    /// are served from elsewhere, it is one for temporary files.
    fn scratch(&self) -> io::Result<Temporary> {
        if let Some(file) = self.directory.create_unnamed(&hidden_name(HIDDEN))? {
            return Ok(Temporary::beside(file));
        }
        let (file, name) = self.create_hidden()?;
        if file.reads_what_it_writes() {
            self.directory.remove_file(&name)?;
            return Ok(Temporary::beside(file));
        }
        drop(file);
        let _ = self.directory.remove_late(&name);
        Temporary::new()
    }

    fn draft(&self) -> Result<Box<dyn location::Draft + '_>> {
        Ok(Box::new(Draft::begin(self)?))
    }

    /// Brings the backup to the disk as it is, for this user alone, and tells whether its file still
    /// has the backup's name. False: the name is that of a link, or of nothing.
    fn keeps(&self, backup: &dyn Existing) -> Result<bool> {
        let Some(file) = backup.file() else {
            return Ok(false);
        };
        let failed = |errno| self.error("keep the backup", errno);
        file.make_private().map_err(failed)?;
        file.sync().map_err(failed)?;
        let locked = self.lock()?;
        let there = match (locked.facts_of(self.kind.file()), &self.replaces) {
            (Err(Errno::NOENT), _) => return Ok(false),
            (Ok(there), Replaces::Seen(Some(seen))) if seen.is(&there) => there,
            (Ok(_), _) => return Err(replaced_meanwhile(self.path.display())),
            (Err(errno), _) => return Err(failed(errno)),
        };
        if there.identity != file.facts().map_err(failed)?.identity {
            return Ok(false);
        }
        locked.sync().or_else(unsupported_is_fine).map_err(failed)?;
        Ok(true)
    }
}
