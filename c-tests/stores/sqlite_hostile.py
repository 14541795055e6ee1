"""Databases that are damaged, or made to do harm: an operation ends, with a code, in bounded
memory; nothing runs."""

import os
import random
import resource
import socket

from databases import *

STORE_ERROR = "NS_E_DRM_LICENSE_STORE_ERROR"
LITTLE = 160 << 20  # bytes of data that it may have, whatever its rows are
ROWS = [(f"{i:03}", b"%03d" % i * (5 if i % 5 else 400), f"key {i}", i % 2) for i in range(60)]

# -- damage ---------------------------------------------------------------------------------------------------


def original(path, mode):
    """Several pages of every kind: inner ones, leaves, indexes, chains of overflow, free ones."""
    before = ["PRAGMA page_size = 512", "PRAGMA auto_vacuum = NONE", f"PRAGMA journal_mode = {mode}"]
    make(path, ROWS, "CREATE TABLE other(a)", before=before)
    with opened(path) as connection:
        connection.execute("INSERT INTO other VALUES (zeroblob(9000))")
        connection.execute("CREATE INDEX by_key ON license(key_id)")
    with opened(path) as connection:
        connection.execute("DELETE FROM other")
    return path.read_bytes()


def damaged(data, choose):
    """One to three changed bytes, most of them where pages begin, or a truncation."""
    data = bytearray(data)
    if choose.random() < 0.1:
        return data[: choose.randrange(len(data))]
    for _ in range(choose.randint(1, 3)):
        page = choose.randrange(0, len(data), 512)
        reach = choose.choice([100 if page == 0 else 12, 40, 512])
        at = page + choose.randrange(reach)
        data[at] = choose.choice([0, 1, 0x7F, 0x80, 0xFF, data[at] ^ 1 << choose.randrange(8)])
    return data


def damage():
    """A backup that succeeds all the same has every licence, and a restore leaves what SQLite finds
    right."""
    choose = random.Random(1)
    with place() as root:
        good = make(root / "good.db", [("new", b"new", None, None), *ROWS])
        check(back_up(good, root / "backups").code, "S_OK")
        for mode in "DELETE", "WAL":
            data = original(root / f"{mode}.db", mode)
            check_that(len(data) > 40 * 512, "a database of many pages")
            child, counts = Child(), {}
            for number in range(250):
                store = root / "x.db"
                store.write_bytes(damaged(data, choose))
                for operation, flags in ("backup_licenses", DRY_RUN), ("restore_licenses", 0):
                    child.ask(operation, store, root / "backups", flags=flags)
                    told = child.answer()
                    what = f"{operation} of damage {number} in {mode}: {told['code']}: {told['sentence']}"
                    check_that(told["code"].startswith(("S_OK", "ERROR_", "NS_E_")), what)
                    counts[told["code"]] = counts.get(told["code"], 0) + 1
                    if told["code"] == "S_OK" and operation == "backup_licenses":
                        check(told["figures"]["done"] + told["figures"]["restricted"], len(ROWS), what)
                    elif told["code"] == "S_OK":
                        check(query(store, "SELECT content FROM license WHERE name = 'new'"), [(b"new",)], what)
                    if told["code"] == "ERROR_LOCK_VIOLATION":
                        fail(what)
                for path in root.glob("x.db*"):
                    path.unlink()
            child.end()
            check_that(child.memory < MEMORY, f"{child.memory} KiB")
            told = ", ".join(f"{count} {code}" for code, count in sorted(counts.items()))
            tell(f"operations on damaged databases in {mode}", f"{told}; {child.memory >> 10} MiB")


def damaged_log():
    """The log of a host that died: what is intact at its begin counts, as SQLite has it."""
    choose = random.Random(2)
    with place() as root:
        original(root / "live.db", "WAL")
        host = sqlite3.connect(root / "live.db", isolation_level=None)
        host.execute("UPDATE license SET content = content || x'00'")
        host.execute("UPDATE license SET content = CAST(content AS BLOB)")
        data, log = (root / "live.db").read_bytes(), (root / "live.db-wal").read_bytes()
        host.close()
        child = Child()
        for number in range(60):
            (root / "x.db").write_bytes(data)
            bad = bytearray(log)
            at = choose.randrange(len(log) if number % 2 else 56)
            bad[at] ^= 1 << choose.randrange(8)
            (root / "x.db-wal").write_bytes(bad)
            child.ask("backup_licenses", root / "x.db", root / "backups", flags=DRY_RUN)
            told = child.answer()
            check_that(told["code"].startswith(("S_OK", "ERROR_", "NS_E_")), f"{number}: {told}")
            if told["code"] == "S_OK":
                check(told["figures"]["done"], len(ROWS), "the licences")
            for path in root.glob("x.db*"):
                path.unlink()
        child.end()


