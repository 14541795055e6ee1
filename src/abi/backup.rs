//! Backing licences up. The original's IWMLicenseBackup.

use std::ffi::c_void;

use super::callback::StatusCallback;
use super::handle::attempt;
use super::memory::{check_flags, invalid};
use super::types::*;
use crate::engine::backup::{Options, plan};
use crate::engine::operation::OperationKind;
use crate::error::Result;

/// Starts to save copies of all licences of the store into the file licenses.tar.zst in BackupPath.
/// The original's IWMLicenseBackup::BackupLicenses.
///
/// The file appears whole or not at all: whatever stops the process or the machine, the old backup
/// or the new one is there. LICBAK_S_OK at the end means that the backup is on the disk. Only its
/// owner can read the file.
///
/// A backup never silently lacks a licence. A licence that can't be read makes the backup fail. A
/// licence that was in the store all the time is in the backup, even if files were renamed
/// meanwhile. Licences whose issuer denies backup are left out and told
/// (LICBAK_WMT_RESTRICTED_LICENSE). Left out and told, too, are the backups of licbak that lie in the
/// store, links, special files, and names that begin with a dot (LICBAK_STATUS_LICENSE_LEFT_OUT).
///
/// With LICBAK_KEEP_GOING, what can't be read or kept is passed over instead: a licence or a folder
/// that permissions, a read error, its name, its size or its movement keep from being backed up.
/// Each is told (LICBAK_STATUS_LICENSE_LEFT_OUT) and counted (licenses_skipped; a folder counts as
/// one), and the outcome is LICBAK_S_FALSE. If nothing else is left to save, the first of these
/// failures is the outcome. The flag does not go with LICBAK_WM_BACKUP_OVERWRITE: what the old
/// backup still has must not be lost to it.
///
/// LICBAK_WM_BACKUP_OVERWRITE replaces the backup that is there at the call, and none that comes
/// later. If nothing in the store has changed since that backup, and the backup is whole, the
/// backup stays as it is. licenses_gone of the last figures tells how many licences of the old
/// backup are not in the store any more.
///
/// A relative path means the directory that is current in this call.
///
/// @param restorer The restorer. StorePath or a store of the host's own must be set, and BackupPath
/// except with LICBAK_DRY_RUN.
/// @param flags LICBAK_WM_BACKUP_OVERWRITE, LICBAK_BACKUP_FULL, LICBAK_DRY_RUN, LICBAK_KEEP_GOING,
/// LICBAK_CALL_IN_WAIT, or 0.
/// @param callback Is told the events of the operation; NULL only with LICBAK_CALL_IN_WAIT.
/// @param context Is given to the callback; must live until the end has been told.
/// @return LICBAK_S_OK: the operation has begun, and its end will be told. With any other code
/// nothing has begun and nothing is told: LICBAK_E_HANDLE; LICBAK_E_INVALIDARG for another flag,
/// LICBAK_KEEP_GOING with LICBAK_WM_BACKUP_OVERWRITE, or a NULL callback without
/// LICBAK_CALL_IN_WAIT; LICBAK_NS_E_DRM_BACKUPRESTORE_BUSY; LICBAK_NS_E_DRM_INVALID_PROPERTY if a
/// property is missing or empty; LICBAK_E_NOTIMPL if the host's store has no enumerate;
/// LICBAK_NS_E_DRM_BACKUP_EXISTS if there is a backup in a directory and neither
/// LICBAK_WM_BACKUP_OVERWRITE nor LICBAK_DRY_RUN; LICBAK_E_OUTOFMEMORY.
///
/// Outcomes, told by the end: LICBAK_S_OK; LICBAK_S_FALSE: licences were passed over, as
/// LICBAK_KEEP_GOING asks; LICBAK_NS_E_DRM_OPERATION_CANCELED; the callback's own
/// failure; LICBAK_HRESULT_ERROR_EMPTY: there is nothing to save, and an old backup stays;
/// LICBAK_NS_E_DRM_BACKUP_EXISTS: another process has put a backup there meanwhile, which is kept,
/// or the backup's name is that of a folder, a FIFO, a socket or a device;
/// LICBAK_HRESULT_ERROR_PATH_NOT_FOUND, _DIRECTORY for BackupPath or StorePath;
/// LICBAK_E_ACCESSDENIED; LICBAK_HRESULT_ERROR_WRITE_PROTECT, _DISK_FULL, _READ_FAULT,
/// _WRITE_FAULT, _TOO_MANY_OPEN_FILES; LICBAK_HRESULT_ERROR_FILE_TOO_LARGE: a licence is over 16
/// MiB, or the backup is over the process's limit on file sizes;
/// LICBAK_HRESULT_ERROR_INVALID_NAME: a name can't be kept; LICBAK_HRESULT_ERROR_SHARING_VIOLATION:
/// the store or a licence did not hold still for 5 s; LICBAK_HRESULT_ERROR_LOCK_VIOLATION:
/// BackupPath was locked for over 5 s; LICBAK_HRESULT_ERROR_NOT_SUPPORTED: the file system can't
/// name a file without the risk of replacing another; LICBAK_E_OUTOFMEMORY; LICBAK_E_UNEXPECTED;
/// LICBAK_E_FAIL.
///
/// From a database also: LICBAK_NS_E_DRM_LICENSE_STORE_ERROR: it is damaged, or a row is no
/// licence; LICBAK_HRESULT_ERROR_LOCK_VIOLATION: it was locked for over 5 s;
/// LICBAK_HRESULT_ERROR_ALREADY_EXISTS: a view has a name twice. From a store of the host's own
/// also: LICBAK_HRESULT_ERROR_ALREADY_EXISTS: a name comes twice; LICBAK_E_POINTER,
/// LICBAK_E_INVALIDARG: what was emitted is no licence; and the failures of its functions.
///
/// To object storage also: LICBAK_NS_E_DRM_BACKUP_EXISTS: there is a backup, which shows only when
/// the store is asked, or another host was faster; LICBAK_E_ACCESSDENIED: the store does not allow
/// it or does not know the key, or its clock is another; LICBAK_HRESULT_ERROR_PATH_NOT_FOUND: there
/// is no such bucket; LICBAK_E_INVALIDARG: the bucket is in another region or not at this endpoint;
/// LICBAK_HRESULT_ERROR_HOST_UNREACHABLE, _TIMEOUT: the store can't be reached or does not work, or
/// does not answer, for a minute; LICBAK_HRESULT_ERROR_NOT_SUPPORTED: the store refuses the
/// conditions, or gives no parts of objects; LICBAK_HRESULT_ERROR_SHARING_VIOLATION: the old backup
/// was replaced while it was read, or somebody has dropped the upload;
/// LICBAK_HRESULT_ERROR_DISK_FULL, _FILE_TOO_LARGE: the store has no room, or takes nothing as
/// large. What waits lies in the system's folder for temporary files then, whose failures come with
/// their codes and its name.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn licbak_backup_licenses(
    restorer: *mut licbak_restorer,
    flags: u32,
    callback: licbak_status_callback,
    context: *mut c_void,
) -> licbak_hresult {
    attempt(restorer, |restorer| {
        let options = options(flags)?;
        let listening = StatusCallback::listening(flags, callback, context)?;
        restorer.start(OperationKind::Backup, listening, |settings| {
            plan(settings, options)
        })
    })
}

