"""Lies about values of a backup by the kind of value, for composer.py. Each is a function that gives what
stands in the place of what is right.
"""

import functools
import struct

import forge
from forge import END, file, pax, record, sha256

MAX32, MAX64 = (1 << 32) - 1, (1 << 64) - 1

# Of the right value, and of the one in the next place.

NUMBERS = {
    "zero": lambda v, next: 0,
    "one": lambda v, next: 1,
    "one more": lambda v, next: v + 1,
    "one less": lambda v, next: v - 1,
    "a block more": lambda v, next: v + 512,
    "a block less": lambda v, next: v - 512,
    "its double": lambda v, next: v * 2 + 2,
    "its half": lambda v, next: v // 2,
    "the next one's": lambda v, next: next,
    "both ones'": lambda v, next: v + next,
    "negative": lambda v, next: -v - 1,
    "16 MiB and one": lambda v, next: (1 << 24) + 1,
    "2^31": lambda v, next: 1 << 31,
    "2^32 - 1": lambda v, next: MAX32,
    "2^33 more": lambda v, next: v + (1 << 33),
    "2^63": lambda v, next: 1 << 63,
    "2^64 - 512": lambda v, next: MAX64 - 511,
    "2^64 more": lambda v, next: v + (1 << 64),
}
TEXTS = {
    "nothing": lambda v, next: b"",
    "the folder above": lambda v, next: b"..",
    "a path that climbs out": lambda v, next: b"../" + v,
    "a path that climbs out later": lambda v, next: b"a/../../" + v,
    "an absolute path": lambda v, next: b"/" + v,
    "a path of Windows": lambda v, next: b"C:\\" + v,
    "the next one's": lambda v, next: next,
    "a file below it": lambda v, next: v + b"/x",
    "its folder": lambda v, next: v.rpartition(b"/")[0],
    "an empty part": lambda v, next: v.replace(b"/", b"//") if b"/" in v else b"x//" + v,
    "a slash behind it": lambda v, next: v + b"/",
    "a hidden part": lambda v, next: b"." + v,
    "capitals": lambda v, next: v.swapcase(),
    "a newline in it": lambda v, next: v + b"\nx",
    "a NUL in it": lambda v, next: v + b"\0x",
    "an escape": lambda v, next: b"\x1b[2J" + v,
    "no UTF-8": lambda v, next: v + b"\xff",
    "an overlong slash": lambda v, next: b"..\xc0\xaf" + v,
    "half a character": lambda v, next: v + b"\xc3",
    "a part of 256 bytes": lambda v, next: b"n" * 256,
    "4,001 bytes": lambda v, next: b"d/" * 2000 + b"x",
    "70,000 bytes": lambda v, next: b"n" * 70000,
    "another": lambda v, next: b"another",
}
DIGESTS = {
    "zeros": lambda v, next: bytes(32),
    "a bit other": lambda v, next: bytes([v[0] ^ 1]) + v[1:],
    "its last bit other": lambda v, next: v[:-1] + bytes([v[-1] ^ 1]),
    "the next one's": lambda v, next: next,
    "that of nothing": lambda v, next: sha256(b""),
    "a short one": lambda v, next: v[:-1],
    "a long one": lambda v, next: v + b"\0",
}
# Of bytes, at a place in them.
BYTES = {
    "a bit other": lambda v, at: v[:at] + bytes([v[at] ^ 1]) + v[at + 1 :],
    "a high bit other": lambda v, at: v[:at] + bytes([v[at] ^ 128]) + v[at + 1 :],
    "zeros": lambda v, at: v[:at] + bytes(len(v[at : at + 16])) + v[at + 16 :],
    "ones": lambda v, at: v[:at] + b"\xff" * len(v[at : at + 16]) + v[at + 16 :],
    "a byte less": lambda v, at: v[:at] + v[at + 1 :],
    "a byte more": lambda v, at: v[:at] + b"\0" + v[at:],
    "a block less": lambda v, at: v[:at] + v[at + 512 :],
    "a block twice": lambda v, at: v[: at + 512] + v[at:],
    "the end": lambda v, at: v[:at],
}
# Of a list, at a place in it.
LISTS = {
    "one missing": lambda v, at: v[:at] + v[at + 1 :],
    "one twice": lambda v, at: v[: at + 1] + v[at:],
    "one twice, the other far": lambda v, at: [*v, v[at]],
    "two in each other's place": lambda v, at: v[:at] + v[at : at + 2][::-1] + v[at + 2 :],
    "one first": lambda v, at: [v[at], *v[:at], *v[at + 1 :]],
    "one last": lambda v, at: [*v[:at], *v[at + 1 :], v[at]],
    "one in the next one's place": lambda v, at: v[: at + 1] + v[at : at + 1] + v[at + 2 :],
    "the rest missing": lambda v, at: v[: at + 1],
    "the rest in reverse": lambda v, at: v[:at] + v[at:][::-1],
    "those before missing": lambda v, at: v[at:],
    "a thousand of one": lambda v, at: v[:at] + v[at : at + 1] * 1000 + v[at + 1 :],
    "none": lambda v, at: [],
}
TYPES = {f"{kind!r}": lambda v, next, kind=kind: bytes([kind]) for kind in b"1234567xgLKSVDNMA\0 \xff"}
JSON = {
    **{f"{value!r}": lambda v, next, value=value: value for value in (None, True, -1, 1.5, 1e300, "x", [], {}, [[]])},
    "a digit of another kind": lambda v, next: "\u0661",
    "half a surrogate": lambda v, next: "\ud800",
    "a long text": lambda v, next: "x" * 40000,
    "it in a list": lambda v, next: [v],
    "no end of depth": lambda v, next: functools.reduce(lambda inner, _: [inner], range(300), v),
}
# Of bytes that are one of several, in their middle.
BYTES_OF_EACH = {what: lambda v, next, lie=lie: lie(v, len(v) // 2) for what, lie in BYTES.items()}
# Things that do not belong where they stand.
STRAY = {
    "a byte": b"x",
    "a block of zeros": bytes(512),
    "the end of an archive": END,
    "a licence": file(b"licenses/stray", b"a stray licence"),
    "a licence that climbs out": file(b"licenses/../../stray", b"a stray licence"),
    "a link": forge.header(b"licenses/stray", 0, b"2", link=b"/etc/passwd"),
    "a pax header": pax(record(b"path", b"licenses/stray")),
    "a list": file(b"SHA256SUMS", b""),
    "a trailer": file(b"backup.json", b"{}"),
}
STRAY_FRAMES = {
    "a byte": b"x",
    "zeros": bytes(512),
    "the beginning of a frame": forge.FRAME_MAGIC,
    "a frame of nothing": b"\x28\xb5\x2f\xfd\x24\0\1\0\0\x99\xe9\xd8\x51",
    "a skippable frame": struct.pack("<II", 0x184D2A50, 4) + b"skip",
    "a skippable frame of no end": struct.pack("<II", 0x184D2A50, MAX32) + b"skip",
    "an empty seek table": forge.table([]),
    "a seek table of one": forge.table([(1, 1)]),
}
