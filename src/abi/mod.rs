//! A backup restorer object for licences.
//!
//! Hosts keep licences: e-book readers, media players, CAD seats, kiosks. licbak saves them into
//! one file that any `tar` opens, and brings them back. It is what `IWMLicenseBackup`,
//! `IWMLicenseRestore` and `IWMBackupRestoreProps` of the Windows Media Format SDK were, without
//! COM and without Windows.
//!
//! A host makes a restorer, says where the licences are and where their backup goes, and starts an
//! operation. The operation runs on threads of the library and tells the host's callback how it
//! goes, from LICBAK_WMT_BACKUPRESTORE_BEGIN to LICBAK_WMT_BACKUPRESTORE_END. In ten lines:
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
//!   written on success only, but for sizes that tell how large a buffer must be.
//! - Handles. A restorer is a ticket and not an address. NULL, a destroyed restorer or any other
//!   value gets LICBAK_E_HANDLE from every function, from any thread, and nothing else happens. The
//!   handle is looked at first, pointers next: a NULL that must not be one is LICBAK_E_POINTER. In
//!   a forked child every restorer made before the fork is LICBAK_E_HANDLE.
//! - Text is UTF-8 and ends with a NUL.
//! - Structs carry the caller's own sizeof in struct_size, set before the call. The library reads
//!   and writes only that many bytes; fewer than the first version of the struct has, or more than
//!   4,096, are LICBAK_E_INVALIDARG. A struct grows at its end only: where the caller's is larger
//!   than the library's, the library zeroes the rest of one that it fills, and of one that it reads
//!   refuses a rest that is not zero, with the same code.
//! - Threads. Every function may be called from any thread at any time. The status callback of an
//!   operation is called on one thread of the library, one call at a time, in order. No lock is
//!   held while a function of the host runs.
//! - Inside a function of the host licbak_wait is LICBAK_E_ILLEGAL_METHOD_CALL, since it would wait
//!   for itself; licbak_destroy returns at once and takes effect when the operation has ended;
//!   every other function works. A function of the host must not throw, unwind or longjmp.
//! - Nothing is left behind: while no operation runs, a restorer has no thread and no open file.
//!   The library installs no signal or exit handler and prints nothing. Its threads have a stack of
//!   1 MiB at least and block all signals but those that a fault raises (SIGSEGV, SIGBUS, SIGFPE,
//!   SIGILL, SIGTRAP, SIGSYS, SIGABRT), so that a host's crash handler or sandbox works in its
//!   callbacks.
//! - No function is a cancellation point of POSIX threads, and a thread can't be cancelled while a
//!   function of the host runs on it. A function of the host must not end its thread
//!   (pthread_exit, which CPython up to 3.13 does in threads that it finds when it ends: cancel and
//!   destroy before that). Nothing of the library may be called in a signal handler.

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

pub mod reading;

pub mod store;

mod callback;
mod guard;
mod handle;
mod memory;
