"""A restore into a database: what it writes, what it leaves alone, and that it keeps all or
nothing."""

import os
import random
import signal
import stat

from databases import *

STORE_ERROR, CORRUPT = "NS_E_DRM_LICENSE_STORE_ERROR", "NS_E_DRM_BACKUP_CORRUPT"
ROWS = [("absent", b"1", None, None), ("different", b"backup's", None, None), ("same", b"3", None, None)]


def digest_of(path):
    """All that a database holds, for comparisons; its files may differ in how."""
    with opened(path) as connection:
        return list(connection.iterdump())


def backed_up(root, rows=ROWS):
    source = root / "source.db"
    source.unlink(missing_ok=True)
    run = back_up(make(source, rows), root / "backups")
    check(run.code, "S_OK", run.text)
    return root / "backups"


# -- licence by licence ---------------------------------------------------------------------------------------


def licence_by_licence():
    rich = (
        "CREATE TABLE license(id INTEGER PRIMARY KEY, name TEXT UNIQUE, content BLOB NOT NULL, key_id TEXT,"
        " backup_right INTEGER, uses INTEGER DEFAULT 7)"
    )
    others = [
        "INSERT INTO license VALUES (40, 'same', x'33', NULL, 1, 1), (41, 'different', x'3131', 'k', 2, 2),"
        " (42, 'only here', x'', 'o', 0, 3)",
        "CREATE TABLE log(entry TEXT)",
        "INSERT INTO log VALUES ('first')",
        "CREATE INDEX by_key ON license(key_id)",
        "CREATE VIEW used AS SELECT name FROM license WHERE uses > 1",
        "CREATE TRIGGER logs AFTER INSERT ON license BEGIN INSERT INTO log VALUES ('+ ' || new.name); END",
        "CREATE TRIGGER too AFTER UPDATE ON license BEGIN INSERT INTO log VALUES ('~ ' || new.name); END",
    ]
    here, kept, added = (42, "only here", b"", "o", 0, 3), (41, "different", b"11", "k", 2, 2), (43, "absent", b"1")
    with place() as root:
        backups = backed_up(root)
        for mode in "DELETE", "WAL":
            store = make(root / f"{mode}.db", [], *others, table=rich, before=[f"PRAGMA journal_mode = {mode}"])
            os.chmod(store, 0o640)
            schema = query(store, "SELECT sql FROM sqlite_master")
            before = digest_of(store)
            for flags in DRY_RUN, DRY_RUN | RESTORE_OVERWRITE:
                told = operate("restore_licenses", store, backups, flags=flags)
                check((told["code"], texts(told, KEPT)), ("S_OK", ["different"] if flags == DRY_RUN else []), "dry run")
                check(digest_of(store), before, "a dry run writes")
            told = operate("restore_licenses", store, backups)
            check((told["code"], texts(told, KEPT)), ("S_OK", ["different"]), "what is kept")
            check((told["figures"]["done"], told["figures"]["kept"]), (2, 1), "the figures")
            rows = [(40, "same", b"3", None, 1, 1), kept, here, (*added, None, None, 7)]
            check(query(store, "SELECT * FROM license ORDER BY id"), rows, "the rows")
            check(query(store, "SELECT entry FROM log"), [("first",), ("+ absent",)], "what the triggers saw")
            told = operate("restore_licenses", store, backups, flags=RESTORE_OVERWRITE)
            check((told["code"], texts(told, KEPT), told["figures"]["done"]), ("S_OK", [], 3), "overwritten")
            rows[1] = (41, "different", b"backup's", None, None, 2)
            check(query(store, "SELECT * FROM license ORDER BY id"), rows, "the rows")
            check(query(store, "SELECT entry FROM log")[2:], [("~ different",)], "what the triggers saw")
            check(query(store, "SELECT sql FROM sqlite_master"), schema, "the schema")
            check(query(store, "PRAGMA journal_mode"), [(mode.lower(),)], "the mode")
            check(query(store, "PRAGMA integrity_check"), [("ok",)], "the database")
            check(stat.S_IMODE(store.stat().st_mode), 0o640, "the file's mode")
            again = operate("restore_licenses", store, backups)
            check((again["code"], again["figures"]["done"], again["figures"]["kept"]), ("S_OK", 3, 0), "again")