def exchange_index(store, fill):
    """Gives the table `license` the index of the table `other` when that is filled, and that its
    own."""
    with opened(store) as connection:
        connection.execute(fill)
        roots = "SELECT rootpage FROM sqlite_master WHERE name = 'sqlite_autoindex_{}_1'"
        own, others = [connection.execute(roots.format(of)).fetchone()[0] for of in ("license", "other")]
        connection.execute("PRAGMA writable_schema = ON")
        swap = "UPDATE sqlite_master SET rootpage = ? WHERE name = 'sqlite_autoindex_{}_1'"
        connection.execute(swap.format("license"), [others])
        connection.execute(swap.format("other"), [own])


def lying_indexes():
    """The table's index is another's: what it leads to is all of the table, or the backup fails."""
    lies = {
        "lacks a row": ("SELECT rowid, name FROM license WHERE rowid <> 7", STORE_ERROR),
        "has a row more": ("SELECT rowid, name FROM license UNION ALL SELECT 100, 'more'", STORE_ERROR),
        "leads to a row that is not there": (
            "SELECT iif(rowid = 7, 100, rowid), name FROM license",
            STORE_ERROR,
        ),
        "leads to the last row too early": (
            "SELECT rowid, iif(rowid = 60, '', name) FROM license",
            STORE_ERROR,
        ),
        "leads to other rows": ("SELECT 61 - rowid, name FROM license", STORE_ERROR),
        "has other names in the same order": ("SELECT rowid, name || 'x' FROM license", "S_OK"),
    }
    with place() as root:
        for mode in "DELETE", "WAL":
            for what, (entries, code) in lies.items():
                store = make(root / "x.db", ROWS, f"PRAGMA journal_mode = {mode}", "CREATE TABLE other(name TEXT UNIQUE)")
                exchange_index(store, f"INSERT INTO other(rowid, name) {entries}")
                told = operate("backup_licenses", store, root / "backups", flags=WM_BACKUP_OVERWRITE)
                check(told["code"], code, f"an index that {what}: {told['sentence']}")
                if code == "S_OK":
                    check(told["figures"]["done"] + told["figures"]["restricted"], len(ROWS), f"an index that {what}")
                    names = [license[0] for license in operate("list", backups=root / "backups")["licenses"]]
                    check(names, [name for name, *_ in ROWS], f"an index that {what}")
                for path in root.glob("x.db*"):
                    path.unlink()


def lying_indexes_that_cannot_be_checked():
    """The table needs a collation or a function of its host's too, and SQLite checks nothing of it
    without that."""
    keyed = "CREATE TABLE license(name TEXT PRIMARY KEY, content BLOB NOT NULL, key_id, backup_right{})"
    needs = {
        "an index": (keyed.format(""), "CREATE INDEX of_host ON license(key_id COLLATE OF_HOST)"),
        "an index with a function": (keyed.format(""), "CREATE INDEX of_host ON license(of_host(key_id))"),
        "a CHECK": (keyed.format(", CHECK (of_host(key_id) <> '')"),),
        "hidden row numbers": (
            keyed.format(", rowid, _rowid_, oid"),
            "CREATE INDEX of_host ON license(key_id COLLATE OF_HOST)",
        ),
    }
    lies = {
        "is its own": ("SELECT rowid, name FROM license", "S_OK"),
        "lacks a row": ("SELECT rowid, name FROM license WHERE name <> '007'", STORE_ERROR),
        "has a row more": ("SELECT rowid, name FROM license UNION ALL SELECT 100, 'more'", STORE_ERROR),
    }
    with place() as root:
        for mode in "DELETE", "WAL":
            for need, (table, *statements) in needs.items():
                for what, (entries, code) in lies.items():
                    store = root / "x.db"
                    with opened(store) as connection:
                        connection.create_collation("OF_HOST", lambda one, other: (one > other) - (one < other))
                        connection.create_function("of_host", 1, str.casefold, deterministic=True)
                        others = f"CREATE TABLE other(name TEXT UNIQUE)"
                        for statement in f"PRAGMA journal_mode = {mode}", table, *statements, others:
                            connection.execute(statement)
                        rows = "INSERT INTO license(name, content, key_id, backup_right) VALUES (?, ?, ?, ?)"
                        connection.executemany(rows, ROWS)
                    exchange_index(store, f"INSERT INTO other(rowid, name) {entries}")
                    told = operate("backup_licenses", store, root / "backups", flags=DRY_RUN)
                    what = f"an index that {what}, where {need} is the host's, in {mode}"
                    check(told["code"], code, f"{what}: {told['sentence']}")
                    if code == "S_OK":
                        check(told["figures"]["done"] + told["figures"]["restricted"], len(ROWS), what)
                    for path in root.glob("x.db*"):
                        path.unlink()


