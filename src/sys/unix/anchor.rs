//! The folder that a relative path leads from, and what the system takes for a path.

#![forbid(unsafe_code)]

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;

use super::descriptors::open;
use super::system::facts::HELD;

#[derive(Clone, Debug)]
pub struct Anchor {
    /// The open folder, or the reason why it could not be opened, which is told when it is needed.
    folder: Result<Arc<OwnedFd>, Errno>,
    pub path: Option<PathBuf>,
}

impl Anchor {
    /// Holds the current folder.
    pub fn now() -> Anchor {
        let flags = HELD | OFlags::DIRECTORY;
        Anchor {
            folder: open(CWD, ".", flags, Mode::empty()).map(Arc::new),
            path: std::env::current_dir().ok(),
        }
    }
}

/// Gives the folder that paths of this anchor lead from.
pub fn folder(anchor: Option<&Anchor>) -> Result<BorrowedFd<'_>, Errno> {
    let Some(anchor) = anchor else {
        return Ok(CWD);
    };
    let folder = anchor.folder.as_ref();
    folder.map(|folder| folder.as_fd()).map_err(|errno| *errno)
}

/// Gives the path in the system's own bytes.
pub fn path_of(bytes: &[u8]) -> Option<PathBuf> {
    Some(OsStr::from_bytes(bytes).into())
}

/// Leaves a path as it is: it leads from the root or the current folder.
pub fn settled(path: &Path) -> PathBuf {
    path.to_owned()
}

/// Leaves a path from the root as it is.
pub fn absolute(path: PathBuf) -> PathBuf {
    path
}

pub fn join(path: &Path, name: &Path) -> PathBuf {
    path.join(name)
}

pub fn is_same_name(one: &str, other: &str) -> bool {
    one == other
}
