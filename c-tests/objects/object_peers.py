"""Other programs that speak S3 keep backups as well: moto, in Python, and s3s-fs, in Rust. One that is not
installed is skipped by name.

LICBAK_SO names the library.
"""

import concurrent.futures
import contextlib
import importlib.util
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time

from checks import check, check_that, finish, skip, tell
from object_bench import EXISTS, OVERWRITE, S_OK, Library, able, files_below, large_store, small_store
from object_bench import write_store

KEY, SECRET, BUCKET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG", "bucket"
HOSTS, ROUNDS = 8, 10


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@contextlib.contextmanager
def running(command, port, **options):
    """A server, from when it listens."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options)
    try:
        for _ in range(600):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            check(process.poll(), None, f"{command[0]} runs")
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


class Peer:
    def __init__(self, root, endpoint):
        self.root, self.licbak, self.number = root, Library(), 0
        self.account = {"Endpoint": endpoint, "Region": "us-east-1", "AccessKeyId": KEY, "SecretAccessKey": SECRET}

    def run(self, operation, prefix, flags=0, store=None, request=None, **more):
        paths = {name: f"s3://{BUCKET}/{prefix}" for name in ("BackupPath", "RestorePath")}
        self.licbak.start(operation, flags, request, **{**self.account, **paths, "StorePath": store, **more})
        answer = self.licbak.answer()
        check(answer["left"], [], f"what {operation} leaves open")
        return answer

    def check_ends(self, code, *arguments, **more):
        answer = self.run(*arguments, **more)
        check(answer["code"], code, f"{arguments}: {answer['sentence']}")

    def whole_job(self, licenses):
        """From no backup to what is restored of a repeat."""
        self.number += 1
        prefix, store = f"host {self.number}/ü+%", self.root / f"store {self.number}"
        write_store(store, licenses)
        self.check_ends("ERROR_FILE_NOT_FOUND", "verify_backup", prefix)
        self.check_ends(S_OK, "backup_licenses", prefix, store=store)
        self.check_ends(EXISTS, "backup_licenses", prefix, store=store)
        (store / "new.lic").write_bytes(b"new")
        self.check_ends(S_OK, "backup_licenses", prefix, OVERWRITE, store=store)
        self.check_ends(S_OK, "verify_backup", prefix)
        self.check_ends(S_OK, "restore_licenses", prefix, store=self.root / f"restored {self.number}")
        check(files_below(self.root / f"restored {self.number}"), files_below(store), "what is restored")

    def race(self):
        """Backups at once to the same place: how many rounds had one winner."""
        libraries = [Library() for _ in range(HOSTS)]
        single = 0
        with concurrent.futures.ThreadPoolExecutor(HOSTS) as pool:
            for turn in range(ROUNDS):
                paths = {"StorePath": self.root / "store 1", "BackupPath": f"s3://{BUCKET}/race {turn}"}
                for library in libraries:
                    library.start("backup_licenses", **self.account, **paths)
                codes = list(pool.map(lambda library: library.answer()["code"], libraries))
                check_that(set(codes) <= {S_OK, EXISTS}, codes)
                single += codes.count(S_OK) == 1
        for library in libraries:
            library.close()
        return single


def try_peer(name, endpoint, root, is_strict, stores):
    """One that is strict tells a bucket that is not there, and lets one of several win."""
    peer = Peer(root, endpoint)
    for licenses in stores:
        peer.whole_job(licenses)
    single = peer.race()
    tell(name, f"the whole job, {len(stores)} stores; {HOSTS} hosts at once, {ROUNDS} rounds, won by one {single}")
    if is_strict:
        peer.check_ends("ERROR_PATH_NOT_FOUND", "verify_backup", "host", RestorePath="s3://nowhere/host")
        check(single, ROUNDS, f"rounds that one has won, on {name}")
    peer.licbak.close()


def moto(root):
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with running(command, port, cwd=root) as endpoint:
        with socket.create_connection(("127.0.0.1", port)) as one:
            host = f"127.0.0.1:{port}"
            one.sendall(f"PUT /{BUCKET} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\n\r\n".encode())
            check_that(b" 200 " in one.recv(1000), "a bucket")
        try_peer("moto", endpoint, root, True, [small_store(), large_store()])


def s3s_fs(root):
    port = free_port()
    (root / "objects" / BUCKET).mkdir(parents=True)
    keys = ["--access-key", KEY, "--secret-key", SECRET]
    command = ["s3s-fs", *keys, "--host", "127.0.0.1", "--port", str(port), str(root / "objects")]
    with running(command, port) as endpoint:
        # It fails where the last bytes of an object are asked for that has fewer, and looks whether there is
        # one before it writes, so that several may win.
        skip("s3s-fs: small backups", "InternalError for a suffix range that is longer than the object")
        try_peer("s3s-fs", endpoint, root, False, [large_store()])


def main():
    peers = {"moto": (moto, importlib.util.find_spec("moto")), "s3s-fs": (s3s_fs, shutil.which("s3s-fs"))}
    for name, (test, is_there) in peers.items():
        if not is_there:
            skip(name, "not installed")
            continue
        with tempfile.TemporaryDirectory() as directory:
            test(pathlib.Path(directory))
    finish()


if able():
    main()
