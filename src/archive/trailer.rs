//! The trailer `backup.json`, the last member: the facts about a backup, and the places of its
//! other members.

use serde::{Deserialize, Serialize};

use super::{Fault, Result, lines, members};
use crate::json;

/// The format this library writes.
pub const FORMAT: &str = "licbak";
pub const VERSION: [u64; 2] = [1, 0];

#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Trailer {
    pub format: String,
    /// The major and minor version. A reader refuses a higher major version and ignores the
    /// additions of a minor version.
    pub version: [u64; 2],
    /// The time of creation by RFC 3339.
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
    /// The place of the member's first block in the decompressed stream.
    pub offset: u64,
    /// Bytes of its content.
    pub size: u64,
    /// The digest of its content, in hexadecimal.
    pub sha256: String,
}

impl Entry {
    /// Gives the beginning of the content: these members' names need no pax header.
    pub fn content(&self) -> u64 {
        self.offset.saturating_add(members::BLOCK as u64)
    }

    pub fn content_end(&self) -> u64 {
        self.content().saturating_add(self.size)
    }

    /// Gives the beginning of the next member.
    pub fn end(&self) -> u64 {
        // The sum is checked to be below the stream's end before it is used; one that overflows
        // never is.
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
        /// The fields that every version of the format keeps.
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

    /// Copies the trailer, if there is memory for its lists: they may be of any length.
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
