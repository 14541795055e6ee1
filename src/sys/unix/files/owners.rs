//! The owners of files and folders: whoever may give them away gives new ones to the owner of the
//! folder that they come into.

use std::os::fd::AsFd;

use rustix::fs::{Gid, RawMode, Uid};
use rustix::io::Errno;

use super::facts::{Facts, is_unavailable};
use crate::sys::unix::system::facts::are_known;

/// The bit in a folder's mode that gives its group to all that is made in it.
pub const PASSES_GROUP: RawMode = 0o2000;

/// Gives the `new` file or folder with its own facts to the owner in the facts of the `folder` that
/// it comes into. It stays this user's where that can't be.
pub fn give(new: impl AsFd, own: &Facts, folder: &Facts) -> Result<(), Errno> {
    if own.owner == folder.owner {
        return Ok(());
    }
    match set_owner(&new, folder.owner) {
        // Its group alone may be one that this user has.
        Err(Errno::PERM) if folder.mode & PASSES_GROUP != 0 => {
            tolerated(set_owner(&new, (own.owner.0, folder.owner.1)))
        }
        given => tolerated(given),
    }
}

/// Sets the owner and the group of an open file or folder.
pub fn set_owner(of: impl AsFd, (user, group): (u32, u32)) -> Result<(), Errno> {
    if !are_known((user, group)) {
        return Err(Errno::PERM);
    }
    rustix::fs::fchown(of, Some(Uid::from_raw(user)), Some(Gid::from_raw(group)))
}

/// Accepts that an owner can't be given.
pub fn tolerated(given: Result<(), Errno>) -> Result<(), Errno> {
    match given {
        Err(Errno::INVAL | Errno::OVERFLOW) => Ok(()),
        Err(errno) if is_unavailable(errno) => Ok(()),
        given => given,
    }
}
