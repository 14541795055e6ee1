"""Independent readers agree on a backup: readers.py BACKUP STORE.

GNU tar, bsdtar, Python's tarfile, zstd, sha256sum and pyzstd each open the file by themselves, and each member
is what the format's page says. A reader that is not installed is skipped by name.
"""

import hashlib
import importlib.util
import io
import json
import os
import pathlib
import random
import re
import shutil
import struct
import subprocess
import sys
import tarfile
import tempfile
from datetime import datetime, timezone

from checks import check, finish, skip

TABLE_MAGIC, FOOTER_MAGIC = 0x184D2A5E, 0x8F92EAB1
MEMBERS = ["SHA256SUMS", "licenses.jsonl", "restricted.jsonl", "index", "frames", "backup.json"]


def sha256(data):
    return hashlib.sha256(data).digest()


def files_below(directory):
    """Name -> content of each file, the name in bytes relative to the directory."""
    return {
        os.fsencode(path.relative_to(directory)): path.read_bytes()
        for path in pathlib.Path(directory).rglob("*")
        if path.is_file()
    }


# -- tools that only extract ----------------------------------------------------------------------------------


def check_extracted(program, arguments, backup, store):
    if shutil.which(program) is None:
        skip(program, "not installed")
        return
    with tempfile.TemporaryDirectory() as directory:
        subprocess.run([program, *arguments, str(backup), "-C", directory], check=True)
        check(files_below(f"{directory}/licenses"), store, f"what {program} extracts")
        if shutil.which("sha256sum") is None:
            skip("sha256sum", "not installed")
            return
        sums = subprocess.run(["sha256sum", "--strict", "--quiet", "-c", "SHA256SUMS"], cwd=directory)
        check(sums.returncode, 0, "sha256sum's verdict")


def check_seekable(backup, stream):
    """pyzstd reads at random offsets by the seek table, as its authors understand the format."""
    if importlib.util.find_spec("pyzstd") is None:
        skip("pyzstd", "not installed")
        return
    from pyzstd import SeekableZstdFile

    choose = random.Random(1)
    with SeekableZstdFile(backup, "r") as file:
        for _ in range(300):
            offset, size = choose.randrange(len(stream)), choose.randrange(1, 5000)
            file.seek(offset)
            check(file.read(size), stream[offset : offset + size], f"pyzstd's {size} bytes at {offset}")
        file.seek(0)
        check(file.read(), stream, "pyzstd's whole stream")


# -- the frames -----------------------------------------------------------------------------------------------


def read_seek_table(data):
    """The compressed and decompressed size of each frame; they must fill the file from byte 0."""
    count, flags, magic = struct.unpack("<IBI", data[-9:])
    check(magic, FOOTER_MAGIC, "footer magic")
    check(flags & 0x7C, 0, "reserved bits of the seek table")
    entry = 12 if flags & 0x80 else 8
    start = len(data) - 9 - count * entry - 8
    check(struct.unpack("<II", data[start : start + 8]), (TABLE_MAGIC, count * entry + 9), "seek table header")
    frames = [struct.unpack_from("<II", data, start + 8 + i * entry) for i in range(count)]
    check(sum(compressed for compressed, _ in frames), start, "end of the frames")
    return frames


def check_frames(data, frames):
    at = 0
    for compressed, size in frames:
        check(data[at : at + 4], b"\x28\xb5\x2f\xfd", "frame magic")
        descriptor = data[at + 4]
        check(descriptor & 0x04, 0x04, "content checksum flag")
        check(descriptor & 0x03, 0, "dictionary flag")
        check(descriptor >> 6 > 0 or descriptor & 0x20 > 0, True, "content size flag")
        frame = subprocess.run(["zstd", "-dcq"], input=data[at : at + compressed], capture_output=True, check=True)
        check(len(frame.stdout), size, "decompressed size of a frame")
        at += compressed


def starts_of(frames):
    """The offset of each frame in the decompressed stream."""
    starts, at = [], 0
    for _, size in frames:
        starts.append(at)
        at += size
    return starts


# -- the members ----------------------------------------------------------------------------------------------


