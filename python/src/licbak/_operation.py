"""One operation of the library, from its start to its end.

The library calls the program only inside `licbak_wait`, so only on the thread that waits for the
operation. Nothing of Python runs on the library's own threads.
"""

from __future__ import annotations

import _thread
import contextvars
import ctypes
import errno
import functools
import inspect
import os
import select
import sys
import threading
import time
import weakref
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Callable, NoReturn, Optional

from . import _c
from ._c import Flag, Hr, Status
from ._errors import check_call, check_not_ending, error_of
from ._report import LeftOut, Progress, Result

if TYPE_CHECKING:
    from ._restorer import BaseRestorer

ProgressCallback = Callable[[Progress], object]

# Weak, since an event loop that is closed lets its operation go. Without the callbacks that a
# WeakSet has, in which Ctrl-C would be lost.
_operations: set[weakref.ref[Operation]] = set()
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_operations.clear)  # they go on in the parent

_here = threading.local()  # .operation: the one that this thread waits for


def running(handle: Optional[int] = None) -> list[Operation]:
    """The operations, of one restorer or of all, that have begun and whose end is not known."""
    found = []
    for reference in tuple(_operations):
        operation = reference()
        if operation is None or operation.over:
            _operations.discard(reference)
        elif operation.has_begun and handle in (None, operation.handle):
            found.append(operation)
    return found


def is_inside() -> bool:
    """Whether the library has called the function of the program that runs on this thread."""
    operation: Optional[Operation] = getattr(_here, "operation", None)
    return operation is not None and not operation.over


class Answers:
    """How the program is called: here at once, and its answers are taken as they are."""

    def show(self, on_progress: ProgressCallback, progress: Progress) -> None:
        """Tells the progress."""
        self.settle(on_progress(progress), "on_progress")

    def settle(self, answer: Any, what: str) -> Any:
        """Gives the answer itself, for one that must be awaited."""
        if inspect.isawaitable(answer):
            refuse(answer, what)
        return answer

    def each(self, answers: Any, what: str) -> Iterator[Any]:
        """Goes through what is asked for with `async for`."""
        refuse(answers, what)

    def check(self) -> None:
        """Raises an exception if nobody waits for the operation any more."""

    def cancel(self) -> None:
        """Cancels what is awaited."""


def refuse(answer: Any, what: str) -> NoReturn:
    """Refuses an answer that nobody would await, and whose work would be lost."""
    if inspect.iscoroutine(answer):
        answer.close()  # so that Python does not warn of what is told here
    raise TypeError(
        f"{what} has returned {answer!r}, which must be awaited, and Restorer awaits nothing. "
        "Return the answer itself, or use AsyncRestorer."
    )