# -- schemas that stand for more than they say ----------------------------------------------------------------


def schema(path, views):
    """Views of a table, whatever SQLite would say to them, and `license`, which is the last one's."""
    with opened(path) as connection:
        connection.execute("CREATE TABLE t(name TEXT PRIMARY KEY, content BLOB NOT NULL)")
        connection.execute("INSERT INTO t VALUES ('a', x'61')")
        connection.execute("PRAGMA writable_schema = ON")
        entries = [(f"v{i}", f"CREATE VIEW v{i} AS {sql}") for i, sql in enumerate(views)]
        entries.append(("license", f"CREATE VIEW license AS SELECT name, content FROM v{len(views) - 1}"))
        insert = "INSERT INTO sqlite_master VALUES ('view', ?1, ?1, 0, ?2)"
        connection.executemany(insert, entries)
    return path


def chained(count, sql):
    """Each view is over the one before."""
    return [sql.format("t" if i == 0 else f"v{i - 1}", i) for i in range(count)]


def bombs():
    """They end by themselves, within the memory of others and 64 MiB, and at the least stack."""
    def little_stack():
        resource.setrlimit(resource.RLIMIT_STACK, (128 << 10, resource.RLIM_INFINITY))

    columns = ", ".join(f"{i} AS c{i}" for i in range(400))
    cases = {
        "a chain": (chained(195, "SELECT name, content FROM {0}"), "S_OK"),
        "parentheses": (["SELECT name, " + "(" * 900 + "content" + ")" * 900 + " AS content FROM t"], "S_OK"),
        "an expression": (["SELECT name, content FROM t WHERE " + "NOT " * 900 + "1"], "S_OK"),
        "a long chain": (chained(5000, "SELECT name, content FROM {0}"), STORE_ERROR),
        "doubled": (chained(25, "SELECT a.name, a.content FROM {0} a, {0} b"), STORE_ERROR),
        "united": (chained(25, "SELECT name, content FROM {0} UNION SELECT name, content FROM {0}"), STORE_ERROR),
        "wide": (chained(12, f"SELECT name, content, {columns} FROM {{0}} UNION SELECT name, content, {columns} FROM {{0}}"), STORE_ERROR),
        "many": (["SELECT name, content FROM t", *[f"SELECT {columns} FROM t"] * 20000, "SELECT name, content FROM v0"], STORE_ERROR),
        "patterns": (["SELECT name, content FROM t WHERE name LIKE replace(hex(zeroblob(12000)), '00', '%')"], "S_OK"),
    }
    with place() as root:
        plain = back_up(schema(root / "plain.db", ["SELECT name, content FROM t"]), root / "backups", preexec_fn=little_stack)
        check(plain.code, "S_OK", plain.text)
        most = 0
        for what, (views, code) in cases.items():
            store = schema(root / f"{what}.db", views)
            run = back_up(store, root / "backups", preexec_fn=little_stack)
            check(run.code, code, f"{what}: {run.text}")
            check_words(run.text, *([f"'{store}'"] if code == STORE_ERROR else []))
            check_that(run.memory < plain.memory + (64 << 10), f"{what}: {run.memory} KiB, and {plain.memory} KiB for less")
            most = max(most, run.memory - plain.memory)
        tell("schemas that stand for more than they say", f"{most >> 10} MiB more than another")


# -- what lies beside a database ------------------------------------------------------------------------------


