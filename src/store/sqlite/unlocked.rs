//! A database in WAL mode where its reader may not write: on media for reading only, or in a folder
//! of another user. SQLite's readers and writers share a file there, which can't be made. So it is
//! copied without any lock, and the copy counts if nothing was written meanwhile.

use std::thread::sleep;
use std::time::{Duration, Instant};

use super::connection::{Log, Sharing};
use super::{Database, resolved};
use crate::error::{Error, Outcome, Result};
use crate::store::patience::{GoOn, PATIENCE};
use crate::sys::anchored_path::AnchoredPath;
use crate::sys::database_copy;
use crate::sys::files::{self, Errno, Facts};

/// Longer than the steps in which a system counts the times of files.
const STEP: Duration = Duration::from_millis(30);

/// Takes a snapshot by `shared`, as SQLite's readers share a database, or without locks where that
/// is not to be had. Tells whether it is a copy.
pub fn or_unlocked(
    path: &AnchoredPath,
    hides: bool,
    go_on: &GoOn,
    shared: impl Fn() -> Result<(Database, bool)>,
) -> Result<(Database, bool)> {
    let begun = Instant::now();
    loop {
        let error = match shared() {
            Err(error) if is_barred(error.outcome) => error,
            taken => return taken,
        };
        // Whoever writes makes the file that was missing: then it can be shared.
        if let Some(copy) = copy(path, hides, go_on, error)? {
            return Ok((copy, true));
        }
        if begun.elapsed() > PATIENCE {
            let sentence = format!(
                "The database '{}' (StorePath) is written to all the time, and can't be locked: this user may \
                 not write beside it. Try again when it is at rest, or run as a user who may.",
                path.display()
            );
            return Err(Error::new(Outcome::SharingViolation, sentence));
        }
    }
}

fn is_barred(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::AccessDenied | Outcome::WriteProtected)
}

/// Copies the database, which could not be shared for the reason of `error`. Returns None if it was
/// written to meanwhile.
fn copy(path: &AnchoredPath, hides: bool, go_on: &GoOn, error: Error) -> Result<Option<Database>> {
    let Ok(before) = Look::at(path) else {
        return Err(error);
    };
    if before.journal.is_some_and(|journal| journal.size > 0) {
        return Err(unfinished(path, error.outcome));
    }
    // A change after this shows in the times.
    sleep(STEP);
    go_on()?;
    let sharing = Sharing::Unlocked(match before.log {
        Some(log) if log.size > 0 => Log::Filled,
        _ => Log::None,
    });
    let copied =
        Database::open_to_read(path, sharing, hides, GoOn::clone(go_on)).and_then(|database| {
            match database.is_of_wal_mode() {
                true => {
                    database.begin_to_read()?;
                    database.copy_with_log()
                }
                false => Err(error),
            }
        });
    go_on()?;
    match Look::at(path) == Ok(before) {
        true => copied.map(Some),
        false => Ok(None),
    }
}

/// The files of a database, as they are at one moment.
#[derive(Clone, Copy, PartialEq)]
struct Look {
    database: Facts,
    log: Option<Facts>,
    index: Option<Facts>,
    journal: Option<Facts>,
}

impl Look {
    fn at(path: &AnchoredPath) -> Result<Look, Errno> {
        let path = resolved(path)?;
        // Who writes may be on another machine, of which this one's cache does not know.
        let beside = |suffix| match files::facts_now_at(&path.with_suffix(suffix)) {
            Ok(facts) => Ok(Some(facts)),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(errno),
        };
        Ok(Look {
            database: files::facts_now_at(&path)?,
            log: beside("-wal")?,
            index: beside("-shm")?,
            journal: beside("-journal")?,
        })
    }
}

impl Database {
    /// Tells whether its file says that it is in WAL mode.
    fn is_of_wal_mode(&self) -> bool {
        const WRITTEN_IN: usize = 18;
        let mut header = [0; 20];
        let read = database_copy::read(&self.connection, &mut header, 0);
        read.is_ok() && header.get(WRITTEN_IN..) == Some(&[2, 2])
    }
}

/// Makes the error of a database with a write that was broken off.
fn unfinished(path: &AnchoredPath, outcome: Outcome) -> Error {
    let sentence = format!(
        "Cannot read the database '{0}' (StorePath): a write to it was broken off, and can't be taken back \
         here, where this user may not write. Copy it and '{0}-journal' into another folder, and back up that \
         copy, or run as a user who may write.",
        path.display()
    );
    Error::new(outcome, sentence)
}
