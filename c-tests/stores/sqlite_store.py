"""A database as a store: what is in the rows is in the backup, and comes back from it."""

import json
import os
import re
import shutil

from databases import *

WMDRM = '<LICENSE version="2.0.0.0"><LICENSORINFO><DATA><KID>{}</KID>{}</DATA></LICENSORINFO></LICENSE>'
ALLOWS, DENIES = '<ONACTION type="backup"/>', '<ONACTION type="Play"/>'
UNSTATED, ALLOWED, DENIED = 0, 1, 2
SIZE_MAX = 16 << 20


def lcp(key_id):
    return json.dumps({"id": key_id, "issued": "2020-01-01T00:00:00Z", "provider": "p", "encryption": {}}).encode()


def wmdrm(key_id, actions):
    return WMDRM.format(key_id, actions).encode()


def saved(store, backups):
    """The licences of a new backup in its order, as [name, key ID, size, right]."""
    run = back_up(store, backups)
    check(run.code, "S_OK", run.text)
    return [license[:4] for license in operate("list", backups=backups)["licenses"]]


# -- what the columns say -------------------------------------------------------------------------------------


def rows_win_over_contents():
    rows = [
        ("1 opaque.lic", b"any bytes \0\xff", None, None),
        ("2 empty.lic", b"", None, None),
        ("3 all stated.lcpl", lcp("urn:content"), "urn:row", ALLOWED),
        ("4 content's.lcpl", lcp("urn:content"), None, UNSTATED),
        ("5 allowed after all.xml", wmdrm("a2lk", DENIES), None, ALLOWED),
        ("6 allowed by content.xml", wmdrm("a2lk", ALLOWS), None, None),
        ("7 denied by row.lic", b"denied", "key of seven", DENIED),
        ("8 denied by row after all.xml", wmdrm("ZWlnaHQ=", ALLOWS), None, DENIED),
        ("9 denied by content.xml", wmdrm("bmluZQ==", DENIES), None, UNSTATED),
    ]
    with place() as root:
        store = make(root / "all.db", rows)
        expected = [
            ["1 opaque.lic", "1 opaque", 12, UNSTATED],
            ["2 empty.lic", "2 empty", 0, UNSTATED],
            ["3 all stated.lcpl", "urn:row", len(rows[2][1]), ALLOWED],
            ["4 content's.lcpl", "urn:content", len(rows[3][1]), UNSTATED],
            ["5 allowed after all.xml", "a2lk", len(rows[4][1]), ALLOWED],
            ["6 allowed by content.xml", "a2lk", len(rows[5][1]), ALLOWED],
        ]
        check(saved(store, root / "backups"), expected, "the backup")
        told = operate("backup_licenses", store, root / "backups", flags=WM_BACKUP_OVERWRITE)
        check(told["code"], "S_OK")
        check(texts(told, RESTRICTED), ["key of seven", "ZWlnaHQ=", "bmluZQ=="], "the key IDs told")
        left_out = [text.split(": ")[0] for text in texts(told, LEFT_OUT)]
        check(left_out, [name for name, *_ in rows[6:]], "the names left out")
        check((told["figures"]["done"], told["figures"]["restricted"]), (6, 3), "the figures")

        check(restored(root / "backups"), {name: content for name, content, *_ in rows[:6]}, "in a directory")
        check(restore(root / "backups", root / "new.db").code, "S_OK")
        kept = [(*row[:2], "urn:row", ALLOWED) if row[0][0] == "3" else row for row in rows[:6]]
        with_rights = [
            (name, content, key_id, ALLOWED if name[0] in "35" else None) for name, content, key_id, _ in kept
        ]
        check(query(root / "new.db", "SELECT * FROM license ORDER BY name"), with_rights, "what only the rows said")
        (root / "second").mkdir()
        check(saved(root / "new.db", root / "second"), expected, "a backup of what was restored")


