//! A backup in a bucket of an object store, by the protocol of S3.
//!
//! A new backup is an object on a condition: that there is none, or that it is the version that was
//! there when the backup began. The store decides, so no two hosts overwrite each other unnoticed. A
//! small one is one request, and a large one is uploaded in parts, which become an object together.
//! Whoever does not learn whether that has happened looks whether the object is the own one.
//!
//! Everything ends with the operation: connections, threads, and what was uploaded in vain.

mod answers;
mod client;
mod connection;
mod destination;
mod draft;
mod failure;
mod http;
mod lookup;
mod object;
#[cfg(any(test, fuzzing))]
pub mod parsers;
mod parts;
mod place;
mod sign;
mod upload;

use std::sync::Arc;

use self::client::Client;
use self::destination::look;
use self::lookup::exists;
use self::object::Object;
use super::address::{Access, Address};
use super::{BackupKind, Existing, Location, Look, refusals};
use crate::error::{GoOn, Result};
use crate::sys::files::Held;

/// A bucket that backups are in, each prefix having one; for readers the prefix may be the key of a
/// backup itself.
pub struct Bucket {
    pub address: Address,
    pub access: Access,
}

impl Location for Bucket {
    fn name_of(&self, kind: BackupKind) -> String {
        self.address.name_of(&self.address.key(kind))
    }

    /// Nothing of a store shows without waiting.
    fn check_free(&self) -> Result<()> {
        Ok(())
    }

    fn look(&self, kind: BackupKind, overwrite: bool) -> Look {
        let (address, access) = (self.address.clone(), self.access.clone());
        Box::new(move |go_on| {
            let client = Arc::new(Client::new(&address, &access, go_on)?);
            Ok(Box::new(look(client, kind, overwrite)?))
        })
    }

    fn hold(&self) -> Result<Vec<Held>> {
        Ok(Vec::new())
    }

    fn open(&self, go_on: &GoOn) -> Result<Box<dyn Existing>> {
        let client = Arc::new(Client::new(&self.address, &self.access, go_on)?);
        let shown = self.address.to_string();
        let find = |key: &str| {
            let found = Object::find(&client, key);
            found.map_err(|failure| {
                client.error(&format!("look for a backup in '{shown}'"), failure)
            })
        };
        if let Some(found) = find(&self.address.key(BackupKind::Plain))? {
            if !exists(&client, BackupKind::Encrypted)? {
                return Ok(Box::new(found));
            }
            return Err(refusals::two_backups(shown));
        }
        if let Some(found) = find(&self.address.key(BackupKind::Encrypted))? {
            return Ok(Box::new(found));
        }
        // The object itself.
        if !self.address.prefix.is_empty()
            && let Some(found) = find(&self.address.prefix)?
        {
            return Ok(Box::new(found));
        }
        Err(refusals::no_backup(shown, "prefix"))
    }
}
