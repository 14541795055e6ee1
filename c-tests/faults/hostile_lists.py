"""More backups made to do harm: the members behind the licences lie, each by itself. See
hostile_cases.py."""

import json
import struct

import forge

MAX32, MAX64 = (1 << 32) - 1, (1 << 64) - 1
CONTENT = b"a licence"


def replaced(place, change):
    return lambda values: [*values[:place], change(values[place]), *values[place + 1 :]]


def json_lines(line):
    """Lines of licenses.jsonl in the place of the right one."""
    told = json.loads(line)

    def with_(**other):
        return json.dumps(told | other).encode() + b"\n"

    for key in told:
        if key != "modified":  # which may be unknown
            yield f"no {key}", json.dumps({k: v for k, v in told.items() if k != key}).encode() + b"\n"
        for value in -1, 1.5, [], {}, True, MAX64, 1 << 64, 1e300:
            yield f"{key} {value!r}", with_(**{key: value})
    for name in "f0/1.lic", "F0/0.LIC", "../x", "/etc/passwd", "", "f0/0.lic/", "f0//0.lic", "f0/0.lic\0", "\x1b[2J":
        yield f"the name {name!r}", with_(name=name)
    for key_id in "", "k" * 1025, "a\nb", "\x1b]0;x\x07", "\u009b", "another":
        yield f"the key ID {key_id[:9]!r}", with_(key_id=key_id)
    for size in 0, 1, 1 << 24, (1 << 24) + 1, 1 << 40:
        yield f"the size {size}", with_(size=size)
    for time in (
        "",
        "yesterday",
        "2001-09-09",
        "0000-00-00T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "-009999-01-01T00:00:00Z",
        "2001-13-09T01:46:40Z",
    ):
        yield f"the time {time!r}", with_(modified=time)
    text = line[:-1]
    yield "nothing", b"\n"
    yield "no line", b""
    yield "no end", text
    yield "an end of another system", text + b"\r\r"
    yield "it twice", line + line
    yield "an empty line behind it", line + b"\n"
    yield "a list", b"[" + text + b"]\n"
    yield "a string", b'"x"\n'
    yield "null", b"null\n"
    yield "text behind it", text + b"x\n"
    yield "a NUL behind it", text + b"\0\n"
    yield "a mark before it", b"\xef\xbb\xbf" + line
    yield "a key twice", text[:-1] + b',"name":"f0/0.lic"}\n'
    yield "bytes", line.replace(b'"opaque"', b'"\xff\xfe"')
    yield "half a surrogate", line.replace(b'"opaque"', b'"\\ud800"')
    yield "no end of depth", b"[" * 60000 + b"\n"
    yield "70,000 bytes", text[:-1] + b" " * 70000 + b"}\n"
    yield "31 MiB", text[:-1] + b" " * (31 << 20) + b"}\n"


def sum_lines(line):
    digest, path = line[:64], line[66:-1]
    yield "no line", b""
    yield "an empty line", b"\n"
    yield "no end", line[:-1]
    yield "it twice", line + line
    yield "another digest", b"0" * 64 + b"  " + path + b"\n"
    yield "a digest in capitals", line.upper() if line.upper() != line else b"\n"
    yield "a short digest", line[2:]
    yield "a long digest", b"00" + line
    yield "one space", digest + b" " + path + b"\n"
    yield "a star", digest + b" *" + path + b"\n"
    yield "a backslash first", b"\\" + line
    yield "a tab", digest + b"\t" + path + b"\n"
    yield "no path", digest + b"\n"
    yield "a path that climbs out", digest + b"  licenses/../../x\n"
    yield "a path without its folder", digest + b"  " + path.removeprefix(b"licenses/") + b"\n"
    yield "the path of another", digest + b"  licenses/f0/1.lic\n"
    yield "a path with a NUL", digest + b"  " + path + b"\0\n"
    yield "a path of bytes", digest + b"  licenses/\xff\n"
    yield "an end of another system", line[:-1] + b"\r\n"
    yield "a comment before it", b"# licences\n" + line
    yield "70,000 bytes", digest + b" " * 70000 + path + b"\n"
    yield "31 MiB", digest + b"  " + b"x" * (31 << 20) + b"\n"


def nested(text, depth):
    """A JSON object with one key more, in which brackets nest."""
    return text.rstrip()[:-1] + b',"later":' + b"[" * depth + b"]" * depth + b"}\n"


