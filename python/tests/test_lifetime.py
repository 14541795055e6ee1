"""Operations that outlive what started them."""

from __future__ import annotations

import copy
import gc
import multiprocessing
import os
import pickle
import threading
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Optional

import pytest
from conftest import Stalled, is_collected, make_many, run_script, stalled_backup

import licbak
from licbak import _listing, _restorer
from licbak._host import license_of

STALLED = """
import asyncio, sys, threading, time
import licbak

class Stalled:
    begun = threading.Event()

    def enumerate(self):
        self.begun.set()
        while True:
            time.sleep(0.01)
            yield licbak.License(str(time.monotonic_ns()), b"content")

"""


def test_close_inside_a_callback(backup: Path) -> None:
    class Closing(Stalled):
        def enumerate(self) -> Iterator[licbak.License]:
            restorer.close()
            yield licbak.License("a", b"a")

    restorer = licbak.Restorer(store=Closing(), backup=backup)
    with pytest.raises(licbak.Canceled):
        restorer.backup()
    with pytest.raises(licbak.Closed):
        restorer.verify()
    assert list(backup.iterdir()) == []


def test_close_from_another_thread(backup: Path) -> None:
    stalled = Stalled()
    restorer = licbak.Restorer(store=stalled, backup=backup)
    thread, raised = stalled_backup(stalled, restorer)
    threading.Timer(0.05, stalled.go_on.set).start()
    restorer.close()
    assert stalled.go_on.is_set()  # it has waited
    thread.join()
    assert [type(error) for error in raised] == [licbak.Canceled]


def test_closing_twice_at_once_waits_both_times(backup: Path) -> None:
    stalled = Stalled()
    restorer = licbak.Restorer(store=stalled, backup=backup)
    thread, raised = stalled_backup(stalled, restorer)
    first = threading.Thread(target=restorer.close)
    first.start()
    while restorer.cancel():  # until the first has begun
        time.sleep(0.001)
    threading.Timer(0.05, stalled.go_on.set).start()
    restorer.close()
    assert stalled.go_on.is_set()
    first.join()
    thread.join()
    assert [type(error) for error in raised] == [licbak.Canceled]


