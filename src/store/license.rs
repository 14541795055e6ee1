//! A licence with its content, as stores give and take it.

use crate::error::Result;
use crate::license::{self, BackupRight, Format, Statement};

/// A licence on its way from or to a host.
#[derive(Clone, Copy, Debug)]
pub struct License<'a> {
    pub name: &'a str,
    /// The key ID, none where it is to be read from the content.
    pub key_id: Option<&'a str>,
    pub content: &'a [u8],
    pub modified: i64,
    pub right: BackupRight,
    pub format: Format,
}

/// A copy of a licence that outlives what it was copied from.
pub struct OwnLicense {
    name: String,
    content: Vec<u8>,
    modified: i64,
    statement: Statement,
}

impl OwnLicense {
    /// Copies a licence of a host, with what its content states where the host does not.
    pub fn of(license: &License) -> Result<OwnLicense> {
        let mut statement = license::read(license.name, license.content)?;
        license.correct(&mut statement);
        let mut content = Vec::new();
        content.try_reserve_exact(license.content.len())?;
        content.extend_from_slice(license.content);
        Ok(OwnLicense {
            name: license.name.to_owned(),
            content,
            modified: license.modified,
            statement,
        })
    }

    pub fn get(&self) -> License<'_> {
        License {
            name: &self.name,
            key_id: Some(&self.statement.key_id),
            content: &self.content,
            modified: self.modified,
            right: self.statement.right,
            format: self.statement.format,
        }
    }
}

impl License<'_> {
    /// Replaces statements of the content by those of the store, which win.
    pub fn correct(&self, statement: &mut Statement) {
        if let Some(key_id) = self.key_id {
            statement.correct_key_id(key_id);
        }
        if self.right != BackupRight::Unstated {
            statement.right = self.right;
        }
    }
}