def list_cases(parts):
    line = {}
    parts.build(lines=lambda lines: line.setdefault("lines", lines), sums=lambda sums: line.setdefault("sums", sums))
    for what, text in json_lines(line["lines"][4]):
        yield f"licenses.jsonl: {what}", parts.build(lines=replaced(4, lambda _: text))
    for depth in 256, 30000:
        yield f"licenses.jsonl: a key nested {depth} deep", parts.build(lines=replaced(4, lambda text: nested(text, depth)))
    for what, text in sum_lines(line["sums"][4]):
        yield f"SHA256SUMS: {what}", parts.build(sums=replaced(4, lambda _: text))
    for part in "lines", "sums":
        for what, change in {
            "nothing": lambda lines: [b""] * len(lines),
            "in reverse": lambda lines: lines[::-1],
            "two in each other's place": lambda lines: [lines[1], lines[0], *lines[2:]],
            "one less": lambda lines: [*lines[:-1], b""],
            "one more": lambda lines: [*lines[:-1], lines[-1] * 2],
            "a million newlines more": lambda lines: [*lines[:-1], lines[-1] + b"\n" * 1000000],
            "a space more": lambda lines: [*lines[:-1], lines[-1] + b" "],
            "newlines alone": lambda lines: [b"\n"] * len(lines),
        }.items():
            yield f"{part}: {what}", parts.build(**{part: change})
    both = lambda lines: lines[::-1]
    yield "lists: in reverse, both", parts.build(lines=both, sums=both)
    twice = lambda lines: [lines[0], lines[0], *lines[1:-1]]
    yield "lists: one twice, both, and one less", parts.build(lines=twice, sums=twice)
    for text in (
        b"x\n",
        b"{}\n",
        b"[" * 30000 + b"\n",
        b'{"name":"x"}\n',
        b"\n",
        b'{"name":1,"key_id":"","format":""}\n',
        b" " * 70000 + b"\n",
    ):
        yield f"restricted.jsonl: {text[:12]!r}", parts.build(restricted=lambda _: text)
    good = b'{"name":"x","key_id":"x","format":"opaque"}'
    yield "restricted.jsonl: no end", parts.build(restricted=lambda _: good, trailer=lambda t: t | {"restricted": 1})
    told = next(member for member in parts.members() if member.line)
    huge = told.line | {"size": MAX64}
    yield "lists: sizes that sum up past 64 bits", parts.build(
        lines=lambda lines: [json.dumps(json.loads(line) | {"size": huge["size"]}).encode() + b"\n" for line in lines]
    )


def index_cases(parts):
    def fields(record, **other):
        now = dict(zip(("license", "hint"), struct.unpack("<II", record)))
        now |= {name: change(now[name]) for name, change in other.items()}
        return struct.pack("<II", *(now[name] & MAX32 for name in ("license", "hint")))

    for what, change in {
        "nothing": lambda records: [],
        "one less": lambda records: records[1:],
        "one more": lambda records: [*records, b"\xff" * 8],
        "one more of a licence": lambda records: [*records, records[0][:4] + b"\xff" * 4],
        "one twice": lambda records: [records[0], *records],
        "one in the place of another": lambda records: [records[0], records[0], *records[2:]],
        "in reverse": lambda records: records[::-1],
        "two in each other's place": lambda records: [records[1], records[0], *records[2:]],
        "zeros": lambda records: [bytes(8)] * len(records),
        "ones": lambda records: [b"\xff" * 8] * len(records),
        "of one hint": lambda records: sorted(record[:4] + b"hint" for record in records),
        "the numbers of each other": lambda records: [a[:4] + b[4:] for a, b in zip(records[::-1], records)],
        "half a record more": lambda records: [*records, bytes(4)],
        "a byte less": lambda records: [*records[:-1], records[-1][:-1]],
        "a hundred thousand more": lambda records: [*records, *[struct.pack("<II", i, MAX32) for i in range(100000)]],
    }.items():
        yield f"index: {what}", parts.build(records=change)
    far = 0, 1, 511, 512, 1 << 20, 1 << 31, MAX32
    for name in "license", "hint":
        for place in far:
            change = replaced(5, lambda r: fields(r, **{name: lambda _: place}))
            if parts.build(records=change) != parts.build():
                yield f"index: {name} {place}", parts.build(records=change)
        for step in -512, -1, 1, 512, 1024:
            yield f"index: {name} {step} more", parts.build(
                records=replaced(5, lambda r: fields(r, **{name: lambda v: v + step}))
            )
            yield f"index: each {name} {step} more", parts.build(
                records=lambda rs: [fields(r, **{name: lambda v: v + step}) for r in rs]
            )
    # The numbers of licences and lines in frames.
    for what, change in {
        "nothing": lambda counts: [],
        "one less": lambda counts: counts[:-1],
        "one more": lambda counts: [*counts, 0],
        "zeros": lambda counts: [0] * len(counts),
        "ones": lambda counts: [MAX32] * len(counts),
        "in reverse": lambda counts: counts[::-1],
        "all in the first": lambda counts: [sum(counts[:3]), 0, 0, *counts[3:]],
        "all in the last": lambda counts: [0, 0, sum(counts[:3]), *counts[3:]],
    }.items():
        yield f"index: numbers of frames: {what}", parts.build(counts=change)
    for frame in range(6):
        for step in -1, 1, 1 << 31:
            yield f"index: {step} more in frame {frame}", parts.build(counts=replaced(frame, lambda count: count + step))
    for one, other in (0, 1), (1, 2), (2, 3), (3, 4), (4, 5):

        def moved(counts):
            return [count + (i == one) - (i == other) for i, count in enumerate(counts)]

        yield f"index: one of frame {other} in frame {one}", parts.build(counts=moved)
    # Several frames of it, as of a large backup.
    for what, change in {
        "none": lambda index: [],
        "one less": lambda index: index[:-1],
        "one more": lambda index: [*index, MAX32],
        "the first for all": lambda index: [index[0]] * len(index),
        "in reverse": lambda index: index[::-1],
        "other by one": lambda index: [*index[:-1], index[-1] ^ 1],
        "text": lambda index: [str(first) for first in index],
    }.items():
        yield f"index: of four frames, whose first hints are {what}", parts.build(
            per_index_frame=3, trailer=lambda t: t | {"index": change(t["index"])}
        )


