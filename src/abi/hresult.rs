//! The one table of outcomes.
//!
//! The numbers never change, and none is used again. An outcome of the original has its name and
//! number; a Win32 error becomes an HRESULT as HRESULT_FROM_WIN32 makes it.

use std::ffi::{CStr, c_char};

use super::types::licbak_hresult;
use crate::engine::operation::progress::Done;
use crate::error::Outcome;

/// Success.
pub const LICBAK_S_OK: licbak_hresult = 0x0000_0000_u32 as licbak_hresult;
/// Success, with less done than asked for: the time ran out, there was nothing to cancel, or
/// licences were passed over, as LICBAK_KEEP_GOING asks.
pub const LICBAK_S_FALSE: licbak_hresult = 0x0000_0001_u32 as licbak_hresult;
/// Not implemented; from a status callback it counts as LICBAK_S_OK.
pub const LICBAK_E_NOTIMPL: licbak_hresult = 0x8000_4001_u32 as licbak_hresult;
/// A pointer that must not be NULL is NULL.
pub const LICBAK_E_POINTER: licbak_hresult = 0x8000_4003_u32 as licbak_hresult;
/// Aborted; never returned by this version.
pub const LICBAK_E_ABORT: licbak_hresult = 0x8000_4004_u32 as licbak_hresult;
/// A system error that has no code here; the error message has the system's words.
pub const LICBAK_E_FAIL: licbak_hresult = 0x8000_4005_u32 as licbak_hresult;
/// The call is not allowed inside a function of the host.
pub const LICBAK_E_ILLEGAL_METHOD_CALL: licbak_hresult = 0x8000_000E_u32 as licbak_hresult;
/// A bug of the library; the restorer stays usable.
pub const LICBAK_E_UNEXPECTED: licbak_hresult = 0x8000_FFFF_u32 as licbak_hresult;
/// No permission.
pub const LICBAK_E_ACCESSDENIED: licbak_hresult = 0x8007_0005_u32 as licbak_hresult;
/// The handle is no restorer, or the restorer has been destroyed.
pub const LICBAK_E_HANDLE: licbak_hresult = 0x8007_0006_u32 as licbak_hresult;
/// Memory ran out, or the system gave no thread. Trying again later makes sense.
pub const LICBAK_E_OUTOFMEMORY: licbak_hresult = 0x8007_000E_u32 as licbak_hresult;
/// An argument is wrong.
pub const LICBAK_E_INVALIDARG: licbak_hresult = 0x8007_0057_u32 as licbak_hresult;
/// The store can't be opened or read as a store of its kind.
pub const LICBAK_NS_E_DRM_LICENSE_STORE_ERROR: licbak_hresult = 0xC00D_2712_u32 as licbak_hresult;
/// The backup is of another machine, and the user has not consented to binding its licences to this
/// one. Restoring with LICBAK_WM_RESTORE_INDIVIDUALIZE says that the user has.
pub const LICBAK_NS_E_DRM_NEEDS_INDIVIDUALIZATION: licbak_hresult =
    0xC00D_2728_u32 as licbak_hresult;
