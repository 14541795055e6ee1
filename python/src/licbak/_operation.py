"""One operation of the library, from its start to its end."""

from __future__ import annotations

import ctypes
import itertools
import os
import time
from collections.abc import Iterable
from typing import Any, Callable, Optional

from . import _c
from ._c import Flag, Hr, Status
from ._errors import check_call, error_of
from ._host import Host
from ._report import NOTHING, LeftOut, Progress, Result

ProgressCallback = Callable[[Progress], object]

# An operation lives until its end has been told, also if nobody else refers to it. The library gets
# the keys, and calls a function that is never freed. No key is used twice, so that an event for an
# operation that is gone never reaches another one.
_running: dict[int, Operation] = {}
_keys = itertools.count(1)
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_running.clear)  # they go on in the parent


class Operation:
    """The events that an operation has told so far.

    `on_progress` and `on_end` are called on the library's thread or, with `Flag.CALL_IN_WAIT`, on
    the one that waits. `on_end` comes last, and must not raise. The operation keeps `restorer` from
    being collected.
    """

    def __init__(
        self,
        restorer: object,
        hosts: Iterable[Host],
        on_progress: Optional[ProgressCallback],
        on_end: Callable[[], object],
    ) -> None:
        self._restorer = restorer
        self._hosts = tuple(hosts)
        self._on_progress = on_progress
        self._on_end = on_end
        self._key = next(_keys)
        self._handle = 0
        self._called_in_wait = False
        self.has_begun = False
        """Whether the library has begun the operation, as far as this is known here."""
        self.ended = False
        """Whether no event comes any more."""
        self.raised: Optional[BaseException] = None
        """The exception of a function of the program: the outcome, whatever the library says."""
        self._hr: int = Hr.S_OK
        self._sentence = ""
        self._restricted: list[str] = []
        self._left_out: list[LeftOut] = []
        self._kept: list[str] = []
        self._damaged: list[str] = []
        self._result = NOTHING

    def begin(self, start: Any, handle: int, flags: int) -> None:
        """Starts the operation with a function of the library; raises if it does not begin."""
        self._handle = handle
        self._called_in_wait = bool(flags & Flag.CALL_IN_WAIT)
        _running[self._key] = self
        hr = start(handle, flags, _STATUS_CALLBACK, self._key)
        if _c.failed(hr):
            self.ended = True
            _running.pop(self._key, None)
            check_call(handle, hr)
        self.has_begun = True

    def abandon(self) -> None:
        """Cancels the operation and waits for its end, after an exception in `begin` or later.

        Another exception ends this wait. The first exception may have come before `has_begun` was
        set; then the first event sets it.
        """
        try:
            while not self.ended:
                if self.has_begun:
                    _c.cancel(self._handle)
                waited = _c.wait(self._handle, 1)  # short, because no signal is handled in it
                if waited == Hr.S_OK:
                    break
                if not self.has_begun and (waited != Hr.S_FALSE or self._has_rival()):
                    break
                if waited != Hr.S_FALSE:
                    time.sleep(0.001)
        finally:
            if not self.has_begun:
                _running.pop(self._key, None)

    def _has_rival(self) -> bool:
        return is_running(self._handle, other_than=self)

    def take(self, status: int, hr: int, value: int, size: int) -> None:
        """Takes an event."""
        self.has_begun = True
        if status == Status.WMT_BACKUPRESTORE_END:
            self._hr = hr
            self._conclude(_c.Progress.from_address(value))
        elif status == Status.STATUS_PROGRESS:
            if self._on_progress is not None:
                self._on_progress(Progress._of(_c.Progress.from_address(value)))
        elif status == Status.WMT_ERROR:
            self._sentence = _text(value, size)
        elif status == Status.WMT_RESTRICTED_LICENSE:
            self._restricted.append(_text(value, size))
        elif status == Status.STATUS_LICENSE_LEFT_OUT:
            name, _, reason = _text(value, size).rpartition(": ")
            self._left_out.append(LeftOut(name, reason))
        elif status == Status.STATUS_LICENSE_KEPT:
            self._kept.append(_text(value, size))
        elif status == Status.STATUS_LICENSE_DAMAGED:
            self._damaged.append(_text(value, size))

    def _conclude(self, figures: _c.Progress) -> None:
        self._result = Result(
            licenses=figures.licenses_done,
            content_bytes=figures.content_bytes,
            backup_bytes=figures.backup_bytes,
            restricted=tuple(self._restricted),
            left_out=tuple(self._left_out),
            kept=tuple(self._kept),
            damaged=tuple(self._damaged),
            skipped=figures.licenses_skipped,
            gone=None if figures.licenses_gone == _c.UNTOLD else figures.licenses_gone,
        )
        for host in self._hosts:
            self.stop_for(host.take_raised())

    def stop_for(self, raised: Optional[BaseException]) -> None:
        """Keeps the first exception that a function of the program has raised."""
        if self.raised is None:
            self.raised = raised

    def end(self) -> None:
        """Frees everything, since no event comes any more."""
        self.ended = True
        _running.pop(self._key, None)
        self._on_end()

    def end_untold(self) -> None:
        """Ends as cancelled, since the library does not tell the end."""
        self._hr = Hr.NS_E_DRM_OPERATION_CANCELED
        self._conclude(_c.Progress())
        self.end()

    def result(self) -> Result:
        """Gives the result of an operation that has ended, or raises its failure."""
        if self.raised is not None:
            try:
                raise self.raised
            finally:
                self.raised = None  # the traceback holds this frame, which would hold the exception
        if _c.failed(self._hr):
            raise error_of(self._hr, self._sentence, self._result)
        return self._result


def _on_status(status: int, hr: int, datatype: int, value: int, size: int, context: int) -> int:
    operation = _running.get(context)
    if operation is None:  # an exception came when the operation began
        return Hr.E_ABORT
    try:
        operation.take(status, hr, value, size)
        return Hr.S_OK
    except BaseException as error:
        operation.stop_for(error)
        return Hr.E_ABORT
    finally:
        if status == Status.WMT_BACKUPRESTORE_END:
            operation.end()


_STATUS_CALLBACK = _c.StatusCallback(_on_status)


def is_running(handle: int, other_than: Optional[Operation] = None) -> bool:
    """Whether an operation of this restorer has begun and its end has not been told."""
    return any(
        operation.has_begun and operation._handle == handle
        for operation in tuple(_running.values())
        if operation is not other_than
    )


def end_untold(handle: int) -> None:
    """Ends the operations of a restorer that was destroyed before a wait could tell their end."""
    for operation in tuple(_running.values()):
        if operation._called_in_wait and operation._handle == handle:
            operation.end_untold()


def _text(value: int, size: int) -> str:
    return ctypes.string_at(value, size).decode()
