"""Databases whose views, triggers or pages take for ever: a cancel ends an operation, in bounded memory."""

import os
import signal
import sqlite3
import time

from databases import *

STORE_ERROR, CANCELED = "NS_E_DRM_LICENSE_STORE_ERROR", "NS_E_DRM_OPERATION_CANCELED"


def cancel(run, what):
    time.sleep(0.3)
    run.signal(signal.SIGINT)
    run.end()
    check(run.code, CANCELED, f"{what}: {run.text}")
    check_that(run.memory < MEMORY, f"{what}: {run.memory} KiB")


def endless():
    """A view that never ends, or never gives a row, is canceled at once."""
    with place() as root:
        temporary = root / "temporary"
        temporary.mkdir()
        for what, view in {
            "rows": ENDLESS.format("", "x''", ""),
            "no rows": ENDLESS.format("", "x''", " WHERE i < 0"),
        }.items():
            for mode in "WAL", "DELETE":
                store = viewing(root / f"{what} {mode}.db", view, f"PRAGMA journal_mode = {mode}")
                run = Run("backup", store, root / "backups", env={**os.environ, "SQLITE_TMPDIR": str(temporary)})
                cancel(run, f"{what} in {mode}")
        check(list(temporary.iterdir()) + list((root / "backups").iterdir()), [], "what is left behind")


def endless_work():
    """A schema that takes its time with values of many MiB, or with statements that stand for more
    than any memory holds, is canceled too."""
    slow = "hex(zeroblob(6000000 + {}))"
    n = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
    keyed = "CREATE TABLE license(name TEXT PRIMARY KEY, content BLOB NOT NULL{})"
    names = "INSERT INTO license(name, content) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) SELECT i, x'' FROM n"
    aggregate = f"CREATE VIEW license AS {n} SELECT 'a' AS name, CAST({{}} AS BLOB) AS content FROM n"
    with place() as root:
        (root / "good").mkdir()
        check(back_up(make(root / "good.db", [("a", b"a", None, None)]), root / "good").code, "S_OK")
        cases = {
            "an aggregate": aggregate.format("count(" + slow.format("i % 2") + ")"),
            "a window": aggregate.format("max(" + slow.format("i % 2") + ") OVER (ORDER BY i)"),
            "a view's column": f"CREATE VIEW license AS {n} SELECT 'a' AS name, x'' AS content FROM n WHERE {slow.format('i % 2')} = ''",
        }
        stores = {what: viewing(root / f"{what}.db", view) for what, view in cases.items()}
        for what, more in {
            "a generated column": f", key_id TEXT AS (substr({slow.format('length(name)')}, 1, 9)) VIRTUAL",
            "a check": f", CHECK ({slow.format('length(name)')} <> '')",
        }.items():
            stores[what] = make(root / f"{what}.db", [], names, table=keyed.format(""))
            with opened(stores[what]) as connection:  # nothing has been computed for the rows yet
                connection.execute("PRAGMA writable_schema = ON")
                change = "UPDATE sqlite_master SET sql = ? WHERE name = 'license'"
                connection.execute(change, [keyed.format(more)])
        for what, store in stores.items():
            cancel(Run("backup", store, root / "backups"), what)
        trigger = f"CREATE TRIGGER t AFTER INSERT ON license BEGIN SELECT max({slow.format('length(a.name)')}) FROM t a, t b; END"
        many = make(root / "trigger.db", [], "CREATE TABLE t(name)", trigger)
        with opened(many) as connection:
            connection.executemany("INSERT INTO t VALUES (?)", [(str(i),) for i in range(1000)])
        cancel(Run("restore", root / "good", many), "a trigger")


LONG = "hex(zeroblob(2000000))"  # four million bytes
NEVER = f"(SELECT substr({LONG}, 1, 2000000) || '1')"  # what is not in them, and seems so for long

ENDLESS_CALLS = {
    "trim": f"trim({LONG}, replace({LONG}, '0', '1') || '0')",
    "unhex": f"unhex(replace({LONG}, '0', '-'), {LONG} || '-')",
    "LIKE": f"{LONG} LIKE '%' || {NEVER} || '1'",
    "LIKE with ESCAPE": f"{LONG} LIKE '%' || {NEVER} || '1' ESCAPE '^'",
    "GLOB": f"{LONG} GLOB '*' || {NEVER} || '1'",
    "a set of GLOB": f"{LONG} GLOB '*[' || replace({LONG}, '0', '1') || '0]1'",
}


