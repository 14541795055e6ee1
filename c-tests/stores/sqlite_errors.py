"""What is no store, or can't be read or written, is told by its code and a sentence that names
it."""

import os
import resource
import signal

from databases import *

STORE_ERROR = "NS_E_DRM_LICENSE_STORE_ERROR"
TWO = "CREATE TABLE license(name, content)"

# -- rows and tables ------------------------------------------------------------------------------------------


def row(name="'bad'", content="x'00'", key_id="NULL", right="NULL"):
    return f"INSERT INTO license VALUES ({name}, {content}, {key_id}, {right})"


ANY = "CREATE TABLE license(name, content, key_id, backup_right)"
VIEW = "CREATE VIEW license AS SELECT column1 AS name, x'00' AS content FROM (VALUES {})"

NO_STORES = {
    "no table": (["CREATE TABLE licenses(name, content)"], STORE_ERROR, "no table or view 'license'"),
    "an index": (["CREATE TABLE t(a)", "CREATE INDEX license ON t(a)"], STORE_ERROR, "no table or view 'license'"),
    "no name": (["CREATE TABLE license(title, content)"], STORE_ERROR, "name and content"),
    "no content": (["CREATE TABLE license(name, key_id)"], STORE_ERROR, "name and content"),
    "a view of nothing": (["CREATE VIEW license AS SELECT name, content FROM gone"], STORE_ERROR, "gone"),
    "empty": ([TWO], "ERROR_EMPTY"),
    "name NULL": ([ANY, row("'good'"), row("NULL")], STORE_ERROR, "name is Null", "TEXT"),
    "name INTEGER": ([ANY, row("7")], STORE_ERROR, "name is Integer", "TEXT"),
    "name BLOB": ([ANY, row("'good'"), row("x'62'")], STORE_ERROR, "'good'", "name is Blob", "TEXT"),
    "name not UTF-8": ([ANY, row("CAST(x'62ff' AS TEXT)")], STORE_ERROR, "not UTF-8"),
    "content TEXT": (
        [ANY, row(content="'text'")], STORE_ERROR, "'bad'", "content is Text", "BLOB", "CREATE VIEW license",
        "CAST(content AS BLOB)",
    ),
    "content NULL": ([ANY, row(content="NULL")], STORE_ERROR, "'bad'", "content is Null", "BLOB"),
    "content INTEGER": ([ANY, row(content="7")], STORE_ERROR, "'bad'", "content is Integer", "BLOB"),
    "key_id BLOB": ([ANY, row(key_id="x'6B'")], STORE_ERROR, "'bad'", "key_id is Blob", "TEXT"),
    "key_id INTEGER": ([ANY, row(key_id="7")], STORE_ERROR, "'bad'", "key_id is Integer", "TEXT"),
    "key_id not UTF-8": ([ANY, row(key_id="CAST(x'ff' AS TEXT)")], STORE_ERROR, "not UTF-8"),
    "right 3": ([ANY, row(right="3")], STORE_ERROR, "'bad'", "backup_right", "0, 1 or 2"),
    "right -1": ([ANY, row(right="-1")], STORE_ERROR, "'bad'", "backup_right"),
    "right 2^32 + 1": ([ANY, row(right="4294967297")], STORE_ERROR, "'bad'", "backup_right"),
    "right TEXT": ([ANY, row(right="'x'")], STORE_ERROR, "'bad'", "backup_right is Text", "INTEGER"),
    "right REAL": ([ANY, row(right="1.5")], STORE_ERROR, "'bad'", "backup_right is Real", "INTEGER"),
    "key_id empty": ([ANY, row(key_id="''")], "ERROR_INVALID_NAME", "'bad'", "key ID"),
    "key_id long": ([ANY, row(key_id=f"'{'k' * 1025}'")], "ERROR_INVALID_NAME", "'bad'", "key ID"),
    "key_id control": ([ANY, row(key_id="'a' || char(10)")], "ERROR_INVALID_NAME", "'bad'", "key ID"),
    "name twice": ([VIEW.format("('b'), ('a'), ('b')")], "ERROR_ALREADY_EXISTS", "'b'", "same name"),
    "twice in a table": ([TWO] + ["INSERT INTO license VALUES ('b', x'')"] * 2, "ERROR_ALREADY_EXISTS", "'b'"),
    "folder": ([VIEW.format("('b/c'), ('b'), ('b.c')")], "ERROR_INVALID_NAME", "folder", "'b"),
}
for name, sql, words in [
    ("empty", "''", "empty"),
    ("long", f"'{'d/' * 2000}x'", "4000"),
    ("long part", f"'{'x' * 256}'", "255"),
    ("absolute", "'/etc/passwd'", "'/etc/passwd'"),
    ("upwards", "'a/../b'", "'a/../b'"),
    ("hidden", "'.bad'", "'.bad'"),
    ("backslash", "'a\\b'", "backslash"),
    ("NUL", "'a' || char(0) || 'b'", "control"),
    ("newline", "'a' || char(10)", "control"),
    ("C1", "'a' || char(133)", "control"),
]:
    NO_STORES["name " + name] = ([ANY, row("'good'"), row(sql)], "ERROR_INVALID_NAME", words)


