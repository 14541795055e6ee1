"""Old backups whose state.jsonl lies, with digests that fit: a backup over one is right all the same.

LICBAK_SO names the library.
"""

import io
import itertools
import json
import pathlib
import random
import sys
import tarfile
import tempfile
import time

import forge
import operations

S_OK, OVERWRITE = 0, 1
LICENSES = 60
MEMBERS = {"SHA256SUMS", "licenses.jsonl", "restricted.jsonl", "index", "frames", "backup.json"}

checks = 0


def check(value, expected, what):
    global checks
    checks += 1
    if value != expected:
        sys.exit(f"{__file__}: {what}: expected {expected!r:.300}, got {value!r:.300}")


# -- what is checked ------------------------------------------------------------------------------------------


def check_repeated(root, what):
    """A backup over what is there holds what the store does: nothing less, nothing else."""
    outcome = operations.outcome("backup_licenses", OVERWRITE, StorePath=root / "store", BackupPath=root)
    check(outcome, S_OK, f"a backup over {what}")
    check(operations.outcome("verify_backup", 0, RestorePath=root), S_OK, f"verify of the backup over {what}")
    store = root / "store"
    expected = {path.relative_to(store).as_posix(): path.read_bytes() for path in store.rglob("*") if path.is_file()}
    found, others = {}, []
    with tarfile.open(fileobj=io.BytesIO(forge.decompress((root / "licenses.tar.zst").read_bytes()))) as tar:
        for entry in tar:
            if entry.name.startswith("licenses/"):
                found[entry.name.removeprefix("licenses/")] = tar.extractfile(entry).read()
            else:
                others.append(entry.name)
    check(found, expected, f"the licences of the backup over {what}")
    check(set(others) - {"state.jsonl"}, MEMBERS, f"the other members of the backup over {what}")
    check(
        sorted(p.name for p in root.iterdir()), ["licenses.tar.zst", "store"], f"what is left by a backup over {what}"
    )


def lies(lines):
    """What is said of each lie, and the lines that tell it."""
    choose = random.Random(7)
    some = lines[7]
    base = {"device": 0, "inode": 0, "mtime": 0, "ctime": 0, "size": 1}

    def old(name, frame, **other):
        return {"name": name, **base, **other, "superseded_in": frame}

    for name in "../../etc/passwd", "/etc/passwd", "..", "", "a\x00b", "\x1b[2J", "licenses/x", "k" * 5000, "f1":
        yield f"a line of {name[:20]!r}", [{"name": name, **base}, *lines]
        yield f"an old version of {name[:20]!r}", [old(name, 0), *lines, old(name, 1)]
    for frame in 2, 3, 9, 1 << 31, (1 << 32) - 1, 1 << 32, 1 << 64, -1, 1.5, "0", None, [], True:
        yield f"an old version in frame {frame}", [*lines, old(some["name"], frame)]
        yield f"all in frame {frame}", [*lines, *(old(line["name"], frame) for line in lines)]
    for size in 0, 1 << 24, (1 << 24) + 1, 1 << 63, (1 << 64) - 1, 1 << 64, -1:
        yield f"old versions of {size} bytes", [*lines, *(old(line["name"], 0, size=size) for line in lines[:9])]
        yield f"a licence of {size} bytes", [{**some, "size": size}]
    for key in "device", "inode", "mtime", "ctime":
        for value in (1 << 63) - 1, -(1 << 63), (1 << 64) - 1, 1 << 70, -1, 0, 1e300, "1", None:
            yield f"{key} {value}", [{**line, key: value} for line in lines]
        yield f"no {key}", [{k: v for k, v in line.items() if k != key} for line in lines]
    yield "the reverse order", lines[::-1]
    yield "no order", choose.sample(lines, len(lines))
    yield "every second line", lines[::2]
    yield "one line", [some]
    yield "each line twice", [line for line in lines for _ in range(2)]
    yield "one line for all", [some] * 500
    yield "each other's names", [{**line, "name": lines[i - 1]["name"]} for i, line in enumerate(lines)]
    yield "many old versions", [*lines, *(old(some["name"], i % 2) for i in range(30000))]
    yield "more keys", [{**line, "later": {"x": [1]}} for line in lines]


