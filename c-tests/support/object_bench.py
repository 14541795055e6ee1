"""A bench for suites of backups in object storage: a server, stores of licences, the library in a
process of its own, and what must hold of what is on the server.

LICBAK_SO names the library.
"""

import contextlib
import ctypes
import io
import json
import os
import pathlib
import random
import select
import subprocess
import sys
import tarfile
import time

import forge
from checks import check, check_that, fail, skip
from object_server import ObjectServer

HERE = pathlib.Path(__file__).parent
OVERWRITE, DRY_RUN, OVERWRITE_STORE, SALVAGE, FULL = 0x1, 0x100, 0x200, 0x400, 0x800
S_OK, EXISTS, CORRUPT = "S_OK", "NS_E_DRM_BACKUP_EXISTS", "NS_E_DRM_BACKUP_CORRUPT"
BUCKET, PLAIN, ENCRYPTED = "bucket", "licenses.tar.zst", "licenses.tar.zst.age"
REGION = "eu-test-1"
WRITES = {
    "PutObject",
    "CreateMultipartUpload",
    "UploadPart",
    "UploadPartCopy",
    "CompleteMultipartUpload",
    "DeleteObject",
}
MIB = 1 << 20
CLONE_NEWNS, MS_BIND, MS_REC, MS_PRIVATE = 0x20000, 0x1000, 0x4000, 1 << 18
HUNG = 180  # seconds, which no operation needs: the library gives up after a minute


class Library:
    """The library in a process of its own, see operations.py."""

    def __init__(self, **options):
        self.options, self.process = options, None

    def start(self, operation, flags=0, request=None, **properties):
        if self.process is None:
            script = [sys.executable, "-B", HERE / "operations.py"]
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
            self.process = subprocess.Popen(script, **pipes, **self.options)
        properties = {name: str(value) for name, value in properties.items() if value is not None}
        asked = {"operation": operation, "properties": properties, "flags": flags, "threads": 2, **(request or {})}
        self.write(json.dumps(asked))

    def write(self, line=""):
        with contextlib.suppress(OSError):  # its death shows at the answer
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()

    def has_answered(self, seconds=0):
        return bool(select.select([self.process.stdout], [], [], seconds)[0])

    def answer(self, seconds=HUNG):
        """Where there is none in this time the process is ended, and the code says so."""
        if not self.has_answered(seconds):
            return self.lost("hung")
        line = self.process.stdout.readline()
        return json.loads(line) if line else self.lost("a crash")

    def lost(self, how):
        self.process.kill()
        self.close()
        return {"code": how, "events": [], "licenses": [], "sentence": "", "left": []}

    def close(self):
        if self.process is not None:
            with contextlib.suppress(OSError):
                self.process.stdin.close()
            self.process.wait()
            self.process.stdout.close()
            self.process = None


def replacing(files):
    """Options of a process that alone sees these files in the place of the system's."""
    libc = ctypes.CDLL(None, use_errno=True)

    def replace():
        mounts = [(b"none", b"/", MS_REC | MS_PRIVATE)]
        mounts += [(os.fsencode(new), os.fsencode(os.path.realpath(old)), MS_BIND) for old, new in files.items()]
        if libc.unshare(CLONE_NEWNS) != 0 or any(libc.mount(one, on, None, how, None) for one, on, how in mounts):
            os._exit(77)

    return {"preexec_fn": replace}


def can_replace():
    return subprocess.run(["true"], check=False, **replacing({})).returncode == 0