/// There is a backup already, and the call did not ask to replace it.
pub const LICBAK_NS_E_DRM_BACKUP_EXISTS: licbak_hresult = 0xC00D_2742_u32 as licbak_hresult;
/// The backup is truncated or altered, or was not made by this library.
pub const LICBAK_NS_E_DRM_BACKUP_CORRUPT: licbak_hresult = 0xC00D_2743_u32 as licbak_hresult;
/// Another operation is running on this restorer. Trying again after its end makes sense.
pub const LICBAK_NS_E_DRM_BACKUPRESTORE_BUSY: licbak_hresult = 0xC00D_2744_u32 as licbak_hresult;
/// A property that the call needs is not set.
pub const LICBAK_NS_E_DRM_INVALID_PROPERTY: licbak_hresult = 0xC00D_2749_u32 as licbak_hresult;
/// For a host's authorizer: the licences have been restored too often, or on too many machines.
pub const LICBAK_NS_E_DRM_RESTORE_FRAUD: licbak_hresult = 0xC00D_2753_u32 as licbak_hresult;
/// The buffer is too small. The size has been set to the one that is needed.
pub const LICBAK_NS_E_DRM_BUFFER_TOO_SMALL: licbak_hresult = 0xC00D_275C_u32 as licbak_hresult;
/// There is no property of this name.
pub const LICBAK_NS_E_DRM_UNSUPPORTED_PROPERTY: licbak_hresult = 0xC00D_275D_u32 as licbak_hresult;
/// The host has cancelled the operation.
pub const LICBAK_NS_E_DRM_OPERATION_CANCELED: licbak_hresult = 0xC00D_2768_u32 as licbak_hresult;
/// For a host's authorizer: the service that it asks can't be reached.
pub const LICBAK_NS_E_DRM_RESTORE_SERVICE_UNAVAILABLE: licbak_hresult =
    0xC00D_2846_u32 as licbak_hresult;
/// There is no backup in RestorePath.
pub const LICBAK_HRESULT_ERROR_FILE_NOT_FOUND: licbak_hresult = 0x8007_0002_u32 as licbak_hresult;
/// A directory is missing.
pub const LICBAK_HRESULT_ERROR_PATH_NOT_FOUND: licbak_hresult = 0x8007_0003_u32 as licbak_hresult;
/// Too many files are open. Trying again later makes sense.
pub const LICBAK_HRESULT_ERROR_TOO_MANY_OPEN_FILES: licbak_hresult =
    0x8007_0004_u32 as licbak_hresult;
/// The file system is read-only.
pub const LICBAK_HRESULT_ERROR_WRITE_PROTECT: licbak_hresult = 0x8007_0013_u32 as licbak_hresult;
/// Writing failed, or bringing the written data to the disk.
pub const LICBAK_HRESULT_ERROR_WRITE_FAULT: licbak_hresult = 0x8007_001D_u32 as licbak_hresult;
/// Reading failed.
pub const LICBAK_HRESULT_ERROR_READ_FAULT: licbak_hresult = 0x8007_001E_u32 as licbak_hresult;
/// A licence or the store changes again and again. Trying again later makes sense.
pub const LICBAK_HRESULT_ERROR_SHARING_VIOLATION: licbak_hresult =
    0x8007_0020_u32 as licbak_hresult;
/// A database or a directory was locked for too long. Trying again later makes sense.
pub const LICBAK_HRESULT_ERROR_LOCK_VIOLATION: licbak_hresult = 0x8007_0021_u32 as licbak_hresult;
/// The file system, the store or this version does not support the operation.
pub const LICBAK_HRESULT_ERROR_NOT_SUPPORTED: licbak_hresult = 0x8007_0032_u32 as licbak_hresult;
/// The disk or the quota is full.
pub const LICBAK_HRESULT_ERROR_DISK_FULL: licbak_hresult = 0x8007_0070_u32 as licbak_hresult;
/// A name can't be kept in a backup or in the store.
pub const LICBAK_HRESULT_ERROR_INVALID_NAME: licbak_hresult = 0x8007_007B_u32 as licbak_hresult;
/// A store has the same name twice, or a directory a backup of each kind.
pub const LICBAK_HRESULT_ERROR_ALREADY_EXISTS: licbak_hresult = 0x8007_00B7_u32 as licbak_hresult;
/// A licence is larger than 16 MiB, or a file would be larger than the process's limit.
pub const LICBAK_HRESULT_ERROR_FILE_TOO_LARGE: licbak_hresult = 0x8007_00DF_u32 as licbak_hresult;
/// A path that must be a directory is something else.
pub const LICBAK_HRESULT_ERROR_DIRECTORY: licbak_hresult = 0x8007_010B_u32 as licbak_hresult;
/// No licence has this key ID.
pub const LICBAK_HRESULT_ERROR_NOT_FOUND: licbak_hresult = 0x8007_0490_u32 as licbak_hresult;
/// The object store can't be reached, or does not work.
pub const LICBAK_HRESULT_ERROR_HOST_UNREACHABLE: licbak_hresult = 0x8007_04D0_u32 as licbak_hresult;
/// The backup has a later major version of the format.
pub const LICBAK_HRESULT_ERROR_REVISION_MISMATCH: licbak_hresult =
    0x8007_051A_u32 as licbak_hresult;
