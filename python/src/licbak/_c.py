"""The C side: the shared library, and what include/licbak.h declares, as ctypes sees it."""

from __future__ import annotations

import ctypes
import enum
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

ABI_VERSION = 0


class Hr(enum.IntEnum):
    """The HRESULTs that this package distinguishes, unsigned as in the header."""

    S_OK = 0x00000000
    S_FALSE = 0x00000001
    E_NOTIMPL = 0x80004001
    E_ABORT = 0x80004004
    E_ILLEGAL_METHOD_CALL = 0x8000000E
    E_ACCESSDENIED = 0x80070005
    E_HANDLE = 0x80070006
    E_OUTOFMEMORY = 0x8007000E
    E_INVALIDARG = 0x80070057
    NS_E_DRM_NEEDS_INDIVIDUALIZATION = 0xC00D2728
    NS_E_DRM_BACKUP_EXISTS = 0xC00D2742
    NS_E_DRM_BACKUP_CORRUPT = 0xC00D2743
    NS_E_DRM_BACKUPRESTORE_BUSY = 0xC00D2744
    NS_E_DRM_INVALID_PROPERTY = 0xC00D2749
    NS_E_DRM_BUFFER_TOO_SMALL = 0xC00D275C
    NS_E_DRM_OPERATION_CANCELED = 0xC00D2768
    HRESULT_ERROR_FILE_NOT_FOUND = 0x80070002
    HRESULT_ERROR_PATH_NOT_FOUND = 0x80070003
    HRESULT_ERROR_TOO_MANY_OPEN_FILES = 0x80070004
    HRESULT_ERROR_WRITE_PROTECT = 0x80070013
    HRESULT_ERROR_WRITE_FAULT = 0x8007001D
    HRESULT_ERROR_READ_FAULT = 0x8007001E
    HRESULT_ERROR_NOT_SUPPORTED = 0x80070032
    HRESULT_ERROR_DISK_FULL = 0x80070070
    HRESULT_ERROR_FILE_TOO_LARGE = 0x800700DF
    HRESULT_ERROR_DIRECTORY = 0x8007010B
    HRESULT_ERROR_NOT_FOUND = 0x80070490
    HRESULT_ERROR_EMPTY = 0x800710D2
    HRESULT_ERROR_HOST_UNREACHABLE = 0x800704D0
    HRESULT_ERROR_TIMEOUT = 0x800705B4
    HRESULT_ERROR_DECRYPTION_FAILED = 0x80071771


def failed(hr: int) -> bool:
    """Whether an HRESULT says that something failed."""
    return hr >= 0x80000000


class Status(enum.IntEnum):
    """The kinds of events."""

    WMT_ERROR = 0
    WMT_BACKUPRESTORE_END = 27
    WMT_RESTRICTED_LICENSE = 31
    STATUS_PROGRESS = 0x00010001
    STATUS_LICENSE_KEPT = 0x00010002
    STATUS_LICENSE_DAMAGED = 0x00010003
    STATUS_LICENSE_LEFT_OUT = 0x00010004


class Flag(enum.IntFlag):
    """The flags of an operation."""

    WM_BACKUP_OVERWRITE = 0x001
    WM_RESTORE_INDIVIDUALIZE = 0x002
    DRY_RUN = 0x100
    RESTORE_OVERWRITE = 0x200
    RESTORE_SALVAGE = 0x400
    BACKUP_FULL = 0x800
    CALL_IN_WAIT = 0x1000
    KEEP_GOING = 0x2000


class Datatype(enum.IntEnum):
    """The types of properties."""

    WMT_TYPE_DWORD = 0
    WMT_TYPE_STRING = 1
    WMT_TYPE_BINARY = 2


UNTOLD = 0xFFFFFFFFFFFFFFFF
"""A count that is not known."""


