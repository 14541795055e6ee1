//! Restoring licences. The original's IWMLicenseRestore.

use std::ffi::{c_char, c_void};

use super::callback::StatusCallback;
use super::handle::attempt;
use super::memory::{check_flags, invalid, text, utf8};
use super::types::*;
use crate::engine::operation::OperationKind;
use crate::engine::restore::{Options, plan};
use crate::error::Result;
use crate::license::name::is_key_id;

/// Starts to restore all licences of the backup in RestorePath into the store. The original's
/// IWMLicenseRestore::RestoreLicenses.
///
/// The restore first checks the whole backup, and writes the licences beside the store. A damaged
/// backup leaves the store as it was. Then it takes licence by licence. A licence that the store
/// lacks is moved into its place. A licence that the store has already is left alone. Where the
/// store has another version of a licence, the store's version stays, and
/// LICBAK_STATUS_LICENSE_KEPT tells its name. With LICBAK_RESTORE_OVERWRITE the licence is replaced
/// instead. Its file keeps owner, mode, access list and extended attributes, so that nobody can
/// read it who could not before; an access list that can't be kept leaves it to its owner alone.
///
/// Nothing is deleted. Only its owner can read a new file or enter a new folder, whatever default
/// access list the store has. Its owner is that of the folder that it comes into, if the caller may
/// give files away, and else the caller: so a store that is restored by root stays that of the
/// service which it belongs to. Modification times are restored.
/// LICBAK_S_OK at the end means that all is on the disk. When a restore is cancelled or fails, the
/// store keeps what it got; the same restore, run again, completes it. A restore into a database is
/// one transaction, so that a database then keeps nothing. If another restore makes the same new
/// database meanwhile, the figures may begin again once.
///
/// With LICBAK_RESTORE_SALVAGE the intact licences of a damaged backup are restored, and the
/// outcome is still LICBAK_NS_E_DRM_BACKUP_CORRUPT. The end of the file has the names. If it is
/// intact, each lost licence is told (LICBAK_STATUS_LICENSE_DAMAGED). If it is not, the licences
/// are searched from the front: they may then be older versions, and LICBAK_RESTORE_OVERWRITE does
/// not count.
///
/// With LICBAK_KEEP_GOING, what can't be put back is passed over: a licence that permissions, a read
/// error, its name or what stands in its place keep from going back, one that a database refuses, and
/// one that a put of the host's own store fails to keep. Each is told
/// (LICBAK_STATUS_LICENSE_LEFT_OUT) and counted (licenses_skipped), and the outcome is
/// LICBAK_S_FALSE. If nothing else came of the restore, the first of these failures is the outcome.
///
/// If MachineId says that the backup is of another machine, the user must consent to binding its
/// licences to this one: the consent is LICBAK_WM_RESTORE_INDIVIDUALIZE. Then the host's
/// authorizer, if there is one, allows or refuses the restore (licbak_set_authorizer). Before both
/// nothing is done.
///
/// When the backup is found right, a store of the host's own is asked for each licence, and is
/// given the licences that it is to keep. If it has a function merge, it chooses between two
/// versions of a licence itself.
///
/// @param restorer The restorer. RestorePath must be set, and StorePath or a store of the host's
/// own. A directory in StorePath that does not exist is made; its parent must exist.
/// @param flags LICBAK_RESTORE_OVERWRITE, LICBAK_RESTORE_SALVAGE, LICBAK_DRY_RUN,
/// LICBAK_WM_RESTORE_INDIVIDUALIZE, LICBAK_KEEP_GOING, LICBAK_CALL_IN_WAIT, or 0.
/// @param callback Is told the events of the operation; NULL only with LICBAK_CALL_IN_WAIT.
/// @param context Is given to the callback; must live until the end has been told.
/// @return LICBAK_S_OK: the operation has begun, and its end will be told. With any other code
/// nothing has begun and nothing is told: LICBAK_E_HANDLE; LICBAK_E_INVALIDARG for another flag, or
/// a NULL callback without LICBAK_CALL_IN_WAIT; LICBAK_NS_E_DRM_BACKUPRESTORE_BUSY;
/// LICBAK_NS_E_DRM_INVALID_PROPERTY if a property is missing or empty; LICBAK_E_NOTIMPL if the
/// host's store has no get or, without LICBAK_DRY_RUN, no put; LICBAK_E_OUTOFMEMORY.
///
/// Outcomes, told by the end: LICBAK_S_OK; LICBAK_S_FALSE: licences were passed over, as
/// LICBAK_KEEP_GOING asks; LICBAK_NS_E_DRM_OPERATION_CANCELED; the callback's own
/// failure; LICBAK_HRESULT_ERROR_FILE_NOT_FOUND: there is no backup in RestorePath;
/// LICBAK_HRESULT_ERROR_PATH_NOT_FOUND, _DIRECTORY for RestorePath or StorePath;
/// LICBAK_NS_E_DRM_NEEDS_INDIVIDUALIZATION: the backup is of another machine, and the user's
/// consent is missing; the failure of the host's authorizer; LICBAK_NS_E_DRM_BACKUP_CORRUPT;
/// LICBAK_HRESULT_ERROR_REVISION_MISMATCH: the backup has a later major version;
/// LICBAK_HRESULT_ERROR_INVALID_NAME: the store has something else in the place of a licence or a
/// folder, or its file system can't have the name or takes it for another name;
/// LICBAK_HRESULT_ERROR_NOT_SUPPORTED: a folder of the store is on another file system; or the file
/// system can't name a file without the risk of replacing another, which a restore without
/// LICBAK_RESTORE_OVERWRITE or into a new database needs; or license is a view or a virtual table;
/// LICBAK_HRESULT_ERROR_DISK_FULL, before anything is written where it is sure that the licences
/// which the store lacks have no room;
/// LICBAK_NS_E_DRM_LICENSE_STORE_ERROR: a database is damaged, takes no licences, or was moved away
/// or replaced meanwhile, or the log or journal of another database is in the place of a new one's;
/// LICBAK_HRESULT_ERROR_LOCK_VIOLATION: a database was locked for over 5 s; a failure of the host's
/// store; LICBAK_E_ACCESSDENIED; LICBAK_HRESULT_ERROR_WRITE_PROTECT, _READ_FAULT,
/// _WRITE_FAULT, _TOO_MANY_OPEN_FILES, _FILE_TOO_LARGE; LICBAK_E_OUTOFMEMORY; LICBAK_E_UNEXPECTED;
/// LICBAK_E_FAIL.
///
/// From object storage also: LICBAK_E_ACCESSDENIED: the store does not allow it or does not know
/// the key, or its clock is another; LICBAK_HRESULT_ERROR_PATH_NOT_FOUND: there is no such bucket;
/// LICBAK_E_INVALIDARG: the bucket is in another region or not at this endpoint;
/// LICBAK_HRESULT_ERROR_HOST_UNREACHABLE, _TIMEOUT: the store can't be reached or does not work, or
/// does not answer, for a minute; LICBAK_HRESULT_ERROR_NOT_SUPPORTED: the store gives no parts of
/// objects; LICBAK_HRESULT_ERROR_SHARING_VIOLATION: the backup was replaced while it was read.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn licbak_restore_licenses(
    restorer: *mut licbak_restorer,
    flags: u32,
    callback: licbak_status_callback,
    context: *mut c_void,
) -> licbak_hresult {
    attempt(restorer, |restorer| {
        let options = options(flags)?;
        let listening = StatusCallback::listening(flags, callback, context)?;
        restorer.start(OperationKind::Restore, listening, |settings| {
            plan(settings, None, options)
        })
    })
}

