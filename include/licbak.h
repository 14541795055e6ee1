/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Made from src/abi: change it there. */

/**
 * @file licbak.h
 *
 * A backup restorer object for licences.
 *
 * Hosts keep licences: e-book readers, media players, CAD seats, kiosks. licbak saves them into
 * one file that any `tar` with zstd opens, and restores them. It is what `IWMLicenseBackup`,
 * `IWMLicenseRestore` and `IWMBackupRestoreProps` of the Windows Media Format SDK were, without
 * COM and without Windows.
 *
 * A host makes a restorer, says where the licences are and where their backup goes, and starts an
 * operation. The operation runs on threads of the library. It tells the host's callback its
 * progress, from LICBAK_WMT_BACKUPRESTORE_BEGIN to LICBAK_WMT_BACKUPRESTORE_END. In ten lines:
 *
 * @code
 * static licbak_hresult LICBAK_CALL on_status(licbak_status status, licbak_hresult hr,
 *     licbak_datatype type, const uint8_t *value, size_t size, void *context) { return LICBAK_S_OK; }
 * ...
 * licbak_restorer *restorer;
 * licbak_hresult hr = licbak_create(&restorer);
 * licbak_set_prop_string(restorer, "StorePath", "/var/lib/reader/licenses");
 * licbak_set_prop_string(restorer, "BackupPath", "/mnt/stick");
 * hr = licbak_backup_licenses(restorer, 0, on_status, NULL);
 * if (hr == LICBAK_S_OK) licbak_wait(restorer, LICBAK_WAIT_FOREVER, &hr);
 * puts(hr == LICBAK_S_OK ? "saved" : licbak_hresult_message(hr));
 * licbak_destroy(restorer);
 * @endcode
 *
 * Rules that all calls share:
 *
 * - Outcomes. A function returns an HRESULT: 0 or above is success, below is failure. Outputs are
 *   written on success only, except sizes that tell how large a buffer must be.
 * - Handles. A restorer is a ticket and not an address. NULL, a destroyed restorer and any other
 *   value get LICBAK_E_HANDLE from every function, from any thread, and nothing else happens. A
 *   function checks the handle first and pointers next. A pointer that must not be NULL and is
 *   gets LICBAK_E_POINTER. In a forked child every restorer made before the fork gets
 *   LICBAK_E_HANDLE.
 * - Text is UTF-8 and ends with a NUL.
 * - Structs carry the caller's own sizeof in struct_size, set before the call. The library reads
 *   and writes only that many bytes. A size that is smaller than the first version of the struct,
 *   or larger than 4,096, is LICBAK_E_INVALIDARG. A struct grows at its end only. Where the
 *   caller's struct is larger than the library's, the library zeroes the rest of a struct that it
 *   fills. In a struct that it reads, a rest that is not zero is LICBAK_E_INVALIDARG.
 * - Threads. Every function may be called from any thread at any time. The status callback of an
 *   operation is called on one thread of the library, one call at a time, in order. With
 *   LICBAK_CALL_IN_WAIT the host's functions are called inside licbak_wait instead, on the thread
 *   that is in it. The library holds no lock while a function of the host runs. licbak_wait and licbak_destroy wait until
 *   functions of the host have returned. During these two calls a host must not hold what its
 *   functions need on other threads, such as an interpreter's lock, a mutex that the callback
 *   takes, or the thread of an event loop that the callback calls into.
 * - Inside a function of the host, licbak_wait is LICBAK_E_ILLEGAL_METHOD_CALL, since it would
 *   wait for itself. licbak_destroy returns at once there, and takes effect when the operation has
 *   ended. Every other function works. A function of the host must not throw, unwind or longjmp.
 * - One operation after the other. A host that has been told LICBAK_WMT_BACKUPRESTORE_END may
 *   start the restorer's next operation, in that callback or on any other thread. The next
 *   operation begins when that callback has returned. A start before the end has been told is
 *   LICBAK_NS_E_DRM_BACKUPRESTORE_BUSY.
 * - Forked children. A child that is forked inside a function of the host must leave by exec or
 *   _exit. If the child returns into the library instead, the library touches nothing. A caller
 *   gets LICBAK_E_HANDLE, also from the emit of a store. A thread of the library has no caller: it
 *   ends, and if the child has no other thread, the child ends with it, with exit status 1 and
 *   without exit handlers.
 * - Nothing is left behind. While no operation runs, a restorer has no thread and no open file
 *   but the wait descriptor, once that was asked for.
 *   No file that the library opens gets the number of a standard stream that the process lacks.
 *   The library takes such a number for moments, so a host opens a missing stream only while no
 *   operation runs. The library installs no signal handler and no exit handler, and prints
 *   nothing. Its threads have a stack of at least 1 MiB. They block all signals except those that
 *   a fault raises (SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT), so that a host's
 *   crash handler or sandbox works in its callbacks.
 * - Cancellation. No function is a cancellation point of POSIX threads, and a thread can't be
 *   cancelled while a function of the host runs on it. A function of the host must not end its
 *   thread with pthread_exit. CPython up to 3.13 does this when it ends, to threads that it finds:
 *   cancel and destroy before that. Nothing of the library may be called in a signal handler.
 *
 * What a status callback is told. LICBAK_ stands before each name:
 *
 * | status                          | value   | hr                      | type   | what value is                        |
 * | ------------------------------- | ------- | ----------------------- | ------ | ------------------------------------ |
 * | WMT_BACKUPRESTORE_BEGIN         | 21      | S_OK                    | DWORD  | 0; first, and once                   |
 * | WMT_INDIVIDUALIZE               | 24      | S_OK                    | DWORD  | 0; the user consents to this machine |
 * | WMT_NEEDS_INDIVIDUALIZATION     | 25      | S_OK                    | DWORD  | 0; this consent is missing           |
 * | WMT_BACKUPRESTORE_CONNECTING    | 28      | S_OK                    | DWORD  | 0; the authorizer is called          |
 * | WMT_ERROR_WITHURL               | 30      | the authorizer's        | STRING | the address that it gives            |
 * | WMT_BACKUPRESTORE_DISCONNECTING | 29      | S_OK                    | DWORD  | 0; it has answered                   |
 * | STATUS_PROGRESS                 | 0x10001 | S_OK                    | BINARY | licbak_progress                      |
 * | WMT_RESTRICTED_LICENSE          | 31      | S_FALSE                 | STRING | key ID; its issuer denies backup     |
 * | STATUS_LICENSE_KEPT             | 0x10002 | S_FALSE                 | STRING | name; the store's version stays      |
 * | STATUS_LICENSE_DAMAGED          | 0x10003 | NS_E_DRM_BACKUP_CORRUPT | STRING | name; damaged in the backup          |
 * | STATUS_LICENSE_LEFT_OUT         | 0x10004 | S_FALSE                 | STRING | "name: reason"; what is left out     |
 * | WMT_ERROR                       | 0       | the failure             | STRING | a sentence; once, before the end     |
 * | WMT_BACKUPRESTORE_END           | 27      | the outcome             | BINARY | licbak_progress; last, and once      |
 *
 * The flags of the functions that start an operation. licbak_restore_license takes the flags of a
 * restore; licbak_verify_backup takes LICBAK_CALL_IN_WAIT alone:
 *
 * | flag                     | value  | backup | restore | what it asks for                           |
 * | ------------------------ | ------ | ------ | ------- | ------------------------------------------ |
 * | WM_BACKUP_OVERWRITE      | 0x1    | yes    |         | replace the backup that is there           |
 * | WM_RESTORE_INDIVIDUALIZE | 0x2    |        | yes     | the user consents to another machine       |
 * | DRY_RUN                  | 0x100  | yes    | yes     | tell everything, write nothing             |
 * | RESTORE_OVERWRITE        | 0x200  |        | yes     | replace the store's version of a licence   |
 * | RESTORE_SALVAGE          | 0x400  |        | yes     | restore what is intact of a damaged backup |
 * | BACKUP_FULL              | 0x800  | yes    |         | take nothing over from the backup before   |
 * | CALL_IN_WAIT             | 0x1000 | yes    | yes     | call the host inside licbak_wait           |
 * | KEEP_GOING               | 0x2000 | yes    | yes     | pass over what can't be read or put back   |
 */

#ifndef LICBAK_H
#define LICBAK_H

#include <stddef.h>
#include <stdint.h>

/** The version of this header. licbak_version tells the library's. */
#define LICBAK_VERSION "0.1.0"

#if defined(_WIN32)
#define LICBAK_CALL __cdecl
#if defined(LICBAK_STATIC)
#define LICBAK_API
#else
#define LICBAK_API __declspec(dllimport)
#endif
#else
/** The calling convention of the functions. */
#define LICBAK_CALL
/** The import attribute of the functions. */
#define LICBAK_API
#endif

#if defined(__cplusplus)
#define LICBAK_HRESULT_C(value) (static_cast<licbak_hresult>((value) | 0u))
#else
/** A constant of type licbak_hresult, for case labels and initialisers, not for the preprocessor. */
#define LICBAK_HRESULT_C(value) ((licbak_hresult)(value))
#endif

/** Whether an outcome is success. */
#define LICBAK_SUCCEEDED(hr) ((hr) >= 0)

/** Whether an outcome is failure. */
#define LICBAK_FAILED(hr) ((hr) < 0)

/**
 * @addtogroup restorer The restorer and its operations
 * @{
 */