def rows_and_tables():
    with place() as root:
        make(root / "good.db", [("old", b"old", None, None)])
        check(back_up(root / "good.db", root / "backups").code, "S_OK")
        old = (root / "backups/licenses.tar.zst").read_bytes()
        for what, (statements, code, *words) in NO_STORES.items():
            store = root / f"{what.replace('/', '')}.db"
            make(store, [], *statements[1:], table=statements[0])
            before = store.read_bytes()
            run = back_up(store, root / "backups")
            check(run.code, code, f"{what}: {run.text}")
            check_words(run.text, *words, *([f"'{store}'"] if code == STORE_ERROR else []))
            check((root / "backups/licenses.tar.zst").read_bytes(), old, f"the old backup after {what}")
            check(store.read_bytes(), before, f"the database with {what}")


# -- files that are no databases ------------------------------------------------------------------------------


def no_databases():
    text = b"This is a text, and longer than the header of a database is. " * 3
    with place() as root:
        make(root / "good.db", [("old", b"old", None, None)])
        check(back_up(root / "good.db", root / "backups").code, "S_OK")
        for name, content in [("text.db", text), ("short.sqlite", b"SQLite format 3\0"), ("text", text), ("none", b"")]:
            (root / name).write_bytes(content)
        make(root / "truncated", [(f"{i}", bytes(500), None, None) for i in range(100)])
        os.truncate(root / "truncated", 5000)
        (root / "empty.db").touch()
        os.mkfifo(root / "fifo.db")
        os.mkfifo(root / "fifo")
        os.symlink("/dev/zero", root / "zero.db")
        cases = {
            "text.db": (STORE_ERROR, STORE_ERROR),
            "short.sqlite": (STORE_ERROR, STORE_ERROR),
            "truncated": (STORE_ERROR, STORE_ERROR),
            "text": ("ERROR_DIRECTORY", "ERROR_DIRECTORY"),
            "none": ("ERROR_DIRECTORY", "ERROR_DIRECTORY"),
            "fifo": ("ERROR_DIRECTORY", "ERROR_DIRECTORY"),
            "empty.db": (STORE_ERROR, "S_OK"),
            "missing.db": ("ERROR_PATH_NOT_FOUND", None),
            "missing": ("ERROR_PATH_NOT_FOUND", None),
            "gone/new.db": ("ERROR_PATH_NOT_FOUND", "ERROR_PATH_NOT_FOUND"),
            "text/new.db": ("ERROR_DIRECTORY", "ERROR_DIRECTORY"),
            "fifo.db": None,
            "zero.db": None,
        }
        for name, codes in cases.items():
            runs = [back_up(root / name, root / "backups")]
            if codes is None or codes[1] is not None:
                runs.append(restore(root / "backups", root / name))
            for run, code in zip(runs, codes or (None, None)):
                check(run.code, code or run.code, f"{name}: {run.text}")
                check_that(run.code.startswith(("S_OK", "ERROR_", "NS_E_")), f"{name}: {run.text}")
                check_words(run.text, *([f"{root}/{name.split('/')[0]}"] if run.code != "S_OK" else []))
        check((root / "text.db").read_bytes() + (root / "text").read_bytes(), text * 2, "the texts")


# -- locks ----------------------------------------------------------------------------------------------------


