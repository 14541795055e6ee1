//! A path as it was meant when it was given: a relative one leads from the process's current folder
//! of that moment, wherever the process goes meanwhile.

#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::os::windows::ffi::{OsStrExt, OsStringExt};
use std::path::{Display, Path, PathBuf, is_separator};

use super::errno::Errno;

#[derive(Clone, Debug)]
pub struct AnchoredPath {
    given: PathBuf,
    /// The folder that a relative path leads from; None for an absolute path.
    anchor: Option<PathBuf>,
}

/// Units of UTF-16 from which on a path must be marked as one that Windows leaves as it is; with
/// room for the ending of a file beside it.
const LONG: usize = 240;

/// Gives the path in the system's own units, which are UTF-16 from the lower byte on; None where
/// half a unit is left.
pub fn path_of(bytes: &[u8]) -> Option<PathBuf> {
    let (units, rest) = bytes.as_chunks();
    let units: Vec<u16> = units.iter().map(|unit| u16::from_le_bytes(*unit)).collect();
    rest.is_empty().then(|| OsString::from_wide(&units).into())
}

impl AnchoredPath {
    /// Takes `path` as it is meant now.
    pub fn now(path: impl AsRef<Path>) -> AnchoredPath {
        let given = path.as_ref().to_owned();
        // A path such as `C:a` or `\a` depends on the current folder or drive as well.
        let anchor = match given.is_absolute() {
            true => None,
            false => std::env::current_dir().ok(),
        };
        AnchoredPath { given, anchor }
    }

    /// Gives the path as it was given.
    pub fn as_given(&self) -> &Path {
        &self.given
    }

    /// Gives a path from the root, for users who take nothing else.
    pub fn to_absolute(&self) -> PathBuf {
        let path = match &self.anchor {
            Some(anchor) => anchor.join(&self.given),
            None => self.given.clone(),
        };
        let path = std::path::absolute(&path).unwrap_or(path);
        match path.as_os_str().encode_wide().count() < LONG {
            true => path,
            false => PathBuf::from(marked(&path, r"\\?\")),
        }
    }

    /// Gives the path as the native calls take it.
    pub(super) fn to_native(&self) -> Result<Vec<u16>, Errno> {
        let path = self.to_absolute();
        match path.is_absolute() {
            true => Ok(marked(&path, r"\??\").encode_wide().collect()),
            false => Err(Errno::NOENT),
        }
    }

    pub fn display(&self) -> Display<'_> {
        self.given.display()
    }

    /// Tells whether the path's name has one of these extensions, and names no directory.
    pub fn has_extension(&self, extensions: &[&str]) -> bool {
        let is_folder = self.given.to_string_lossy().ends_with(is_separator);
        let own = self.given.extension().and_then(|own| own.to_str());
        let is_one = |own: &str| extensions.iter().any(|one| own.eq_ignore_ascii_case(one));
        !is_folder && own.is_some_and(is_one)
    }

    fn with(&self, given: PathBuf) -> AnchoredPath {
        AnchoredPath {
            given,
            anchor: self.anchor.clone(),
        }
    }

    /// Adds a name, or several with slashes between them. Whatever is in them, they lead nowhere
    /// else.
    pub fn join(&self, name: impl AsRef<Path>) -> AnchoredPath {
        let mut path = self.given.clone().into_os_string();
        if !path.to_string_lossy().ends_with(is_separator) {
            path.push(r"\");
        }
        path.push(name.as_ref().to_string_lossy().replace('/', r"\"));
        self.with(path.into())
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

/// Puts `mark` before an absolute path, in place of a mark that it has.
fn marked(path: &Path, mark: &str) -> OsString {
    let units: Vec<u16> = path.as_os_str().encode_wide().collect();
    let behind = |start: &str| {
        let start: Vec<u16> = start.encode_utf16().collect();
        units.strip_prefix(start.as_slice())
    };
    let rest = [r"\\?\", r"\\.\", r"\??\"].into_iter().find_map(behind);
    let (share, rest) = match (rest, behind(r"\\")) {
        (Some(rest), _) => ("", rest),
        (None, Some(rest)) => (r"UNC\", rest),
        (None, None) => ("", units.as_slice()),
    };
    let mut whole = OsString::from(mark);
    whole.push(share);
    whole.push(OsString::from_wide(rest));
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_beside_and_below_a_path_has_its_anchor() {
        let path = AnchoredPath::now(r"store\licenses.db");
        let here = std::env::current_dir().unwrap();
        let shown = |path: AnchoredPath| path.as_given().to_owned();
        assert_eq!(shown(path.parent()), Path::new("store"));
        assert_eq!(shown(path.parent().parent()), Path::new("."));
        assert_eq!(
            shown(path.join("a/b:c")),
            Path::new(r"store\licenses.db\a\b:c")
        );
        assert_eq!(
            shown(path.with_suffix("-wal")),
            Path::new(r"store\licenses.db-wal")
        );
        assert_eq!(path.parent().to_absolute(), here.join("store"));
    }

    #[test]
    fn absolute_paths_of_every_kind_are_marked() {
        for (path, native) in [
            (r"C:\a\b", r"\??\C:\a\b"),
            (r"\\host\share\a", r"\??\UNC\host\share\a"),
            (r"\\?\C:\a", r"\??\C:\a"),
            (r"\\?\UNC\host\share\a", r"\??\UNC\host\share\a"),
        ] {
            assert_eq!(marked(Path::new(path), r"\??\"), OsString::from(native));
        }
    }
}
