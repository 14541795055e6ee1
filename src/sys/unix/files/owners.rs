//! The owners of files and folders: whoever may give them away gives new ones to the owner of the
//! folder that they come into.

use std::os::fd::AsFd;

use rustix::fs::{CWD, Gid, Mode, OFlags, Uid};
use rustix::io::{Errno, retry_on_intr};

use super::facts::{Facts, is_unavailable};
use crate::sys::descriptors::open;

/// The bit in a folder's mode that gives its group to all that is made in it.
pub const PASSES_GROUP: u32 = 0o2000;

/// The number that stands for each user and group that has none in this process's namespace; it may
/// be somebody's number, too.
const STRANGER: u32 = 65534;
/// The file with the numbers that users have in this namespace and outside.
const NUMBERS: &str = "/proc/self/uid_map";
/// The numbers in a namespace that has all.
const ALL: [&[u8]; 3] = [b"0", b"0", b"4294967295"];

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
    if (user == STRANGER || group == STRANGER) && !has_all_numbers() {
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

/// Tells whether every user has a number in this process's namespace.
fn has_all_numbers() -> bool {
    let mut text = [0; 128];
    let read = open(CWD, NUMBERS, OFlags::RDONLY, Mode::empty())
        .and_then(|file| retry_on_intr(|| rustix::io::read(&file, &mut text)));
    let read = read.ok().and_then(|read| text.get(..read));
    read.is_some_and(|text| {
        let words = text.split(u8::is_ascii_whitespace);
        words.filter(|word| !word.is_empty()).eq(ALL)
    })
}