def locks():
    """Held for longer than the library waits, all at once; and for shorter."""
    rows = [(f"{i:03}", os.urandom(40000), None, None) for i in range(200)]  # more than a cache of SQLite's holds
    with place() as root, contextlib.ExitStack() as stack:
        check(back_up(make(root / "rows.db", rows), root / "backups").code, "S_OK")
        runs, releases = [], []

        def hold(what, name, mode, statements, command, code):
            store = make(root / name, [("a", b"a", None, None)], before=[f"PRAGMA journal_mode = {mode}"])
            holder = sqlite3.connect(store, isolation_level=None)
            stack.callback(holder.close)
            for statement in statements:
                holder.execute(statement).fetchone()
            backups = root / f"backups of {name}"
            backups.mkdir()
            arguments = [store, backups] if command == "backup" else [root / "backups", store]
            runs.append((f"{command} while {what}", store, code, Run(command, *arguments)))
            return holder

        held = "ERROR_LOCK_VIOLATION"
        exclusive = ["PRAGMA locking_mode = EXCLUSIVE", "BEGIN IMMEDIATE"]
        hold("written", "one.db", "DELETE", ["BEGIN EXCLUSIVE"], "backup", held)
        hold("written", "no extension", "DELETE", ["BEGIN EXCLUSIVE"], "backup", held)
        hold("written", "none to restore into", "DELETE", ["BEGIN EXCLUSIVE"], "restore", held)
        hold("opened for one process alone", "wal one.db", "WAL", exclusive, "backup", held)
        hold("another writes", "two.db", "DELETE", ["BEGIN IMMEDIATE"], "restore", held)
        hold("another writes in WAL", "wal two.db", "WAL", ["BEGIN IMMEDIATE"], "restore", held)
        reader = hold("another reads", "three.db", "DELETE", ["BEGIN", "SELECT * FROM license"], "restore", held)
        hold("another writes in WAL", "wal three.db", "WAL", ["BEGIN IMMEDIATE"], "backup", "S_OK")
        hold("another reads in WAL", "wal four.db", "WAL", ["BEGIN", "SELECT * FROM license"], "restore", "S_OK")
        releases.append(hold("written for a second", "four.db", "DELETE", ["BEGIN EXCLUSIVE"], "backup", "S_OK"))
        releases.append(hold("written for a second", "five.db", "DELETE", ["BEGIN EXCLUSIVE"], "restore", "S_OK"))
        signal.sigtimedwait([], 1)
        for holder in releases:
            holder.execute("ROLLBACK")
        for what, store, code, run in runs:
            run.end()
            check(run.code, code, f"{what}: {run.text}")
            check_words(run.text, *([f"'{store}'", "try again"] if code == held else []))
        check(reader.execute("SELECT name FROM license").fetchall(), [("a",)], "what the other reads")


# -- rights and limits ----------------------------------------------------------------------------------------


def rights():
    denied = "E_ACCESSDENIED"
    with place() as root:
        other = as_another_user(root)
        if other is None:
            return
        rows = [("a", b"a", None, None)]
        check(back_up(make(root / "rows.db", rows), root / "backups", **other).code, "S_OK")
        for mode in "DELETE", "WAL":
            for directory_mode, file_mode, backup_code, restore_code in [
                (0o777, 0o666, "S_OK", "S_OK"),
                (0o755, 0o666, "S_OK", denied),
                (0o777, 0o444, "S_OK" if mode == "DELETE" else None, denied),
                (0o777, 0o600, denied, denied),
                (0o700, 0o666, denied, denied),
            ]:
                for name in "x.db", "no extension":
                    if name != "x.db" and directory_mode == 0o700:
                        continue
                    folder = root / f"{mode} {directory_mode:o} {file_mode:o} {name}"
                    folder.mkdir()
                    store = make(folder / name, rows, before=[f"PRAGMA journal_mode = {mode}"])
                    os.chmod(store, file_mode)
                    os.chmod(folder, directory_mode)
                    run = back_up(store, root / "backups", **other)
                    check(run.code, backup_code or run.code, f"{folder.name}: {run.text}")
                    check_that(run.code in ("S_OK", denied), f"{folder.name}: {run.text}")
                    query(store, "UPDATE license SET content = x'62'")
                    before = licenses_of(store)
                    run = restore(root / "backups", store, "--overwrite", **other)
                    check(run.code, restore_code, f"restore, {folder.name}: {run.text}")
                    if run.code != "S_OK":
                        check_words(run.text, str(folder))
                        check(licenses_of(store), before, f"{folder.name}")
        (root / "closed").mkdir(mode=0o755)
        run = restore(root / "backups", root / "closed/new.db", **other)
        check(run.code, denied, run.text)
        check_words(run.text, f"{root}/closed/new.db")
        check(list((root / "closed").iterdir()), [], "what is made")


