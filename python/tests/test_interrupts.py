"""Ctrl-C and other signals while a call waits: whoever waits hears of them, and nothing goes on."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
from conftest import Long, Stalled, make_many, run_script, stalled_backup

import licbak
from licbak import _c, _operation


def test_ctrl_c_is_raised_when_the_operation_has_ended(backup: Path) -> None:
    def interrupt(progress: licbak.Progress) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    with licbak.Restorer(store=Long(), backup=backup) as restorer:
        with pytest.raises(KeyboardInterrupt):
            restorer.backup(on_progress=interrupt)
        assert list(backup.iterdir()) == []
        with pytest.raises(licbak.NoBackup):
            restorer.verify()  # not busy any more


def test_signals_are_handled_while_the_library_works(backup: Path) -> None:
    """Each in a moment of its own: in a method, in C, and where C calls Python."""

    class Alarmed(Exception):
        pass

    def alarm(*_: object) -> None:
        raise Alarmed

    before = signal.signal(signal.SIGALRM, alarm)
    with licbak.Restorer(store=Long(), backup=backup) as restorer:
        for number in range(60):
            signal.setitimer(signal.ITIMER_REAL, 0.001 + number * 0.0007)
            with pytest.raises(Alarmed):
                restorer.backup(on_progress=lambda _: None)
            assert not _operation.running() and list(backup.iterdir()) == []
    signal.signal(signal.SIGALRM, before)


def test_ctrl_c_while_an_operation_begins(
    store: Path, backup: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = _c.backup_licenses

    def before(*arguments: Any) -> int:
        signal.raise_signal(signal.SIGINT)
        return int(start(*arguments))

    def after(*arguments: Any) -> int:
        hr = int(start(*arguments))
        signal.raise_signal(signal.SIGINT)
        return hr

    with licbak.Restorer(store=store, backup=backup) as restorer:
        for interrupted in (before, after):
            monkeypatch.setattr(_c, "backup_licenses", interrupted)
            with pytest.raises(KeyboardInterrupt):
                restorer.backup()
            assert not _operation.running()
        assert list(backup.iterdir()) == []
        with pytest.raises(licbak.NoBackup):
            restorer.verify()


def test_ctrl_c_while_another_thread_has_an_operation(
    backup: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = _c.verify_backup

    def after(*arguments: Any) -> int:
        assert _c.failed(start(*arguments))
        signal.raise_signal(signal.SIGINT)
        return 0

    stalled = Stalled()
    with licbak.Restorer(store=stalled, backup=backup) as restorer:
        thread, raised = stalled_backup(stalled, restorer)
        monkeypatch.setattr(_c, "verify_backup", after)
        with pytest.raises(KeyboardInterrupt):
            restorer.verify()
        stalled.go_on.set()
        thread.join()
        assert raised == []  # it is not the one that was interrupted


# Runs `call` again and again, each time with Ctrl-C one instruction later, until it gets through.
EVERYWHERE = """
import sys, time
import licbak
from licbak import _listing, _operation

def interrupted(call):
    for number in range(1, 100_000):
        left = number

        def trace(frame, event, argument):
            nonlocal left
            frame.f_trace_opcodes = True
            if event == "opcode":
                left -= 1
                if left == 0:
                    raise KeyboardInterrupt
            return trace

        sys.settrace(trace)
        try:
            call()
        except KeyboardInterrupt:
            assert left == 0
        sys.settrace(None)
        while _listing._listings:  # a thread that has not got far ends by itself
            time.sleep(0.001)
        assert not _operation.running()
        if left > 0:
            return
    sys.exit("it never got through")

"""


def test_ctrl_c_anywhere_in_an_operation(backup: Path) -> None:
    script = """
class One:
    def enumerate(self):
        yield licbak.License("a", b"a")

    def get(self, name):
        return None

    def put(self, license):
        pass

with licbak.Restorer(store=One(), backup=sys.argv[1]) as restorer:
    restorer.backup()
    interrupted(restorer.verify)
    interrupted(lambda: restorer.backup(dry_run=True, on_progress=lambda _: None))
    interrupted(restorer.restore)
    restorer.verify()
"""
    run_script(EVERYWHERE + script, backup)


def test_ctrl_c_anywhere_in_a_list(backup: Path) -> None:
    script = """
class Some:
    def enumerate(self):
        for number in range(12):
            yield licbak.License(str(number), b"")

_listing._BATCH, _listing._AHEAD = 2, 2
with licbak.Restorer(store=Some(), backup=sys.argv[1]) as restorer:
    restorer.backup()
    interrupted(lambda: list(restorer.licenses()))
    assert len(list(restorer.licenses())) == 12
"""
    run_script(EVERYWHERE + script, backup)


def test_ctrl_c_in_a_list(backup: Path) -> None:
    make_many(backup)
    with licbak.Restorer(backup=backup) as restorer, pytest.raises(KeyboardInterrupt):
        for _ in restorer.licenses():
            os.kill(os.getpid(), signal.SIGINT)
