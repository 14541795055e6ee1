//! Names in a folder, as Windows takes them, and those that it can't keep.
//!
//! The native calls would take more: a name with a colon opens a stream of another file, and what
//! has a device's name or ends in a dot can't be opened by most programs. Source: "Naming Files,
//! Paths, and Namespaces" of Microsoft's documentation.

#![forbid(unsafe_code)]

use std::ffi::{CStr, OsStr};
use std::os::windows::ffi::OsStrExt;

use super::errno::Errno;

/// A name in a folder.
pub trait Name {
    fn wide(&self) -> Result<Vec<u16>, Errno>;
}

impl Name for &str {
    fn wide(&self) -> Result<Vec<u16>, Errno> {
        Ok(self.encode_utf16().collect())
    }
}

impl Name for &String {
    fn wide(&self) -> Result<Vec<u16>, Errno> {
        self.as_str().wide()
    }
}

impl Name for &OsStr {
    fn wide(&self) -> Result<Vec<u16>, Errno> {
        Ok(self.encode_wide().collect())
    }
}

impl Name for &[u8] {
    fn wide(&self) -> Result<Vec<u16>, Errno> {
        let name = std::str::from_utf8(self).map_err(|_| Errno::ILSEQ)?;
        name.wide()
    }
}

impl Name for &CStr {
    fn wide(&self) -> Result<Vec<u16>, Errno> {
        self.to_bytes().wide()
    }
}

/// Units of UTF-16 that a name has at most.
const LENGTH_MAX: usize = 255;

/// Gives the name of what may be there. Nothing can be there under a name that no file system takes,
/// or that leads elsewhere.
pub fn to_find(name: impl Name) -> Result<Vec<u16>, Errno> {
    let name = name.wide()?;
    match name.is_empty() || name.iter().any(is_bad) {
        true => Err(Errno::NOENT),
        false => Ok(name),
    }
}

/// Gives the name of what is to be made, if every program can open it then.
pub fn to_make(name: impl Name) -> Result<Vec<u16>, Errno> {
    let name = name.wide()?;
    if name.len() > LENGTH_MAX {
        return Err(Errno::NAMETOOLONG);
    }
    let ends_badly = name.last().is_none_or(|unit| is_one_of(*unit, b". "));
    match ends_badly || name.iter().any(is_bad) || is_device(&name) {
        true => Err(Errno::ILSEQ),
        false => Ok(name),
    }
}

/// Tells whether a file system could have made the name for programs that know no longer ones.
pub fn could_be_short(name: &[u16]) -> bool {
    name.contains(&u16::from(b'~'))
}

fn is_bad(unit: &u16) -> bool {
    *unit < 0x20 || is_one_of(*unit, br#"<>:"/\|?*"#)
}

fn is_one_of(unit: u16, bytes: &[u8]) -> bool {
    u8::try_from(unit).is_ok_and(|unit| bytes.contains(&unit))
}

/// Tells whether the name is a device's, also with an extension.
fn is_device(name: &[u16]) -> bool {
    const DEVICES: [&str; 6] = ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"];
    let name = String::from_utf16_lossy(name).to_ascii_uppercase();
    let stem = name
        .split('.')
        .next()
        .unwrap_or_default()
        .trim_end_matches(' ');
    let is_port = ["COM", "LPT"].into_iter().any(|port| {
        let number = stem.strip_prefix(port);
        number.is_some_and(|number| {
            let mut digits = number.chars();
            matches!(digits.next(), Some('0'..='9' | '¹' | '²' | '³')) && digits.next().is_none()
        })
    });
    is_port || DEVICES.contains(&stem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_windows_keeps_are_told_from_others() {
        for name in [
            "a", "a b", ".a", "a.b", "CONE", "COM", "COM12", "xnul", "ä", "com.1",
        ] {
            assert!(to_make(name).is_ok(), "{name}");
        }
        for name in [
            "",
            "a.",
            "a ",
            "a:b",
            "a/b",
            r"a\b",
            "a*",
            "a?",
            "a\"",
            "<a",
            "a>",
            "a|",
            "a\u{1}",
            "CON",
            "con.txt",
            "nul .txt",
            "Com1",
            "lpt9.lcpl",
            "com²",
            "conin$",
            "aux",
        ] {
            assert_eq!(to_make(name), Err(Errno::ILSEQ), "{name}");
        }
        let long = "n".repeat(LENGTH_MAX);
        assert!(to_make(&long).is_ok());
        assert_eq!(to_make(&(long + "n")), Err(Errno::NAMETOOLONG));
        assert_eq!(to_find("a:b"), Err(Errno::NOENT));
        assert_eq!(to_find("a*"), Err(Errno::NOENT));
        assert!(to_find("nul").is_ok());
    }
}
