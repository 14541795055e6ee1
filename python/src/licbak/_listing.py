"""One pass over the list of a backup, in batches that a reader takes when it likes."""

from __future__ import annotations

import _thread
import os
import threading
from collections.abc import Iterator
from queue import SimpleQueue
from typing import Optional

from . import _c
from ._c import Hr
from ._errors import check_call, error_of
from ._host import license_of
from ._licenses import License

_BATCH = 512
_AHEAD = 4

# The listings whose threads run; each thread adds and removes its own. The library gets the keys,
# and calls a function that is never freed.
_listings: dict[int, Listing] = {}
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_listings.clear)  # their threads stay in the parent

closing: set[int] = set()
"""The restorers that are about to be destroyed. No list of such a restorer may begin."""


class Listing:
    """Lists on a thread of its own, a few batches ahead of the reader.

    The library pushes its list and can't be stopped in the middle of it, so the list needs a
    thread. The thread also leaves the reader's thread open to signals. It ends with the list, or by
    `stop`.

    Ctrl-C may come at any point of the reader's code. So the two threads share nothing of Python's
    that Ctrl-C could leave locked: no Condition, no Semaphore, and no Thread, whose start waits.
    """

    def __init__(self, handle: int) -> None:
        self.handle = handle
        self._process = os.getpid()
        self._ready: SimpleQueue[list[License]] = SimpleQueue()
        self._room: SimpleQueue[None] = SimpleQueue()
        for _ in range(_AHEAD):
            self._room.put(None)
        self._filling: list[License] = []
        self._failure: Optional[BaseException] = None
        self._stopped = False
        self._over = threading.Lock()
        self._over.acquire()
        self._thread = 0

    def begin(self) -> None:
        """Starts the thread. `stop` must follow, also after an exception."""
        _thread.start_new_thread(self._list, ())

    def read(self) -> Iterator[License]:
        """Starts the thread, and gives the whole list. `stop` must follow."""
        self.begin()
        while batch := self.next_batch():
            yield from batch

    def next_batch(self) -> list[License]:
        """Waits for more of the list; an empty batch is its end. Raises the failure of the list."""
        if self._is_in_parent():
            raise error_of(Hr.E_HANDLE, "")
        batch = self._ready.get()
        self._room.put(None)
        if self._stopped:
            raise error_of(Hr.E_HANDLE, "")
        if not batch and self._failure is not None:
            raise self._failure
        return batch

    def tell_to_stop(self) -> None:
        """Lets the thread end, and tells its reader that the restorer is closed."""
        self._stopped = True
        self._room.put(None)

    def stop(self) -> None:
        """Ends the thread, if it has not ended, and waits for it."""
        self.tell_to_stop()
        # A thread that is not among the listings yet ends by itself. The wait has a limit because
        # two threads may wait here, and Ctrl-C can make one of them keep the lock.
        while id(self) in _listings and not self._is_own_thread():
            if self._over.acquire(timeout=0.1):
                self._over.release()

    def _is_own_thread(self) -> bool:
        """Whether the thread itself calls this. It may, since garbage may be collected there."""
        return self._thread == threading.get_ident()

    def _is_in_parent(self) -> bool:
        """Whether this process was forked after the thread started: the thread is in the parent."""
        return os.getpid() != self._process

    def _list(self) -> None:
        self._thread = threading.get_ident()
        _listings[id(self)] = self
        try:
            if self.handle in closing:  # checked only now that `stop_all` can see this list
                raise error_of(Hr.E_HANDLE, "")
            if not self._stopped:
                check_call(self.handle, _c.list_backup(self.handle, _LICENSE_CALLBACK, id(self)))
                self._pass_on()
        except BaseException as error:
            self.fail(error)
        finally:
            self._ready.put([])
            del _listings[id(self)]
            self._over.release()

    def take(self, license: License) -> int:
        """Takes a licence. Gives a failure when no more licences are wanted."""
        self._filling.append(license)
        if len(self._filling) == _BATCH:
            self._pass_on()
        return Hr.E_ABORT if self._stopped else Hr.S_OK

    def fail(self, error: BaseException) -> None:
        """Keeps the first failure for the reader."""
        if self._failure is None:
            self._failure = error

    def _pass_on(self) -> None:
        batch, self._filling = self._filling, []
        if batch:  # an empty batch would be the end
            self._room.get()
            self._ready.put(batch)


def stop_all(handle: int) -> None:
    """Ends all listings of this restorer, which can't be destroyed before."""
    listings = [listing for listing in tuple(_listings.values()) if listing.handle == handle]
    for listing in listings:
        listing.tell_to_stop()
    for listing in listings:
        listing.stop()


def is_listing(handle: int) -> bool:
    """Whether a thread other than the calling one lists for this restorer."""
    return any(
        listing.handle == handle and not listing._is_own_thread()
        for listing in tuple(_listings.values())
    )


def _on_license(license: _c.LicensePointer, context: int) -> int:
    listing = _listings[context]
    try:
        return listing.take(license_of(license.contents, None))
    except BaseException as error:
        listing.fail(error)
        return Hr.E_ABORT


_LICENSE_CALLBACK = _c.LicenseCallback(_on_license)