def one_licence():
    rows = [("a.lic", b"a", "urn:1", None), ("b.lic", b"b", "urn:2", 1), ("c.lic", b"c", "urn:2", None)]
    with place() as root:
        backups = backed_up(root, rows)
        for store in make(root / "some.db"), root / "new.db":
            told = operate("restore_license", store, backups, key_id="urn:none")
            check(told["code"], "ERROR_NOT_FOUND")
            check(store.exists(), store.name == "some.db", "a database for nothing")
            told = operate("restore_license", store, backups, key_id="urn:2")
            check(told["code"], "S_OK", told["sentence"])
            check(query(store, "SELECT * FROM license ORDER BY name"), rows[1:], "those of the key ID")


def a_new_one():
    with place() as root:
        backups = backed_up(root)
        old_mask = os.umask(0)
        try:
            for name in "new.db", "new.sqlite", "new.sqlite3":
                run = restore(backups, root / name, "--dry-run")
                check((run.code, (root / name).exists()), ("S_OK", False), f"dry run: {run.text}")
                check(restore(backups, root / name).code, "S_OK")
                check([path.name for path in root.glob("new*")], [name], "what is made")
                check(licenses_of(root / name), {name: content for name, content, *_ in ROWS}, name)
                check(query(root / name, "PRAGMA journal_mode"), [("wal",)], "the mode")
                check(query(root / name, "SELECT sql FROM sqlite_master WHERE sql <> ''"), [(TABLE,)], "the schema")
                check(stat.S_IMODE((root / name).stat().st_mode), 0o600, "the file's mode")
                (root / name).unlink()
        finally:
            os.umask(old_mask)
        for name in "new.DB", "new.db3", "new":
            check(restore(backups, root / name).code, "S_OK")
            check((root / name).is_dir(), True, f"{name} is a directory")
        for parent in "gone", "source.db":
            for option in (), ("--dry-run",):
                run = restore(backups, root / parent / "new.db", *option)
                check(run.code, "ERROR_PATH_NOT_FOUND" if parent == "gone" else "ERROR_DIRECTORY", run.text)
                check_words(run.text, f"{root}/{parent}")
        os.symlink(root / "nowhere.db", root / "dangling.db")
        run = restore(backups, root / "dangling.db")
        check(run.code, "ERROR_PATH_NOT_FOUND", run.text)


# -- all or nothing -------------------------------------------------------------------------------------------


def refusing(root, backups, store, code, *words, options=("--overwrite",)):
    """A restore that fails and changes nothing that the database holds."""
    before = digest_of(store)
    run = restore(backups, store, *options)
    check(run.code, code, run.text)
    check_words(run.text, f"'{store}'", *words)
    check(digest_of(store), before, f"what is kept after {run.text}")


def refused():
    with place() as root:
        backups = backed_up(root)
        view = "CREATE VIEW license AS SELECT 'a' name, x'' content"
        view = make(root / "view.db", [], view, table="CREATE TABLE t(a)")
        refusing(root, backups, view, "ERROR_NOT_SUPPORTED", "view")
        lacking = make(root / "lacking.db", table="CREATE TABLE license(name TEXT)")
        refusing(root, backups, lacking, STORE_ERROR, "name and content")
        no_deletion = "CREATE TRIGGER t BEFORE DELETE ON license BEGIN SELECT RAISE(FAIL, 'deleted'); END"
        old = "INSERT INTO license(name, content) VALUES ('old', x'00')"
        for columns, statements, words in [
            ("name TEXT PRIMARY KEY, content BLOB CHECK (length(content) < 5)", [], ["'different'", "CHECK"]),
            ("name TEXT PRIMARY KEY, content BLOB, extra NOT NULL", [], ["'absent'", "NOT NULL", "extra"]),
            ("name TEXT PRIMARY KEY, content BLOB, shelf DEFAULT 7 REFERENCES shelves(id)", ["CREATE TABLE shelves(id"
             " PRIMARY KEY)"], ["FOREIGN KEY"]),
            ("name TEXT PRIMARY KEY, content AS (x'00')", [], ["'absent'", "content"]),
            ("name TEXT PRIMARY KEY, content BLOB, one DEFAULT 1 UNIQUE", [old], ["'absent'", "UNIQUE"]),
            ("name TEXT PRIMARY KEY, content BLOB, one DEFAULT 1 UNIQUE ON CONFLICT REPLACE", [old, no_deletion],
             ["'absent'", "UNIQUE"]),
            ("name TEXT PRIMARY KEY, content BLOB, one DEFAULT 1 UNIQUE ON CONFLICT IGNORE", [old],
             ["'absent'", "UNIQUE"]),
            ("name TEXT COLLATE NOCASE PRIMARY KEY ON CONFLICT REPLACE, content BLOB",
             [old.replace("old", "SAME")], ["'same'", "UNIQUE"]),
            ("name TEXT PRIMARY KEY, content BLOB", ["CREATE TRIGGER t BEFORE INSERT ON license WHEN new.name = 'same'"
             " BEGIN SELECT RAISE(IGNORE); END"], ["'same'", "trigger"]),
            ("name TEXT PRIMARY KEY, content BLOB", ["CREATE TRIGGER t BEFORE INSERT ON license WHEN new.name = 'same'"
             " BEGIN SELECT RAISE(FAIL, 'no such seat'); END"], ["'same'", "no such seat"]),
        ]:
            store = root / "constrained.db"
            make(store, [], *statements, table=f"CREATE TABLE license({columns})")
            refusing(root, backups, store, STORE_ERROR, *words)
            store.unlink()


