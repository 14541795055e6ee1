"""Databases where the caller may not write: what is in them is backed up all the same, and nothing
else is."""

import os
import random
import shutil
import signal
import time

from databases import *

WAL = ["PRAGMA journal_mode = WAL"]
ROWS = [(f"{i:03}", b"%03d" % i, None, None) for i in range(60)]
CONTENTS = {name: content for name, content, *_ in ROWS}


def with_log(path):
    """A database whose last row is in its log only, as its host left them when it died."""
    live = make(path.with_name(f"live {path.name}"), ROWS[:-1], before=WAL)
    host = sqlite3.connect(live, isolation_level=None)
    host.execute("INSERT INTO license VALUES (?, ?, ?, ?)", ROWS[-1])
    for suffix in "", "-wal", "-shm":
        shutil.copy(f"{live}{suffix}", f"{path}{suffix}")
    host.close()
    live.unlink()
    return path


def broken_off(path):
    """A database in the middle of a write, which its journal takes back."""
    live = make(path.with_name(f"live {path.name}"), ROWS)
    host = sqlite3.connect(live, isolation_level=None)
    for statement in "PRAGMA cache_size = 1", "PRAGMA cache_spill = 1", "BEGIN", "UPDATE license SET content = x'00'":
        host.execute(statement).fetchone()
    host.execute("INSERT INTO license SELECT 'x' || name || i, zeroblob(3000), NULL, NULL FROM license, (SELECT 1 AS i UNION SELECT 2)")
    for suffix in "", "-journal":
        shutil.copy(f"{live}{suffix}", f"{path}{suffix}")
    host.close()
    live.unlink()
    return path


def read_only_disks():
    names = ["plain.db", "no extension", "a?mode=memory#b.db", "a%20b.db", "käse\n.db", "b\\c.db"]
    with place() as root:
        backups = root / "backups"

        def read_only(disk):
            stores = [make(disk / name, ROWS, before=WAL) for name in names]
            stores.append(with_log(disk / "log and index.db"))
            stores.append(with_log(disk / "log.db"))
            (disk / "log.db-shm").unlink()
            stores.append(make(disk / "empty log.db", ROWS, before=WAL))
            (disk / "empty log.db-wal").touch()
            stores.append(make(disk / "old index.db", ROWS, before=WAL))
            (disk / "old index.db-shm").write_bytes(bytes(32768))
            stores.append(make(disk / "rollback.db", ROWS))
            stores.append(root / "link.db")
            stores[-1].symlink_to(disk / "log.db")
            cut_off = broken_off(disk / "broken off.db")
            check_that(cut_off.with_name("broken off.db-journal").stat().st_size > 512, "a journal")
            if not make_read_only(disk):
                return skip("databases on read-only disks", "they can't be made so")
            before = files_below(disk)
            for store in stores:
                run = back_up(store, backups)
                check(run.code, "S_OK", f"{store.name!r}: {run.text}")
                check(restored(backups), CONTENTS, f"the licences of {store.name!r}")
            run = back_up(cut_off, backups)
            check(run.code, "ERROR_WRITE_PROTECT", run.text)
            check_words(run.text, f"'{cut_off}'", f"'{cut_off}-journal'", "Copy it")
            check(files_below(disk), before, "what is there")

        with_own_disk(root / "disk", b"size=4m", "databases on read-only disks", read_only)


def store_of_another(root, rows):
    """A database that others may read, in a folder where they may not write."""
    folder = root / "folder"
    folder.mkdir(mode=0o755)
    store = make(folder / "x.db", rows, before=WAL)
    os.chmod(store, 0o644)
    return store


def folders_of_others():
    """A reader that may not write sees all that was committed, also what is in the log of a host at
    work; and leaves nothing there."""
    with place() as root:
        other = as_another_user(root)
        if other is None:
            return
        store = store_of_another(root, ROWS[:-1])
        run = back_up(store, root / "backups", **other)
        check(run.code, "S_OK", run.text)
        os.chmod(root / "backups/licenses.tar.zst", 0o644)
        check(restored(root / "backups"), dict(list(CONTENTS.items())[:-1]), "the licences")
        check(list(files_below(store.parent)), ["x.db"], "what is left behind")
        host = sqlite3.connect(store, isolation_level=None)
        host.execute("INSERT INTO license VALUES (?, ?, ?, ?)", ROWS[-1])
        run = back_up(store, root / "backups", **other)
        check(run.code, "S_OK", run.text)
        check(restored(root / "backups"), CONTENTS, "the licences, some in the log")
        host.close()


def written_meanwhile():
    """A host opens the database, writes and closes it, again and again: whatever can't be locked is
    read whole, or not at all."""
    rows = [(f"{i:04}", bytes(4000), None, None) for i in range(1000)]
    counts = {}
    with place() as root:
        other = as_another_user(root)
        if other is None:
            return
        store = store_of_another(root, rows)
        host = os.fork()
        if host == 0:
            number = 0
            while True:
                number += 1
                with opened(store) as connection:
                    connection.execute("PRAGMA synchronous = OFF")
                    connection.execute("UPDATE license SET content = ?", [b"%04d" % (number % 10000) * 1000])
                time.sleep(random.uniform(0, 0.1))
        try:
            for number in range(15):
                time.sleep(random.uniform(0, 0.1))
                run = back_up(store, root / "backups", **other)
                check_that(run.code in ("S_OK", "ERROR_SHARING_VIOLATION"), f"{number}: {run.text}")
                counts[run.code] = counts.get(run.code, 0) + 1
                if run.code == "S_OK":
                    contents = restored(root / "backups")
                    check((len(contents), len(set(contents.values()))), (len(rows), 1), f"the licences of one moment, {number}")
        finally:
            os.kill(host, signal.SIGKILL)
            os.waitpid(host, 0)
    tell("backups of a database that can't be locked", ", ".join(f"{count} {code}" for code, count in sorted(counts.items())))


def main():
    for test in read_only_disks, folders_of_others, written_meanwhile:
        test()
    finish()


main()
