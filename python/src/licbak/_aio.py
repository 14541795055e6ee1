"""The restorer, for programs that live in an asyncio event loop."""

from __future__ import annotations

import asyncio
import concurrent.futures.thread  # noqa: F401 (at the end of the program it can't be imported)
import os
from collections.abc import AsyncGenerator
from types import TracebackType
from typing import Any, Optional, Union

from . import _c
from ._authorizer import AsyncAuthorizer
from ._errors import Canceled, is_ending
from ._in_loop import InLoop
from ._info import Info, info_of
from ._licenses import AsyncSource, AsyncTarget, License
from ._listing import Listing
from ._operation import Operation, ProgressCallback, running
from ._report import Result
from ._restorer import BaseRestorer, Self, backup_flags, restore_flags, restore_license_of


class AsyncRestorer(BaseRestorer[Union[AsyncSource, AsyncTarget], AsyncAuthorizer]):
    """`Restorer` with `async` methods: the event loop goes on while the library works.

    No thread waits for an operation: the event loop polls a descriptor of the library, and nothing
    of Python runs on another thread. A task that is cancelled cancels its operation, and
    `CancelledError` is raised when the operation has ended. `on_progress` is called in the loop's
    thread. An exception from it ends the operation and is raised by the call.

    A store of the program's own and an authorizer are called on a thread beside the loop, so that
    the loop goes on meanwhile. What they, or `on_progress`, return to be awaited is awaited in the
    loop. A loop that can't poll gets such a thread, too.
    """

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

    async def licenses(self) -> AsyncGenerator[License, None]:
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
        if is_ending():  # no thread is to be had any more
            return
        self.cancel()
        for operation in running(self._handle):
            answers = operation.answers
            if isinstance(answers, InLoop) and answers.polls_in(asyncio.get_running_loop()):
                await asyncio.wait([answers.over])  # the descriptor is closed with the restorer
        await asyncio.to_thread(self._close)

    async def __aenter__(self: Self) -> Self:
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
        answers = InLoop(loop)
        operation = answers.operation = Operation(self, on_progress, answers, answers.end)
        descriptor = self._descriptor_for(loop)
        if descriptor is None:
            operation.run_elsewhere(start, flags)
        cancelled: Optional[asyncio.CancelledError] = None
        try:
            if descriptor is not None:
                operation.is_polled = True
                operation.begin(start, flags)
                loop.add_reader(descriptor, answers.call_due)
                answers.descriptor = descriptor
            while not answers.over.done():
                try:
                    await asyncio.shield(answers.over)
                except (
                    asyncio.CancelledError
                ) as error:  # the task must end, but after the operation
                    cancelled = error
                    operation.cancel()
        except BaseException as error:
            answers.stop_polling()
            if operation.is_polled:
                operation.abandon(error)
            elif not operation.over:
                operation.stop_for(error)
            raise
        if cancelled is not None and isinstance(operation.raised, (type(None), Canceled)):
            raise cancelled
        return operation.result()

    def _descriptor_for(self, loop: asyncio.AbstractEventLoop) -> Optional[int]:
        # The program's own functions may take long: the loop must not wait for them.
        has_own = self._store is not None or self._authorizer is not None
        if has_own or type(loop).add_reader is asyncio.AbstractEventLoop.add_reader:
            return None
        if os.name == "nt":  # where a loop polls sockets, and the library has an event
            return None
        return _c.wait_descriptor(self._handle)
