//! The place of a new backup in a bucket, and what stands in its way there.

use std::sync::Arc;

use super::super::{BackupKind, refusals};
use super::client::Client;
use super::lookup::exists;
use super::object::Object;
use crate::error::{Error, Result};

/// The place of a new backup, as it was looked at.
pub struct Place {
    pub client: Arc<Client>,
    pub kind: BackupKind,
    pub key: String,
    /// The version that may be replaced, if one may and one was there.
    pub old: Option<Object>,
    pub workers: usize,
}

impl Place {
    /// Gives the name of the backup, for sentences.
    pub fn name(&self) -> String {
        self.client.address.name_of(&self.key)
    }
}

/// Refuses a backup beside one of the other kind.
pub fn check_no_other(client: &Client, kind: BackupKind) -> Result<()> {
    match exists(client, kind.other())? {
        true => Err(refusals::is_of_other_kind(&client.address, "prefix", kind)),
        false => Ok(()),
    }
}

/// Makes the error of a backup that would have to replace another.
pub fn already_exists(client: &Client) -> Error {
    refusals::already_exists(&client.address, "prefix")
}