/** A timeout for licbak_wait that never runs out. */
#define LICBAK_WAIT_FOREVER 0xFFFFFFFFu

/** @} */

/**
 * @addtogroup flags Flags of an operation
 * @{
 */

/** For a backup: replace the backup that is there. */
#define LICBAK_WM_BACKUP_OVERWRITE 0x00000001u

/** For a backup: read every licence anew, and take nothing over from the backup that is there. */
#define LICBAK_BACKUP_FULL 0x00000800u

/**
 * For a restore: the user consents to binding the licences to this machine, if the backup is of
 * another one (LICBAK_MACHINE_OTHER). Without the consent such a backup is not restored. In the
 * original, the user permits that this machine be individualized.
 */
#define LICBAK_WM_RESTORE_INDIVIDUALIZE 0x00000002u

/**
 * For a restore: a licence of the backup replaces a different licence of the same name in the
 * store. Without this flag the store's licence stays, and LICBAK_STATUS_LICENSE_KEPT tells its
 * name.
 */
#define LICBAK_RESTORE_OVERWRITE 0x00000200u

/** For a restore: restore whatever is intact of a damaged backup. */
#define LICBAK_RESTORE_SALVAGE 0x00000400u

/**
 * For a backup or a restore: tell everything, write nothing.
 *
 * What only shows when something is written, a dry run can't tell: that a file system can't name a
 * file without the risk of replacing another, can't have a name, or takes two names for one that
 * differ by more than case; that a quota ends the room, or, for a database, that there is none; that
 * a database refuses a row; and that a folder lets only a file's owner replace it.
 */
#define LICBAK_DRY_RUN 0x00000100u

/**
 * For every operation: the host's functions (status, store, authorizer) are called inside
 * licbak_wait, on the thread that is in it, and nowhere else. So a host whose language takes no
 * call on a foreign thread has its own thread called, and an event loop decides when.
 *
 * The operation waits for the host where it has to: without a licbak_wait now and then it does not
 * end. A store's emit tells events, too. The status callback may be NULL; then nothing is told,
 * and an operation that needs no other function of the host (store, authorizer) ends by itself.
 */
#define LICBAK_CALL_IN_WAIT 0x00001000u

/**
 * For a backup or a restore: what can't be read, kept or put back is passed over, and does not end
 * the operation. LICBAK_STATUS_LICENSE_LEFT_OUT tells each, licenses_skipped counts them, and the
 * outcome is LICBAK_S_FALSE. Never passed over are a full disk, a lack of memory, a failed
 * enumerate of the host's store, and all licences: these are failures, as ever. It does not go with
 * LICBAK_WM_BACKUP_OVERWRITE.
 */
#define LICBAK_KEEP_GOING 0x00002000u

/** @} */

/**
 * @addtogroup phases Phases of an operation
 * @{
 */

/** The store or the backup is being listed. */
#define LICBAK_PHASE_LISTING 1u

/** The backup is being checked. A restore also writes the licences beside the store. */
#define LICBAK_PHASE_CHECKING 2u

/** Licences are being saved, or moved into the store. */
#define LICBAK_PHASE_WORKING 3u

/** The written data is brought to the disk and made visible. */
#define LICBAK_PHASE_COMMITTING 4u

/** @} */

/**
 * @addtogroup licenses What a licence says of itself
 * @{
 */

/**
 * The licence does not say whether it may be backed up. It is backed up, unless the property
 * UnstatedRight is 1.
 */
#define LICBAK_RIGHT_UNSTATED 0u

/** The issuer allows backup. */
#define LICBAK_RIGHT_ALLOWED 1u

/** The issuer denies backup. */
#define LICBAK_RIGHT_DENIED 2u

/** A licence of no format that this version knows. */
#define LICBAK_FORMAT_OPAQUE 0u

/** Windows Media DRM 7, XML. */
#define LICBAK_FORMAT_WMDRM 1u

/** PlayReady and Windows Media DRM 11, XMR. */
#define LICBAK_FORMAT_XMR 2u

/** Readium LCP, JSON. */
#define LICBAK_FORMAT_LCP 3u

/** OMA DRM rights object. */
#define LICBAK_FORMAT_OMA 4u

/** Windows Media DRM 1, certified licence. */
#define LICBAK_FORMAT_WMDRM1 5u

/** Keygen licence file or machine file that is not encrypted. */
#define LICBAK_FORMAT_KEYGEN 6u

/** @} */

/**
 * @addtogroup reading Looking at a backup
 * @{
 */

/**
 * It is not known which machine the backup is of: MachineId is not set, or was not set for the
 * backup.
 */
#define LICBAK_MACHINE_UNKNOWN 0u

/** The backup is of the machine that MachineId names. */
#define LICBAK_MACHINE_SAME 1u

/** The backup is of another machine than the one that MachineId names. */
#define LICBAK_MACHINE_OTHER 2u

/** @} */

/**
 * @addtogroup version The version of the library
 * @{
 */

/**
 * The version of the binary interface: the number in the library's SONAME. It rises when programs
 * that were built before can't run with the library any more.
 */
#define LICBAK_ABI_VERSION 0u

/** @} */

/**
 * @addtogroup types Types
 * @{
 */

/**
 * A backup restorer, made by licbak_create and freed by licbak_destroy. The original's object of
 * WMCreateBackupRestorer.
 */
typedef struct licbak_restorer licbak_restorer;

/** An outcome: 0 or above is success, below is failure. Windows' HRESULT. */
typedef int32_t licbak_hresult;

/** The figures of an operation. */
typedef struct licbak_progress {
    /** The caller's sizeof of this struct; in an event, the library's. */
    size_t struct_size;
    /** All licences of the operation; 0 until the store or backup has been counted. */
    uint64_t licenses_total;
    /**
     * Licences saved, restored or verified. It never falls, but where a transaction is rolled back. A
     * backup of a directory with LICBAK_KEEP_GOING sets it when all is read, since a licence that
     * was read may have to be passed over after all.
     */
    uint64_t licenses_done;
    /** Licences left out because their issuers deny backup. */
    uint64_t licenses_restricted;
    /** Licences of which the store has another version, and keeps its own. */
    uint64_t licenses_kept;
    /** Licences that are damaged in the backup. */
    uint64_t licenses_damaged;
    /** Bytes of the licences done. */
    uint64_t content_bytes;
    /** Bytes of the backup file that were written or read. */
    uint64_t backup_bytes;
    /** Steps of the phase that are done, for a progress bar. */
    uint64_t phase_done;
    /** All steps of the phase; 0: not known. */
    uint64_t phase_total;
    /** LICBAK_PHASE_*; 0 before the first. */
    uint32_t phase;
    /** 0. */
    uint32_t reserved;
    /**
     * Licences and folders that could not be read, kept or put back, and were passed over, as
     * LICBAK_KEEP_GOING asks; without it 0.
     */
    uint64_t licenses_skipped;
    /**
     * Licences of the backup that is replaced that are not in the store any more; all ones if
     * their number is not known.
     */
    uint64_t licenses_gone;
} licbak_progress;

/** The type of a value, LICBAK_WMT_TYPE_*. The original's WMT_ATTR_DATATYPE. */
typedef uint32_t licbak_datatype;

/** What an event is about, LICBAK_WMT_* or LICBAK_STATUS_*. The original's WMT_STATUS. */
typedef uint32_t licbak_status;

/**
 * The host's function that is told the events of an operation. The original's
 * IWMStatusCallback::OnStatus.
 *
 * It is called on one thread of the library, or with LICBAK_CALL_IN_WAIT on the one that is in
 * licbak_wait: one call at a time, in order. On a thread of the library the first call may come
 * before the function that started the operation has returned. value is never NULL, is aligned for
 * its type, and lives until the callback returns. size is the size of value in bytes; for a STRING
 * it does not count the final NUL. context is what the host gave with the function.
 *
 * @return LICBAK_S_OK to go on, also for a status that the host does not know. LICBAK_E_NOTIMPL
 * counts as LICBAK_S_OK. Any other failure ends the operation with that code, and only
 * LICBAK_WMT_BACKUPRESTORE_END comes after it. The answer to LICBAK_WMT_ERROR and to the end is
 * ignored, and so is any answer after the new backup has taken its place.
 */
typedef licbak_hresult (LICBAK_CALL *licbak_status_callback)(licbak_status status,
        licbak_hresult hr,
        licbak_datatype type,
        const uint8_t *value,
        size_t size,
        void *context);

/** What a backup says about itself. None of it is proof: whoever can write backups can forge it. */
typedef struct licbak_backup_info {
    /** The caller's sizeof of this struct. */
    size_t struct_size;
    /** The time when the backup was made, in nanoseconds since 1970 UTC; 0: not known. */
    int64_t created;
    /**
     * The number of backups so far that replaced each other, this one included: 1 and up; 0
     * where LICBAK_RESTORE_SALVAGE has found the end of the backup lost.
     */
    uint64_t generation;
    /** Licences in the backup. */
    uint64_t licenses;
    /** Licences that were left out because their issuers deny backup. */
    uint64_t restricted;
    /** Bytes of the licences in the backup. */
    uint64_t content_bytes;
    /** Bytes of the backup file. */
    uint64_t backup_bytes;
    /** The major version of the backup's format. */
    uint32_t version_major;
    /** The minor version of the backup's format. */
    uint32_t version_minor;
    /** LICBAK_MACHINE_*. */
    uint32_t machine;
    /** 1 if the backup is encrypted, else 0. */
    uint32_t encrypted;
    /**
     * The random ID of the backup, which the backups that replace it keep: 32 hexadecimal digits
     * and a NUL; "" where its end is lost.
     */
    char id[33];
    /** 0. */
    char reserved[7];
} licbak_backup_info;

