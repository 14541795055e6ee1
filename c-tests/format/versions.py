"""A backup of a later version: a major one is refused as such, never as damage; a minor one is read.

LICBAK_SO names the library. The later backup is one of today's, put together again with another backup.json.
"""

import ctypes
import os
import pathlib
import sys
import tempfile

import forge

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
        sys.exit(f"{__file__}: {what}: expected {expected!r}, got {value!r}")


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


def main():
    if forge.libzstd() is None:
        print("versions: skipped: all (libzstd.so.1 is not installed)", file=sys.stderr)
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
        today = forge.Parts((root / "licenses.tar.zst").read_bytes())
        check(today.trailer["version"], [1, 0], "the version of today")
        for version in (1, 7), (2, 0), (9, 9):
            expected = S_OK if version[0] == 1 else HRESULT_ERROR_REVISION_MISMATCH
            backup = today.build(trailer=lambda trailer: trailer | {"version": version})
            (root / "licenses.tar.zst").write_bytes(backup)
            what = f"a backup of version {version}"
            check(run(licbak, "licbak_verify_backup", RestorePath=root), expected, f"verify of {what}")
            target = root / f"target-{version[0]}"
            outcome = run(licbak, "licbak_restore_licenses", RestorePath=root, StorePath=target)
            check(outcome, expected, f"restore of {what}")
            check(target.exists(), expected == S_OK, f"existence of the store restored from {what}")
    print(f"versions: {checks} checks passed")


main()