class Operation:
    """The events that an operation has told so far, and its end.

    `on_end` is called when no event comes any more, and must not raise. The operation keeps its
    restorer from being collected.
    """

    def __init__(
        self,
        restorer: BaseRestorer[Any, Any],
        on_progress: Optional[ProgressCallback],
        answers: Answers,
        on_end: Callable[[], object] = lambda: None,
    ) -> None:
        if on_progress is not None and not callable(on_progress):
            raise TypeError(f"on_progress must be a function; it is a {type(on_progress).__name__}")
        self.restorer = restorer
        self.handle = restorer._handle
        self.answers = answers
        self.raised: Optional[BaseException] = None
        """The exception of a function of the program: the outcome, whatever the library says."""
        self.over = False
        """Whether no event comes any more."""
        self.is_polled = False
        """Whether an event loop calls `call_due`, and not a thread of the operation's own."""
        self.has_begun = False
        self._is_cancelled = False
        self._keeps_going = False
        self._passed_over: Optional[Exception] = None  # the first one
        self._is_elsewhere = False
        self._on_progress = on_progress
        self._on_end = on_end
        self._process = os.getpid()
        self._hr: int = Hr.S_OK
        self._sentence = ""
        self._restricted: list[str] = []
        self._left_out: list[LeftOut] = []
        self._kept: list[str] = []
        self._damaged: list[str] = []
        self._result: Optional[Result] = None

    def run(self, start: Any, flags: int) -> None:
        """Starts the operation, and calls the program on this thread until the end."""
        try:
            self.begin(start, flags)
            self.go_on()
        except BaseException as error:
            self.abandon(error)
            raise

    def run_elsewhere(self, start: Any, flags: int) -> None:
        """Runs the operation on a thread of its own; `on_end` tells the end."""

        def run() -> None:
            try:
                self.run(start, flags)
            except BaseException as error:
                self.raised = self.raised or error
            finally:
                self.end()

        self._is_elsewhere = True
        _thread.start_new_thread(contextvars.copy_context().run, (run,))

    def begin(self, start: Any, flags: int) -> None:
        """Starts the operation with a function of the library; raises if it does not begin."""
        check_not_ending()
        _operations.add(weakref.ref(self))
        self._keeps_going = bool(flags & Flag.KEEP_GOING)
        hr = start(self.handle, flags | Flag.CALL_IN_WAIT, _STATUS_CALLBACK, None)
        self.over = _c.failed(hr)
        self.has_begun = not self.over
        check_call(self.handle, hr)
        if self._is_cancelled:  # meanwhile
            self.cancel()

    def go_on(self) -> None:
        """Calls the program on this thread until the operation has ended."""
        descriptor = _c.wait_descriptor(self.handle) if hasattr(select, "poll") else None
        while True:
            self.call_due(0 if descriptor is not None else 50)  # in which no signal is handled
            if self.over:
                return
            if descriptor is not None:
                poll = select.poll()  # which handles signals, and lets greenlets run
                poll.register(descriptor, select.POLLIN)
                poll.poll(1000)  # the number is another file's after a `close` meanwhile

    def abandon(self, error: BaseException) -> None:
        """Cancels the operation and waits for its end, after an exception that is none of its own.

        A signal handler's exception may have come before the operation began, or after. A second
        one ends this wait.
        """
        try:
            self.has_begun |= not self.over and not running(self.handle)
            if self.has_begun and not self.over:
                self.stop_for(error)
                self.go_on()
        finally:
            self.over = True

    def call_due(self, milliseconds: int) -> None:
        """Has the library call the program here: what is due, or becomes due in so long."""
        hr: int = Hr.S_FALSE
        outer, _here.operation = getattr(_here, "operation", None), self
        try:
            with _KeepLost():
                hr = _c.wait(self.handle, milliseconds)
        finally:
            _here.operation = outer  # of another greenlet, which may be inside a call
        if hr == Hr.E_ILLEGAL_METHOD_CALL and not self._is_elsewhere:
            time.sleep(0.001)  # another greenlet of this thread is inside a call of the library
        elif hr != Hr.S_FALSE:
            if hr not in (Hr.S_OK, Hr.E_HANDLE):
                self.stop_for(error_of(hr, ""))
            self.end()

    def cancel(self) -> None:
        """Cancels the operation, also before it has begun, and what it awaits."""
        self._is_cancelled = True
        if self.has_begun:  # else it would be another one of the restorer
            _c.cancel(self.handle)
        self.answers.cancel()

    def stop_for(self, raised: BaseException) -> None:
        """Cancels the operation, and keeps the first exception."""
        if self.raised is None:
            self.raised = raised
        self.cancel()

    def passes_over(self, error: Exception) -> bool:
        """Whether a licence is passed over that the store could not put back; others may be."""
        is_full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
        # Programming errors are those of all, too.
        is_of_all = is_full or isinstance(error, (MemoryError, TypeError, NameError))
        if not self._keeps_going or is_of_all:
            return False
        self._passed_over = self._passed_over or error
        return True

    def end(self) -> None:
        """Tells once that no event comes any more."""
        self.over = True
        _operations.discard(weakref.ref(self))
        on_end, self._on_end = self._on_end, lambda: None
        on_end()

    def take(self, status: int, hr: int, value: int, size: int) -> None:
        """Takes an event."""
        if status == Status.WMT_BACKUPRESTORE_END:
            self._hr = hr
            self._conclude(_c.Progress.from_address(value))
        elif status == Status.STATUS_PROGRESS:
            if self._on_progress is not None:
                told = Progress._of(_c.Progress.from_address(value))
                self.answers.show(self._on_progress, told)
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

    def result(self) -> Result:
        """Gives the result of an operation that has ended, or raises its failure."""
        if self.raised is not None:
            try:
                raise self.raised
            finally:
                self.raised = None  # the traceback holds this frame, which would hold the exception
        if self._result is None:  # the restorer was closed; in a forked child it always is
            is_here = self._process == os.getpid()
            raise error_of(Hr.NS_E_DRM_OPERATION_CANCELED if is_here else Hr.E_HANDLE, "")
        if _c.failed(self._hr):
            raise error_of(self._hr, self._sentence, self._result) from self._passed_over
        return self._result


def c_function(kind: Any, function: Callable[..., int]) -> Any:
    """A C function that is never freed, for a Python function that gets the operation first."""
    return kind(functools.partial(_called, function))


def _called(function: Callable[..., int], *arguments: Any) -> int:
    """Every call of the library arrives here."""
    operation: Optional[Operation] = getattr(_here, "operation", None)
    if operation is None:
        return Hr.E_ABORT
    try:
        hr = function(operation, *arguments)
        operation.answers.check()
        return hr
    except BaseException as error:
        operation.stop_for(error)
        return Hr.E_ABORT


class _KeepLost:
    """Keeps what a signal handler raises at the border of `_called`, outside its `try`.

    There it would be printed and lost in C, and the program would never learn of its Ctrl-C. Signal
    handlers run on the main thread only.
    """

    _before: Any = None

    def __enter__(self) -> None:
        is_main = threading.get_ident() == threading.main_thread().ident
        if is_main and sys.unraisablehook is not self._keep:
            _KeepLost._before, sys.unraisablehook = sys.unraisablehook, self._keep

    def __exit__(self, *_: object) -> None:
        if sys.unraisablehook is self._keep:
            sys.unraisablehook = self._before

    @staticmethod
    def _keep(lost: sys.UnraisableHookArgs) -> None:
        is_called = lost.exc_traceback and lost.exc_traceback.tb_frame.f_code is _called.__code__
        if is_called and lost.exc_value is not None:
            _here.operation.stop_for(lost.exc_value)
        else:
            _KeepLost._before(lost)


def _on_status(
    operation: Operation, status: int, hr: int, datatype: int, value: int, size: int, _: int
) -> int:
    operation.take(status, hr, value, size)
    return Hr.S_OK


_STATUS_CALLBACK = c_function(_c.StatusCallback, _on_status)


def _text(value: int, size: int) -> str:
    return ctypes.string_at(value, size).decode()