/**
 * The host's function that allows or refuses a restore, see licbak_set_authorizer.
 *
 * It is called on a thread of the library, possibly while the status callback runs, or with
 * LICBAK_CALL_IN_WAIT inside licbak_wait. info is what the backup says about itself, beside
 * MachineId as it was set at the start; it lives until the function returns. A backup whose end is
 * lost (LICBAK_RESTORE_SALVAGE) states nothing: then id is "", machine is LICBAK_MACHINE_UNKNOWN,
 * and of the figures only backup_bytes is not 0. None of the facts is proof. url is url_size bytes
 * of zeros, at present 2,084. A function that refuses may write the address of a page about it
 * there, as UTF-8 with a NUL; anything else is not told. context is what the host gave with the
 * function.
 *
 * @return LICBAK_S_OK allows the restore. A failure ends it with that code:
 * LICBAK_NS_E_DRM_RESTORE_FRAUD, LICBAK_NS_E_DRM_RESTORE_SERVICE_UNAVAILABLE, or any other. Any
 * other success ends it with LICBAK_E_ACCESSDENIED.
 */
typedef licbak_hresult (LICBAK_CALL *licbak_authorize_callback)(const licbak_backup_info *info,
        char *url,
        size_t url_size,
        void *context);

/** A licence, on its way to the host or from it. */
typedef struct licbak_license {
    /** The sizeof of this struct, as the side that fills it knows it. */
    size_t struct_size;
    /** The name: unique in its store, relative, '/' between parts. */
    const char *name;
    /**
     * The key ID, of several the first: what the licence unlocks, as its issuer names it. From a
     * host, NULL means that the library reads it from the content. To a host it is never NULL:
     * where neither the host nor the content says it, it is the name's file stem.
     */
    const char *key_id;
    /** The content; NULL in a list, where only the size is known. */
    const uint8_t *content;
    /** The size of the content in bytes, 16 MiB at most. */
    size_t content_size;
    /**
     * The time of the last modification, in nanoseconds since 1970 UTC; 0: not known, also for
     * 1970-01-01 00:00:00.0 itself. For a file of a directory before 1677-09-21 or after
     * 2262-04-11 it is the nearest moment between.
     */
    int64_t modified;
    /** LICBAK_RIGHT_*. From a host, UNSTATED means that the library reads it from the content. */
    uint32_t backup_right;
    /** LICBAK_FORMAT_*; ignored from a host. */
    uint32_t format;
} licbak_license;

/**
 * A function that takes a licence: the host's for licbak_list_backup, or the library's emit for a
 * store of the host's own. The licence and all that it points to live until the function returns.
 *
 * @return LICBAK_S_OK to go on; a failure stops the list and is returned from it.
 */
typedef licbak_hresult (LICBAK_CALL *licbak_license_callback)(const licbak_license *license,
        void *context);

/**
 * A store of the host's own. Each function gets the context. It returns LICBAK_S_OK or a failure,
 * and a failure is then the outcome of the operation. emit may be called only inside the function
 * that it was given to, on that thread, with its emit_context. emit copies what it gets. A failure
 * of emit must be returned at once.
 *
 * With LICBAK_KEEP_GOING, emit returns LICBAK_S_OK also for a licence that is passed over, because
 * its name or its key ID can't be kept, it is over 16 MiB, or its name came before: go on. A put
 * that fails has its licence passed over, unless it fails with LICBAK_E_OUTOFMEMORY,
 * LICBAK_HRESULT_ERROR_DISK_FULL or LICBAK_NS_E_DRM_OPERATION_CANCELED. A failed enumerate, get or
 * merge ends the operation.
 */
typedef struct licbak_store {
    /** The caller's sizeof of this struct. */
    size_t struct_size;
    /** Given to each function. */
    void *context;
    /** For a backup: emits every licence, always in the same order for backups of equal bytes. */
    licbak_hresult (LICBAK_CALL *enumerate)(void *context,
        licbak_license_callback emit,
        void *emit_context);
    /** For a restore: emits the licence of that name, or none. */
    licbak_hresult (LICBAK_CALL *get)(void *context,
        const char *name,
        licbak_license_callback emit,
        void *emit_context);
    /** For a restore: keeps the licence, in place of the one of that name. */
    licbak_hresult (LICBAK_CALL *put)(void *context, const licbak_license *license);
    /**
     * For a restore, or NULL: of two versions of a licence emits the one to keep; none: mine
     * stays. mine is the store's, and theirs the backup's. A store whose licences carry counts
     * that are used up so keeps the lower count. What is emitted must have their name. If its
     * content is not that of mine, put gets it, and it counts as restored. Otherwise nothing is
     * put, and LICBAK_STATUS_LICENSE_KEPT tells the name, as without this function. It is not
     * asked with LICBAK_RESTORE_OVERWRITE, nor where both contents are the same. A dry run asks,
     * and puts nothing.
     */
    licbak_hresult (LICBAK_CALL *merge)(void *context,
        const licbak_license *mine,
        const licbak_license *theirs,
        licbak_license_callback emit,
        void *emit_context);
} licbak_store;

/** @} */

/**
 * @addtogroup statuses What a status callback is told
 * @{
 */

/**
 * Something failed. hr is the failure. value is a sentence for people (STRING): what failed, on
 * what, why and what to do. Told once, just before the end, unless the host ended the operation.
 */
#define LICBAK_WMT_ERROR 0u

/** The operation begins. value is 0 (DWORD). */
#define LICBAK_WMT_BACKUPRESTORE_BEGIN 21u

/**
 * The backup is of another machine, and the user consents to binding its licences to this one
 * (LICBAK_WM_RESTORE_INDIVIDUALIZE). value is 0 (DWORD).
 */
#define LICBAK_WMT_INDIVIDUALIZE 24u

/**
 * The backup is of another machine, and the user's consent is missing. Without LICBAK_DRY_RUN the
 * outcome is LICBAK_NS_E_DRM_NEEDS_INDIVIDUALIZATION. value is 0 (DWORD).
 */
#define LICBAK_WMT_NEEDS_INDIVIDUALIZATION 25u

/** The host's authorizer is called when this callback has returned. value is 0 (DWORD). */
#define LICBAK_WMT_BACKUPRESTORE_CONNECTING 28u

/** The host's authorizer has answered. value is 0 (DWORD). */
#define LICBAK_WMT_BACKUPRESTORE_DISCONNECTING 29u

/**
 * The host's authorizer refuses the restore. hr is its failure; value is the address that it gave
 * (STRING). LICBAK_WMT_BACKUPRESTORE_DISCONNECTING follows. Not told if it gave none.
 */
#define LICBAK_WMT_ERROR_WITHURL 30u

/**
 * The operation has ended. hr is its outcome; value is its last figures (BINARY,
 * licbak_progress). Told exactly once, and nothing comes after it.
 */
#define LICBAK_WMT_BACKUPRESTORE_END 27u

/**
 * A licence is left out because its issuer denies backup; the operation goes on. value is the key
 * ID (STRING). LICBAK_STATUS_LICENSE_LEFT_OUT with the licence's name follows.
 */
#define LICBAK_WMT_RESTRICTED_LICENSE 31u

/**
 * The figures have changed. value is the figures (BINARY, licbak_progress). Told some tens of
 * times a second at most.
 */
#define LICBAK_STATUS_PROGRESS 0x00010001u

/**
 * The store has a licence in another version than the backup, and keeps its own. value is the
 * licence's name (STRING). A licence in use carries consumed counts that an old copy must not
 * refill.
 */
#define LICBAK_STATUS_LICENSE_KEPT 0x00010002u

/** The bytes of a licence in the backup are damaged. value is the licence's name (STRING). */
#define LICBAK_STATUS_LICENSE_DAMAGED 0x00010003u

/**
 * Something is left out. Of a backup: a licence whose issuer denies backup; of a directory also a
 * link, a special file, a name that begins with a dot, or another backup of licbak. Of a backup or
 * a restore: what is passed over, as LICBAK_KEEP_GOING asks. value is "name: reason" (STRING), in
 * which characters that have an effect and can't be seen are escaped, as in error messages. Bytes
 * of a name that are no text are shown as \\xe9.
 */
#define LICBAK_STATUS_LICENSE_LEFT_OUT 0x00010004u

/** @} */

/**
 * @addtogroup datatypes Types of values
 * @{
 */

/** 32 bits, unsigned, in the machine's order. */
#define LICBAK_WMT_TYPE_DWORD 0u

/** UTF-8 with a final NUL. */
#define LICBAK_WMT_TYPE_STRING 1u

/** Bytes. */
#define LICBAK_WMT_TYPE_BINARY 2u

/** Of no property or event here. */
#define LICBAK_WMT_TYPE_BOOL 3u

/** Of no property or event here. */
#define LICBAK_WMT_TYPE_QWORD 4u

/** Of no property or event here. */
#define LICBAK_WMT_TYPE_WORD 5u

/** Of no property or event here. */
#define LICBAK_WMT_TYPE_GUID 6u

/** @} */

/**
 * @addtogroup outcomes Outcomes
 * @{
 */

