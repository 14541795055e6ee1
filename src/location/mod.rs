//! The place of a backup file, and the way in which it becomes visible there.

#![forbid(unsafe_code)]

pub mod directory;

/// The kinds of backups. One never takes the place of the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackupKind {
    Plain,
    Encrypted,
}

impl BackupKind {
    pub const ALL: [BackupKind; 2] = [BackupKind::Plain, BackupKind::Encrypted];

    /// Gives the name of a backup in its directory.
    pub fn file(self) -> &'static str {
        match self {
            BackupKind::Plain => "licenses.tar.zst",
            BackupKind::Encrypted => "licenses.tar.zst.age",
        }
    }

    pub fn other(self) -> BackupKind {
        match self {
            BackupKind::Plain => BackupKind::Encrypted,
            BackupKind::Encrypted => BackupKind::Plain,
        }
    }
}
