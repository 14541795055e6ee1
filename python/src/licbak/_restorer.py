"""The restorer, for programs that wait for its operations."""

from __future__ import annotations

import atexit
import ctypes
import operator
import os
import sys
import threading
import time
import weakref
from collections.abc import Generator, Iterable
from types import TracebackType
from typing import Any, Generic, NoReturn, Optional, TypeVar, Union

from . import _c
from ._authorizer import AUTHORIZE, Authorizer
from ._c import Datatype, Flag
from ._errors import ARGUMENTS, check_call, check_not_ending, error_of, refuse_all
from ._host import c_text, store_functions
from ._info import Info, info_of
from ._licenses import License, Source, Target
from ._listing import Listing, closing, is_listing, stop_all
from ._operation import Answers, Operation, ProgressCallback, is_inside, running
from ._report import Result

Self = TypeVar("Self")  # in typing from Python 3.11 on
StoreType = TypeVar("StoreType")
AuthorizerType = TypeVar("AuthorizerType")

Path = Union[str, bytes, "os.PathLike[str]", "os.PathLike[bytes]"]

Lines = Union[str, Iterable[str]]
"""Lines of text: with newlines between them, or one by one."""

_HIDDEN = "***"
"""Stands for a secret in an exception."""


def _text(lines: Lines) -> str:
    return lines if isinstance(lines, str) else "\n".join(lines)


def _path_value(path: Path) -> bytes:
    """A path as the value of a property of type BINARY: as its system keeps it."""
    if os.name == "nt":
        return os.fsdecode(path).encode("utf-16-le", "surrogatepass")
    return os.fsencode(path)


