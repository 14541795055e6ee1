"""Backups made to do harm, case by case. Each case is what it is, and the backup's bytes; all that
a reader could check on its way to the lie (digests, checksums, sizes) fits.

`refused` are backups in which no reader may believe; `later` are of a later version; `odd` hold
what no writer of licbak makes and every tar reads.
"""

import functools
import json
import struct

import forge
from hostile_lists import index_cases, list_cases, member_cases, nested
from forge import END, Member, file, header, padded, pax, record

MAX64 = (1 << 64) - 1


def at(place, value):
    """Puts a value into a list, at that place."""
    return lambda values: [*values[:place], value(values[place]), *values[place + 1 :]]


# -- tar ------------------------------------------------------------------------------------------------------

CONTENT = b"a licence"
SMUGGLED = file(b"licenses/../../smuggled", b"out")


def headers():
    """Members that are no regular files of ours, in the place of a licence named "x" whose content
    is CONTENT."""
    name, size, body = b"licenses/x", len(CONTENT), padded(CONTENT)
    whole = header(name, size) + body
    for kind in b"1234567LKgSVMNAXDE\0 \xff":
        yield f"type {bytes([kind])!r}", header(name, size, bytes([kind])) + body
    for kind in b"12":
        yield f"a link of type {kind} to /etc/passwd", header(name, 0, bytes([kind]), link=b"/etc/passwd")
        yield f"a link of type {kind}, then a file below it", header(
            b"licenses/l", 0, bytes([kind]), link=b".."
        ) + whole
    for kind in b"345":
        yield f"a member of type {kind} of no size", header(name, 0, bytes([kind]))
    for magic in b"ustar\0\0\0", b"ustar  \0", bytes(8), b"ustar\x0001"[:6] + b"\x001", b"USTAR\x0000":
        yield f"magic and version {magic!r}", header(name, size, magic=magic) + body
    for field in (
        b"\x80" + bytes(10) + b"\x09", b"\xff" * 11 + b"\xf7", b"\xff" * 12, b"\x80" + b"\xff" * 11, b"-0000000011\0",
        b"00000000019\0", b"0x000000009\0", bytes(12), b" " * 12, b"          11", b"+0000000011\0", b"0000000001\x001",
        b"777777777777", b"77777777777\0", b"00000000010\0", b"00000000012\0", b"00000000000\0", b"00000001000\0",
    ):  # fmt: skip
        yield f"size {field!r}", header(name, field) + body
    for what, field in {
        "one more": lambda block: b"%06o\0 " % (sum(block) + 1),
        "of signed bytes": lambda block: b"%06o\0 " % sum(b if b < 128 else b - 256 for b in block),
        "blank": lambda block: b" " * 8,
        "nothing": lambda block: bytes(8),
        "decimal": lambda block: b"%06d\0 " % sum(block),
        "negative": lambda block: b"-%05o\0 " % sum(block),
    }.items():
        yield f"checksum {what}", header("licenses/\u00e9".encode(), size, sum=field) + body
    yield "two zero blocks before it", END + whole
    yield "one zero block before it", bytes(512) + whole
    yield "two zero blocks behind it, and more members", whole + END + SMUGGLED
    yield "half a block behind it", whole + bytes(256)
    yield "no padding", header(name, size) + CONTENT
    yield "a cut header", header(name, size)[:511]
    yield "a header alone", header(name, size)
    yield "nothing but text", b"a licence"
    yield "a member of another folder", header(b"other/x", size) + body
    yield "a list among the licences", file(b"SHA256SUMS", CONTENT)
    yield "a trailer among the licences", file(b"backup.json", b"{}")
    yield "the folder alone", header(b"licenses/", 0)
    yield "no name", header(b"", size) + body
    yield "a prefix that climbs out", header(b"x", size, prefix=b"licenses/../..") + body
    yield "an absolute prefix", header(b"x", size, prefix=b"/licenses") + body
    yield "a name of bytes", header(b"licenses/\xff\xfe", size) + body
    yield "an overlong name of UTF-8", header(b"licenses/\xc0\xae\xc0\xae/x", size) + body


