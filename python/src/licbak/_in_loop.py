"""How a program that lives in an asyncio event loop is called, and its answers awaited."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, InvalidStateError, wait
from typing import Any, Optional

from ._c import Hr
from ._errors import error_of
from ._operation import Answers, Operation, ProgressCallback
from ._report import Progress


class InLoop(Answers):
    """Calls `on_progress` in the loop, and has the loop await what the program returns."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.operation: Operation
        self.over: asyncio.Future[None] = loop.create_future()
        """The end, for the loop. The loop's reader or the operation's thread keeps it."""
        self.descriptor: Optional[int] = None
        """What the loop polls."""
        self._loop = loop
        self._is_cancelled = False
        self._awaited: Optional[Awaited] = None
        self._newest: deque[Progress] = deque(maxlen=1)
        self._showing: Optional[asyncio.Task[None]] = None

    def call_due(self) -> None:
        """Has the library call what is due, which the loop has found by polling."""
        try:
            self.operation.call_due(0)
        except BaseException as error:  # Ctrl-C
            self.operation.stop_for(error)
            self.operation.call_due(0)  # it may have come when the end had just been told

    def show(self, on_progress: ProgressCallback, progress: Progress) -> None:
        """Tells the progress in the loop, the newest one where the program is slow."""
        self._loop.call_soon_threadsafe(self._show, on_progress, progress)

    def _show(self, on_progress: ProgressCallback, progress: Progress) -> None:
        self._newest.append(progress)
        if self._showing is None or self._showing.done():
            self._showing = self._loop.create_task(self._show_newest(on_progress))

    async def _show_newest(self, on_progress: ProgressCallback) -> None:
        try:
            while self._newest and self.operation.raised is None:
                answer = on_progress(self._newest.pop())
                if inspect.isawaitable(answer):
                    await answer
        except BaseException as error:
            if not (self._is_cancelled and isinstance(error, asyncio.CancelledError)):
                self.operation.stop_for(error)

    def settle(self, answer: Any, what: str) -> Any:
        """Has the loop await the answer, if it must be awaited."""
        if not inspect.isawaitable(answer):
            return answer
        awaited = self._await(answer)
        if self._is_cancelled:  # meanwhile
            self._loop.call_soon_threadsafe(self._cancel)
        try:
            return awaited.result()
        except asyncio.CancelledError:
            if self._is_cancelled:
                raise error_of(Hr.NS_E_DRM_OPERATION_CANCELED, "") from None
            raise

    def _await(self, answer: Any) -> Awaited:
        self._awaited = Awaited(self._loop, answer)
        return self._awaited

    def each(self, answers: Any, what: str) -> Iterator[Any]:
        """Has the loop go through the answers."""
        iterator = answers.__aiter__()
        try:
            while True:
                try:
                    answer = self.settle(_next(iterator), what)
                except StopAsyncIteration:
                    return
                yield answer
        finally:
            if hasattr(iterator, "aclose") and self._loop.is_running():
                self._await(iterator.aclose()).result()

    def check(self) -> None:
        """Raises an exception if the loop is closed."""
        if self._loop.is_closed():
            raise RuntimeError("The event loop is closed, and nobody waits for the operation.")

    def cancel(self) -> None:
        """Cancels once what is awaited. A loop that does not run is not waited for."""
        is_first, self._is_cancelled = not self._is_cancelled, True
        if not self._loop.is_running():
            if self._awaited is not None:
                self._awaited.give_up()
        elif is_first:
            self._loop.call_soon_threadsafe(self._cancel)

    def _cancel(self) -> None:
        for awaited in (self._showing, self._awaited):
            if awaited is not None:
                awaited.cancel()

    def end(self) -> None:
        """Tells the end in the loop."""
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(self._end)

    def _end(self) -> None:
        if self._showing is not None and not self._showing.done():
            self._showing.add_done_callback(lambda _: self._end())
            return
        self.stop_polling()
        if not self.over.done():
            self.over.set_result(None)

    def polls_in(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Whether this loop polls for the operation."""
        return self.descriptor is not None and self._loop is loop

    def stop_polling(self) -> None:
        """Ends the loop's polling, before the next operation polls the same descriptor."""
        descriptor, self.descriptor = self.descriptor, None
        if descriptor is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                self._loop.remove_reader(descriptor)


async def _next(iterator: Any) -> Any:
    """The next of the answers; a coroutine, which can be given up before it has begun."""
    return await iterator.__anext__()


class Awaited:
    """What a function of the program has returned to be awaited, for a thread beside the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, answer: Any) -> None:
        self._loop = loop
        self._task: Optional[asyncio.Future[Any]] = None
        self._settled: Future[Any] = Future()
        self._answer = answer
        loop.call_soon_threadsafe(self._begin)

    def _begin(self) -> None:
        if self._settled.done():  # given up
            return
        try:
            self._task = task = asyncio.ensure_future(self._answer, loop=self._loop)
        except ValueError as error:  # it belongs to another loop
            self._settled.set_exception(error)
        else:
            task.add_done_callback(self._settle)

    def _settle(self, task: asyncio.Future[Any]) -> None:
        if task.cancelled():
            self.give_up()
            return
        error = task.exception()
        if self._settled.done():  # nobody waits for it any more
            return
        if error is not None:
            self._settled.set_exception(error)
        else:
            self._settled.set_result(task.result())

    def result(self) -> Any:
        """Waits for the answer; raises `CancelledError` if it is cancelled."""
        while not wait([self._settled], 0.1).done:
            if self._loop.is_closed():
                self.give_up()
        return self._settled.result()

    def cancel(self) -> None:
        """Cancels it, in the loop; what comes of that is the answer."""
        if self._task is not None:
            self._task.cancel()

    def give_up(self) -> None:
        """Ends the wait for the answer, from any thread."""
        with contextlib.suppress(InvalidStateError):
            self._settled.set_exception(asyncio.CancelledError())
        if self._has_not_begun() and not self._loop.is_running():
            self._answer.close()  # else Python warns that nobody has awaited it

    def _has_not_begun(self) -> bool:
        return (
            inspect.iscoroutine(self._answer)
            and inspect.getcoroutinestate(self._answer) == inspect.CORO_CREATED
        )
