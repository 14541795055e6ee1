"""A backup of a later version: a major one is refused as such, never as damage; a minor one is read.

LICBAK_SO names the library. The later backup is made from one of today's by rewriting backup.json, which is
alone in the last frame, and the seek table behind it. It needs the program zstd.
"""

import ctypes
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile

S_OK, HRESULT_ERROR_REVISION_MISMATCH = 0, 0x8007051A
FOREVER = 0xFFFFFFFF

hresult = ctypes.c_uint32
status_callback = ctypes.CFUNCTYPE(
    hresult, ctypes.c_uint32, hresult, ctypes.c_uint32, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p
)

checks = 0


def check(value, expected, what):
    global checks
    checks += 1
    if value != expected:
        sys.exit(f"{__file__}: {what}: expected {expected:#x}, got {value:#x}")


@status_callback
def go_on(status, hr, datatype, value, size, context):
    return S_OK


def run(licbak, operation, **properties):
    """The outcome of one operation of a new restorer."""
    restorer, outcome = ctypes.c_void_p(), hresult()
    check(licbak.licbak_create(ctypes.byref(restorer)), S_OK, "create")
    for name, path in properties.items():
        check(licbak.licbak_set_prop_string(restorer, name.encode(), os.fsencode(path)), S_OK, "set_prop")
    check(getattr(licbak, operation)(restorer, 0, go_on, None), S_OK, operation)
    check(licbak.licbak_wait(restorer, ctypes.c_uint32(FOREVER), ctypes.byref(outcome)), S_OK, "wait")
    check(licbak.licbak_destroy(restorer), S_OK, "destroy")
    return outcome.value


def zstd(data, *arguments):
    return subprocess.run(["zstd", "-cq", *arguments], input=data, capture_output=True, check=True).stdout


def rewrite_trailer(data, change):
    """The backup with backup.json changed to something of the same length, and a seek table that fits."""
    count, flags, _ = struct.unpack("<IBI", data[-9:])
    entry = 12 if flags & 0x80 else 8
    table = len(data) - 9 - count * entry - 8
    last = table - struct.unpack_from("<I", data, table + 8 + (count - 1) * entry)[0]
    old = zstd(data[last:table], "-d")
    new = change(old)
    assert new != old and len(new) == len(old)
    frame = zstd(new, f"--stream-size={len(new)}", "--check")
    tail = bytearray(data[table:])
    struct.pack_into("<I", tail, 8 + (count - 1) * entry, len(frame))
    return data[:last] + frame + bytes(tail)


def with_version(version):
    def change(trailer):
        for old in b"[1,0]", b"[1, 0]":
            if old in trailer:
                return trailer.replace(old, b"[%d,%d]" % version + b" " * (len(old) - 5), 1)
        sys.exit("backup.json: expected version [1,0]")

    return change


def main():
    if shutil.which("zstd") is None:
        print("versions: skipped: all (zstd is not installed)", file=sys.stderr)
        return
    licbak = ctypes.CDLL(os.environ["LICBAK_SO"])
    for name in "create destroy set_prop_string backup_licenses verify_backup restore_licenses wait".split():
        getattr(licbak, "licbak_" + name).restype = hresult
    with tempfile.TemporaryDirectory() as directory:
        root = pathlib.Path(directory)
        (root / "store").mkdir()
        for number in range(20):
            (root / "store" / f"{number}.lic").write_text(f"licence {number}")
        check(run(licbak, "licbak_backup_licenses", StorePath=root / "store", BackupPath=root), S_OK, "backup")
        today = (root / "licenses.tar.zst").read_bytes()
        for version in (1, 7), (2, 0), (9, 9):
            expected = S_OK if version[0] == 1 else HRESULT_ERROR_REVISION_MISMATCH
            (root / "licenses.tar.zst").write_bytes(rewrite_trailer(today, with_version(version)))
            what = f"a backup of version {version}"
            check(run(licbak, "licbak_verify_backup", RestorePath=root), expected, f"verify of {what}")
            target = root / f"target-{version[0]}"
            outcome = run(licbak, "licbak_restore_licenses", RestorePath=root, StorePath=target)
            check(outcome, expected, f"restore of {what}")
            check(target.exists(), expected == S_OK, f"existence of the store restored from {what}")
    print(f"versions: {checks} checks passed")


main()
