"""The restorer, for programs that live in an asyncio event loop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Callable, Optional

from . import _c
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

    No thread of Python waits for an operation. A task that is cancelled cancels its operation, and
    `CancelledError` is raised when the operation has ended. `on_progress` is called in the loop's
    thread. An exception from it ends the operation and is raised by the call. The methods of a
    store of the program's own and the authorizer are plain functions. They are called on a thread
    of the library.
    """

    async def backup(
        self,
        *,
        overwrite: bool = False,
        full: bool = False,
        dry_run: bool = False,
        on_progress: Optional[ProgressCallback] = None,
    ) -> Result:
        """As `Restorer.backup`."""
        flags = backup_flags(overwrite, full, dry_run)
        return await self._run(_c.backup_licenses, flags, on_progress)

    async def restore(
        self,
        *,
        overwrite: bool = False,
        salvage: bool = False,
        dry_run: bool = False,
        individualize: bool = False,
        on_progress: Optional[ProgressCallback] = None,
    ) -> Result:
        """As `Restorer.restore`."""
        flags = restore_flags(overwrite, salvage, dry_run, individualize)
        return await self._run(_c.restore_licenses, flags, on_progress)

    async def restore_license(
        self,
        key_id: str,
        *,
        overwrite: bool = False,
        salvage: bool = False,
        dry_run: bool = False,
        individualize: bool = False,
        on_progress: Optional[ProgressCallback] = None,
    ) -> Result:
        """As `Restorer.restore_license`."""
        flags = restore_flags(overwrite, salvage, dry_run, individualize)
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

        operation = Operation(
            self,
            self._hosts,
            None if on_progress is None else lambda progress: in_loop(show, progress),
            lambda: in_loop(over.set_result, None),
        )
        try:
            operation.begin(start, self._handle, flags)
        except BaseException:
            operation.abandon()
            raise
        await self._end_of(over)
        return operation.result()

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
