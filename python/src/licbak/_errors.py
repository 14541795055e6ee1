"""The failures as exceptions: one class for each failure that programs handle separately."""

import errno

from . import _c
from ._c import Hr
from ._report import NOTHING, Result


class Error(OSError):
    """A failure that the library tells.

    `str()` is its sentence: what failed, on what, why, and what to do. `errno` is the system's
    number for the failure, or None if there is none.
    """

    hresult: int
    """The HRESULT, unsigned: 0xC00D2742 and the like."""
    result: Result
    """The result of the operation up to the failure."""

    def __init__(self, hresult: int, sentence: str, result: Result = NOTHING) -> None:
        super().__init__(_ERRNOS.get(hresult), sentence)
        self.hresult = int(hresult)
        self.result = result

    @property
    def name(self) -> str:
        """The HRESULT's name in the C header; "" for a number that the library does not have."""
        return str(_c.hresult_name(self.hresult).decode())

    def __str__(self) -> str:
        return str(self.strerror)

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.hresult, self.strerror, self.result)


class BackupExists(Error, FileExistsError):
    """There is a backup, and the call did not ask to replace it."""


class NothingBackedUp(Error):
    """There is no licence to back up; an old backup stays as it is."""


class NoBackup(Error, FileNotFoundError):
    """There is no backup in the directory."""


class NoDirectory(Error, FileNotFoundError):
    """A directory is missing."""


class NotADirectory(Error, NotADirectoryError):
    """A path that must be a directory is something else."""


class BackupCorrupt(Error):
    """The backup is truncated or altered, or was not made by this library.

    `result.damaged` names the damaged licences, as far as their names are known. After a restore
    with `salvage`, `result.licenses` counts the licences that were restored.
    """


class NeedsIndividualization(Error):
    """The backup is of another machine, and the call did not say that the user consents."""


class DecryptionFailed(Error):
    """No key that was given opens the backup; or keys were given, and it is not encrypted."""


class NotFound(Error, LookupError):
    """No licence of the backup has this key ID."""


class Canceled(Error):
    """The operation was cancelled, by `cancel()` or `close()`."""


class Busy(Error):
    """Another operation is running on this restorer."""


class Closed(Error, RuntimeError):
    """The restorer is closed, was made before this process was forked, or the interpreter ends."""


class AccessDenied(Error, PermissionError):
    """The user has no permission for a file or directory."""


class DiskFull(Error):
    """The disk or the quota is full."""


class Unreachable(Error, ConnectionError):
    """The object store can't be reached, or does not work."""


class TimedOut(Error, TimeoutError):
    """The object store does not answer."""


class InvalidArgument(Error, ValueError):
    """An argument is wrong, or one that the call needs was not given to the restorer."""


_CLASSES: dict[int, type[Error]] = {
    Hr.NS_E_DRM_NEEDS_INDIVIDUALIZATION: NeedsIndividualization,
    Hr.NS_E_DRM_BACKUP_EXISTS: BackupExists,
    Hr.HRESULT_ERROR_EMPTY: NothingBackedUp,
    Hr.HRESULT_ERROR_FILE_NOT_FOUND: NoBackup,
    Hr.HRESULT_ERROR_PATH_NOT_FOUND: NoDirectory,
    Hr.HRESULT_ERROR_DIRECTORY: NotADirectory,
    Hr.NS_E_DRM_BACKUP_CORRUPT: BackupCorrupt,
    Hr.HRESULT_ERROR_DECRYPTION_FAILED: DecryptionFailed,
    Hr.HRESULT_ERROR_HOST_UNREACHABLE: Unreachable,
    Hr.HRESULT_ERROR_TIMEOUT: TimedOut,
    Hr.HRESULT_ERROR_NOT_FOUND: NotFound,
    Hr.NS_E_DRM_OPERATION_CANCELED: Canceled,
    Hr.NS_E_DRM_BACKUPRESTORE_BUSY: Busy,
    Hr.E_HANDLE: Closed,
    Hr.E_ACCESSDENIED: AccessDenied,
    Hr.HRESULT_ERROR_DISK_FULL: DiskFull,
    Hr.E_INVALIDARG: InvalidArgument,
    Hr.NS_E_DRM_INVALID_PROPERTY: InvalidArgument,
}

