//! The attributes that protect files and folders from everybody (`chattr +a`, `chattr +i`).

use std::os::fd::AsFd;

use rustix::fs::{AtFlags, IFlags, StatxAttributes, StatxFlags, ioctl_getflags, statx};

use crate::sys::files::{Dir, File};
use crate::sys::kinds::Protection;

impl Dir {
    /// Gives the protection of this folder's names, if there is one and the file system tells.
    pub fn protection(&self) -> Option<Protection> {
        protection_of(self, "")
    }

    /// Gives the protection of the file `name` in this folder.
    pub fn protection_of(&self, name: &str) -> Option<Protection> {
        protection_of(self, name)
    }
}

impl File {
    /// Gives the protection of this file, if there is one and the file system tells.
    pub fn protection(&self) -> Option<Protection> {
        protection_of(self, "")
    }
}

/// Gives the protection of `name` in an open folder, or of what is open itself.
fn protection_of(open: impl AsFd, name: &str) -> Option<Protection> {
    let how = AtFlags::EMPTY_PATH | AtFlags::SYMLINK_NOFOLLOW;
    let (is_fixed, only_grows) = match statx(&open, name, how, StatxFlags::TYPE) {
        Ok(facts) => (
            facts.stx_attributes.contains(StatxAttributes::IMMUTABLE),
            facts.stx_attributes.contains(StatxAttributes::APPEND),
        ),
        // A sandbox may deny the call.
        Err(_) if name.is_empty() => {
            let flags = ioctl_getflags(&open).unwrap_or(IFlags::empty());
            (
                flags.contains(IFlags::IMMUTABLE),
                flags.contains(IFlags::APPEND),
            )
        }
        Err(_) => (false, false),
    };
    match (is_fixed, only_grows) {
        (true, _) => Some(Protection::Immutable),
        (false, true) => Some(Protection::AppendOnly),
        (false, false) => None,
    }
}
