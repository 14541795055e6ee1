"""A backup taken apart, and put together again with a lie in it.

What follows from a part that was changed (digests, checksums, offsets, sizes, the seek table) is computed anew, so
that a reader gets as far as the lie. It needs libzstd.so.1.
"""

import ctypes
import functools
import hashlib
import json
import struct

SKIPPABLE, TABLE_MAGIC, FRAME_MAGIC = 0x184D2A5E, 0x8F92EAB1, b"\x28\xb5\x2f\xfd"
STATE = 10  # bytes of a licence's state
LISTS = "SHA256SUMS", "licenses.jsonl", "restricted.jsonl", "index", "state", "frames"
END = bytes(1024)


LEVEL, CONTENT_SIZE, CHECKSUM = 100, 200, 201  # ZSTD_cParameter


@functools.cache
def libzstd():
    """zstd's own, or None."""
    try:
        zstd = ctypes.CDLL("libzstd.so.1")
    except OSError:
        return None
    for name in "ZSTD_createCCtx", "ZSTD_createDCtx":
        getattr(zstd, name).restype = ctypes.c_void_p
    for name in "ZSTD_compressBound", "ZSTD_compress2", "ZSTD_decompressStream":
        getattr(zstd, name).restype = ctypes.c_size_t
    return zstd


class Buffer(ctypes.Structure):
    """ZSTD_inBuffer, ZSTD_outBuffer."""

    _fields_ = [("bytes", ctypes.c_void_p), ("size", ctypes.c_size_t), ("at", ctypes.c_size_t)]


@functools.lru_cache(maxsize=4096)
def compress(content, **other):
    """A frame as licbak writes one: it states its content's size, and has a checksum."""
    zstd = libzstd()
    context = ctypes.c_void_p(zstd.ZSTD_createCCtx())
    for parameter, value in ((LEVEL, 1), (CHECKSUM, other.get("checksum", 1)), (CONTENT_SIZE, other.get("size", 1))):
        zstd.ZSTD_CCtx_setParameter(context, parameter, value)
    room = zstd.ZSTD_compressBound(ctypes.c_size_t(len(content)))
    frame = ctypes.create_string_buffer(room)
    size = zstd.ZSTD_compress2(context, frame, ctypes.c_size_t(room), content, ctypes.c_size_t(len(content)))
    zstd.ZSTD_freeCCtx(context)
    return frame.raw[:size]


def decompress(data):
    """What all frames hold."""
    zstd = libzstd()
    context, part = ctypes.c_void_p(zstd.ZSTD_createDCtx()), ctypes.create_string_buffer(1 << 17)
    source = Buffer(ctypes.cast(ctypes.c_char_p(data), ctypes.c_void_p), len(data), 0)
    content = []
    while True:
        out = Buffer(ctypes.addressof(part), len(part), 0)
        assert zstd.ZSTD_decompressStream(context, ctypes.byref(out), ctypes.byref(source)) < 1 << 32, "no zstd"
        content.append(part.raw[: out.at])
        if source.at == source.size and out.at < out.size:
            zstd.ZSTD_freeDCtx(context)
            return b"".join(content)


def sha256(data):
    return hashlib.sha256(data).digest()


# -- tar ------------------------------------------------------------------------------------------------------


def padded(content):
    return content + bytes(-len(content) % 512)


def header(name, size, kind=b"0", prefix=b"", mtime=b"00000000000\0", magic=b"ustar\x0000", sum=None, link=b""):
    """A block with the checksum that belongs to it; `size` is a number, or the field's own bytes."""
    size = b"%011o\0" % size if isinstance(size, int) else size
    fields = (name, 100), (b"0000600\x000000000\x000000000\0", 24), (size, 12), (mtime, 12), (b" " * 8, 8), (kind, 1)
    rest = (link, 100), (magic, 8), (b"", 64), (b"0000000\x000000000\0", 16), (prefix, 155), (b"", 12)
    block = bytearray(b"".join(field.ljust(width, b"\0")[:width] for field, width in (*fields, *rest)))
    block[148:156] = b"%06o\0 " % block_sum(block) if sum is None else sum(block)
    return bytes(block)


def block_sum(block):
    return sum(block)


def record(key, value):
    """A record of a pax header, whose length counts itself."""
    text = b" %s=%s\n" % (key, value)
    size = len(text) + 1
    while size != len(text) + len(b"%d" % size):
        size += 1
    return b"%d" % size + text


def pax(records, kind=b"x", **other):
    return header(b"PaxHeaders/path", len(records), kind, **other) + padded(records)


def file(name, content, **other):
    """A regular file, with a pax header where its name does not fit."""
    before = pax(record(b"path", name)) if len(name) > 100 else b""
    return before + header(name[-100:], len(content), **other) + padded(content)


