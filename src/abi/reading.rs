//! Looking at a backup without restoring it.

use std::ffi::{c_char, c_void};

use super::callback::{LicenseCallback, StatusCallback};
use super::handle::attempt;
use super::memory::{check_flags, not_null, write_struct};
use super::types::*;
use crate::engine::operation::OperationKind;
use crate::engine::reading::info::{Info, Machine, info};
use crate::engine::reading::list::list;
use crate::engine::reading::verify::plan;

/// Starts to verify the backup in RestorePath. Every byte is read, every digest is compared, and
/// all lists of the backup must name the same licences.
///
/// Each damaged licence is told (LICBAK_STATUS_LICENSE_DAMAGED), and the others are checked all the
/// same. A backup shows damage; tampering shows only to someone who keeps the file's digest
/// elsewhere.
///
/// @param restorer The restorer; RestorePath must be set.
/// @param flags LICBAK_CALL_IN_WAIT, or 0.
/// @param callback Is told the events of the operation; NULL only with LICBAK_CALL_IN_WAIT.
/// @param context Is given to the callback; must live until the end has been told.
/// @return As licbak_restore_licenses.
///
/// Outcomes, told by the end: LICBAK_S_OK; LICBAK_NS_E_DRM_OPERATION_CANCELED; the callback's own
/// failure; LICBAK_NS_E_DRM_BACKUP_CORRUPT; LICBAK_HRESULT_ERROR_REVISION_MISMATCH;
/// LICBAK_HRESULT_ERROR_FILE_NOT_FOUND, _PATH_NOT_FOUND, _DIRECTORY, _READ_FAULT,
/// _TOO_MANY_OPEN_FILES; LICBAK_E_ACCESSDENIED; LICBAK_E_OUTOFMEMORY; LICBAK_E_UNEXPECTED;
/// LICBAK_E_FAIL; from object storage also those that licbak_restore_licenses names.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn licbak_verify_backup(
    restorer: *mut licbak_restorer,
    flags: u32,
    callback: licbak_status_callback,
    context: *mut c_void,
) -> licbak_hresult {
    attempt(restorer, |restorer| {
        check_flags(
            flags,
            LICBAK_CALL_IN_WAIT,
            "a verification",
            "LICBAK_CALL_IN_WAIT",
        )?;
        let listening = StatusCallback::listening(flags, callback, context)?;
        restorer.start(OperationKind::Verify, listening, plan)
    })
}

/// Lists the licences of the backup in RestorePath, on the calling thread, in the backup's order. A
/// list is not an operation: it is allowed at any time, also while an operation runs and inside
/// callbacks.
///
/// @param restorer The restorer; RestorePath must be set.
/// @param callback Is given each licence; content is NULL, content_size is its size.
/// @param context Is given to the callback.
/// @return LICBAK_S_OK when all licences have been listed; LICBAK_E_HANDLE, also when the restorer
/// is destroyed meanwhile; LICBAK_E_INVALIDARG for a NULL callback;
/// LICBAK_NS_E_DRM_INVALID_PROPERTY; the callback's own failure; and the outcomes of
/// licbak_verify_backup.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn licbak_list_backup(
    restorer: *mut licbak_restorer,
    callback: licbak_license_callback,
    context: *mut c_void,
) -> licbak_hresult {
    attempt(restorer, |restorer| {
        let mut callback = LicenseCallback::new(callback, context)?;
        restorer
            .read(|properties, check| list(properties, check, |license| callback.call(&license)))
    })
}

/// Tells what the backup in RestorePath says about itself: when it was made, its ID and generation,
/// its machine, and how much it holds. It reads only the end of the file, and is quick; what else
/// is in the file, licbak_verify_backup checks.
///
/// Each backup has a random ID, which the backups that replace it keep, and a generation one above
/// that of the backup that it replaces. If that one can't be read, the new backup has a new ID and
/// generation 1. A backup that finds nothing changed writes nothing, and both stay. So a host
/// that remembers the highest generation of an ID notices an older backup.
///
/// The call is not an operation: it is allowed at any time, also while an operation runs and inside
/// callbacks. It works on the calling thread.
///
/// @param restorer The restorer; RestorePath must be set. The machine is told beside MachineId as
/// it is set now.
/// @param info Receives the facts; struct_size must be set.
/// @return LICBAK_S_OK; LICBAK_E_HANDLE, also when the restorer is destroyed meanwhile;
/// LICBAK_E_POINTER; LICBAK_E_INVALIDARG if struct_size is too small or too large;
/// LICBAK_NS_E_DRM_INVALID_PROPERTY; and the failures of licbak_verify_backup, but for those of a
/// callback.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn licbak_get_backup_info(
    restorer: *mut licbak_restorer,
    info: *mut licbak_backup_info,
) -> licbak_hresult {
    attempt(restorer, |restorer| {
        not_null(info)?;
        let of_size = |struct_size| Ok(facts(&restorer.read(self::info)?, struct_size));
        // SAFETY: the host's struct, not NULL.
        unsafe { write_struct(info, of_size) }
    })
}

/// The facts about a backup as the host sees them.
pub(super) fn facts(info: &Info, struct_size: usize) -> licbak_backup_info {
    let [version_major, version_minor] = info
        .version
        .map(|number| u32::try_from(number).unwrap_or(u32::MAX));
    let mut id = [0; 33];
    for (digit, of_id) in id.iter_mut().zip(info.id) {
        *digit = of_id as c_char;
    }
    licbak_backup_info {
        struct_size,
        created: info.created,
        generation: info.generation,
        licenses: info.licenses,
        restricted: info.restricted,
        content_bytes: info.content_bytes,
        backup_bytes: info.backup_bytes,
        version_major,
        version_minor,
        machine: match info.machine {
            Machine::Unknown => LICBAK_MACHINE_UNKNOWN,
            Machine::Same => LICBAK_MACHINE_SAME,
            Machine::Other => LICBAK_MACHINE_OTHER,
        },
        encrypted: u32::from(info.is_encrypted),
        id,
        reserved: [0; 7],
    }
}
