//! The restorer itself: made, waited for, cancelled, destroyed.

use std::ffi::c_char;
use std::sync::Arc;
use std::time::Duration;

use super::callback::{figures, is_inside_host};
use super::guard::{guard, keep_panics_quiet};
use super::handle::{self, on};
use super::hresult::{LICBAK_S_FALSE, LICBAK_S_OK, hresult_of};
use super::memory::{Buffer, give_beginning, not_null, write_struct};
use super::types::*;
use crate::engine::operation::OperationKind;
use crate::error::{Error, Outcome};

/// Makes a restorer. The original's WMCreateBackupRestorer.
///
/// @param restorer Receives the restorer; NULL on failure. licbak_destroy frees it.
/// @return LICBAK_S_OK; LICBAK_E_POINTER; LICBAK_E_OUTOFMEMORY.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn licbak_create(restorer: *mut *mut licbak_restorer) -> licbak_hresult {
    guard(|| {
        not_null(restorer)?;
        // SAFETY: not NULL, and so the host's to be written.
        unsafe { restorer.write_unaligned(std::ptr::null_mut()) };
        keep_panics_quiet();
        let handle = handle::insert(Arc::default())?;
        // SAFETY: as above.
        unsafe { restorer.write_unaligned(handle) };
        Ok(())
    })
}

/// Destroys a restorer. From the first moment of this call every other call on the restorer gets
/// LICBAK_E_HANDLE.
///
/// A running operation is cancelled. The call returns when all functions of the host that run for
/// this restorer have returned. Inside a function of the host the call returns at once; the end of
/// the operation is still told, and then everything is freed.
///
/// With LICBAK_CALL_IN_WAIT the call itself calls nothing, and the end is not told, so that a
/// finalizer may make it on any thread: to be told, cancel and wait first. A licbak_wait whose
/// function of the host makes this call lasts until the end has been told.
///
/// @return LICBAK_S_OK; LICBAK_E_HANDLE, also for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn licbak_destroy(restorer: *mut licbak_restorer) -> licbak_hresult {
    guard(|| {
        handle::remove(restorer)?.close(is_inside_host());
        Ok(())
    })
}

/// Cancels the operation that runs, of whatever kind.
///
/// The operation ends within the work on one licence, or when a system call or a function of the
/// host that blocks returns. Its outcome is then LICBAK_NS_E_DRM_OPERATION_CANCELED. A cancelled
/// operation leaves no file behind and an old backup untouched. A store keeps the licences that
/// were restored so far; a database keeps none. Of a restore that has written more than 10,000 files
/// beside a directory, a hidden folder may remain, which the next restore removes.
///
/// @return LICBAK_S_OK if the operation will be cancelled; LICBAK_S_FALSE if nothing runs, or it is
/// too late; LICBAK_E_HANDLE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn licbak_cancel(restorer: *mut licbak_restorer) -> licbak_hresult {
    cancel(restorer, None)
}

/// Cancels a backup as licbak_cancel does, and no other operation. The original's
/// IWMLicenseBackup::CancelLicenseBackup.
///
/// @return As licbak_cancel; LICBAK_S_FALSE also if another kind of operation runs.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn licbak_cancel_license_backup(
    restorer: *mut licbak_restorer,
) -> licbak_hresult {
    cancel(restorer, Some(OperationKind::Backup))
}

/// Cancels a restore as licbak_cancel does, and no other operation. The original's
/// IWMLicenseRestore::CancelLicenseRestore.
///
/// @return As licbak_cancel; LICBAK_S_FALSE also if another kind of operation runs.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn licbak_cancel_license_restore(
    restorer: *mut licbak_restorer,
) -> licbak_hresult {
    cancel(restorer, Some(OperationKind::Restore))
}

fn cancel(restorer: *mut licbak_restorer, kind: Option<OperationKind>) -> licbak_hresult {
    on(restorer, |restorer| {
        Ok(if restorer.cancel(kind) {
            LICBAK_S_OK
        } else {
            LICBAK_S_FALSE
        })
    })
}