class Bench:
    def __init__(self, root, where="host", **server):
        self.root, self.prefix = pathlib.Path(root), where
        self.server = ObjectServer((BUCKET,), region=REGION, **server)
        self.licbak = Library()
        self.store, self.number = self.root / "store", 0
        key_id, (secret, token) = next(iter(self.server.keys.items()))
        self.account = {"Endpoint": self.server.address, "Region": REGION, "AccessKeyId": key_id}
        self.account |= {"SecretAccessKey": secret, "SessionToken": token or None}
        self.secrets = {one for one in (secret, token) if one}

    def close(self):
        self.licbak.close()
        self.server.close()

    # -- operations

    @property
    def place(self):
        return f"s3://{BUCKET}/{self.prefix}" if self.prefix else f"s3://{BUCKET}"

    def run(self, operation, flags=0, request=None, **properties):
        self.licbak.start(operation, flags, request, **(self.account | properties))
        return self.ended(operation)

    def ended(self, operation, seconds=HUNG):
        """The answer, which tells no secret, of an operation that leaves nothing open."""
        answer = self.licbak.answer(seconds)
        if any(json.dumps(one)[1:-1] in json.dumps(answer) for one in self.secrets):
            self.untidy(f"{operation} tells a secret: {answer}")
        if answer["left"]:
            self.untidy(f"{operation}, which ended {answer['code']}, leaves {answer['left']}")
        return answer

    def untidy(self, what):
        fail(what)

    def back_up(self, flags=0, **more):
        return self.run("backup_licenses", flags, **({"StorePath": self.store, "BackupPath": self.place} | more))

    def read(self, operation, flags=0, request=None, **more):
        return self.run(operation, flags, request, **({"RestorePath": self.place} | more))

    def restored(self, operation="restore_licenses", flags=0, request=None, **more):
        """The answer, and what a new store has got."""
        self.number += 1
        store = self.root / f"restored {self.number}"
        answer = self.read(operation, flags, request, **({"StorePath": store} | more))
        return answer, files_below(store)

    # -- what is on the server

    @property
    def bucket(self):
        return self.server.store.buckets[BUCKET]

    def key(self, name=PLAIN):
        return f"{self.prefix}/{name}" if self.prefix else name

    def object(self, name=PLAIN):
        return self.bucket.objects.get(self.key(name))

    def actions(self, *wanted):
        """Of the requests since the log was begun, in order."""
        return [entry["action"] for entry in self.server.log if not wanted or entry["action"] in wanted]


def memory_of(bench):
    """The most memory that the library's process has had, in KiB."""
    process = bench.licbak.process
    if process is None:
        return 0
    status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM:")).split()[1])


def new_bench(root, name, licenses, kind=Bench, **more):
    """In a directory of its own, with these licences."""
    place = pathlib.Path(root) / name
    place.mkdir()
    bench = kind(place, **more)
    write_store(bench.store, licenses)
    return bench


def files_below(directory):
    paths = pathlib.Path(directory).rglob("*")
    return {path.relative_to(directory).as_posix(): path.read_bytes() for path in paths if path.is_file()}


def write_store(store, licenses):
    for name, content in licenses.items():
        path = pathlib.Path(store) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def settle():
    """Until a repeated backup relies on what a file system says of the files that are there."""
    time.sleep(3.1)


def small_store(seed=1):
    noise = random.Random(seed)
    return {f"f{number % 3}/{number}.lic": noise.randbytes(500 + 100 * number) for number in range(12)}


def large_store(seed=1, each=9 * MIB, count=3):
    """What does not shrink, and needs several parts."""
    noise = random.Random(seed)
    return {f"{number} large.lic": noise.randbytes(each) for number in range(count)} | small_store(seed)


def licenses_in(backup):
    """Name -> content, as tar and zstd of other hands read it; None where it is not all there."""
    try:
        with tarfile.open(fileobj=io.BytesIO(forge.decompress(backup))) as tar:
            held = {entry.name: tar.extractfile(entry).read() for entry in tar}
    except (AssertionError, tarfile.TarError):
        return None
    folder, trailer = "licenses/", "backup.json"
    return {n[len(folder) :]: c for n, c in held.items() if n.startswith(folder)} if trailer in held else None


def check_backup(bench, licenses, name=PLAIN):
    found = bench.object(name)
    check_that(found is not None, f"an object {bench.key(name)!r} beside {sorted(bench.bucket.objects)}")
    check(licenses_in(found.content), licenses, "what the object holds")
    check(len(bench.bucket.uploads), 0, "uploads that are left open")
    return found


def able():
    """Whether this machine can tell what a backup holds; says so where it can't."""
    if forge.libzstd() is None:
        skip("all", "libzstd.so.1 is not installed")
    return forge.libzstd() is not None
