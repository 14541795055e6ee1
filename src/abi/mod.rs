//! A backup restorer object for licences.
//!
//! Hosts keep licences: e-book readers, media players, CAD seats, kiosks. licbak saves them into
//! one file that any `tar` with zstd opens, and restores them. It is what `IWMLicenseBackup`,
//! `IWMLicenseRestore` and `IWMBackupRestoreProps` of the Windows Media Format SDK were, without
//! COM and without Windows.
//!
//! A host makes a restorer, says where the licences are and where their backup goes, and starts an
//! operation. The operation runs on threads of the library. It tells the host's callback its
//! progress, from LICBAK_WMT_BACKUPRESTORE_BEGIN to LICBAK_WMT_BACKUPRESTORE_END. In ten lines:
//!
//! ```c
//! static licbak_hresult LICBAK_CALL on_status(licbak_status status, licbak_hresult hr,
//!     licbak_datatype type, const uint8_t *value, size_t size, void *context) { return LICBAK_S_OK; }
//! ...
//! licbak_restorer *restorer;
//! licbak_hresult hr = licbak_create(&restorer);
//! licbak_set_prop_string(restorer, "StorePath", "/var/lib/reader/licenses");
//! licbak_set_prop_string(restorer, "BackupPath", "/mnt/stick");
//! hr = licbak_backup_licenses(restorer, 0, on_status, NULL);
//! if (hr == LICBAK_S_OK) licbak_wait(restorer, LICBAK_WAIT_FOREVER, &hr);
//! puts(hr == LICBAK_S_OK ? "saved" : licbak_hresult_message(hr));
//! licbak_destroy(restorer);
//! ```
//!
//! Rules that all calls share:
//!
//! - Outcomes. A function returns an HRESULT: 0 or above is success, below is failure. Outputs are
//!   written on success only, except sizes that tell how large a buffer must be.
//! - Handles. A restorer is a ticket and not an address. NULL, a destroyed restorer and any other
//!   value get LICBAK_E_HANDLE from every function, from any thread, and nothing else happens. A
//!   function checks the handle first and pointers next. A pointer that must not be NULL and is
//!   gets LICBAK_E_POINTER. In a forked child every restorer made before the fork gets
//!   LICBAK_E_HANDLE.
//! - Text is UTF-8 and ends with a NUL.
//! - Structs carry the caller's own sizeof in struct_size, set before the call. The library reads
//!   and writes only that many bytes. A size that is smaller than the first version of the struct,
//!   or larger than 4,096, is LICBAK_E_INVALIDARG. A struct grows at its end only. Where the
//!   caller's struct is larger than the library's, the library zeroes the rest of a struct that it
//!   fills. In a struct that it reads, a rest that is not zero is LICBAK_E_INVALIDARG.
//! - Threads. Every function may be called from any thread at any time. The status callback of an
//!   operation is called on one thread of the library, one call at a time, in order. With
//!   LICBAK_CALL_IN_WAIT the host's functions are called inside licbak_wait instead, on the thread
//!   that is in it. The library holds no lock while a function of the host runs. licbak_wait and licbak_destroy wait until
//!   functions of the host have returned. During these two calls a host must not hold what its
//!   functions need on other threads, such as an interpreter's lock, a mutex that the callback
//!   takes, or the thread of an event loop that the callback calls into.
//! - Inside a function of the host, licbak_wait is LICBAK_E_ILLEGAL_METHOD_CALL, since it would
//!   wait for itself. licbak_destroy returns at once there, and takes effect when the operation has
//!   ended. Every other function works. A function of the host must not throw, unwind or longjmp.
//! - One operation after the other. A host that has been told LICBAK_WMT_BACKUPRESTORE_END may
//!   start the restorer's next operation, in that callback or on any other thread. The next
//!   operation begins when that callback has returned. A start before the end has been told is
//!   LICBAK_NS_E_DRM_BACKUPRESTORE_BUSY.
//! - Forked children. A child that is forked inside a function of the host must leave by exec or
//!   _exit. If the child returns into the library instead, the library touches nothing. A caller
//!   gets LICBAK_E_HANDLE, also from the emit of a store. A thread of the library has no caller: it
//!   ends, and if the child has no other thread, the child ends with it, with exit status 1 and
//!   without exit handlers.
//! - Nothing is left behind. While no operation runs, a restorer has no thread and no open file
//!   but the wait descriptor, once that was asked for.
//!   No file that the library opens gets the number of a standard stream that the process lacks.
//!   The library takes such a number for moments, so a host opens a missing stream only while no
//!   operation runs. The library installs no signal handler and no exit handler, and prints
//!   nothing. Its threads have a stack of at least 1 MiB. They block all signals except those that
//!   a fault raises (SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT), so that a host's
//!   crash handler or sandbox works in its callbacks.
//! - Cancellation. No function is a cancellation point of POSIX threads, and a thread can't be
//!   cancelled while a function of the host runs on it. A function of the host must not end its
//!   thread with pthread_exit. CPython up to 3.13 does this when it ends, to threads that it finds:
//!   cancel and destroy before that. Nothing of the library may be called in a signal handler.
//!
//! What a status callback is told. LICBAK_ stands before each name:
//!
//! | status                          | value   | hr                      | type   | what value is                        |
//! | ------------------------------- | ------- | ----------------------- | ------ | ------------------------------------ |
//! | WMT_BACKUPRESTORE_BEGIN         | 21      | S_OK                    | DWORD  | 0; first, and once                   |
//! | WMT_INDIVIDUALIZE               | 24      | S_OK                    | DWORD  | 0; the user consents to this machine |
//! | WMT_NEEDS_INDIVIDUALIZATION     | 25      | S_OK                    | DWORD  | 0; this consent is missing           |
//! | WMT_BACKUPRESTORE_CONNECTING    | 28      | S_OK                    | DWORD  | 0; the authorizer is called          |
//! | WMT_ERROR_WITHURL               | 30      | the authorizer's        | STRING | the address that it gives            |
//! | WMT_BACKUPRESTORE_DISCONNECTING | 29      | S_OK                    | DWORD  | 0; it has answered                   |
//! | STATUS_PROGRESS                 | 0x10001 | S_OK                    | BINARY | licbak_progress                      |
//! | WMT_RESTRICTED_LICENSE          | 31      | S_FALSE                 | STRING | key ID; its issuer denies backup     |
//! | STATUS_LICENSE_KEPT             | 0x10002 | S_FALSE                 | STRING | name; the store's version stays      |
//! | STATUS_LICENSE_DAMAGED          | 0x10003 | NS_E_DRM_BACKUP_CORRUPT | STRING | name; damaged in the backup          |
//! | STATUS_LICENSE_LEFT_OUT         | 0x10004 | S_FALSE                 | STRING | "name: reason"; what is left out     |
//! | WMT_ERROR                       | 0       | the failure             | STRING | a sentence; once, before the end     |
//! | WMT_BACKUPRESTORE_END           | 27      | the outcome             | BINARY | licbak_progress; last, and once      |
//!
//! The flags of the functions that start an operation. licbak_restore_license takes the flags of a
//! restore; licbak_verify_backup takes LICBAK_CALL_IN_WAIT alone:
//!
//! | flag                     | value  | backup | restore | what it asks for                           |
//! | ------------------------ | ------ | ------ | ------- | ------------------------------------------ |
//! | WM_BACKUP_OVERWRITE      | 0x1    | yes    |         | replace the backup that is there           |
//! | WM_RESTORE_INDIVIDUALIZE | 0x2    |        | yes     | the user consents to another machine       |
//! | DRY_RUN                  | 0x100  | yes    | yes     | tell everything, write nothing             |
//! | RESTORE_OVERWRITE        | 0x200  |        | yes     | replace the store's version of a licence   |
//! | RESTORE_SALVAGE          | 0x400  |        | yes     | restore what is intact of a damaged backup |
//! | BACKUP_FULL              | 0x800  | yes    |         | take nothing over from the backup before   |
//! | CALL_IN_WAIT             | 0x1000 | yes    | yes     | call the host inside licbak_wait           |
//! | KEEP_GOING               | 0x2000 | yes    | yes     | pass over what can't be read or put back   |

// Names are those of the C language.
#![allow(non_camel_case_types)]
// The rules above are the safety section of every function.
#![allow(clippy::missing_safety_doc)]

pub mod hresult;
pub mod types;

pub mod version;

pub mod restorer;

pub mod props;

pub mod backup;

pub mod restore;

pub mod authorizer;

pub mod reading;

pub mod store;

mod callback;
mod guard;
mod handle;
mod memory;
