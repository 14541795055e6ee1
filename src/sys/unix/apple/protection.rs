//! The flags that protect files and folders from everybody (`chflags uchg`, `uappnd` and the
//! system's own).

use rustix::fs::{AtFlags, Stat, fstat, statat};

use crate::sys::files::{Dir, File};
use crate::sys::kinds::Protection;

impl Dir {
    /// Gives the protection of this folder's names, if there is one.
    pub fn protection(&self) -> Option<Protection> {
        protection_in(&fstat(self).ok()?)
    }

    /// Gives the protection of the file `name` in this folder.
    pub fn protection_of(&self, name: &str) -> Option<Protection> {
        protection_in(&statat(self, name, AtFlags::SYMLINK_NOFOLLOW).ok()?)
    }
}

impl File {
    /// Gives the protection of this file, if there is one.
    pub fn protection(&self) -> Option<Protection> {
        protection_in(&fstat(self).ok()?)
    }
}

fn protection_in(facts: &Stat) -> Option<Protection> {
    let has = |flags: u32| facts.st_flags & flags != 0;
    match () {
        () if has(libc::UF_IMMUTABLE | libc::SF_IMMUTABLE) => Some(Protection::Immutable),
        () if has(libc::UF_APPEND | libc::SF_APPEND) => Some(Protection::AppendOnly),
        () => None,
    }
}
