"""What the library does with a backup that was made to do harm: it runs each operation on it, and
tells what is wrong with the outcome.

LICBAK_SO names the library.
"""

import io
import json
import os
import pathlib
import random
import select
import shutil
import subprocess
import sys
import tarfile
import time

import forge
from checks import check, count

OVERWRITE, OVERWRITE_STORE, SALVAGE, FULL = 0x1, 0x200, 0x400, 0x800
REFUSED, LATER, GOOD = "NS_E_DRM_BACKUP_CORRUPT", "ERROR_REVISION_MISMATCH", "S_OK"
LICENSES = 12
# Of the tests of the crate `age`.
IDENTITY = "AGE-SECRET-KEY-1GQ9778VQXMMJVE8SK7J6VT8UJ4HDQAJUVSFCWCM02D8GEWQ72PVQ2Y5J33"
RECIPIENT = "age1t7rxyev2z3rw82stdlrrepyc39nvn86l5078zqkf5uasdy86jp6svpy7pa"
MEMORY_MAX = 256  # MiB
SECONDS_MAX = 20  # of a processor, for one operation


class Operations:
    """The library in a process of its own, which may die of what it reads, or not come to an end."""

    def __init__(self):
        self.crashes, self.endless, self.peak, self.process = 0, 0, 0, None

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
            if not self.answers():
                self.process.kill()
                self.endless += 1
                return self.lost("no end")
            return json.loads(self.process.stdout.readline())
        except (OSError, ValueError):
            self.crashes += 1
            return self.lost("a crash")

    def answers(self):
        """Waits as long as the work may take, whatever else the machine does."""
        start = self.seconds()
        while not select.select([self.process.stdout], [], [], 1)[0]:
            if self.seconds() - start > SECONDS_MAX:
                return False
        return True

    def seconds(self):
        """Of processors, used so far."""
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def lost(self, how):
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()
        self.process = None
        return {"code": how, "events": [], "put": [], "licenses": [], "sentence": ""}

    def close(self):
        if self.process is not None:
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


def plain_store():
    noise = random.Random(1)
    return {f"f{number % 3}/{number}.lic": noise.randbytes(500 + 100 * number) for number in range(LICENSES)}