def test_a_list_that_begins_while_its_restorer_is_closed(
    backup: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def then_begin(handle: int) -> None:
        stop_all(handle)
        with pytest.raises(licbak.Closed):  # else nobody would end it, and closing waits for it
            next(restorer.licenses())

    make_many(backup)
    restorer = licbak.Restorer(backup=backup)
    stop_all = _listing.stop_all
    monkeypatch.setattr(_restorer, "stop_all", then_begin)
    restorer.close()


def test_a_restorer_is_neither_copied_nor_pickled(backup: Path) -> None:
    for restorer in (licbak.Restorer(backup=backup), licbak.AsyncRestorer(backup=backup)):
        for call in (copy.copy, copy.deepcopy, pickle.dumps):
            with pytest.raises(TypeError, match="Restorer can't be copied"):
                call(restorer)


def test_a_restorer_is_kept_while_its_operation_runs_and_no_longer(backup: Path) -> None:
    stalled = Stalled()
    restorer = licbak.Restorer(store=stalled, backup=backup)
    gone = weakref.ref(restorer)
    thread, raised = stalled_backup(stalled, restorer)
    del restorer
    gc.collect()
    assert gone() is not None
    stalled.go_on.set()
    thread.join()
    assert is_collected(gone) and raised == []


def test_nothing_is_left_open(store: Path, backup: Path) -> None:
    def resources() -> tuple[int, int]:
        return len(os.listdir("/proc/self/task")), len(os.listdir("/proc/self/fd"))

    def use() -> None:
        with licbak.Restorer(store=store, backup=backup) as restorer:
            restorer.backup(overwrite=True)
            next(restorer.licenses())

    use()
    before = resources()
    for _ in range(20):
        use()
    end = time.monotonic() + 30  # Python's threads are joined a moment before they are gone
    while any(now > then for now, then in zip(resources(), before)):
        assert time.monotonic() < end, (resources(), before)
        time.sleep(0.001)


def test_a_list_may_be_collected_on_its_own_thread(
    backup: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Holder:
        def __init__(self) -> None:
            self.licenses = licbak.Restorer(backup=backup).licenses()
            self.cycle = self

    dropped = threading.Event()

    def collecting(told: Any, content: Optional[bytes]) -> licbak.License:
        license = license_of(told, content)
        if license.name == "000600.lic":  # in the second batch
            assert dropped.wait(60)
            gc.collect()
        return license

    make_many(backup)
    monkeypatch.setattr(_listing, "license_of", collecting)
    gc.disable()
    try:
        holder = Holder()
        next(holder.licenses)
        del holder
        dropped.set()
        while _listing._listings:
            time.sleep(0.001)
    finally:
        gc.enable()


def test_the_program_ends_while_a_thread_waits_for_an_operation(backup: Path) -> None:
    run_script(
        STALLED
        + """
def back_up():
    try:
        licbak.Restorer(store=Stalled(), backup=sys.argv[1]).backup(on_progress=lambda _: None)
    except licbak.Canceled:
        pass

threading.Thread(target=back_up, daemon=True).start()
Stalled.begun.wait()
""",
        backup,
    )
    assert list(backup.iterdir()) == []


def test_the_program_ends_while_an_abandoned_loop_has_an_operation(backup: Path) -> None:
    script = """
async def main():
    restorer = licbak.AsyncRestorer(store=Stalled(), backup=sys.argv[1])
    task = asyncio.create_task(restorer.backup(on_progress=lambda _: None))
    task._log_destroy_pending = False
    while not Stalled.begun.is_set():
        await asyncio.sleep(0)
    return task

loop = asyncio.new_event_loop()
task = loop.run_until_complete(main())
loop.close()
"""
    run_script(STALLED + script, backup)
    assert list(backup.iterdir()) == []


def test_the_program_ends_in_the_middle_of_a_list(backup: Path) -> None:
    make_many(backup)
    script = """
import sys, time
import licbak
from licbak import _listing

licenses = licbak.Restorer(backup=sys.argv[1]).licenses()
next(licenses)
[listing] = _listing._listings.values()
while listing._ready.qsize() < _listing._AHEAD:
    time.sleep(0.001)
time.sleep(0.05)  # in which the next batch is filled, and waits
"""
    run_script(script, backup)


def test_a_forked_child_makes_restorers_of_its_own(store: Path, backup: Path) -> None:
    stalled = Stalled()
    restorer = licbak.Restorer(store=stalled, backup=backup)
    thread, raised = stalled_backup(stalled, restorer)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            for call in (restorer.backup, restorer.verify, lambda: next(restorer.licenses())):
                with pytest.raises(licbak.Closed, match="forked"):
                    call()
            restorer.close()
            with licbak.Restorer(store=store, backup=backup) as own:
                code = 0 if own.backup().licenses == 2 else 2
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    stalled.go_on.set()
    thread.join()
    assert [type(error) for error in raised] == [licbak.BackupExists]


def test_a_list_stays_in_the_process_that_began_it(store: Path, backup: Path) -> None:
    with licbak.Restorer(store=store, backup=backup) as restorer:
        restorer.backup()
        licenses = restorer.licenses()
        next(licenses)
        child = os.fork()
        if child == 0:
            code = 1
            try:
                with pytest.raises(licbak.Closed):
                    list(licenses)
                code = 0
            finally:
                os._exit(code)
        assert os.waitpid(child, 0)[1] == 0
        assert len(list(licenses)) == 1


def back_up(store: Path, backup: Path) -> int:
    with licbak.Restorer(store=store, backup=backup) as restorer:
        try:
            return restorer.backup().licenses
        except licbak.BackupExists as error:
            return -error.errno  # type: ignore[operator]


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_multiprocessing(method: str, store: Path, backup: Path) -> None:
    with multiprocessing.get_context(method).Pool(2) as pool:
        outcomes = pool.starmap(back_up, [(store, backup)] * 6)
    assert sorted(outcomes) == [-17, -17, -17, -17, -17, 2]
