"""Old backups whose state lies, with digests that fit: a backup over one is right all the same.

LICBAK_SO names the library.
"""

import io
import json
import pathlib
import random
import struct
import sys
import tarfile
import tempfile
import time

import forge
import operations
from checks import check, finish

S_OK, OVERWRITE = 0, 1
LICENSES = 60
MEMBERS = {"SHA256SUMS", "licenses.jsonl", "restricted.jsonl", "index", "frames", "backup.json"}

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
    check(set(others) - {"state"}, MEMBERS, f"the other members of the backup over {what}")
    check(
        sorted(p.name for p in root.iterdir()), ["licenses.tar.zst", "store"], f"what is left by a backup over {what}"
    )


def lies_about_licenses(records):
    """What is said of each lie, and the records that tell it: a proof and a size."""
    choose, half = random.Random(7), len(records) // 2
    for proof in 0, 1, (1 << 64) - 1:
        yield f"the proof {proof}", [(proof, size) for _, size in records]
        yield f"the proof {proof} of one", [(proof, records[0][1]), *records[1:]]
    for size in 0, 1, 1 << 24, (1 << 24) + 1, (1 << 32) - 1:
        yield f"licences of {size} bytes", [(proof, size) for proof, _ in records]
        yield f"a licence of {size} bytes", [(records[0][0], size), *records[1:]]
    yield "the reverse order", records[::-1]
    yield "no order", choose.sample(records, len(records))
    yield "each other's proofs", [(records[i - 1][0], size) for i, (_, size) in enumerate(records)]
    yield "other proofs", [(choose.getrandbits(64), size) for _, size in records]
    yield "half of them", records[:half]
    yield "one less", records[1:]
    yield "one more", [*records, records[0]]
    yield "each twice", [record for record in records for _ in range(2)]
    yield "none", []


def lies_about_the_origin(noted):
    """Lies about where the states were noted, and by which rules."""
    for boot in "", "0", "k" * 5000, None, 1, []:
        yield f"the run {boot!r:.20}", noted | {"boot": boot}
    for mount in 0, -1, 1 << 64, 1.5, "1", None:
        yield f"the mount {mount}", noted | {"mount": mount}
    for library in "", "0.0.0", "k" * 5000, None, 1:
        yield f"the library {library!r:.20}", noted | {"library": library}
    for key in "", "0" * 32, "0" * 31, "g" * 32, "0" * 64, None, 1:
        yield f"the key {key!r:.20}", noted | {"key": key}
    yield "other rules", noted | {"leaves_out_unstated": True}
    for key in noted:
        yield f"no {key}", {name: value for name, value in noted.items() if name != key}
    yield "nothing of it", {}
    yield "more keys", noted | {"later": {"x": [1]}}


def lies_about_old_versions(names, older):
    """Lines of old versions that are still in frames."""

    def old(name, frame, **other):
        return {"name": name, "size": 1, "frame": frame} | other

    for name in "../../etc/passwd", "/etc/passwd", "..", "", "a\x00b", "\x1b[2J", "licenses/x", "k" * 5000, "f1":
        yield f"one of {name[:20]!r}", [old(name, 0), *older, old(name, 1)]
    for frame in 2, 3, 9, 1 << 31, (1 << 32) - 1, 1 << 32, 1 << 64, -1, 1.5, "0", None, [], True:
        yield f"one in frame {frame}", [*older, old(names[7], frame)]
        yield f"all in frame {frame}", [*older, *(old(name, frame) for name in names)]
    for size in 0, 1 << 24, (1 << 24) + 1, (1 << 32) - 1, 1 << 63, (1 << 64) - 1, 1 << 64, -1:
        yield f"some of {size} bytes", [*older, *(old(name, 0, size=size) for name in names[:9])]
    yield "each twice", [line for line in older for _ in range(2)]
    yield "many", [*older, *(old(names[7], i % 2) for i in range(30000))]
    yield "none", []
    yield "one with more keys", [*older, old(names[7], 0, later={"x": [1]})]


def texts(text):
    """What is no lines of JSON."""
    yield "nothing", b""
    yield "a newline", b"\n"
    yield "no last newline", text[:-1]
    yield "half a line", text + b'{"name":"'
    yield "no JSON", b"licences\n" * 100
    yield "bytes", bytes(range(256)) * 9 + b"\n"
    yield "depth", b'{"name":' + b"[" * 30000 + b"\n"
    yield "a long line", b'{"name":"' + b"k" * 70000 + b'"}\n' + text
    yield "empty lines", text.replace(b"\n", b"\n\n")
    yield "a key twice", text.replace(b'"boot"', b'"mount":1,"boot"')


def states_that_lie(state, names):
    start = forge.STATE * len(names)
    records, text = forge.states_in(state, len(names)), state[start:]
    noted, *older = [json.loads(line) for line in text.splitlines()]
    check(sorted(noted), ["boot", "key", "leaves_out_unstated", "library", "mount"], "what the states are noted with")
    check(len(older), 1, "lines of old versions")
    check(sum(proof != 0 for proof, _ in records), len(names) - 1, "proofs of what has settled")
    in_lines = lambda values: "".join(json.dumps(value) + "\n" for value in values).encode()
    for what, new in lies_about_licenses(records):
        yield what, forge.to_states(new) + text
    for what, new in lies_about_the_origin(noted):
        yield f"noted with {what}", state[:start] + in_lines([new, *older])
    for what, new in lies_about_old_versions(names, older):
        yield f"old versions, {what}", state[:start] + in_lines([noted, *new])
    for what, new in texts(text):
        yield f"text that is {what}", state[:start] + new
    for size in 0, 1, forge.STATE - 1, forge.STATE, start - 1, start, start + 1, len(state) - 1:
        yield f"cut at {size}", state[:size]
    yield "a byte too long", b"\0" + state


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
        names = [member.line["name"] for member in parts.members() if member.line]

        def put(new, **change):
            (root / "licenses.tar.zst").write_bytes(parts.build(states=lambda _: new, **change))

        put(state)
        check(operations.outcome("verify_backup", 0, RestorePath=root), S_OK, "verify of a backup that was put together again")
        put(state, trailer=lambda trailer: trailer | {"version": [2, 0]})
        check_repeated(root, "a backup of a later version")
        count = 0
        for what, new in states_that_lie(state, names):
            put(new)
            check_repeated(root, f"a backup whose state is {what}")
            count += 1
            if count % 8 == 0:
                check_repeated(root, f"the backup after {what}")
        print(f"repeat_hostile: old backups that lie: {count}", flush=True)
    finish()


if forge.libzstd() is None:
    print("repeat_hostile: skipped: all (libzstd.so.1 is not installed)", file=sys.stderr)
else:
    main()
