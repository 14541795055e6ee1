//! The objects that are in a bucket.

use super::super::BackupKind;
use super::client::{Call, Client, call};
use super::failure::Failure;
use crate::error::Result;

/// Tells whether there is a backup of that kind.
pub fn exists(client: &Client, kind: BackupKind) -> Result<bool> {
    let found = tag_of(client, &client.address.key(kind));
    let doing = || format!("look for a backup in '{}'", client.address);
    let found = found.map_err(|failure| client.error(&doing(), failure))?;
    Ok(found.is_some())
}

/// Gives the tag of an object, empty where nothing is in it; none where there is none. A byte of it
/// is read, since the store says nothing more of what it does not give without one.
pub fn tag_of(client: &Client, key: &str) -> Result<Option<String>, Failure> {
    let asked = client.call(&Call {
        headers: &[("range", "bytes=0-0")],
        is_whole: &|answer| answer.tag().is_some(),
        ..call("GET", key)
    });
    match asked {
        Ok(answer) => Ok(answer.tag().map(str::to_owned)),
        Err(failure) if failure.status() == 416 => Ok(Some(String::new())),
        Err(failure) if failure.is_absence() => Ok(None),
        Err(failure) => Err(failure),
    }
}
