"""What backups in object storage cost: requests, by kind, and bytes, of a host's first backup, a repeat, one
licence of a hundred thousand, and a verification; and which rights a host's key needs for them.

LICBAK_SO names the library. docs/object-storage.md quotes the figures and the rights.
"""

import collections
import json
import pathlib
import re
import sqlite3
import tempfile

from checks import check, check_that, finish, tell
from object_bench import (
    BUCKET,
    FULL,
    MIB,
    OVERWRITE,
    S_OK,
    WRITES,
    able,
    check_backup,
    files_below,
    large_store,
    new_bench,
    settle,
    small_store,
)

PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs/object-storage.md"
LICENSES = 100_000
USED, REQUESTS = set(), {}


def cost(bench, what, answer):
    """Tells and gives the requests since the last time, and the bytes that went there and came back."""
    check(answer["code"], S_OK, f"{what}: {answer['sentence']}")
    log = list(bench.server.log)
    bench.server.forget()
    USED.update(entry["right"] for entry in log)
    REQUESTS[what] = len(log)
    kinds = collections.Counter(entry["action"] for entry in log)
    sent, got = sum(entry["received"] for entry in log), sum(entry["sent"] for entry in log)
    counted = ", ".join(f"{number} {action}" for action, number in sorted(kinds.items()))
    tell(what, f"{len(log)} requests ({counted}), {sent} bytes sent, {got} received")
    return len(log), kinds, sent, got


def leave_upload(bench):
    """One that a backup of two days ago has begun, and not ended."""
    upload = bench.server.store.create_upload(BUCKET, bench.key(), {})
    bench.bucket.uploads[upload].initiated -= 2 * 24 * 60 * 60


def hosts(root):
    """A host with a dozen licences, and one with 27 MiB."""
    for what, licenses in ("a dozen licences", small_store()), ("27 MiB", large_store()):
        bench = new_bench(root, what, licenses)
        size = sum(len(content) for content in licenses.values())
        requests, kinds, sent, _ = cost(bench, f"first backup of {what}", bench.back_up())
        found = check_backup(bench, licenses)
        written = sum(number for action, number in kinds.items() if action in WRITES)
        parts = -(-len(found.content) // (16 * MIB))
        check(written, 1 if parts == 1 else parts + 2, f"requests that write {what}")
        check_that(sent < len(found.content) + requests * 2000, f"bytes sent for {what}")
        settle()
        leave_upload(bench)
        cost(bench, f"second backup of {what}", bench.back_up(OVERWRITE))
        _, kinds, sent, _ = cost(bench, f"repeat of {what}, unchanged", bench.back_up(OVERWRITE))
        check_that(not WRITES & set(kinds) and sent < 20_000, f"nothing is written, {sent} bytes sent")
        (bench.store / "new.lic").write_bytes(b"new")
        _, _, sent, _ = cost(bench, f"repeat of {what}, one licence new", bench.back_up(OVERWRITE))
        check_backup(bench, files_below(bench.store))
        check_that(sent < max(size * 2, 12 * MIB), f"{sent} bytes sent for one licence")
        _, _, _, got = cost(bench, f"full backup over {what}", bench.back_up(OVERWRITE | FULL))
        check_that(got < MIB, f"{got} bytes read of what nothing is taken over from")
        _, _, _, got = cost(bench, f"verification of {what}", bench.read("verify_backup"))
        check_that(got < len(bench.object().content) * 1.5 + MIB, f"{got} bytes read to verify")
        bench.close()


def one_of_many(root):
    """One licence out of a hundred thousand: no more than a few reads of a file."""
    bench = new_bench(root, "many", {})
    bench.store = bench.root / "store.db"
    connection = sqlite3.connect(bench.store)
    connection.execute("CREATE TABLE license(name TEXT PRIMARY KEY, content BLOB NOT NULL)")
    rows = ((f"{number % 100}/{number}.lic", f"licence {number} ".encode() * 40) for number in range(LICENSES))
    connection.executemany("INSERT INTO license VALUES (?, ?)", rows)
    connection.commit()
    connection.close()
    cost(bench, "first backup of 100,000", bench.back_up())
    answer, held = bench.restored("restore_license", request={"key_id": "4321"})
    requests, _, _, got = cost(bench, "one licence of 100,000", answer)
    check(held, {"21/4321.lic": b"licence 4321 " * 40}, "the licence")
    check_that(requests <= 12 and got < 4 * MIB, f"{requests} requests, {got} bytes")
    requests, _, _, got = cost(bench, "info of 100,000", bench.read("info"))
    check_that(requests <= 4 and got < MIB, f"{requests} requests, {got} bytes")
    cost(bench, "list of 100,000", bench.read("list"))
    bench.close()


def figures(root):
    """What the page says of requests is what was counted."""
    rows = re.findall(r"^\| ([^|]+) \| ([0-9]+) \|", PAGE.read_text(), re.MULTILINE)
    check_that(len(rows) > 5, f"rows with figures: {rows}")
    check({what: int(number) for what, number in rows}, {what: REQUESTS.get(what) for what, _ in rows}, "requests")


def rights(root):
    """What the page says that a key needs is enough, even where the server tells nothing more, and no more
    than is used."""
    policies = [json.loads(block) for block in re.findall("```json\n(.*?)```", PAGE.read_text(), re.DOTALL)]
    allowed = {right for policy in policies for one in policy["Statement"] for right in one["Action"]}
    check(allowed, USED | {"s3:ListBucket"}, "the rights that the page names")
    bench = new_bench(root, "rights", small_store())
    bench.server.rights = allowed
    check(bench.back_up()["code"], S_OK, "a backup with these rights")
    bench.store = bench.root / "store"
    for name, content in large_store().items():
        (bench.store / name).write_bytes(content)
    for _ in range(2):
        check(bench.back_up(OVERWRITE)["code"], S_OK, "a backup over it with these rights")
        (bench.store / "new.lic").write_bytes(b"new")
    check(bench.read("verify_backup")["code"], S_OK, "a verification with these rights")
    bench.close()


def main():
    with tempfile.TemporaryDirectory() as directory:
        for job in hosts, one_of_many, figures, rights:
            job(directory)
    finish()


if able():
    main()
