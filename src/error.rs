//! The errors of the library, for people and for programs.
//!
//! Rules: `sys` returns the system's own [`Errno`], `archive` its `Fault`; `engine`, `store` and
//! `location` know what was attempted and make an [`Error`] of it at once. An `Error` is a sentence
//! that says what failed, on what, why and what to do, and an [`Outcome`]; only `abi` turns
//! outcomes into HRESULTs. A host's own failure code is passed through untouched.

#![forbid(unsafe_code)]

use std::fmt::Display;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::sys::anchored_path::AnchoredPath;
use crate::sys::files::{Errno, Protection};

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Fails if the operation is to end, for work that takes long.
pub type GoOn = Arc<dyn Fn() -> Result<()> + Send + Sync>;

#[derive(Clone, Debug, thiserror::Error)]
#[error("{sentence}")]
pub struct Error {
    pub outcome: Outcome,
    sentence: String,
    /// The reason why one licence or folder can't be taken, beside which the others can.
    of_one: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A function of the host failed with this code.
    Host(i32),
    AccessDenied,
    AlreadyExists,
    BackupCorrupt,
    BackupExists,
    BufferTooSmall,
    Busy,
    Canceled,
    DecryptionFailed,
    DiskFull,
    Empty,
    Fail,
    FileNotFound,
    FileTooLarge,
    Handle,
    #[cfg_attr(not(feature = "object-storage"), allow(dead_code))]
    HostUnreachable,
    IllegalCall,
    InvalidArgument,
    InvalidName,
    InvalidProperty,
    LicenseStoreError,
    LockViolation,
    NeedsIndividualization,
    NotADirectory,
    NotFound,
    NotImplemented,
    NotSupported,
    OutOfMemory,
    PathNotFound,
    Pointer,
    ReadFault,
    RevisionMismatch,
    SharingViolation,
    #[cfg_attr(not(feature = "object-storage"), allow(dead_code))]
    Timeout,
    TooManyOpenFiles,
    Unexpected,
    UnsupportedProperty,
    WriteFault,
    WriteProtected,
}

/// The purpose of a system call; the same system error means another outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    Read,
    Write,
}

/// Gives the error that a place of backups has told itself, if it is one.
pub fn told(error: &io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref()
}

/// Tells whether that place has given up.
pub fn has_given_up(error: &io::Error) -> bool {
    told(error).is_some_and(Error::has_given_up)
}

impl Error {
    /// Tells whether nothing else of the same place can be had now either, so that whoever can do
    /// without one thing ends all the same.
    pub fn has_given_up(&self) -> bool {
        use Outcome::{
            Canceled, HostUnreachable, InvalidArgument, NotSupported, OutOfMemory,
            SharingViolation, Timeout,
        };
        matches!(
            self.outcome,
            Canceled
                | HostUnreachable
                | InvalidArgument
                | NotSupported
                | OutOfMemory
                | SharingViolation
                | Timeout
        )
    }

    /// Makes an error of the `sentence` as [`shown`].
    pub fn new(outcome: Outcome, sentence: impl Into<String>) -> Error {
        Error {
            outcome,
            sentence: shown(sentence.into()),
            of_one: None,
        }
    }

    /// Marks the failure as that of one licence or folder, which can't be taken for this `reason`,
    /// and beside which work on the others can go on; unless they will lack the same.
    pub fn of_one(mut self, reason: impl Display) -> Error {
        let is_of_all = matches!(
            self.outcome,
            Outcome::Canceled
                | Outcome::DiskFull
                | Outcome::OutOfMemory
                | Outcome::TooManyOpenFiles
                | Outcome::Unexpected
                | Outcome::WriteFault
                | Outcome::WriteProtected
        );
        // A colon parts the name from the reason.
        self.of_one = (!is_of_all).then(|| reason.to_string().replace(": ", ", "));
        self
    }

    /// Makes an error of the system's; `doing` completes "Cannot …" with the attempt and its
    /// object.
    pub fn system(access: Access, doing: impl Display, errno: Errno) -> Error {
        let outcome = Outcome::of_system(access, errno);
        Error::reasoned(outcome, doing, words(errno))
    }