def first_blocks(stream):
    """Name -> offset of a member's first block, a pax header included, by walking the 512-byte blocks."""
    offsets, at, first = {}, 0, None
    while stream[at : at + 512].strip(b"\0"):
        header = stream[at : at + 512]
        size, kind = int(header[124:136].rstrip(b"\0 "), 8), header[156:157]
        first = at if first is None else first
        if kind == b"x":
            record = stream[at + 512 : at + 512 + size]
            length, key = re.fullmatch(rb"(\d+) (path)=.*\n", record, re.S).groups()
            check((int(length), key), (size, b"path"), "the only pax record")
            pax_name = record[record.index(b"=") + 1 : -1]
        else:
            check(kind, b"0", "type of a member")
            prefix = header[345:500].rstrip(b"\0")
            name = (prefix + b"/" if prefix else b"") + header[:100].rstrip(b"\0")
            if first != at:
                check(len(pax_name) > 100, True, "a pax header only where the name does not fit")
                name = pax_name
            offsets[name], first = first, None
        at += 512 + (size + 511) // 512 * 512
    check(stream[at:].strip(b"\0"), b"", "what follows the end of the archive")
    check(len(stream) - at >= 1024, True, "end-of-archive blocks")
    return offsets


def check_headers(archive, store, modified):
    members = archive.getmembers()
    names = [os.fsencode(member.name) for member in members]
    check(len(set(names)), len(names), "names in the archive")
    expected = [b"licenses/" + name for name in sorted(store)] + [name.encode() for name in MEMBERS]
    check([name for name in names if name != b"state"], expected, "order of the members")
    if b"state" in names:
        check(names.index(b"state"), len(names) - 3, "place of state")
    for member, name in zip(members, names):
        check((member.mode, member.uid, member.gid, member.isreg()), (0o600, 0, 0, True), f"header of {name}")
        if name.startswith(b"licenses/"):
            check(member.mtime, max(modified[name[9:]] // 10**9, 0), f"time of {name}")
            check(archive.extractfile(member).read(), store[name[9:]], f"content of {name}")


def nanoseconds(text):
    seconds, fraction = re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.(\d{9})Z", text).groups()
    moment = datetime.strptime(seconds, "%Y-%m-%dT%H:%M:%S").replace(tzinfo=timezone.utc)
    return int((moment - datetime(1970, 1, 1, tzinfo=timezone.utc)).total_seconds()) * 10**9 + int(fraction)


def check_tables(contents, store, modified):
    """SHA256SUMS and licenses.jsonl name every licence, in the archive's order."""
    names = sorted(store)
    sums = b"".join(b"%s  licenses/%s\n" % (sha256(store[name]).hex().encode(), name) for name in names)
    check(contents["SHA256SUMS"], sums, "SHA256SUMS")
    check(contents["restricted.jsonl"], b"", "restricted.jsonl")
    rows = [json.loads(line) for line in contents["licenses.jsonl"].splitlines()]
    check([row["name"].encode() for row in rows], names, "names in licenses.jsonl")
    for row, name in zip(rows, names):
        stem = os.fsencode(pathlib.PurePosixPath(os.fsdecode(name)).stem)
        check(row["key_id"].encode(), stem, f"key ID of {name}")
        check(row["size"], len(store[name]), f"size of {name}")
        check(nanoseconds(row["modified"]), modified[name], f"time of {name}")
        check({"format", "right"} <= row.keys(), True, f"format and right of {name}")
    return rows


def records_in(frame):
    """The records of a frame of the index, as numbers and hints."""
    count, hint, records = len(frame) // 8, 0, []
    for number, difference in struct.iter_unpack("<II", bytes(frame[i % 8 * count + i // 8] for i in range(8 * count))):
        hint += difference
        records.append((number, hint))
    return records


def check_index(contents, rows, blocks, frames):
    """Numbers for the frames before it say how many licences or lines each has; records lead from a part of the hash of a
    key ID to the number of its licence."""
    index, starts = contents["index"], starts_of(frames)
    count = sum(start < blocks[b"index"] for start in starts)
    numbers = list(struct.unpack_from(f"<{count}I", index))
    ends = [*starts, sum(size for _, size in frames)]
    licenses = [place for name, place in blocks.items() if name.startswith(b"licenses/")]
    expected = [sum(ends[i] <= place < ends[i + 1] for place in licenses) for i in range(count)]
    for i in range(count):
        for name, after in zip(MEMBERS[:3], MEMBERS[1:4]):
            if blocks[name.encode()] <= starts[i] < blocks[after.encode()]:
                first = max(starts[i] - blocks[name.encode()] - 512, 0)
                last = ends[i + 1] - blocks[name.encode()] - 512
                expected[i] = contents[name][first:last].count(b"\n")
    check(numbers, expected, "the numbers of licences and lines in frames")
    places = [start - blocks[b"index"] - 512 for start in starts]
    cuts = [*(place for place in places if 4 * count <= place < len(index)), len(index)]
    laid_out = [index[start:end] for start, end in zip(cuts, cuts[1:])]
    records = [record[::-1] for frame in laid_out for record in records_in(frame)]
    hints = [int.from_bytes(sha256(row["key_id"].encode())[:4], "big") for row in rows]
    check(records, sorted(zip(hints, range(len(rows)))), "records of the index")


def check_digests(data, frames, contents, blocks):
    """`frames` has the digest of each frame before the one in which it begins itself."""
    digests, starts, at = contents["frames"], starts_of(frames), 0
    count = len(digests) // 32
    check(len(digests), 32 * count, "size of frames")
    for number, (compressed, _) in enumerate(frames[:count]):
        check(digests[32 * number : 32 * number + 32], sha256(data[at : at + compressed]), f"digest of frame {number}")
        at += compressed
    check(starts[count], blocks[b"frames"], "start of the first frame that has no digest")
    check(starts[-1], blocks[b"backup.json"], "start of the last frame")
    headers = set(blocks.values())
    for start in starts:
        if start < blocks[b"SHA256SUMS"]:
            check(start in headers, True, f"a member's header at {start}, where a frame starts")


def numbers_in(value):
    """Every number in a JSON value: how the counts are called is the library's business."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return [value] if isinstance(value, int) else [number for part in inner for number in numbers_in(part)]


def check_trailer(contents, store, blocks, data_offsets):
    check(len(contents["backup.json"]) <= 1 << 20, True, "size of backup.json")
    trailer = json.loads(contents["backup.json"])
    check(trailer["format"], "licbak", "format")
    check(trailer["version"], [1, 2], "version")
    check("created" in trailer, True, "created")
    check(re.fullmatch("[0-9a-f]{32}", trailer["id"]) is not None, True, "the ID")
    check((trailer["generation"], "machine" in trailer), (1, False), "generation and machine")
    check(len(store) in numbers_in({**trailer, "members": None}), True, "a count of the licences")
    described = {member["name"]: member for member in trailer["members"]}
    expected = [name for name in contents if name != "backup.json" and not name.startswith("licenses/")]
    check(sorted(described), sorted(expected), "members in backup.json")
    for name, member in described.items():
        check(member["size"], len(contents[name]), f"size of {name}")
        check(member["offset"] in (blocks[name.encode()], data_offsets[name]), True, f"offset of {name}")
        check(sha256(contents[name]).hex() in member.values(), True, f"SHA-256 of {name}")


def main():
    if shutil.which("zstd") is None:
        skip("all", "zstd is not installed")
        return
    backup, directory = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    store = files_below(directory)
    modified = {name: os.stat(os.path.join(os.fsencode(directory), name)).st_mtime_ns for name in store}
    data = backup.read_bytes()

    check_extracted("tar", ["--zstd", "-xf"], backup, store)
    check_extracted("bsdtar", ["-xf"], backup, store)
    stream = subprocess.run(["zstd", "-dcq", str(backup)], capture_output=True, check=True).stdout
    check_seekable(backup, stream)

    frames = read_seek_table(data)
    check(len(frames) > 3, True, "a backup with several frames")
    check_frames(data, frames)
    blocks = first_blocks(stream)
    with tarfile.open(fileobj=io.BytesIO(stream), errors="surrogateescape") as archive:
        check_headers(archive, store, modified)
        contents = {name: archive.extractfile(name).read() for name in archive.getnames()}
        data_offsets = {member.name: member.offset_data for member in archive.getmembers()}
    rows = check_tables(contents, store, modified)
    check_index(contents, rows, blocks, frames)
    check_digests(data, frames, contents, blocks)
    check_trailer(contents, store, blocks, data_offsets)
    finish()


main()