def endless_calls():
    """One call of a function that takes minutes with long values is canceled too, and those that
    take that in SQLite alone end by themselves."""
    quick = {
        "instr": (f"instr({LONG}, {NEVER})", "S_OK"),
        "replace": (f"length(replace({LONG}, {NEVER}, ''))", "S_OK"),
        "json_patch": ("json_patch('{}', '{}')", STORE_ERROR),
        "jsonb_patch": ("jsonb_patch('{}', '{}')", STORE_ERROR),
        "many arguments": ("length(json_extract('[]'" + ", '$'" * 110 + "))", "S_OK"),
        "large blobs": ("length(trim(randomblob(20000000), randomblob(20000000)))", STORE_ERROR),
    }
    view = "CREATE VIEW license AS SELECT 'a' AS name, CAST({} AS BLOB) AS content"
    with place() as root:
        for number, (what, value) in enumerate(ENDLESS_CALLS.items()):
            store = viewing(root / f"{number}.db", view.format(f"ifnull({value}, '')"))
            cancel(Run("backup", store, root / "backups"), what)
        # Each call copies a blob to read it as text, which a cancel may meet.
        for call in "instr(randomblob(200000), 'x')", "trim(randomblob(200000), 'x')", "randomblob(200000) LIKE 'x%'":
            store = viewing(root / f"blobs {call[:4]}.db", ENDLESS.format("", "x''", f" WHERE {call} < 0"))
            for _ in range(5):
                cancel(Run("backup", store, root / "backups"), call)
        for what, (value, code) in quick.items():
            store = viewing(root / f"{what}.db", view.format(value))
            run = back_up(store, root / "backups")
            check(run.code, code, f"{what}: {run.text}")
            check_words(run.text, *([what] if what.endswith("_patch") else []))


def endless_pages(path):
    """A table whose pages lead to the same pages again and again, and which SQLite does not check
    for lack of its host's collation."""
    with opened(path) as connection:
        connection.execute("PRAGMA page_size = 4096")
        connection.create_collation("OF_HOST", lambda one, other: (one > other) - (one < other))
        connection.execute("CREATE TABLE t(a COLLATE OF_HOST)")
        connection.execute("CREATE INDEX of_host ON t(a)")
        connection.execute("CREATE TABLE other(a)")
        connection.execute("INSERT INTO other VALUES (zeroblob(40960))")
        count = "(SELECT count(*) FROM t NOT INDEXED)"
        connection.execute(f"CREATE VIEW license AS SELECT 'a' AS name, CAST({count} AS BLOB) AS content")
        root = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 't'").fetchone()[0]
        last = connection.execute("PRAGMA page_count").fetchone()[0]
    data = bytearray(path.read_bytes())
    pages = [root, *range(last - 7, last + 1)]
    for page, child in zip(pages, pages[1:]):
        cells, inner = 400, bytearray(4096)
        inner[0], inner[3:5], inner[8:12] = 5, cells.to_bytes(2, "big"), child.to_bytes(4, "big")
        for number in range(cells):
            at = 4096 - 5 * (number + 1)
            inner[at : at + 5] = child.to_bytes(4, "big") + bytes([min(number, 127)])
            inner[12 + 2 * number : 14 + 2 * number] = at.to_bytes(2, "big")
        inner[5:7] = at.to_bytes(2, "big")
        data[(page - 1) * 4096 : page * 4096] = inner
    leaf = bytearray(4096)
    leaf[0], leaf[3:5], leaf[5:7], leaf[8:10] = 13, b"\0\1", (4092).to_bytes(2, "big"), (4092).to_bytes(2, "big")
    leaf[4092:] = bytes([2, 1, 2, 0])  # a row 1 of one NULL, and a byte more
    data[(last - 1) * 4096 :] = leaf
    path.write_bytes(data)
    return path


def endless_searches():
    """What SQLite searches in one step: pages of a table that it counts, and indexes of virtual tables,
    of which few kinds are used."""
    with place() as root:
        cancel(Run("backup", endless_pages(root / "pages.db"), root / "backups"), "count(*)")
        view = "CREATE VIEW license AS SELECT name, x'' AS content FROM v"
        for what in "rtree(name, x0, x1)", "fts5(name)", "fts4(name)":
            module = what.split("(")[0]
            try:
                store = viewing(root / f"{module}.db", view, f"CREATE VIRTUAL TABLE v USING {what}")
            except sqlite3.OperationalError as error:
                skip(f"a view of {module}", str(error))
                continue
            run = back_up(store, root / "backups")
            check(run.code, STORE_ERROR, f"{what}: {run.text}")
            check_words(run.text, f"no such module: {module}")
        view = "CREATE VIEW license AS SELECT 'n' || key AS name, CAST(value AS BLOB) AS content FROM json_each('[1, 2]')"
        run = back_up(viewing(root / "json.db", view), root / "backups")
        check(run.code, "S_OK", f"json_each: {run.text}")


def main():
    for test in endless, endless_work, endless_calls, endless_searches:
        test()
    finish()


main()