def pax_headers():
    """Members that lie about what they are, by pax and GNU headers before it."""
    size, body = len(CONTENT), padded(CONTENT)
    real = header(b"licenses/x", size) + body
    empty = header(b"licenses/x", 0) + body
    good = record(b"path", b"licenses/x")
    long_name = header(b"././@LongLink", 11, b"L") + padded(b"licenses/x\0")
    long_link = header(b"././@LongLink", 11, b"K") + padded(b"licenses/x\0")
    yield "a GNU long name", long_name + real
    yield "a GNU long link", long_link + real
    yield "a pax path, then a GNU long name", pax(good) + long_name + real
    yield "a GNU long name, then a pax path", long_name + pax(good) + real
    yield "a GNU long name of no end", header(b"././@LongLink", 1 << 30, b"L") + real
    yield "two pax headers", pax(good) + pax(good) + real
    yield "a global pax header", pax(good, b"g") + real
    yield "a pax header, then a global one", pax(good) + pax(good, b"g") + real
    yield "a pax header of the Solaris kind", pax(good, b"X") + real
    yield "a dangling pax header", real + pax(good)
    yield "a dangling GNU long name", real + long_name
    yield "a pax header before a link", pax(good) + header(b"licenses/x", 0, b"2", link=b"/etc/passwd")
    yield "a pax header before a folder", pax(good) + header(b"licenses/x", 0, b"5")
    yield "a pax header that is cut off", pax(good)[:600]
    yield "a pax header of 8 GiB", header(b"PaxHeaders/path", (8 << 30) - 1, b"x") + padded(good) + real
    yield "a pax header of a negative size", header(b"p", b"\xff" * 12, b"x") + padded(good) + real
    yield "a pax header of 1 MiB", pax(good + record(b"mtime", b"1" * (1 << 20))) + real
    for what, records in {
        "without an end": b"18 path=licenses/x",
        "without a value": b"9 path=\n"[:-1] + b"\n",
        "without a key": b"5 =a\n",
        "without an equals sign": b"18 path:licenses/x\n",
        "without a length": b" path=licenses/x\n",
        "of no length": b"0 path=licenses/x\n",
        "of a length too small": b"10 path=licenses/x\n",
        "of a length too large": b"99 path=licenses/x\n",
        "of a length past 64 bits": b"%d path=licenses/x\n" % (1 << 64),
        "of a length with a sign": b"+19 path=licenses/x\n",
        "of a negative length": b"-19 path=licenses/x\n",
        "of a length in hexadecimal": b"0x14 path=licenses/x\n",
        "and an empty one": good + b"\n",
        "and zeros": good + bytes(9),
        "and a second path": good + good,
        "and another path": good + record(b"path", b"licenses/../../x"),
        "of a link": good + record(b"linkpath", b"/etc/passwd"),
        "of an owner": good + record(b"uid", b"0"),
        "of a sparse file": good + record(b"GNU.sparse.major", b"1"),
        "of a sparse name": record(b"GNU.sparse.name", b"licenses/../../x") + good,
        "of attributes": good + record(b"SCHILY.xattr.user.x", b"1"),
        "of a character set": record(b"hdrcharset", b"BINARY") + good,
        "of a path with a NUL": record(b"path", b"licenses/x\0.txt"),
        "of a path that climbs out": record(b"path", b"licenses/../../x"),
        "of an absolute path": record(b"path", b"/etc/passwd"),
        "of a path of bytes": record(b"path", b"licenses/\xff"),
        "of two sizes": record(b"size", b"9") + record(b"size", b"9"),
        "of no size": record(b"size", b""),
    }.items():
        yield f"a pax record {what}", pax(records) + real
    for number in b"8", b"10", b"512", b"-9", b"+9", b"0x9", b"9.0", b" 9", b"9 ", b"%d" % MAX64, b"%d" % (1 << 64):
        yield f"a pax size of {number.decode()} beside a size of 9", pax(record(b"size", number)) + real
    for number in b"10", b"1025", b"%d" % (1 << 33), b"%d" % (MAX64 - 511), b"%d" % MAX64, b"9" * 40:
        yield f"a pax size of {number.decode()} beside none", pax(record(b"size", number)) + empty
    # What a reader that takes the header's size sees: a member that climbs out.
    hidden = padded(CONTENT) + SMUGGLED
    yield "a pax size that hides a member", pax(record(b"size", b"%d" % len(hidden))) + header(
        b"licenses/x", 9
    ) + hidden