def beside():
    """Whatever has the name of a file of SQLite's and is none: nobody waits for it, and nothing
    follows it."""
    def socket_at(path):
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))

    kinds = {
        "a pipe": os.mkfifo,
        "a folder": os.mkdir,
        "a link": lambda path: os.symlink("/dev/zero", path),
        "a link to nothing": lambda path: os.symlink("nothing", path),
        "a link to a pipe": lambda path: os.symlink("pipe", path),
        "a socket": socket_at,
    }
    with place() as root:
        os.mkfifo(root / "pipe")
        (root / "good").mkdir()
        check(back_up(make(root / "good.db", [("a", b"a", None, None)]), root / "good").code, "S_OK")
        for mode in "DELETE", "WAL":
            for suffix in "-journal", "-wal", "-shm":
                for what, put in kinds.items():
                    for name in "x.db", "x", "link.db":
                        store = make(root / name.replace("link", "y"), ROWS, before=[f"PRAGMA journal_mode = {mode}"])
                        put(root / f"{store.name}{suffix}")
                        if name == "link.db":
                            (root / name).symlink_to(store.name)
                        for run in (
                            back_up(root / name, root / "backups"),
                            restore(root / "good", root / name),
                        ):
                            case = f"{what} as {name}{suffix} in {mode}: {run.text}"
                            check(run.code, STORE_ERROR, case)
                            check_words(run.text, f"'{root / name}'", f"{store.name}{suffix}'", "no file")
                        for path in [*root.glob("x*"), *root.glob("y*"), *root.glob("link*")]:
                            path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()


