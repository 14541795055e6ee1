"""Licences, and the stores of a program's own that give and take them."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Optional, Protocol

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


class Right(enum.IntEnum):
    """Whether the issuer allows a licence to be backed up."""

    UNSTATED = 0
    """The licence does not say; it is backed up, unless `leave_out_unstated` is set."""
    ALLOWED = 1
    DENIED = 2


class Format(enum.IntEnum):
    """What kind of licence it is, as its content shows."""

    OPAQUE = 0
    """None that the library knows."""
    WMDRM = 1
    """Windows Media DRM 7, XML."""
    XMR = 2
    """PlayReady and Windows Media DRM 11."""
    LCP = 3
    """Readium LCP, JSON."""
    OMA = 4
    """OMA DRM rights object."""

    @classmethod
    def _missing_(cls, value: object) -> Format:
        return cls.OPAQUE  # one that a later library knows


@dataclass(frozen=True)
class License:
    """A licence: from a backup's list, or on its way from or to a store of the program's own."""

    name: str
    """Unique in its store: relative, '/' between parts."""
    content: Optional[bytes] = field(default=None, repr=False)
    """None in a list of a backup: only the size is known. A store must give it."""
    key_id: Optional[str] = None
    """What it unlocks, as its issuer names it. From a store None: read it from the content."""
    modified_ns: int = 0
    """Nanoseconds since 1970 UTC, as in `os.stat_result.st_mtime_ns`; 0: not known."""
    right: Right = Right.UNSTATED
    """From a store UNSTATED: read it from the content."""
    format: Format = Format.OPAQUE
    """Told by the library; ignored from a store."""
    size: int = 0
    """Bytes of the content; follows from it where that is given."""

    def __post_init__(self) -> None:
        if self.content is not None:
            object.__setattr__(self, "size", len(self.content))

    @property
    def modified(self) -> Optional[datetime]:
        """When it was modified, in UTC, to the microsecond; None if that is not known."""
        if self.modified_ns == 0:
            return None
        return _EPOCH + timedelta(microseconds=self.modified_ns // 1000)


class Source(Protocol):
    """A store that can be backed up."""

    def enumerate(self) -> Iterable[License]:
        """Every licence with its content; in the same order each time, for equal backups."""
        ...


class Target(Protocol):
    """A store that can be restored into. A dry run needs no `put`."""

    def get(self, name: str) -> Optional[License]:
        """The licence of that name with its content, None if there is none."""
        ...

    def put(self, license: License) -> None:
        """Keeps the licence, in place of the one of that name."""
        ...


class Store(Source, Target, Protocol):
    """A store of the program's own: licences in a database, in memory, among other things.

    Its methods are called on a thread of the library, one at a time. What they raise ends the
    operation and comes out of the call that started it.
    """