def lies_about_the_origin(origin, lines):
    """Lies about where the states were noted."""
    for boot in "", "0", "k" * 5000, None, 1, []:
        yield f"noted in the run {boot!r:.20}", [{**origin, "boot": boot}, *lines]
    for mount in 0, -1, 1 << 64, 1.5, "1", None:
        yield f"noted on the mount {mount}", [{**origin, "mount": mount}, *lines]
    yield "noted nowhere", lines
    yield "noted twice", [origin, origin, *lines]
    yield "noted behind", [*lines, origin]
    yield "noted nowhere else", [origin]


def texts(state):
    """What is no lines of JSON."""
    yield "nothing", b""
    yield "a newline", b"\n"
    yield "no last newline", state[:-1]
    yield "half a line", state + b'{"name":"'
    yield "no JSON", b"licences\n" * 100
    yield "bytes", bytes(range(256)) * 9 + b"\n"
    yield "depth", b'{"name":' + b"[" * 30000 + b"\n"
    yield "a long line", b'{"name":"' + b"k" * 70000 + b'"}\n' + state
    yield "empty lines", state.replace(b"\n", b"\n\n")
    yield "the key of another twice", state.replace(b'"device"', b'"inode":1,"device"')


def main():
    with tempfile.TemporaryDirectory() as directory:
        root = pathlib.Path(directory)
        noise = random.Random(1)
        for number in range(LICENSES):
            path = root / "store" / f"f{number % 3}" / f"{number}.lic"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(noise.randbytes(40000 + number))
        time.sleep(3.1)  # what is younger is not relied on
        check(operations.outcome("backup_licenses", 0, StorePath=root / "store", BackupPath=root), S_OK, "backup")
        whole = forge.Parts((root / "licenses.tar.zst").read_bytes())
        for counted in "licenses", "restricted", "content_bytes":
            lie = whole.build(trailer=lambda trailer: trailer | {counted: trailer[counted] + 1})
            (root / "licenses.tar.zst").write_bytes(lie)
            check_repeated(root, f"a backup that counts too many {counted}")
        # An old version, so that there is a line of one.
        (root / "store/f0/0.lic").write_bytes(noise.randbytes(40000))
        check_repeated(root, "a backup")
        parts = forge.Parts((root / "licenses.tar.zst").read_bytes())
        state = parts.states
        origin, *lines = [json.loads(line) for line in state.splitlines()]
        check(sorted(origin), ["boot", "mount"], "what the first line of the states tells")
        check(sum("superseded_in" in line for line in lines), 1, "lines of old versions")

        def put(new, **change):
            (root / "licenses.tar.zst").write_bytes(parts.build(states=lambda _: new, **change))

        put(state)
        check(operations.outcome("verify_backup", 0, RestorePath=root), S_OK, "verify of a backup that was put together again")
        put(state, trailer=lambda trailer: trailer | {"version": [2, 0]})
        check_repeated(root, "a backup of a later version")
        count = 0
        noted = itertools.chain(
            ((what, [origin, *new]) for what, new in lies(lines)), lies_about_the_origin(origin, lines)
        )
        told = ((what, "".join(json.dumps(line) + "\n" for line in new).encode()) for what, new in noted)
        for what, new in (*told, *texts(state)):
            put(new)
            check_repeated(root, f"a backup whose state is {what}")
            count += 1
            if count % 8 == 0:
                check_repeated(root, f"the backup after {what}")
        print(f"repeat_hostile: old backups that lie: {count}", flush=True)
    print(f"repeat_hostile: {checks} checks passed")


if forge.libzstd() is None:
    print("repeat_hostile: skipped: all (libzstd.so.1 is not installed)", file=sys.stderr)
else:
    main()