fn options(flags: u32) -> Result<Options> {
    const KNOWN: u32 = LICBAK_WM_BACKUP_OVERWRITE
        | LICBAK_BACKUP_FULL
        | LICBAK_DRY_RUN
        | LICBAK_KEEP_GOING
        | LICBAK_CALL_IN_WAIT;
    const NAMES: &str = "LICBAK_WM_BACKUP_OVERWRITE, LICBAK_BACKUP_FULL, LICBAK_DRY_RUN, \
                         LICBAK_KEEP_GOING and LICBAK_CALL_IN_WAIT";
    const EITHER: u32 = LICBAK_KEEP_GOING | LICBAK_WM_BACKUP_OVERWRITE;
    check_flags(flags, KNOWN, "a backup", NAMES)?;
    if flags & EITHER == EITHER {
        return Err(invalid(
            "LICBAK_KEEP_GOING does not go with LICBAK_WM_BACKUP_OVERWRITE: the old backup may have what would be \
             passed over. Keep going into another directory, or replace the backup by one that is whole.",
        ));
    }
    Ok(Options {
        overwrite: flags & LICBAK_WM_BACKUP_OVERWRITE != 0,
        dry_run: flags & LICBAK_DRY_RUN != 0,
        full: flags & LICBAK_BACKUP_FULL != 0,
        keep_going: flags & LICBAK_KEEP_GOING != 0,
    })
}