class Progress(ctypes.Structure):
    """`licbak_progress`."""

    _fields_ = (
        ("struct_size", ctypes.c_size_t),
        ("licenses_total", ctypes.c_uint64),
        ("licenses_done", ctypes.c_uint64),
        ("licenses_restricted", ctypes.c_uint64),
        ("licenses_kept", ctypes.c_uint64),
        ("licenses_damaged", ctypes.c_uint64),
        ("content_bytes", ctypes.c_uint64),
        ("backup_bytes", ctypes.c_uint64),
        ("phase_done", ctypes.c_uint64),
        ("phase_total", ctypes.c_uint64),
        ("phase", ctypes.c_uint32),
        ("reserved", ctypes.c_uint32),
        ("licenses_skipped", ctypes.c_uint64),
        ("licenses_gone", ctypes.c_uint64),
    )


class License(ctypes.Structure):
    """`licbak_license`."""

    _fields_ = (
        ("struct_size", ctypes.c_size_t),
        ("name", ctypes.c_char_p),
        ("key_id", ctypes.c_char_p),
        ("content", ctypes.c_void_p),
        ("content_size", ctypes.c_size_t),
        ("modified", ctypes.c_int64),
        ("backup_right", ctypes.c_uint32),
        ("format", ctypes.c_uint32),
    )


class BackupInfo(ctypes.Structure):
    """`licbak_backup_info`."""

    _fields_ = (
        ("struct_size", ctypes.c_size_t),
        ("created", ctypes.c_int64),
        ("generation", ctypes.c_uint64),
        ("licenses", ctypes.c_uint64),
        ("restricted", ctypes.c_uint64),
        ("content_bytes", ctypes.c_uint64),
        ("backup_bytes", ctypes.c_uint64),
        ("version_major", ctypes.c_uint32),
        ("version_minor", ctypes.c_uint32),
        ("machine", ctypes.c_uint32),
        ("encrypted", ctypes.c_uint32),
        ("id", ctypes.c_char * 33),
        ("reserved", ctypes.c_char * 7),
    )


HRESULT = ctypes.c_uint32  # the header's int32_t, read unsigned
HANDLE = ctypes.c_void_p
CONTEXT = ctypes.c_void_p

StatusCallback = ctypes.CFUNCTYPE(
    HRESULT, ctypes.c_uint32, HRESULT, ctypes.c_uint32, ctypes.c_void_p, ctypes.c_size_t, CONTEXT
)
LicenseCallback = ctypes.CFUNCTYPE(HRESULT, ctypes.POINTER(License), CONTEXT)
Enumerate = ctypes.CFUNCTYPE(HRESULT, CONTEXT, LicenseCallback, CONTEXT)
Get = ctypes.CFUNCTYPE(HRESULT, CONTEXT, ctypes.c_char_p, LicenseCallback, CONTEXT)
Put = ctypes.CFUNCTYPE(HRESULT, CONTEXT, ctypes.POINTER(License))
Merge = ctypes.CFUNCTYPE(
    HRESULT, CONTEXT, ctypes.POINTER(License), ctypes.POINTER(License), LicenseCallback, CONTEXT
)
Authorize = ctypes.CFUNCTYPE(
    HRESULT, ctypes.POINTER(BackupInfo), ctypes.c_void_p, ctypes.c_size_t, CONTEXT
)

if TYPE_CHECKING:
    LicensePointer = ctypes._Pointer[License]
    BackupInfoPointer = ctypes._Pointer[BackupInfo]


class Store(ctypes.Structure):
    """`licbak_store`."""

    _fields_ = (
        ("struct_size", ctypes.c_size_t),
        ("context", ctypes.c_void_p),
        ("enumerate", Enumerate),
        ("get", Get),
        ("put", Put),
        ("merge", Merge),
    )


if os.name == "nt":
    _BUNDLED = _SYSTEMS = "licbak.dll"
else:
    _BUNDLED, _SYSTEMS = "liblicbak.so", f"liblicbak.so.{ABI_VERSION}"


