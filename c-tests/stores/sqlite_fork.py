"""A child that is forked while its parent uses a database may find SQLite locked for ever: there
databases are refused.

The library is in this process, which therefore only makes databases, and opens none of them after.
"""

import os
import signal
import threading
import warnings

from databases import *
import operations
from operations import answer_to, c, name_of

NOT_SUPPORTED = "ERROR_NOT_SUPPORTED"
PATIENCE = 30  # seconds after which a child hangs
# A thread of the library waits in Python code while the main one forks: that is what is tested.
warnings.filterwarnings("ignore", category=DeprecationWarning, message=".*fork")


def request(operation, store, backups, flags=0):
    properties = {"StorePath": str(store), "BackupPath": str(backups), "RestorePath": str(backups)}
    return {"operation": operation, "properties": properties, "flags": flags}


def back_up_here(store, backups):
    """The code and the sentence of a backup in this process."""
    answer = answer_to(request("backup_licenses", store, backups, WM_BACKUP_OVERWRITE))
    return answer["code"], answer["sentence"]


class Operation:
    """One that this process has started; it is held at the first event of a kind until it is let
    go."""

    def __init__(self, operation, store, backups, flags=0, hold_at=None):
        self.reached, self.go = threading.Event(), threading.Event()

        @c.StatusCallback
        def on_status(status, *_):
            if status == hold_at:
                self.reached.set()
                self.go.wait()
            return c.Hr.E_NOTIMPL

        self.on_status = on_status
        self.restorer = operations.new_restorer(request(operation, store, backups)["properties"])
        operations.check(getattr(c, operation)(self.restorer, flags, on_status, None))
        if hold_at is not None:
            check_that(self.reached.wait(LIMIT), "the operation has come to the event")

    def end(self):
        self.go.set()
        outcome = operations.outcome_of(self.restorer)
        operations.check(c.destroy(self.restorer))
        return name_of(outcome)


def in_a_child(test):
    """Runs `test`, which gives a text, in a forked child."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(PATIENCE)
        try:
            os.write(writing, test().encode()[:4096])
        finally:
            os._exit(0)
    os.close(writing)
    with open(reading) as told:
        text = told.read()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    check(status, 0, "how the child ended (-14: it hangs)")
    return text


def main():
    rows = [(f"{i:05}", b"here", None, None) for i in range(9000)]
    with place() as root:
        (root / "held").mkdir()
        (root / "directory").mkdir()
        (root / "directory" / "a.lic").write_bytes(b"a")
        small = make(root / "small.db", [("a", b"a", None, None)])
        bare = make(root / "bare", [("a", b"a", None, None)])  # known by its content
        old = make(root / "old.db", rows)
        (root / "new").mkdir()
        check(back_up(make(root / "new.db", [(name, b"new", None, None) for name, *_ in rows]), root / "new").code, "S_OK")
        denied = make(root / "denied.db", [*((name, b"x", None, 2) for name, *_ in rows), ("z", b"z", None, None)])

        def databases_and_a_directory():
            codes = [back_up_here(store, root / "backups") for store in (small, bare, root / "directory")]
            restored = answer_to(request("restore_licenses", root / "made.db", root / "backups"))
            return json.dumps([*codes, (restored["code"], restored["sentence"])])

        def of_a_grandchild():
            return in_a_child(databases_and_a_directory)

        # Before SQLite was ever called, and whenever it is idle.
        for _ in range(20):
            codes = [code for code, _ in json.loads(in_a_child(databases_and_a_directory))]
            check(codes, ["S_OK"] * 4, "in a child that was forked when idle")
            (root / "made.db").unlink()
            check(back_up_here(small, root / "held")[0], "S_OK", "in the parent")

        # In the middle of an operation. So much is told that the operation waits for the callback.
        for operation, store, backups, hold_at in [
            ("backup_licenses", denied, root / "held", RESTRICTED),
            ("restore_licenses", old, root / "new", KEPT),
        ]:
            held = Operation(operation, store, backups, WM_BACKUP_OVERWRITE * (hold_at == RESTRICTED), hold_at)
            for test in databases_and_a_directory, of_a_grandchild:
                told = json.loads(in_a_child(test))
                codes = [code for code, _ in told]
                check(codes, [NOT_SUPPORTED, NOT_SUPPORTED, "S_OK", NOT_SUPPORTED], f"in a child of {operation}")
                check_words(told[0][1], str(small), "forked", "exec")
                check((root / "made.db").exists(), False, "a database for nothing")
            check(back_up_here(small, root / "backups")[0], "S_OK", "in the parent meanwhile")
            check_that(held.end() in ("S_OK", "NS_S_DRM_BACKUP_INCOMPLETE"), "the operation itself")
            codes = [code for code, _ in json.loads(in_a_child(databases_and_a_directory))]
            check(codes, ["S_OK"] * 4, "in a child that was forked later")
            (root / "made.db").unlink()

        # At any moment.
        counts = {}
        for number in range(60):
            running = Operation("backup_licenses", old, root / "held", WM_BACKUP_OVERWRITE)
            threading.Event().wait(number % 30 / 1000)
            code = in_a_child(lambda: back_up_here(small, root / "backups")[0])
            check_that(code in ("S_OK", NOT_SUPPORTED), f"in a child: {code}")
            counts[code] = counts.get(code, 0) + 1
            check(running.end(), "S_OK", "the operation itself")
        tell("children forked at any moment", ", ".join(f"{count} ended {code}" for code, count in counts.items()))
    finish()


main()