def bad_names():
    climbing = "..", "../x", "a/../../x", "a/..", "/etc/passwd", "//x", "a//b", "a/", ".", "./x", "a/./b", "", "/"
    hidden = ".hidden", "a/.hidden", ".licenses.tar.zst.0123456789abcdef", "...", "a/...", "a/.. /b", ".\u200b"
    other = "a\\b", "..\\..\\x", "C:\\x", "a\nb", "a\rb", "a\tb", "\x1b[2J", "a\x7fb", "a\u0085b", "a\u009bb", "a\x01"
    long = "n" * 256, "d/" * 2000 + "x", "a/" + "n" * 300 + "/b", "\u00e9" * 128
    return [*climbing, *hidden, *other, *long, "bytes \udcff\udcfe", "overlong \udcc0\udcae\udcc0\udcae/x"]


def clashes():
    """Names that can't be in one store; all of them are listed."""
    yield "a name twice", ["x", "x"]
    yield "a name twice, in other frames", ["x", None, "x"]
    yield "a folder of a licence's name", ["a", "a/b"]
    yield "a licence of a folder's name", ["a/b", "a"]
    yield "a licence of a folder's name, far up", ["a/b/c/d", "x", "a"]
    yield "a folder of a licence's name, far down", ["a", "x", "a/b/c/d"]
    yield "a clash between others", ["a/b/c", "a/b/d", "a/b", "a/b/e"]
    yield "a clash that repeats", ["a", "a/b", "a/c"]
    yield "a name of the store's own", ["f0/0.lic"]
    yield "a folder of a name of the store's own", ["f0/0.lic/x"]
    yield "a licence of the name of the store's own folder", ["f0"]


def with_members(frames, members):
    """Adds them to the middle frame; None: the rest goes to the last one."""
    middle, last = (
        (members, []) if None not in members else (members[: members.index(None)], members[members.index(None) + 1 :])
    )
    return [frames[0], [*frames[1], *middle], [*frames[2], *last]]


def tar_cases(parts):
    def with_one(member):
        return parts.build(frames=lambda frames: with_members(frames, [member]))

    for what, data in (*headers(), *pax_headers()):
        yield f"tar: {what}", with_one(Member.of("x", CONTENT, data))
    for name in bad_names():
        yield f"name: {name[:24]!a}", with_one(Member.of(name, CONTENT))
    for what, names in clashes():
        members = [name if name is None else Member.of(name, CONTENT) for name in names]
        yield f"names: {what}", parts.build(frames=lambda frames: with_members(frames, members))
    # Where members, one behind the other, have one name, the last counts, for every tar.
    evil = Member(file(b"licenses/f0/0.lic", b"evil"))
    yield "members: an unlisted one behind that of its name", with_one(evil)
    beside = lambda frames: [[*frames[0], evil], *frames[1:]]
    yield "members: an unlisted one behind that of its name, in its frame", parts.build(frames=beside)
    for frame in 0, 1:
        told = {"name": "f0/0.lic", "size": 4, "frame": frame}
        place = lambda frames: [[*members, evil] if i == frame else members for i, members in enumerate(frames)]
        states = lambda states: states + json.dumps(told).encode() + b"\n"
        yield f"members: an older one behind that of its name, told so, in frame {frame}", parts.build(
            frames=place, states=states
        )
    yield "members: one that no list names", with_one(Member(file(b"licenses/ghost", b"evil")))
    yield "members: one that climbs out and no list names", with_one(Member(SMUGGLED))
    yield "members: a thousand that no list names", parts.build(
        frames=lambda frames: with_members(frames, [Member(file(b"licenses/g%d" % n, b"")) for n in range(1000)])
    )
    yield "members: one in the lists alone", with_one(Member.of("x", CONTENT, b""))
    yield "members: one over 16 MiB", with_one(Member.of("x", bytes((16 << 20) + 1)))
    whole = b"".join(member.data for member in parts.frames[1])
    for cut in 1, 511, 512, 600, len(whole) - 512, len(whole) - 1:
        yield f"frames: of licences, cut at {cut}", parts.build(stream=at(1, lambda content: content[:cut]))
    for more in b"x", bytes(512), bytes(1024), SMUGGLED[:512], SMUGGLED:
        yield f"frames: of licences, and {more[:9]!r}", parts.build(stream=at(1, lambda content: content + more))
    cut = len(parts.frames[1][0].data) + 700

    def across(stream):
        return [stream[0], stream[1][:cut], stream[1][cut:], *stream[2:]]

    yield "frames: a licence across two", parts.build(stream=across)