def _load() -> ctypes.CDLL:
    """The library in the wheel, else the one that LICBAK_LIBRARY names, else the system's."""
    if sys.version_info < (3, 12) and _is_sub_interpreter():
        raise ImportError(
            "licbak does not work in a sub-interpreter before Python 3.12: there ctypes calls the "
            "main interpreter. Import it in that one."
        )
    bundled = Path(__file__).with_name(_BUNDLED)
    path = str(bundled) if bundled.exists() else os.environ.get("LICBAK_LIBRARY")
    try:
        library = ctypes.CDLL(path or _SYSTEMS)
    except OSError as error:
        raise ImportError(
            f"licbak's library can't be loaded: {error}. Install a wheel of this package, or set "
            f"LICBAK_LIBRARY to the path of {_BUNDLED}."
        ) from error
    if not hasattr(library, "licbak_abi_version"):
        raise ImportError(
            f"{library._name} is not licbak's library. Name another one in LICBAK_LIBRARY."
        )
    library.licbak_abi_version.restype = ctypes.c_uint32
    found = library.licbak_abi_version()
    if found != ABI_VERSION:
        raise ImportError(
            f"{library._name} has version {found} of the binary interface, and this package needs "
            f"version {ABI_VERSION}. Install the library and the package of the same release."
        )
    return library


def _is_sub_interpreter() -> bool:
    current, main = (
        ctypes.pythonapi.PyInterpreterState_Get,
        ctypes.pythonapi.PyInterpreterState_Main,
    )
    current.restype = main.restype = ctypes.c_void_p
    return bool(current() != main())


def _declare(name: str, *arguments: Any, result: Any = HRESULT) -> Any:
    function = _library[f"licbak_{name}"]
    function.argtypes, function.restype = arguments, result
    return function


_library = _load()
_OPERATION = (HANDLE, ctypes.c_uint32, StatusCallback, CONTEXT)

version = _declare("version", result=ctypes.c_char_p)
hresult_name = _declare("hresult_name", HRESULT, result=ctypes.c_char_p)
hresult_message = _declare("hresult_message", HRESULT, result=ctypes.c_char_p)
create = _declare("create", ctypes.POINTER(HANDLE))
destroy = _declare("destroy", HANDLE)
set_prop = _declare(
    "set_prop", HANDLE, ctypes.c_char_p, ctypes.c_uint32, ctypes.c_char_p, ctypes.c_size_t
)
set_store = _declare("set_store", HANDLE, ctypes.POINTER(Store))
set_authorizer = _declare("set_authorizer", HANDLE, Authorize, CONTEXT)
backup_licenses = _declare("backup_licenses", *_OPERATION)
restore_licenses = _declare("restore_licenses", *_OPERATION)
restore_license = _declare("restore_license", HANDLE, ctypes.c_char_p, *_OPERATION[1:])
verify_backup = _declare("verify_backup", *_OPERATION)
cancel = _declare("cancel", HANDLE)
_wait = _declare("wait", HANDLE, ctypes.c_uint32, ctypes.POINTER(HRESULT))
_get_wait_descriptor = _declare("get_wait_descriptor", HANDLE, ctypes.POINTER(ctypes.c_ssize_t))
list_backup = _declare("list_backup", HANDLE, LicenseCallback, CONTEXT)
get_backup_info = _declare("get_backup_info", HANDLE, ctypes.POINTER(BackupInfo))
_get_error_message = _declare(
    "get_error_message", HANDLE, ctypes.c_char_p, ctypes.POINTER(ctypes.c_size_t)
)


def wait(handle: int, milliseconds: int) -> int:
    """Calls the program for an operation. Gives S_OK if none runs any more, else S_FALSE."""
    return int(_wait(handle, milliseconds, ctypes.byref(HRESULT())))


def wait_descriptor(handle: int) -> Optional[int]:
    """What an event loop polls for `Flag.CALL_IN_WAIT`; None if there can be none now."""
    descriptor = ctypes.c_ssize_t(-1)
    hr = _get_wait_descriptor(handle, ctypes.byref(descriptor))
    return None if failed(hr) else descriptor.value


def error_message(handle: int) -> str:
    """The sentence of the last call or operation of this restorer that failed."""
    size = ctypes.c_size_t(0)
    hr = _get_error_message(handle, None, ctypes.byref(size))
    while not failed(hr):
        buffer = ctypes.create_string_buffer(size.value)
        hr = _get_error_message(handle, buffer, ctypes.byref(size))
        if not failed(hr):
            return buffer.value.decode()
        if hr == Hr.NS_E_DRM_BUFFER_TOO_SMALL:  # another failure came in between
            hr = Hr.S_OK
    return ""
