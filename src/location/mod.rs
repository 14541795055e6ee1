//! The place of a backup file, and the way in which it becomes visible there.

#![forbid(unsafe_code)]

pub mod directory;

/// The name of a backup in its directory.
pub const FILE: &str = "licenses.tar.zst";
