//! A licence with its content, as stores give and take it.

use crate::license::{BackupRight, Format, Statement};

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

impl License<'_> {
    /// Replaces statements of the content by those of the store, which win.
    pub fn correct(&self, statement: &mut Statement) {
        if let Some(key_id) = self.key_id {
            key_id.clone_into(&mut statement.key_id);
        }
        if self.right != BackupRight::Unstated {
            statement.right = self.right;
        }
    }
}
