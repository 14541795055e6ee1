//! The place of a new backup in a bucket, and what stands in its way there.

use std::sync::Arc;

use super::super::BackupKind;
use super::client::Client;
use super::lookup::exists;
use super::object::Object;
use crate::error::{Error, Outcome, Result};

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
    if !exists(client, kind.other())? {
        return Ok(());
    }
    let (own, theirs) = match kind {
        BackupKind::Plain => ("One that is not encrypted", "is encrypted"),
        BackupKind::Encrypted => ("An encrypted one", "is not encrypted"),
    };
    let sentence = format!(
        "The backup in '{}', {}, {theirs}, and it is kept. {own} does not take its place. Move it away, or name \
         another prefix.",
        client.address,
        kind.other().file()
    );
    Err(Error::new(Outcome::BackupExists, sentence))
}

/// Makes the error of a backup that would have to replace another.
pub fn already_exists(client: &Client) -> Error {
    let sentence = format!(
        "There is a backup in '{}' already, and it is kept. Ask for it to be replaced, or name another prefix.",
        client.address
    );
    Error::new(Outcome::BackupExists, sentence)
}

/// Makes the error of a backup that would have to replace another than the one that was there.
pub fn replaced_meanwhile(client: &Client) -> Error {
    let sentence = format!(
        "Another backup has come to '{}' while this one was made, and it is kept. Back up again to replace it.",
        client.address
    );
    Error::new(Outcome::BackupExists, sentence)
}
