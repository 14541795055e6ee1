//! Finds out, before anything is written, that the licences which a store lacks have no room on its
//! file system. What could have room is never refused.

use crate::archive::catalog_in_step::Expected;
use crate::engine::reading::catalog::Catalog;
use crate::engine::reading::check::{Selection, Walk};
use crate::engine::stop::Stop;
use crate::error::{Error, Outcome, Result};
use crate::sys::anchored_path::AnchoredPath;
use crate::sys::files::{Dir, Room};

/// The folder in which new licences are written first, and its room.
pub struct Ground<'s> {
    pub path: &'s AnchoredPath,
    pub folder: &'s Dir,
    pub room: Room,
    /// Nothing is to be written: the figures of the file system count, though it may have put room
    /// aside.
    pub is_rehearsal: bool,
}

impl Ground<'_> {
    /// Tells whether more bytes than the free ones have no place.
    fn refuses(&self, bytes: u64) -> bool {
        self.is_rehearsal || self.folder.refuses(&self.room, bytes)
    }
}

/// The room that is needed at least.
#[derive(Default)]
struct Need {
    licenses: u64,
    bytes: u64,
}

/// Refuses a restore that can't have room. `takes` gives the bytes that a licence is sure to take,
/// none where the store may have it already.
pub fn check_room(
    walk: Walk,
    selection: &Selection,
    ground: &Ground,
    takes: impl FnMut(&Expected) -> Option<u64>,
) -> Result<()> {
    let (room, trailer) = (&ground.room, walk.backup.reader.trailer());
    if matches!(selection, Selection::All) && room.holds(trailer.content_bytes, trailer.licenses) {
        return Ok(());
    }
    let need = match need(walk, selection, takes) {
        Ok(need) => need,
        // The fault is told when the backup is checked.
        Err(Stop::Fault(_)) => return Ok(()),
        Err(Stop::Error(error)) => return Err(error),
    };
    let few = room.files.filter(|files| need.licenses > *files);
    let reason = match few {
        Some(files) => format!(
            "it lacks {} licences, and there is room for {files} files",
            need.licenses
        ),
        None if need.bytes > room.bytes && ground.refuses(need.bytes) => format!(
            "the licences that it lacks take {} bytes, and {} bytes are free there",
            need.bytes, room.bytes
        ),
        None => return Ok(()),
    };
    let doing = format_args!("restore into the store '{}'", ground.path.display());
    Err(Error::reasoned(Outcome::DiskFull, doing, reason))
}

/// Counts what the selected licences need.
fn need(
    walk: Walk,
    selection: &Selection,
    mut takes: impl FnMut(&Expected) -> Option<u64>,
) -> Result<Need, Stop> {
    let mut need = Need::default();
    let mut count = |license: &Expected| {
        if let Some(bytes) = takes(license) {
            need.licenses += 1;
            need.bytes = need.bytes.saturating_add(bytes);
        }
    };
    match selection {
        Selection::These(licenses) => licenses.iter().for_each(count),
        Selection::All => {
            let reader = &walk.backup.reader;
            let mut lists = Catalog::new(reader)?;
            for frame in 0..reader.license_frames() {
                walk.operation.check()?;
                lists.of_frame(frame)?.iter().for_each(&mut count);
            }
            lists.finish()?;
        }
    }
    Ok(need)
}
