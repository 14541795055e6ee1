"""Backups made to do harm, composed of a structure of the format, a lie and a place.

A structure is the values that a backup has of one kind, with a function that makes the backup with
other values; everything that follows from them is made to fit. It meets every lie of its kind at
every place. So `structures` is where a part of the format is added, and the tables are where a lie
is. Facts are told by several structures at once, and here by some of them otherwise than by others.
"""

import itertools
import json
import struct
from collections import namedtuple

import forge
from forge import END, Member, pax, record, sha256
from lies import (
    BYTES,
    BYTES_OF_EACH,
    DIGESTS,
    JSON,
    LISTS,
    MAX32,
    MAX64,
    NUMBERS,
    STRAY,
    STRAY_FRAMES,
    TEXTS,
    TYPES,
)

# -- places ---------------------------------------------------------------------------------------------------

PLACES = {"first": lambda count: 0, "middle": lambda count: count // 2, "last": lambda count: count - 1}


def places(count):
    """Places among so many by name, none twice."""
    found = {}
    for name, place in PLACES.items():
        if count > 0 and place(count) not in found.values():
            found[name] = place(count)
    return found


def put(values, at, value):
    return [*values[:at], value, *values[at + 1 :]]


# -- structures -----------------------------------------------------------------------------------------------

# `lies` are those of its kind; `make` makes a backup of all values, `licenses` what it then holds.
Structure = namedtuple("Structure", "name lies values make licenses", defaults=(None,))
Case = namedtuple("Case", "what make licenses")

FIELDS = {
    "name": (0, 100), "mode": (100, 8), "owner": (108, 8), "size": (124, 12), "time": (136, 12), "sum": (148, 8),
    "type": (156, 1), "link": (157, 100), "magic": (257, 8), "user": (265, 32), "device": (329, 8), "prefix": (345, 155),
}  # fmt: skip


def octal(number, width):
    """The digits of a field; what they have no room for as GNU tar writes it."""
    if 0 <= number < 8 ** (width - 1):
        return b"%0*o\0" % (width - 1, number)
    return (number % (1 << 8 * width - 1) | 1 << 8 * width - 1).to_bytes(width, "big")


def field_of(block, field):
    start, width = FIELDS[field]
    return block[start : start + width].rstrip(b"\0 ")


def with_field(member, field, value):
    """A member whose first block says `value`, with the checksum that belongs to it."""
    start, width = FIELDS[field]
    block = bytearray(member[:512])
    block[start : start + width] = value.ljust(width, b"\0")[:width]
    if field != "sum":
        block[148:156] = b" " * 8
        block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block) + member[512:]


def text(value):
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value


def to_json(value):
    try:
        return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # half a surrogate, which is told by its number
        return json.dumps(value).encode()


def stored(content, size=None, length=None, kind=0, is_last=1):
    """A frame of one raw block, or of what is said to be one."""
    size, length = len(content) if size is None else size, len(content) if length is None else length
    block = (length << 3 | kind << 1 | is_last) & 0xFFFFFF
    start = forge.FRAME_MAGIC + b"\xa4" + struct.pack("<I", size & MAX32) + block.to_bytes(3, "little")
    return start + content + forge.compress(content)[-4:]


