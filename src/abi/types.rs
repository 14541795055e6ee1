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

/// For a backup: replace the backup that is there.
pub const LICBAK_WM_BACKUP_OVERWRITE: u32 = 0x1;
/// For a backup: read every licence anew, and take nothing over from the backup that is there.
pub const LICBAK_BACKUP_FULL: u32 = 0x800;
/// For a restore: the user consents to binding the licences to this machine, if the backup is of
/// another one (LICBAK_MACHINE_OTHER). Without the consent such a backup is not restored. In the
/// original, the user permits that this machine be individualized.
pub const LICBAK_WM_RESTORE_INDIVIDUALIZE: u32 = 0x2;
/// For a restore: a licence of the backup replaces a different licence of the same name in the
/// store. Without this flag the store's licence stays, and LICBAK_STATUS_LICENSE_KEPT tells its
/// name.
pub const LICBAK_RESTORE_OVERWRITE: u32 = 0x200;
/// For a restore: restore whatever is intact of a damaged backup.
pub const LICBAK_RESTORE_SALVAGE: u32 = 0x400;
/// For a backup or a restore: tell everything, write nothing.
///
/// What only shows when something is written, a dry run can't tell: that a file system can't name a
/// file without the risk of replacing another, can't have a name, or takes two names for one that
/// differ by more than case; that a quota ends the room, or, for a database, that there is none; that
/// a database refuses a row; and that a folder lets only a file's owner replace it.
pub const LICBAK_DRY_RUN: u32 = 0x100;
/// For every operation: the host's functions (status, store, authorizer) are called inside
/// licbak_wait, on the thread that is in it, and nowhere else. So a host whose language takes no
/// call on a foreign thread has its own thread called, and an event loop decides when.
///
/// The operation waits for the host where it has to: without a licbak_wait now and then it does not
/// end. A store's emit tells events, too. The status callback may be NULL; then nothing is told,
/// and an operation that needs no other function of the host (store, authorizer) ends by itself.
pub const LICBAK_CALL_IN_WAIT: u32 = 0x1000;
/// For a backup or a restore: what can't be read, kept or put back is passed over, and does not end
/// the operation. LICBAK_STATUS_LICENSE_LEFT_OUT tells each, licenses_skipped counts them, and the
/// outcome is LICBAK_S_FALSE. Never passed over are a full disk, a lack of memory, a failed
/// enumerate of the host's store, and all licences: these are failures, as ever. It does not go with
/// LICBAK_WM_BACKUP_OVERWRITE.
pub const LICBAK_KEEP_GOING: u32 = 0x2000;

/// Something failed. hr is the failure. value is a sentence for people (STRING): what failed, on
/// what, why and what to do. Told once, just before the end, unless the host ended the operation.
pub const LICBAK_WMT_ERROR: licbak_status = 0;
/// The operation begins. value is 0 (DWORD).
pub const LICBAK_WMT_BACKUPRESTORE_BEGIN: licbak_status = 21;
/// The backup is of another machine, and the user consents to binding its licences to this one
/// (LICBAK_WM_RESTORE_INDIVIDUALIZE). value is 0 (DWORD).
pub const LICBAK_WMT_INDIVIDUALIZE: licbak_status = 24;
/// The backup is of another machine, and the user's consent is missing. Without LICBAK_DRY_RUN the
/// outcome is LICBAK_NS_E_DRM_NEEDS_INDIVIDUALIZATION. value is 0 (DWORD).
pub const LICBAK_WMT_NEEDS_INDIVIDUALIZATION: licbak_status = 25;
/// The host's authorizer is called when this callback has returned. value is 0 (DWORD).
pub const LICBAK_WMT_BACKUPRESTORE_CONNECTING: licbak_status = 28;
/// The host's authorizer has answered. value is 0 (DWORD).
pub const LICBAK_WMT_BACKUPRESTORE_DISCONNECTING: licbak_status = 29;
/// The host's authorizer refuses the restore. hr is its failure; value is the address that it gave
/// (STRING). LICBAK_WMT_BACKUPRESTORE_DISCONNECTING follows. Not told if it gave none.
pub const LICBAK_WMT_ERROR_WITHURL: licbak_status = 30;
/// The operation has ended. hr is its outcome; value is its last figures (BINARY,
/// licbak_progress). Told exactly once, and nothing comes after it.
pub const LICBAK_WMT_BACKUPRESTORE_END: licbak_status = 27;
/// A licence is left out because its issuer denies backup; the operation goes on. value is the key
/// ID (STRING). LICBAK_STATUS_LICENSE_LEFT_OUT with the licence's name follows.
pub const LICBAK_WMT_RESTRICTED_LICENSE: licbak_status = 31;
/// The figures have changed. value is the figures (BINARY, licbak_progress). Told some tens of
/// times a second at most.
pub const LICBAK_STATUS_PROGRESS: licbak_status = 0x0001_0001;
/// The store has a licence in another version than the backup, and keeps its own. value is the
/// licence's name (STRING). A licence in use carries consumed counts that an old copy must not
/// refill.
pub const LICBAK_STATUS_LICENSE_KEPT: licbak_status = 0x0001_0002;
/// The bytes of a licence in the backup are damaged. value is the licence's name (STRING).
pub const LICBAK_STATUS_LICENSE_DAMAGED: licbak_status = 0x0001_0003;
/// Something is left out. Of a backup: a licence whose issuer denies backup; of a directory also a
/// link, a special file, a name that begins with a dot, or another backup of licbak. Of a backup or
/// a restore: what is passed over, as LICBAK_KEEP_GOING asks. value is "name: reason" (STRING), in
/// which characters that have an effect and can't be seen are escaped, as in error messages. Bytes
/// of a name that are no text are shown as \\xe9.
pub const LICBAK_STATUS_LICENSE_LEFT_OUT: licbak_status = 0x0001_0004;

