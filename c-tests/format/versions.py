"""A backup of another version: a later major one, and the one that was never released, are refused as such, never as
damage; a later minor one is read. A licence with several key IDs is found by each. What a backup says about itself is
told, also what this version does not write.

LICBAK_SO names the library. The later backup is one of today's, put together again with another backup.json.
"""

import ctypes
import pathlib
import sys
import tempfile

import forge
import operations
from checks import check, finish
from operations import c

S_OK, HRESULT_ERROR_REVISION_MISMATCH = 0, 0x8007051A


def info(root):
    """The outcome of licbak_get_backup_info, and what it told."""
    told = c.BackupInfo(struct_size=ctypes.sizeof(c.BackupInfo))
    restorer = operations.new_restorer({"RestorePath": str(root)})
    code = c.get_backup_info(restorer, ctypes.byref(told))
    operations.check(c.destroy(restorer))
    return code, told


def times(root, today):
    """The time of a backup, in any shape; 0 is told of what is none."""
    for created, expected in (
        ("1970-01-01T00:00:01Z", 10**9),
        ("2026-02-03T04:05:06.000000007+01:00", 1770087906 * 10**9 + 7),
        ("1969-12-31T23:59:59Z", -(10**9)),
        ("yesterday", 0),
        ("", 0),
        ("9999-12-31T23:59:59Z", 0),
    ):
        backup = today.build(trailer=lambda trailer: trailer | {"created": created})
        (root / "licenses.tar.zst").write_bytes(backup)
        code, told = info(root)
        check((code, told.created), (S_OK, expected), f"the time of a backup of {created!r}")
        check(operations.outcome("verify_backup", RestorePath=root), S_OK, f"verify of a backup of {created!r}")


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
        check(today.trailer["version"], [1, 2], "the version of today")
        for version in (1, 0), (1, 1), (1, 7), (2, 0), (9, 9):
            expected = S_OK if version == (1, 7) else HRESULT_ERROR_REVISION_MISMATCH
            backup = today.build(trailer=lambda trailer: trailer | {"version": version})
            (root / "licenses.tar.zst").write_bytes(backup)
            what = f"a backup of version {version}"
            check(operations.outcome("verify_backup", RestorePath=root), expected, f"verify of {what}")
            code, told = info(root)
            check(code, expected, f"what is told about {what}")
            stated = version if code == S_OK else (0, 0)
            check((told.version_major, told.version_minor), stated, f"the version that is told of {what}")
            target = root / f"target-{version[0]}-{version[1]}"
            outcome = operations.outcome("restore_licenses", RestorePath=root, StorePath=target)
            check(outcome, expected, f"restore of {what}")
            check(target.exists(), expected == S_OK, f"existence of the store restored from {what}")
        several_key_ids(root, today)
        times(root, today)
    finish()


def several_key_ids(root, parts):
    """Later versions may write them; this one reads them."""
    others = ["another", "a third", "7"]  # the last is that of another licence, too
    for frame in parts.frames:
        for member in frame:
            if member.line["name"] == "3.lic":
                member.line["other_key_ids"] = others
    (root / "licenses.tar.zst").write_bytes(parts.build())
    check(operations.outcome("verify_backup", RestorePath=root), S_OK, "verify of licences with several key IDs")
    found = {"3": {"3.lic"}, "another": {"3.lic"}, "a third": {"3.lic"}, "7": {"3.lic", "7.lic"}, "5": {"5.lic"}}
    for key_id, names in found.items():
        target = root / f"by {key_id}"
        outcome = operations.outcome("restore_license", key_id=key_id, RestorePath=root, StorePath=target)
        check(outcome, S_OK, f"restore by {key_id}")
        check({path.name for path in target.iterdir()}, names, f"what is restored by {key_id}")


main()