class Hostile:
    def __init__(self, root, operations, repeats_all, licenses, denied=()):
        """`licenses` are the store's; none of the `denied` comes into a backup."""
        self.root, self.operations, self.repeats_all = root, operations, repeats_all
        self.tried = self.wrong = self.outside = self.poisoned = 0
        self.store = root / "store"
        for name, content in licenses.items():
            path = self.store / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        self.licenses = {name: content for name, content in licenses.items() if name not in denied}
        time.sleep(3.1)  # what is younger a repeated backup does not rely on
        self.backups = root / "backups"
        self.backups.mkdir()
        self.file, self.keys = self.backups / "licenses.tar.zst", {}
        check(self.back_up()["code"], GOOD, "a backup")

    def seal(self):
        """From now on every backup is an encrypted one, whose payload is what would have been there."""
        self.file.unlink()
        self.file, self.keys = self.backups / "licenses.tar.zst.age", {"Recipients": RECIPIENT, "Identities": IDENTITY}

    def write(self, data):
        if self.keys:
            data = subprocess.run(["age", "-r", RECIPIENT], input=data, stdout=subprocess.PIPE, check=True).stdout
        self.file.write_bytes(data)

    def read(self):
        """The backup as it is when nothing is encrypted."""
        if not self.keys:
            return self.file.read_bytes()
        command = ["age", "-d", "-i", "-", self.file]
        return subprocess.run(command, input=IDENTITY.encode(), stdout=subprocess.PIPE, check=True).stdout

    def back_up(self, flags=0):
        flags |= OVERWRITE
        return self.operations.run("backup_licenses", flags, StorePath=self.store, BackupPath=self.backups, **self.keys)

    def into(self, what, expected, operation, flags=0, host=False, key_id=None):
        """Restores, and gives the outcome with what the store holds then."""
        target = self.root / "target"
        target.mkdir()
        (target / "own.lic").write_bytes(b"own")
        answer = self.operations.run(
            operation, flags, host=host, key_id=key_id, RestorePath=self.backups, StorePath=target, **self.keys
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
        count()
        if code not in allowed:
            self.report(what, f"{code}, expected {allowed}")

    def verify(self):
        return self.operations.run("verify_backup", RestorePath=self.backups, **self.keys)

    def put(self, data):
        """Puts the backup there, and gives what is outside the store."""
        self.tried += 1
        self.write(data)
        return self.outside_store()

    def outside_store(self):
        return {name: content for name, content in tree(self.root).items() if not name.startswith("store")}

    def check_outside(self, what, before):
        after = self.outside_store()
        if after != before:
            self.outside += 1
            self.report(what, f"something was written outside the store: {sorted(after.keys() ^ before.keys())}")

    def check_list(self, what, *allowed):
        listed = self.operations.run("list", RestorePath=self.backups, **self.keys)
        self.check_code(f"{what}: list", listed["code"], *allowed)
        for name, key_id, *_ in listed["licenses"]:
            if not keeps_rule(name):
                self.report(what, f"list tells the name {name!a}")
        return listed

    def try_one(self, what, data, expected, licenses=None):
        """`licenses` is what a good one holds."""
        before = self.put(data)
        answer = self.verify()
        self.check_code(f"{what}: verify: {answer['sentence']}", answer["code"], expected)
        self.check_list(what, expected, GOOD)
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
        self.check_outside(what, before)
        if self.repeats_all or self.tried % 5 == 0:
            self.repeat(what)

    def try_either(self, what, data, licenses, key_ids, contents, refused):
        """A backup which may be found right or wrong, the same by all: what is given is then what is
        in `licenses`, or nothing. By key ID and of a ruin only `contents` are given. Tells whether it
        was found right."""
        before = self.put(data)
        answer = self.verify()
        self.check_code(f"{what}: verify: {answer['sentence']}", answer["code"], GOOD, *refused)
        expected, is_right = answer["code"], answer["code"] == GOOD
        listed = self.check_list(what, GOOD, *refused)
        told = [(name, size) for name, _, size, *_ in listed["licenses"]]
        if is_right and sorted(told) != sorted((name, len(content)) for name, content in licenses.items()):
            self.report(what, f"list tells {told!r:.300}")
        for host in False, True:
            code, held = self.into(what, expected, "restore_licenses", OVERWRITE_STORE, host=host)
            self.check_code(f"{what}: restore", code, expected)
            if held != (licenses if is_right else {}):
                self.report(what, f"a restore into {'a host' if host else 'a directory'} gives {sorted(held)!r:.200}")
        for key_id in key_ids:
            code, held = self.into(what, GOOD, "restore_license", key_id=key_id)
            self.check_code(f"{what}: restore of {key_id}", code, GOOD, "ERROR_NOT_FOUND", *refused)
            if is_right and not held.items() <= licenses.items():
                self.report(what, f"a restore of {key_id} gives {sorted(held)!r:.200}")
            self.check_contents(f"{what}: restore of {key_id}", held, contents)
        for cut in 0, 9:  # the whole of it, and one whose end is lost
            self.write(data[: len(data) - cut])
            code, held = self.into(what, GOOD, "restore_licenses", SALVAGE)
            self.check_code(f"{what}: salvage", code, *((expected,) if cut == 0 else (GOOD, *refused)))
            self.check_contents(f"{what}: salvage", held, contents)
        self.write(data)
        self.check_outside(what, before)
        if self.repeats_all or self.tried % 5 == 0:
            self.repeat(what, licenses if is_right else None)
        return is_right

    def check_contents(self, what, held, contents):
        self.check_held(what, held)
        for name, content in held.items():
            if not any(content in whole for whole in contents):
                self.report(what, f"gives a content that nobody put in: {name!a}")

    def check_held(self, what, held):
        for name in held:
            if not keeps_rule(name):
                self.report(what, f"gives {name!a}")

    def repeat(self, what, believed=None):
        """A backup over it holds what the store does, or shows that it does not: whoever knows the
        states of the store's files can have what he made of them taken over, and where the whole of
        it is right, as `believed`, nothing shows it. A full one always holds what the store does."""
        answer = self.back_up()
        self.check_code(f"{what}: a backup over it: {answer['sentence']}", answer["code"], GOOD)
        answer = self.verify()
        self.check_code(f"{what}: verify of the backup over it: {answer['sentence']}", answer["code"], GOOD, REFUSED)
        if answer["code"] == REFUSED:
            self.poisoned += 1
            self.check_code(f"{what}: a full backup over it", self.back_up(FULL)["code"], GOOD)
        found, expected = self.held(), dict(self.licenses)
        if believed is not None and found != expected:
            self.poisoned += 1
            expected |= {
                name: believed[name] for name in expected.keys() & believed.keys() if found.get(name) == believed[name]
            }
            self.check_repeated(what, found, expected)
            self.check_code(f"{what}: a full backup over it", self.back_up(FULL)["code"], GOOD)
            found = self.held()
        self.check_repeated(what, found, self.licenses)

    def held(self):
        """What the backup holds."""
        with tarfile.open(fileobj=io.BytesIO(forge.decompress(self.read()))) as tar:
            members = {entry.name: tar.extractfile(entry).read() for entry in tar if "/" in entry.name}
        return {name.removeprefix("licenses/"): content for name, content in members.items()}

    def check_repeated(self, what, found, expected):
        if found != expected:
            self.report(what, f"a backup over it holds {sorted(found)!r:.300}")


def close(hostile, suite, what, more=""):
    """Tells the closing figures, and fails if a backup did harm."""
    operations = hostile.operations
    operations.close()
    harm = {"accepted wrong": hostile.wrong, "written outside": hostile.outside}
    harm |= {"crashed": operations.crashes, "endless": operations.endless}
    told = ", ".join(f"{name} {count}" for name, count in harm.items())
    print(
        f"{suite}: {what} {hostile.tried}; {told}{more}, peak memory {operations.peak:.0f} MiB (cap {MEMORY_MAX})",
        flush=True,
    )
    check(set(harm.values()), {0}, "what hostile backups did")
    check(operations.peak < MEMORY_MAX, True, "memory within its bound")