def member_cases(parts):
    names = "SHA256SUMS", "licenses.jsonl", "restricted.jsonl", "index", "frames"
    for name in names:
        for what, size in {"one more": 1, "a block more": 512, "a GiB more": 1 << 30, "nothing": -1 << 30}.items():
            if name == "restricted.jsonl" and size < 0:  # which is empty
                continue
            yield f"{name}: a size of {what}", parts.build(
                sizes=lambda s: {n: max(v + size * (n == name), 0) for n, v in s.items()}
            )

        def pieces(change):
            return lambda of, value: change(value) if of == name else value

        for what, change in {
            "a link": lambda p: [forge.header(name.encode(), 0, b"2", link=b"x") + p[0][512:], *p[1:]],
            "a folder": lambda p: [forge.header(name.encode(), 0, b"5") + p[0][512:], *p[1:]],
            "a pax header before it": lambda p: [forge.pax(forge.record(b"path", name.encode())) + p[0], *p[1:]],
            "another name": lambda p: [forge.header(b"x" + name.encode(), 0) + p[0][512:], *p[1:]],
            "no header": lambda p: [bytes(512) + p[0][512:], *p[1:]],
            "text in the place of its header": lambda p: [b"x" * 512 + p[0][512:], *p[1:]],
            "twice": lambda p: p * 2,
            "no frame": lambda p: [],
            "a member behind it": lambda p: [*p[:-1], p[-1] + forge.file(b"licenses/x", b"x")],
            "a member before it": lambda p: [forge.file(b"licenses/x", b"x") + p[0], *p[1:]],
            "a block more": lambda p: [*p[:-1], p[-1] + bytes(512)],
            "cut": lambda p: [*p[:-1], p[-1][:-1]],
        }.items():
            yield f"{name}: {what}", parts.build(pieces=pieces(change))
    for what, change in {
        "nothing": lambda digests: b"",
        "one less": lambda digests: digests[32:],
        "one more": lambda digests: digests + bytes(32),
        "half a digest": lambda digests: digests[:-16],
        "a byte more": lambda digests: digests + b"\0",
        "zeros": lambda digests: bytes(len(digests)),
        "in reverse": lambda digests: b"".join(digests[i : i + 32] for i in range(0, len(digests), 32)[::-1]),
        "a bit other": lambda digests: bytes([digests[0] ^ 1]) + digests[1:],
        "a million": lambda digests: digests * 100000,
    }.items():
        yield f"frames: {what}", parts.build(digests=change)
    for name in names[:-1]:
        yield f"{name}: missing", parts.build(members=lambda contents: {k: v for k, v in contents.items() if k != name})
    order = lambda contents: dict(sorted(contents.items()))
    yield "members: in another order", parts.build(members=order)
    for name, content in (
        ("../x", b"x"),
        ("licenses/x", b"x"),
        ("/etc/passwd", b""),
        ("backup.json", b"{}"),
        ("a/b", b""),
        (".a", b""),
    ):
        yield f"members: {name} too", parts.build(members=lambda contents: contents | {name: content})