def limits():
    """The limits of a process: how large its files are, and how many."""
    def small_files():
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    with place() as root:
        rows = [(f"{i:03}", os.urandom(10000), None, None) for i in range(300)]
        check(back_up(make(root / "rows.db", rows), root / "backups").code, "S_OK")
        for mode in "DELETE", "WAL":
            store = make(root / f"{mode}.db", before=[f"PRAGMA journal_mode = {mode}"])
            run = restore(root / "backups", store, preexec_fn=small_files)
            check(run.code, "ERROR_FILE_TOO_LARGE", f"restore in {mode}: {run.text}")
            check(licenses_of(store), {}, "what is kept")
        run = restore(root / "backups", root / "new.db", preexec_fn=small_files)
        check(run.code, "ERROR_FILE_TOO_LARGE", f"restore into a new one: {run.text}")
        check(sorted(path.name for path in root.glob("new*")), [], "what is made")


def few_files():
    """With ever more descriptors: no more than one outcome says that there are too many, until
    there are not."""
    with place() as root:
        rows = [("a", b"a", None, None)]
        for mode in "DELETE", "WAL":
            store = make(root / f"{mode}.db", rows, before=[f"PRAGMA journal_mode = {mode}"])
            for command in "backup", "restore":
                codes = []
                for count in range(3, 40):
                    def few():
                        resource.setrlimit(resource.RLIMIT_NOFILE, (count, count))

                    arguments = [store, root / "backups"] if command == "backup" else [root / "backups", store]
                    options = ["--overwrite"] if command == "backup" else []
                    run = tool(command, *options, *arguments, preexec_fn=few)
                    if "error while loading" not in run.text:
                        codes.append(run.code)
                        check_that(run.code in ("S_OK", "ERROR_TOO_MANY_OPEN_FILES"), f"{command}, {count}: {run.text}")
                check(codes[-1], "S_OK", f"{command} in {mode}")
                check_that("ERROR_TOO_MANY_OPEN_FILES" in codes, f"{command} in {mode} runs short of descriptors")


# -- characters that can't be seen ----------------------------------------------------------------------------

EVIL = "\x1b]0;evil\x07\nERROR 0: \x7f\x85\x9b\u061c\u200b\u200e\u200f\u202a\u202e\u2028\u2029\u2060\u2066\u2069\ufeff\U000e0041"


def check_plain(text, what):
    check([character for character in text if character in EVIL[EVIL.index("\x7f"):] or character < " "], [], what)


def strange_characters():
    """Names and schemas of strangers come into sentences escaped, and into values as they are."""
    with place() as root:
        store = make(root / "schema.db", [], table="CREATE TABLE t(a)")
        with opened(store) as connection:
            connection.execute("PRAGMA writable_schema = ON")
            view = f'CREATE VIEW license AS SELECT name, content FROM "{EVIL}"'
            connection.execute("INSERT INTO sqlite_master VALUES ('view', 'license', 'license', 0, ?)", [view])
        answer = operate("backup_licenses", store, root / "backups", flags=WM_BACKUP_OVERWRITE)
        check(answer["code"], STORE_ERROR, answer["sentence"])
        told = r"\u{1b}]0;evil\u{7}\nERROR 0: \u{7f}\u{85}\u{9b}\u{61c}\u{200b}\u{200e}\u{200f}\u{202a}\u{202e}\u{2028}"
        check_words(answer["sentence"], told, r"\u{2060}\u{2066}\u{2069}\u{feff}\u{e0041}")
        check_plain(answer["sentence"], "a sentence")
        check(texts(answer, ERROR), [answer["sentence"]], "what the event tells")
        name, key_id = "a\u202eb\ufeff\u2028", "k\u202e"
        store = make(root / "name.db", [(name, b"a", key_id, 2), ("b\u202ec", b"b", "d\u202e", None)])
        answer = operate("backup_licenses", store, root / "backups", flags=WM_BACKUP_OVERWRITE)
        check(answer["code"], "S_OK", answer["sentence"])
        check(texts(answer, RESTRICTED), [key_id], "a key ID is a value")
        (left_out,) = texts(answer, LEFT_OUT)
        check_words(left_out, r"a\u{202e}b\u{feff}\u{2028}: ")
        check_plain(left_out, "what was left out")
        listed = tool("list", root / "backups").text
        check_words(listed, "b?c\n", "d? ")
        check_plain(listed.replace("\n", ""), "a list for people")
        check_words(tool("list", "--json", root / "backups").text, '"name":"b')
        names = [license[0] for license in operate("list", backups=root / "backups")["licenses"]]
        check(names, ["b\u202ec"], "names are values")