/// 32 bits, unsigned, in the machine's order.
pub const LICBAK_WMT_TYPE_DWORD: licbak_datatype = 0;
/// UTF-8 with a final NUL.
pub const LICBAK_WMT_TYPE_STRING: licbak_datatype = 1;
/// Bytes.
pub const LICBAK_WMT_TYPE_BINARY: licbak_datatype = 2;
/// Of no property or event here.
pub const LICBAK_WMT_TYPE_BOOL: licbak_datatype = 3;
/// Of no property or event here.
pub const LICBAK_WMT_TYPE_QWORD: licbak_datatype = 4;
/// Of no property or event here.
pub const LICBAK_WMT_TYPE_WORD: licbak_datatype = 5;
/// Of no property or event here.
pub const LICBAK_WMT_TYPE_GUID: licbak_datatype = 6;

/// The store or the backup is being listed.
pub const LICBAK_PHASE_LISTING: u32 = 1;
/// The backup is being checked. A restore also writes the licences beside the store.
pub const LICBAK_PHASE_CHECKING: u32 = 2;
/// Licences are being saved, or moved into the store.
pub const LICBAK_PHASE_WORKING: u32 = 3;
/// The written data is brought to the disk and made visible.
pub const LICBAK_PHASE_COMMITTING: u32 = 4;

/// The licence does not say whether it may be backed up. It is backed up, unless the property
/// UnstatedRight is 1.
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
/// Windows Media DRM 1, certified licence.
pub const LICBAK_FORMAT_WMDRM1: u32 = 5;
/// Keygen licence file or machine file that is not encrypted.
pub const LICBAK_FORMAT_KEYGEN: u32 = 6;

/// It is not known which machine the backup is of: MachineId is not set, or was not set for the
/// backup.
pub const LICBAK_MACHINE_UNKNOWN: u32 = 0;
/// The backup is of the machine that MachineId names.
pub const LICBAK_MACHINE_SAME: u32 = 1;
/// The backup is of another machine than the one that MachineId names.
pub const LICBAK_MACHINE_OTHER: u32 = 2;

