//! The contents of the lines in a backup's lists: a licence that is in it, and one that is not.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::json;
use crate::license::{BackupRight, Format};

/// A licence that is in the backup, a line of `licenses.jsonl`.
#[derive(Debug, Serialize, Deserialize)]
pub struct LicenseLine<'a> {
    #[serde(borrow)]
    pub name: Cow<'a, str>,
    #[serde(borrow)]
    pub key_id: Cow<'a, str>,
    #[serde(borrow)]
    pub format: Cow<'a, str>,
    #[serde(borrow)]
    pub right: Cow<'a, str>,
    pub size: u64,
    /// The time of modification by RFC 3339; none where it is not known.
    #[serde(borrow)]
    pub modified: Option<Cow<'a, str>>,
    /// The key IDs besides the first; most licences have none.
    #[serde(
        borrow,
        default,
        deserialize_with = "json::list",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub other_key_ids: Vec<Cow<'a, str>>,
}

impl LicenseLine<'_> {
    pub fn key_ids(&self) -> impl Iterator<Item = &str> {
        let others = self.other_key_ids.iter().map(AsRef::as_ref);
        std::iter::once(self.key_id.as_ref()).chain(others)
    }

    /// Gives the backup right; an unknown word, which a later version may have added, states
    /// nothing.
    pub fn right(&self) -> BackupRight {
        BackupRight::from_word(&self.right).unwrap_or(BackupRight::Unstated)
    }

    /// Gives the format; an unknown word says nothing here either.
    pub fn format(&self) -> Format {
        Format::from_word(&self.format).unwrap_or(Format::Opaque)
    }
}

/// A licence that was left out since its issuer denies backup, a line of `restricted.jsonl`.
#[derive(Debug, Serialize, Deserialize)]
pub struct RestrictedLine<'a> {
    #[serde(borrow)]
    pub name: Cow<'a, str>,
    #[serde(borrow)]
    pub key_id: Cow<'a, str>,
    #[serde(borrow)]
    pub format: Cow<'a, str>,
}
