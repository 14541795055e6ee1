//! The refusals that every place of backups has. It is named as the host has named it, and a sentence
//! advises to name another of its kind: a directory or a prefix.

use std::fmt::Display;

use super::BackupKind;
use crate::error::{Error, Outcome};

/// Makes the error of a backup that would have to replace another.
pub fn already_exists(place: impl Display, kind_of_place: &str) -> Error {
    let sentence = format!(
        "There is a backup in '{place}' already, and it is kept. Ask for it to be replaced, or name another \
         {kind_of_place}."
    );
    Error::new(Outcome::BackupExists, sentence)
}

/// Makes the error of a backup of that kind beside one of the other.
pub fn is_of_other_kind(place: impl Display, kind_of_place: &str, kind: BackupKind) -> Error {
    let (own, theirs) = match kind {
        BackupKind::Plain => ("One that is not encrypted", "is encrypted"),
        BackupKind::Encrypted => ("An encrypted one", "is not encrypted"),
    };
    let sentence = format!(
        "The backup in '{place}', {}, {theirs}, and it is kept. {own} does not take its place. Move it away, or name \
         another {kind_of_place}.",
        kind.other().file()
    );
    Error::new(Outcome::BackupExists, sentence)
}

/// Makes the error of a backup that would have to replace another than the one that was there.
pub fn replaced_meanwhile(place: impl Display) -> Error {
    let sentence = format!(
        "Another backup has come to '{place}' while this one was made, and it is kept. Back up again to replace it."
    );
    Error::new(Outcome::BackupExists, sentence)
}

/// Makes the error of a place with two backups, of which nobody could tell which one counts.
pub fn two_backups(place: impl Display) -> Error {
    let [plain, encrypted] = BackupKind::ALL.map(BackupKind::file);
    let sentence = format!(
        "There are two backups in '{place}', {plain} and {encrypted}. Name the one that counts, or move the other \
         away."
    );
    Error::new(Outcome::AlreadyExists, sentence)
}

/// Makes the error of a place without a backup.
pub fn no_backup(place: impl Display, kind_of_place: &str) -> Error {
    let [plain, encrypted] = BackupKind::ALL.map(BackupKind::file);
    let sentence = format!(
        "There is no backup ({plain}, or {encrypted}) in '{place}'. Name the {kind_of_place} that has one."
    );
    Error::new(Outcome::FileNotFound, sentence)
}