def journal_of_many():
    """A journal names the journal of a transaction over several databases, and there is a pipe."""
    with place() as root:
        store = make(root / "x.db", ROWS)
        name = os.fsencode(f"{store}-mj012345679")
        os.mkfifo(name)
        magic = bytes.fromhex("d9d505f920a163d7")
        numbers = [0, 1234, store.stat().st_size // 4096, 512, 4096]
        journal = (magic + b"".join(number.to_bytes(4, "big") for number in numbers)).ljust(512, b"\0")
        ends = [len(name), sum(name)]
        journal += (0x40000000 // 4096 + 1).to_bytes(4, "big") + name
        journal += b"".join(number.to_bytes(4, "big") for number in ends) + magic
        (root / "x.db-journal").write_bytes(journal)
        run = back_up(store, root / "backups")
        check_that(run.code in ("S_OK", STORE_ERROR), run.text)


def large_values():
    """However large its values are, and however many: they take no more memory than one."""
    def little_memory():
        resource.setrlimit(resource.RLIMIT_DATA, (LITTLE, LITTLE))

    with place() as root:
        for what, value, words in [
            ("zeros", "zeroblob(500000000)", "the first row"),
            ("text", "hex(zeroblob(200000000))", "the first row"),
            ("printf", "CAST(printf('%900000000d', 1) AS BLOB)", "the first row"),
            ("under the limit", "zeroblob(30000000)", "'n1'"),
            ("one of many", "CASE i WHEN 5 THEN zeroblob(17000000) ELSE zeroblob(16000000) END", "'n5'"),
        ]:
            store = viewing(root / f"{what}.db", ENDLESS.format(" WHERE i < 5", value, ""))
            run = back_up(store, root / "backups", preexec_fn=little_memory)
            check(run.code, "ERROR_FILE_TOO_LARGE", f"{what}: {run.text}")
            check_words(run.text, words, "16 MiB")
        long_name = viewing(root / "name.db", "CREATE VIEW license AS SELECT hex(zeroblob(5000000)) name, x'' content")
        run = back_up(long_name, root / "backups", preexec_fn=little_memory)
        check(run.code, "ERROR_INVALID_NAME", run.text[:1000])
        check_that(len(run.text) < 20000, f"{len(run.text)} bytes of text")
        stored = make(root / "stored.db", [], "INSERT INTO license VALUES('n1', zeroblob(200000000), NULL, NULL)")
        run = back_up(stored, root / "backups", preexec_fn=little_memory)
        check(run.code, "ERROR_FILE_TOO_LARGE", f"a row of a table: {run.text}")
        check_words(run.text, "'n1'", "200000000 bytes", "16 MiB")


def many_rows():
    count = 1_000_000
    with place() as root:
        store = viewing(root / "x.db", ENDLESS.format(f" WHERE i < {count}", "CAST(i AS BLOB)", ""))
        child = Child()
        child.ask("backup_licenses", store, root / "backups", flags=DRY_RUN)
        told = child.answer()
        child.end()
        check((told["code"], told["figures"]["done"]), ("S_OK", count), told["sentence"])
        check_that(child.memory < MEMORY, f"{child.memory} KiB")
        tell("a view of a million rows", f"{child.memory >> 10} MiB")


def harm():
    """What a schema would like to do: nothing of it happens."""
    with place() as root:
        marks = [root / "written", root / "attached.db"]
        check(back_up(make(root / "good.db", [("a", b"a", None, None)]), root / "backups").code, "S_OK")
        for number, value in enumerate(
            [
                "load_extension('/tmp/evil.so')",
                "readfile('/etc/passwd')",
                f"writefile('{marks[0]}', 'x')",
                "fts3_tokenizer('simple')",
                "(SELECT sql FROM sqlite_dbpage)",
                "(SELECT content FROM pragma_journal_mode('OFF'))",
                "(SELECT file FROM pragma_database_list)",
            ]
        ):
            store = viewing(root / f"{number}.db", f"CREATE VIEW license AS SELECT 'a' AS name, {value} AS content")
            run = back_up(store, root / "backups")
            check(run.code, STORE_ERROR, f"{value}: {run.text}")
            trigger = f"CREATE TRIGGER t AFTER INSERT ON license BEGIN SELECT {value}; END"
            store = make(root / f"trigger {number}.db", [], trigger)
            run = restore(root / "backups", store)
            check(run.code, STORE_ERROR, f"{trigger}: {run.text}")
        for number, statement in enumerate(
            [
                f"ATTACH '{marks[1]}' AS evil",
                f"VACUUM INTO '{marks[1]}'",
                "PRAGMA writable_schema = ON",
            ]
        ):
            store = make(root / f"statement {number}.db")
            with opened(store) as connection:  # SQLite itself would not make such a trigger
                connection.execute("PRAGMA writable_schema = ON")
                connection.execute(
                    "INSERT INTO sqlite_master VALUES ('trigger', 't', 'license', 0, ?)",
                    [f"CREATE TRIGGER t AFTER INSERT ON license BEGIN {statement}; END"],
                )
            check(restore(root / "backups", store).code, STORE_ERROR, statement)
        recursive = make(
            root / "recursive.db",
            [],
            "CREATE TRIGGER t AFTER INSERT ON license BEGIN INSERT INTO license(name, content)"
            " VALUES (new.name || 'x', x''); END",
        )
        check(restore(root / "backups", recursive).code, "S_OK", "a trigger that would go on for ever")
        for what, (trigger, words) in {
            "others": ("DELETE FROM license WHERE name <> new.name", "removes licences"),
            "one": ("DELETE FROM license WHERE name = '007'", "removes licences"),
            "one for another": (
                "DELETE FROM license WHERE name = '007'; INSERT INTO license(name, content) VALUES (new.name || 'x', x'')",
                "removes licences",
            ),
            "contents": ("UPDATE license SET content = x'' WHERE name <> new.name", "changes other licences"),
            "a name": ("UPDATE license SET name = 'other' WHERE name = '007'", "changes other licences"),
        }.items():
            removing = make(root / f"removing {what}.db", ROWS)
            with opened(removing) as connection:
                connection.execute(f"CREATE TRIGGER t AFTER INSERT ON license BEGIN {trigger}; END")
            before = licenses_of(removing)
            run = restore(root / "backups", removing)
            check(run.code, STORE_ERROR, f"{trigger}: {run.text}")
            check_words(run.text, words)
            check(licenses_of(removing), before, trigger)
        schema = "INSERT INTO sqlite_schema VALUES ('table', 'evil', 'evil', 0, 'CREATE TABLE evil(a)')"
        store = make(root / "schema.db", [], "CREATE TABLE t(a)")
        with opened(store) as connection:
            connection.execute("PRAGMA writable_schema = ON")
            connection.execute(
                "INSERT INTO sqlite_master VALUES ('trigger', 't', 'license', 0, ?)",
                [f"CREATE TRIGGER t AFTER INSERT ON license BEGIN {schema}; END"],
            )
        check(restore(root / "backups", store).code, STORE_ERROR, "a trigger that writes the schema")
        check([mark for mark in marks if mark.exists()], [], "what was done")


def main():
    for test in (
        damage,
        damaged_log,
        lying_indexes,
        lying_indexes_that_cannot_be_checked,
        bombs,
        beside,
        journal_of_many,
        large_values,
        many_rows,
        harm,
    ):
        test()
    finish()


main()
