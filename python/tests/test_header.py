"""What _c.py repeats of the header is what the header says."""

from __future__ import annotations

import csv
import ctypes
import enum
import re
from pathlib import Path

import pytest

import licbak
from licbak import _c

PROJECT = Path(__file__).parents[2]
HEADER = (PROJECT / "include" / "licbak.h").read_text()

with open(PROJECT / "c-tests" / "calls" / "constants.csv") as file:
    CONSTANTS = {row["name"]: int(row["value"], 0) for row in csv.DictReader(file)}


@pytest.mark.parametrize(
    ("kind", "prefix"),
    [
        (_c.Hr, ""),
        (_c.Status, ""),
        (_c.Flag, ""),
        (_c.Datatype, ""),
        (licbak.Right, "RIGHT_"),
        (licbak.Format, "FORMAT_"),
        (licbak.Machine, "MACHINE_"),
        (licbak.Phase, "PHASE_"),
    ],
)
def test_constants(kind: type[enum.IntEnum], prefix: str) -> None:
    ours = {prefix + member.name: int(member) for member in kind}
    ours.pop("PHASE_STARTING", None)  # the header's "0 before the first"
    assert ours == {name: CONSTANTS[name] for name in ours}


def test_the_version_of_the_binary_interface() -> None:
    assert f"#define LICBAK_ABI_VERSION {_c.ABI_VERSION}u" in HEADER


C_TYPES = {
    "size_t": ctypes.c_size_t,
    "uint64_t": ctypes.c_uint64,
    "int64_t": ctypes.c_int64,
    "uint32_t": ctypes.c_uint32,
    "const char *": ctypes.c_char_p,
    "const uint8_t *": ctypes.c_void_p,
    "void *": ctypes.c_void_p,
    "char [33]": ctypes.c_char * 33,
    "char [7]": ctypes.c_char * 7,
}
STRUCTS = {
    "progress": _c.Progress,
    "license": _c.License,
    "backup_info": _c.BackupInfo,
    "store": _c.Store,
}
FUNCTIONS = {"enumerate": _c.Enumerate, "get": _c.Get, "put": _c.Put, "merge": _c.Merge}


@pytest.mark.parametrize("name", STRUCTS)
def test_structs(name: str) -> None:
    body = re.search(rf"typedef struct licbak_{name} {{(.*?)\n}} licbak_{name};", HEADER, re.DOTALL)
    assert body is not None
    text = re.sub(r"/\*.*?\*/", "", body[1], flags=re.DOTALL)
    members = [" ".join(member.split()) for member in text.split(";") if member.strip()]
    fields = STRUCTS[name]._fields_
    assert len(members) == len(fields)
    for member, (field, kind, *_) in zip(members, fields):
        if function := re.match(r"licbak_hresult \(LICBAK_CALL \*(\w+)\)", member):
            assert (function[1], FUNCTIONS[field]) == (field, kind)
        else:
            found = re.match(r"(.*?)(\w+)(\[\d+\])?$", member)
            assert found is not None
            c_type = found[1].strip() + (f" {found[3]}" if found[3] else "")
            assert (found[2], C_TYPES[c_type]) == (field, kind)


def test_the_version_is_the_crates() -> None:
    assert f'#define LICBAK_VERSION "{licbak.__version__}"' in HEADER