/// The figures of an operation.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct licbak_progress {
    /// The caller's sizeof of this struct; in an event, the library's.
    pub struct_size: usize,
    /// All licences of the operation; 0 until the store or backup has been counted.
    pub licenses_total: u64,
    /// Licences saved, restored or verified. It never falls, but where a transaction is rolled back. A
    /// backup of a directory with LICBAK_KEEP_GOING sets it when all is read, since a licence that
    /// was read may have to be passed over after all.
    pub licenses_done: u64,
    /// Licences left out because their issuers deny backup.
    pub licenses_restricted: u64,
    /// Licences of which the store has another version, and keeps its own.
    pub licenses_kept: u64,
    /// Licences that are damaged in the backup.
    pub licenses_damaged: u64,
    /// Bytes of the licences done.
    pub content_bytes: u64,
    /// Bytes of the backup file that were written or read.
    pub backup_bytes: u64,
    /// Steps of the phase that are done, for a progress bar.
    pub phase_done: u64,
    /// All steps of the phase; 0: not known.
    pub phase_total: u64,
    /// LICBAK_PHASE_*; 0 before the first.
    pub phase: u32,
    /// 0.
    pub reserved: u32,
    /// Licences and folders that could not be read, kept or put back, and were passed over, as
    /// LICBAK_KEEP_GOING asks; without it 0.
    pub licenses_skipped: u64,
    /// Licences of the backup that is replaced that are not in the store any more; all ones if
    /// their number is not known.
    pub licenses_gone: u64,
}

/// A licence, on its way to the host or from it.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct licbak_license {
    /// The sizeof of this struct, as the side that fills it knows it.
    pub struct_size: usize,
    /// The name: unique in its store, relative, '/' between parts.
    pub name: *const c_char,
    /// The key ID, of several the first: what the licence unlocks, as its issuer names it. From a
    /// host, NULL means that the library reads it from the content. To a host it is never NULL:
    /// where neither the host nor the content says it, it is the name's file stem.
    pub key_id: *const c_char,
    /// The content; NULL in a list, where only the size is known.
    pub content: *const u8,
    /// The size of the content in bytes, 16 MiB at most.
    pub content_size: usize,
    /// The time of the last modification, in nanoseconds since 1970 UTC; 0: not known, also for
    /// 1970-01-01 00:00:00.0 itself. For a file of a directory before 1677-09-21 or after
    /// 2262-04-11 it is the nearest moment between.
    pub modified: i64,
    /// LICBAK_RIGHT_*. From a host, UNSTATED means that the library reads it from the content.
    pub backup_right: u32,
    /// LICBAK_FORMAT_*; ignored from a host.
    pub format: u32,
}

/// What a backup says about itself. None of it is proof: whoever can write backups can forge it.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct licbak_backup_info {
    /// The caller's sizeof of this struct.
    pub struct_size: usize,
    /// The time when the backup was made, in nanoseconds since 1970 UTC; 0: not known.
    pub created: i64,
    /// The number of backups so far that replaced each other, this one included: 1 and up; 0
    /// where LICBAK_RESTORE_SALVAGE has found the end of the backup lost.
    pub generation: u64,
    /// Licences in the backup.
    pub licenses: u64,
    /// Licences that were left out because their issuers deny backup.
    pub restricted: u64,
    /// Bytes of the licences in the backup.
    pub content_bytes: u64,
    /// Bytes of the backup file.
    pub backup_bytes: u64,
    /// The major version of the backup's format.
    pub version_major: u32,
    /// The minor version of the backup's format.
    pub version_minor: u32,
    /// LICBAK_MACHINE_*.
    pub machine: u32,
    /// 1 if the backup is encrypted, else 0.
    pub encrypted: u32,
    /// The random ID of the backup, which the backups that replace it keep: 32 hexadecimal digits
    /// and a NUL; "" where its end is lost.
    pub id: [c_char; 33],
    /// 0.
    pub reserved: [c_char; 7],
}

/// The host's function that is told the events of an operation. The original's
/// IWMStatusCallback::OnStatus.
///
/// It is called on one thread of the library, or with LICBAK_CALL_IN_WAIT on the one that is in
/// licbak_wait: one call at a time, in order. On a thread of the library the first call may come
/// before the function that started the operation has returned. value is never NULL, is aligned for
/// its type, and lives until the callback returns. size is the size of value in bytes; for a STRING
/// it does not count the final NUL. context is what the host gave with the function.
///
/// @return LICBAK_S_OK to go on, also for a status that the host does not know. LICBAK_E_NOTIMPL
/// counts as LICBAK_S_OK. Any other failure ends the operation with that code, and only
/// LICBAK_WMT_BACKUPRESTORE_END comes after it. The answer to LICBAK_WMT_ERROR and to the end is
/// ignored, and so is any answer after the new backup has taken its place.
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