/// The object store does not answer.
pub const LICBAK_HRESULT_ERROR_TIMEOUT: licbak_hresult = 0x8007_05B4_u32 as licbak_hresult;
/// There is nothing to back up; an old backup stays.
pub const LICBAK_HRESULT_ERROR_EMPTY: licbak_hresult = 0x8007_10D2_u32 as licbak_hresult;
/// No key that is set opens the encrypted backup, or what holds its own key has been altered; or keys
/// are set, and the backup is not encrypted.
pub const LICBAK_HRESULT_ERROR_DECRYPTION_FAILED: licbak_hresult =
    0x8007_1771_u32 as licbak_hresult;

/// Every outcome with its name and a sentence about it.
const TABLE: [(licbak_hresult, &CStr, &CStr); 43] = [
    (LICBAK_S_OK, c"LICBAK_S_OK", c"Done."),
    (
        LICBAK_S_FALSE,
        c"LICBAK_S_FALSE",
        c"Less was done than asked for.",
    ),
    (
        LICBAK_E_NOTIMPL,
        c"LICBAK_E_NOTIMPL",
        c"This is not implemented.",
    ),
    (
        LICBAK_E_POINTER,
        c"LICBAK_E_POINTER",
        c"A pointer that must not be NULL is NULL.",
    ),
    (
        LICBAK_E_ABORT,
        c"LICBAK_E_ABORT",
        c"The operation was aborted.",
    ),
    (
        LICBAK_E_FAIL,
        c"LICBAK_E_FAIL",
        c"The system reported an error; the error message has its words.",
    ),
    (
        LICBAK_E_ILLEGAL_METHOD_CALL,
        c"LICBAK_E_ILLEGAL_METHOD_CALL",
        c"This can't be called inside a function that the library has called.",
    ),
    (
        LICBAK_E_UNEXPECTED,
        c"LICBAK_E_UNEXPECTED",
        c"An internal error of licbak. Please report it.",
    ),
    (
        LICBAK_E_ACCESSDENIED,
        c"LICBAK_E_ACCESSDENIED",
        c"The user has no permission for this file or directory.",
    ),
    (
        LICBAK_E_HANDLE,
        c"LICBAK_E_HANDLE",
        c"This is no backup restorer, or it has been destroyed.",
    ),
    (
        LICBAK_E_OUTOFMEMORY,
        c"LICBAK_E_OUTOFMEMORY",
        c"There is not enough memory, or the system gives no thread.",
    ),
    (
        LICBAK_E_INVALIDARG,
        c"LICBAK_E_INVALIDARG",
        c"An argument is wrong.",
    ),
    (
        LICBAK_NS_E_DRM_LICENSE_STORE_ERROR,
        c"LICBAK_NS_E_DRM_LICENSE_STORE_ERROR",
        c"The licence store can't be read.",
    ),
    (
        LICBAK_NS_E_DRM_NEEDS_INDIVIDUALIZATION,
        c"LICBAK_NS_E_DRM_NEEDS_INDIVIDUALIZATION",
        c"The machine must be individualized first.",
    ),
    (
        LICBAK_NS_E_DRM_BACKUP_EXISTS,
        c"LICBAK_NS_E_DRM_BACKUP_EXISTS",
        c"There is a backup already; it is replaced only on request.",
    ),
    (
        LICBAK_NS_E_DRM_BACKUP_CORRUPT,
        c"LICBAK_NS_E_DRM_BACKUP_CORRUPT",
        c"The backup is damaged.",
    ),
    (
        LICBAK_NS_E_DRM_BACKUPRESTORE_BUSY,
        c"LICBAK_NS_E_DRM_BACKUPRESTORE_BUSY",
        c"Another operation is running on this restorer.",
    ),
    (
        LICBAK_NS_E_DRM_INVALID_PROPERTY,
        c"LICBAK_NS_E_DRM_INVALID_PROPERTY",
        c"A property that this call needs is not set.",
    ),
    (
        LICBAK_NS_E_DRM_RESTORE_FRAUD,
        c"LICBAK_NS_E_DRM_RESTORE_FRAUD",
        c"The licences have been restored on too many machines.",
    ),
    (
        LICBAK_NS_E_DRM_BUFFER_TOO_SMALL,
        c"LICBAK_NS_E_DRM_BUFFER_TOO_SMALL",
        c"The buffer is too small.",
    ),
    (
        LICBAK_NS_E_DRM_UNSUPPORTED_PROPERTY,
        c"LICBAK_NS_E_DRM_UNSUPPORTED_PROPERTY",
        c"There is no property of this name.",
    ),
    (
        LICBAK_NS_E_DRM_OPERATION_CANCELED,
        c"LICBAK_NS_E_DRM_OPERATION_CANCELED",
        c"The operation was cancelled.",
    ),
    (
        LICBAK_NS_E_DRM_RESTORE_SERVICE_UNAVAILABLE,
        c"LICBAK_NS_E_DRM_RESTORE_SERVICE_UNAVAILABLE",
        c"The restore service can't be reached.",
    ),
    (
        LICBAK_HRESULT_ERROR_FILE_NOT_FOUND,
        c"LICBAK_HRESULT_ERROR_FILE_NOT_FOUND",
        c"There is no backup.",
    ),
    (
        LICBAK_HRESULT_ERROR_PATH_NOT_FOUND,
        c"LICBAK_HRESULT_ERROR_PATH_NOT_FOUND",
        c"A directory does not exist.",
    ),
    (
        LICBAK_HRESULT_ERROR_TOO_MANY_OPEN_FILES,
        c"LICBAK_HRESULT_ERROR_TOO_MANY_OPEN_FILES",
        c"Too many files are open.",
    ),
    (
        LICBAK_HRESULT_ERROR_WRITE_PROTECT,
        c"LICBAK_HRESULT_ERROR_WRITE_PROTECT",
        c"The file system is read-only.",
    ),
    (
        LICBAK_HRESULT_ERROR_WRITE_FAULT,
        c"LICBAK_HRESULT_ERROR_WRITE_FAULT",
        c"The disk could not be written to.",
    ),
    (
        LICBAK_HRESULT_ERROR_READ_FAULT,
        c"LICBAK_HRESULT_ERROR_READ_FAULT",
        c"The disk could not be read.",
    ),
    (
        LICBAK_HRESULT_ERROR_SHARING_VIOLATION,
        c"LICBAK_HRESULT_ERROR_SHARING_VIOLATION",
        c"The licences are being changed by another program.",
    ),
    (
        LICBAK_HRESULT_ERROR_LOCK_VIOLATION,
        c"LICBAK_HRESULT_ERROR_LOCK_VIOLATION",
        c"A database or a directory is locked by another program.",
    ),
    (
        LICBAK_HRESULT_ERROR_NOT_SUPPORTED,
        c"LICBAK_HRESULT_ERROR_NOT_SUPPORTED",
        c"This is not supported here.",
    ),
    (
        LICBAK_HRESULT_ERROR_DISK_FULL,
        c"LICBAK_HRESULT_ERROR_DISK_FULL",
        c"The disk is full.",
    ),
    (
        LICBAK_HRESULT_ERROR_INVALID_NAME,
        c"LICBAK_HRESULT_ERROR_INVALID_NAME",
        c"A licence has a name that can't be kept.",
    ),
    (
        LICBAK_HRESULT_ERROR_ALREADY_EXISTS,
        c"LICBAK_HRESULT_ERROR_ALREADY_EXISTS",
        c"A licence's name, or a backup, exists twice.",
    ),
    (
        LICBAK_HRESULT_ERROR_FILE_TOO_LARGE,
        c"LICBAK_HRESULT_ERROR_FILE_TOO_LARGE",
        c"A licence or file is too large.",
    ),
    (
        LICBAK_HRESULT_ERROR_DIRECTORY,
        c"LICBAK_HRESULT_ERROR_DIRECTORY",
        c"This is not a directory.",
    ),
    (
        LICBAK_HRESULT_ERROR_NOT_FOUND,
        c"LICBAK_HRESULT_ERROR_NOT_FOUND",
        c"No licence has this key ID.",
    ),
    (
        LICBAK_HRESULT_ERROR_HOST_UNREACHABLE,
        c"LICBAK_HRESULT_ERROR_HOST_UNREACHABLE",
        c"The object store can't be reached, or does not work.",
    ),
    (
        LICBAK_HRESULT_ERROR_REVISION_MISMATCH,
        c"LICBAK_HRESULT_ERROR_REVISION_MISMATCH",
        c"The backup was made by a later version of licbak.",
    ),
    (
        LICBAK_HRESULT_ERROR_TIMEOUT,
        c"LICBAK_HRESULT_ERROR_TIMEOUT",
        c"The object store does not answer.",
    ),
    (
        LICBAK_HRESULT_ERROR_EMPTY,
        c"LICBAK_HRESULT_ERROR_EMPTY",
        c"There is nothing to back up.",
    ),
    (
        LICBAK_HRESULT_ERROR_DECRYPTION_FAILED,
        c"LICBAK_HRESULT_ERROR_DECRYPTION_FAILED",
        c"No key that is set opens the backup.",
    ),
];