/// Starts to restore the licences of the backup in RestorePath that have a key ID: mostly one. If
/// several licences have the key ID, all of them are restored; a licence with several key IDs is
/// found by each of them. Everything else is as in licbak_restore_licenses.
///
/// Only the end of the backup and a few frames are read and checked, so that one licence out of a
/// million comes at once.
///
/// @param key_id What the licence unlocks, as its issuer names it and licbak_list_backup tells it.
/// @return As licbak_restore_licenses; LICBAK_E_POINTER if key_id is NULL; LICBAK_E_INVALIDARG if
/// key_id is empty, longer than 1,024 bytes, not UTF-8, or has a control character.
///
/// Outcomes, told by the end: LICBAK_HRESULT_ERROR_NOT_FOUND: no licence has the key ID; and those
/// of licbak_restore_licenses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn licbak_restore_license(
    restorer: *mut licbak_restorer,
    key_id: *const c_char,
    flags: u32,
    callback: licbak_status_callback,
    context: *mut c_void,
) -> licbak_hresult {
    attempt(restorer, |restorer| {
        // SAFETY: the host gives a text.
        let key_id = unsafe { text(key_id) }?;
        let options = options(flags)?;
        let listening = StatusCallback::listening(flags, callback, context)?;
        let key_id = utf8(key_id)?;
        if !is_key_id(key_id) {
            return Err(invalid(
                "No licence can have this key ID. A key ID has 1 to 1,024 bytes and no control characters.",
            ));
        }
        restorer.start(OperationKind::Restore, listening, |settings| {
            plan(settings, Some(key_id.to_owned()), options)
        })
    })
}

fn options(flags: u32) -> Result<Options> {
    const KNOWN: u32 = LICBAK_WM_RESTORE_INDIVIDUALIZE
        | LICBAK_RESTORE_OVERWRITE
        | LICBAK_RESTORE_SALVAGE
        | LICBAK_DRY_RUN
        | LICBAK_KEEP_GOING
        | LICBAK_CALL_IN_WAIT;
    const NAMES: &str = "LICBAK_RESTORE_OVERWRITE, LICBAK_RESTORE_SALVAGE, LICBAK_DRY_RUN, \
                         LICBAK_WM_RESTORE_INDIVIDUALIZE, LICBAK_KEEP_GOING and LICBAK_CALL_IN_WAIT";
    check_flags(flags, KNOWN, "a restore", NAMES)?;
    Ok(Options {
        overwrite: flags & LICBAK_RESTORE_OVERWRITE != 0,
        merge: flags & LICBAK_RESTORE_OVERWRITE == 0,
        dry_run: flags & LICBAK_DRY_RUN != 0,
        salvage: flags & LICBAK_RESTORE_SALVAGE != 0,
        individualize: flags & LICBAK_WM_RESTORE_INDIVIDUALIZE != 0,
        keep_going: flags & LICBAK_KEEP_GOING != 0,
    })
}