class Composer:
    def __init__(self, parts):
        self.parts, self.contents = parts, []
        self.members = parts.members()
        told = {}
        take = lambda part: lambda value: told.setdefault(part, value)
        names = "stream", "sums", "lines", "restricted", "counts", "records", "states", "digests", "trailer", "bytes"
        self.good = self.build(**{name: take(name) for name in (*names, "entries", "json")})
        self.told = told
        self.licenses = self.held_by(self.members)

    def held_by(self, members):
        """What a backup of these holds."""
        found = {}
        for member in members:
            content = next(content for *_, content, _ in forge.members_of(member.data + END))
            found[member.line["name"]] = content
        return found

    def build(self, **change):
        """The backup; the contents of its frames are kept."""

        def pack(number, content):
            self.contents.append(content)
            return forge.compress(content)

        return self.parts.build(**{"packed": pack} | change)

    def of_members(self, members):
        return self.build(frames=lambda _: [members[i : i + 4] for i in range(0, len(members), 4)])

    def of_data(self, data):
        """The backup with other bytes of the members than the lists tell of."""
        changed = iter(data)
        swap = lambda member: Member(next(changed), member.line, member.digest)
        return self.build(frames=lambda frames: [[swap(member) for member in frame] for frame in frames])

    def structures(self):
        yield from self.tar()
        yield from self.pax_headers()
        yield from self.lists()
        yield from self.index()
        yield from self.states()
        yield from self.trailer()
        yield from self.frames()
        yield from self.table()

    # -- tar

    def some_members(self, numbers, change):
        """Makes the backup where members of these numbers are changed to some values."""

        def make(values):
            data = [member.data for member in self.members]
            for number, value in zip(numbers, values):
                data[number] = change(data[number], value)
            return self.of_data(data)

        return make

    def tar(self):
        plain = [i for i, m in enumerate(self.members) if field_of(m.data, "type") == b"0"]
        for field, lies in {
            "size": NUMBERS, "time": NUMBERS, "mode": NUMBERS, "owner": NUMBERS, "device": NUMBERS, "sum": NUMBERS,
            "name": TEXTS, "prefix": TEXTS, "link": TEXTS, "magic": TEXTS, "user": TEXTS, "type": TYPES,
        }.items():  # fmt: skip
            width = FIELDS[field][1]
            values = [field_of(self.members[i].data, field) for i in plain]
            encode = lambda value: value
            if lies is NUMBERS:
                values = [int(value or b"0", 8) for value in values]
                encode = lambda value, width=width: octal(value, width)

            def change(data, value, field=field, encode=encode):
                return with_field(data, field, encode(value))

            yield Structure(f"tar header: {field}", lies, values, self.some_members(plain, change))
        yield Structure("members", LISTS, self.members, self.of_members, self.held_by)
        data = [member.data for member in self.members]
        groups = lambda data: [b"".join(data[i : i + 4]) for i in range(0, len(data), 4)]
        of_stream = lambda data: self.build(stream=lambda _: groups(data))
        yield Structure("members, not in the lists", LISTS, data, of_stream)
        yield Structure("frames of licences", LISTS, self.told["stream"], lambda s: self.build(stream=lambda _: s))
        for what, stray in STRAY.items():
            add = {f"{what} before one": lambda v, at, stray=stray: v[:at] + [stray] + v[at:]}
            add |= {f"{what} behind one": lambda v, at, stray=stray: v[: at + 1] + [stray] + v[at + 1 :]}
            yield Structure("members", add, data, of_stream)
            for name in "SHA256SUMS", "index", "frames":
                for where, place in (
                    ("before", lambda p, s: [s + p[0], *p[1:]]),
                    ("behind", lambda p, s: [*p[:-1], p[-1] + s]),
                ):
                    change = lambda of, p, name=name, place=place, stray=stray: place(p, stray) if of == name else p
                    lie = {f"{what} {where} it": lambda v, at, change=change: change}
                    yield Structure(name, lie, [name], lambda change: self.build(pieces=change))
            ends = {f"{what} before it": lambda v, at, stray=stray: stray + v}
            ends |= {f"{what} behind the end": lambda v, at, stray=stray: v + stray}
            ends |= {f"{what} before the end": lambda v, at, stray=stray: v[:-1024] + stray + END}
            yield Structure("the last frame", ends, None, lambda change: self.build(last=lambda v: change(v, 0)))

    def pax_headers(self):
        long = [i for i, m in enumerate(self.members) if field_of(m.data, "type") == b"x"]
        size_of = lambda data: int(field_of(data, "size"), 8)
        rest = lambda data: data[512 + size_of(data) + -size_of(data) % 512 :]
        records = lambda data: data[512 : 512 + size_of(data)]
        value_of = lambda data: records(data).partition(b"=")[2][:-1]
        own = [self.members[i].data for i in long]
        made = lambda change: self.some_members(long, change)
        yield Structure(
            "pax header: path",
            TEXTS,
            list(map(value_of, own)),
            made(lambda data, value: pax(record(b"path", value)) + rest(data)),
        )
        yield Structure(
            "pax header: key",
            TEXTS,
            [b"path"] * len(own),
            made(lambda data, key: pax(record(key, value_of(data))) + rest(data)),
        )
        yield Structure(
            "pax header: length of a record",
            NUMBERS,
            [len(records(data)) for data in own],
            made(lambda data, value: pax(b"%d path=%s\n" % (value, value_of(data))) + rest(data)),
        )
        yield Structure(
            "pax header: its own size",
            NUMBERS,
            list(map(size_of, own)),
            made(lambda data, value: with_field(data, "size", octal(value, 12))),
        )
        yield Structure(
            "pax header: size",
            NUMBERS,
            [size_of(rest(data)) for data in own],
            made(lambda data, value: pax(records(data) + record(b"size", b"%d" % value)) + rest(data)),
        )
        yield Structure(
            "pax header: size beside none",
            NUMBERS,
            [size_of(rest(data)) for data in own],
            made(
                lambda data, value: (
                    pax(records(data) + record(b"size", b"%d" % value)) + with_field(rest(data), "size", octal(0, 12))
                )
            ),
        )
        yield Structure(
            "pax header: type", TYPES, [b"x"] * len(own), made(lambda data, kind: with_field(data, "type", kind))
        )
        yield Structure(
            "pax header: bytes",
            BYTES_OF_EACH,
            list(map(records, own)),
            made(lambda data, value: pax(value) + rest(data)),
        )

    # -- the members behind the licences

    def lists(self):
        sums, lines = self.told["sums"], self.told["lines"]
        of_sums = lambda sums: self.build(sums=lambda _: sums)
        of_lines = lambda lines: self.build(lines=lambda _: lines)
        yield Structure("SHA256SUMS: lines", LISTS, sums, of_sums)
        yield Structure("SHA256SUMS: bytes", BYTES_OF_EACH, sums, of_sums)
        paths, digests = [line[66:-1] for line in sums], [bytes.fromhex(line[:64].decode()) for line in sums]
        yield Structure(
            "SHA256SUMS: path",
            TEXTS,
            paths,
            lambda paths: of_sums([line[:66] + path + b"\n" for line, path in zip(sums, paths)]),
        )
        yield Structure(
            "SHA256SUMS: digest",
            DIGESTS,
            digests,
            lambda digests: of_sums([digest.hex().encode() + line[64:] for line, digest in zip(sums, digests)]),
        )
        yield Structure("licenses.jsonl: lines", LISTS, lines, of_lines)
        yield Structure("licenses.jsonl: bytes", BYTES_OF_EACH, lines, of_lines)
        yield from self.json_lines("licenses.jsonl", lines, of_lines)
        restricted = self.told["restricted"].splitlines(keepends=True)
        of_restricted = lambda lines: self.build(restricted=lambda _: b"".join(lines))
        yield Structure("restricted.jsonl: lines", LISTS, restricted, of_restricted)
        yield Structure("restricted.jsonl: bytes", BYTES_OF_EACH, restricted, of_restricted)
        yield from self.json_lines("restricted.jsonl", restricted, of_restricted)
        digests = self.told["digests"]
        digests = [digests[i : i + 32] for i in range(0, len(digests), 32)]
        of_digests = lambda digests: self.build(digests=lambda _: b"".join(digests))
        yield Structure("frames: digests", LISTS, digests, of_digests)
        yield Structure("frames: digest", DIGESTS, digests, of_digests)

    def json_lines(self, name, lines, make):
        told = [json.loads(line) for line in lines]
        for key in told[0]:

            def of(values, key=key):
                return make([to_json(line | {key: text(value)}) + b"\n" for line, value in zip(told, values)])

            values = [line[key] for line in told]
            yield Structure(f"{name}: {key}", JSON, values, of)
            if isinstance(values[0], int):
                yield Structure(f"{name}: {key}", NUMBERS, values, of)
            else:
                yield Structure(f"{name}: {key}", TEXTS, [(value or "").encode() for value in values], of)
            lack = {f"no {key}": lambda v, at, key=key: put(v, at, {k: x for k, x in v[at].items() if k != key})}
            yield Structure(name, lack, told, lambda told: make([to_json(line) + b"\n" for line in told]))

    def index(self):
        counts, records = self.told["counts"], [struct.unpack("<II", one) for one in self.told["records"]]
        of_counts = lambda counts: self.build(counts=lambda _: counts)
        encode = lambda license, hint: struct.pack("<II", license & MAX32, hint & MAX32)
        of_records = lambda records: self.build(records=lambda _: [encode(*one) for one in records])
        yield Structure("index: counts", LISTS, counts, of_counts)
        yield Structure("index: count", NUMBERS, counts, of_counts)
        yield Structure("index: records", LISTS, records, of_records)
        for number, name in enumerate(("licence", "hint")):
            of = lambda values, number=number: of_records([put(one, number, v) for one, v in zip(records, values)])
            yield Structure(f"index: {name}", NUMBERS, [one[number] for one in records], of)
            # The records ascend all the same.
            of = lambda values, number=number: of_records(
                sorted((put(one, number, v & MAX32) for one, v in zip(records, values)), key=lambda one: one[::-1])
            )
            yield Structure(f"index: {name}, in order", NUMBERS, [one[number] for one in records], of)
        whole = b"".join(struct.pack("<I", count) for count in counts) + forge.laid_out(self.told["records"])
        yield Structure("index: bytes", BYTES, whole, lambda whole: self.build(index=lambda _: whole))

    def states(self):
        state, count = self.told["states"], len(self.members)
        records, lines = (
            forge.states_in(state, count),
            state[forge.STATE * count :].splitlines(keepends=True),
        )
        made = lambda records, lines: self.build(
            states=lambda _: forge.to_states((p & MAX64, s & MAX32) for p, s in records) + b"".join(lines)
        )
        yield Structure("state: records", LISTS, records, lambda records: made(records, lines))
        yield Structure("state: lines", LISTS, lines, lambda lines: made(records, lines))
        yield Structure("state: bytes", BYTES, state, lambda state: self.build(states=lambda _: state))
        for number, name in enumerate(("proof", "size")):
            of = lambda values, number=number: made([put(one, number, v) for one, v in zip(records, values)], lines)
            yield Structure(f"state: {name}", NUMBERS, [one[number] for one in records], of)
        yield from self.json_lines("state", lines[:1], lambda changed: made(records, [*changed, *lines[1:]]))

    # -- the trailer

    def trailer(self):
        trailer = self.told["trailer"]
        yield Structure("backup.json: bytes", BYTES, self.told["json"], lambda new: self.build(json=lambda _: new))
        of_trailer = lambda change: self.build(json=lambda _: to_json(trailer | change) + b"\n")
        for key, value in trailer.items():
            of = lambda values, key=key: of_trailer({key: text(values[0])})
            yield Structure(f"backup.json: {key}", JSON, [value], of)
            if isinstance(value, int):
                yield Structure(f"backup.json: {key}", NUMBERS, [value], of)
            elif isinstance(value, str):
                yield Structure(f"backup.json: {key}", TEXTS, [value.encode()], of)
            elif isinstance(value, list):
                yield Structure(f"backup.json: {key}", LISTS, value, lambda values, key=key: of_trailer({key: values}))
        for key in "version", "index":
            of = lambda values, key=key: of_trailer({key: values})
            yield Structure(f"backup.json: {key} number", NUMBERS, trailer[key], of)
        entries = trailer["members"]
        for key in entries[0]:

            def of(values, key=key):
                new = lambda value: value.hex() if key == "sha256" and isinstance(value, bytes) else text(value)
                return of_trailer({"members": [entry | {key: new(v)} for entry, v in zip(entries, values)]})

            values = [entry[key] for entry in entries]
            yield Structure(f"backup.json: a member's {key}", JSON, values, of)
            if key == "sha256":
                yield Structure(f"backup.json: a member's {key}", DIGESTS, list(map(bytes.fromhex, values)), of)
            elif isinstance(values[0], int):
                yield Structure(f"backup.json: a member's {key}", NUMBERS, values, of)
            else:
                yield Structure(f"backup.json: a member's {key}", TEXTS, [value.encode() for value in values], of)

    # -- frames and the seek table

    def frames(self):
        frames, sizes = self.told["bytes"], [size for _, size in self.told["entries"]]
        both = list(zip(frames, sizes))
        entries = lambda both: [(len(frame), size) for frame, size in both]
        of_frames = lambda both: self.build(bytes=lambda _: [f for f, _ in both], entries=lambda _: entries(both))
        yield Structure("all frames", LISTS, both, of_frames)
        of_bytes = lambda frames: of_frames(list(zip(frames, sizes)))
        yield Structure("frames: bytes", BYTES_OF_EACH, frames, of_bytes)
        # Altered before digests are made of them.
        packed = lambda change: self.build(packed=lambda number, content: change(number, forge.compress(content)))
        of_packed = lambda new: packed(lambda number, frame: new[number] if new[number] != frames[number] else frame)
        yield Structure("frames: bytes with a digest", BYTES_OF_EACH, frames, of_packed)
        contents = self.told["stream"]
        for what, values in {"size": list(map(len, contents)), "length": list(map(len, contents)), "kind": [0] * len(contents),
                             "is_last": [1] * len(contents)}.items():  # fmt: skip

            def of(new, what=what):
                one = lambda number, content: stored(content, **{what: new[number]} if number < len(new) else {})
                return self.build(packed=one)

            yield Structure(f"frames: {what} of a stored one", NUMBERS, values, of)
        for what, stray in STRAY_FRAMES.items():
            add = {f"{what} before one": lambda v, at, stray=stray: v[:at] + [(stray, 0)] + v[at:]}
            add |= {f"{what} behind one": lambda v, at, stray=stray: v[: at + 1] + [(stray, 0)] + v[at + 1 :]}
            yield Structure("all frames", add, both, of_frames)
            untold = lambda both: self.build(
                bytes=lambda _: [f for f, _ in both], entries=lambda _: entries([one for one in both if one[1]])
            )
            yield Structure("all frames, not in the table", add, both, untold)
            ends = {f"{what} before it": lambda v, at, stray=stray: stray + v}
            ends |= {f"{what} behind the end": lambda v, at, stray=stray: v + stray}
            yield Structure("the file", ends, None, lambda change: change(self.good, 0))
        yield Structure("the file", BYTES, self.good, lambda new: new)
        yield Structure("the file's end", BYTES, self.good[-400:], lambda new: self.good[:-400] + new)

    def table(self):
        entries = self.told["entries"]
        of_table = lambda **other: self.build(table=lambda _: forge.table(**{"entries": entries} | other))
        yield Structure("seek table: entries", LISTS, entries, lambda entries: of_table(entries=entries))
        for number, name in enumerate(("length", "size")):
            of = lambda values, number=number: of_table(
                entries=[put(entry, number, v & MAX32) for entry, v in zip(entries, values)]
            )
            yield Structure(f"seek table: {name}", NUMBERS, [entry[number] for entry in entries], of)
        fields = {"count": len(entries), "size": 8 * len(entries) + 9, "flags": 0, "magic": forge.SKIPPABLE}
        for name, value in (fields | {"footer": forge.TABLE_MAGIC}).items():
            limit = 0xFF if name == "flags" else MAX32
            of = lambda values, name=name, limit=limit: of_table(**{name: values[0] & limit})
            yield Structure(f"seek table: its {name}", NUMBERS, [value], of)

    # -- facts, each told by several

    def facts(self):
        """What is told of one licence, by some otherwise than by others."""
        for where, at in places(len(self.members)).items():
            member = self.members[at]
            name, content = member.line["name"], self.licenses[member.line["name"]]
            others = {of: value for of, value in self.licenses.items() if of != name}
            for fact, new_name, new_content in (
                ("another name", "renamed", content),
                ("a name in another folder", "f1/renamed/x", content),
                ("another content", name, content[::-1]),
                ("a longer content", name, content + b"more"),
                ("no content", name, b""),
                ("another key", name, content),
            ):
                line = member.line | {"name": new_name, "size": len(new_content)}
                line |= {"key_id": "another"} if fact == "another key" else {}
                told = Member.of(new_name, new_content, **{k: v for k, v in line.items() if k not in ("name", "size")})
                witnesses = "tar", "digest", "path", "line", "index"
                for chosen in subsets(*witnesses):
                    make = lambda chosen=chosen, told=told, at=at: self.told_by(chosen, told, at)
                    all = lambda told=told, at=at: self.told_by(witnesses, told, at)
                    new = others | {new_name: new_content}
                    # Where those who tell another fact are all that have a word for it, it is so.
                    licenses = lambda make=make, all=all, new=new: new if make() == all() else self.licenses
                    yield Case(f"{fact} of one, told by {' and '.join(chosen)}, {where}", make, licenses)
            for chosen in subsets("tar", "sums", "lines", "index", "counts"):
                make = lambda chosen=chosen, at=at: self.lacked_by(chosen, at)
                yield Case(
                    f"one that {' and '.join(chosen)} lack, {where}", make, self.licenses if len(chosen) < 5 else others
                )

    def told_by(self, chosen, new, at):
        """The backup where the chosen tell a licence's new facts."""
        is_new = lambda witness: witness in chosen
        line = new.line if is_new("line") else self.members[at].line
        data = new.data if is_new("tar") else self.members[at].data
        member = Member(data, line, self.members[at].digest)
        digest = new.digest if is_new("digest") else member.digest
        name = (new if is_new("path") else self.members[at]).line["name"]
        sum = b"%s  licenses/%s\n" % (digest.hex().encode(), name.encode())
        key_id = (new if is_new("index") else self.members[at]).line["key_id"]
        records = [one for one in self.told["records"] if struct.unpack("<II", one)[0] != at]
        records.append(struct.pack("<I", at) + sha256(key_id.encode())[:4][::-1])
        records.sort(key=lambda one: struct.unpack("<II", one)[::-1])
        members = put(self.members, at, member)
        return self.build(
            frames=lambda _: [members[i : i + 4] for i in range(0, len(members), 4)],
            sums=lambda sums: put(sums, at, sum),
            records=lambda _: records,
        )

    def lacked_by(self, chosen, at):
        members = self.members if "tar" not in chosen else put(self.members, at, Member(b""))
        lack = lambda name, values: values[:at] + values[at + 1 :] if name in chosen else values
        told, counts = self.told, list(self.told["counts"])
        if "counts" in chosen:
            for place in at // 4, len(counts) - 3, len(counts) - 2:
                counts[place] -= 1
        records = [struct.unpack("<II", one) for one in told["records"]]
        if "index" in chosen:
            records = [(n - (n > at), hint) for n, hint in records if n != at]
        count = len(self.members) - ("lines" in chosen)
        size = sum(m.line["size"] for m in self.members) - ("lines" in chosen) * self.members[at].line["size"]
        return self.build(
            frames=lambda _: [members[i : i + 4] for i in range(0, len(members), 4)],
            sums=lambda _: lack("sums", told["sums"]), lines=lambda _: lack("lines", told["lines"]),
            counts=lambda _: counts, records=lambda _: [struct.pack("<II", *one) for one in records],
            trailer=lambda trailer: trailer | {"licenses": count, "content_bytes": size},
        )  # fmt: skip

    # -- all of it

    def cases(self):
        for structure in self.structures():
            yield from composed(structure, self.licenses)
        yield from self.facts()


def subsets(*values):
    for count in range(1, len(values) + 1):
        yield from itertools.combinations(values, count)


def composed(structure, licenses):
    """A structure with each lie of its kind, at each place."""
    name, lies, values, make, held = structure
    for what, lie in lies.items():
        if values is None:  # the place is in the lie
            yield Case(f"{name}: {what}", lambda lie=lie: make(lie), licenses)
            continue
        for where, at in places(len(values)).items():
            if lies in (NUMBERS, TEXTS, DIGESTS, TYPES, JSON, BYTES_OF_EACH):
                change = lambda lie=lie, at=at: put(values, at, lie(values[at], values[(at + 1) % len(values)]))
            else:
                change = lambda lie=lie, at=at: lie(values, at)
            yield Case(
                f"{name}: {what}, {where}",
                lambda change=change: make(change()),
                licenses if held is None else lambda change=change: held(change()),
            )
