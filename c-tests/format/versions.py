"""A backup of another version: a later major one, and the one that was never released, are refused as such, never as
damage; a later minor one is read. A licence with several key IDs is found by each.

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
        several_key_ids(root, today)
    print(f"versions: {checks} checks passed")


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
