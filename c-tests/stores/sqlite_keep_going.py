"""With KEEP_GOING a row that is no licence, or can't be kept, is passed over by a backup, and a
licence that the database refuses by a restore; a restore stays one transaction all the same."""

from databases import *

ANY = "CREATE TABLE license(name, content, key_id, backup_right)"

# What is wrong with a row, by the beginning of what is told of it.
ODD = [
    (("b", "text", None, None), "b: "),
    ((None, b"1", None, None), "(row 1): name is Null"),
    ((7, b"1", None, None), "(row 2): name is Integer"),
    ((b"blob", b"1", None, None), "(row 12): name is Blob"),
    (("c", b"1", 7, None), "c: "),
    (("d", b"1", None, 3), "d: "),
    (("e\\f", b"1", None, None), "e\\\\f: it has a backslash"),
    (("g", b"1", "\n", None), "g: of its key ID, "),
    (("h", bytes((16 << 20) + 1), None, None), "h: it has 16777217 bytes"),
    (("a/x", b"1", None, None), "a/x: there is also a folder"),
]
GOOD = {"a": b"first", "z": b"last"}


def rows_passed_over():
    with place() as root:
        rows = [(name, content, None, None) for name, content in GOOD.items()]
        make(root / "store.db", rows + [row for row, _ in ODD], table=ANY)
        check_that(operate("backup_licenses", root / "store.db", root / "backups")["code"] != "S_OK", "a plain backup")
        for flags in KEEP_GOING | DRY_RUN, KEEP_GOING:
            told = operate("backup_licenses", root / "store.db", root / "backups", flags=flags)
            check((told["code"], told["sentence"]), ("S_FALSE", ""), "the outcome")
            left_out = texts(told, LEFT_OUT)
            check(len(left_out), len(ODD), f"what is told: {left_out}")
            for _, start in ODD:
                check(sum(text.startswith(start) for text in left_out), 1, f"{start} in {left_out}")
            figures = told["figures"]
            check((figures["done"], figures["skipped"], figures["total"]), (2, len(ODD), 2 + len(ODD)), "the figures")
        check(restored(root / "backups"), GOOD, "what the backup has")

        make(root / "odd.db", [row for row, _ in ODD[:-1]], table=ANY)
        (root / "none").mkdir()
        told = operate("backup_licenses", root / "odd.db", root / "none", flags=KEEP_GOING)
        check(told["code"], "NS_E_DRM_LICENSE_STORE_ERROR", "nothing but odd rows")
        check(list((root / "none").iterdir()), [], "no backup")


# Rules that keep the licence `b` out, each in its own way.
REFUSALS = {
    "a check": (["CREATE TABLE license(name TEXT PRIMARY KEY CHECK (name <> 'b'), content BLOB NOT NULL)"],),
    "a trigger that raises": (
        ["CREATE TABLE license(name TEXT PRIMARY KEY, content BLOB NOT NULL)"],
        "CREATE TRIGGER t BEFORE INSERT ON license WHEN new.name = 'b' BEGIN SELECT raise(ABORT, 'not b'); END",
    ),
    "a trigger that ignores": (
        ["CREATE TABLE license(name TEXT PRIMARY KEY, content BLOB NOT NULL)"],
        "CREATE TRIGGER t BEFORE INSERT ON license WHEN new.name = 'b' BEGIN SELECT raise(IGNORE); END",
    ),
    "a trigger that changes": (
        ["CREATE TABLE license(name TEXT PRIMARY KEY, content BLOB NOT NULL)"],
        "CREATE TRIGGER t AFTER INSERT ON license WHEN new.name = 'b' BEGIN UPDATE license SET content = x'00' "
        "WHERE name = 'b'; END",
    ),
    "a folder": (
        ["CREATE TABLE license(name TEXT PRIMARY KEY, content BLOB NOT NULL)"],
        "INSERT INTO license VALUES ('b/c', x'07')",
    ),
}


def licences_refused():
    with place() as root:
        rows = [(name, name.encode(), None, None) for name in ("a", "b", "c")]
        make(root / "store.db", rows)
        check(back_up(root / "store.db", root / "backups").code, "S_OK")
        for what, ((table,), *statements) in REFUSALS.items():
            store = make(root / f"{what}.db", [], *statements, table=table)
            before = licenses_of(store)
            run = operate("restore_licenses", store, root / "backups")
            check_that(run["code"] not in ("S_OK", "S_FALSE"), f"{what}: a plain restore")
            check(licenses_of(store), before, f"{what}: after a plain restore")
            told = operate("restore_licenses", store, root / "backups", flags=KEEP_GOING)
            check((told["code"], told["sentence"]), ("S_FALSE", ""), what)
            check([text.split(": ")[0] for text in texts(told, LEFT_OUT)], ["b"], what)
            figures = told["figures"]
            check((figures["done"], figures["skipped"], figures["total"]), (2, 1, 3), what)
            check(licenses_of(store), {**before, "a": b"a", "c": b"c"}, f"{what}: what the store has")
            told = operate("restore_license", store, root / "backups", flags=KEEP_GOING, key_id="b")
            check_that(told["code"] not in ("S_OK", "S_FALSE"), f"{what}: the one that is all")

        # What undoes the whole transaction is nothing to go on after.
        trigger = "CREATE TRIGGER t BEFORE INSERT ON license WHEN new.name = 'b' BEGIN SELECT raise(ROLLBACK, 'no'); END"
        store = make(root / "rollback.db", [("old", b"old", None, None)], trigger)
        told = operate("restore_licenses", store, root / "backups", flags=KEEP_GOING)
        check_that(told["code"] not in ("S_OK", "S_FALSE"), "a trigger that rolls back")
        check(licenses_of(store), {"old": b"old"}, "after a rollback")


def main():
    rows_passed_over()
    licences_refused()
    finish()


main()
