//! The failures of SQLite, as errors.

use rusqlite::{ErrorCode, ffi};

use crate::error::{Access, Error, Outcome};
use crate::sys::anchored_path::AnchoredPath;
use crate::sys::database_memory;
use crate::sys::files::{self, Dir, Errno};

/// Makes the error of an operation that was `doing` something with the database `path`, which is in
/// `file`, when SQLite failed.
pub fn failure(
    path: &AnchoredPath,
    file: &AnchoredPath,
    doing: &str,
    error: &rusqlite::Error,
) -> Error {
    let doing = format!("{doing} the database '{}' (StorePath)", path.display());
    let rusqlite::Error::SqliteFailure(code, message) = error else {
        // A value has the wrong type, or is otherwise not what was asked for.
        return Error::reasoned(Outcome::LicenseStoreError, doing, error);
    };
    let system = system_outcome();
    let outcome = match code.code {
        ErrorCode::DatabaseBusy
        | ErrorCode::DatabaseLocked
        | ErrorCode::FileLockingProtocolFailed => Outcome::LockViolation,
        ErrorCode::OutOfMemory if database_memory::was_refused() => {
            let sentence = format!(
                "Cannot {doing}: what its schema asks for needs too much memory, or goes too deep. Make its \
                 tables and views simpler, or copy the licences into a database that has nothing else."
            );
            return Error::new(Outcome::LicenseStoreError, sentence);
        }
        ErrorCode::OutOfMemory => return Error::out_of_memory(),
        ErrorCode::DiskFull => Outcome::DiskFull,
        ErrorCode::TooBig => {
            let sentence =
                format!("Cannot {doing}: it has a value far over the 16 MiB of a licence.");
            return Error::new(Outcome::FileTooLarge, sentence);
        }
        ErrorCode::PermissionDenied => Outcome::AccessDenied,
        ErrorCode::SystemIoFailure | ErrorCode::CannotOpen
            if last_errno() == Some(Errno::NOSYS) =>
        {
            return Error::system(Access::Write, doing, Errno::NOSYS);
        }
        // This holds only if SQLite could look.
        ErrorCode::ReadOnly
            if code.extended_code == ffi::SQLITE_READONLY_DBMOVED && system.is_none() =>
        {
            return moved(path);
        }
        ErrorCode::ReadOnly | ErrorCode::CannotOpen => barred(file, system),
        // SQLite takes a block of the disk that can't be read for a damaged database.
        ErrorCode::DatabaseCorrupt if system == Some(Outcome::WriteFault) => Outcome::ReadFault,
        ErrorCode::SystemIoFailure => match code.extended_code {
            ffi::SQLITE_IOERR_NOMEM => return Error::out_of_memory(),
            ffi::SQLITE_IOERR_SHORT_READ => Outcome::LicenseStoreError,
            ffi::SQLITE_IOERR_READ
            | ffi::SQLITE_IOERR_CORRUPTFS
            | ffi::SQLITE_IOERR_FSTAT
            | ffi::SQLITE_IOERR_SEEK => read_fault(system),
            _ => system.unwrap_or(Outcome::WriteFault),
        },
        _ => Outcome::LicenseStoreError,
    };
    let message = message.clone().unwrap_or_else(|| code.to_string());
    Error::reasoned(outcome, doing, message)
}

/// Gives the cause of SQLite's last failure by the system's last error: SQLite itself calls
/// everything but a full disk an I/O error, or a file that it can't open. None where that error
/// says nothing.
pub fn system_outcome() -> Option<Outcome> {
    let outcome = Outcome::of_system(Access::Write, last_errno()?);
    let is_telling = matches!(
        outcome,
        Outcome::AccessDenied
            | Outcome::DiskFull
            | Outcome::FileTooLarge
            | Outcome::OutOfMemory
            | Outcome::TooManyOpenFiles
            | Outcome::WriteFault
            | Outcome::WriteProtected
    );
    is_telling.then_some(outcome)
}

fn last_errno() -> Option<Errno> {
    Errno::from_io_error(&std::io::Error::last_os_error())
}

/// Gives the reason why SQLite could not read.
pub fn read_fault(system: Option<Outcome>) -> Outcome {
    match system {
        None | Some(Outcome::WriteFault) => Outcome::ReadFault,
        Some(outcome) => outcome,
    }
}

/// Tells whether SQLite failed at writing a file; the index of a log is no such file for it.
pub fn is_of_temporary_file(error: &rusqlite::Error) -> bool {
    let rusqlite::Error::SqliteFailure(code, _) = error else {
        return false;
    };
    code.code == ErrorCode::DiskFull
        || matches!(
            code.extended_code,
            ffi::SQLITE_IOERR_WRITE | ffi::SQLITE_IOERR_TRUNCATE | ffi::SQLITE_IOERR_GETTEMPPATH
        )
}

/// Makes the error of a database that is not at its path any more.
pub fn moved(path: &AnchoredPath) -> Error {
    let sentence = format!(
        "The database '{}' (StorePath) was moved away or replaced while it was in use. The database that is \
         there now does not have the licences: restore again.",
        path.display()
    );
    Error::new(Outcome::LicenseStoreError, sentence)
}

/// Finds out why SQLite could not open the database in `file` or the files beside it, or write
/// there; `system` is the system's error.
fn barred(file: &AnchoredPath, system: Option<Outcome>) -> Outcome {
    let directory = file.parent();
    let error = files::check_writable(file)
        .and_then(|()| files::check_writable(&directory))
        .and_then(|()| Dir::open(&directory).map(drop));
    error.map_or_else(
        |errno| Outcome::of_system(Access::Write, errno),
        |()| system.unwrap_or(Outcome::LicenseStoreError),
    )
}