/** Success. */
#define LICBAK_S_OK LICBAK_HRESULT_C(0x00000000)

/**
 * Success, with less done than asked for: the time ran out, there was nothing to cancel, or
 * licences were passed over, as LICBAK_KEEP_GOING asks.
 */
#define LICBAK_S_FALSE LICBAK_HRESULT_C(0x00000001)

/** Not implemented; from a status callback it counts as LICBAK_S_OK. */
#define LICBAK_E_NOTIMPL LICBAK_HRESULT_C(0x80004001)

/** A pointer that must not be NULL is NULL. */
#define LICBAK_E_POINTER LICBAK_HRESULT_C(0x80004003)

/** Aborted; never returned by this version. */
#define LICBAK_E_ABORT LICBAK_HRESULT_C(0x80004004)

/** A system error that has no code here; the error message has the system's words. */
#define LICBAK_E_FAIL LICBAK_HRESULT_C(0x80004005)

/** The call is not allowed inside a function of the host. */
#define LICBAK_E_ILLEGAL_METHOD_CALL LICBAK_HRESULT_C(0x8000000E)

/** A bug of the library; the restorer stays usable. */
#define LICBAK_E_UNEXPECTED LICBAK_HRESULT_C(0x8000FFFF)

/** No permission. */
#define LICBAK_E_ACCESSDENIED LICBAK_HRESULT_C(0x80070005)

/** The handle is no restorer, or the restorer has been destroyed. */
#define LICBAK_E_HANDLE LICBAK_HRESULT_C(0x80070006)

/** Memory ran out, or the system gave no thread. Trying again later makes sense. */
#define LICBAK_E_OUTOFMEMORY LICBAK_HRESULT_C(0x8007000E)

/** An argument is wrong. */
#define LICBAK_E_INVALIDARG LICBAK_HRESULT_C(0x80070057)

/** The store can't be opened or read as a store of its kind. */
#define LICBAK_NS_E_DRM_LICENSE_STORE_ERROR LICBAK_HRESULT_C(0xC00D2712)

/**
 * The backup is of another machine, and the user has not consented to binding its licences to this
 * one. Restoring with LICBAK_WM_RESTORE_INDIVIDUALIZE says that the user has.
 */
#define LICBAK_NS_E_DRM_NEEDS_INDIVIDUALIZATION LICBAK_HRESULT_C(0xC00D2728)

/** There is a backup already, and the call did not ask to replace it. */
#define LICBAK_NS_E_DRM_BACKUP_EXISTS LICBAK_HRESULT_C(0xC00D2742)

/** The backup is truncated or altered, or was not made by this library. */
#define LICBAK_NS_E_DRM_BACKUP_CORRUPT LICBAK_HRESULT_C(0xC00D2743)

/** Another operation is running on this restorer. Trying again after its end makes sense. */
#define LICBAK_NS_E_DRM_BACKUPRESTORE_BUSY LICBAK_HRESULT_C(0xC00D2744)

/** A property that the call needs is not set. */
#define LICBAK_NS_E_DRM_INVALID_PROPERTY LICBAK_HRESULT_C(0xC00D2749)

/** For a host's authorizer: the licences have been restored too often, or on too many machines. */
#define LICBAK_NS_E_DRM_RESTORE_FRAUD LICBAK_HRESULT_C(0xC00D2753)

/** The buffer is too small. The size has been set to the one that is needed. */
#define LICBAK_NS_E_DRM_BUFFER_TOO_SMALL LICBAK_HRESULT_C(0xC00D275C)

/** There is no property of this name. */
#define LICBAK_NS_E_DRM_UNSUPPORTED_PROPERTY LICBAK_HRESULT_C(0xC00D275D)

/** The host has cancelled the operation. */
#define LICBAK_NS_E_DRM_OPERATION_CANCELED LICBAK_HRESULT_C(0xC00D2768)

/** For a host's authorizer: the service that it asks can't be reached. */
#define LICBAK_NS_E_DRM_RESTORE_SERVICE_UNAVAILABLE LICBAK_HRESULT_C(0xC00D2846)

/** There is no backup in RestorePath. */
#define LICBAK_HRESULT_ERROR_FILE_NOT_FOUND LICBAK_HRESULT_C(0x80070002)

/** A directory is missing. */
#define LICBAK_HRESULT_ERROR_PATH_NOT_FOUND LICBAK_HRESULT_C(0x80070003)

/** Too many files are open. Trying again later makes sense. */
#define LICBAK_HRESULT_ERROR_TOO_MANY_OPEN_FILES LICBAK_HRESULT_C(0x80070004)

/** The file system is read-only. */
#define LICBAK_HRESULT_ERROR_WRITE_PROTECT LICBAK_HRESULT_C(0x80070013)

/** Writing failed, or bringing the written data to the disk. */
#define LICBAK_HRESULT_ERROR_WRITE_FAULT LICBAK_HRESULT_C(0x8007001D)

/** Reading failed. */
#define LICBAK_HRESULT_ERROR_READ_FAULT LICBAK_HRESULT_C(0x8007001E)

/** A licence or the store changes again and again. Trying again later makes sense. */
#define LICBAK_HRESULT_ERROR_SHARING_VIOLATION LICBAK_HRESULT_C(0x80070020)

/** A database or a directory was locked for too long. Trying again later makes sense. */
#define LICBAK_HRESULT_ERROR_LOCK_VIOLATION LICBAK_HRESULT_C(0x80070021)

/** The file system, the store or this version does not support the operation. */
#define LICBAK_HRESULT_ERROR_NOT_SUPPORTED LICBAK_HRESULT_C(0x80070032)

/** The disk or the quota is full. */
#define LICBAK_HRESULT_ERROR_DISK_FULL LICBAK_HRESULT_C(0x80070070)

/** A name can't be kept in a backup or in the store. */
#define LICBAK_HRESULT_ERROR_INVALID_NAME LICBAK_HRESULT_C(0x8007007B)

/** A store has the same name twice, or a directory a backup of each kind. */
#define LICBAK_HRESULT_ERROR_ALREADY_EXISTS LICBAK_HRESULT_C(0x800700B7)

/** A licence is larger than 16 MiB, or a file would be larger than the process's limit. */
#define LICBAK_HRESULT_ERROR_FILE_TOO_LARGE LICBAK_HRESULT_C(0x800700DF)

/** A path that must be a directory is something else. */
#define LICBAK_HRESULT_ERROR_DIRECTORY LICBAK_HRESULT_C(0x8007010B)

/** No licence has this key ID. */
#define LICBAK_HRESULT_ERROR_NOT_FOUND LICBAK_HRESULT_C(0x80070490)

/** The object store can't be reached, or does not work. */
#define LICBAK_HRESULT_ERROR_HOST_UNREACHABLE LICBAK_HRESULT_C(0x800704D0)

/** The backup has a later major version of the format. */
#define LICBAK_HRESULT_ERROR_REVISION_MISMATCH LICBAK_HRESULT_C(0x8007051A)

/** The object store does not answer. */
#define LICBAK_HRESULT_ERROR_TIMEOUT LICBAK_HRESULT_C(0x800705B4)

/** There is nothing to back up; an old backup stays. */
#define LICBAK_HRESULT_ERROR_EMPTY LICBAK_HRESULT_C(0x800710D2)

/**
 * No key that is set opens the encrypted backup, or what holds its own key has been altered; or keys
 * are set, and the backup is not encrypted.
 */
#define LICBAK_HRESULT_ERROR_DECRYPTION_FAILED LICBAK_HRESULT_C(0x80071771)

