"""Programs that end while something of the package runs, or begin something while they end."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import run_script

import licbak

# Handlers that were registered before the package's run after them, while daemon threads go on.
PROGRAM = """
import atexit, sys, time
atexit.register(time.sleep, 0.1)
import asyncio, gc, tempfile, threading, weakref
import licbak

folder = sys.argv[1]

class Store:
    def enumerate(self):
        for number in range(30):
            time.sleep(0.001)
            yield licbak.License(str(number), b"content")

    def get(self, name):
        return None

    def put(self, license):
        time.sleep(0.0003)

class AsyncStore(Store):
    async def enumerate(self):
        for number in range(30):
            await asyncio.sleep(0.001)
            yield licbak.License(str(number), b"content")

    async def put(self, license):
        await asyncio.sleep(0.0003)

def place():
    return tempfile.mkdtemp(dir=folder)

def work(backup=None, on_progress=lambda progress: None):
    with licbak.Restorer(store=Store(), backup=backup or place()) as restorer:
        restorer.backup(overwrite=True, on_progress=on_progress)
        restorer.restore()

async def work_in_a_loop(store, call):
    async with licbak.AsyncRestorer(store=store, backup=place()) as restorer:
        await restorer.backup(on_progress=lambda progress: None)
        while True:
            await call(restorer)

def beside(call, *arguments):
    def forever():
        while True:
            try:
                call(*arguments)
            except (licbak.Error, RuntimeError):  # a service logs it and goes on
                pass
    threading.Thread(target=forever, daemon=True).start()

def refused():
    try:
        work()
    except licbak.Closed as error:
        assert isinstance(error, RuntimeError) and "at interpreter shutdown" in str(error)
        return
    print("not refused")

class Late:
    def __del__(self):
        refused()

gc.disable()
"""

KINDS = {
    "operations": "beside(work); beside(work)",
    "operations_inside_operations": "beside(work, None, lambda progress: work())",
    "operations_that_a_loop_polls": """
store = place()
open(store + "/a", "w").close()
beside(lambda: asyncio.run(work_in_a_loop(store, lambda restorer: restorer.verify())))
""",
    "stores_of_a_loop": """
for store in (Store(), AsyncStore()):
    beside(lambda: asyncio.run(work_in_a_loop(store, lambda restorer: restorer.restore())))
""",
    "a_loop_that_has_stopped": """
import logging
logging.disable()  # which tells that a task is pending for ever
async def begin(awaited, blocked):
    restorer = licbak.AsyncRestorer(store=AsyncStore(), backup=place())
    task = asyncio.create_task(restorer.backup())
    task._log_destroy_pending = False
    await asyncio.sleep(awaited)
    time.sleep(blocked)  # what the store is asked meanwhile never begins
    return restorer, task
loops = [asyncio.new_event_loop() for _ in range(2)]
times = [(0.01, 0), (0, 0.1)]
begun = [loop.run_until_complete(begin(*each)) for loop, each in zip(loops, times)]
""",
    "lists": """
backup = place()
work(backup)
left = licbak.Restorer(backup=backup).licenses()
next(left)
def read():
    with licbak.Restorer(backup=backup) as restorer:
        list(restorer.licenses())
beside(read)
""",
    "a_method_that_takes_long": """
class Slow(Store):
    def enumerate(self):
        begun.set()
        time.sleep(0.5)
        return super().enumerate()
begun = threading.Event()
beside(licbak.Restorer(store=Slow(), backup=place()).backup)
begun.wait()
""",
    "exit_handlers": "beside(work); atexit.register(work)",
    "exit_handlers_of_threads": """
beside(work)
threading._register_atexit(work)
""",
    "finalizers": """
beside(work)
finalized = weakref.finalize(Store, time.sleep, 0.05)
""",
    "globals_and_cycles": """
beside(work)
late = Late()
late.restorer = licbak.Restorer(backup=place())
cycle = Late()
cycle.cycle = cycle
sys.modules["late"] = Late()
atexit.unregister(time.sleep)
""",
    "handlers_that_come_last": "",
}

FIRST = {
    "handlers_that_come_last": "import atexit; atexit.register(lambda: refused())\n",
}


def pythons() -> dict[str, str]:
    """The interpreters of this machine that the package is for, by their names."""
    found = {}
    for minor in range(9, 15):
        path = shutil.which(f"python3.{minor}")
        if path is None or minor == sys.version_info[1]:
            continue
        if subprocess.run([path, "-c", ""], stderr=subprocess.DEVNULL).returncode == 0:
            found[f"3.{minor}"] = path
    return {"this": sys.executable, **found}


@pytest.mark.parametrize("python", pythons().values(), ids=pythons())
@pytest.mark.parametrize("kind", KINDS)
def test_a_program_ends_quietly(kind: str, python: str, tmp_path: Path) -> None:
    (tmp_path / "licbak").symlink_to(Path(licbak.__file__).parent)
    script = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n" + FIRST.get(kind, "")
    script += PROGRAM + KINDS[kind] + "\ntime.sleep(0.1)\n"
    for _ in range(2):
        assert run_script(script, tmp_path, python=python) == ""


def test_ctrl_c_ends_the_wait_for_a_method_that_does_not_return(tmp_path: Path) -> None:
    script = """
class Stuck(Store):
    def enumerate(self):
        begun.set()
        threading.Event().wait()
begun = threading.Event()
threading.Thread(
    target=licbak.Restorer(store=Stuck(), backup=place()).backup, daemon=True
).start()
begun.wait()
import os, signal
signal.signal(signal.SIGINT, signal.default_int_handler)
threading.Thread(
    target=lambda: (time.sleep(0.5), os.kill(os.getpid(), signal.SIGINT)), daemon=True
).start()
"""
    command = [sys.executable, "-c", PROGRAM + script, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and done.stderr.splitlines()[-1].startswith("KeyboardInterrupt")
