"""The restorer, for programs that live in an asyncio event loop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import weakref
from collections.abc import AsyncIterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Callable, Optional

from . import _c
from ._c import Flag, Hr
from ._info import Info, info_of
from ._licenses import License
from ._listing import Listing
from ._operation import Operation, ProgressCallback
from ._report import Progress, Result
from ._restorer import BaseRestorer, backup_flags, restore_flags, restore_license_of

if TYPE_CHECKING:
    from typing_extensions import Self


class AsyncRestorer(BaseRestorer):
    """`Restorer` with `async` methods: the event loop goes on while the library works.

    No thread waits for an operation: the event loop polls a descriptor of the library, and nothing
    of Python runs on another thread. A task that is cancelled cancels its operation, and
    `CancelledError` is raised when the operation has ended. `on_progress` is called in the loop's
    thread. An exception from it ends the operation and is raised by the call. The methods of a
    store of the program's own and the authorizer are plain functions. They are called on a thread
    of the library, so that the loop goes on meanwhile.
    """

    _polled: Callable[[], Optional[asyncio.Future[None]]] = staticmethod(lambda: None)
    """The end of the operation for which a loop polls, or polled last."""

    async def backup(
        self,
        *,
        overwrite: bool = False,
        full: bool = False,
        dry_run: bool = False,
        keep_going: bool = False,
        on_progress: Optional[ProgressCallback] = None,
    ) -> Result:
        """As `Restorer.backup`."""
        flags = backup_flags(overwrite, full, dry_run, keep_going)
        return await self._run(_c.backup_licenses, flags, on_progress)

    async def restore(
        self,
        *,
        overwrite: bool = False,
        salvage: bool = False,
        dry_run: bool = False,
        individualize: bool = False,
        keep_going: bool = False,
        on_progress: Optional[ProgressCallback] = None,
    ) -> Result:
        """As `Restorer.restore`."""
        flags = restore_flags(overwrite, salvage, dry_run, individualize, keep_going)
        return await self._run(_c.restore_licenses, flags, on_progress)

    async def restore_license(
        self,
        key_id: str,
        *,
        overwrite: bool = False,
        salvage: bool = False,
        dry_run: bool = False,
        individualize: bool = False,
        keep_going: bool = False,
        on_progress: Optional[ProgressCallback] = None,
    ) -> Result:
        """As `Restorer.restore_license`."""
        flags = restore_flags(overwrite, salvage, dry_run, individualize, keep_going)
        return await self._run(restore_license_of(key_id), flags, on_progress)

    async def verify(self, *, on_progress: Optional[ProgressCallback] = None) -> Result:
        """As `Restorer.verify`."""
        return await self._run(_c.verify_backup, 0, on_progress)

    async def licenses(self) -> AsyncIterator[License]:
        """As `Restorer.licenses`, for `async for`."""
        listing = Listing(self._handle)
        try:
            listing.begin()
            while batch := await asyncio.to_thread(listing.next_batch):
                for license in batch:
                    yield license
        finally:
            listing.stop()

    async def info(self) -> Info:
        """As `Restorer.info`."""
        return await asyncio.to_thread(info_of, self._handle)

    async def aclose(self) -> None:
        """As `Restorer.close`: cancels an operation, waits for its end, and frees the restorer."""
        polled = self._polled()
        if polled is not None and polled.get_loop() is asyncio.get_running_loop():
            self.cancel()
            await asyncio.wait([polled])  # the loop must not poll a descriptor that is closed
        await asyncio.to_thread(self._close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        await self.aclose()

    async def _run(self, start: Any, flags: int, on_progress: Optional[ProgressCallback]) -> Result:
        loop = asyncio.get_running_loop()
        over = loop.create_future()

        def in_loop(function: Callable[..., object], *arguments: object) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(function, *arguments)

        def show(progress: Progress) -> None:
            if on_progress is None or operation.raised is not None:
                return
            try:
                on_progress(progress)
            except BaseException as error:
                operation.stop_for(error)
                self.cancel()

        descriptor = self._descriptor_for(loop)
        # Where the loop polls, only the loop keeps `over`, and so the task: a loop that is closed
        # lets it go.
        end: Callable[[], Optional[asyncio.Future[None]]]
        end = weakref.ref(over) if descriptor is not None else lambda: over

        def finish() -> None:
            if descriptor is not None:
                loop.remove_reader(descriptor)
            awaited = end()
            if awaited is not None:
                awaited.set_result(None)

        operation = Operation(
            self,
            self._hosts,
            None if on_progress is None else lambda progress: in_loop(show, progress),
            lambda: in_loop(finish),
        )
        try:
            if descriptor is None:
                operation.begin(start, self._handle, flags)
            else:
                operation.begin(start, self._handle, flags | Flag.CALL_IN_WAIT)
                loop.add_reader(descriptor, _call_due, self._handle, operation, over)
                self._polled = weakref.ref(over)
        except BaseException:
            operation.abandon()
            raise
        try:
            await self._end_of(over)
        finally:
            if descriptor is not None and not operation.ended:  # the loop has let it go
                operation.abandon()
        return operation.result()

    def _descriptor_for(self, loop: asyncio.AbstractEventLoop) -> Optional[int]:
        # The program's own functions may take long: the loop must not wait for them.
        if self._hosts or type(loop).add_reader is asyncio.AbstractEventLoop.add_reader:
            return None
        if os.name == "nt":  # where a loop polls sockets, and the library has an event
            return None
        return _c.wait_descriptor(self._handle)

    async def _end_of(self, over: asyncio.Future[None]) -> None:
        cancelled: Optional[asyncio.CancelledError] = None
        while not over.done():
            try:
                await asyncio.shield(over)
            except asyncio.CancelledError as error:  # the task must end, but after the operation
                cancelled = error
                self.cancel()
        if cancelled is not None:
            raise cancelled


def _call_due(handle: int, operation: Operation, over: asyncio.Future[None]) -> None:
    """Has the library call what is due. The loop keeps `over` in the arguments, and nobody else."""
    # An exception of Ctrl-C in the call that tells the end is lost in C, and the end with it.
    if _c.wait(handle, 0) == Hr.S_OK and not operation.ended:
        operation.stop_for(KeyboardInterrupt())
        operation.end_untold()
