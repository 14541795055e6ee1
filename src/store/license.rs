//! A licence with its content, as stores give and take it.

use crate::license::{BackupRight, Format};

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