def members_of(stream):
    """Each member's first block, path, content and end."""
    at = 0
    while stream[at : at + 512].strip(b"\0"):
        start, path = at, None
        if stream[at + 156 : at + 157] == b"x":
            size = int(stream[at + 124 : at + 135], 8)
            path = stream[at + 512 : at + 512 + size].split(b"=", 1)[1][:-1]
            at += 512 + size + -size % 512
        size = int(stream[at + 124 : at + 135], 8)
        name, prefix = stream[at : at + 100].rstrip(b"\0"), stream[at + 345 : at + 500].rstrip(b"\0")
        path = path or (prefix + b"/" if prefix else b"") + name
        content = stream[at + 512 : at + 512 + size]
        at += 512 + size + -size % 512
        yield start, path.decode(), content, at


# -- the file -------------------------------------------------------------------------------------------------


class Member:
    """A licence's bytes in the stream, and what the lists say of it; no line: they do not name it."""

    def __init__(self, data, line=None, digest=None):
        self.data, self.line, self.digest = data, line, digest

    @classmethod
    def of(cls, name, content, data=None, **line):
        """A licence of that name, told as it is but for what is given."""
        told = {"name": name, "key_id": name.rsplit("/", 1)[-1].split(".")[0] or "k", "format": "opaque"}
        told |= {"right": "unstated", "size": len(content), "modified": None} | line
        data = file(b"licenses/" + name.encode("utf-8", "surrogateescape"), content) if data is None else data
        return cls(data, told, sha256(content))


def same(value):
    return value


def laid_out(records, per_frame=8192):
    """Records of the index in frames of so many: hints as differences, and the bytes of all numbers by their places.
    What is no whole record stays behind as it is."""
    data, frames = b"".join(records), []
    for at in range(0, len(data), per_frame * 8):
        frame = data[at : at + per_frame * 8]
        whole, before, told = len(frame) // 8 * 8, 0, b""
        for number, hint in struct.iter_unpack("<II", frame[:whole]):
            told += struct.pack("<II", number, hint - before & 0xFFFFFFFF)
            before = hint
        frames += [told[place::8] for place in range(8)] + [frame[whole:]]
    return b"".join(frames)


def first_hint(frame):
    count = len(frame) // 8
    return int.from_bytes(bytes(frame[place * count] for place in range(4, 8)), "little")


