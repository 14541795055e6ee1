//! What Linux states about files, and how it is asked.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, Statx, StatxFlags, fcntl_getfl, makedev, statx,
};
use rustix::io::{Errno, retry_on_intr};

use super::process::close_second;
use crate::sys::anchor::folder;
use crate::sys::anchored_path::AnchoredPath;
use crate::sys::descriptors::open;
use crate::sys::files::{Facts, facts_at, is_unavailable};
use crate::sys::kinds::Identity;
use crate::sys::unix::files::facts::{READ, nanoseconds};

/// The way to open what is neither read nor written to.
pub const HELD: OFlags = OFlags::PATH;
/// The way to open a symbolic link itself so.
pub const HELD_LINK: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW);

impl From<Statx> for Facts {
    fn from(facts: Statx) -> Facts {
        let mode = facts.stx_mode.into();
        Facts {
            identity: Identity {
                device: makedev(facts.stx_dev_major, facts.stx_dev_minor),
                inode: facts.stx_ino,
            },
            kind: FileType::from_raw_mode(mode).into(),
            size: facts.stx_size,
            modified: nanoseconds(facts.stx_mtime.tv_sec, facts.stx_mtime.tv_nsec.into()),
            changed: nanoseconds(facts.stx_ctime.tv_sec, facts.stx_ctime.tv_nsec.into()),
            mode: mode & 0o7777,
            owner: (facts.stx_uid, facts.stx_gid),
        }
    }
}

/// Gives the facts of what is open as they are where it is kept, which may be another machine: what
/// that has told before may be in this one's cache for a minute.
pub fn facts_now(open: impl AsFd) -> Result<Facts, Errno> {
    let how = AtFlags::EMPTY_PATH | AtFlags::STATX_FORCE_SYNC;
    match statx(&open, "", how, StatxFlags::BASIC_STATS) {
        Err(errno) if is_unavailable(errno) => rustix::fs::fstat(open).map(Facts::from),
        facts => facts.map(Facts::from),
    }
}

/// Gives the facts of the file or folder at `path` in the same way.
pub fn facts_now_at(path: &AnchoredPath) -> Result<Facts, Errno> {
    let (anchor, given) = (folder(path.anchor())?, path.as_given());
    match statx(
        anchor,
        given,
        AtFlags::STATX_FORCE_SYNC,
        StatxFlags::BASIC_STATS,
    ) {
        Err(errno) if is_unavailable(errno) => facts_at(path),
        facts => facts.map(Facts::from),
    }
}

/// Gives the path under which the kernel shows this process what is `open`.
pub fn own_path(open: impl AsFd) -> String {
    format!("/proc/self/fd/{}", open.as_fd().as_raw_fd())
}

/// Opens what is `open` once more, to read it, with the rights that this user has now.
pub fn open_again(what: impl AsFd) -> Result<OwnedFd, Errno> {
    open(CWD, own_path(what).as_str(), READ, Mode::empty())
}

/// Tells whether a descriptor was opened to be held.
pub fn is_held(descriptor: &OwnedFd) -> bool {
    fcntl_getfl(descriptor).is_ok_and(|flags| flags.contains(HELD))
}

/// Brings what is open to the disk. A signal is no failure.
pub fn sync(open: impl AsFd) -> Result<(), Errno> {
    retry_on_intr(|| rustix::fs::fsync(&open))
}

/// Hands what was written to the file system, where [`Dir::sync_file_system`] finds it.
///
/// [`Dir::sync_file_system`]: crate::sys::files::Dir::sync_file_system
pub fn hand_over(open: impl AsFd) -> Result<(), Errno> {
    close_second(open)
}

/// The file with the numbers that users have in this namespace and outside.
const NUMBERS: &str = "/proc/self/uid_map";
/// The numbers in a namespace that has all.
const ALL: [&[u8]; 3] = [b"0", b"0", b"4294967295"];

/// The number that stands for each user and group that has none in this process's namespace; it may
/// be somebody's number, too.
const STRANGER: u32 = 65534;

/// Tells whether a user and a group with these numbers are nobody's but theirs.
pub fn are_known((user, group): (u32, u32)) -> bool {
    (user != STRANGER && group != STRANGER) || has_all_numbers()
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
