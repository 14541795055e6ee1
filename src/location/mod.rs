//! The place of a backup, and the way in which it becomes visible there: only the rooms of this
//! layer know either.

#![forbid(unsafe_code)]

#[cfg_attr(not(feature = "object-storage"), allow(dead_code))]
pub mod address;
#[cfg(feature = "object-storage")]
pub mod bucket;
pub mod directory;
pub mod places;
mod refusals;
pub mod temporary;
#[cfg(not(feature = "object-storage"))]
mod unsupported;

use std::io::{self, Write};

use self::temporary::Temporary;
use crate::error::{GoOn, Result};
use crate::sys::files::{File, Held};

/// The kinds of backups. One never takes the place of the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackupKind {
    Plain,
    Encrypted,
}

impl BackupKind {
    pub const ALL: [BackupKind; 2] = [BackupKind::Plain, BackupKind::Encrypted];

    /// Gives the name of a backup at its place.
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

/// A place where a backup lives, as the host has named it.
pub trait Location: Send + Sync {
    /// Gives the name of a backup of that kind there, for sentences.
    fn name_of(&self, kind: BackupKind) -> String;

    /// Refuses a new backup beside one that is there, as far as that shows without waiting.
    fn check_free(&self) -> Result<()>;

    /// Looks at the place where a backup of that kind is to go; with `overwrite` it may replace the
    /// one that is there. What shows without waiting is looked at within this call, and anything
    /// else when what it gives is called.
    fn look(&self, kind: BackupKind, overwrite: bool) -> Look;

    /// Holds the files of the backups there, which are no licences should a store have them.
    fn hold(&self) -> Result<Vec<Held>>;

    /// Opens the backup that is there.
    fn open(&self, go_on: &GoOn) -> Result<Box<dyn Existing>>;
}

/// The rest of a look at a place.
pub type Look = Box<dyn FnOnce(&GoOn) -> Result<Box<dyn Target>> + Send>;

/// The place of a new backup, and the backup that it may replace.
pub trait Target {
    /// Tells whether there was a backup that may be replaced.
    fn replaces_one(&self) -> bool;

    /// Opens that backup.
    fn open_old(&self) -> Result<Box<dyn Existing>>;

    /// Makes the place ready, and removes what killed processes have left there. `workers` is the
    /// number of threads that the work may take there.
    fn prepare(self: Box<Self>, workers: usize) -> Result<Box<dyn Destination>>;
}

/// A place that is ready for a new backup.
pub trait Destination {
    /// Makes a file for what waits.
    fn scratch(&self) -> io::Result<Temporary>;

    /// Begins a backup.
    fn draft(&self) -> Result<Box<dyn Draft + '_>>;

    /// Makes sure that the `backup` lasts as it is, since it is kept in place of an equal one.
    /// False: it is not at its place any more.
    fn keeps(&self, backup: &dyn Existing) -> Result<bool>;
}

/// A backup that is being written. When it is dropped, it leaves nothing behind.
pub trait Draft {
    /// Begins the bytes of the backup.
    fn begin(&self) -> io::Result<Box<dyn Sink + '_>>;

    /// Drops all bytes so far.
    fn clear(&self) -> io::Result<()>;

    /// Gives the bytes that it has.
    fn size(&self) -> Result<u64>;

    /// Brings all bytes to where they stay, whatever happens.
    fn sync(&self) -> Result<()>;

    /// Makes the backup, which has been [synced](Self::sync), visible in one step, and lasting. It
    /// calls `commit` at the last moment at which it can still be stopped.
    fn publish(self: Box<Self>, commit: &dyn Fn() -> Result<()>) -> Result<()>;
}

/// The bytes of a new backup, written from front to back.
pub trait Sink: Write {
    /// Prepares to take the first `first` bytes of the `old` backup as the first ones of the new.
    fn share(&mut self, old: &dyn Existing, first: u64) -> io::Result<()>;

    /// Appends the bytes of the `old` backup from `start` on, as many as the buffer has, unless
    /// they can't be read or are not right; returns whether it did.
    fn take(
        &mut self,
        old: &dyn Existing,
        start: u64,
        buffer: &mut [u8],
        is_right: &dyn Fn(&[u8]) -> bool,
    ) -> io::Result<bool>;
}

/// A backup that is there, opened. It stays the same, whatever takes its place meanwhile.
pub trait Existing: Send + Sync {
    /// Gives its name, for sentences.
    fn name(&self) -> &str;

    fn size(&self) -> io::Result<u64>;

    /// Fills `buffer` from `offset` on; a backup that ends before that is `UnexpectedEof`.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;

    /// Lets the system's cache drop these bytes.
    fn forget(&self, start: u64, length: u64);

    /// Tells whether it is of this user.
    fn is_own(&self) -> bool;

    /// Gives the file of this machine that has its bytes, if one has.
    fn file(&self) -> Option<&File>;
}