_ACCOUNT = (
    ("Endpoint", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"),
    ("Region", "AWS_REGION", "AWS_DEFAULT_REGION"),
    ("AccessKeyId", "AWS_ACCESS_KEY_ID"),
    ("SecretAccessKey", "AWS_SECRET_ACCESS_KEY"),
    ("SessionToken", "AWS_SESSION_TOKEN"),
)
"""The properties of an account of an object store, and where AWS's own programs look for each."""


def is_in_bucket(path: Optional[Path]) -> bool:
    """Whether a backup's path is an address in object storage."""
    if isinstance(path, bytes):
        return path.startswith(b"s3://")
    return isinstance(path, str) and path.startswith("s3://")


_handles: set[int] = set()
"""The restorers that are not closed."""


class BaseRestorer(Generic[StoreType, AuthorizerType]):
    """The common part of restorers: their settings, `cancel`, and a handle that is freed."""

    def __init__(
        self,
        *,
        store: Union[Path, StoreType, None] = None,
        backup: Optional[Path] = None,
        threads: Optional[int] = None,
        compression_level: Optional[int] = None,
        machine_id: Optional[str] = None,
        leave_out_unstated: bool = False,
        recipients: Optional[Lines] = None,
        passphrase: Optional[str] = None,
        identities: Optional[Lines] = None,
        endpoint: Optional[str] = None,
        region: Optional[str] = None,
        access_key_id: Optional[str] = None,
        secret_access_key: Optional[str] = None,
        session_token: Optional[str] = None,
        authorizer: Optional[AuthorizerType] = None,
    ) -> None:
        """Makes a restorer. A setting that an operation needs and lacks is told at its call.

        Args:
            store: Where the licences are: a directory that holds nothing else, an SQLite database
                with a table `license`, or an object with the methods of `Source`, of `Target`, or
                of both.
            backup: The directory that a backup is saved in, and found in. A backup that is only
                read may also be named by its file, whatever that is called. Or the text
                "s3://bucket/prefix", in object storage.
            threads: How many workers, 256 at most; None: one for each core.
            compression_level: A level of zstd; None: the level that measured best.
            machine_id: Which machine this is, in the program's own words, such as a serial number.
                A backup keeps a keyed hash of it, and `info` compares it. A restore of another
                machine's backup needs `individualize`.
            leave_out_unstated: Whether to leave out licences that state no backup right.
            recipients: The age recipients (age1...) that a backup is encrypted to: one a line of a
                text, or several texts.
            passphrase: Encrypts a backup where no recipients are given, and opens those that it has
                encrypted.
            identities: The age identities (AGE-SECRET-KEY-1...) that open encrypted backups, as
                recipients are given.
            endpoint: The server of an object store; None: what AWS_ENDPOINT_URL_S3 or
                AWS_ENDPOINT_URL say, or else AWS.
            region: The region of the bucket; None: what AWS_REGION or AWS_DEFAULT_REGION say.
            access_key_id: The key to the object store; None: what AWS_ACCESS_KEY_ID says.
            secret_access_key: Its secret; None: what AWS_SECRET_ACCESS_KEY says.
            session_token: The token of a key for a while; None: what AWS_SESSION_TOKEN says, if the
                key and its secret are not given either.
            authorizer: A function that is given the `Info` of each backup to be restored, and
                raises an exception to refuse it. None: restores are free.

        Raises:
            InvalidArgument: A setting is out of range, or a path contains "://" and is not
                s3://bucket/prefix.
            Closed: The interpreter is ending.
        """
        handle = _c.HANDLE()
        hr = _c.create(ctypes.byref(handle))
        if handle.value is None:
            raise error_of(hr, "")
        self._handle = handle.value
        _handles.add(self._handle)
        check_not_ending()  # only now that the end of the program sees this restorer
        self._unclosed = weakref.finalize(self, _close, self._handle)
        self._unclosed.atexit = False  # `_close_all` does it
        self._store: Any = None
        self._authorizer: Any = None
        if store is not None:
            self._set_store(store)
        if backup is not None:
            self._set_path("BackupPath", backup)
            self._set_path("RestorePath", backup)
        if threads is not None:
            self._set_number("Threads", threads)
        if compression_level is not None:
            self._set_number("CompressionLevel", compression_level)
        if machine_id is not None:
            self._set_text("MachineId", machine_id, machine_id)
        if leave_out_unstated:
            self._set_number("UnstatedRight", 1)
        if recipients is not None:
            self._set_text("Recipients", _text(recipients), recipients)
        if passphrase is not None:
            self._set_text("Passphrase", passphrase, _HIDDEN)
        if identities is not None:
            self._set_text("Identities", _text(identities), _HIDDEN)
        if is_in_bucket(backup):
            given = (endpoint, region, access_key_id, secret_access_key, session_token)
            self._set_account(given)
        if authorizer is not None:
            self._set_authorizer(authorizer)

    def cancel(self) -> bool:
        """Cancels the running operation, which then raises `Canceled`. Allowed on any thread.

        Returns:
            Whether the operation will end so; False if none runs, or if it is too late.
        """
        if _c.cancel(self._handle) != _c.Hr.S_OK:
            return False
        for operation in running(self._handle):
            operation.cancel()
        return True

    def __reduce__(self) -> NoReturn:
        # A copy would share the handle, and free it a second time.
        raise TypeError(f"a {type(self).__name__} can't be copied or pickled")

    def _close(self) -> None:
        _close(self._handle)
        self._unclosed.detach()  # only now, so that a Ctrl-C before leaves the finalizer

    def _set_store(self, store: Any) -> None:
        if isinstance(store, (str, bytes, os.PathLike)):
            self._set_path("StorePath", store)
            return
        if not any(hasattr(store, name) for name in ("enumerate", "get", "put")):
            raise TypeError(
                "store must be a path, or an object with the method enumerate, or get and put; "
                f"it is a {type(store).__name__}"
            )
        self._store = store
        check_call(self._handle, _c.set_store(self._handle, store_functions(store)))

    def _set_authorizer(self, authorizer: Any) -> None:
        if not callable(authorizer):
            raise TypeError(f"authorizer must be a function; it is a {type(authorizer).__name__}")
        self._authorizer = authorizer
        check_call(self._handle, _c.set_authorizer(self._handle, AUTHORIZE, None))

    def _set_account(self, given: tuple[Optional[str], ...]) -> None:
        """Sets the account of an object store; what is not given the environment may say."""
        # The environment's token is that of its own key, and goes with no other.
        _, _, key_id, secret, _ = given
        has_key = key_id is not None or secret is not None
        for value, (name, *variables) in zip(given, _ACCOUNT):
            for variable in () if has_key and name == "SessionToken" else variables:
                if value is None:
                    value = os.environ.get(variable) or None
            if value is not None:
                is_secret = name in ("SecretAccessKey", "SessionToken")
                self._set_text(name, value, _HIDDEN if is_secret else value)

    def _set_path(self, name: str, path: Path) -> None:
        try:
            value = _path_value(path)
        except TypeError as error:
            raise TypeError(f"{ARGUMENTS[name]} must be a path: {error}") from None
        self._set(name, Datatype.WMT_TYPE_BINARY, value, path)

    def _set_text(self, name: str, text: str, shown: object) -> None:
        if not isinstance(text, str):
            raise TypeError(f"{ARGUMENTS[name]} must be a str; it is a {type(text).__name__}")
        self._set(name, Datatype.WMT_TYPE_STRING, text.encode(), shown)

    def _set_number(self, name: str, number: int) -> None:
        try:
            value = operator.index(number).to_bytes(4, sys.byteorder, signed=True)
        except TypeError as error:
            raise TypeError(f"{ARGUMENTS[name]} must be a number: {error}") from None
        except OverflowError:
            raise self._refusal(name, number) from None
        self._set(name, Datatype.WMT_TYPE_DWORD, value, number)

    def _set(self, name: str, datatype: Datatype, value: bytes, shown: object) -> None:
        hr = _c.set_prop(self._handle, name.encode(), datatype, value, len(value))
        if hr == _c.Hr.E_INVALIDARG:
            raise self._refusal(name, shown)
        check_call(self._handle, hr)

    def _refusal(self, name: str, shown: object) -> Exception:
        sentence = f"{ARGUMENTS[name]} can't be {shown!r}. It must be {range_of(name)}."
        return error_of(_c.Hr.E_INVALIDARG, sentence)


def range_of(name: str) -> str:
    """The values that a property may have, for a sentence."""
    ranges = {
        "Threads": "0 to 256",
        "CompressionLevel": "-131072 to 22",
        "MachineId": "a text of at most 32,768 bytes without a NUL",
        "Recipients": "age recipients, one a line",
        "Passphrase": "a text of 1 to 32,768 bytes without a NUL",
        "Identities": "age identities, one a line",
        "Endpoint": "an address as https://host or http://host",
        "Region": "letters, digits and hyphens",
        "AccessKeyId": "ASCII without control characters",
        "SecretAccessKey": "ASCII without control characters",
        "SessionToken": "ASCII without control characters",
        "BackupPath": "a path without '://' and without a NUL, or s3://bucket/prefix",
    }
    return ranges.get(name, "a path without '://' and without a NUL")


def _close(handle: int) -> None:
    closing.add(handle)
    stop_all(handle)
    _c.destroy(handle)
    _handles.discard(handle)
    for operation in running(handle):
        if operation.is_polled:  # no wait of its loop would tell the end any more
            operation.end()
    while not is_inside() and (running(handle) or is_listing(handle)):
        time.sleep(0.001)  # until those who wait have been told
    closing.discard(handle)  # from now on the library refuses a list itself


@atexit.register
def _close_all() -> None:
    """Cancels what runs, waits for its end while threads still run, and frees every restorer."""
    refuse_all()
    while operations := [operation for operation in running() if not operation.is_polled]:
        for operation in operations:
            operation.cancel()
        time.sleep(0.001)  # where Ctrl-C ends the wait for a function that does not return
    for handle in tuple(_handles):
        _close(handle)


def backup_flags(overwrite: bool, full: bool, dry_run: bool, keep_going: bool) -> int:
    """The flags of a backup."""
    return (
        (Flag.WM_BACKUP_OVERWRITE if overwrite else 0)
        | (Flag.BACKUP_FULL if full else 0)
        | (Flag.DRY_RUN if dry_run else 0)
        | (Flag.KEEP_GOING if keep_going else 0)
    )


def restore_flags(
    overwrite: bool, salvage: bool, dry_run: bool, individualize: bool, keep_going: bool
) -> int:
    """The flags of a restore."""
    return (
        (Flag.RESTORE_OVERWRITE if overwrite else 0)
        | (Flag.WM_RESTORE_INDIVIDUALIZE if individualize else 0)
        | (Flag.RESTORE_SALVAGE if salvage else 0)
        | (Flag.DRY_RUN if dry_run else 0)
        | (Flag.KEEP_GOING if keep_going else 0)
    )


def restore_license_of(key_id: str) -> Any:
    """The function that starts a restore of the licences with this key ID."""
    key = c_text(key_id, "key_id")
    return lambda handle, *rest: _c.restore_license(handle, key, *rest)


class Restorer(BaseRestorer[Union[Source, Target], Authorizer]):
    """Backs up, restores, verifies and lists. Each call returns when its operation has ended.

    A restorer may be used from any thread, for one operation at a time; a second one is `Busy`.
    Ctrl-C cancels the operation and is raised when the operation has ended.

    `on_progress` is called some tens of times a second at most. It, the methods of a store of the
    program's own and the authorizer are called inside the call that runs the operation, on the same
    thread. An exception from them ends the operation and is raised by the call.
    """

    def backup(
        self,
        *,
        overwrite: bool = False,
        full: bool = False,
        dry_run: bool = False,
        keep_going: bool = False,
        on_progress: Optional[ProgressCallback] = None,
    ) -> Result:
        """Saves all licences of the store into `licenses.tar.zst` in the backup's directory.

        The file appears whole or not at all. When this returns it is on the disk.

        Args:
            overwrite: Replace the backup that is there.
            full: Read every licence anew, and take nothing over from the old backup.
            dry_run: Tell everything, write nothing.
            keep_going: Pass over what can't be read or kept (`Result.skipped`), instead of failing;
                not with `overwrite`, since the old backup may have what would be passed over. If
                nothing else is left to save, that is a failure all the same.
            on_progress: Is given the progress.

        Raises:
            BackupExists: There is a backup, and neither `overwrite` nor `dry_run`.
            NothingBackedUp: The store has no licence that may be backed up; an old backup stays.
            Error: Any other failure, in its own class where there is one.
        """
        flags = backup_flags(overwrite, full, dry_run, keep_going)
        return self._run(_c.backup_licenses, flags, on_progress)

    def restore(
        self,
        *,
        overwrite: bool = False,
        salvage: bool = False,
        dry_run: bool = False,
        individualize: bool = False,
        keep_going: bool = False,
        on_progress: Optional[ProgressCallback] = None,
    ) -> Result:
        """Completes the store with the licences of the backup, and deletes none.

        The whole backup is checked first. A damaged backup changes nothing, unless `salvage` is
        given. When this returns, all is on the disk. When a restore is cancelled or fails, a
        directory keeps what it got, and a database keeps nothing. The same restore, run again,
        completes the store.

        Args:
            overwrite: Replace licences that the store has in another version. Without this the
                store keeps its own version (`Result.kept`).
            salvage: Restore the intact licences of a damaged backup, and raise `BackupCorrupt` all
                the same. Its `result` tells how many licences were restored, and which are lost. If
                the end of the file is lost, the names of lost licences are not known, and
                `overwrite` does not count.
            dry_run: Tell everything, write nothing.
            individualize: The user consents to binding the licences to this machine, if the backup
                is of another one.
            keep_going: Pass over what can't be put back (`Result.skipped`), instead of failing. If
                nothing else came of the restore, that is a failure all the same.
            on_progress: Is given the progress.

        Raises:
            NoBackup: There is no backup.
            NeedsIndividualization: The backup is of another machine, and neither `individualize`
                nor `dry_run`.
            BackupCorrupt: The backup is damaged.
            Error: Any other failure, in its own class where there is one.
        """
        flags = restore_flags(overwrite, salvage, dry_run, individualize, keep_going)
        return self._run(_c.restore_licenses, flags, on_progress)

    def restore_license(
        self,
        key_id: str,
        *,
        overwrite: bool = False,
        salvage: bool = False,
        dry_run: bool = False,
        individualize: bool = False,
        keep_going: bool = False,
        on_progress: Optional[ProgressCallback] = None,
    ) -> Result:
        """Restores the licences that have this key ID: mostly one. If several have it, all of them.

        Little of the backup is read, however large it is. Everything else is as in `restore`.

        Args:
            key_id: What the licence unlocks, as in `License.key_id` of `licenses()`.
            overwrite: As for `restore`.
            salvage: As for `restore`.
            dry_run: As for `restore`.
            individualize: As for `restore`.
            keep_going: As for `restore`.
            on_progress: As for `restore`.

        Raises:
            NotFound: No licence of the backup has the key ID.
            InvalidArgument: No licence can have this key ID.
            Error: As for `restore`.
        """
        flags = restore_flags(overwrite, salvage, dry_run, individualize, keep_going)
        return self._run(restore_license_of(key_id), flags, on_progress)

    def verify(self, *, on_progress: Optional[ProgressCallback] = None) -> Result:
        """Reads every byte of the backup and compares every digest.

        Args:
            on_progress: Is given the progress.

        Raises:
            NoBackup: There is no backup.
            BackupCorrupt: The backup is damaged; `result.damaged` names the damaged licences.
            Error: Any other failure, in its own class where there is one.
        """
        return self._run(_c.verify_backup, 0, on_progress)

    def licenses(self) -> Generator[License, None, None]:
        """Gives the licences of the backup, without their contents, in the backup's order.

        A thread reads them as you iterate, and ends with the iteration or with `close()` of what
        this returns. An operation may run during the iteration.

        Raises:
            NoBackup: There is no backup.
            BackupCorrupt: The list is damaged.
            Error: Any other failure, in its own class where there is one.
        """
        listing = Listing(self._handle)
        try:
            yield from listing.read()  # where a loop ends in `try`, Ctrl-C can skip `finally`
        finally:
            listing.stop()

    def info(self) -> Info:
        """What the backup says about itself. Little of it is read, and an operation may run.

        Raises:
            NoBackup: There is no backup.
            BackupCorrupt: The end of the backup is damaged.
            Error: Any other failure, in its own class where there is one.
        """
        return info_of(self._handle)

    def close(self) -> None:
        """Cancels a running operation, waits for its end, and frees the restorer.

        Every later call raises `Closed`. Inside `on_progress` or a method of the store this call
        does not wait. A second call does nothing. A restorer that is not closed is closed when it
        is collected, or when the program ends.
        """
        self._close()

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self.close()

    def _run(self, start: Any, flags: int, on_progress: Optional[ProgressCallback]) -> Result:
        over = threading.Lock()
        over.acquire()
        operation = Operation(self, on_progress, Answers(), over.release)
        if not is_inside():
            operation.run(start, flags)
            return operation.result()
        # The library waits for the function that makes this call: no wait is allowed here.
        operation.run_elsewhere(start, flags)
        while not operation.over:
            try:
                over.acquire()
            except BaseException as error:
                operation.stop_for(error)
        return operation.result()


def info(
    path: Path,
    *,
    machine_id: Optional[str] = None,
    passphrase: Optional[str] = None,
    identities: Optional[Lines] = None,
) -> Info:
    """What the backup at `path`, its directory or file, says about itself; see `Restorer.info`."""
    with Restorer(
        backup=path, machine_id=machine_id, passphrase=passphrase, identities=identities
    ) as restorer:
        return restorer.info()