ARGUMENTS = {
    "StorePath": "store",
    "BackupPath": "backup",
    "RestorePath": "backup",
    "Threads": "threads",
    "CompressionLevel": "compression_level",
    "MachineId": "machine_id",
    "UnstatedRight": "leave_out_unstated",
    "Recipients": "recipients",
    "Passphrase": "passphrase",
    "Identities": "identities",
    "Endpoint": "endpoint",
    "Region": "region",
    "AccessKeyId": "access_key_id",
    "SecretAccessKey": "secret_access_key",
    "SessionToken": "session_token",
}
"""The properties of the library, and the arguments of a restorer that set them."""

_ERRNOS: dict[int, int] = {
    Hr.NS_E_DRM_BACKUP_EXISTS: errno.EEXIST,
    Hr.HRESULT_ERROR_FILE_NOT_FOUND: errno.ENOENT,
    Hr.HRESULT_ERROR_PATH_NOT_FOUND: errno.ENOENT,
    Hr.HRESULT_ERROR_DIRECTORY: errno.ENOTDIR,
    Hr.NS_E_DRM_OPERATION_CANCELED: errno.ECANCELED,
    Hr.NS_E_DRM_BACKUPRESTORE_BUSY: errno.EBUSY,
    Hr.E_HANDLE: errno.EBADF,
    Hr.E_ACCESSDENIED: errno.EACCES,
    Hr.E_OUTOFMEMORY: errno.ENOMEM,
    Hr.E_INVALIDARG: errno.EINVAL,
    Hr.NS_E_DRM_INVALID_PROPERTY: errno.EINVAL,
    Hr.HRESULT_ERROR_DISK_FULL: errno.ENOSPC,
    Hr.HRESULT_ERROR_WRITE_PROTECT: errno.EROFS,
    Hr.HRESULT_ERROR_TOO_MANY_OPEN_FILES: errno.EMFILE,
    Hr.HRESULT_ERROR_FILE_TOO_LARGE: errno.EFBIG,
    Hr.HRESULT_ERROR_READ_FAULT: errno.EIO,
    Hr.HRESULT_ERROR_WRITE_FAULT: errno.EIO,
    Hr.HRESULT_ERROR_NOT_SUPPORTED: errno.ENOTSUP,
}


_is_ending = False


def refuse_all() -> None:
    """Refuses everything that would start from now on, since the interpreter is ending.

    It then ends each daemon thread where that asks for the interpreter. Where the library has
    called the thread, that would end the process with SIGABRT.
    """
    global _is_ending
    _is_ending = True


def is_ending() -> bool:
    """Whether the interpreter is ending, and everything is closed or about to be."""
    return _is_ending


def check_not_ending() -> None:
    """Raises an exception if the interpreter is ending."""
    if _is_ending:
        raise error_of(Hr.E_HANDLE, "")


def error_of(hr: int, sentence: str, result: Result = NOTHING) -> Error:
    """The exception for a failure."""
    if hr == Hr.E_HANDLE:
        sentence = (
            "The restorer is closed, or was made before this process was forked. Make a new one."
        )
        if _is_ending:
            sentence = "licbak cannot start anything at interpreter shutdown."
    if hr == Hr.NS_E_DRM_INVALID_PROPERTY:
        argument = ARGUMENTS.get(sentence.partition(" ")[0], "a setting")
        sentence = f"{argument} is missing. Give it when you make the restorer."
    return _CLASSES.get(hr, Error)(
        hr, sentence or _c.hresult_message(hr).decode() or f"It failed with {hr:#010x}.", result
    )


def check_call(handle: int, hr: int) -> None:
    """Raises the failure of a call on this restorer, if it has failed."""
    if _c.failed(hr):
        raise error_of(hr, _c.error_message(handle))
