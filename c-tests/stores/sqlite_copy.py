"""The copy of a database in another mode than WAL: it holds the moment at which it was made, whatever
its pages are like and whatever becomes of the file afterwards."""

import os
import random
import resource
import time

from databases import *

STORE_ERROR = "NS_E_DRM_LICENSE_STORE_ERROR"
HELD = 5000  # denied licences: more events than wait for a callback

# More than is copied into memory; every third has pages of its own behind the one of its row.
ROWS = [(f"z {i:04}", random.Random(i).randbytes(20000 if i % 3 == 0 else 700), None, None) for i in range(300)]
CONTENTS = {name: content for name, content, *_ in ROWS}


# -- pages ----------------------------------------------------------------------------------------------------


def reserve(path, page_size, count):
    """Makes an empty database whose pages have room at their ends that SQLite does not use."""
    with opened(path) as connection:
        connection.execute(f"PRAGMA page_size = {page_size}")
        connection.execute("VACUUM")
    page = bytearray(path.read_bytes())
    check(len(page), page_size, "an empty database")
    page[20] = count
    page[105:107] = (page_size - count).to_bytes(2, "big")  # where its cells begin
    path.write_bytes(page)


def pages():
    """Of every size, with what SQLite can have among them."""
    kinds = [(page_size, "NONE", 0) for page_size in (512, 1024, 2048, 4096, 8192, 16384, 32768, 65536)]
    kinds += [(512, "FULL", 0), (4096, "INCREMENTAL", 0), (512, "NONE", 32), (4096, "NONE", 255)]
    for page_size, vacuum, reserved in kinds:
        with place() as root:
            what = f"pages of {page_size}, auto_vacuum {vacuum}, {reserved} bytes reserved"
            store = root / "x.db"
            if reserved:
                reserve(store, page_size, reserved)
            before = [f"PRAGMA page_size = {page_size}", f"PRAGMA auto_vacuum = {vacuum}"]
            make(store, [*ROWS, ("gone", bytes(100_000), None, None)], before=before)
            with opened(store) as connection:
                connection.execute("DELETE FROM license WHERE name = 'gone'")  # leaves free pages
            check(query(store, "PRAGMA integrity_check"), [("ok",)], what)
            check(query(store, "PRAGMA page_size"), [(page_size,)], what)
            check(store.read_bytes()[20], reserved, what)
            run = back_up(store, root / "backups")
            check(run.code, "S_OK", f"{what}: {run.text}")
            check(restored(root / "backups") == CONTENTS, True, f"the licences of {what}")


def other_lengths():
    """The file's length is not what counts, but what the database says."""
    def small_files():
        resource.setrlimit(resource.RLIMIT_FSIZE, (100 << 20, 100 << 20))

    with place() as root:
        store = make(root / "x.db", ROWS)
        length = store.stat().st_size
        os.truncate(store, length + (1 << 30))
        run = back_up(store, root / "backups", preexec_fn=small_files)
        check(run.code, "S_OK", f"a longer file: {run.text}")
        check(restored(root / "backups") == CONTENTS, True, "the licences of a longer file")
        os.truncate(store, length - 100)
        run = back_up(store, root / "backups")
        check(run.code, STORE_ERROR, f"the last page is not whole: {run.text}")
        check_words(run.text, f"'{store}'", "shorter")


def sorting():
    """A sort of more than SQLite holds in memory goes through a file of its own."""
    with place() as root:
        temporary = root / "temporary"
        temporary.mkdir()
        view = "CREATE VIEW license AS SELECT name, content FROM t"
        store = make(root / "x.db", [], view, table="CREATE TABLE t(name, content)")
        with opened(store) as connection:
            rows = [(name, 4 * content) for name, content, *_ in reversed(ROWS)]
            connection.executemany("INSERT INTO t VALUES (?, ?)", rows)
        run = back_up(store, root / "backups", env={**os.environ, "SQLITE_TMPDIR": str(temporary)})
        check(run.code, "S_OK", run.text)
        check(restored(root / "backups") == dict(rows), True, "the licences of a view")
        check(list(temporary.iterdir()), [], "what is left behind")