    /// Makes an error in which `doing` completes "Cannot …", and `reason` says why.
    pub fn reasoned(outcome: Outcome, doing: impl Display, reason: impl Display) -> Error {
        let advice = outcome.advice();
        Error::new(outcome, format!("Cannot {doing}: {reason}.{advice}"))
    }

    /// Makes an error as [`Error::system`] does, where the directory that the host has named could
    /// not be opened.
    pub fn directory(property: &str, path: &AnchoredPath, errno: Errno) -> Error {
        let outcome = match errno {
            Errno::NOENT => Outcome::PathNotFound,
            Errno::NOTDIR => Outcome::NotADirectory,
            _ => Outcome::of_system(Access::Read, errno),
        };
        let (path, reason) = (path.display(), words(errno));
        if property == "StorePath" && outcome == Outcome::NotADirectory {
            let sentence = format!(
                "The store '{path}' is neither a directory nor an SQLite database. Name one of them."
            );
            return Error::new(outcome, sentence);
        }
        Error::new(
            outcome,
            format!(
                "Cannot open the directory '{path}' ({property}): {reason}.{}",
                outcome.advice()
            ),
        )
    }

    /// Makes the error of an attempt that an attribute of `what` at `path` forbids to everybody;
    /// `doing` completes "Cannot …".
    pub fn protected(
        doing: impl Display,
        what: &str,
        path: &AnchoredPath,
        protection: Protection,
    ) -> Error {
        let path = path.display();
        let (why, attribute) = match protection {
            Protection::AppendOnly => ("may only grow", 'a'),
            Protection::Immutable => ("can't be changed", 'i'),
        };
        let sentence = format!(
            "Cannot {doing}: {what} '{path}' {why}, by an attribute that binds every user. Take it away \
             (chattr -{attribute} '{path}'), or choose another directory."
        );
        let reason = format_args!("{what} {why}, by an attribute that binds every user");
        Error::new(Outcome::AccessDenied, sentence).of_one(reason)
    }

    pub fn out_of_memory() -> Error {
        Error::new(
            Outcome::OutOfMemory,
            "There is not enough memory, or the system gives no thread. Free memory or end threads, and try again.",
        )
    }

    pub fn canceled() -> Error {
        Error::new(Outcome::Canceled, "The operation was cancelled.")
    }

    /// Makes the error of a [caught] panic: a bug of this library.
    pub fn panicked(panic: &(dyn std::any::Any + Send)) -> Error {
        let told = panic
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        let told = told.unwrap_or("no message");
        Error::new(
            Outcome::Unexpected,
            format!(
                "This is an internal error of licbak ({told}). The restorer stays usable. Please report the error."
            ),
        )
    }

    pub fn is_of_one(&self) -> bool {
        self.of_one.is_some()
    }

    /// Gives the reason why one licence or folder can't be taken, if the failure is that one's alone.
    pub fn reason_of_one(&self) -> Option<&str> {
        self.of_one.as_deref()
    }

    pub fn sentence(&self) -> &str {
        &self.sentence
    }
}

/// Gives a sentence in which no character has an effect but to be seen: names, schemas and other
/// words of strangers are in it, which could command a terminal, begin a line of a log or turn the
/// order of what follows. Each such character becomes an escape, as `\u{202e}`.
pub fn shown(sentence: String) -> String {
    if !sentence.contains(has_effect) {
        return sentence;
    }
    let escaped = sentence.chars().flat_map(|character| {
        let escapes = has_effect(character).then(|| character.escape_default());
        let itself = escapes.is_none().then_some(character);
        escapes.into_iter().flatten().chain(itself)
    });
    escaped.collect()
}

/// Tells whether a character is a control, or one that can't be seen and changes what is seen. The
/// joiners (U+200C, U+200D) are letters' own in many languages, and are none.
fn has_effect(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'
                | '\u{200e}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

/// Does `work`; a panic in it becomes an error.
pub fn caught<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|panic| Err(Error::panicked(panic.as_ref())))
}

/// Gives the system's words for an error.
pub fn words(errno: Errno) -> String {
    let words = io::Error::from(errno);
    match errno {
        Errno::NOSYS => format!(
            "{words}: a system call that this needs is not in the kernel, or a sandbox denies it"
        ),
        _ => words.to_string(),
    }
}

