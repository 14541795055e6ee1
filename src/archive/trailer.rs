//! `backup.json`, the last member: what the backup holds and where its other members are.

use serde::{Deserialize, Serialize};

use super::{Fault, Result, lines, members};
use crate::json;

/// The format this library writes.
pub const FORMAT: &str = "licbak";
pub const VERSION: [u64; 2] = [1, 0];

#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Trailer {
    pub format: String,
    /// Major and minor. A reader refuses a higher major version and ignores what a minor version
    /// added.
    pub version: [u64; 2],
    /// RFC 3339.
    pub created: String,
    pub licenses: u64,
    pub restricted: u64,
    /// Bytes of the licences' contents.
    pub content_bytes: u64,
    /// Every member between the licences and this one, in order.
    #[serde(deserialize_with = "json::list")]
    pub members: Vec<Entry>,
    /// The first record of each frame of the index, in hexadecimal.
    #[serde(deserialize_with = "json::list")]
    pub index: Vec<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Entry {
    pub name: String,
    /// Of the member's first block, in the decompressed stream.
    pub offset: u64,
    /// Of its content.
    pub size: u64,
    /// Of its content, in hexadecimal.
    pub sha256: String,
}

impl Entry {
    /// Where the content begins: these members' names need no pax header.
    pub fn content(&self) -> u64 {
        self.offset.saturating_add(members::BLOCK as u64)
    }

    pub fn content_end(&self) -> u64 {
        self.content().saturating_add(self.size)
    }

    /// Where the next member begins.
    pub fn end(&self) -> u64 {
        // Checked to be below the stream's end before it is used; a sum that overflows never is.
        self.content_end()
            .checked_next_multiple_of(members::BLOCK as u64)
            .unwrap_or(u64::MAX)
    }

    pub fn digest(&self) -> Result<super::Digest> {
        lines::parse_hex(&self.sha256)
            .ok_or_else(|| Fault::damaged("backup.json has a digest that is none"))
    }
}

impl Trailer {
    pub fn parse(text: &[u8]) -> Result<Trailer> {
        /// What every version of the format keeps.
        #[derive(Deserialize)]
        struct Head {
            format: String,
            #[serde(deserialize_with = "json::list")]
            version: Vec<u64>,
        }
        let bad = |error| Fault::Damaged(format!("backup.json is wrong: {error}"));
        let head: Head = json::parse(text).map_err(bad)?;
        if head.format != FORMAT {
            return Err(Fault::damaged("it is no backup of licbak"));
        }
        match head.version.first() {
            Some(&major) if major == VERSION[0] => json::parse(text).map_err(bad),
            Some(&major) if major > VERSION[0] => Err(Fault::Newer(major)),
            _ => Err(Fault::damaged("backup.json states no version")),
        }
    }

    pub fn entry(&self, name: &str) -> Result<&Entry> {
        let entry = self.members.iter().find(|entry| entry.name == name);
        entry.ok_or_else(|| Fault::Damaged(format!("{name} is missing")))
    }

    /// A copy, if there is memory for its lists: they may be of any length.
    pub fn try_clone(&self) -> Result<Trailer> {
        let (mut members, mut index) = (Vec::new(), Vec::new());
        members.try_reserve_exact(self.members.len())?;
        members.extend_from_slice(&self.members);
        index.try_reserve_exact(self.index.len())?;
        index.extend_from_slice(&self.index);
        Ok(Trailer {
            format: self.format.clone(),
            created: self.created.clone(),
            members,
            index,
            ..*self
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_major_version_is_told_from_damage() {
        let parse = |json: &str| Trailer::parse(json.as_bytes());
        assert!(matches!(
            parse(r#"{"format":"licbak","version":[2]}"#),
            Err(Fault::Newer(2))
        ));
        assert!(matches!(
            parse(r#"{"format":"licbak","version":[0,9]}"#),
            Err(Fault::Damaged(_))
        ));
        assert!(matches!(
            parse(r#"{"format":"licbak","version":[]}"#),
            Err(Fault::Damaged(_))
        ));
        assert!(matches!(
            parse(r#"{"format":"other","version":[1,0]}"#),
            Err(Fault::Damaged(_))
        ));
        assert!(matches!(
            parse(r#"{"format":"licbak","version":[1,0]}"#),
            Err(Fault::Damaged(_))
        ));
        let later = r#"{"format":"licbak","version":[1,7],"created":"","licenses":0,"restricted":0,
            "content_bytes":0,"members":[],"index":[],"something":{"new":1}}"#;
        assert_eq!(parse(later).unwrap().version, [1, 7]);
    }
}
