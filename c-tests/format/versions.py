"""A backup of another version: a later major one, and the one that was never released, are refused as such, never as
damage; a later minor one is read.

LICBAK_SO names the library. The later backup is one of today's, put together again with another backup.json.
"""

import pathlib
import sys
import tempfile

import forge
import operations

S_OK, HRESULT_ERROR_REVISION_MISMATCH = 0, 0x8007051A

checks = 0


def check(value, expected, what):
    global checks
    checks += 1
    if value != expected:
        sys.exit(f"{__file__}: {what}: expected {expected!r}, got {value!r}")


def main():
    if forge.libzstd() is None:
        print("versions: skipped: all (libzstd.so.1 is not installed)", file=sys.stderr)
        return
    with tempfile.TemporaryDirectory() as directory:
        root = pathlib.Path(directory)
        (root / "store").mkdir()
        for number in range(20):
            (root / "store" / f"{number}.lic").write_text(f"licence {number}")
        check(operations.outcome("backup_licenses", StorePath=root / "store", BackupPath=root), S_OK, "backup")
        today = forge.Parts((root / "licenses.tar.zst").read_bytes())
        check(today.trailer["version"], [1, 1], "the version of today")
        for version in (1, 0), (1, 7), (2, 0), (9, 9):
            expected = S_OK if version == (1, 7) else HRESULT_ERROR_REVISION_MISMATCH
            backup = today.build(trailer=lambda trailer: trailer | {"version": version})
            (root / "licenses.tar.zst").write_bytes(backup)
            what = f"a backup of version {version}"
            check(operations.outcome("verify_backup", RestorePath=root), expected, f"verify of {what}")
            target = root / f"target-{version[0]}-{version[1]}"
            outcome = operations.outcome("restore_licenses", RestorePath=root, StorePath=target)
            check(outcome, expected, f"restore of {what}")
            check(target.exists(), expected == S_OK, f"existence of the store restored from {what}")
    print(f"versions: {checks} checks passed")


main()
