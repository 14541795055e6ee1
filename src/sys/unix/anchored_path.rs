//! A path as it was meant when it was given: a relative one leads from the process's current folder
//! of that moment, wherever the process goes meanwhile.

#![forbid(unsafe_code)]

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Display, Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;

use super::descriptors::open;

#[derive(Clone, Debug)]
pub struct AnchoredPath {
    given: PathBuf,
    /// The folder that a relative path leads from; None for an absolute path.
    anchor: Option<Anchor>,
}

#[derive(Clone, Debug)]
struct Anchor {
    /// The open folder, or the reason why it could not be opened, which is told when it is needed.
    folder: Result<Arc<OwnedFd>, Errno>,
    path: Option<PathBuf>,
}

/// Gives the path in the system's own bytes.
pub fn path_of(bytes: &[u8]) -> Option<PathBuf> {
    Some(OsStr::from_bytes(bytes).into())
}

impl AnchoredPath {
    /// Takes `path` as it is meant now.
    pub fn now(path: impl AsRef<Path>) -> AnchoredPath {
        let given = path.as_ref().to_owned();
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        let hold = || open(CWD, ".", flags, Mode::empty());
        let anchor = given.is_relative().then(|| Anchor {
            folder: hold().map(Arc::new),
            path: std::env::current_dir().ok(),
        });
        AnchoredPath { given, anchor }
    }

    /// Gives the path as it was given, which leads from the [`anchor`](Self::anchor).
    pub fn as_given(&self) -> &Path {
        &self.given
    }

    /// Gives the folder that a relative path leads from.
    pub fn anchor(&self) -> Result<BorrowedFd<'_>, Errno> {
        let Some(anchor) = &self.anchor else {
            return Ok(CWD);
        };
        let folder = anchor.folder.as_ref();
        folder.map(|folder| folder.as_fd()).map_err(|errno| *errno)
    }

    /// Gives a path from the root, for users who take nothing else; the folder of a relative path
    /// may have moved since.
    pub fn to_absolute(&self) -> PathBuf {
        let anchor = self.anchor.as_ref().and_then(|anchor| anchor.path.as_ref());
        anchor.map_or_else(|| self.given.clone(), |anchor| anchor.join(&self.given))
    }

    pub fn display(&self) -> Display<'_> {
        self.given.display()
    }

    /// Tells whether the path's name has one of these extensions, and names no directory.
    pub fn has_extension(&self, extensions: &[&str]) -> bool {
        // A path with a slash at its end names a directory.
        let is_folder = self.given.as_os_str().as_encoded_bytes().ends_with(b"/");
        let own = self.given.extension().and_then(|own| own.to_str());
        !is_folder && own.is_some_and(|own| extensions.contains(&own))
    }

    fn with(&self, given: PathBuf) -> AnchoredPath {
        AnchoredPath {
            given,
            anchor: self.anchor.clone(),
        }
    }

    pub fn join(&self, name: impl AsRef<Path>) -> AnchoredPath {
        self.with(self.given.join(name))
    }

    /// Adds `suffix` to the path's name.
    pub fn with_suffix(&self, suffix: &str) -> AnchoredPath {
        let mut path = self.given.clone().into_os_string();
        path.push(suffix);
        self.with(path.into())
    }

    /// Gives the directory that contains the path's end.
    pub fn parent(&self) -> AnchoredPath {
        self.with(match self.given.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_beside_and_below_a_path_has_its_anchor() {
        let path = AnchoredPath::now("store/licenses.db");
        let here = std::env::current_dir().unwrap();
        let shown = |path: AnchoredPath| path.as_given().to_owned();
        assert_eq!(shown(path.parent()), Path::new("store"));
        assert_eq!(shown(path.parent().parent()), Path::new("."));
        assert_eq!(shown(path.join("a")), Path::new("store/licenses.db/a"));
        assert_eq!(
            shown(path.with_suffix("-wal")),
            Path::new("store/licenses.db-wal")
        );
        assert_eq!(path.parent().to_absolute(), here.join("store"));
        assert!(path.parent().anchor.is_some());
        assert_eq!(AnchoredPath::now("/a").to_absolute(), Path::new("/a"));
        assert_eq!(shown(AnchoredPath::now("/").parent()), Path::new("."));
    }
}