# -- frames and the seek table --------------------------------------------------------------------------------


@functools.cache
def bomb(size):
    """A frame of zeros, a thousandth of what it expands to."""
    return forge.compress(bytes(size))


def zstd_cases(parts):
    first = b"".join(member.data for member in parts.frames[0])
    good = forge.compress(first)
    length = len(good)
    huge = forge.FRAME_MAGIC + bytes([0b1110_0100]) + struct.pack("<Q", 1 << 60) + good[9:]
    frames = {
        "no content size": forge.compress(first, size=0),
        "no checksum": forge.compress(first, checksum=0),
        "a wrong checksum": good[:-1] + bytes([good[-1] ^ 1]),
        "a content size of 2^60": huge,
        "a reserved bit": good[:4] + bytes([good[4] | 8]) + good[5:],
        "an unused bit": good[:4] + bytes([good[4] | 16]) + good[5:],
        "a dictionary": good[:4] + bytes([good[4] | 1]) + good[5:6] + b"\7" + good[6:],
        "half of it": good[: length // 2],
        "one byte more": good + b"\0",
        "a frame and another": good + forge.compress(b"more"),
        "a frame and an empty one": good + forge.compress(b""),
        "a skippable frame": struct.pack("<II", forge.SKIPPABLE, length) + bytes(length),
        "a skippable frame, then it": struct.pack("<II", forge.SKIPPABLE, 4) + bytes(4) + good,
        "an old format": b"\x27\xb5\x2f\xfd" + good[4:],
        "a window of 2 TiB": good[:4]
        + bytes([0b1000_0100, 0xFF])
        + struct.pack("<I", len(first))
        + b"\3\0\0"
        + good[-4:],
        "a reserved block": good[:9] + b"\7\0\0" + good[9:],
        "text": first,
        "zeros": bytes(length),
        "a bomb of 1 GiB": bomb(1 << 30),
        "a bomb of 33 MiB": bomb(33 << 20),
        "a bomb of 1 GiB that states what it should": bomb(1 << 30)[:6]
        + struct.pack("<I", len(first))
        + bomb(1 << 30)[10:],
    }
    for what, frame in frames.items():
        pack = lambda number, content: frame if number == 0 else forge.compress(content)
        yield f"zstd: {what}", parts.build(packed=pack)
    for size in 1 << 20, 32 << 20, (32 << 20) + 1, (1 << 32) - 1:
        yield f"zstd: a bomb of 1 GiB that states {size}", parts.build(
            packed=lambda number, content: bomb(1 << 30) if number == 0 else forge.compress(content),
            entries=at(0, lambda entry: (entry[0], size)),
        )
    for count in 1, 40:
        zeros = [Member(bytes(32 << 20)) for _ in range(count)]
        yield f"zstd: {count} bombs of 32 MiB", parts.build(
            frames=lambda frames: [*[[zero] for zero in zeros], *frames]
        )
    last = bomb(1 << 30)
    yield "zstd: a bomb of 1 GiB in the place of the trailer", parts.build(bytes=lambda b: [*b[:-1], last])
    for what, change in {
        "an empty one between": lambda b: [*b[:1], forge.compress(b""), *b[1:]],
        "a skippable one first": lambda b: [struct.pack("<II", forge.SKIPPABLE, 1) + b"x", *b],
        "two in each other's place": lambda b: [b[1], b[0], *b[2:]],
        "one twice": lambda b: [b[0], *b],
        "one missing": lambda b: b[1:],
        "the trailer twice": lambda b: [*b, b[-1]],
        "no trailer": lambda b: b[:-1],
        "no frames at all": lambda b: [],
        "the trailer alone": lambda b: b[-1:],
    }.items():
        yield f"frames: {what}", parts.build(bytes=change)


def table_cases(parts):
    good = parts.build()
    count = struct.unpack("<IBI", good[-9:])[0]
    start = len(good) - 17 - count * 8
    entries = [struct.unpack_from("<II", good, start + 8 + i * 8) for i in range(count)]
    frames = good[:start]
    for other in 0, 1, count - 1, count + 1, 1 << 27, (1 << 27) + 1, 1 << 29, (1 << 32) - 1:
        yield f"table: a count of {other}", frames + forge.table(entries, count=other)
    for flags in 0x80, 0x40, 0x04, 0x01, 0xFF:
        yield f"table: flags {flags:#x}", frames + forge.table(entries, flags=flags)
    for size in 0, 9, count * 8, count * 8 + 8, count * 8 + 10, (1 << 32) - 1:
        yield f"table: a size of {size}", frames + forge.table(entries, size=size)
    for magic in 0x184D2A50, 0x184D2A5F, 0xFD2FB528, 0:
        yield f"table: magic {magic:#x}", frames + forge.table(entries, magic=magic)
    yield "table: the magic of its end", frames + forge.table(entries, footer=0x8F92EAB0)
    yield "table: none", frames
    yield "table: twice", good + good[start:]
    yield "table: alone", good[start:]
    yield "table: empty", forge.table([])
    yield "table: of another backup before it", good[start:] + good
    yield "table: a byte behind it", good + b"\0"
    yield "table: a byte before it", frames + b"\0" + good[start:]
    yield "table: a byte before all", b"\0" + good
    yield "table: cut", good[: start + 20] + good[-9:]
    for place in range(count):
        length, size = entries[place]
        for what, entry in {
            "a length of 0": (0, size),
            "a length of one more": (length + 1, size),
            "a length of one less": (length - 1, size),
            "a length of 4 GiB": ((1 << 32) - 1, size),
            "no content": (length, 0),
            "a content of one more": (length, size + 1),
            "a content of one less": (length, size - 1),
            "a content of a block more": (length, size + 512),
            "a content of 32 MiB": (length, 32 << 20),
            "a content of 4 GiB": (length, (1 << 32) - 1),
        }.items():
            yield f"table: frame {place} has {what}", frames + forge.table(
                [*entries[:place], entry, *entries[place + 1 :]]
            )
    for what, other in {
        "overlap": [(entries[0][0] + 1, entries[0][1]), (entries[1][0] - 1, entries[1][1]), *entries[2:]],
        "leave a gap": [(entries[0][0] - 1, entries[0][1]), (entries[1][0] + 1, entries[1][1]), *entries[2:]],
        "are one": [(sum(e[0] for e in entries[:2]), sum(e[1] for e in entries[:2])), *entries[2:]],
        "are in reverse": entries[::-1],
        "lack one": entries[1:],
        "are one more": [*entries, (1, 1)],
        "begin with one more": [(1, 1), *entries],
        "are of 512 GiB": [(1, 32 << 20)] * (1 << 14),
        "are a million of a byte": [(1, 1)] * (1 << 20),
        "sum up past 32 bits": [*entries, *[((1 << 32) - 1, 1)] * 9],
    }.items():
        yield f"table: frames {what}", frames + forge.table(other)
    yield "table: a file of tables", b"".join(forge.table([]) for _ in range(1000))


# -- the trailer ----------------------------------------------------------------------------------------------


def trailer_cases(parts):
    def with_trailer(change):
        return parts.build(trailer=change)

    def without(*keys):
        return lambda trailer: {key: value for key, value in trailer.items() if key not in keys}

    for depth in 256, 30000:
        yield f"trailer: a key nested {depth} deep", parts.build(json=lambda text: nested(text, depth))
    keys = "format", "version", "created", "id", "generation", "licenses", "restricted", "content_bytes", "members", "index"
    for key in keys:
        yield f"trailer: no {key}", with_trailer(without(key))
        for value in None, "x", -1, 1.5, [], {}, [[]], True, MAX64, 1 << 64, 1e300:
            is_wrong = not (key == "created" and isinstance(value, str)) and (key, value) != ("generation", MAX64)
            if is_wrong:
                yield f"trailer: {key} {value!r}", with_trailer(lambda trailer: trailer | {key: value})
    for id in "", "0" * 31, "0" * 33, "g" * 32, "A" * 32, "\u00e9" * 16:
        yield f"trailer: id {id!a}", with_trailer(lambda trailer: trailer | {"id": id})
    for machine in "", "0" * 63, "0" * 66, "g" * 64, "A" * 64, 1, [], {}, True:
        yield f"trailer: machine {machine!r}", with_trailer(lambda trailer: trailer | {"machine": machine})
    yield "trailer: generation 0", with_trailer(lambda trailer: trailer | {"generation": 0})
    for version in [0, 9], [], [1], [1, 1, 0], [-1, 0], [1.0, 0], ["1", "0"], [1, -1], [0, MAX64]:
        yield f"trailer: version {version}", with_trailer(lambda trailer: trailer | {"version": version})
    for key in "licenses", "restricted", "content_bytes":
        for step in -1, 1, 1 << 20, 1 << 62:
            yield f"trailer: {step} more {key}", with_trailer(
                lambda t: t | {key: t[key] + step if t[key] + step >= 0 else 1 << 32}
            )

    for name in "SHA256SUMS", "licenses.jsonl", "restricted.jsonl", "index", "frames":

        def entry(change):
            return with_trailer(
                lambda t: t | {"members": [e | change(e) if e["name"] == name else e for e in t["members"]]}
            )

        others = lambda t: [e for e in t["members"] if e["name"] != name]
        yield f"trailer: {name} is missing", with_trailer(lambda t: t | {"members": others(t)})
        one = lambda t: next(e for e in t["members"] if e["name"] == name)
        yield f"trailer: {name} is there twice", with_trailer(lambda t: t | {"members": [*t["members"], one(t)]})
        yield f"trailer: {name} is last", with_trailer(
            lambda t: (
                t | {"members": [*others(t), one(t)]} if name != "frames" else t | {"members": [one(t), *others(t)]}
            )
        )
        for step in -512, -1, 1, 512, 1 << 40, MAX64:
            yield f"trailer: {name} at {step} more", entry(lambda e: {"offset": (e["offset"] + step) & MAX64})
            yield f"trailer: {name} of {step} more", entry(lambda e: {"size": (e["size"] + step) & MAX64})
        for digest in "", "0" * 64, "g" * 64, "0" * 63, "0" * 66, "0" * 128:
            yield f"trailer: {name} with the digest {digest[:9]!r}", entry(lambda e: {"sha256": digest})
        yield f"trailer: {name} in capitals", entry(
            lambda e: {"sha256": e["sha256"].upper()} if e["sha256"].upper() != e["sha256"] else {"sha256": ""}
        )
        yield f"trailer: {name} by another name", entry(lambda e: {"name": "../" + name})

    def extra(**other):
        def change(trailer):
            last = trailer["members"][-1]
            entry = {"name": "later", "offset": last["offset"], "size": 0, "sha256": "0" * 64} | other
            return trailer | {"members": [*trailer["members"][:-1], entry, last]}

        return with_trailer(change)

    for other in (
        {},
        {"size": MAX64},
        {"offset": 0},
        {"offset": MAX64},
        {"offset": MAX64, "size": MAX64},
        {"name": "../x"},
    ):
        yield f"trailer: a member that is not there, {other}", extra(**other)
    for index in [], [""], ["0"], [0], [1 << 32], [-1], [1.5], [None], [MAX64], [[]], [0] * 9, [(1 << 32) - 1] * 9:
        yield f"trailer: an index of {str(index)[:20]}", with_trailer(lambda t: t | {"index": index})
    yield "trailer: an index of thousands", with_trailer(lambda t: t | {"index": t["index"] * 5000})
    yield "trailer: an index with one more", with_trailer(lambda t: t | {"index": [*t["index"], (1 << 32) - 1]})

    for what, change in {
        "nothing": lambda text: b"",
        "no JSON": lambda text: b"licenses",
        "half of it": lambda text: text[: len(text) // 2],
        "twice": lambda text: text + text,
        "a mark first": lambda text: b"\xef\xbb\xbf" + text,
        "a NUL behind": lambda text: text + b"\0",
        "deep lists": lambda text: b"[" * 500000,
        "deep objects": lambda text: b'{"a":' * 150000,
        "a key twice": lambda text: text.rstrip()[:-1] + b',"licenses":0}',
        "UTF-16": lambda text: text.decode().encode("utf-16"),
        "bytes": lambda text: text.replace(b'"licbak"', b'"licbak\xff"'),
        "a number of a megabyte": lambda text: text.replace(b'"restricted": ', b'"restricted": ' + b"0" * 1000000, 1),
        "more than 1 MiB": lambda text: text + b" " * (1 << 20),
        "16 MiB": lambda text: text + b" " * (16 << 20),
    }.items():
        yield f"trailer: {what}", parts.build(json=change)
    for what, change in {
        "a member before it": lambda content: file(b"licenses/x", b"x") + content,
        "a member behind it": lambda content: content[:-1024] + file(b"licenses/x", b"x") + END,
        "a member behind the end": lambda content: content + file(b"licenses/x", b"x"),
        "no end": lambda content: content[:-1024],
        "half an end": lambda content: content[:-512],
        "more of an end": lambda content: content + END,
        "an end of something": lambda content: content[:-1] + b"x",
        "another name": lambda content: file(b"backup.jsoN", content[512:-1024].rstrip(b"\0")) + END,
        "a link": lambda content: header(b"backup.json", 0, b"2", link=b"x") + END,
        "a size of 8 GiB": lambda content: header(b"backup.json", (8 << 30) - 1) + content[512:],
        "nothing": lambda content: b"x",
    }.items():
        yield f"the last frame: {what}", parts.build(last=change)


# -- work without an end ----------------------------------------------------------------------------------------


def work_cases(parts):
    """What costs far more than it has bytes, where a reader does all that it is told to."""
    block = lambda size, kind, last=0: (size << 3 | kind << 1 | last).to_bytes(3, "little")
    head = lambda size: forge.FRAME_MAGIC + b"\xa4" + struct.pack("<I", size)
    # Each header is in a raw block of the one before, so that frames begin everywhere and end together.
    nested = lambda size, end: b"".join(head(size + n * 12) + block(n * 12, 0) for n in range(9999, -1, -1)) + end
    large, mebi = 128 << 10, 1 << 20
    repeated = b"".join(block(large, 1, n == 254) + b"A" for n in range(255)) + b"sum!"
    for what, part in {
        "frames in frames, of 32 MiB each": nested(255 * large, repeated),
        "frames in frames, as long as can be": nested(large, block(large, 0, 1) + bytes(large) + b"sum!"),
        "frames in frames, of a thousand blocks each": nested(1, block(0, 0) * 1000 + block(0, 3, 1)),
        "frames of 32 MiB with a wrong checksum": head(255 * large) + repeated,
        "frames that claim 32 MiB": head(32 << 20) + block(1, 0, 1) + b"xsum!",
        "headers of frames": head(1),
        "the beginnings of frames": forge.FRAME_MAGIC,
    }.items():
        yield f"work: no end, but {what}", part * (2 * mebi // len(part))
        first = b"".join(member.data for member in parts.frames[0])
        yield f"work: a frame, and {what}", forge.compress(first) + part * (mebi // len(part))
    deep = ["%04d/" % n + "d/" * 1990 + "x" for n in range(500, 0, -1)]
    members = [Member.of(name, b"", file(b"licenses/x", b"")) for name in deep]
    yield "work: 500 names of 1,990 folders each", parts.build(
        frames=lambda frames: [[*frames[0], *members], *frames[1:]]
    )


def later(parts):
    for version in [2, 0], [9, 9], [MAX64, 0], [2]:
        yield f"trailer: version {version}", parts.build(trailer=lambda trailer: trailer | {"version": version})
    yield "trailer: version 2 alone", parts.build(json=lambda _: b'{"format":"licbak","version":[2,0]}')


def odd(parts):
    """Each with the licences that it holds besides."""

    def with_one(member):
        return parts.build(frames=lambda frames: with_members(frames, [member])), {member.line["name"]: CONTENT}

    size, body = len(CONTENT), padded(CONTENT)
    real, empty = header(b"licenses/x", size) + body, header(b"licenses/x", 0) + body
    for what, data in {
        "a pax header of a time": pax(record(b"mtime", b"1350244992.023960108")) + real,
        "a pax header of a size beside none": pax(record(b"size", b"9")) + empty,
        "a pax header of the same size": pax(record(b"size", b"9")) + real,
        "an empty pax header": pax(b"") + real,
        "a pax path beside another name": pax(record(b"path", b"licenses/x")) + header(b"../x", size) + body,
        "a link's name": header(b"licenses/x", size, link=b"/etc/passwd") + body,
        "a prefix": header(b"x", size, prefix=b"licenses") + body,
        "no time": header(b"licenses/x", size, mtime=bytes(12)) + body,
    }.items():
        yield f"odd: {what}", *with_one(Member.of("x", CONTENT, data))
    for name in "F0/0.lic", "f0/0.LIC", "e\u0301", "C:x", "~", "-rf", "$(x)", "con", "x ", "\u202etxt.exe", "n" * 255:
        yield f"odd: the name {name!a:.20}", *with_one(Member.of(name, CONTENT))
    for what, line in {"right": {"right": "later"}, "format": {"format": "later"}, "key": {"later": [1]}}.items():
        yield f"odd: a {what} of a later version", *with_one(Member.of("x", CONTENT, **line))
    deep = lambda text: nested(text, 255)
    yield "odd: a deep key in a line", parts.build(lines=lambda lines: [deep(lines[0]), *lines[1:]]), {}
    yield "odd: a deep key in the trailer", parts.build(json=deep), {}
    yield "odd: a member of a later version", parts.build(members=lambda contents: contents | {"later": b"x"}), {}
    yield "odd: version 1.9", parts.build(trailer=lambda trailer: trailer | {"version": [1, 9]}), {}
    newest = parts.members()[-1].line["name"].encode()
    older = Member(file(b"licenses/" + newest, b"an older version"))
    yield "odd: an older version", parts.build(frames=lambda frames: with_members(frames, [older])), {}
    last = lambda frames: [*frames[:-1], [older, *frames[-1]]]
    yield "odd: an older version in the same frame", parts.build(frames=last), {}


def refused(parts):
    for cases in (
        tar_cases,
        zstd_cases,
        table_cases,
        list_cases,
        index_cases,
        member_cases,
        trailer_cases,
        work_cases,
    ):
        yield from cases(parts)