def folders():
    """A name can't be that of a licence and of a folder; the backup's and the store's are told."""
    names = ["a", "a b", "a-", "a.lic", "a/b", "a/b/c/d", "a/b0", "a0", "b", "ab/c", "A/b", "c/d/e", "1", "1/2"]
    with place() as root:
        for number, (mine, theirs) in enumerate((mine, theirs) for mine in names for theirs in names):
            clash = mine.startswith(theirs + "/") or theirs.startswith(mine + "/")
            if not clash and number % 3:
                continue
            columns = ["name TEXT PRIMARY KEY", "name TEXT COLLATE NOCASE UNIQUE", "name"][number % 3]
            encoding = ["UTF-8", "UTF-16le", "UTF-16be"][number // 3 % 3]
            store, source = root / "store.db", root / "source.db"
            before = [f"PRAGMA encoding = '{encoding}'"]
            make(store, [(mine, b"x")], table=f"CREATE TABLE license({columns}, content BLOB)", before=before)
            make(source, [(theirs, b"x", None, None), ("z", b"z", None, None)])
            check(back_up(source, root / "backups").code, "S_OK")
            what = f"{theirs} beside {mine} in {columns} {encoding}"
            if clash:
                for options in (), ("--dry-run",):
                    refusing(root, root / "backups", store, "ERROR_INVALID_NAME", f"'{mine}'", f"'{theirs}'",
                             options=options)
            else:
                run = restore(root / "backups", store)
                check(run.code, "S_OK", f"{what}: {run.text}")
                run = back_up(store, root / "backups")
                check(run.code, "S_OK", f"{what}: {run.text}")
            store.unlink()
            source.unlink()


def as_they_are():
    """What the table would keep in another way is not restored into it."""
    for name in "1e3", "0012", "7":
        with place() as root:
            backups = backed_up(root, [("a", b"a", None, None), (name, b"x", None, None)])
            numbers = make(root / "numbers.db", table="CREATE TABLE license(name NUMERIC PRIMARY KEY, content BLOB)")
            refusing(root, backups, numbers, STORE_ERROR, f"'{name}'", "TEXT")
            changing = "CREATE TRIGGER '{0}' AFTER {0} ON license BEGIN UPDATE license SET content = x'00'; END"
            for row in (), [(name, b"other", None, None)]:
                store = make(root / "changing.db", row, *map(changing.format, ["INSERT", "UPDATE OF key_id"]))
                refusing(root, backups, store, STORE_ERROR, "trigger")
                store.unlink()


def virtual_tables():
    with place() as root:
        backups = backed_up(root)
        for module in "fts5", "fts4":
            try:
                store = make(root / f"{module}.db", table=f"CREATE VIRTUAL TABLE license USING {module}(name, content)")
            except sqlite3.OperationalError as error:
                skip(f"a virtual table of {module}", error)
                continue
            refusing(root, backups, store, "ERROR_NOT_SUPPORTED", "virtual")
            run = back_up(store, backups)
            check(run.code, "ERROR_NOT_SUPPORTED", run.text)
            check_words(run.text, f"'{store}'", "virtual")


def indexes_of_hosts():
    """Virtual tables beside the licences: nobody asks what they are, and those of words are kept by
    triggers."""
    with place() as root:
        backups, tables = backed_up(root), []
        for module in "rtree(id, a, b)", "fts5(body)", "fts4(body)":
            try:
                make(root / "one.db", [], f"CREATE VIRTUAL TABLE v USING {module}").unlink()
            except sqlite3.OperationalError as error:
                skip(f"a virtual table of {module}", error)
                continue
            name = module.split("(")[0]
            tables.append(f"CREATE VIRTUAL TABLE {name}_table USING {module}")
            if name != "rtree":
                insert = f"INSERT INTO {name}_table(body) VALUES (new.name)"
                tables.append(f"CREATE TRIGGER {name}_insert AFTER INSERT ON license BEGIN {insert}; END")
        pairs = ", ".join(f"'key {number}', NEW.name" for number in range(60))
        tables += ["CREATE TABLE log(what)", "CREATE TABLE noted(name)"]
        tables.append(f"CREATE TRIGGER noting AFTER INSERT ON noted BEGIN INSERT INTO log VALUES (json_object({pairs})); END")
        for mode in "DELETE", "WAL":
            store = make(root / f"{mode}.db", [], f"PRAGMA journal_mode = {mode}", *tables)
            run = restore(backups, store)
            check(run.code, "S_OK", run.text)
            check(licenses_of(store), {name: content for name, content, *_ in ROWS})
            if any("fts5" in table for table in tables):
                check(query(store, "SELECT count(*) FROM fts5_table"), [(len(ROWS),)], "the index")
            (root / mode).mkdir()
            run = back_up(store, root / mode)
            check(run.code, "S_OK", run.text)


def an_empty_one():
    """What SQLite has where nothing was written yet; and a new one whatever the umask."""
    with place() as root:
        backups = backed_up(root)
        for mask in 0o022, 0o077, 0o277, 0o777:
            old_mask = os.umask(mask)
            try:
                check(restore(backups, root / "masked.db").code, "S_OK")
            finally:
                os.umask(old_mask)
            check(stat.S_IMODE((root / "masked.db").stat().st_mode), 0o600, f"the file's mode under {mask:o}")
            (root / "masked.db").unlink()
        empty = root / "empty.db"
        empty.touch(0o640)
        check(restore(backups, empty, "--dry-run").code, "S_OK")
        check(empty.read_bytes(), b"", "what a dry run writes")
        check(restore(backups, empty).code, "S_OK")
        check(query(empty, "PRAGMA journal_mode"), [("wal",)], "the mode")
        check(licenses_of(empty), {name: content for name, content, *_ in ROWS})
        check(stat.S_IMODE(empty.stat().st_mode), 0o640, "the file's mode")
        check([path.name for path in root.glob("empty*")], ["empty.db"], "what is made")


def damaged_backup():
    """Nothing is written; with SALVAGE what is intact is."""
    random.seed(1)
    rows = [(f"{i:05}", random.randbytes(2000), None, None) for i in range(3000)]
    with place() as root:
        backups = backed_up(root, rows)
        whole = (backups / "licenses.tar.zst").read_bytes()
        old = make(root / "old.db", [("old", b"old", None, None), (rows[5][0], b"other", None, None)])
        bytes_before = old.read_bytes()
        for at in 100, len(whole) // 2, len(whole) - 5000:
            data = bytearray(whole)
            data[at : at + 4] = b"\0\0\0\0"
            (backups / "licenses.tar.zst").write_bytes(data)
            for store in old, root / "new.db":
                run = restore(backups, store, "--overwrite")
                check(run.code, CORRUPT, run.text)
            check((old.read_bytes(), (root / "new.db").exists()), (bytes_before, False), "what is written")
        (backups / "licenses.tar.zst").write_bytes(whole[: len(whole) // 2])
        check(restore(backups, old).code, CORRUPT)
        check(old.read_bytes(), bytes_before, "what is written")

        data = bytearray(whole)
        data[len(whole) // 2 : len(whole) // 2 + 4] = b"\0\0\0\0"
        (backups / "licenses.tar.zst").write_bytes(data)
        for store in old, root / "new.db":
            told = operate("restore_licenses", store, backups, flags=RESTORE_SALVAGE | RESTORE_OVERWRITE)
            check(told["code"], CORRUPT)
            lost = texts(told, DAMAGED)
            check_that(0 < len(lost) < len(rows), f"some are lost: {len(lost)}")
            intact = {name: content for name, content, *_ in rows if name not in lost}
            have = licenses_of(store)
            have.pop("old", None)
            check_that(have == intact, "the intact ones are there")
            check(query(store, "PRAGMA integrity_check"), [("ok",)], "the database")


def damaged_database():
    with place() as root:
        backups = backed_up(root)
        store = make(root / "x.db", [(f"{i:04}", bytes(3000), None, None) for i in range(50)], "CREATE TABLE o(a)")
        data = bytearray(store.read_bytes())
        size = int.from_bytes(data[16:18], "big")
        data[size + 3 : size + 5] = b"\xff\xff"  # the number of cells in the root of the table
        (root / "broken.db").write_bytes(data)
        for option in (), ("--dry-run",):
            run = restore(backups, root / "broken.db", *option)
            check(run.code, STORE_ERROR, run.text)
            check((root / "broken.db").read_bytes(), bytes(data), "a damaged database")
        check([path.name for path in root.glob("broken*")], ["broken.db"], "what is left behind")


def canceled():
    """A callback that fails in the middle, and Ctrl-C at once: all or nothing."""
    rows = [(f"{i:05}", b"new", None, None) for i in range(9000)]
    old = [(name, b"old", None, None) for name, *_ in rows]
    with place() as root:
        backups = backed_up(root, rows)
        store = make(root / "old.db", old)
        before = store.read_bytes()
        for store in root / "old.db", root / "new.db":
            told = operate("restore_licenses", store, backups, fail_at=BEGIN)
            check(told["code"], "0xa0000001", "the outcome")
            if store.exists():
                check(licenses_of(store), dict(row[:2] for row in old), "what is kept")
        # All are kept, and so many told that the restore waits for the callback, which then fails.
        for how, code in ("fail_at", "0xa0000001"), ("cancel_at", "NS_E_DRM_OPERATION_CANCELED"):
            told = operate("restore_licenses", root / "old.db", backups, **{how: KEPT})
            check((told["code"], told["figures"]["done"]), (code, 0), "the outcome")
            check((root / "old.db").read_bytes(), before, "what is written")
        child = Child()
        child.ask("restore_licenses", root / "old.db", backups, hold_at=KEPT)
        check(child.answer(), "held")
        child.signal(signal.SIGTERM)
        child.end()
        check(child.returncode, -signal.SIGTERM, "the library handles no signal")
        check(licenses_of(root / "old.db"), dict(row[:2] for row in old), "what is kept")
        outcomes = {}
        for number in range(4):
            run = Run("restore", "--overwrite", backups, root / "old.db")
            run.popen.stdout.readline()  # "checking: …"
            run.signal(signal.SIGINT)
            run.end()
            now = licenses_of(root / "old.db")
            check_that(run.code in ("S_OK", "NS_E_DRM_OPERATION_CANCELED"), run.text)
            check(set(now.values()), {b"new"} if run.code == "S_OK" else {b"old"}, f"what is kept after {run.code}")
            outcomes[run.code] = outcomes.get(run.code, 0) + 1
            query(root / "old.db", "UPDATE license SET content = ?", b"old")
        tell("restores that were interrupted", ", ".join(f"{count} ended {code}" for code, count in outcomes.items()))


def moved_away():
    """What is restored into is not what is there in the end: nothing of it is said to be restored,
    or overwritten."""
    rows = [(f"{i:05}", b"new", None, None) for i in range(9000)]
    old = [(name, b"old", None, None) for name, *_ in rows]
    with place() as root:
        backups = backed_up(root, [*rows, ("z", b"z", None, None)])
        for mode in "WAL", "DELETE":
            for number, other in enumerate(["nothing", "another", "a copy"]):
                store, away = root / f"{mode} {number}.db", root / f"{mode} {number} away"
                make(store, old, before=[f"PRAGMA journal_mode = {mode}"])
                copy = make(root / "other", [("o", b"o", None, None)] if other == "another" else old)
                child = Child()
                child.ask("restore_licenses", store, backups, hold_at=KEPT)
                check(child.answer(), "held")
                store.rename(away)
                if other != "nothing":
                    copy.rename(store)
                before = store.read_bytes() if store.exists() else None
                child.write("go on")
                told = child.answer()
                child.end()
                what = f"{other} in its place in {mode}"
                check(told["code"], STORE_ERROR, f"{what}: {told['sentence']}")
                check_words(told["sentence"], f"'{store}'", "moved away or replaced", "restore again")
                check(told["figures"]["done"], 0, f"{what}: the figures")
                check(store.read_bytes() if store.exists() else None, before, what)
                for path in [copy, *root.glob(f"{mode} {number}.db-*")]:
                    path.unlink(missing_ok=True)
                check("z" in licenses_of(away), False, f"{what}: what was moved away")


def main():
    for test in [
        licence_by_licence, one_licence, a_new_one, an_empty_one, refused, folders, as_they_are, virtual_tables,
        indexes_of_hosts, damaged_backup, damaged_database, canceled, moved_away,
    ]:
        test()
    finish()


main()
