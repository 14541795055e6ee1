"""The calls that are awaited."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import threading
import time
import weakref
from collections.abc import AsyncGenerator, Generator, Iterator
from pathlib import Path
from typing import Any, Optional

import pytest
from conftest import Long, Memory, Stalled, is_collected, make_many, wait_for_lists

import licbak
from licbak import AsyncRestorer, License, _listing, _operation


def test_there_and_back(store: Path, backup: Path, tmp_path: Path) -> None:
    async def main() -> None:
        async with AsyncRestorer(store=store, backup=backup) as restorer:
            assert (await restorer.backup()).licenses == 2
            with pytest.raises(licbak.BackupExists):
                await restorer.backup()
            assert (await restorer.verify()).licenses == 2
            assert [license.size async for license in restorer.licenses()] == [9, 7]
            assert (await restorer.info()).licenses == 2
        async with AsyncRestorer(store=tmp_path / "other", backup=backup) as restorer:
            assert (await restorer.restore()).licenses == 2

    asyncio.run(main())


def test_what_cant_be_read_or_put_back_is_passed_over(
    store: Path, backup: Path, tmp_path: Path
) -> None:
    (store / "bad\x01.lic").write_bytes(b"no name")
    (tmp_path / "other" / "film.lic").mkdir(parents=True)

    async def main() -> None:
        async with AsyncRestorer(store=store, backup=backup) as restorer:
            assert (await restorer.backup(keep_going=True)).skipped == 1
        async with AsyncRestorer(store=tmp_path / "other", backup=backup) as restorer:
            assert (await restorer.restore(keep_going=True)).skipped == 1

    asyncio.run(main())


def test_one_licence_and_a_salvage(store: Path, backup: Path, tmp_path: Path) -> None:
    async def main() -> None:
        async with AsyncRestorer(store=store, backup=backup) as restorer:
            await restorer.backup()
        async with AsyncRestorer(store=tmp_path / "other", backup=backup) as restorer:
            assert (await restorer.restore_license("film")).licenses == 1
            with pytest.raises(licbak.NotFound):
                await restorer.restore_license("Film")
            assert (await restorer.restore(salvage=True)).licenses == 2
            file = backup / "licenses.tar.zst"
            file.write_bytes(file.read_bytes()[:-1])  # the end, which has all names
            (tmp_path / "other" / "film.lic").unlink()
            with pytest.raises(licbak.BackupCorrupt):
                await restorer.restore_license("film")
            with pytest.raises(licbak.BackupCorrupt) as caught:
                await restorer.restore_license("film", salvage=True)
            assert caught.value.result.licenses == 1
            assert (tmp_path / "other" / "film.lic").exists()

    asyncio.run(main())


def test_one_after_the_other_is_never_busy(store: Path, backup: Path) -> None:
    async def main() -> None:
        async with AsyncRestorer(store=store, backup=backup) as restorer:
            for _ in range(200):
                await restorer.backup(overwrite=True)

    asyncio.run(main())


def test_the_loop_goes_on(backup: Path) -> None:
    async def main() -> None:
        stalled = Stalled()
        async with AsyncRestorer(store=stalled, backup=backup) as restorer:
            task = asyncio.create_task(restorer.backup())
            while not stalled.begun.is_set():
                await asyncio.sleep(0)
            with pytest.raises(licbak.Busy):
                await restorer.verify()
            for _ in range(10):
                await asyncio.sleep(0.001)
            assert not task.done()
            stalled.go_on.set()
            assert (await task).licenses == 2000

    asyncio.run(main())


def test_progress_comes_in_the_loops_thread(store: Path, backup: Path) -> None:
    threads = set()

    async def main() -> None:
        async with AsyncRestorer(store=store, backup=backup) as restorer:
            await restorer.backup(on_progress=lambda _: threads.add(threading.get_ident()))

    asyncio.run(main())
    assert threads == {threading.get_ident()}


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> set[int]:
    """The threads on which the library calls Python."""
    seen: set[int] = set()
    take = _operation.Operation.take

    def watched(operation: _operation.Operation, *event: int) -> None:
        seen.add(threading.get_ident())
        take(operation, *event)

    monkeypatch.setattr(_operation.Operation, "take", watched)
    return seen


def test_the_library_calls_python_in_the_loops_thread(
    store: Path, backup: Path, threads: set[int]
) -> None:
    async def main() -> None:
        async with AsyncRestorer(store=store, backup=backup) as restorer:
            assert (await restorer.backup(on_progress=print)).licenses == 2
            running = asyncio.create_task(restorer.verify())
            await asyncio.sleep(0)
            with pytest.raises(licbak.Busy):
                await restorer.verify()
            assert (await running).licenses == 2

    asyncio.run(main())
    assert threads == {threading.get_ident()}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_ctrl_c_in_the_call_that_tells_the_end(
    store: Path, backup: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(operation: _operation.Operation) -> None:
        monkeypatch.undo()
        raise KeyboardInterrupt

    async def main() -> None:
        async with AsyncRestorer(store=store, backup=backup) as restorer:
            with pytest.raises(KeyboardInterrupt):
                await restorer.backup()
            assert (await restorer.verify()).licenses == 2

    monkeypatch.setattr(_operation.Operation, "end", interrupted)
    asyncio.run(main())


def test_a_loop_that_polls_nothing(store: Path, backup: Path, threads: set[int]) -> None:
    class Loop(asyncio.SelectorEventLoop):
        add_reader = asyncio.AbstractEventLoop.add_reader  # as Windows' loop has it

    async def main() -> None:
        async with AsyncRestorer(store=store, backup=backup) as restorer:
            assert (await restorer.backup(on_progress=print)).licenses == 2

    loop = Loop()
    loop.run_until_complete(main())
    loop.close()
    assert threads and threading.get_ident() not in threads


def test_a_cancelled_task_of_a_loop_that_polls(store: Path, backup: Path) -> None:
    async def main() -> None:
        async with AsyncRestorer(store=store, backup=backup) as restorer:
            task = asyncio.create_task(restorer.backup())
            await asyncio.sleep(0)  # it begins, and can't end before the loop polls
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            with pytest.raises(licbak.NoBackup):
                await restorer.verify()

    asyncio.run(main())
    assert list(backup.iterdir()) == []


def test_closing_what_a_loop_polls(store: Path, backup: Path) -> None:
    async def main() -> None:
        restorer = AsyncRestorer(store=store, backup=backup)
        task = asyncio.create_task(restorer.backup())
        await asyncio.sleep(0)
        await restorer.aclose()
        with pytest.raises(licbak.Canceled):
            await task
        await restorer.aclose()

    asyncio.run(main())
    assert list(backup.iterdir()) == []


def test_closing_what_another_loop_polls(store: Path, backup: Path) -> None:
    restorer = AsyncRestorer(store=store, backup=backup)
    loop = asyncio.new_event_loop()
    task = loop.create_task(restorer.backup())
    loop.run_until_complete(asyncio.sleep(0))
    asyncio.run(restorer.aclose())
    with pytest.raises(licbak.Canceled):
        loop.run_until_complete(task)
    loop.close()
    assert not _operation.running()


def test_a_loop_that_polls_and_is_closed_before_the_end(store: Path, backup: Path) -> None:
    restorer = AsyncRestorer(store=store, backup=backup)
    loop = asyncio.new_event_loop()
    task = loop.create_task(restorer.backup())
    task._log_destroy_pending = False  # type: ignore[attr-defined]
    loop.run_until_complete(asyncio.sleep(0))
    assert _operation.running()
    loop.close()
    del task
    gc.collect()
    assert not _operation.running()
    with pytest.raises(licbak.NoBackup):
        asyncio.run(restorer.verify())
    gone = weakref.ref(restorer)
    del restorer
    assert is_collected(gone)


def test_what_on_progress_raises_comes_out_of_the_call(backup: Path) -> None:
    def veto(progress: licbak.Progress) -> None:
        raise KeyError("veto")

    async def main() -> None:
        async with AsyncRestorer(store=Long(), backup=backup) as restorer:
            with pytest.raises(KeyError, match="veto") as caught:
                await restorer.backup(on_progress=veto)
            assert caught.traceback[-1].name == "veto"
            assert list(backup.iterdir()) == []

    asyncio.run(main())


def test_what_a_method_raises_comes_out_of_the_call(backup: Path) -> None:
    class Failing:
        def enumerate(self) -> Iterator[License]:
            raise LookupError("on purpose")

    async def main() -> None:
        async with AsyncRestorer(store=Failing(), backup=backup) as restorer:
            with pytest.raises(LookupError, match="on purpose"):
                await restorer.backup()

    asyncio.run(main())


class Put:
    """Something to await that is no coroutine."""

    def __init__(self, store: Later, license: License) -> None:
        self.store, self.license = store, license

    def __await__(self) -> Generator[Any, None, None]:
        yield from asyncio.sleep(0).__await__()
        self.store.threads.add(threading.get_ident())
        self.store.licenses[self.license.name] = self.license


class Later:
    """A store whose methods must all be awaited."""

    def __init__(self) -> None:
        self.licenses: dict[str, License] = {}
        self.threads: set[int] = set()

    async def enumerate(self) -> AsyncGenerator[License, None]:
        for number in range(20):
            self.threads.add(threading.get_ident())
            await asyncio.sleep(0)
            yield License(f"{number}.lic", b"content")

    async def get(self, name: str) -> Optional[License]:
        await asyncio.sleep(0)
        return self.licenses.get(name)

    def put(self, license: License) -> Put:
        return Put(self, license)


def test_a_store_that_must_be_awaited(backup: Path) -> None:
    async def authorize(info: licbak.Info) -> None:
        await asyncio.sleep(0)
        asked.append(info)

    async def show(progress: licbak.Progress) -> None:
        await asyncio.sleep(0.01)
        shown.append(progress)

    async def main() -> None:
        store = Later()
        async with AsyncRestorer(store=store, backup=backup, authorizer=authorize) as restorer:
            assert (await restorer.backup(on_progress=show)).licenses == 20
            assert shown[-1].licenses_done == 20
            assert (await restorer.restore(on_progress=show)).licenses == 20
        assert len(store.licenses) == 20 and len(asked) == 1
        assert store.threads == {threading.get_ident()}

    asked: list[licbak.Info] = []
    shown: list[licbak.Progress] = []
    asyncio.run(main())


def test_a_store_whose_list_must_be_awaited(backup: Path) -> None:
    class Listed:
        async def enumerate(self) -> list[License]:
            await asyncio.sleep(0)
            return [License("a", b"a")]

    async def main() -> None:
        async with AsyncRestorer(store=Listed(), backup=backup) as restorer:
            assert (await restorer.backup()).licenses == 1

    asyncio.run(main())


def test_progress_that_must_be_awaited_in_a_loop_that_polls(store: Path, backup: Path) -> None:
    async def show(progress: licbak.Progress) -> None:
        await asyncio.sleep(0.01)
        shown.append(progress)

    async def veto(progress: licbak.Progress) -> None:
        await asyncio.sleep(0)
        raise KeyError("veto")

    async def main() -> None:
        async with AsyncRestorer(store=store, backup=backup) as restorer:
            await restorer.backup(on_progress=show)
            assert shown[-1].licenses_done == 2
            with pytest.raises(KeyError, match="veto"):
                await restorer.verify(on_progress=veto)

    shown: list[licbak.Progress] = []
    asyncio.run(main())


def test_what_an_awaited_method_raises_comes_out_of_the_call(backup: Path) -> None:
    left: list[str] = []

    class Failing(Later):
        async def enumerate(self) -> AsyncGenerator[License, None]:
            try:
                yield License("a", b"a")
                raise LookupError("on purpose")
            finally:
                left.append("cursor closed")

    async def main() -> None:
        async with AsyncRestorer(store=Failing(), backup=backup) as restorer:
            with pytest.raises(LookupError, match="on purpose"):
                await restorer.backup()

    asyncio.run(main())
    assert left == ["cursor closed"]


@pytest.mark.parametrize("ends_with", [None, LookupError("on purpose")])
def test_a_cancelled_task_cancels_what_is_awaited(
    ends_with: Optional[Exception], backup: Path
) -> None:
    class Waiting(Later):
        begun: asyncio.Event

        async def enumerate(self) -> AsyncGenerator[License, None]:
            try:
                self.begun.set()
                await asyncio.sleep(600)
                yield License("a", b"a")
            finally:
                await asyncio.sleep(0.01)
                left.append("cursor closed")
                if ends_with is not None:
                    raise ends_with

    async def main() -> None:
        begun = waiting.begun = asyncio.Event()
        async with AsyncRestorer(store=waiting, backup=backup) as restorer:
            for told in (asyncio.CancelledError, licbak.Canceled):
                begun.clear()
                task = asyncio.create_task(restorer.backup())
                await begun.wait()
                assert task.cancel() if told is asyncio.CancelledError else restorer.cancel()
                with pytest.raises(told if ends_with is None else LookupError):
                    await task
        assert left == ["cursor closed"] * 2

    waiting = Waiting()
    left: list[str] = []
    asyncio.run(main())


def test_a_coroutine_that_is_closed(store: Path, backup: Path) -> None:
    async def main() -> None:
        for given in (store, Later()):
            restorer = AsyncRestorer(store=given, backup=backup)
            call = restorer.backup()
            call.send(None)
            while not _operation.running():  # on a thread of its own
                time.sleep(0.001)
            call.close()
            while _operation.running():
                await asyncio.sleep(0.001)
            with pytest.raises(licbak.NoBackup):
                await restorer.verify()

    asyncio.run(main())


@pytest.mark.parametrize("store", [Later(), None])
def test_context_variables_reach_the_callbacks(store: Any, backup: Path, tmp_path: Path) -> None:
    current = contextvars.ContextVar[str]("current", default="none")
    seen: set[str] = set()

    class Noting(Memory):
        def enumerate(self) -> Iterator[License]:
            seen.add(current.get())
            yield License("a", b"a")

    async def main() -> None:
        current.set("this")
        async with AsyncRestorer(store=store or Noting(), backup=backup) as restorer:
            await restorer.backup(on_progress=lambda _: seen.add(current.get()))
            await restorer.verify(on_progress=lambda _: seen.add(current.get()))

    asyncio.run(main())
    assert seen == {"this"}


def test_a_cancelled_task_ends_when_its_operation_has(backup: Path) -> None:
    async def main() -> None:
        stalled = Stalled()
        async with AsyncRestorer(store=stalled, backup=backup) as restorer:
            task = asyncio.create_task(restorer.backup())
            while not stalled.begun.is_set():
                await asyncio.sleep(0)
            for _ in range(3):  # the second must not get through earlier either
                task.cancel()
                await asyncio.sleep(0.01)
            assert not task.done()
            stalled.go_on.set()
            with pytest.raises(asyncio.CancelledError):
                await task
            with pytest.raises(licbak.NoBackup):
                await restorer.verify()

    asyncio.run(main())
    assert list(backup.iterdir()) == []


def test_a_timeout(backup: Path) -> None:
    async def main() -> None:
        stalled = Stalled()
        async with AsyncRestorer(store=stalled, backup=backup) as restorer:
            task = asyncio.create_task(restorer.backup())
            while not stalled.begun.is_set():
                await asyncio.sleep(0)
            asyncio.get_running_loop().call_later(0.1, stalled.go_on.set)
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(task, 0.01)
            assert stalled.go_on.is_set()

    asyncio.run(main())


def test_closing_cancels_what_another_task_awaits(backup: Path) -> None:
    async def main() -> None:
        stalled = Stalled()
        restorer = AsyncRestorer(store=stalled, backup=backup)
        task = asyncio.create_task(restorer.backup())
        while not stalled.begun.is_set():
            await asyncio.sleep(0)
        asyncio.get_running_loop().call_later(0.01, stalled.go_on.set)
        await restorer.aclose()
        with pytest.raises(licbak.Canceled):
            await task
        await restorer.aclose()
        with pytest.raises(licbak.Closed):
            await restorer.verify()

    asyncio.run(main())


def test_a_loop_that_is_closed_before_the_end(backup: Path) -> None:
    stalled = Stalled()
    restorer = AsyncRestorer(store=stalled, backup=backup)
    loop = asyncio.new_event_loop()
    task = loop.create_task(restorer.backup(on_progress=print))
    task._log_destroy_pending = False  # type: ignore[attr-defined]
    loop.run_until_complete(asyncio.sleep(0.01))
    assert stalled.begun.wait(60)
    loop.close()
    del task
    gc.collect()
    stalled.go_on.set()
    while _operation.running():
        time.sleep(0.001)
    with pytest.raises(licbak.NoBackup):
        asyncio.run(restorer.verify())
    gone = weakref.ref(restorer)
    del restorer
    assert is_collected(gone)


def test_a_list_may_be_left_at_any_point(backup: Path) -> None:
    count = make_many(backup)

    async def main() -> None:
        async with AsyncRestorer(backup=backup) as restorer:
            assert len([license async for license in restorer.licenses()]) == count
            async for license in restorer.licenses():
                assert license.name == "000000.lic"
                break

            async def read() -> None:
                async for _ in restorer.licenses():
                    wait_for_lists()
                    reading.set()
                    await asyncio.sleep(60)

            reading = asyncio.Event()
            task = asyncio.create_task(read())
            await reading.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            for _ in range(10):  # the loop ends what was left
                await asyncio.sleep(0)
            assert not _listing._listings

    asyncio.run(main())


def test_operations_of_several_restorers_go_on_at_once(tmp_path: Path) -> None:
    async def one(number: int) -> int:
        path = tmp_path / str(number)
        path.mkdir()
        memory = Memory(*(License(f"{name}.lic", b"") for name in range(number)))
        async with AsyncRestorer(store=memory, backup=path) as restorer:
            return (await restorer.backup()).licenses

    async def main() -> None:
        assert await asyncio.gather(*map(one, range(1, 20))) == list(range(1, 20))

    asyncio.run(main())
