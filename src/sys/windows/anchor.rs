//! The folder that a relative path leads from, and what Windows takes for a path.

#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::os::windows::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf, is_separator};

use super::errno::Errno;

/// The current folder of a moment.
#[derive(Clone, Debug)]
pub struct Anchor {
    pub path: Option<PathBuf>,
}

impl Anchor {
    /// Notes the current folder, which Windows keeps from being moved.
    pub fn now() -> Anchor {
        Anchor {
            path: std::env::current_dir().ok(),
        }
    }
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

/// Leaves a path that leads from the current folder as it is. One such as `C:a` or `\a` depends on
/// folders of drives that nobody holds, and is given from the root, as it is meant now.
pub fn settled(path: &Path) -> PathBuf {
    match path.has_root() || matches!(path.components().next(), Some(Component::Prefix(_))) {
        true => std::path::absolute(path).unwrap_or_else(|_| path.to_owned()),
        false => path.to_owned(),
    }
}

/// Gives a path from the root as every program takes it.
pub fn absolute(path: PathBuf) -> PathBuf {
    let path = std::path::absolute(&path).unwrap_or(path);
    match path.as_os_str().encode_wide().count() < LONG {
        true => path,
        false => PathBuf::from(marked(&path, r"\\?\")),
    }
}

/// Gives a path from the root as the native calls take it.
pub fn native(path: &Path) -> Result<Vec<u16>, Errno> {
    match path.is_absolute() {
        true => Ok(marked(path, r"\??\").encode_wide().collect()),
        false => Err(Errno::NOENT),
    }
}

/// Adds a name, or several with slashes between them. Whatever is in them, they lead nowhere else.
pub fn join(path: &Path, name: &Path) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    if !path.to_string_lossy().ends_with(is_separator) {
        path.push(r"\");
    }
    path.push(name.to_string_lossy().replace('/', r"\"));
    path.into()
}

pub fn is_same_name(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
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
    fn paths_of_a_drives_own_folder_are_settled() {
        let here = std::env::current_dir().unwrap();
        let drive = here.components().next().unwrap().as_os_str();
        let mut below = drive.to_owned();
        below.push("a");
        assert_eq!(settled(Path::new(&below)), here.join("a"));
        assert_eq!(settled(Path::new(r"\a")), Path::new(drive).join(r"\a"));
        assert_eq!(settled(Path::new(r"a\b")), Path::new(r"a\b"));
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
