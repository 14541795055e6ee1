"""What the tests of databases as stores share.

Python's own sqlite3 makes the databases and looks at them; the library runs in processes of its
own, since who closes a file takes away all locks that the process has on it. LICBAK_TOOL names the
tool, LICBAK_SO the library.
"""

import contextlib
import ctypes
import json
import os
import pathlib
import pwd
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading

from checks import *
import traceback

HERE = pathlib.Path(__file__).resolve().parent
TABLE = "CREATE TABLE license(name TEXT PRIMARY KEY, content BLOB NOT NULL, key_id TEXT, backup_right INTEGER)"

ERROR, BEGIN, END, RESTRICTED = 0, 21, 27, 31
KEPT, DAMAGED, LEFT_OUT = 0x10002, 0x10003, 0x10004
RESTORE_OVERWRITE, RESTORE_SALVAGE, DRY_RUN = 0x200, 0x400, 0x100
WM_BACKUP_OVERWRITE = 0x1
BACKUP_FULL = 0x800
KEEP_GOING = 0x2000

LIMIT = 120  # seconds after which a process of the library hangs
MEMORY = 400 << 10  # KiB that a process may take, whatever it is given

# It is ignored where a shell has started the tests in the background, and so it would be in the
# processes of the tool.
signal.signal(signal.SIGINT, signal.default_int_handler)


@contextlib.contextmanager
def place():
    """A new directory with an empty one for backups in it."""
    with tempfile.TemporaryDirectory() as directory:
        root = pathlib.Path(directory)
        (root / "backups").mkdir()
        yield root


# -- the library, in other processes --------------------------------------------------------------------------


class Process:
    """A child that is killed when it hangs; `memory` has its peak in KiB when it has ended."""

    def __init__(self, command, **options):
        self.popen = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, errors="replace", **options)
        self.hung = False
        self.timer = threading.Timer(LIMIT, self._hang)
        self.timer.daemon = True
        self.timer.start()

    def _hang(self):
        self.hung = True
        self.popen.kill()

    def signal(self, number):
        """Sends a signal; it stays there to be waited for, also when it has ended."""
        os.kill(self.popen.pid, number)

    def end(self):
        """What it still has to say; sets `returncode` and `memory`."""
        text = self.popen.stdout.read()
        _, status, usage = os.wait4(self.popen.pid, 0)
        self.timer.cancel()
        self.popen.stdout.close()
        self.returncode = self.popen.returncode = os.waitstatus_to_exitcode(status)
        self.memory = usage.ru_maxrss
        if self.hung:
            fail(f"{self.popen.args} hangs\n{text}")
        return text


class Run(Process):
    """The tool; when it has ended, `code` is its outcome's name and `text` all that it said."""

    def __init__(self, *arguments, **options):
        super().__init__([os.environ["LICBAK_TOOL"], *arguments], stderr=subprocess.STDOUT, **options)

    def end(self):
        self.text = super().end()
        named = re.search(r"\(([A-Z_]+), 0x[0-9A-F]{8}\)", self.text)
        if self.returncode < 0:
            self.code = signal.Signals(-self.returncode).name
        elif self.returncode == 0:
            self.code = "S_OK"
        else:
            self.code = named.group(1).removeprefix("HRESULT_") if named else self.text
        return self


def tool(*arguments, **options):
    return Run(*arguments, **options).end()


def back_up(store, backups, *options, **more):
    return tool("backup", "--overwrite", *options, store, backups, **more)


def restore(backups, store, *options, **more):
    return tool("restore", *options, backups, store, **more)


class Child(Process):
    """A process that has loaded the library, see operations.py."""

    def __init__(self, **options):
        super().__init__([sys.executable, "-B", HERE / "operations.py"], stdin=subprocess.PIPE, **options)

    def ask(self, operation, store=None, backups=None, **request):
        paths = {"StorePath": store, "BackupPath": backups, "RestorePath": backups}
        properties = {name: str(path) for name, path in paths.items() if path is not None}
        self.write({"operation": operation, "properties": properties, **request})

    def write(self, line):
        with contextlib.suppress(BrokenPipeError):  # its death shows at the answer
            self.popen.stdin.write(json.dumps(line) + "\n")
            self.popen.stdin.flush()

    def answer(self):
        line = self.popen.stdout.readline()
        if not line:
            self.end()
            fail(f"the library's process has died ({self.returncode})")
        return json.loads(line)

    def end(self):
        self.popen.stdin.close()
        return super().end()


