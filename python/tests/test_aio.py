"""The calls that are awaited."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
import weakref
from collections.abc import Iterator
from pathlib import Path

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


def test_the_loop_goes_on_and_no_thread_waits(backup: Path) -> None:
    async def main() -> None:
        stalled = Stalled()
        async with AsyncRestorer(store=stalled, backup=backup) as restorer:
            task = asyncio.create_task(restorer.backup())
            while not stalled.begun.is_set():
                await asyncio.sleep(0)
            assert not any("asyncio" in thread.name for thread in threading.enumerate())
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
    assert not _operation._running


def test_a_loop_that_polls_and_is_closed_before_the_end(store: Path, backup: Path) -> None:
    restorer = AsyncRestorer(store=store, backup=backup)
    loop = asyncio.new_event_loop()
    task = loop.create_task(restorer.backup())
    task._log_destroy_pending = False  # type: ignore[attr-defined]
    loop.run_until_complete(asyncio.sleep(0))
    assert _operation._running
    loop.close()
    del task
    gc.collect()
    assert not _operation._running
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
    while _operation._running:
        time.sleep(0.001)
    assert asyncio.run(restorer.verify()).licenses == 2000
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