def small_rows():
    """Many in no order are sorted in parts, with contents of every size among them, and a view of
    them likewise."""
    choose = random.Random(3)
    sizes = [0, 1, 1023, 1024, 1025, 5000, 100_000, 3 << 20]
    rows = [(f"licences/{choose.randbytes(6).hex()}", b"%d" % i * 60, None, i % 2) for i in range(16_000)]
    rows += [(f"licences/{choose.randbytes(3).hex()} of {size}", choose.randbytes(size), None, None) for size in sizes]
    expected = sorted([name.encode(), None, len(content), right or 0] for name, content, _, right in rows)
    with place() as root:
        for mode in "DELETE", "WAL":
            view = "CREATE VIEW license AS SELECT * FROM t"
            table = make(root / f"{mode} table.db", rows, before=[f"PRAGMA journal_mode = {mode}"])
            viewed = make(root / f"{mode} view.db", before=[f"PRAGMA journal_mode = {mode}"])
            with opened(viewed) as connection:
                connection.execute("ALTER TABLE license RENAME TO t")
                connection.executemany("INSERT INTO t VALUES (?, ?, ?, ?)", rows)
                connection.execute(view)
            for store in table, viewed:
                run = back_up(store, root / "backups")
                check(run.code, "S_OK", f"{store.name}: {run.text}")
                check_that(run.memory < 100 << 10, f"{store.name}: {run.memory} KiB")
                listed = operate("list", backups=root / "backups")["licenses"]
                listed = [[name.encode(), None, size, right] for name, _, size, right, *_ in listed]
                check(listed == expected, True, f"the licences of {store.name} in their order")
            contents = {name: content for name, content, *_ in rows}
            check(restored(root / "backups") == contents, True, f"the contents of {store.name}")


# -- the file while it is used --------------------------------------------------------------------------------


def mapped(pid, store):
    """What a process has mapped of a database and of the files beside it."""
    lines = pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines()
    return {line.split(maxsplit=5)[5] for line in lines if str(store) in line}


def destroyed_meanwhile():
    """A backup that is held up in the middle of reading does not need the file any more, and no
    file of a host's is ever mapped: whoever reads behind the end of one that has become shorter is
    killed."""
    denied = [(f"a {i:05}", b"denied", None, 2) for i in range(HELD)]
    with place() as root:
        for mode in "DELETE", "TRUNCATE", "PERSIST", "WAL":
            store = make(root / f"{mode}.db", [*denied, *ROWS], before=[f"PRAGMA journal_mode = {mode}"])
            child = Child()
            child.ask("backup_licenses", store, root / "backups", flags=WM_BACKUP_OVERWRITE, hold_at=RESTRICTED)
            check(child.answer(), "held")
            found = mapped(child.popen.pid, store)
            check_that(found <= {f"{store}-shm"}, f"mapped in {mode}: {found}")
            if mode != "WAL":
                store.write_bytes(b"no database any more")
            child.write("go on")
            answer = child.answer()
            child.end()
            check(answer["code"], "S_OK", answer["sentence"])
            check(restored(root / "backups") == CONTENTS, True, f"the licences in {mode}")


def cut_at_any_moment():
    """A host's file becomes shorter in spite of the lock: the backup has all, or fails."""
    choose = random.Random()
    counts = {}
    with place() as root:
        whole = make(root / "whole.db", ROWS).read_bytes()
        store = root / "x.db"
        store.write_bytes(whole)
        begin = time.monotonic()
        check(back_up(store, root / "backups").code, "S_OK")
        took = time.monotonic() - begin
        for number in range(30):
            store.write_bytes(whole)
            run = Run("backup", "--overwrite", store, root / "backups")
            time.sleep(choose.uniform(0, took / 4))  # it is copied early
            os.truncate(store, choose.randrange(len(whole)))
            run.end()
            check_that(run.code in ("S_OK", STORE_ERROR), f"cut {number}: {run.text}")
            counts[run.code] = counts.get(run.code, 0) + 1
            if run.code == "S_OK":
                check(restored(root / "backups") == CONTENTS, True, f"the licences of cut {number}")
    tell("backups of a file that was cut", ", ".join(f"{count} {code}" for code, count in sorted(counts.items())))


def main():
    for test in pages, other_lengths, sorting, small_rows, destroyed_meanwhile, cut_at_any_moment:
        test()
    finish()


main()
