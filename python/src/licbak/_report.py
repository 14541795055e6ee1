"""The progress and the result of an operation."""

import enum
from dataclasses import dataclass
from typing import NamedTuple, Optional

from . import _c


class Phase(enum.IntEnum):
    """The phase of an operation."""

    STARTING = 0
    LISTING = 1
    """The store or the backup is being listed."""
    CHECKING = 2
    """The backup is being checked."""
    WORKING = 3
    """Licences are being saved, or moved into the store."""
    COMMITTING = 4
    """The written data is brought to the disk and made visible."""

    @classmethod
    def _missing_(cls, value: object) -> "Phase":
        return cls.WORKING  # a phase that a later library has added


@dataclass(frozen=True)
class Progress:
    """The progress of an operation.

    `done` and `total` count the steps of the phase, for a progress bar. Both begin anew with each
    phase. `total` is None as long as it is not known. The other figures are of the whole operation.
    """

    phase: Phase
    done: int
    total: Optional[int]
    licenses_done: int
    """Licences saved, restored or verified."""
    licenses_total: Optional[int]
    """All licences of the operation; None until the store or the backup has been counted."""
    content_bytes: int
    """Bytes of the licences done."""
    backup_bytes: int
    """Bytes of the backup file that were written or read."""

    @staticmethod
    def _of(told: _c.Progress) -> "Progress":
        return Progress(
            phase=Phase(told.phase),
            done=told.phase_done,
            total=told.phase_total or None,
            licenses_done=told.licenses_done,
            licenses_total=told.licenses_total or None,
            content_bytes=told.content_bytes,
            backup_bytes=told.backup_bytes,
        )


class LeftOut(NamedTuple):
    """Something that is not backed up, or with `keep_going` not put back."""

    name: str
    reason: str


@dataclass(frozen=True)
class Result:
    """The result of an operation; of a failed operation, the result up to the failure."""

    licenses: int = 0
    """How many licences were saved, restored or verified."""
    content_bytes: int = 0
    """Bytes of these licences."""
    backup_bytes: int = 0
    """Bytes of the backup file that were written or read."""
    restricted: tuple[str, ...] = ()
    """Key IDs of licences that are not backed up because their issuers deny backup."""
    left_out: tuple[LeftOut, ...] = ()
    """All that is not backed up: these licences, links, special files, names that begin with a dot,
    other backups of licbak. With `keep_going` also what was passed over, of a restore too."""
    kept: tuple[str, ...] = ()
    """Names of licences of which the store has another version, and keeps its own."""
    damaged: tuple[str, ...] = ()
    """Names of licences whose bytes in the backup are damaged."""
    skipped: int = 0
    """Licences and folders that could not be read, kept or put back, and were passed over, with
    `keep_going`; `left_out` names them."""
    gone: Optional[int] = 0
    """Licences of the backup that was replaced that are not in the store any more; None if their
    number is not known."""


NOTHING = Result()
