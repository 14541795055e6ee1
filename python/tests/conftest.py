"""Stores to try the package on, and a check that no exception is lost."""

from __future__ import annotations

import gc
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Optional

import pytest

import licbak
from licbak import _listing


class Memory:
    """A store in a dictionary."""

    def __init__(self, *licenses: licbak.License) -> None:
        self.licenses = {license.name: license for license in licenses}

    def enumerate(self) -> Iterator[licbak.License]:
        yield from self.licenses.values()

    def get(self, name: str) -> Optional[licbak.License]:
        return self.licenses.get(name)

    def put(self, license: licbak.License) -> None:
        self.licenses[license.name] = license


class Stalled(Memory):
    """A store whose list does not go on before it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = threading.Event()
        self.go_on = threading.Event()

    def enumerate(self) -> Iterator[licbak.License]:
        self.begun.set()
        assert self.go_on.wait(60)
        for number in range(2000):  # more than are taken at a time
            yield licbak.License(f"{number}.lic", b"content")


class Long(Memory):
    """A store that is still at work when progress is told."""

    def enumerate(self) -> Iterator[licbak.License]:
        for number in range(300_000):
            yield licbak.License(f"{number}.lic", b"content")


def make_many(backup: Path) -> int:
    """Makes a backup of more licences than a list reads ahead, and tells of how many."""
    count = 10_000
    memory = Memory(*(licbak.License(f"{number:06}.lic", b"") for number in range(count)))
    with licbak.Restorer(store=memory, backup=backup) as restorer:
        return restorer.backup().licenses


def wait_for_lists() -> None:
    """Waits until the lists that have begun go on no more before they are read."""
    for listing in tuple(_listing._listings.values()):
        while listing._ready.qsize() < _listing._AHEAD:
            time.sleep(0.001)
    time.sleep(0.05)  # in which the next batch is filled, and waits


def is_collected(gone: weakref.ref[Any]) -> bool:
    """Whether something goes; the library's thread may let go of it a little after the call."""
    end = time.monotonic() + 60
    while gone() is not None and time.monotonic() < end:
        gc.collect()
        time.sleep(0.001)
    return gone() is None


@pytest.fixture
def store(tmp_path: Path) -> Path:
    path = tmp_path / "store"
    (path / "music").mkdir(parents=True)
    (path / "film.lic").write_bytes(b"a licence")
    (path / "music" / "Lied für Élise.lic").write_bytes(b"another")
    (path / "link").symlink_to("film.lic")
    return path


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    path = tmp_path / "backup"
    path.mkdir()
    return path


@pytest.fixture(autouse=True)
def ctrl_c_is_heeded() -> Iterator[None]:
    """It is ignored where a shell has started the tests in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(autouse=True)
def nothing_is_swallowed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What ctypes or a thread would print and forget fails the test."""
    swallowed: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", swallowed.append)
    monkeypatch.setattr(threading, "excepthook", swallowed.append)
    yield
    assert swallowed == []
    assert not _listing._listings


def run_script(script: str, *arguments: object, python: str = sys.executable) -> str:
    """Runs a program of its own, which must end well and print no error."""
    done = subprocess.run(
        [python, "-c", script, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def stalled_backup(
    stalled: Stalled, restorer: licbak.Restorer
) -> tuple[threading.Thread, list[BaseException]]:
    """A backup on a thread, which has begun, and what it will raise."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            restorer.backup()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    assert stalled.begun.wait(60)
    return thread, raised
