"""A database beside others that use it, and after kills: a backup holds one moment of it, a restore
all or nothing."""

import itertools
import os
import pathlib
import random
import shutil
import signal
import time

from databases import *

LICENSES, BACKUPS = 300, 12
SIZES = 1000, 5000  # bytes: small databases are copied into memory, others into a file
MODES = ["WAL", "DELETE", "TRUNCATE", "PERSIST"]
HELD = 5000  # denied licences: more events than wait for a callback


def names_in(directory):
    return sorted(path.name for path in directory.iterdir())


# -- a snapshot -----------------------------------------------------------------------------------------------


def write(path, told):
    """A host at work until it is killed: every transaction changes all licences, and replaces one
    by another."""
    connection = sqlite3.connect(path, timeout=LIMIT, isolation_level=None)
    connection.execute("PRAGMA temp_store = MEMORY")  # a temporary file has a name for a moment, and a kill leaves it
    os.write(told, b".")
    generation = 0
    while True:
        generation += 1
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("UPDATE license SET content = CAST(? || substr(content, 9) AS BLOB)", [f"{generation:08}"])
        connection.execute("UPDATE license SET name = ? WHERE name LIKE 'moving %'", [f"moving {generation:08}"])
        connection.execute("COMMIT")
        os.write(told, b".")


def commits_of(writer):
    """How many it has told since it was last asked."""
    try:
        return len(os.read(writer, 1 << 20))
    except BlockingIOError:
        return 0


def beside_a_writer(root, mode, size):
    """Each backup holds one generation and every licence; gives how many generations were seen, and
    commits."""
    rows = [(f"{i:04}", b"%08d" % 0 + bytes(size), None, None) for i in range(1, LICENSES)]
    rows.append(("moving 00000000", b"%08d" % 0, None, None))
    host, temporary = root / f"host {mode} {size}", root / "temporary"
    host.mkdir()
    store = make(host / "store.db", rows, before=[f"PRAGMA journal_mode = {mode}"])
    environment = {**os.environ, "TMPDIR": str(temporary), "SQLITE_TMPDIR": str(temporary)}
    reading, told = os.pipe()
    os.set_blocking(reading, False)
    writer = os.fork()
    if writer == 0:
        try:
            write(store, told)
        finally:
            os._exit(1)
    os.close(told)
    try:
        seen, commits = set(), 0
        while commits == 0:
            commits = commits_of(reading)
            time.sleep(0.001)
        for number in range(BACKUPS):
            run = back_up(store, root / "backups", env=environment)
            check(run.code, "S_OK", f"a backup in {mode}: {run.text}")
            commits += commits_of(reading)
            (root / "copy.db").unlink(missing_ok=True)
            check(restore(root / "backups", root / "copy.db").code, "S_OK")
            copy = query(root / "copy.db", "SELECT name, substr(content, 1, 8) FROM license")
            check(len(copy), LICENSES, f"licences in a backup in {mode}")
            generations = {generation for _, generation in copy}
            check(len(generations), 1, f"generations in a backup in {mode}")
            [generation] = generations
            moving = [name for name, _ in copy if name.startswith("moving")]
            check(moving, [f"moving {generation.decode()}"], f"the one that changes its name in {mode}")
            seen |= generations
        check(os.waitpid(writer, os.WNOHANG), (0, 0), "the writer goes on")
    finally:
        os.kill(writer, signal.SIGKILL)
        os.waitpid(writer, 0)
        os.close(reading)
    check(names_in(temporary), [], "left behind in the temporary directory")
    check_that(set(names_in(host)) <= {"store.db", "store.db-wal", "store.db-shm", "store.db-journal"}, names_in(host))
    check(query(store, "PRAGMA integrity_check"), [("ok",)], "the database")
    return len(seen), commits


def snapshots():
    with place() as root:
        (root / "temporary").mkdir()
        for mode, size in itertools.product(MODES, SIZES):
            generations, commits = beside_a_writer(root, mode, size)
            told = f"{BACKUPS} backups, of {generations} generations; {commits} commits"
            tell(f"beside a writer in {mode}, {size} bytes a licence", told)


def writers_go_on():
    """While a backup is held up in the middle a host commits at once, and the backup does not see
    it."""
    denied = [(f"a {i:05}", b"old", None, 2) for i in range(HELD)]
    with place() as root:
        for mode in MODES:
            rows = [*denied, ("z", b"old", None, None), ("z large", bytes(2 << 20), None, None)]
            store = make(root / f"{mode}.db", rows, before=[f"PRAGMA journal_mode = {mode}"])
            child = Child()
            child.ask("backup_licenses", store, root / "backups", flags=WM_BACKUP_OVERWRITE, hold_at=RESTRICTED)
            check(child.answer(), "held")
            with opened(store, timeout=0) as host:
                host.execute("UPDATE license SET content = ?", [b"new"])
                host.execute("INSERT INTO license VALUES ('z too', x'', NULL, NULL)")
            child.write("go on")
            answer = child.answer()
            child.end()
            check(answer["code"], "S_OK", answer["sentence"])
            check(len(texts(answer, RESTRICTED)), HELD, "what is denied")
            expected = {"z": b"old", "z large": bytes(2 << 20)}
            check(restored(root / "backups"), expected, f"the moment that it began, in {mode}")