/// The host's function that allows or refuses a restore, see licbak_set_authorizer.
///
/// It is called on a thread of the library, possibly while the status callback runs, or with
/// LICBAK_CALL_IN_WAIT inside licbak_wait. info is what the backup says about itself, beside
/// MachineId as it was set at the start; it lives until the function returns. A backup whose end is
/// lost (LICBAK_RESTORE_SALVAGE) states nothing: then id is "", machine is LICBAK_MACHINE_UNKNOWN,
/// and of the figures only backup_bytes is not 0. None of the facts is proof. url is url_size bytes
/// of zeros, at present 2,084. A function that refuses may write the address of a page about it
/// there, as UTF-8 with a NUL; anything else is not told. context is what the host gave with the
/// function.
///
/// @return LICBAK_S_OK allows the restore. A failure ends it with that code:
/// LICBAK_NS_E_DRM_RESTORE_FRAUD, LICBAK_NS_E_DRM_RESTORE_SERVICE_UNAVAILABLE, or any other. Any
/// other success ends it with LICBAK_E_ACCESSDENIED.
pub type licbak_authorize_callback = Option<
    unsafe extern "C" fn(
        info: *const licbak_backup_info,
        url: *mut c_char,
        url_size: usize,
        context: *mut c_void,
    ) -> licbak_hresult,
>;

/// A function that takes a licence: the host's for licbak_list_backup, or the library's emit for a
/// store of the host's own. The licence and all that it points to live until the function returns.
///
/// @return LICBAK_S_OK to go on; a failure stops the list and is returned from it.
pub type licbak_license_callback = Option<
    unsafe extern "C" fn(license: *const licbak_license, context: *mut c_void) -> licbak_hresult,
>;

/// A store of the host's own. Each function gets the context. It returns LICBAK_S_OK or a failure,
/// and a failure is then the outcome of the operation. emit may be called only inside the function
/// that it was given to, on that thread, with its emit_context. emit copies what it gets. A failure
/// of emit must be returned at once.
///
/// With LICBAK_KEEP_GOING, emit returns LICBAK_S_OK also for a licence that is passed over, because
/// its name or its key ID can't be kept, it is over 16 MiB, or its name came before: go on. A put
/// that fails has its licence passed over, unless it fails with LICBAK_E_OUTOFMEMORY,
/// LICBAK_HRESULT_ERROR_DISK_FULL or LICBAK_NS_E_DRM_OPERATION_CANCELED. A failed enumerate, get or
/// merge ends the operation.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct licbak_store {
    /// The caller's sizeof of this struct.
    pub struct_size: usize,
    /// Given to each function.
    pub context: *mut c_void,
    /// For a backup: emits every licence, always in the same order for backups of equal bytes.
    pub enumerate: Option<
        unsafe extern "C" fn(
            context: *mut c_void,
            emit: licbak_license_callback,
            emit_context: *mut c_void,
        ) -> licbak_hresult,
    >,
    /// For a restore: emits the licence of that name, or none.
    pub get: Option<
        unsafe extern "C" fn(
            context: *mut c_void,
            name: *const c_char,
            emit: licbak_license_callback,
            emit_context: *mut c_void,
        ) -> licbak_hresult,
    >,
    /// For a restore: keeps the licence, in place of the one of that name.
    pub put: Option<
        unsafe extern "C" fn(
            context: *mut c_void,
            license: *const licbak_license,
        ) -> licbak_hresult,
    >,
    /// For a restore, or NULL: of two versions of a licence emits the one to keep; none: mine
    /// stays. mine is the store's, and theirs the backup's. A store whose licences carry counts
    /// that are used up so keeps the lower count. What is emitted must have their name. If its
    /// content is not that of mine, put gets it, and it counts as restored. Otherwise nothing is
    /// put, and LICBAK_STATUS_LICENSE_KEPT tells the name, as without this function. It is not
    /// asked with LICBAK_RESTORE_OVERWRITE, nor where both contents are the same. A dry run asks,
    /// and puts nothing.
    pub merge: Option<
        unsafe extern "C" fn(
            context: *mut c_void,
            mine: *const licbak_license,
            theirs: *const licbak_license,
            emit: licbak_license_callback,
            emit_context: *mut c_void,
        ) -> licbak_hresult,
    >,
}