/// The HRESULT of an operation that has ended.
pub(super) fn hresult_of(ended: Result<Done, Outcome>) -> licbak_hresult {
    match ended {
        Ok(Done::All) => LICBAK_S_OK,
        Ok(Done::Less) => LICBAK_S_FALSE,
        Err(outcome) => hresult(outcome),
    }
}

/// The HRESULT of an outcome.
pub(super) fn hresult(outcome: Outcome) -> licbak_hresult {
    match outcome {
        Outcome::Host(code) => code,
        Outcome::AccessDenied => LICBAK_E_ACCESSDENIED,
        Outcome::AlreadyExists => LICBAK_HRESULT_ERROR_ALREADY_EXISTS,
        Outcome::BackupCorrupt => LICBAK_NS_E_DRM_BACKUP_CORRUPT,
        Outcome::BackupExists => LICBAK_NS_E_DRM_BACKUP_EXISTS,
        Outcome::BufferTooSmall => LICBAK_NS_E_DRM_BUFFER_TOO_SMALL,
        Outcome::Busy => LICBAK_NS_E_DRM_BACKUPRESTORE_BUSY,
        Outcome::Canceled => LICBAK_NS_E_DRM_OPERATION_CANCELED,
        Outcome::DecryptionFailed => LICBAK_HRESULT_ERROR_DECRYPTION_FAILED,
        Outcome::DiskFull => LICBAK_HRESULT_ERROR_DISK_FULL,
        Outcome::Empty => LICBAK_HRESULT_ERROR_EMPTY,
        Outcome::Fail => LICBAK_E_FAIL,
        Outcome::FileNotFound => LICBAK_HRESULT_ERROR_FILE_NOT_FOUND,
        Outcome::FileTooLarge => LICBAK_HRESULT_ERROR_FILE_TOO_LARGE,
        Outcome::Handle => LICBAK_E_HANDLE,
        Outcome::HostUnreachable => LICBAK_HRESULT_ERROR_HOST_UNREACHABLE,
        Outcome::IllegalCall => LICBAK_E_ILLEGAL_METHOD_CALL,
        Outcome::InvalidArgument => LICBAK_E_INVALIDARG,
        Outcome::InvalidName => LICBAK_HRESULT_ERROR_INVALID_NAME,
        Outcome::InvalidProperty => LICBAK_NS_E_DRM_INVALID_PROPERTY,
        Outcome::LicenseStoreError => LICBAK_NS_E_DRM_LICENSE_STORE_ERROR,
        Outcome::LockViolation => LICBAK_HRESULT_ERROR_LOCK_VIOLATION,
        Outcome::NeedsIndividualization => LICBAK_NS_E_DRM_NEEDS_INDIVIDUALIZATION,
        Outcome::NotFound => LICBAK_HRESULT_ERROR_NOT_FOUND,
        Outcome::NotImplemented => LICBAK_E_NOTIMPL,
        Outcome::NotADirectory => LICBAK_HRESULT_ERROR_DIRECTORY,
        Outcome::NotSupported => LICBAK_HRESULT_ERROR_NOT_SUPPORTED,
        Outcome::OutOfMemory => LICBAK_E_OUTOFMEMORY,
        Outcome::PathNotFound => LICBAK_HRESULT_ERROR_PATH_NOT_FOUND,
        Outcome::Pointer => LICBAK_E_POINTER,
        Outcome::ReadFault => LICBAK_HRESULT_ERROR_READ_FAULT,
        Outcome::RevisionMismatch => LICBAK_HRESULT_ERROR_REVISION_MISMATCH,
        Outcome::SharingViolation => LICBAK_HRESULT_ERROR_SHARING_VIOLATION,
        Outcome::Timeout => LICBAK_HRESULT_ERROR_TIMEOUT,
        Outcome::TooManyOpenFiles => LICBAK_HRESULT_ERROR_TOO_MANY_OPEN_FILES,
        Outcome::Unexpected => LICBAK_E_UNEXPECTED,
        Outcome::UnsupportedProperty => LICBAK_NS_E_DRM_UNSUPPORTED_PROPERTY,
        Outcome::WriteFault => LICBAK_HRESULT_ERROR_WRITE_FAULT,
        Outcome::WriteProtected => LICBAK_HRESULT_ERROR_WRITE_PROTECT,
    }
}