def operate(operation, store=None, backups=None, **request):
    """One operation in a process of its own."""
    child = Child()
    child.ask(operation, store, backups, **request)
    answer = child.answer()
    child.end()
    return answer


def texts(answer, status):
    return [text for event, text in answer["events"] if event == status]


# -- users and disks ------------------------------------------------------------------------------------------

CLONE_NEWNS, MS_REC, MS_PRIVATE, MS_RDONLY, MS_REMOUNT = 0x20000, 0x4000, 1 << 18, 1, 32


def as_another_user(root):
    """Options for a process of another user's; None where there is none to be had."""
    if os.geteuid() != 0:
        return skip("databases that may not be read or written", "not root")
    nobody = pwd.getpwnam("nobody")
    options = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
    os.chmod(root, 0o755)
    os.chmod(root / "backups", 0o777)
    try:
        reaches = tool("--version", **options).code == "S_OK" and tool("list", root / "backups", **options)
        reached = reaches and reaches.code == "ERROR_FILE_NOT_FOUND"
    except OSError:
        reached = False
    return options if reached else skip("databases that may not be read or written", "nobody can't come here")


def with_own_disk(directory, options, what, test):
    """Runs `test` in a child that alone has a tmpfs there; how many checks it makes depends on the
    machine."""
    directory.mkdir()
    child = os.fork()
    if child != 0:
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        return check(code, 0, f"with {what}")
    code = 1
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        tmpfs = (b"tmpfs", os.fsencode(directory), b"tmpfs", 0, options)
        mounts = [(None, b"/", None, MS_REC | MS_PRIVATE, None), tmpfs]
        if libc.unshare(CLONE_NEWNS) != 0 or any(libc.mount(*mount) != 0 for mount in mounts):
            skip(what, os.strerror(ctypes.get_errno()))
        else:
            test(directory)
        code = 0
    except SystemExit as failure:
        print(failure, file=sys.stderr, flush=True)
    except Exception:
        traceback.print_exc()
    finally:
        os._exit(code)


def make_read_only(disk):
    """Tells whether it could be made so."""
    return ctypes.CDLL(None).mount(None, os.fsencode(disk), None, MS_REMOUNT | MS_RDONLY, None) == 0


# -- databases ------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def opened(path, **options):
    """A connection that commits when nothing went wrong, and is closed."""
    connection = sqlite3.connect(path, **options)
    try:
        with connection:
            yield connection
    finally:
        connection.close()


def make(path, rows=(), *statements, table=TABLE, before=(), **options):
    """A database: what sets it up, the table, more statements, and rows of name, content, key_id,
    right."""
    with opened(path, **options) as connection:
        for statement in [*before, table, *statements]:
            connection.execute(statement)
        if rows:
            marks = ", ".join("?" * len(rows[0]))
            connection.executemany(f"INSERT INTO license VALUES ({marks})", rows)
    return path


ENDLESS = (
    "CREATE VIEW license AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n{})"
    " SELECT 'n' || i AS name, {} AS content FROM n{}"
)


def viewing(path, view, *statements):
    return make(path, [], *statements, view, table="CREATE TABLE t(a)")


def query(path, question, *values):
    with opened(path) as connection:
        return connection.execute(question, values).fetchall()


def licenses_of(path):
    """Name -> content."""
    return dict(query(path, "SELECT name, content FROM license"))


def files_below(directory):
    """Name -> content of each file."""
    files = [path for path in pathlib.Path(directory).rglob("*") if path.is_file()]
    return {str(path.relative_to(directory)): path.read_bytes() for path in files}


def restored(backups):
    """What a backup holds, restored into a directory that did not exist."""
    with tempfile.TemporaryDirectory() as directory:
        run = restore(backups, os.path.join(directory, "restored"))
        check(run.code, "S_OK", run.text)
        return files_below(os.path.join(directory, "restored"))
