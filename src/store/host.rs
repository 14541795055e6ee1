//! A host's own store: its functions, called one at a time, and what they may give and take.

use std::sync::Arc;

use super::{Batch, Feed, Intake, Snapshot, Stated, Unsettled};
use crate::error::{Error, Outcome, Result};
use crate::license::name::{self, Clash};
use crate::license::{self, BackupRight, Format};

/// A licence on its way from or to a host.
#[derive(Clone, Copy, Debug)]
pub struct License<'a> {
    pub name: &'a str,
    /// None: read it from the content.
    pub key_id: Option<&'a str>,
    pub content: &'a [u8],
    pub modified: i64,
    pub right: BackupRight,
    pub format: Format,
}

/// Takes a licence from a host's function; after an error the function is to return at once.
pub type Take<'a> = &'a mut dyn FnMut(License) -> Result<()>;

/// The functions of a host. They are called on one thread at a time; a failure of the host is an
/// error with its own code.
pub trait Host: Send + Sync {
    /// Whether the host has the functions that a backup needs.
    fn can_back_up(&self) -> bool;

    /// Whether the host has the functions that a restore needs; a dry run puts nothing.
    fn can_restore(&self, dry_run: bool) -> bool;

    /// Gives every licence to `take`.
    fn enumerate(&self, take: Take) -> Result<()>;

    /// Gives the licence of that name to `take`, if there is one.
    fn get(&self, name: &str, take: Take) -> Result<()>;

    fn put(&self, license: &License) -> Result<()>;
}

/// A host's store while it is backed up. Its licences come with their contents, which are copied.
pub struct HostSnapshot(pub Arc<dyn Host>);

/// Licences and bytes that a worker takes at a time.
const BATCH: usize = 512;
const BATCH_BYTES: usize = 2 << 20;

impl Snapshot for HostSnapshot {
    /// Contents wait with the names, so that few may.
    fn batches_ahead(&self) -> usize {
        4
    }

    fn list(self: Arc<Self>, feed: &mut dyn Feed) -> Result<()> {
        let (mut names, mut batch) = (name::Set::default(), HostBatch::default());
        self.0.enumerate(&mut |license| {
            feed.check()?;
            check(&license)?;
            names
                .insert(license.name)?
                .map_err(|clash| clashes(license.name, clash))?;
            if batch.licenses.len() == BATCH || batch.contents.len() > BATCH_BYTES {
                feed.emit(Box::new(std::mem::take(&mut batch)))?;
            }
            batch.push(&license)
        })?;
        if batch.licenses.is_empty() {
            Ok(())
        } else {
            feed.emit(Box::new(batch))
        }
    }

    fn unsettled(&self) -> Result<Unsettled> {
        Ok(Unsettled::default())
    }

    fn list_again(self: Arc<Self>, _: &Unsettled, _: &mut dyn Feed) -> Result<()> {
        Ok(())
    }
}

/// Whether a host's licence can be kept in a backup.
fn check(license: &License) -> Result<()> {
    let name = name::shown(license.name);
    if let Err(reason) = name::check(license.name.as_bytes()) {
        let sentence = format!("The host's licence '{name}' can't be kept: {reason}.");
        return Err(Error::new(Outcome::InvalidName, sentence));
    }
    if license
        .key_id
        .is_some_and(|key_id| !name::is_key_id(key_id))
    {
        let sentence = format!(
            "The key ID of the host's licence '{name}' can't be kept: it must have 1 to 1,024 bytes and \
             no control characters."
        );
        return Err(Error::new(Outcome::InvalidName, sentence));
    }
    license::check_size(license.name, license.content.len() as u64)
}

fn clashes(name: &str, clash: Clash) -> Error {
    let outcome = match clash {
        Clash::Twice => Outcome::AlreadyExists,
        Clash::Folder => Outcome::InvalidName,
    };
    Error::new(
        outcome,
        format!("The host's licence '{name}' can't be kept: {clash}."),
    )
}

#[derive(Default)]
struct HostBatch {
    licenses: Vec<Owned>,
    contents: Vec<u8>,
}

struct Owned {
    name: String,
    stated: Stated,
    modified: i64,
    content: std::ops::Range<usize>,
}

impl HostBatch {
    fn push(&mut self, license: &License) -> Result<()> {
        let start = self.contents.len();
        self.contents.try_reserve(license.content.len())?;
        self.contents.extend_from_slice(license.content);
        self.licenses.try_reserve(1)?;
        self.licenses.push(Owned {
            name: license.name.to_owned(),
            stated: Stated {
                key_id: license.key_id.map(str::to_owned),
                right: license.right,
            },
            modified: license.modified,
            content: start..self.contents.len(),
        });
        Ok(())
    }
}

impl Batch for HostBatch {
    fn len(&self) -> u64 {
        self.licenses.len() as u64
    }

    fn read(&self, intake: &mut dyn Intake) -> Result<()> {
        for license in &self.licenses {
            intake.check()?;
            let content = self
                .contents
                .get(license.content.clone())
                .unwrap_or_default();
            let mut fill = |buffer: &mut [u8]| {
                buffer.copy_from_slice(content);
                Ok(true)
            };
            let size = content.len() as u64;
            intake.license(
                &license.name,
                size,
                license.modified,
                &license.stated,
                &mut fill,
            )?;
        }
        Ok(())
    }
}
