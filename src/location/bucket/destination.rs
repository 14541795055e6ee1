//! How a place in a bucket is looked at, and made ready for a new backup.

use std::io;
use std::sync::Arc;

use super::super::refusals::replaced_meanwhile;
use super::super::temporary::Temporary;
use super::super::{self as location, BackupKind, Existing, Target};
use super::answers;
use super::client::{Call, Client, call};
use super::draft::Draft;
use super::lookup::{exists, tag_of};
use super::object::Object;
use super::place::{Place, already_exists, check_no_other};
use super::upload::CLEANING;
use crate::error::{Error, Result};

/// The time after which an upload that was not completed counts as left behind.
const STALE: jiff::SignedDuration = jiff::SignedDuration::from_hours(24);

/// Looks whether a backup of that kind may come there.
pub fn look(client: Arc<Client>, kind: BackupKind, overwrite: bool) -> Result<Place> {
    let key = client.address.key(kind);
    let old = match overwrite {
        true => Object::find(&client, &key).map_err(|failure| {
            client.error(
                &format!("look for a backup in '{}'", client.address),
                failure,
            )
        })?,
        false if exists(&client, kind)? => return Err(already_exists(&client)),
        false => None,
    };
    check_no_other(&client, kind)?;
    Ok(Place {
        client,
        kind,
        key,
        old,
        workers: 1,
    })
}

impl Place {
    /// Aborts uploads to this key that were begun long ago. Those that can't be aborted, or not in a
    /// short time, are no reason not to back up: the next backup tries again.
    fn remove_stale(&self) {
        let query = [("uploads", ""), ("prefix", self.key.as_str())];
        let client = self.client.within(CLEANING);
        let listed = client.call(&Call {
            query: &query,
            ..call("GET", "")
        });
        let Ok(listed) = listed else { return };
        // The store's clock has told the times of beginning.
        let date = listed
            .header("date")
            .and_then(|date| jiff::fmt::rfc2822::parse(date).ok());
        let now = date.map_or_else(jiff::Timestamp::now, |date| date.timestamp());
        let is_stale = |since: &str| {
            let since: Option<jiff::Timestamp> = since.parse().ok();
            since.is_some_and(|since| now.duration_since(since) > STALE)
        };
        for upload in answers::uploads(&listed.body).unwrap_or_default() {
            let is_own = upload.key.get() == Some(&self.key);
            if let Some(id) = upload.id.get()
                && is_own
                && upload.since.get().is_some_and(is_stale)
            {
                let query = [("uploadId", id)];
                let _ = client.call(&Call {
                    query: &query,
                    ..call("DELETE", &self.key)
                });
            }
        }
    }
}

impl Target for Place {
    fn replaces_one(&self) -> bool {
        self.old.is_some()
    }

    fn open_old(&self) -> Result<Box<dyn Existing>> {
        match &self.old {
            Some(old) => Ok(Box::new(old.again())),
            None => Err(Error::panicked(&"there is no old backup")),
        }
    }

    fn prepare(mut self: Box<Self>, workers: usize) -> Result<Box<dyn location::Destination>> {
        self.workers = workers;
        self.remove_stale();
        self.client.go_on()?;
        Ok(self)
    }
}

impl location::Destination for Place {
    fn scratch(&self) -> io::Result<Temporary> {
        Temporary::new()
    }

    fn draft(&self) -> Result<Box<dyn location::Draft + '_>> {
        Ok(Box::new(Draft::new(self)))
    }

    /// The store keeps what it has; all that may have happened is that it has another version now.
    fn keeps(&self, _: &dyn Existing) -> Result<bool> {
        let Some(old) = &self.old else {
            return Ok(false);
        };
        match tag_of(&self.client, &self.key) {
            Ok(Some(tag)) if tag == old.tag => Ok(true),
            Ok(Some(_)) => Err(replaced_meanwhile(&self.client.address)),
            Ok(None) => Ok(false),
            Err(failure) => {
                let doing = format!("keep the backup '{}'", self.name());
                Err(self.client.error(&doing, failure))
            }
        }
    }
}
