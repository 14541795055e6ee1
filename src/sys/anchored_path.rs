//! A path as it was meant when it was given: a relative one leads from the process's current folder
//! of that moment, wherever the process goes meanwhile.

#![forbid(unsafe_code)]

use std::path::{Display, Path, PathBuf, is_separator};

use super::anchor::{self, Anchor};

#[derive(Clone, Debug)]
pub struct AnchoredPath {
    given: PathBuf,
    /// The folder that a path leads from; None for an absolute path.
    anchor: Option<Anchor>,
}

impl AnchoredPath {
    /// Takes `path` as it is meant now.
    pub fn now(path: impl AsRef<Path>) -> AnchoredPath {
        let given = anchor::settled(path.as_ref());
        let anchor = (!given.is_absolute()).then(Anchor::now);
        AnchoredPath { given, anchor }
    }

    /// Gives the path as it was given, which leads from the [`anchor`](Self::anchor).
    pub fn as_given(&self) -> &Path {
        &self.given
    }

    /// Gives the folder that the path leads from, if it is not absolute.
    pub fn anchor(&self) -> Option<&Anchor> {
        self.anchor.as_ref()
    }

    /// Gives a path from the root, for users who take nothing else; the folder of a relative path
    /// may have moved since.
    pub fn to_absolute(&self) -> PathBuf {
        let from = self.anchor().and_then(|anchor| anchor.path.as_ref());
        anchor::absolute(from.map_or_else(|| self.given.clone(), |from| from.join(&self.given)))
    }

    pub fn display(&self) -> Display<'_> {
        self.given.display()
    }

    /// Tells whether the path's name has one of these extensions, and names no directory.
    pub fn has_extension(&self, extensions: &[&str]) -> bool {
        // A path with a separator at its end names a directory.
        let is_folder = self.given.to_string_lossy().ends_with(is_separator);
        let own = self.given.extension().and_then(|own| own.to_str());
        let is_one = |own: &str| extensions.iter().any(|one| anchor::is_same_name(own, one));
        !is_folder && own.is_some_and(is_one)
    }

    fn with(&self, given: PathBuf) -> AnchoredPath {
        AnchoredPath {
            given,
            anchor: self.anchor.clone(),
        }
    }

    /// Adds a name, or several with slashes between them.
    pub fn join(&self, name: impl AsRef<Path>) -> AnchoredPath {
        self.with(anchor::join(&self.given, name.as_ref()))
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
            shown(path.join("a/b:c")),
            Path::new("store/licenses.db/a/b:c")
        );
        assert_eq!(
            shown(path.with_suffix("-wal")),
            Path::new("store/licenses.db-wal")
        );
        assert_eq!(path.parent().to_absolute(), here.join("store"));
        assert!(path.parent().anchor.is_some());
    }

    #[test]
    #[cfg(unix)]
    fn the_root_is_absolute() {
        assert_eq!(AnchoredPath::now("/a").to_absolute(), Path::new("/a"));
        assert_eq!(AnchoredPath::now("/").parent().as_given(), Path::new("."));
    }
}
