//! The trailer `backup.json`, the last member: the facts about a backup, and the places of its
//! other members.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{Fault, Result, lines, members};
use crate::json;

/// The format this library writes.
pub const FORMAT: &str = "licbak";
pub const VERSION: [u64; 2] = [1, 2];

#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Trailer {
    pub format: String,
    /// The major and minor version. A reader refuses a higher major version and ignores the
    /// additions of a minor version.
    pub version: [u64; 2],
    /// The time of creation by RFC 3339.
    pub created: String,
    /// The backup and its successors, in hexadecimal.
    pub id: String,
    /// The number of backups so far that replaced each other, this one included.
    pub generation: u64,
    /// The machine: an HMAC-SHA-256 of the host's word for it, in hexadecimal, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<String>,
    /// The recipients that it is encrypted to: the SHA-256 of their lines, sorted, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipients: Option<String>,
    pub licenses: u64,
    pub restricted: u64,
    /// Bytes of the licences' contents.
    pub content_bytes: u64,
    /// Every member between the licences and this one, in order.
    #[serde(deserialize_with = "json::list")]
    pub members: Vec<Entry>,
    /// The hint in the first record of each of the index's frames that has records.
    #[serde(deserialize_with = "json::list")]
    pub index: Vec<u32>,
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
    /// Gives the beginning of the content.
    pub fn content(&self) -> u64 {
        self.offset.saturating_add(members::header_size(self.size))
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

    /// Tells whether the member has the content of which `sha256` was given all.
    pub fn is_of(&self, sha256: &Sha256) -> bool {
        let digest: super::Digest = sha256.clone().finalize().into();
        self.digest().is_ok_and(|own| own == digest)
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
        let other = |version, why| Err(Fault::OtherVersion { version, why });
        match head.version.as_slice() {
            [1, minor @ (0 | 1)] => other([1, *minor], "was never released"),
            [1, _] => {
                let trailer: Trailer = json::parse(text).map_err(bad)?;
                trailer.identity()?;
                match trailer.generation {
                    0 => Err(Fault::damaged("backup.json states no generation")),
                    _ => Ok(trailer),
                }
            }
            [major, rest @ ..] if *major > 1 => {
                let minor = rest.first().copied().unwrap_or_default();
                other([*major, minor], "is later than 1, which this library reads")
            }
            _ => Err(Fault::damaged("backup.json states no version")),
        }
    }

    /// Gives the ID, and the hash of the machine, if one is stated.
    pub fn identity(&self) -> Result<([u8; 16], Option<super::Digest>)> {
        let bad = || Fault::damaged("backup.json has an ID that is none");
        let machine = self.machine.as_deref();
        let machine = machine.map(|text| lines::parse_hex(text).ok_or_else(bad));
        Ok((
            lines::parse_hex(&self.id).ok_or_else(bad)?,
            machine.transpose()?,
        ))
    }

    /// Tells whether the backup is encrypted to the recipients with that hash.
    pub fn is_for(&self, recipients: &super::Digest) -> bool {
        let stated = self.recipients.as_deref().and_then(lines::parse_hex);
        stated.as_ref() == Some(recipients)
    }

    pub fn entry(&self, name: &str) -> Result<&Entry> {
        let entry = self.members.iter().find(|entry| entry.name == name);
        entry.ok_or_else(|| Fault::Damaged(format!("{name} is missing")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_version_is_told_from_damage() {
        let parse = |json: &str| Trailer::parse(json.as_bytes());
        for (json, expected) in [
            (r#"{"format":"licbak","version":[2]}"#, Some([2, 0])),
            (r#"{"format":"licbak","version":[2,7],"x":1}"#, Some([2, 7])),
            (r#"{"format":"licbak","version":[1,0]}"#, Some([1, 0])),
            (r#"{"format":"licbak","version":[1,1]}"#, Some([1, 1])),
            (r#"{"format":"licbak","version":[0,9]}"#, None),
            (r#"{"format":"licbak","version":[]}"#, None),
            (r#"{"format":"other","version":[1,2]}"#, None),
            (r#"{"format":"licbak","version":[1,2]}"#, None),
        ] {
            match (parse(json), expected) {
                (Err(Fault::OtherVersion { version, .. }), Some(other)) => {
                    assert_eq!(version, other);
                }
                (Err(Fault::Damaged(_)), None) => {}
                (parsed, _) => panic!("{json}: {parsed:?}"),
            }
        }
        let later = r#"{"format":"licbak","version":[1,7],"created":"","id":"00112233445566778899aabbccddeeff",
            "generation":1,"licenses":0,"restricted":0,
            "content_bytes":0,"members":[],"index":[],"something":{"new":1}}"#;
        assert_eq!(parse(later).unwrap().version, [1, 7]);
    }
}