fn find(hr: licbak_hresult) -> Option<(&'static CStr, &'static CStr)> {
    TABLE
        .iter()
        .find(|(code, ..)| *code == hr)
        .map(|(_, name, message)| (*name, *message))
}

/// The name of an outcome in brackets, to be put behind its number; empty for a code that this
/// library does not have.
pub(super) fn name_of(hr: licbak_hresult) -> String {
    let name = find(hr).and_then(|(name, _)| name.to_str().ok());
    name.map_or_else(String::new, |name| format!(" ({name})"))
}

/// The sentence about an outcome, to be put behind another; empty for a code that this library does
/// not have.
pub(super) fn message_of(hr: licbak_hresult) -> String {
    let message = find(hr).and_then(|(_, message)| message.to_str().ok());
    message.map_or_else(String::new, |message| format!(" {message}"))
}

/// The name of an outcome, for logs.
///
/// @return "LICBAK_NS_E_DRM_BACKUP_EXISTS" and the like; "" for a code that this library does not
/// have. The text is static.
#[unsafe(no_mangle)]
pub extern "C" fn licbak_hresult_name(hr: licbak_hresult) -> *const c_char {
    find(hr).map_or(c"", |(name, _)| name).as_ptr()
}

/// A sentence about what an outcome means in general. licbak_get_error_message tells what happened.
///
/// @return The sentence; "" for a code that this library does not have. The text is static.
#[unsafe(no_mangle)]
pub extern "C" fn licbak_hresult_message(hr: licbak_hresult) -> *const c_char {
    find(hr).map_or(c"", |(_, message)| message).as_ptr()
}