def states_in(state, count):
    """The first `count` states, as proofs and sizes."""
    starts = range(0, min(len(state), STATE * count) // STATE * STATE, STATE)
    number = lambda start, size: int.from_bytes(state[start : start + size], "little")
    return [(number(start, 5), number(start + 5, 5)) for start in starts]


def to_states(records):
    return b"".join(b"".join(struct.pack("<Q", number)[:5] for number in (proof, size)) for proof, size in records)


class Parts:
    """The frames of licences, and what stands behind them."""

    def __init__(self, data):
        count = struct.unpack("<IBI", data[-9:])[0]
        stream = decompress(data)
        found = list(members_of(stream))
        contents = {path: content for _, path, content, _ in found}
        lines = [json.loads(line) for line in contents["licenses.jsonl"].splitlines()]
        sums = [bytes.fromhex(line[:64].decode()) for line in contents["SHA256SUMS"].splitlines()]
        sizes = [struct.unpack_from("<II", data, len(data) - 9 - count * 8 + i * 8)[1] for i in range(count)]
        ends = [sum(sizes[: i + 1]) for i in range(count)]
        start = {path: at for at, path, *_ in found}
        self.frames = [[] for end in ends if end <= start["SHA256SUMS"]]
        for at, path, _, end in found:
            if path.startswith("licenses/"):
                frame = next(i for i, frame_end in enumerate(ends) if at < frame_end)
                self.frames[frame].append((path.removeprefix("licenses/"), stream[at:end]))
        told = list(zip(lines, sums))
        for number, frame in enumerate(self.frames):
            (listed,) = struct.unpack_from("<I", contents["index"], 4 * number)
            expected, told = told[:listed], told[listed:]
            members = []
            for name, data in reversed(frame):  # of one name the last counts
                counts = expected and expected[-1][0]["name"] == name
                members.append(Member(data, *(expected.pop() if counts else ())))
            self.frames[number] = members[::-1]
        self.restricted = contents["restricted.jsonl"]
        self.states = contents.get("state", b"")
        self.trailer = json.loads(contents["backup.json"])

    def members(self):
        return [member for frame in self.frames for member in frame]

    def split(self, size):
        """The same licences, so many a frame."""
        members = self.members()
        self.frames = [members[i : i + size] for i in range(0, len(members), size)]
        return self

    def build(self, per_index_frame=8192, **change):
        """The backup. A change is a function of a part, which gives what stands in its place: `frames` (of
        members), `stream` (the contents of their frames), `sums` and `lines` (of bytes), `restricted`, `counts` (of
        each frame before the index), `records` (of 8 bytes each), `index`, `states`, `digests`, `members` (name -> content), `sizes` (name -> size,
        for one at a time), `pieces` (name -> the contents of its frames), `packed` (a frame's number and content ->
        its bytes), `trailer` (a dict), `json`, `last` (the content of the last frame), `bytes` (all frames'),
        `entries` (of the seek table) and `table`."""
        do = lambda part, value: change.get(part, same)(value)
        packed = change.get("packed", lambda number, content: compress(content))
        frames = do("frames", [list(frame) for frame in self.frames])
        stream = do("stream", [b"".join(member.data for member in frame) for frame in frames])
        listed = [member for frame in frames for member in frame if member.line is not None]
        encode = lambda name: name.encode("utf-8", "surrogateescape")
        sums = [b"%s  licenses/%s\n" % (m.digest.hex().encode(), encode(m.line["name"])) for m in listed]
        lines = [encode(json.dumps(m.line, ensure_ascii=False)) + b"\n" for m in listed]
        sums, lines = do("sums", sums), do("lines", lines)
        restricted = do("restricted", self.restricted)
        counts = [sum(member.line is not None for member in frame) for frame in frames]
        counts = do("counts", [*counts, len(listed), len(listed), restricted.count(b"\n")])
        hint = lambda key_id: sha256(str(key_id).encode("utf-8", "surrogatepass"))[:4]
        key_ids = lambda line: {hint(key_id) for key_id in (line["key_id"], *line.get("other_key_ids", []))}
        records = sorted((hint, number) for number, m in enumerate(listed) for hint in key_ids(m.line))
        records = do("records", [struct.pack("<I", number) + hint[::-1] for hint, number in records])
        counts = b"".join(struct.pack("<I", count & 0xFFFFFFFF) for count in counts)
        contents = {"SHA256SUMS": b"".join(sums), "licenses.jsonl": b"".join(lines)}
        index = do("index", counts + laid_out(records, per_index_frame))
        contents |= {"restricted.jsonl": restricted, "index": index}
        states = do("states", self.states)
        contents |= {"state": states} if states is not None else {}
        contents = do("members", contents)
        # What stands between the licences and the trailer.
        bytes_of = [packed(number, content) for number, content in enumerate(stream)]
        entries, told = list(map(len, stream)), []
        for name in [*contents, "frames"]:
            is_last = name == "frames"
            content = do("digests", b"".join(map(sha256, bytes_of))) if is_last else contents[name]
            size = do("sizes", {name: len(content)})[name]
            head = header(name.encode(), size)
            # Of the index, the numbers for frames are a frame of their own.
            first, step = (len(counts), per_index_frame * 8) if name == "index" else (0, max(len(content), 1))
            pieces = [content[i : i + step] for i in range(first, len(content), step)] or [b""]
            pieces = [content[:first], *pieces] if name == "index" else pieces
            pieces[-1] += bytes(-len(content) % 512)
            pieces[0] = head + pieces[0]
            pieces = change.get("pieces", lambda name, pieces: pieces)(name, pieces)
            told.append({"name": name, "offset": sum(entries), "size": size, "sha256": sha256(content).hex()})
            for piece in pieces:
                bytes_of.append(packed(len(bytes_of), piece))
                entries.append(len(piece))
        trailer = dict(self.trailer)
        trailer |= {"licenses": len(listed), "restricted": contents.get("restricted.jsonl", b"").count(b"\n")}
        trailer |= {"content_bytes": sum(m.line["size"] for m in listed if isinstance(m.line["size"], int))}
        index = contents.get("index", b"")[len(counts) :]
        firsts = [first_hint(index[at : at + per_index_frame * 8]) for at in range(0, len(index) - 7, per_index_frame * 8)]
        trailer |= {"members": told, "index": firsts}
        text = do("json", json.dumps(do("trailer", trailer)).encode() + b"\n")
        last = do("last", header(b"backup.json", len(text)) + padded(text) + END)
        bytes_of.append(packed(len(bytes_of), last))
        entries.append(len(last))
        bytes_of = do("bytes", bytes_of)
        entries = do("entries", [(len(frame), size) for frame, size in zip(bytes_of, entries)])
        return b"".join(bytes_of) + do("table", table(entries))


def table(entries, count=None, size=None, flags=0, magic=SKIPPABLE, footer=TABLE_MAGIC):
    """The seek table, whose header and footer may say something else."""
    body = b"".join(struct.pack("<II", *entry) for entry in entries)
    size = len(body) + 9 if size is None else size
    return (
        struct.pack("<II", magic, size)
        + body
        + struct.pack("<IBI", len(entries) if count is None else count, flags, footer)
    )
