//! Lists the licences of a backup, on the caller's thread.

use super::backup_file::Backup;
use crate::archive::lines::{parse_license, parse_time};
use crate::archive::{Fault, LICENSES};
use crate::engine::properties::{Properties, Property};
use crate::error::{GoOn, Result};
use crate::license::{BackupRight, Format};

/// The facts that a backup states about one licence.
#[derive(Debug)]
pub struct ListedLicense<'a> {
    pub name: &'a str,
    pub key_id: &'a str,
    pub size: u64,
    pub modified: i64,
    pub right: BackupRight,
    pub format: Format,
}

/// Calls `visit` for each licence in the backup, as long as `go_on` allows it.
pub fn list(
    properties: &Properties,
    go_on: &GoOn,
    mut visit: impl FnMut(ListedLicense) -> Result<()>,
) -> Result<()> {
    let place = properties.location(Property::RestorePath)?;
    let backup = Backup::open(&*place, &properties.keys(), go_on)?;
    let fault = |fault| backup.error(fault);
    let mut lines = backup.reader.framed_lines(LICENSES).map_err(fault)?;
    let mut count = 0;
    while let Some(line) = lines.next().map_err(fault)? {
        let line = parse_license(line).map_err(fault)?;
        visit(ListedLicense {
            name: &line.name,
            key_id: &line.key_id,
            size: line.size,
            modified: parse_time(line.modified.as_deref()).map_err(fault)?,
            right: line.right(),
            format: line.format(),
        })?;
        go_on()?;
        count += 1;
    }
    match count == backup.reader.trailer().licenses {
        true => Ok(()),
        false => Err(fault(Fault::damaged("its list of licences ends too early"))),
    }
}
