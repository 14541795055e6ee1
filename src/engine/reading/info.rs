//! Tells what a backup says about itself, on the caller's thread.

use super::backup_file::{Backup, Source};
use crate::archive::lines::{hex, parse_time};
use crate::engine::machine;
use crate::engine::properties::{Properties, Property};
use crate::error::{GoOn, Result};

/// The facts that a backup states about itself.
#[derive(Debug)]
pub struct Info {
    /// The time of creation in nanoseconds since 1970 UTC; 0 where the backup states none.
    pub created: i64,
    /// The backup and its successors, in hexadecimal; zeros where its end is lost.
    pub id: [u8; 32],
    pub generation: u64,
    pub machine: Machine,
    pub licenses: u64,
    pub restricted: u64,
    pub content_bytes: u64,
    pub backup_bytes: u64,
    /// The major and minor version of the format.
    pub version: [u64; 2],
    pub is_encrypted: bool,
}

/// The machine of a backup, beside the host's word for this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Machine {
    /// The backup or the host does not say which machine it is.
    Unknown,
    Same,
    Other,
}

/// Reads the end of the backup, and no licence or list; `go_on` allows the result.
pub fn info(properties: &Properties, go_on: &GoOn) -> Result<Info> {
    let place = properties.location(Property::RestorePath)?;
    let backup = Backup::open(&*place, &properties.keys(), go_on)?;
    let info = Info::of(&backup, properties.machine())?;
    go_on()?;
    Ok(info)
}

impl Info {
    /// Gives the facts of an open backup, beside the host's word for this machine. A backup whose
    /// end is lost states nothing.
    pub fn of(backup: &Backup, machine: Option<&str>) -> Result<Info> {
        let trailer = backup.reader.trailer();
        let mut info = Info {
            created: parse_time(Some(&trailer.created)).unwrap_or(0),
            id: [0; 32],
            generation: trailer.generation,
            machine: Machine::Unknown,
            licenses: trailer.licenses,
            restricted: trailer.restricted,
            content_bytes: trailer.content_bytes,
            backup_bytes: backup.file_size(),
            version: trailer.version,
            is_encrypted: matches!(backup.source(), Source::Encrypted(_)),
        };
        if !backup.has_end() {
            return Ok(info);
        }
        let (id, stated) = trailer.identity().map_err(|fault| backup.error(fault))?;
        info.id = hex(&id);
        info.machine = match (
            stated,
            machine.map(|machine| machine::of_backup(machine, &id)),
        ) {
            (Some(stated), Some(ours)) if stated == ours => Machine::Same,
            (Some(_), Some(_)) => Machine::Other,
            _ => Machine::Unknown,
        };
        Ok(info)
    }
}
