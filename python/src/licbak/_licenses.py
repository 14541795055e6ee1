"""Licences, and the stores of a program's own that give and take them."""

import enum
from collections.abc import AsyncIterable, Awaitable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Optional, Protocol, Union

if TYPE_CHECKING:
    from typing_extensions import Buffer

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def utc(nanoseconds: int) -> Optional[datetime]:
    """The time so many nanoseconds after 1970 in UTC, to the microsecond; None for 0."""
    if nanoseconds == 0:
        return None
    return _EPOCH + timedelta(microseconds=nanoseconds // 1000)


class Right(enum.IntEnum):
    """Whether the issuer allows a licence to be backed up."""

    UNSTATED = 0
    """The licence does not say. It is backed up, unless `leave_out_unstated` is set."""
    ALLOWED = 1
    DENIED = 2


class Format(enum.IntEnum):
    """The format of a licence, as its content shows it."""

    OPAQUE = 0
    """A format that the library does not know."""
    WMDRM = 1
    """Windows Media DRM 7, XML."""
    XMR = 2
    """PlayReady and Windows Media DRM 11."""
    LCP = 3
    """Readium LCP, JSON."""
    OMA = 4
    """OMA DRM rights object."""
    WMDRM1 = 5
    """Windows Media DRM 1, certified licence."""
    KEYGEN = 6
    """Keygen licence file or machine file that is not encrypted."""

    @classmethod
    def _missing_(cls, value: object) -> "Format":
        return cls.OPAQUE  # a format that only a later library knows


@dataclass(frozen=True)
class License:
    """A licence from a backup's list, or from or for a store of the program's own."""

    name: str
    """The name: unique in its store, relative, '/' between parts."""
    content: Optional[bytes] = field(default=None, repr=False)
    """The content; None in the list of a backup, which has only the size. A store must give it.
    It may be given as any bytes-like object, and is kept as bytes."""
    key_id: Optional[str] = None
    """What the licence unlocks, as its issuer names it.

    From a store, None means that the library reads it from the content.
    """
    modified_ns: int = 0
    """The time of the last modification in nanoseconds since 1970 UTC, as `st_mtime_ns` of
    `os.stat_result`; 0: not known."""
    right: Right = Right.UNSTATED
    """The backup right. From a store, UNSTATED means that the library reads it from the content."""
    format: Format = Format.OPAQUE
    """The format, from the library; ignored from a store."""
    size: int = 0
    """The size of the content in bytes; set from the content if that is given."""

    if TYPE_CHECKING:  # so that the content is given as more than what it is kept as

        def __init__(
            self,
            name: str,
            content: Optional[Buffer] = None,
            key_id: Optional[str] = None,
            modified_ns: int = 0,
            right: Right = Right.UNSTATED,
            format: Format = Format.OPAQUE,
            size: int = 0,
        ) -> None: ...

    def __post_init__(self) -> None:
        if self.content is None:
            return
        try:
            content = bytes(memoryview(self.content))  # of a number, bytes would make so many zeros
        except TypeError:
            kind = type(self.content).__name__
            raise TypeError(
                f"the content of the licence {self.name!r} must be bytes-like, not {kind}"
            ) from None
        object.__setattr__(self, "content", content)
        object.__setattr__(self, "size", len(content))

    @property
    def modified(self) -> Optional[datetime]:
        """The time of the last modification in UTC, to the microsecond; None if not known."""
        return utc(self.modified_ns)


class Source(Protocol):
    """A store that can be backed up."""

    def enumerate(self) -> Iterable[License]:
        """Gives every licence with its content. The same order each time makes equal backups."""
        ...


class Target(Protocol):
    """A store that can be restored into. A dry run needs no `put`."""

    def get(self, name: str) -> Optional[License]:
        """Gives the licence of that name with its content, or None."""
        ...

    def put(self, license: License) -> None:
        """Keeps the licence, in place of the one of that name."""
        ...


class Merging(Target, Protocol):
    """A store that chooses between two versions of a licence itself."""

    def merge(self, mine: License, theirs: License) -> Optional[License]:
        """Gives the version to keep, of the store's and the backup's; None keeps the store's.

        It is not asked with `overwrite`. A dry run asks, and puts nothing.
        """
        ...


class Store(Source, Target, Protocol):
    """A store of the program's own, for licences in a database, in memory, or among other things.

    Its methods are called inside the call that runs the operation, on the same thread; those of an
    `AsyncRestorer` on a thread beside the event loop, one at a time. An exception from a method
    ends the operation and is raised by the call that started it.
    """


class AsyncSource(Protocol):
    """A store that `AsyncRestorer` can back up: a `Source`, or one with `async` methods."""

    def enumerate(
        self,
    ) -> Union[Iterable[License], AsyncIterable[License], Awaitable[Iterable[License]]]:
        """As `Source.enumerate`; it may be an asynchronous generator."""
        ...


class AsyncTarget(Protocol):
    """A store that `AsyncRestorer` can restore into: a `Target`, or one with `async` methods.

    It may also have a method `merge`, as `Merging` has it.
    """

    def get(self, name: str) -> Union[Optional[License], Awaitable[Optional[License]]]:
        """As `Target.get`."""
        ...

    def put(self, license: License) -> Optional[Awaitable[None]]:
        """As `Target.put`."""
        ...
