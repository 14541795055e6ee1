//! The access list and the extended attributes of a file, which go over to the file that replaces
//! it.

use std::os::fd::BorrowedFd;

use rustix::fs::{CopyfileFlags, copyfile_state_alloc, copyfile_state_free, fcopyfile};
use rustix::io::Errno;

use crate::sys::files::is_unavailable;

/// Gives `new` the access list of `old`. False where it can't be known that both are the same: then
/// a mode for a group, or for others, may let in whom the list keeps out.
pub fn take_access_list(old: BorrowedFd, new: BorrowedFd) -> Result<bool, Errno> {
    match copy(old, new, CopyfileFlags::ACL) {
        Ok(()) => Ok(true),
        // A list may name users who have no number here.
        Err(Errno::INVAL | Errno::NOENT) => Ok(false),
        Err(errno) if is_unavailable(errno) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// Gives `new` the other attributes of `old`, as far as the file system and this user's rights
/// allow.
pub fn take_attributes(old: BorrowedFd, new: BorrowedFd) -> Result<(), Errno> {
    match copy(old, new, CopyfileFlags::XATTR) {
        Err(errno @ (Errno::NOSPC | Errno::DQUOT | Errno::NOMEM | Errno::IO)) => Err(errno),
        _ => Ok(()),
    }
}

/// Leaves the folder as it is: what is made in it has the entries that its list passes on.
pub fn drop_default_list(_: BorrowedFd) {}

fn copy(old: BorrowedFd, new: BorrowedFd, what: CopyfileFlags) -> Result<(), Errno> {
    let state = copyfile_state_alloc()?;
    // SAFETY: the state was just made, and is freed after its only use.
    unsafe {
        let copied = fcopyfile(old, new, state, what);
        let _ = copyfile_state_free(state);
        copied
    }
}
