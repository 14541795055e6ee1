"""One pass over the list of a backup, from which a reader takes batches as it likes."""

from __future__ import annotations

import os
import threading
from collections import deque
from typing import Optional

from . import _c
from ._c import Hr
from ._errors import check_call, error_of
from ._host import license_of
from ._licenses import License

_BATCH = 512
_AHEAD = 4

# Those whose thread has not ended. The library is given the keys and calls a function that is never
# freed.
_listings: dict[int, Listing] = {}


class Listing:
    """Lists on a thread of its own, a few batches ahead of the reader.

    The library pushes its list and can't be left standing in the middle of it, hence the thread.
    It also leaves the reader's thread open to signals. It ends with the list, or by `stop`.
    """

    def __init__(self, handle: int) -> None:
        self.handle = handle
        self._process = os.getpid()
        self._changed = threading.Condition()
        self._ready: deque[list[License]] = deque()
        self._filling: list[License] = []
        self._failure: Optional[BaseException] = None
        self._stopped = False
        self._ended = False
        self._thread = threading.Thread(target=self._list, name="licbak list", daemon=True)
        _listings[id(self)] = self
        try:
            self._thread.start()
        except RuntimeError:  # no thread to be had
            del _listings[id(self)]
            raise

    def next_batch(self) -> list[License]:
        """Waits for more of the list; an empty batch is its end. Raises what it failed with."""
        if self._is_in_parent():
            raise error_of(Hr.E_HANDLE, "")
        with self._changed:
            self._changed.wait_for(lambda: self._ready or self._ended or self._stopped)
            self._changed.notify_all()
            if self._stopped:
                raise error_of(Hr.E_HANDLE, "")
            if self._ready:
                return self._ready.popleft()
        if self._failure is not None:
            raise self._failure
        return []

    def stop(self) -> None:
        """Ends the thread, if it has not ended, and waits for it."""
        if self._is_in_parent():
            return
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        if threading.current_thread() is not self._thread:  # where garbage may be collected
            self._thread.join()

    def _is_in_parent(self) -> bool:
        """Whether this process was forked: the thread has stayed behind, and may hold the lock."""
        return os.getpid() != self._process

    def _list(self) -> None:
        try:
            check_call(self.handle, _c.list_backup(self.handle, _LICENSE_CALLBACK, id(self)))
            self._pass_on()
        except BaseException as error:
            self.fail(error)
        finally:
            del _listings[id(self)]
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def take(self, license: License) -> int:
        """Takes a licence; a failure when no more are wanted."""
        self._filling.append(license)
        if len(self._filling) == _BATCH:
            self._pass_on()
        return Hr.E_ABORT if self._stopped else Hr.S_OK

    def fail(self, error: BaseException) -> None:
        """Keeps what went wrong for the reader; the first wins."""
        if self._failure is None:
            self._failure = error

    def _pass_on(self) -> None:
        batch, self._filling = self._filling, []
        with self._changed:
            self._changed.wait_for(lambda: len(self._ready) < _AHEAD or self._stopped)
            if batch:
                self._ready.append(batch)
            self._changed.notify_all()


def stop_all(handle: int) -> None:
    """Ends all listings of this restorer: it could not be destroyed before."""
    for listing in tuple(_listings.values()):
        if listing.handle == handle:
            listing.stop()


def _on_license(license: _c.LicensePointer, context: int) -> int:
    listing = _listings[context]
    try:
        return listing.take(license_of(license.contents, None))
    except BaseException as error:
        listing.fail(error)
        return Hr.E_ABORT


_LICENSE_CALLBACK = _c.LicenseCallback(_on_license)
