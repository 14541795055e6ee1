//! Looking at a backup without restoring it.

use std::ffi::c_void;

use super::callback::{LicenseCallback, StatusCallback};
use super::handle::attempt;
use super::memory::check_flags;
use super::types::*;
use crate::engine::operation::OperationKind;
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
/// @param flags 0.
/// @param callback Is told the events of the operation.
/// @param context Is given to the callback; must live until the end has been told.
/// @return As licbak_restore_licenses.
///
/// Outcomes, told by the end: LICBAK_S_OK; LICBAK_NS_E_DRM_OPERATION_CANCELED; the callback's own
/// failure; LICBAK_NS_E_DRM_BACKUP_CORRUPT; LICBAK_HRESULT_ERROR_REVISION_MISMATCH;
/// LICBAK_HRESULT_ERROR_FILE_NOT_FOUND, _PATH_NOT_FOUND, _DIRECTORY, _READ_FAULT,
/// _TOO_MANY_OPEN_FILES; LICBAK_E_ACCESSDENIED; LICBAK_E_OUTOFMEMORY; LICBAK_E_UNEXPECTED;
/// LICBAK_E_FAIL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn licbak_verify_backup(
    restorer: *mut licbak_restorer,
    flags: u32,
    callback: licbak_status_callback,
    context: *mut c_void,
) -> licbak_hresult {
    attempt(restorer, |restorer| {
        check_flags(flags, 0, "a verification", "none")?;
        let listener = StatusCallback::new(callback, context)?;
        restorer.start(OperationKind::Verify, listener, plan)
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
            .list(|properties, check| list(properties, check, |license| callback.call(&license)))
    })
}
