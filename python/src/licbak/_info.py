"""What a backup says about itself."""

import ctypes
import enum
from dataclasses import dataclass
from datetime import datetime
from typing import Optional

from . import _c
from ._errors import check_call
from ._licenses import utc


class Machine(enum.IntEnum):
    """Whether a backup is of the machine that `machine_id` names."""

    UNKNOWN = 0
    """`machine_id` is not given, or was not given for the backup."""
    SAME = 1
    OTHER = 2


@dataclass(frozen=True)
class Info:
    """What a backup says about itself. None of it is proof: who can write backups can forge it."""

    id: str
    """32 hexadecimal digits. The backups that replace this one keep them. Empty where a salvage has
    found the end of the backup lost."""
    generation: int
    """How many backups have replaced each other so far, this one included: 1 and up;
    0 where a salvage has found the end of the backup lost."""
    created_ns: int
    """The time when the backup was made, in nanoseconds since 1970 UTC; 0: not known."""
    machine: Machine
    """Whether the backup is of this machine."""
    encrypted: bool
    """Whether the backup is encrypted: False in this version."""
    licenses: int
    """Licences in the backup."""
    restricted: int
    """Licences that were left out because their issuers deny backup."""
    content_bytes: int
    """Bytes of the licences in the backup."""
    backup_bytes: int
    """Bytes of the backup file."""
    version: tuple[int, int]
    """The major and minor version of the backup's format."""

    @property
    def created(self) -> Optional[datetime]:
        """The time when the backup was made, in UTC; None if not known."""
        return utc(self.created_ns)


def info_of(handle: int) -> Info:
    """What the backup of this restorer says about itself."""
    told = _c.BackupInfo(struct_size=ctypes.sizeof(_c.BackupInfo))
    check_call(handle, _c.get_backup_info(handle, ctypes.byref(told)))
    return info_from(told)


def info_from(told: _c.BackupInfo) -> Info:
    """The Python object for the facts from the library."""
    return Info(
        id=told.id.decode(),
        generation=told.generation,
        created_ns=told.created,
        machine=Machine(told.machine),
        encrypted=bool(told.encrypted),
        licenses=told.licenses,
        restricted=told.restricted,
        content_bytes=told.content_bytes,
        backup_bytes=told.backup_bytes,
        version=(told.version_major, told.version_minor),
    )