impl From<crate::sys::threads::Refused> for Error {
    fn from(_: crate::sys::threads::Refused) -> Error {
        Error::out_of_memory()
    }
}

impl From<std::collections::TryReserveError> for Error {
    fn from(_: std::collections::TryReserveError) -> Error {
        Error::out_of_memory()
    }
}

impl Outcome {
    pub fn of_system(access: Access, errno: Errno) -> Outcome {
        match errno {
            Errno::ACCESS | Errno::PERM => Outcome::AccessDenied,
            Errno::ROFS => Outcome::WriteProtected,
            Errno::NOSPC | Errno::DQUOT => Outcome::DiskFull,
            Errno::FBIG => Outcome::FileTooLarge,
            Errno::MFILE | Errno::NFILE => Outcome::TooManyOpenFiles,
            Errno::NOMEM => Outcome::OutOfMemory,
            Errno::TXTBSY | Errno::WOULDBLOCK => Outcome::SharingViolation,
            // Where no mount is told from another, a move tells it.
            Errno::XDEV => Outcome::NotSupported,
            Errno::IO | Errno::STALE | Errno::NXIO | Errno::NODEV if access == Access::Read => {
                Outcome::ReadFault
            }
            Errno::IO | Errno::STALE | Errno::NXIO | Errno::NODEV => Outcome::WriteFault,
            Errno::NOENT => Outcome::PathNotFound,
            Errno::NOTDIR => Outcome::NotADirectory,
            // What was to be made can't have its name.
            Errno::ILSEQ if access == Access::Write => Outcome::InvalidName,
            _ => Outcome::Fail,
        }
    }

    /// Gives the advice to the user, to be put behind the reason.
    fn advice(self) -> &'static str {
        match self {
            Outcome::AccessDenied => {
                " Give this user the right to it, run as a user who has the right, or run outside of the sandbox that denies it."
            }
            Outcome::WriteProtected => {
                " Mount the file system for writing, or choose another directory."
            }
            Outcome::DiskFull => " Free space there, or choose another directory, and try again.",
            Outcome::FileTooLarge => {
                " Raise the limit on the size of files for this process and try again."
            }
            Outcome::TooManyOpenFiles => {
                " Close files or raise the limit on open files, and try again."
            }
            Outcome::OutOfMemory => " Free memory and try again.",
            Outcome::LicenseStoreError => {
                " Check the database with SQLite (PRAGMA integrity_check), and check the rows of its licence table."
            }
            Outcome::LockViolation => {
                " Another program holds the lock: try again when that program is done."
            }
            Outcome::ReadFault | Outcome::WriteFault => {
                " The disk may be failing: check it before you try again."
            }
            Outcome::PathNotFound => " Create the directory or correct the path.",
            Outcome::NotADirectory => " Name the directory, not a file in its place.",
            Outcome::SharingViolation => {
                " Another program has it open: try again when that program is done."
            }
            _ => "",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_has_no_character_with_an_effect() {
        let all = ('\0'..=char::MAX).filter(|character| has_effect(*character));
        let told = Error::new(Outcome::Fail, all.clone().collect::<String>());
        assert!(!told.sentence().contains(has_effect));
        assert!(told.sentence().is_ascii());
        let told = Error::new(Outcome::Fail, "a\u{202e}b\n\u{1b}[2J\u{9b}");
        assert_eq!(told.sentence(), r"a\u{202e}b\n\u{1b}[2J\u{9b}");
        for bidi in
            "\u{61c}\u{200e}\u{200f}\u{202a}\u{202e}\u{2028}\u{2029}\u{2066}\u{2069}\u{feff}"
                .chars()
        {
            assert!(has_effect(bidi), "{bidi:?}");
        }
    }

    #[test]
    fn a_sentence_keeps_what_can_be_seen() {
        let plain = r"'a b' \ \u{202e} ü 名 می\u{200c}خواهم";
        let plain = plain.replace(r"\u{200c}", "\u{200c}");
        assert_eq!(Error::new(Outcome::Fail, plain.as_str()).sentence(), plain);
    }
}
