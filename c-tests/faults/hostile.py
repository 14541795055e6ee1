"""Backups made to do harm: none is believed, and none does any.

Whoever made them computes every digest and checksum anew, so that nothing but the lie itself can
give it away. Each is verified, listed, restored into a directory and into a host's store, whole, by
key ID and salvaged, and backed up over. Of what is refused a store gets nothing; of what is
salvaged, only licences with names that keep the rule; nothing is ever written elsewhere; memory
stays bounded.

LICBAK_SO names the library. Every fifth is backed up over; with LICBAK_TORTURE set each is.
`hostile.py WORDS` tries only the cases whose description has the words.
"""

import io
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time

import forge
import hostile_cases

MEMORY_MAX = 256  # MiB
OVERWRITE, OVERWRITE_STORE, SALVAGE, FULL = 0x1, 0x200, 0x400, 0x800
REFUSED, LATER, GOOD = "NS_E_DRM_BACKUP_CORRUPT", "ERROR_REVISION_MISMATCH", "S_OK"
LICENSES = 12

checks = 0


def check(value, expected, what):
    global checks
    checks += 1
    if value != expected:
        sys.exit(f"{__file__}: {what}: expected {expected!r:.500}, got {value!r:.500}")


class Operations:
    """The library in a process of its own, which may die of what it reads."""

    def __init__(self):
        self.crashes, self.peak, self.process = 0, 0, None

    def run(self, operation, flags=0, host=False, key_id=None, **properties):
        if self.process is None:
            script = pathlib.Path(forge.__file__).with_name("operations.py")
            arguments = [sys.executable, "-B", str(script)]
            self.process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        properties = {name: str(path) for name, path in properties.items()}
        request = {"operation": operation, "properties": properties, "flags": flags, "host": host, "threads": 2}
        request |= {} if key_id is None else {"key_id": key_id}
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
            return json.loads(self.process.stdout.readline())
        except (OSError, ValueError):
            self.crashes += 1
            self.process = None
            return {"code": "a crash", "events": [], "put": [], "licenses": [], "sentence": ""}

    def close(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        peak = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
        self.peak = int(peak.split()[1]) / 1024
        self.process.stdin.close()
        check(self.process.wait(), 0, "the end of the library's process")


def keeps_rule(name):
    parts = name.split("/")
    good = all(part and len(part.encode()) <= 255 and part[0] != "." for part in parts)
    return (
        good and len(name.encode()) <= 4000 and not any(c == "\\" or ord(c) < 32 or 127 <= ord(c) < 160 for c in name)
    )


def tree(directory):
    """What is in a directory, and of what kind and content."""
    found = {}
    for folder, folders, files in os.walk(directory):
        for name in folders + files:
            path = os.path.join(folder, name)
            is_file = os.path.isfile(path) and not os.path.islink(path)
            found[os.path.relpath(path, directory)] = (
                pathlib.Path(path).read_bytes() if is_file else os.lstat(path).st_mode
            )
    return found


class Hostile:
    def __init__(self, root, operations, repeats_all):
        self.root, self.operations, self.repeats_all = root, operations, repeats_all
        self.tried = self.wrong = self.outside = self.poisoned = 0
        self.store = root / "store"
        noise = random.Random(1)
        for number in range(LICENSES):
            path = self.store / f"f{number % 3}" / f"{number}.lic"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(noise.randbytes(500 + 100 * number))
        self.licenses = {name: content for name, content in tree(self.store).items() if isinstance(content, bytes)}
        time.sleep(3.1)  # what is younger a repeated backup does not rely on
        self.backups = root / "backups"
        self.backups.mkdir()
        check(self.back_up()["code"], GOOD, "a backup")
        self.file = self.backups / "licenses.tar.zst"

    def back_up(self, flags=0):
        flags |= OVERWRITE
        return self.operations.run("backup_licenses", flags, StorePath=self.store, BackupPath=self.backups)

    def into(self, what, expected, operation, flags=0, host=False, key_id=None):
        """Restores, and gives the outcome with what the store holds then."""
        target = self.root / "target"
        target.mkdir()
        (target / "own.lic").write_bytes(b"own")
        answer = self.operations.run(
            operation, flags, host=host, key_id=key_id, RestorePath=self.backups, StorePath=target
        )
        held = {name: content for name, content in tree(target).items() if isinstance(content, bytes)}
        if host:
            held |= {name: content.encode("latin-1") for name, content in answer["put"]}
        shutil.rmtree(target)
        check(held.pop("own.lic", None), b"own", f"{what}: {operation}: the store's own licence")
        if answer["code"] == GOOD and expected != GOOD:
            self.report(what, f"{operation} accepts it")
        return answer["code"], held

    def report(self, what, how):
        print(f"hostile: {what}: {how}", file=sys.stderr, flush=True)
        self.wrong += 1

    def check_code(self, what, code, *allowed):
        global checks
        checks += 1
        if code not in allowed:
            self.report(what, f"{code}, expected {allowed}")

    def try_one(self, what, data, expected, licenses=None):
        """`licenses` is what a good one holds."""
        self.tried += 1
        self.file.write_bytes(data)
        before = {name: content for name, content in tree(self.root).items() if not name.startswith("store")}
        properties = {"RestorePath": self.backups}
        answer = self.operations.run("verify_backup", **properties)
        self.check_code(f"{what}: verify: {answer['sentence']}", answer["code"], expected)
        listed = self.operations.run("list", **properties)
        self.check_code(f"{what}: list", listed["code"], expected, GOOD)
        for name, key_id, *_ in listed["licenses"]:
            if not keeps_rule(name):
                self.report(what, f"list tells the name {name!a}")
        for host in False, True:
            code, held = self.into(what, expected, "restore_licenses", OVERWRITE_STORE, host=host)
            self.check_code(f"{what}: restore", code, expected)
            if held != (licenses or {}):
                self.report(what, f"a restore into {'a host' if host else 'a directory'} gives {sorted(held)!r:.200}")
        for key_id in "0", "x":
            code, held = self.into(what, GOOD, "restore_license", key_id=key_id)
            self.check_code(f"{what}: restore of {key_id}", code, expected, GOOD, "ERROR_NOT_FOUND")
            self.check_held(f"{what}: restore of {key_id}", held)
        code, held = self.into(what, expected, "restore_licenses", SALVAGE)
        self.check_code(f"{what}: salvage", code, expected)
        self.check_held(f"{what}: salvage", held)
        after = {name: content for name, content in tree(self.root).items() if not name.startswith("store")}
        if after != before:
            self.outside += 1
            self.report(what, f"something was written outside the store: {sorted(after.keys() ^ before.keys())}")
        if self.repeats_all or self.tried % 5 == 0:
            self.repeat(what)

    def check_held(self, what, held):
        for name in held:
            if not keeps_rule(name):
                self.report(what, f"gives {name!a}")

    def repeat(self, what):
        """A backup over it holds what the store does, or shows that it does not: whoever knows the
        states of the store's files can have what he made of them taken over. A full one always
        holds it."""
        answer = self.back_up()
        self.check_code(f"{what}: a backup over it: {answer['sentence']}", answer["code"], GOOD)
        answer = self.operations.run("verify_backup", RestorePath=self.backups)
        self.check_code(f"{what}: verify of the backup over it: {answer['sentence']}", answer["code"], GOOD, REFUSED)
        if answer["code"] == REFUSED:
            self.poisoned += 1
            self.check_code(f"{what}: a full backup over it", self.back_up(FULL)["code"], GOOD)
        with tarfile.open(fileobj=io.BytesIO(forge.decompress(self.file.read_bytes()))) as tar:
            found = {entry.name: tar.extractfile(entry).read() for entry in tar if "/" in entry.name}
        if found != {f"licenses/{name}": content for name, content in self.licenses.items()}:
            self.report(what, f"a backup over it holds {sorted(found)!r:.300}")


def main(words):
    with tempfile.TemporaryDirectory() as directory:
        operations = Operations()
        hostile = Hostile(pathlib.Path(directory), operations, "LICBAK_TORTURE" in os.environ)
        parts = forge.Parts(hostile.file.read_bytes()).split(4)
        hostile.try_one("put together again", parts.build(), GOOD, hostile.licenses)
        check(hostile.wrong, 0, "what is wrong with a good backup")
        good = parts.build()
        for cases, expected in (hostile_cases.refused, REFUSED), (hostile_cases.later, LATER):
            for what, data in cases(parts):
                check(data != good, True, f"a lie: {what}")
                if words in what:
                    hostile.try_one(what, data, expected)
        for what, data, licenses in hostile_cases.odd(parts):
            if words in what:
                hostile.try_one(what, data, GOOD, hostile.licenses | licenses)
        operations.close()
        tried = f"accepted wrongly {hostile.wrong}, written outside {hostile.outside}, crashed {operations.crashes}"
        print(
            f"hostile: backups {hostile.tried}; {tried}, peak memory {operations.peak:.0f} MiB (cap {MEMORY_MAX})",
            flush=True,
        )
        check((hostile.wrong, hostile.outside, operations.crashes), (0, 0, 0), "what hostile backups did")
        check(operations.peak < MEMORY_MAX, True, "memory within its bound")
    print(f"hostile: {checks} checks passed")


if forge.libzstd() is None:
    print("hostile: skipped: all (libzstd.so.1 is not installed)", file=sys.stderr)
else:
    main(" ".join(sys.argv[1:]))
