//! The contents of the lines in a backup's lists: a licence that is in it, one that is not, and the
//! state of a licence's file.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

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
}

impl LicenseLine<'_> {
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

/// The origin of states, the first line of `state.jsonl`: they say nothing of another run of the
/// machine, nor of another mount, which may show another file system in the same place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotedOrigin {
    /// The run of the machine, in the system's own words.
    pub boot: String,
    pub mount: u64,
}

/// The facts that show a repeated backup whether a licence has changed, from a line of
/// `state.jsonl`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileState {
    pub device: u64,
    pub inode: u64,
    /// The time of modification in nanoseconds since 1970 UTC.
    pub mtime: i64,
    pub ctime: i64,
    pub size: u64,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct StateLine<'a> {
    #[serde(borrow)]
    pub name: Cow<'a, str>,
    pub device: u64,
    pub inode: u64,
    pub mtime: i64,
    pub ctime: i64,
    pub size: u64,
    /// The frame that still has the older version which the line is about, if it is; its other
    /// facts except for the size are 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub superseded_in: Option<u32>,
}

impl<'a> StateLine<'a> {
    pub fn new(name: &'a str, state: &FileState) -> StateLine<'a> {
        StateLine {
            name: name.into(),
            device: state.device,
            inode: state.inode,
            mtime: state.mtime,
            ctime: state.ctime,
            size: state.size,
            superseded_in: None,
        }
    }

    pub fn superseded(name: &'a str, size: u64, frame: u32) -> StateLine<'a> {
        let nothing = FileState {
            device: 0,
            inode: 0,
            mtime: 0,
            ctime: 0,
            size,
        };
        StateLine {
            superseded_in: Some(frame),
            ..StateLine::new(name, &nothing)
        }
    }

    pub fn state(&self) -> FileState {
        FileState {
            device: self.device,
            inode: self.inode,
            mtime: self.mtime,
            ctime: self.ctime,
            size: self.size,
        }
    }
}
