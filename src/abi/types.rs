//! The types and constants of the ABI.

use std::ffi::{c_char, c_void};

/// An outcome: 0 or above is success, below is failure. Windows' HRESULT.
pub type licbak_hresult = i32;
/// What an event is about, LICBAK_WMT_* or LICBAK_STATUS_*. The original's WMT_STATUS.
pub type licbak_status = u32;
/// The type of a value, LICBAK_WMT_TYPE_*. The original's WMT_ATTR_DATATYPE.
pub type licbak_datatype = u32;

/// A backup restorer, made by licbak_create and freed by licbak_destroy. The original's object of
/// WMCreateBackupRestorer.
pub struct licbak_restorer {
    _ticket: (),
}

/// A timeout for licbak_wait that never runs out.
pub const LICBAK_WAIT_FOREVER: u32 = 0xFFFF_FFFF;

/// For licbak_backup_licenses: replace the backup that is there.
pub const LICBAK_WM_BACKUP_OVERWRITE: u32 = 0x1;
/// For licbak_backup_licenses: take nothing over from the backup that is there, but read every
/// licence anew.
pub const LICBAK_BACKUP_FULL: u32 = 0x800;
/// For licbak_restore_licenses: the user consents to individualizing this machine, which the original
/// may have to do before a restore. Accepted, and changes nothing in this version.
pub const LICBAK_WM_RESTORE_INDIVIDUALIZE: u32 = 0x2;
/// For licbak_restore_licenses: a licence of the backup replaces a different one of the same name
/// in the store. Without it the store's stays, and LICBAK_STATUS_LICENSE_KEPT tells so.
pub const LICBAK_RESTORE_OVERWRITE: u32 = 0x200;
/// For a restore: restore whatever is intact of a damaged backup.
pub const LICBAK_RESTORE_SALVAGE: u32 = 0x400;
/// For a backup or a restore: tell everything, write nothing.
pub const LICBAK_DRY_RUN: u32 = 0x100;

/// Something failed: hr is the failure, value a sentence for people (STRING) that says what failed,
/// on what, why and what to do. Once, just before the end, unless the host ended the operation.
pub const LICBAK_WMT_ERROR: licbak_status = 0;
/// The operation begins. DWORD, 0.
pub const LICBAK_WMT_BACKUPRESTORE_BEGIN: licbak_status = 21;
/// The operation has ended: hr is its outcome, value its last figures (BINARY, licbak_progress).
/// Exactly once, and nothing comes after it.
pub const LICBAK_WMT_BACKUPRESTORE_END: licbak_status = 27;
/// A licence is left out since its issuer denies backup; the rest goes on. value is its key ID
/// (STRING); LICBAK_STATUS_LICENSE_LEFT_OUT with its name follows.
pub const LICBAK_WMT_RESTRICTED_LICENSE: licbak_status = 31;
/// Figures (BINARY, licbak_progress), some tens of times a second at most and only when they have
/// changed.
pub const LICBAK_STATUS_PROGRESS: licbak_status = 0x0001_0001;
/// The store holds a licence in another version than the backup, and keeps it. value is its name
/// (STRING). A licence in use carries consumed counts that an old copy must not refill.
pub const LICBAK_STATUS_LICENSE_KEPT: licbak_status = 0x0001_0002;
/// The bytes of a licence in the backup are damaged. value is its name (STRING).
pub const LICBAK_STATUS_LICENSE_DAMAGED: licbak_status = 0x0001_0003;
/// Something in the store is not backed up: a licence whose issuer denies it, a link, a special file,
/// or another backup of licbak. value is "name: reason" (STRING).
pub const LICBAK_STATUS_LICENSE_LEFT_OUT: licbak_status = 0x0001_0004;

/// Not sent by this version, as the four below: the machine is being individualized.
pub const LICBAK_WMT_INDIVIDUALIZE: licbak_status = 24;
/// Not sent: the machine must be individualized first.
pub const LICBAK_WMT_NEEDS_INDIVIDUALIZATION: licbak_status = 25;
/// Not sent: connecting to the restore service.
pub const LICBAK_WMT_BACKUPRESTORE_CONNECTING: licbak_status = 28;
/// Not sent: disconnecting from the restore service.
pub const LICBAK_WMT_BACKUPRESTORE_DISCONNECTING: licbak_status = 29;
/// Not sent: an error with the address of a page about it.
pub const LICBAK_WMT_ERROR_WITHURL: licbak_status = 30;

/// 32 bits, unsigned, in the machine's order.
pub const LICBAK_WMT_TYPE_DWORD: licbak_datatype = 0;
/// UTF-8 with a final NUL.
pub const LICBAK_WMT_TYPE_STRING: licbak_datatype = 1;
/// Bytes.
pub const LICBAK_WMT_TYPE_BINARY: licbak_datatype = 2;
/// Of no property or event here, as the three below.
pub const LICBAK_WMT_TYPE_BOOL: licbak_datatype = 3;
/// Of no property or event here.
pub const LICBAK_WMT_TYPE_QWORD: licbak_datatype = 4;
/// Of no property or event here.
pub const LICBAK_WMT_TYPE_WORD: licbak_datatype = 5;
/// Of no property or event here.
pub const LICBAK_WMT_TYPE_GUID: licbak_datatype = 6;

/// The store or the backup is being listed.
pub const LICBAK_PHASE_LISTING: u32 = 1;
/// The backup is being checked; in a restore the licences are also written beside the store.
pub const LICBAK_PHASE_CHECKING: u32 = 2;
/// Licences are being saved, or moved into the store.
pub const LICBAK_PHASE_WORKING: u32 = 3;
/// What was written is brought to the disk and made visible.
pub const LICBAK_PHASE_COMMITTING: u32 = 4;