/** @} */

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * @addtogroup outcomes Outcomes
 * @{
 */

/**
 * The name of an outcome, for logs.
 *
 * @return "LICBAK_NS_E_DRM_BACKUP_EXISTS" and the like; "" for a code that this library does not
 * have. The text is static.
 */
LICBAK_API const char *LICBAK_CALL licbak_hresult_name(licbak_hresult hr);

/**
 * A sentence about what an outcome means in general. licbak_get_error_message tells what happened.
 *
 * @return The sentence; "" for a code that this library does not have. The text is static.
 */
LICBAK_API const char *LICBAK_CALL licbak_hresult_message(licbak_hresult hr);

/** @} */

/**
 * @addtogroup version The version of the library
 * @{
 */

/**
 * The version of the library.
 *
 * @return "0.1.0" and the like; static.
 */
LICBAK_API const char *LICBAK_CALL licbak_version(void);

/**
 * The LICBAK_ABI_VERSION of the library, to compare with the header's.
 *
 * @return The version.
 */
LICBAK_API uint32_t LICBAK_CALL licbak_abi_version(void);

/** @} */

/**
 * @addtogroup restorer The restorer and its operations
 * @{
 */

/**
 * Makes a restorer. The original's WMCreateBackupRestorer.
 *
 * @param restorer Receives the restorer; NULL on failure. licbak_destroy frees it.
 * @return LICBAK_S_OK; LICBAK_E_POINTER; LICBAK_E_OUTOFMEMORY.
 */
LICBAK_API licbak_hresult LICBAK_CALL licbak_create(licbak_restorer **restorer);

/**
 * Destroys a restorer. From the first moment of this call every other call on the restorer gets
 * LICBAK_E_HANDLE.
 *
 * A running operation is cancelled. The call returns when all functions of the host that run for
 * this restorer have returned. Inside a function of the host the call returns at once; the end of
 * the operation is still told, and then everything is freed.
 *
 * With LICBAK_CALL_IN_WAIT the call itself calls nothing, and the end is not told, so that a
 * finalizer may make it on any thread: to be told, cancel and wait first. A licbak_wait whose
 * function of the host makes this call lasts until the end has been told.
 *
 * @return LICBAK_S_OK; LICBAK_E_HANDLE, also for NULL.
 */
LICBAK_API licbak_hresult LICBAK_CALL licbak_destroy(licbak_restorer *restorer);

/**
 * Cancels the operation that runs, of whatever kind.
 *
 * The operation ends within the work on one licence, or when a system call or a function of the
 * host that blocks returns. Its outcome is then LICBAK_NS_E_DRM_OPERATION_CANCELED. A cancelled
 * operation leaves no file behind and an old backup untouched. A store keeps the licences that
 * were restored so far; a database keeps none. Of a restore that has written more than 10,000 files
 * beside a directory, a hidden folder may remain, which the next restore removes.
 *
 * @return LICBAK_S_OK if the operation will be cancelled; LICBAK_S_FALSE if nothing runs, or it is
 * too late; LICBAK_E_HANDLE.
 */
LICBAK_API licbak_hresult LICBAK_CALL licbak_cancel(licbak_restorer *restorer);

/**
 * Cancels a backup as licbak_cancel does, and no other operation. The original's
 * IWMLicenseBackup::CancelLicenseBackup.
 *
 * @return As licbak_cancel; LICBAK_S_FALSE also if another kind of operation runs.
 */
LICBAK_API licbak_hresult LICBAK_CALL licbak_cancel_license_backup(licbak_restorer *restorer);

/**
 * Cancels a restore as licbak_cancel does, and no other operation. The original's
 * IWMLicenseRestore::CancelLicenseRestore.
 *
 * @return As licbak_cancel; LICBAK_S_FALSE also if another kind of operation runs.
 */
LICBAK_API licbak_hresult LICBAK_CALL licbak_cancel_license_restore(licbak_restorer *restorer);

/**
 * Waits for the end of the operation that runs, until its last callback has returned.
 *
 * If no operation runs, the call gives the outcome of the last one; before the first operation it
 * gives LICBAK_S_OK. The caller must not hold what the host's functions need, such as an
 * interpreter's lock, because these functions run on other threads during the wait.
 *
 * An operation that was started with LICBAK_CALL_IN_WAIT calls the host's functions here, on this
 * thread; where several threads wait, one at a time does. What has become due when the time runs out
 * is still called, and a function of the host that is running then is not cut short; what becomes
 * due later waits for the next licbak_wait.
 *
 * @param timeout_ms How many milliseconds to wait; LICBAK_WAIT_FOREVER for as long as it takes. 0
 * calls what was due at the call, and does not wait.
 * @param outcome Receives the operation's outcome, which is the hr of its
 * LICBAK_WMT_BACKUPRESTORE_END; may be NULL.
 * @return LICBAK_S_OK; LICBAK_S_FALSE if the time ran out, and then *outcome is not changed;
 * LICBAK_E_HANDLE, also when the restorer is destroyed during the wait;
 * LICBAK_E_ILLEGAL_METHOD_CALL inside a function of the host.
 */
LICBAK_API licbak_hresult LICBAK_CALL licbak_wait(licbak_restorer *restorer,
        uint32_t timeout_ms,
        licbak_hresult *outcome);

/**
 * Gives a descriptor that a host's event loop polls beside others. It can be read while an
 * operation with LICBAK_CALL_IN_WAIT has something due and nobody is calling the host: then
 * licbak_wait with 0 calls what is due, and gives the outcome once the end is told. With a NULL
 * status callback the end is due until a licbak_wait has given the outcome.
 *
 * The host only polls it: it neither reads, writes nor closes it. It is the end of a pipe, is
 * closed when the process becomes another program, is made at the first call, and stays the same
 * until the restorer is destroyed.
 *
 * @param descriptor Receives the descriptor.
 * @return LICBAK_S_OK; LICBAK_E_HANDLE; LICBAK_E_POINTER;
 * LICBAK_HRESULT_ERROR_TOO_MANY_OPEN_FILES; LICBAK_E_FAIL.
 */
LICBAK_API licbak_hresult LICBAK_CALL licbak_get_wait_descriptor(licbak_restorer *restorer,
        ptrdiff_t *descriptor);

/**
 * Tells the figures of the operation that runs; if none runs, those of the last one.
 *
 * @param progress Receives the figures; struct_size must be set.
 * @return LICBAK_S_OK; LICBAK_E_HANDLE; LICBAK_E_POINTER; LICBAK_E_INVALIDARG if struct_size is
 * too small or too large.
 */
LICBAK_API licbak_hresult LICBAK_CALL licbak_get_progress(licbak_restorer *restorer,
        licbak_progress *progress);

/**
 * The sentence about the last start, operation or reading (licbak_list_backup,
 * licbak_get_backup_info) of this restorer that failed. It is kept until the next start or
 * reading; "" if nothing has failed.
 *
 * @param buffer Receives the text with its NUL; NULL to ask for its size.
 * @param size The buffer's size in bytes; receives the size of the text, NUL included.
 * @return LICBAK_S_OK; LICBAK_E_HANDLE; LICBAK_E_POINTER if size is NULL;
 * LICBAK_NS_E_DRM_BUFFER_TOO_SMALL: *size is set, and the buffer has as many whole characters as
 * fit into it, with a NUL.
 */
LICBAK_API licbak_hresult LICBAK_CALL licbak_get_error_message(licbak_restorer *restorer,
        char *buffer,
        size_t *size);

/** @} */

/**
 * @addtogroup properties Properties
 * @{
 */

/**
 * Sets a property. The original's IWMBackupRestoreProps::SetProp.
 *
 * An operation reads its properties once, when it starts. A property that is set later counts for
 * the next operation.
 *
 * | name             | type   | meaning                                                        |
 * |------------------|--------|----------------------------------------------------------------|
 * | BackupPath       | STRING | the directory that a backup is saved in                        |
 * | RestorePath      | STRING | the directory in which restore, verify, list and info find a   |
 * |                  |        | backup, or the backup file itself, whatever its name           |
 * | StorePath        | STRING | where the licences are: a directory that holds nothing else,   |
 * |                  |        | or an SQLite database, see below                               |
 * | Threads          | DWORD  | workers, 256 at most, of which no more than four for each core |
 * |                  |        | are made; 0 or not set: one for each core                      |
 * | CompressionLevel | DWORD  | a zstd level, an int32; not set: the level that measured best  |
 * | MachineId        | STRING | which machine this is, in the host's own words (a serial       |
 * |                  |        | number, a hash); not set or empty: not told                    |
 * | UnstatedRight    | DWORD  | a licence that states no backup right: 0 or not set: back it   |
 * |                  |        | up; 1: leave it out                                            |
 * | Recipients       | STRING | age recipients (age1...), one a line: a backup is encrypted to |
 * |                  |        | them                                                           |
 * | Passphrase       | STRING | encrypts a backup, where Recipients is not set; opens those    |
 * |                  |        | that it has encrypted                                          |
 * | Identities       | STRING | age identities (AGE-SECRET-KEY-1...), one a line: open backups |
 * |                  |        | that are encrypted to their recipients                         |
 * | Endpoint         | STRING | the server of an object store: https://host or http://host,    |
 * |                  |        | perhaps with a port and a path; not set: AWS                   |
 * | Region           | STRING | the region of the bucket; needed for AWS                       |
 * | AccessKeyId      | STRING | the key to the object store                                    |
 * | SecretAccessKey  | STRING | its secret                                                     |
 * | SessionToken     | STRING | the token of a key for a while                                 |
 *
 * BackupPath and RestorePath may be s3://bucket/prefix: a backup is then the object
 * prefix/licenses.tar.zst, or ....age, in an object store that speaks S3. RestorePath may also be
 * the address of a backup itself; it is looked at when there is none below it. A backup is
 * created on the condition that there is none, or with LICBAK_WM_BACKUP_OVERWRITE replaces the
 * version that was there at the start, so that two hosts never overwrite each other unnoticed.
 * That needs a store that keeps the conditions If-None-Match and If-Match: one that refuses them
 * is LICBAK_HRESULT_ERROR_NOT_SUPPORTED, and one that ignores them gives no such protection. What
 * may pass is tried again for up to a minute; licbak_backup_licenses and licbak_restore_licenses
 * name the outcomes. A cancel, and licbak_destroy of a list, take effect within a second, unless
 * the system is looking the store's name up. A store of AWS, and one whose Endpoint begins with
 * the bucket's name, is asked by that name; others have the bucket in the path. Servers must have
 * a certificate that the system trusts; http:// is neither encrypted nor proof of who answers.
 * The library reads no AWS_* of the environment.
 *
 * An encrypted backup is the file licenses.tar.zst.age, which the program age opens:
 * age -d -i key licenses.tar.zst.age | tar --zstd -x. A backup of one kind never takes the place of
 * one of the other: LICBAK_NS_E_DRM_BACKUP_EXISTS, even with LICBAK_WM_BACKUP_OVERWRITE. Where both
 * are in RestorePath, readers answer LICBAK_HRESULT_ERROR_ALREADY_EXISTS. If Passphrase or
 * Identities is set, they refuse a backup that is not encrypted, so that nobody can put one in its
 * place (LICBAK_HRESULT_ERROR_DECRYPTION_FAILED, as where no key fits). Of the lines of Recipients
 * and Identities those that are empty or begin with # say nothing. Whoever has lost the key to a
 * backup has lost the backup.
 *
 * Passphrase, Identities, SecretAccessKey and SessionToken are secrets. The library wipes them from
 * its memory when they are replaced or removed, or the restorer is destroyed; an operation wipes
 * its copies when it ends. They stand in no core file where the system can keep memory out of one
 * (Linux), but for the moment in which a backup is opened or begun, or a request is signed: then
 * there are copies in ordinary memory, which are wiped at its end. Nobody gets secrets back: see
 * licbak_get_prop_by_name.
 *
 * A database has the licences in a table named license, which for a backup may also be a view. Its
 * columns are name TEXT PRIMARY KEY, content BLOB NOT NULL, and optionally key_id TEXT and
 * backup_right INTEGER (LICBAK_RIGHT_*). Where one of the last two is NULL, the library reads it
 * from the content. Where one of them is generated from other columns, it is read and not written.
 *
 * A restore makes a database if StorePath does not exist and ends in .db, .sqlite or .sqlite3. The
 * database is made in a hidden folder beside its path, and is moved to its path when it is whole.
 * Any number of restores may make the same database at once: the first one makes it, and the
 * others restore into it. A restore is one transaction. Callbacks run while the database is locked
 * for writing, and must not wait for anybody who writes to it. A program that has the database
 * open itself, with an SQLite of its own, closes it for the operation or uses licbak_set_store:
 * when a process closes any descriptor of a file, POSIX drops all locks that the process has on
 * that file.
 *
 * SQLite does not survive a fork in the middle of its work. In a child that was forked while an
 * operation on a database ran, operations on databases end with
 * LICBAK_HRESULT_ERROR_NOT_SUPPORTED. Call exec in the child, or fork before or after such
 * operations. Directories and licbak_set_store work there as always.
 *
 * A backup keeps of MachineId only an HMAC-SHA-256 that is keyed with the backup's ID. Two backups
 * do not show that they are of one machine, but a person who guesses MachineId can check the
 * guess. licbak_get_backup_info compares it with MachineId as it is then. A restore of another
 * machine's backup needs the user's consent (LICBAK_WM_RESTORE_INDIVIDUALIZE).
 *
 * A path may also be BINARY: the system's own bytes. A path that contains "://" is refused,
 * but for s3://bucket/prefix as above.
 *
 * @param name The property.
 * @param type LICBAK_WMT_TYPE_STRING, _DWORD or _BINARY.
 * @param value The value, of any alignment; copied.
 * @param size The size of value in bytes. For a STRING it does not count the NUL, but may include
 * one NUL at the end.
 * @return LICBAK_S_OK; LICBAK_E_HANDLE; LICBAK_E_POINTER; LICBAK_NS_E_DRM_UNSUPPORTED_PROPERTY for
 * an unknown name; LICBAK_E_INVALIDARG for a wrong type, a value out of range, another NUL or bad
 * UTF-8 in a STRING, or a DWORD that does not have 4 bytes; LICBAK_E_OUTOFMEMORY.
 */
LICBAK_API licbak_hresult LICBAK_CALL licbak_set_prop(licbak_restorer *restorer,
        const char *name,
        licbak_datatype type,
        const uint8_t *value,
        size_t size);

/**
 * Sets a STRING property to a text that ends with a NUL. Everything else is as in licbak_set_prop.
 *
 * @return As licbak_set_prop.
 */
LICBAK_API licbak_hresult LICBAK_CALL licbak_set_prop_string(licbak_restorer *restorer,
        const char *name,
        const char *value);

/**
 * Tells how many properties are set. The original's IWMBackupRestoreProps::GetPropCount.
 *
 * @param count Receives the number.
 * @return LICBAK_S_OK; LICBAK_E_HANDLE; LICBAK_E_POINTER.
 */
LICBAK_API licbak_hresult LICBAK_CALL licbak_get_prop_count(licbak_restorer *restorer,
        size_t *count);

/**
 * Gets one of the properties that are set, by its number. The original's
 * IWMBackupRestoreProps::GetPropByIndex.
 *
 * @param index From 0 to the number of properties less 1.
 * @param name Receives the name with its NUL; NULL to ask for its size.
 * @param name_size The size of name in bytes; receives the size of the name, NUL included.
 * @param type Receives LICBAK_WMT_TYPE_*.
 * @param value Receives the value, a STRING with its NUL; NULL to ask for its size.
 * @param size The size of value in bytes; receives the size of the value, NUL included.
 * @return LICBAK_S_OK; LICBAK_S_FALSE for a secret, as in licbak_get_prop_by_name; LICBAK_E_HANDLE;
 * LICBAK_E_POINTER; LICBAK_E_INVALIDARG if fewer properties are set; LICBAK_NS_E_DRM_BUFFER_TOO_SMALL: both sizes are set and nothing else is written.
 */
LICBAK_API licbak_hresult LICBAK_CALL licbak_get_prop_by_index(licbak_restorer *restorer,
        size_t index,
        char *name,
        size_t *name_size,
        licbak_datatype *type,
        uint8_t *value,
        size_t *size);

/**
 * Gets the value of a property. The original's IWMBackupRestoreProps::GetPropByName.
 *
 * @param name The property.
 * @param type Receives LICBAK_WMT_TYPE_*.
 * @param value Receives the value, a STRING with its NUL; NULL to ask for its size.
 * @param size The size of value in bytes; receives the size of the value, NUL included.
 * @return LICBAK_S_OK; LICBAK_S_FALSE for a secret, of which only the type is told, with the size
 * 0; LICBAK_E_HANDLE; LICBAK_E_POINTER; LICBAK_NS_E_DRM_UNSUPPORTED_PROPERTY for an
 * unknown name; LICBAK_NS_E_DRM_INVALID_PROPERTY if it is not set;
 * LICBAK_NS_E_DRM_BUFFER_TOO_SMALL: *size is set and nothing else is written.
 */
LICBAK_API licbak_hresult LICBAK_CALL licbak_get_prop_by_name(licbak_restorer *restorer,
        const char *name,
        licbak_datatype *type,
        uint8_t *value,
        size_t *size);

/**
 * Removes a property, if it is set. The original's IWMBackupRestoreProps::RemoveProp.
 *
 * @param name The property.
 * @return LICBAK_S_OK; LICBAK_E_HANDLE; LICBAK_E_POINTER; LICBAK_NS_E_DRM_UNSUPPORTED_PROPERTY for
 * an unknown name.
 */
LICBAK_API licbak_hresult LICBAK_CALL licbak_remove_prop(licbak_restorer *restorer,
        const char *name);

/**
 * Removes all properties. The original's IWMBackupRestoreProps::RemoveAllProps.
 *
 * @return LICBAK_S_OK; LICBAK_E_HANDLE.
 */
LICBAK_API licbak_hresult LICBAK_CALL licbak_remove_all_props(licbak_restorer *restorer);

/** @} */

/**
 * @addtogroup backup Backing up
 * @{
 */

/**
 * Starts to save copies of all licences of the store into the file licenses.tar.zst in BackupPath.
 * The original's IWMLicenseBackup::BackupLicenses.
 *
 * The file appears whole or not at all: whatever stops the process or the machine, the old backup
 * or the new one is there. LICBAK_S_OK at the end means that the backup is on the disk. Only its
 * owner can read the file.
 *
 * A backup never silently lacks a licence. A licence that can't be read makes the backup fail. A
 * licence that was in the store all the time is in the backup, even if files were renamed
 * meanwhile. Licences whose issuer denies backup are left out and told
 * (LICBAK_WMT_RESTRICTED_LICENSE). Left out and told, too, are the backups of licbak that lie in the
 * store, links, special files, and names that begin with a dot (LICBAK_STATUS_LICENSE_LEFT_OUT).
 *
 * With LICBAK_KEEP_GOING, what can't be read or kept is passed over instead: a licence or a folder
 * that permissions, a read error, its name, its size or its movement keep from being backed up.
 * Each is told (LICBAK_STATUS_LICENSE_LEFT_OUT) and counted (licenses_skipped; a folder counts as
 * one), and the outcome is LICBAK_S_FALSE. If nothing else is left to save, the first of these
 * failures is the outcome. The flag does not go with LICBAK_WM_BACKUP_OVERWRITE: what the old
 * backup still has must not be lost to it.
 *
 * LICBAK_WM_BACKUP_OVERWRITE replaces the backup that is there at the call, and none that comes
 * later. If nothing in the store has changed since that backup, and the backup is whole, the
 * backup stays as it is. licenses_gone of the last figures tells how many licences of the old
 * backup are not in the store any more.
 *
 * A relative path means the directory that is current in this call.
 *
 * @param restorer The restorer. StorePath or a store of the host's own must be set, and BackupPath
 * except with LICBAK_DRY_RUN.
 * @param flags LICBAK_WM_BACKUP_OVERWRITE, LICBAK_BACKUP_FULL, LICBAK_DRY_RUN, LICBAK_KEEP_GOING,
 * LICBAK_CALL_IN_WAIT, or 0.
 * @param callback Is told the events of the operation; NULL only with LICBAK_CALL_IN_WAIT.
 * @param context Is given to the callback; must live until the end has been told.
 * @return LICBAK_S_OK: the operation has begun, and its end will be told. With any other code
 * nothing has begun and nothing is told: LICBAK_E_HANDLE; LICBAK_E_INVALIDARG for another flag,
 * LICBAK_KEEP_GOING with LICBAK_WM_BACKUP_OVERWRITE, or a NULL callback without
 * LICBAK_CALL_IN_WAIT; LICBAK_NS_E_DRM_BACKUPRESTORE_BUSY; LICBAK_NS_E_DRM_INVALID_PROPERTY if a
 * property is missing or empty; LICBAK_E_NOTIMPL if the host's store has no enumerate;
 * LICBAK_NS_E_DRM_BACKUP_EXISTS if there is a backup in a directory and neither
 * LICBAK_WM_BACKUP_OVERWRITE nor LICBAK_DRY_RUN; LICBAK_E_OUTOFMEMORY.
 *
 * Outcomes, told by the end: LICBAK_S_OK; LICBAK_S_FALSE: licences were passed over, as
 * LICBAK_KEEP_GOING asks; LICBAK_NS_E_DRM_OPERATION_CANCELED; the callback's own
 * failure; LICBAK_HRESULT_ERROR_EMPTY: there is nothing to save, and an old backup stays;
 * LICBAK_NS_E_DRM_BACKUP_EXISTS: another process has put a backup there meanwhile, which is kept,
 * or the backup's name is that of a folder, a FIFO, a socket or a device;
 * LICBAK_HRESULT_ERROR_PATH_NOT_FOUND, _DIRECTORY for BackupPath or StorePath;
 * LICBAK_E_ACCESSDENIED; LICBAK_HRESULT_ERROR_WRITE_PROTECT, _DISK_FULL, _READ_FAULT,
 * _WRITE_FAULT, _TOO_MANY_OPEN_FILES; LICBAK_HRESULT_ERROR_FILE_TOO_LARGE: a licence is over 16
 * MiB, or the backup is over the process's limit on file sizes;
 * LICBAK_HRESULT_ERROR_INVALID_NAME: a name can't be kept; LICBAK_HRESULT_ERROR_SHARING_VIOLATION:
 * the store or a licence did not hold still for 5 s; LICBAK_HRESULT_ERROR_LOCK_VIOLATION:
 * BackupPath was locked for over 5 s; LICBAK_HRESULT_ERROR_NOT_SUPPORTED: the file system can't
 * name a file without the risk of replacing another; LICBAK_E_OUTOFMEMORY; LICBAK_E_UNEXPECTED;
 * LICBAK_E_FAIL.
 *
 * From a database also: LICBAK_NS_E_DRM_LICENSE_STORE_ERROR: it is damaged, or a row is no
 * licence; LICBAK_HRESULT_ERROR_LOCK_VIOLATION: it was locked for over 5 s;
 * LICBAK_HRESULT_ERROR_ALREADY_EXISTS: a view has a name twice. From a store of the host's own
 * also: LICBAK_HRESULT_ERROR_ALREADY_EXISTS: a name comes twice; LICBAK_E_POINTER,
 * LICBAK_E_INVALIDARG: what was emitted is no licence; and the failures of its functions.
 *
 * To object storage also: LICBAK_NS_E_DRM_BACKUP_EXISTS: there is a backup, which shows only when
 * the store is asked, or another host was faster; LICBAK_E_ACCESSDENIED: the store does not allow
 * it or does not know the key, or its clock is another; LICBAK_HRESULT_ERROR_PATH_NOT_FOUND: there
 * is no such bucket; LICBAK_E_INVALIDARG: the bucket is in another region or not at this endpoint;
 * LICBAK_HRESULT_ERROR_HOST_UNREACHABLE, _TIMEOUT: the store can't be reached or does not work, or
 * does not answer, for a minute; LICBAK_HRESULT_ERROR_NOT_SUPPORTED: the store refuses the
 * conditions, or gives no parts of objects; LICBAK_HRESULT_ERROR_SHARING_VIOLATION: the old backup
 * was replaced while it was read, or somebody has dropped the upload;
 * LICBAK_HRESULT_ERROR_DISK_FULL, _FILE_TOO_LARGE: the store has no room, or takes nothing as
 * large. What waits lies in the system's folder for temporary files then, whose failures come with
 * their codes and its name.
 */
LICBAK_API licbak_hresult LICBAK_CALL licbak_backup_licenses(licbak_restorer *restorer,
        uint32_t flags,
        licbak_status_callback callback,
        void *context);

/** @} */

/**
 * @addtogroup restore Restoring
 * @{
 */

/**
 * Starts to restore all licences of the backup in RestorePath into the store. The original's
 * IWMLicenseRestore::RestoreLicenses.
 *
 * The restore first checks the whole backup, and writes the licences beside the store. A damaged
 * backup leaves the store as it was. Then it takes licence by licence. A licence that the store
 * lacks is moved into its place. A licence that the store has already is left alone. Where the
 * store has another version of a licence, the store's version stays, and
 * LICBAK_STATUS_LICENSE_KEPT tells its name. With LICBAK_RESTORE_OVERWRITE the licence is replaced
 * instead. Its file keeps owner, mode, access list and extended attributes, so that nobody can
 * read it who could not before; an access list that can't be kept leaves it to its owner alone.
 *
 * Nothing is deleted. Only its owner can read a new file or enter a new folder, whatever default
 * access list the store has. Its owner is that of the folder that it comes into, if the caller may
 * give files away, and else the caller: so a store that is restored by root stays that of the
 * service which it belongs to. Modification times are restored.
 * LICBAK_S_OK at the end means that all is on the disk. When a restore is cancelled or fails, the
 * store keeps what it got; the same restore, run again, completes it. A restore into a database is
 * one transaction, so that a database then keeps nothing. If another restore makes the same new
 * database meanwhile, the figures may begin again once.
 *
 * With LICBAK_RESTORE_SALVAGE the intact licences of a damaged backup are restored, and the
 * outcome is still LICBAK_NS_E_DRM_BACKUP_CORRUPT. The end of the file has the names. If it is
 * intact, each lost licence is told (LICBAK_STATUS_LICENSE_DAMAGED). If it is not, the licences
 * are searched from the front: they may then be older versions, and LICBAK_RESTORE_OVERWRITE does
 * not count.
 *
 * With LICBAK_KEEP_GOING, what can't be put back is passed over: a licence that permissions, a read
 * error, its name or what stands in its place keep from going back, one that a database refuses, and
 * one that a put of the host's own store fails to keep. Each is told
 * (LICBAK_STATUS_LICENSE_LEFT_OUT) and counted (licenses_skipped), and the outcome is
 * LICBAK_S_FALSE. If nothing else came of the restore, the first of these failures is the outcome.
 *
 * If MachineId says that the backup is of another machine, the user must consent to binding its
 * licences to this one: the consent is LICBAK_WM_RESTORE_INDIVIDUALIZE. Then the host's
 * authorizer, if there is one, allows or refuses the restore (licbak_set_authorizer). Before both
 * nothing is done.
 *
 * When the backup is found right, a store of the host's own is asked for each licence, and is
 * given the licences that it is to keep. If it has a function merge, it chooses between two
 * versions of a licence itself.
 *
 * @param restorer The restorer. RestorePath must be set, and StorePath or a store of the host's
 * own. A directory in StorePath that does not exist is made; its parent must exist.
 * @param flags LICBAK_RESTORE_OVERWRITE, LICBAK_RESTORE_SALVAGE, LICBAK_DRY_RUN,
 * LICBAK_WM_RESTORE_INDIVIDUALIZE, LICBAK_KEEP_GOING, LICBAK_CALL_IN_WAIT, or 0.
 * @param callback Is told the events of the operation; NULL only with LICBAK_CALL_IN_WAIT.
 * @param context Is given to the callback; must live until the end has been told.
 * @return LICBAK_S_OK: the operation has begun, and its end will be told. With any other code
 * nothing has begun and nothing is told: LICBAK_E_HANDLE; LICBAK_E_INVALIDARG for another flag, or
 * a NULL callback without LICBAK_CALL_IN_WAIT; LICBAK_NS_E_DRM_BACKUPRESTORE_BUSY;
 * LICBAK_NS_E_DRM_INVALID_PROPERTY if a property is missing or empty; LICBAK_E_NOTIMPL if the
 * host's store has no get or, without LICBAK_DRY_RUN, no put; LICBAK_E_OUTOFMEMORY.
 *
 * Outcomes, told by the end: LICBAK_S_OK; LICBAK_S_FALSE: licences were passed over, as
 * LICBAK_KEEP_GOING asks; LICBAK_NS_E_DRM_OPERATION_CANCELED; the callback's own
 * failure; LICBAK_HRESULT_ERROR_FILE_NOT_FOUND: there is no backup in RestorePath;
 * LICBAK_HRESULT_ERROR_PATH_NOT_FOUND, _DIRECTORY for RestorePath or StorePath;
 * LICBAK_NS_E_DRM_NEEDS_INDIVIDUALIZATION: the backup is of another machine, and the user's
 * consent is missing; the failure of the host's authorizer; LICBAK_NS_E_DRM_BACKUP_CORRUPT;
 * LICBAK_HRESULT_ERROR_REVISION_MISMATCH: the backup has a later major version;
 * LICBAK_HRESULT_ERROR_INVALID_NAME: the store has something else in the place of a licence or a
 * folder, or its file system can't have the name or takes it for another name;
 * LICBAK_HRESULT_ERROR_NOT_SUPPORTED: a folder of the store is on another file system; or the file
 * system can't name a file without the risk of replacing another, which a restore without
 * LICBAK_RESTORE_OVERWRITE or into a new database needs; or license is a view or a virtual table;
 * LICBAK_HRESULT_ERROR_DISK_FULL, before anything is written where it is sure that the licences
 * which the store lacks have no room;
 * LICBAK_NS_E_DRM_LICENSE_STORE_ERROR: a database is damaged, takes no licences, or was moved away
 * or replaced meanwhile, or the log or journal of another database is in the place of a new one's;
 * LICBAK_HRESULT_ERROR_LOCK_VIOLATION: a database was locked for over 5 s; a failure of the host's
 * store; LICBAK_E_ACCESSDENIED; LICBAK_HRESULT_ERROR_WRITE_PROTECT, _READ_FAULT,
 * _WRITE_FAULT, _TOO_MANY_OPEN_FILES, _FILE_TOO_LARGE; LICBAK_E_OUTOFMEMORY; LICBAK_E_UNEXPECTED;
 * LICBAK_E_FAIL.
 *
 * From object storage also: LICBAK_E_ACCESSDENIED: the store does not allow it or does not know
 * the key, or its clock is another; LICBAK_HRESULT_ERROR_PATH_NOT_FOUND: there is no such bucket;
 * LICBAK_E_INVALIDARG: the bucket is in another region or not at this endpoint;
 * LICBAK_HRESULT_ERROR_HOST_UNREACHABLE, _TIMEOUT: the store can't be reached or does not work, or
 * does not answer, for a minute; LICBAK_HRESULT_ERROR_NOT_SUPPORTED: the store gives no parts of
 * objects; LICBAK_HRESULT_ERROR_SHARING_VIOLATION: the backup was replaced while it was read.
 */
LICBAK_API licbak_hresult LICBAK_CALL licbak_restore_licenses(licbak_restorer *restorer,
        uint32_t flags,
        licbak_status_callback callback,
        void *context);

/**
 * Starts to restore the licences of the backup in RestorePath that have a key ID: mostly one. If
 * several licences have the key ID, all of them are restored; a licence with several key IDs is
 * found by each of them. Everything else is as in licbak_restore_licenses.
 *
 * Only the end of the backup and a few frames are read and checked, so that one licence out of a
 * million comes at once.
 *
 * @param key_id What the licence unlocks, as its issuer names it and licbak_list_backup tells it.
 * @return As licbak_restore_licenses; LICBAK_E_POINTER if key_id is NULL; LICBAK_E_INVALIDARG if
 * key_id is empty, longer than 1,024 bytes, not UTF-8, or has a control character.
 *
 * Outcomes, told by the end: LICBAK_HRESULT_ERROR_NOT_FOUND: no licence has the key ID; and those
 * of licbak_restore_licenses.
 */
LICBAK_API licbak_hresult LICBAK_CALL licbak_restore_license(licbak_restorer *restorer,
        const char *key_id,
        uint32_t flags,
        licbak_status_callback callback,
        void *context);

/**
 * Sets a function of the host's own that allows or refuses each restore. So a host asks its
 * service, counts the machines that a backup has come to, or refuses a backup that is older than
 * one it has seen. In the original, Microsoft's License Management Service did this. It counts for
 * the operations that start from now on. Without an authorizer every restore is free.
 *
 * The function is called once in each restore, after the backup has been opened and before
 * anything else of it is read; in a dry run it is not called. LICBAK_WMT_BACKUPRESTORE_CONNECTING
 * is told before the call and LICBAK_WMT_BACKUPRESTORE_DISCONNECTING after it. Any failure that it
 * returns is the outcome of the operation, and nothing is restored. A restore that it allows may
 * still fail, as where the backup proves damaged: a host that counts machines counts each once.
 *
 * @param authorize The function; NULL: none.
 * @param context Is given to the function. It must live until the next licbak_set_authorizer that
 * succeeds, or until licbak_destroy is over.
 * @return LICBAK_S_OK; LICBAK_E_HANDLE; LICBAK_NS_E_DRM_BACKUPRESTORE_BUSY while an operation
 * runs; LICBAK_E_OUTOFMEMORY.
 */
LICBAK_API licbak_hresult LICBAK_CALL licbak_set_authorizer(licbak_restorer *restorer,
        licbak_authorize_callback authorize,
        void *context);

/** @} */

/**
 * @addtogroup reading Looking at a backup
 * @{
 */

/**
 * Starts to verify the backup in RestorePath. Every byte is read, every digest is compared, and
 * all lists of the backup must name the same licences.
 *
 * Each damaged licence is told (LICBAK_STATUS_LICENSE_DAMAGED), and the others are checked all the
 * same. A backup shows damage; tampering shows only to someone who keeps the file's digest
 * elsewhere.
 *
 * @param restorer The restorer; RestorePath must be set.
 * @param flags LICBAK_CALL_IN_WAIT, or 0.
 * @param callback Is told the events of the operation; NULL only with LICBAK_CALL_IN_WAIT.
 * @param context Is given to the callback; must live until the end has been told.
 * @return As licbak_restore_licenses.
 *
 * Outcomes, told by the end: LICBAK_S_OK; LICBAK_NS_E_DRM_OPERATION_CANCELED; the callback's own
 * failure; LICBAK_NS_E_DRM_BACKUP_CORRUPT; LICBAK_HRESULT_ERROR_REVISION_MISMATCH;
 * LICBAK_HRESULT_ERROR_FILE_NOT_FOUND, _PATH_NOT_FOUND, _DIRECTORY, _READ_FAULT,
 * _TOO_MANY_OPEN_FILES; LICBAK_E_ACCESSDENIED; LICBAK_E_OUTOFMEMORY; LICBAK_E_UNEXPECTED;
 * LICBAK_E_FAIL; from object storage also those that licbak_restore_licenses names.
 */
LICBAK_API licbak_hresult LICBAK_CALL licbak_verify_backup(licbak_restorer *restorer,
        uint32_t flags,
        licbak_status_callback callback,
        void *context);

/**
 * Lists the licences of the backup in RestorePath, on the calling thread, in the backup's order. A
 * list is not an operation: it is allowed at any time, also while an operation runs and inside
 * callbacks.
 *
 * @param restorer The restorer; RestorePath must be set.
 * @param callback Is given each licence; content is NULL, content_size is its size.
 * @param context Is given to the callback.
 * @return LICBAK_S_OK when all licences have been listed; LICBAK_E_HANDLE, also when the restorer
 * is destroyed meanwhile; LICBAK_E_INVALIDARG for a NULL callback;
 * LICBAK_NS_E_DRM_INVALID_PROPERTY; the callback's own failure; and the outcomes of
 * licbak_verify_backup.
 */
LICBAK_API licbak_hresult LICBAK_CALL licbak_list_backup(licbak_restorer *restorer,
        licbak_license_callback callback,
        void *context);

/**
 * Tells what the backup in RestorePath says about itself: when it was made, its ID and generation,
 * its machine, and how much it holds. It reads only the end of the file, and is quick; what else
 * is in the file, licbak_verify_backup checks.
 *
 * Each backup has a random ID, which the backups that replace it keep, and a generation one above
 * that of the backup that it replaces. If that one can't be read, the new backup has a new ID and
 * generation 1. A backup that finds nothing changed writes nothing, and both stay. So a host
 * that remembers the highest generation of an ID notices an older backup.
 *
 * The call is not an operation: it is allowed at any time, also while an operation runs and inside
 * callbacks. It works on the calling thread.
 *
 * @param restorer The restorer; RestorePath must be set. The machine is told beside MachineId as
 * it is set now.
 * @param info Receives the facts; struct_size must be set.
 * @return LICBAK_S_OK; LICBAK_E_HANDLE, also when the restorer is destroyed meanwhile;
 * LICBAK_E_POINTER; LICBAK_E_INVALIDARG if struct_size is too small or too large;
 * LICBAK_NS_E_DRM_INVALID_PROPERTY; and the failures of licbak_verify_backup, but for those of a
 * callback.
 */
LICBAK_API licbak_hresult LICBAK_CALL licbak_get_backup_info(licbak_restorer *restorer,
        licbak_backup_info *info);

/** @} */

/**
 * @addtogroup store A store of the host's own
 * @{
 */

/**
 * Sets a store of the host's own in place of StorePath, for licences that lie among other things,
 * in a database or in memory. It counts for the operations that start from now on.
 *
 * The struct is copied. The functions are called on threads of the library, on one thread at a
 * time, possibly while the status callback runs on another thread. With LICBAK_CALL_IN_WAIT they
 * are called inside licbak_wait, and emit calls the status callback with what is due. A failure of
 * a function is the operation's outcome.
 *
 * @param store The functions; NULL to go back to StorePath. The context in it must live until the
 * next licbak_set_store that succeeds, or until licbak_destroy is over.
 * @return LICBAK_S_OK; LICBAK_E_HANDLE; LICBAK_E_INVALIDARG if struct_size is too small or too
 * large, or if the struct has something that this version does not know;
 * LICBAK_NS_E_DRM_BACKUPRESTORE_BUSY while an operation runs; LICBAK_E_OUTOFMEMORY.
 */
LICBAK_API licbak_hresult LICBAK_CALL licbak_set_store(licbak_restorer *restorer,
        const licbak_store *store);

/** @} */

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* LICBAK_H */
