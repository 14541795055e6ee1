"""What an operation tells: how far it is, and what came of it."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import NamedTuple, Optional

from . import _c


class Phase(enum.IntEnum):
    """What an operation is doing."""

    STARTING = 0
    LISTING = 1
    """The store or the backup is being listed."""
    CHECKING = 2
    """The backup is being checked."""
    WORKING = 3
    """Licences are being saved, or moved into the store."""
    COMMITTING = 4
    """What was written is brought to the disk and made visible."""

    @classmethod
    def _missing_(cls, value: object) -> Phase:
        return cls.WORKING  # a phase that a later library has added


@dataclass(frozen=True)
class Progress:
    """How far an operation is.

    `done` and `total` count the steps of the phase, for a progress bar; both begin anew with each
    phase, and `total` is None as long as it is not known. The other figures are of the operation.
    """

    phase: Phase
    done: int
    total: Optional[int]
    licenses_done: int
    """Saved, restored or verified."""
    licenses_total: Optional[int]
    """None until the store or the backup has been counted."""
    content_bytes: int
    """Of the licences done."""
    backup_bytes: int
    """Written or read of the backup file."""

    @staticmethod
    def _of(told: _c.Progress) -> Progress:
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
    """Something in the store that is not backed up."""

    name: str
    reason: str


@dataclass(frozen=True)
class Result:
    """What came of an operation; of one that failed, up to there."""

    licenses: int = 0
    """How many were saved, restored or verified."""
    content_bytes: int = 0
    """Of these licences."""
    backup_bytes: int = 0
    """Written or read of the backup file."""
    restricted: tuple[str, ...] = ()
    """Key IDs of licences that are not backed up since their issuer denies it."""
    left_out: tuple[LeftOut, ...] = ()
    """All that is not backed up: these licences, links, and files that are no regular ones."""
    kept: tuple[str, ...] = ()
    """Names of licences that the store holds in another version than the backup, and keeps."""
    damaged: tuple[str, ...] = ()
    """Names of licences whose bytes in the backup are damaged."""
    skipped: int = 0
    """How many could not be read, kept or put back, and were passed over: 0 in this version."""
    gone: Optional[int] = 0
    """How many are in the backup that was replaced, and in the store no more; None where that
    could not be told."""


NOTHING = Result()