/// The licence does not say whether it may be backed up; that counts as allowed, unless
/// UnstatedRight says otherwise.
pub const LICBAK_RIGHT_UNSTATED: u32 = 0;
/// The issuer allows backup.
pub const LICBAK_RIGHT_ALLOWED: u32 = 1;
/// The issuer denies backup.
pub const LICBAK_RIGHT_DENIED: u32 = 2;

/// A licence of no format that this version knows.
pub const LICBAK_FORMAT_OPAQUE: u32 = 0;
/// Windows Media DRM 7, XML.
pub const LICBAK_FORMAT_WMDRM: u32 = 1;
/// PlayReady and Windows Media DRM 11, XMR.
pub const LICBAK_FORMAT_XMR: u32 = 2;
/// Readium LCP, JSON.
pub const LICBAK_FORMAT_LCP: u32 = 3;
/// OMA DRM rights object.
pub const LICBAK_FORMAT_OMA: u32 = 4;

/// The figures of an operation.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct licbak_progress {
    /// The caller's sizeof of this struct; in an event, the library's.
    pub struct_size: usize,
    /// 0 until the store or backup has been counted.
    pub licenses_total: u64,
    /// Stored, restored or verified.
    pub licenses_done: u64,
    /// Left out: the issuer denies backup.
    pub licenses_restricted: u64,
    /// The store holds another version, and keeps it.
    pub licenses_kept: u64,
    /// Damaged in the backup.
    pub licenses_damaged: u64,
    /// Of the licences done.
    pub content_bytes: u64,
    /// Written or read of the backup file.
    pub backup_bytes: u64,
    /// What a progress bar shows of the phase: so many steps done.
    pub phase_done: u64,
    /// Of so many; 0: not known.
    pub phase_total: u64,
    /// LICBAK_PHASE_*; 0 before the first.
    pub phase: u32,
    /// 0.
    pub reserved: u32,
    /// Passed over: could not be read, kept or put back. This version passes over none, and says 0.
    pub licenses_skipped: u64,
    /// In the backup that is replaced, and in the store no more; all ones where that could not be
    /// told.
    pub licenses_gone: u64,
}

/// A licence, on its way to the host or from it.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct licbak_license {
    /// The sizeof of this struct, of the one who fills it.
    pub struct_size: usize,
    /// Unique in its store: relative, '/' between parts.
    pub name: *const c_char,
    /// What it unlocks, as its issuer names it. From a host NULL: read it from the content. To a host
    /// never NULL; the name's file stem where neither says.
    pub key_id: *const c_char,
    /// NULL in a list: only the size is known.
    pub content: *const u8,
    /// Bytes of the content, 16 MiB at most.
    pub content_size: usize,
    /// Nanoseconds since 1970 UTC; 0: not known, which 1970-01-01 00:00:00.0 itself counts as. Of a
    /// directory's file before 1677-09-21 or after 2262-04-11 the nearest moment between.
    pub modified: i64,
    /// LICBAK_RIGHT_*. From a host UNSTATED: read it from the content.
    pub backup_right: u32,
    /// LICBAK_FORMAT_*; ignored from a host.
    pub format: u32,
}

/// The host's function that an operation tells how it goes. The original's
/// IWMStatusCallback::OnStatus.
///
/// Called on one thread of the library, one call at a time, in order; the first call may come
/// before the function that started the operation has returned. value is never NULL, is aligned for
/// its type, and lives until the callback returns; size is its size in bytes, of a STRING without
/// the final NUL. context is what the host gave with the function.
///
/// @return LICBAK_S_OK to go on, also for a status that the host does not know; LICBAK_E_NOTIMPL
/// counts as that. Another failure ends the operation with that code, and only
/// LICBAK_WMT_BACKUPRESTORE_END comes after it. What is returned for LICBAK_WMT_ERROR and the end,
/// or when a backup stands already, is ignored.
pub type licbak_status_callback = Option<
    unsafe extern "C" fn(
        status: licbak_status,
        hr: licbak_hresult,
        type_: licbak_datatype,
        value: *const u8,
        size: usize,
        context: *mut c_void,
    ) -> licbak_hresult,
>;

/// Takes a licence: the host's function for licbak_list_backup, or the library's emit for a store of the
/// host. The licence and all that it points to live until the function returns.
///
/// @return LICBAK_S_OK to go on; a failure stops the list and is returned from it.
pub type licbak_license_callback = Option<
    unsafe extern "C" fn(license: *const licbak_license, context: *mut c_void) -> licbak_hresult,
>;

/// A store of the host's own. Each function gets the context, and returns LICBAK_S_OK or a failure,
/// which is then the outcome of the operation. emit may be called only inside the function that it was
/// given to, on that thread, with its emit_context; it copies what it gets, and its failure must be
/// returned at once.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct licbak_store {
    /// The caller's sizeof of this struct.
    pub struct_size: usize,
    /// Given to each function.
    pub context: *mut c_void,
    /// For a backup: emit every licence, always in the same order if equal backups are to have equal
    /// bytes.
    pub enumerate: Option<
        unsafe extern "C" fn(
            context: *mut c_void,
            emit: licbak_license_callback,
            emit_context: *mut c_void,
        ) -> licbak_hresult,
    >,
    /// For a restore: emit the licence of that name, or none.
    pub get: Option<
        unsafe extern "C" fn(
            context: *mut c_void,
            name: *const c_char,
            emit: licbak_license_callback,
            emit_context: *mut c_void,
        ) -> licbak_hresult,
    >,
    /// For a restore: keep the licence, in place of the one of that name.
    pub put: Option<
        unsafe extern "C" fn(
            context: *mut c_void,
            license: *const licbak_license,
        ) -> licbak_hresult,
    >,
}