# -- full and read-only disks ---------------------------------------------------------------------------------


def full_disks():
    full = "ERROR_DISK_FULL"
    with place() as root:
        backups = root / "backups"
        rows = [(f"{i:03}", os.urandom(10000), None, None) for i in range(300)]
        check(back_up(make(root / "rows.db", rows), backups).code, "S_OK")

        def restores(disk, mode):
            store = make(disk / "x.db", [("a", b"a", None, None)], before=[f"PRAGMA journal_mode = {mode}"])
            for room in None, 0, 4096, 30000:
                filler = disk / "filler"
                if room is not None:
                    with contextlib.suppress(OSError), open(filler, "wb", buffering=0) as file:
                        while file.write(bytes(4096)) == 4096:
                            pass
                    os.truncate(filler, filler.stat().st_size - room)
                for path in store, disk / "new.db":
                    run = restore(backups, path)
                    check(run.code, full, f"restore in {mode} with room for {room}: {run.text}")
                    check_words(run.text, f"'{path}'")
                filler.unlink(missing_ok=True)
                check(licenses_of(store), {"a": b"a"}, "what is kept")
                check([path.name for path in disk.iterdir()], ["x.db"], "what is left behind")
            store.unlink()

        def restores_and_a_copy(disk):
            restores(disk, "DELETE")
            restores(disk, "WAL")
            # A database that is not in WAL mode is copied.
            run = back_up(root / "rows.db", backups, env={**os.environ, "SQLITE_TMPDIR": str(disk)})
            check(run.code, full, f"backup: {run.text}")
            check_words(run.text, "temporary copy", f"'{disk}', is full", "TMPDIR")
            view = "CREATE VIEW license AS SELECT name, content FROM t"  # it is sorted
            sorted_rows = make(root / "sorted.db", [], view, before=["PRAGMA journal_mode = WAL"], table="CREATE TABLE t(name, content)")
            with opened(sorted_rows) as connection:
                connection.executemany("INSERT INTO t VALUES (?, ?)", [row[:2] for row in 3 * rows])
            run = back_up(sorted_rows, backups, env={**os.environ, "SQLITE_TMPDIR": str(disk)})
            check(run.code, full, f"backup of a view: {run.text}")
            check_words(run.text, f"'{sorted_rows}'", f"'{disk}', is full", "TMPDIR")
            small = make(root / "small.db", [("a", b"a", None, None)])  # it is copied into memory
            run = back_up(small, backups, env={**os.environ, "SQLITE_TMPDIR": str(disk)})
            check(run.code, "S_OK", f"backup of a small database: {run.text}")
            check(list(disk.iterdir()), [], "what is left behind")

        with_own_disk(root / "disk", b"size=512k", "full disks", restores_and_a_copy)


def read_only_disks():
    with place() as root:
        backups = root / "backups"
        check(back_up(make(root / "rows.db", [("b", b"b", None, None)]), backups).code, "S_OK")
        (root / "others").mkdir()

        def read_only(disk):
            rows = [("a", b"a", None, None)]
            modes = ["DELETE", "WAL"]
            stores = [make(disk / f"{mode}.db", rows, before=[f"PRAGMA journal_mode = {mode}"]) for mode in modes]
            if not make_read_only(disk):
                return skip("read-only disks", "can't be made so")
            for store in [*stores, disk / "new.db"]:
                run = restore(backups, store)
                check(run.code, "ERROR_WRITE_PROTECT", f"{store}: {run.text}")
                check_words(run.text, f"'{store}'")

        with_own_disk(root / "disk", b"size=1m", "read-only disks", read_only)


def main():
    for test in (
        rows_and_tables,
        no_databases,
        locks,
        rights,
        limits,
        few_files,
        strange_characters,
        full_disks,
        read_only_disks,
    ):
        test()
    finish()


main()
