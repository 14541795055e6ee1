"""Backs up the licences of a program into one file, and restores them.

    with licbak.Restorer(store="licences", backup="/mnt/stick") as restorer:
        restorer.backup(overwrite=True)

`Restorer` waits for its operations, `AsyncRestorer` awaits them. Every failure is an `Error`.
"""

from types import FunctionType

from . import _c
from ._aio import AsyncRestorer
from ._authorizer import AsyncAuthorizer, Authorizer
from ._errors import (
    AccessDenied,
    BackupCorrupt,
    BackupExists,
    Busy,
    Canceled,
    Closed,
    DecryptionFailed,
    DiskFull,
    Error,
    InvalidArgument,
    NeedsIndividualization,
    NoBackup,
    NoDirectory,
    NotADirectory,
    NotFound,
    NothingBackedUp,
    TimedOut,
    Unreachable,
)
from ._info import Info, Machine
from ._licenses import (
    AsyncSource,
    AsyncTarget,
    Format,
    License,
    Merging,
    Right,
    Source,
    Store,
    Target,
)
from ._operation import ProgressCallback
from ._report import LeftOut, Phase, Progress, Result
from ._restorer import Restorer, info

__version__: str = _c.version().decode()
"""The version of the library, which is also the package's."""

__all__ = [
    "AccessDenied",
    "AsyncAuthorizer",
    "AsyncRestorer",
    "AsyncSource",
    "AsyncTarget",
    "Authorizer",
    "BackupCorrupt",
    "BackupExists",
    "Busy",
    "Canceled",
    "Closed",
    "DecryptionFailed",
    "DiskFull",
    "Error",
    "Format",
    "Info",
    "InvalidArgument",
    "LeftOut",
    "License",
    "Machine",
    "Merging",
    "NeedsIndividualization",
    "NoBackup",
    "NoDirectory",
    "NotADirectory",
    "NotFound",
    "NothingBackedUp",
    "Phase",
    "Progress",
    "ProgressCallback",
    "Restorer",
    "Result",
    "Right",
    "Source",
    "Store",
    "Target",
    "TimedOut",
    "Unreachable",
    "info",
]

for _name in __all__:  # so that tracebacks name them as programs do
    if isinstance(globals()[_name], (type, FunctionType)):
        globals()[_name].__module__ = __name__
