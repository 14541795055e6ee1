//! The access list and the extended attributes of a file, which go over to the file that replaces
//! it.

use std::os::fd::BorrowedFd;

use rustix::fs::{XattrFlags, fgetxattr, flistxattr, fremovexattr, fsetxattr};
use rustix::io::Errno;

use crate::sys::files::is_unavailable;

/// The attribute that holds a file's access list, where it is longer than the file's mode.
const ACCESS_LIST: &str = "system.posix_acl_access";
/// The attribute of a folder with the list that everything made in it gets.
const DEFAULT_LIST: &str = "system.posix_acl_default";

/// The attributes that speak of the old content, or that the kernel takes from a file with each
/// write.
const OF_THE_CONTENT: [&str; 3] = ["security.capability", "security.evm", "security.ima"];
/// The beginning of the attributes by which the kernel decides who may read a file.
const LABELS: &str = "security.";

/// The largest list of names, and the largest value, that Linux gives.
const LARGEST: usize = 64 * 1024;

/// Gives `new` the access list of `old`, or takes its own away where `old` has none. False where it
/// can't be known that both are the same: then a mode for a group, or for others, may let in whom
/// the list keeps out.
pub fn take_access_list(old: BorrowedFd, new: BorrowedFd) -> Result<bool, Errno> {
    let taken = match get(old, ACCESS_LIST) {
        Ok(Some(list)) => fsetxattr(new, ACCESS_LIST, &list, XattrFlags::empty()),
        // The folder in which the new file was made may have given it one.
        Ok(None) => get(new, ACCESS_LIST).and_then(|list| match list {
            Some(_) => fremovexattr(new, ACCESS_LIST),
            None => Ok(()),
        }),
        Err(errno) => Err(errno),
    };
    match taken {
        Ok(()) => Ok(true),
        // A list may name users who have no number here.
        Err(Errno::INVAL) => Ok(false),
        Err(Errno::IO) if has_none(new) => Ok(false),
        Err(errno) if is_unavailable(errno) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// Gives `new` the other attributes of `old`, as far as the file system and this user's rights
/// allow; a label that decides who may read the file is never left out.
pub fn take_attributes(old: BorrowedFd, new: BorrowedFd) -> Result<(), Errno> {
    let names = match names(old) {
        Err(Errno::IO) if has_none(new) => return Ok(()),
        names => names?,
    };
    for name in names {
        if name == ACCESS_LIST || OF_THE_CONTENT.contains(&name.as_str()) {
            continue;
        }
        let is_label = name.starts_with(LABELS);
        let value = match get(old, &name) {
            Ok(Some(value)) => value,
            Ok(None) => continue,
            Err(errno) if !is_label && is_unavailable(errno) => continue,
            Err(errno) => return Err(errno),
        };
        if is_label && get(new, &name)?.as_ref() == Some(&value) {
            continue;
        }
        match fsetxattr(new, &name, &value, XattrFlags::empty()) {
            Err(errno @ (Errno::NOSPC | Errno::DQUOT | Errno::NOMEM | Errno::IO)) => {
                return Err(errno);
            }
            Err(errno) if is_label => return Err(errno),
            _ => {}
        }
    }
    Ok(())
}

/// Takes the default list of a new `folder` away, so that nothing in it gets one. Where that can't
/// be done, the files in it are still their owner's alone, by their modes.
pub fn drop_default_list(folder: BorrowedFd) {
    let _ = fremovexattr(folder, DEFAULT_LIST);
}

/// Tells whether the file system has no attributes, and calls each question for one an error of the
/// disk, as rclone does: it is none of the disk, where a file that was just made answers so.
fn has_none(new: BorrowedFd) -> bool {
    names(new).is_err_and(|errno| errno == Errno::IO)
}

/// Gives the value of an attribute, if there is one.
fn get(file: BorrowedFd, name: &str) -> Result<Option<Vec<u8>>, Errno> {
    let mut value = Vec::new();
    match grown(&mut value, |buffer| fgetxattr(file, name, buffer)) {
        Ok(()) => Ok(Some(value)),
        Err(Errno::NODATA | Errno::NOTSUP) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// Gives the names of the attributes that this user may see; none where nobody tells.
fn names(file: BorrowedFd) -> Result<Vec<String>, Errno> {
    let (mut bytes, mut names) = (Vec::new(), Vec::new());
    match grown(&mut bytes, |buffer| flistxattr(file, buffer)) {
        Err(errno) if is_unavailable(errno) => return Ok(names),
        listed => listed?,
    }
    let texts = bytes
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty());
    // A name that is no text is none of the kernel's.
    for name in texts.filter_map(|name| std::str::from_utf8(name).ok()) {
        names.try_reserve(1).map_err(|_| Errno::NOMEM)?;
        names.push(name.to_owned());
    }
    Ok(names)
}

/// Calls `read` with a buffer that is large enough for most, and once with the largest, and leaves in
/// it what was read.
fn grown(
    buffer: &mut Vec<u8>,
    read: impl Fn(&mut [u8]) -> Result<usize, Errno>,
) -> Result<(), Errno> {
    for size in [1024, LARGEST] {
        buffer
            .try_reserve_exact(size - buffer.len())
            .map_err(|_| Errno::NOMEM)?;
        buffer.resize(size, 0);
        match read(buffer) {
            Err(Errno::RANGE) if size < LARGEST => {}
            read => {
                buffer.truncate(read?);
                return Ok(());
            }
        }
    }
    Err(Errno::RANGE)
}