def after_a_crash():
    """What a host that died has committed is there, and nothing else, though its files beside it
    are old."""
    with place() as root:
        for mode, size in itertools.product(["WAL", "DELETE"], [5000, 2 << 20]):
            store = make(root / "live.db", [("a", bytes(size), None, None)], before=[f"PRAGMA journal_mode = {mode}"])
            host = sqlite3.connect(store, isolation_level=None)
            host.execute("PRAGMA cache_size = 2")
            host.execute("INSERT INTO license VALUES ('committed', x'', NULL, NULL)")
            host.execute("BEGIN")
            rows = [(f"{i}", bytes(9000)) for i in range(50)]
            host.executemany("INSERT INTO license VALUES (?, ?, NULL, NULL)", rows)
            beside = [path for path in root.glob("live.db-*") if path.stat().st_size > 0]
            check_that(beside, "the host has files beside its database")
            for path in [store, *beside]:
                if not path.name.endswith("-shm"):
                    shutil.copy(path, root / path.name.replace("live", f"{mode} dead"))
            host.close()
            run = back_up(root / f"{mode} dead.db", root / "backups")
            check(run.code, "S_OK", run.text)
            check(sorted(restored(root / "backups")), ["a", "committed"], f"after a crash in {mode}")
            store.unlink()


# -- kills ----------------------------------------------------------------------------------------------------


class Kills:
    """Restores that are killed after a random part of the time that one takes."""

    def __init__(self, root, backups):
        self.root, self.backups, self.took, self.counts = root, backups, 0.0, {}

    def kill_one(self, store):
        # SQLite's temporary files have a name for a moment, in which a kill leaves them.
        environment = {**os.environ, "SQLITE_TMPDIR": str(self.root)}
        run = Run("restore", "--overwrite", "--quiet", self.backups, store, env=environment)
        time.sleep(random.uniform(0, 1.1 * self.took))
        run.signal(signal.SIGKILL)
        run.end()
        check_that(run.code in ("SIGKILL", "S_OK"), run.text)
        return run.code == "SIGKILL"

    def measure(self, store):
        begin = time.monotonic()
        run = restore(self.backups, store, "--overwrite", "--quiet")
        check(run.code, "S_OK", run.text)
        self.took = time.monotonic() - begin

    def count(self, what):
        self.counts[what] = self.counts.get(what, 0) + 1


def same(path, rows):
    return licenses_of(path) == {name: content for name, content, *_ in rows}


def killed(root, backups, make_old, old_rows, new_rows, times, what):
    """`make_old` puts the old state in its place; afterwards there is that or the new one, and a
    restore completes."""
    kills = Kills(root, backups)
    kills.measure(make_old())
    for number in range(times):
        store = make_old()
        if not kills.kill_one(store):
            kills.count("ended before")
        elif not store.exists() or store.stat().st_size == 0:
            check(old_rows, None, "the old state is gone")
            kills.count("old")
        else:
            if any(path.suffix == ".db-journal" for path in root.glob("x.db-*")):
                kills.count("with a journal to roll back")
            check(query(store, "PRAGMA integrity_check"), [("ok",)], f"the database after kill {number}")
            has_table = query(store, "SELECT count(*) FROM sqlite_master WHERE name = 'license'") == [(1,)]
            is_new = has_table and same(store, new_rows)
            if not is_new:
                check_that(same(store, old_rows) if old_rows else not has_table, f"old or new after kill {number}")
            kills.count("new" if is_new else "old")
        run = restore(backups, store, "--overwrite", "--quiet")
        check(run.code, "S_OK", f"the restore after kill {number}: {run.text}")
        check_that(same(store, new_rows), "the restore completes")
        check(query(store, "PRAGMA integrity_check"), [("ok",)], "the database")
        check_that(set(path.name for path in root.glob("x.db*")) <= {"x.db"}, "nothing is left beside it")
    tell(f"restores killed {what}", ", ".join(f"{count} {end}" for end, count in sorted(kills.counts.items())))


def kills():
    random.seed()
    names = [f"{i:04}" for i in range(1000)]
    old_rows = [(name, b"old" * 1000, None, None) for name in names[::2]]
    new_rows = [(name, random.randbytes(3000), None, None) for name in names]
    with place() as root:
        check(back_up(make(root / "new rows.db", new_rows), root / "backups").code, "S_OK")

        def nothing():
            for path in root.glob("x.db*"):
                path.unlink()
            return root / "x.db"

        killed(root, root / "backups", nothing, None, new_rows, 20, "into a new database")
        for mode in "WAL", "DELETE":
            old = make(root / f"old {mode}.db", old_rows, before=[f"PRAGMA journal_mode = {mode}"])
            copied = lambda old=old: pathlib.Path(shutil.copy(old, nothing()))
            killed(root, root / "backups", copied, old_rows, new_rows, 20, f"in {mode}")


def main():
    for test in snapshots, writers_go_on, after_a_crash, kills:
        test()
    finish()


main()