/// Waits for the end of the operation that runs, until its last callback has returned.
///
/// If no operation runs, the call gives the outcome of the last one; before the first operation it
/// gives LICBAK_S_OK. The caller must not hold what the host's functions need, such as an
/// interpreter's lock, because these functions run on other threads during the wait.
///
/// An operation that was started with LICBAK_CALL_IN_WAIT calls the host's functions here, on this
/// thread; where several threads wait, one at a time does. What has become due when the time runs out
/// is still called, and a function of the host that is running then is not cut short; what becomes
/// due later waits for the next licbak_wait.
///
/// @param timeout_ms How many milliseconds to wait; LICBAK_WAIT_FOREVER for as long as it takes. 0
/// calls what was due at the call, and does not wait.
/// @param outcome Receives the operation's outcome, which is the hr of its
/// LICBAK_WMT_BACKUPRESTORE_END; may be NULL.
/// @return LICBAK_S_OK; LICBAK_S_FALSE if the time ran out, and then *outcome is not changed;
/// LICBAK_E_HANDLE, also when the restorer is destroyed during the wait;
/// LICBAK_E_ILLEGAL_METHOD_CALL inside a function of the host.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn licbak_wait(
    restorer: *mut licbak_restorer,
    timeout_ms: u32,
    outcome: *mut licbak_hresult,
) -> licbak_hresult {
    on(restorer, |restorer| {
        if is_inside_host() {
            return Err(Error::new(Outcome::IllegalCall, ""));
        }
        let timeout =
            (timeout_ms != LICBAK_WAIT_FOREVER).then(|| Duration::from_millis(timeout_ms.into()));
        let Some(ended) = restorer.wait(timeout)? else {
            return Ok(LICBAK_S_FALSE);
        };
        if !outcome.is_null() {
            // SAFETY: not NULL, and so the host's to be written.
            unsafe { outcome.write_unaligned(hresult_of(ended)) };
        }
        Ok(LICBAK_S_OK)
    })
}

/// Gives a descriptor that a host's event loop polls beside others. It can be read while an
/// operation with LICBAK_CALL_IN_WAIT has something due and nobody is calling the host: then
/// licbak_wait with 0 calls what is due, and gives the outcome once the end is told. With a NULL
/// status callback the end is due until a licbak_wait has given the outcome.
///
/// The host only polls it: it neither reads, writes nor closes it. It is the end of a pipe, is
/// closed when the process becomes another program, is made at the first call, and stays the same
/// until the restorer is destroyed.
///
/// @param descriptor Receives the descriptor.
/// @return LICBAK_S_OK; LICBAK_E_HANDLE; LICBAK_E_POINTER;
/// LICBAK_HRESULT_ERROR_TOO_MANY_OPEN_FILES; LICBAK_E_FAIL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn licbak_get_wait_descriptor(
    restorer: *mut licbak_restorer,
    descriptor: *mut isize,
) -> licbak_hresult {
    on(restorer, |restorer| {
        not_null(descriptor)?;
        let number = restorer.wait_descriptor()?;
        // SAFETY: not NULL, and so the host's to be written.
        unsafe { descriptor.write_unaligned(number) };
        Ok(())
    })
}

/// Tells the figures of the operation that runs; if none runs, those of the last one.
///
/// @param progress Receives the figures; struct_size must be set.
/// @return LICBAK_S_OK; LICBAK_E_HANDLE; LICBAK_E_POINTER; LICBAK_E_INVALIDARG if struct_size is
/// too small or too large.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn licbak_get_progress(
    restorer: *mut licbak_restorer,
    progress: *mut licbak_progress,
) -> licbak_hresult {
    on(restorer, |restorer| {
        not_null(progress)?;
        let of_size = |struct_size| {
            Ok(licbak_progress {
                struct_size,
                ..figures(&restorer.progress())
            })
        };
        // SAFETY: the host's struct, not NULL.
        unsafe { write_struct(progress, of_size) }
    })
}

/// The sentence about the last start, operation or reading (licbak_list_backup,
/// licbak_get_backup_info) of this restorer that failed. It is kept until the next start or
/// reading; "" if nothing has failed.
///
/// @param buffer Receives the text with its NUL; NULL to ask for its size.
/// @param size The buffer's size in bytes; receives the size of the text, NUL included.
/// @return LICBAK_S_OK; LICBAK_E_HANDLE; LICBAK_E_POINTER if size is NULL;
/// LICBAK_NS_E_DRM_BUFFER_TOO_SMALL: *size is set, and the buffer has as many whole characters as
/// fit into it, with a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn licbak_get_error_message(
    restorer: *mut licbak_restorer,
    buffer: *mut c_char,
    size: *mut usize,
) -> licbak_hresult {
    on(restorer, |restorer| {
        // SAFETY: the host's buffer and its size.
        let buffer = unsafe { Buffer::new(buffer.cast(), size) }?;
        give_beginning(buffer, &restorer.message())
    })
}