def unchanged():
    """A backup of a database that has not changed leaves the old one as it is."""
    rows = [(f"{number}.lic", b"licence %d" % number, None, None) for number in range(3000)]
    with place() as root:
        store = make(root / "all.db", [*rows, ("denied.xml", wmdrm("a2lk", DENIES), None, None)])
        file = root / "backups" / "licenses.tar.zst"

        def stays(flags=WM_BACKUP_OVERWRITE):
            before = file.stat()
            told = operate("backup_licenses", store, root / "backups", flags=flags)
            check(told["code"], "S_OK")
            check(texts(told, RESTRICTED), ["a2lk"], "the key ID that is told")
            check(told["figures"]["restricted"], 1, "what is left out")
            after = file.stat()
            return (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)

        check(operate("backup_licenses", store, root / "backups")["code"], "S_OK")
        check(stays(), True, "nothing has changed")
        check(stays(WM_BACKUP_OVERWRITE | BACKUP_FULL), False, "a full backup")
        query(store, "UPDATE license SET content = x'00' WHERE name = '7.lic'")
        check(stays(), False, "a content has changed")
        check(stays(), True, "nothing has changed again")
        query(store, "UPDATE license SET key_id = 'another' WHERE name = '7.lic'")
        check(stays(), False, "a key ID has changed")
        data = bytearray(file.read_bytes())
        data[len(data) // 3] ^= 1
        file.write_bytes(data)
        check(stays(), False, "the backup is damaged")
        check(stays(), True, "the backup is whole again")


def columns_that_are_not_there():
    """A restore keeps what the columns can hold, and leaves alone what else there is."""
    rows = [("a.lic", b"one", "urn:a", ALLOWED), ("b/c.lcpl", lcp("urn:loan"), None, None)]
    said = [["a.lic", "urn:a", 3, ALLOWED], ["b/c.lcpl", "urn:loan", len(rows[1][1]), UNSTATED]]
    tables = {
        "name TEXT PRIMARY KEY, content BLOB NOT NULL": ("a", UNSTATED),
        "name TEXT PRIMARY KEY, content BLOB NOT NULL, key_id TEXT": ("urn:a", UNSTATED),
        "Backup_Right INTEGER, Other TEXT DEFAULT 'o', CONTENT BLOB, Name TEXT": ("a", ALLOWED),
        "extra, 'key_id' TEXT, [name] TEXT UNIQUE, \"content\" BLOB, more AS (name || '!') STORED, backup_right":
            ("urn:a", ALLOWED),
    }
    with place() as root:
        for directory in "said", "less":
            (root / directory).mkdir()
        check(saved(make(root / "all.db", rows), root / "said"), said, "with all columns")
        for columns, (key_id, right) in tables.items():
            store = make(root / "store.db", table=f"CREATE TABLE license({columns})")
            check(restore(root / "said", store).code, "S_OK", columns)
            check(licenses_of(store), {name: content for name, content, *_ in rows}, columns)
            check(saved(store, root / "less"), [["a.lic", key_id, 3, right], said[1]], columns)
            query(store, "UPDATE license SET content = x'6F6C64'")
            check(restore(root / "said", store, "--overwrite").code, "S_OK", columns)
            check(saved(store, root / "less"), [["a.lic", key_id, 3, right], said[1]], columns)
            store.unlink()


def columns_that_are_computed():
    """What a table computes of a licence is read, and a restore leaves it alone."""
    rows = [("a.lic", b"one", "urn:a", DENIED), ("b.lcpl", lcp("urn:loan"), None, None)]
    tables = {
        "key_id TEXT AS ('k-' || name) {}": ("k-a.lic", "k-b.lcpl", UNSTATED),
        "key_id TEXT AS ('k-' || name) {}, backup_right INTEGER": ("k-a.lic", "k-b.lcpl", UNSTATED),
        "backup_right INTEGER AS (1) {}": ("a", "urn:loan", ALLOWED),
        "Key_ID AS (length(content) || '') {0}, BACKUP_RIGHT AS (1) {0}": ("3", f"{len(rows[1][1])}", ALLOWED),
        "key_id TEXT, backup_right AS (iif(key_id IS NULL, 0, 1)) {}": ("urn:a", "urn:loan", None),
    }
    with place() as root:
        (root / "said").mkdir()
        said = [(name, content, key_id, None) for name, content, key_id, _ in rows]
        check(len(saved(make(root / "all.db", said), root / "said")), 2, "what is backed up")
        for computed, (first, second, right) in tables.items():
            for kind in "STORED", "VIRTUAL":
                columns = f"name TEXT PRIMARY KEY, content BLOB NOT NULL, {computed.format(kind)}"
                store = make(root / "store.db", table=f"CREATE TABLE license({columns})")
                rights = [ALLOWED, UNSTATED] if right is None else [right] * 2
                expected = [["a.lic", first, 3, rights[0]], ["b.lcpl", second, len(rows[1][1]), rights[1]]]
                check(restore(root / "said", store, "--dry-run").code, "S_OK", columns)
                run = restore(root / "said", store)
                check(run.code, "S_OK", f"{columns}: {run.text}")
                check(saved(store, root / "backups"), expected, columns)
                query(store, "UPDATE license SET content = x'6F6C64'")
                check(restore(root / "said", store, "--overwrite").code, "S_OK", columns)
                check(saved(store, root / "backups"), expected, columns)
                store.unlink()
        for columns in "name TEXT, content BLOB AS (x'00')", "id TEXT, name TEXT AS (id), content BLOB":
            store = make(root / "store.db", table=f"CREATE TABLE license({columns})")
            for options in [], ["--dry-run"]:
                run = restore(root / "said", store, *options)
                check(run.code, "NS_E_DRM_LICENSE_STORE_ERROR", columns)
                computed = "content" if "x'00'" in columns else "name"
                check_words(run.text, f"'{store}'", "'a.lic'", f"'{computed}'", "generated", "another database")
            check(licenses_of(store), {}, "what is written")
            store.unlink()


def columns_named_like_row_numbers():
    """What SQLite calls the number of a row is another column, or one that is the number."""
    contents = {f"{number:02}.lic": b"%d" % number for number in range(20)}
    keyed = "name TEXT PRIMARY KEY, content BLOB NOT NULL"
    tables = [
        f"{keyed}, rowid INTEGER DEFAULT 1",
        f"{keyed}, RowID TEXT",
        f"{keyed}, rowid AS (name || '!') STORED",
        f"{keyed}, _rowid_ DEFAULT 1, oid DEFAULT 1",
        f"{keyed}, rowid DEFAULT 1, _rowid_ DEFAULT 1",
        f"{keyed}, rowid DEFAULT 1, _rowid_ DEFAULT 1, oid DEFAULT 1",
        f"{keyed}, rowid, OID DEFAULT x'00', _RowId_ AS (7)",
        "rowid INTEGER PRIMARY KEY, name TEXT UNIQUE, content BLOB NOT NULL",
        "oid INTEGER PRIMARY KEY, rowid DEFAULT 1, _rowid_ DEFAULT 1, name TEXT UNIQUE, content BLOB NOT NULL",
    ]
    with place() as root:
        for columns in tables:
            for mode in "DELETE", "WAL":
                what = f"license({columns}) in {mode}"
                made = {"table": f"CREATE TABLE license({columns})", "before": [f"PRAGMA journal_mode = {mode}"]}
                store = make(root / "store.db", **made)
                with opened(store) as connection:
                    connection.executemany("INSERT INTO license(name, content) VALUES (?, ?)", contents.items())
                check([name for name, *_ in saved(store, root / "backups")], list(contents), what)
                store.unlink()
                check(restore(root / "backups", make(store, **made)).code, "S_OK", what)
                check(licenses_of(store), contents, what)
                store.unlink()


def sizes():
    with place() as root:
        fits = os.urandom(SIZE_MAX)
        store = make(root / "large.db", [("a/fits.lic", fits, None, None), ("b.lic", b"b", None, None)])
        check([size for _, _, size, _ in saved(store, root / "backups")], [SIZE_MAX, 1], "the sizes")
        check(restore(root / "backups", root / "new.db").code, "S_OK")
        check_that(licenses_of(root / "new.db") == {"a/fits.lic": fits, "b.lic": b"b"}, "16 MiB come back")
        with opened(store) as connection:
            connection.execute("UPDATE license SET content = content || x'00' WHERE name = 'a/fits.lic'")
            connection.execute("UPDATE license SET content = CAST(content AS BLOB)")
        run = back_up(store, root / "backups")
        check(run.code, "ERROR_FILE_TOO_LARGE", run.text)
        check_words(run.text, "'a/fits.lic'", "16 MiB")


# -- views ----------------------------------------------------------------------------------------------------


def a_cache_of_its_own():
    """A database may say how large its users' cache is to be; what it says does not count."""
    with place() as root:
        rows = [(f"{number:04}", bytes(4000), None, None) for number in range(12_000)]
        before = ["PRAGMA journal_mode = WAL", "PRAGMA default_cache_size = 20000"]
        store = make(root / "store.db", rows, before=before)
        run = back_up(store, root / "backups")
        check(run.code, "S_OK", run.text)
        with opened(store) as connection:
            connection.execute("DELETE FROM license WHERE rowid > 6000")
        run = restore(root / "backups", store)
        check(run.code, "S_OK", run.text)
        check(len(licenses_of(store)), len(rows))


def as_the_readme_says():
    readme = (HERE.parents[1] / "README.md").read_text()
    view = re.search(r"```sql\n(.*?)```", readme, re.DOTALL).group(1)
    table = re.search(r"its table `(license\(.*?\))`", readme, re.DOTALL).group(1)
    with place() as root:
        rows = [("7", b"token of 7", "S-7"), ("8a", b"", None)]
        host = make(root / "host.db", table="CREATE TABLE seats(seat TEXT PRIMARY KEY, token BLOB, serial TEXT)")
        with opened(host) as connection:
            connection.executemany("INSERT INTO seats VALUES (?, ?, ?)", rows)
            connection.executescript(view)
        expected = [["seats/7", "S-7", 10, UNSTATED], ["seats/8a", "8a", 0, UNSTATED]]
        check(saved(host, root / "backups"), expected, "the view of the README")
        store = make(root / "store.db", table="CREATE TABLE " + " ".join(table.split()))
        check(restore(root / "backups", store).code, "S_OK")
        contents = {"seats/7": b"token of 7", "seats/8a": b""}
        check(licenses_of(store), contents, "the table of the README")
        check(saved(store, root / "backups"), expected, "and from it")


def views():
    """One over two tables in no order, and one that takes licences out of JSON."""
    with place() as root:
        store = make(
            root / "host.db",
            [],
            "INSERT INTO films VALUES ('z', x'7A'), ('a', x'61')",
            "INSERT INTO books VALUES ('m', x'6D')",
            "CREATE VIEW license AS SELECT 'film/' || id AS name, key AS content FROM films"
            " UNION ALL SELECT 'book/' || id, key FROM books",
            table="CREATE TABLE films(id TEXT, key BLOB)",
            before=["CREATE TABLE books(id TEXT, key BLOB)"],
        )
        check([name for name, *_ in saved(store, root / "backups")], ["book/m", "film/a", "film/z"], "the order")

        document = {"licenses": [{"file": "a.lcpl", "text": lcp("urn:a").decode()}, {"file": "b", "text": "é"}]}
        store = make(
            root / "json.db",
            [],
            "CREATE VIEW license AS SELECT json_extract(value, '$.file') AS name,"
            " CAST(json_extract(value, '$.text') AS BLOB) AS content"
            " FROM settings, json_each(settings.document, '$.licenses')",
            table="CREATE TABLE settings(document TEXT)",
        )
        with opened(store) as connection:
            connection.execute("INSERT INTO settings VALUES (?)", [json.dumps(document)])
        expected = [["a.lcpl", "urn:a", len(lcp("urn:a")), UNSTATED], ["b", "b", 2, UNSTATED]]
        check(saved(store, root / "backups"), expected, "licences in JSON")


def what_only_the_host_knows():
    """Other tables need collations, functions and modules that the library lacks: they are left
    alone."""
    with place() as root:
        path = root / "host.db"
        with opened(path) as connection:
            connection.create_collation("LOCALIZED", lambda one, other: (one > other) - (one < other))
            connection.create_function("title_sort", 1, str.casefold, deterministic=True)
            connection.execute(TABLE)
            connection.execute("INSERT INTO license VALUES ('a', x'61', NULL, NULL)")
            book = "title TEXT COLLATE LOCALIZED UNIQUE, CHECK (title_sort(title) <> '')"
            connection.execute(f"CREATE TABLE book({book})")
            connection.execute("CREATE INDEX sorted ON book(title_sort(title))")
            connection.execute("INSERT INTO book VALUES ('Élise')")
            connection.execute("PRAGMA writable_schema = ON")
            words = "CREATE VIRTUAL TABLE words USING of_the_host(word)"
            connection.execute("INSERT INTO sqlite_master VALUES ('table', 'words', 'words', 0, ?)", [words])
        check([name for name, *_ in saved(path, root / "backups")], ["a"], "a backup of it")
        with opened(path) as connection:
            connection.execute("DELETE FROM license")
        run = restore(root / "backups", path)
        check(run.code, "S_OK", run.text)
        check(licenses_of(path), {"a": b"a"}, "restored beside them")
        check(query(path, "SELECT title FROM book"), [("Élise",)], "the other table")


# -- names ----------------------------------------------------------------------------------------------------


def names():
    """Every database has the same backup, whatever sorts its texts: by the bytes of the names in
    UTF-8."""
    names = ["B", "a", "C", "a b", "a.b", "c/b", "b'c", 'b"c', "~", "é", "ﬀ～", "\U0001f511 key", "\ud7ff", "\ue000"]
    names += ["Lieder/für Élise.lic", "x" * 255, "d/" * 1999 + "xy", "%s%n", "日本語/ライセンス", "a\u0301", "á"]
    ordered = sorted(names, key=str.encode)
    rows = [(name, name.encode()[:50], None, None) for name in names]
    tables = {
        "rowid": TABLE,
        "without rowid": TABLE + " WITHOUT ROWID",
        "nocase": TABLE.replace("TEXT PRIMARY KEY", "TEXT PRIMARY KEY COLLATE NOCASE"),
        "rtrim": TABLE.replace("TEXT PRIMARY KEY", "TEXT PRIMARY KEY COLLATE RTRIM"),
        "no key": TABLE.replace("PRIMARY KEY", ""),
    }
    with place() as root:
        for encoding in "UTF-8", "UTF-16le", "UTF-16be":
            for kind, table in tables.items():
                store = make(
                    root / f"{encoding} {kind}.db", rows, table=table, before=[f"PRAGMA encoding = '{encoding}'"]
                )
                check(query(store, "PRAGMA encoding"), [(encoding,)], "the encoding")
                check([name for name, *_ in saved(store, root / "backups")], ordered, f"{kind} in {encoding}")
                empty = make(root / "empty.db", table=table, before=[f"PRAGMA encoding = '{encoding}'"])
                check(restore(root / "backups", empty).code, "S_OK")
                check(licenses_of(empty), {name: content for name, content, *_ in rows}, f"{kind} in {encoding} back")
                check(restore(root / "backups", empty).text.count("kept"), 0, f"{kind} in {encoding} is the same")
                empty.unlink()


def paths():
    """What the database may be called. As bytes a path need not be UTF-8."""
    with place() as root:
        rows = [("a", b"a", None, None)]
        make(root / "plain", rows)
        os.symlink(root / "plain", root / "link")
        odd = [b"file:plain?mode=ro", b"file:x.db", b"no extension", b":memory:", b"x.SQLITE", "é 🔑.db".encode()]
        odd += [b"\xff\xfe.db", b"\xff no extension", b"-wal", b"a'b%20?c#d.sqlite3"]
        for name in [b"link", *odd]:
            path = os.path.join(os.fsencode(root), name)
            if name in odd:
                shutil.copy(root / "plain", path)
            for store in path, b"./" + name if name.startswith(b"-") else name:
                run = back_up(store, "backups", cwd=root)
                check(run.code, "S_OK", f"{store}: {run.text}")
                check(restored(root / "backups"), {"a": b"a"}, f"{store}")
                check(restore("backups", store, "--dry-run", cwd=root).code, "S_OK", f"{store}")
        for name in [b"file:new.db", b"\xff\xfd.sqlite", b":memory:.db"]:
            check(restore("backups", name, cwd=root).code, "S_OK", f"{name}")
            check(os.path.getsize(os.path.join(os.fsencode(root), name)) > 0, True, f"{name} is made")


def main():
    for test in (
        rows_win_over_contents,
        unchanged,
        columns_that_are_not_there,
        columns_that_are_computed,
        columns_named_like_row_numbers,
        sizes,
        a_cache_of_its_own,
        as_the_readme_says,
        views,
        what_only_the_host_knows,
        names,
        paths,
    ):
        test()
    finish()


main()
