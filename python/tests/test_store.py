"""Stores of the program's own."""

from __future__ import annotations

import contextlib
import errno
import sqlite3
import weakref
from array import array
from collections.abc import AsyncGenerator, Generator, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Optional

import pytest
from conftest import Memory, is_collected, run_script

import licbak
from licbak import License, Right

WALLET = (
    License("a.lic", b"\0binary\0", key_id="key of a", modified_ns=1_600_000_000_000_000_001),
    License("folder/b.lic", b"", right=Right.ALLOWED),
    License("Élise.lic", b"c"),
)


def test_there_and_back(backup: Path) -> None:
    with licbak.Restorer(store=Memory(*WALLET), backup=backup) as restorer:
        assert restorer.backup().licenses == 3
        listed = {license.name: license for license in restorer.licenses()}
    assert listed["a.lic"].key_id == "key of a" and listed["a.lic"].size == 8
    assert listed["folder/b.lic"].right is Right.ALLOWED
    restored = Memory(License("Élise.lic", b"used"))
    with licbak.Restorer(store=restored, backup=backup) as restorer:
        assert restorer.restore().kept == ("Élise.lic",)
    assert restored.licenses["a.lic"] == WALLET[0]
    assert restored.licenses["folder/b.lic"].content == b""
    assert restored.licenses["Élise.lic"].content == b"used"


def test_what_the_issuer_denies_is_left_out(backup: Path) -> None:
    memory = Memory(License("a", b"a", key_id="A", right=Right.DENIED), License("b", b"b"))
    with licbak.Restorer(store=memory, backup=backup) as restorer:
        result = restorer.backup()
    assert result.restricted == ("A",) and result.licenses == 1
    assert result.left_out == (licbak.LeftOut("a", "its issuer denies backup"),)


def test_only_the_methods_that_are_needed_must_exist(backup: Path) -> None:
    class OnlySource:
        def enumerate(self) -> Iterator[License]:
            yield License("a", b"a")

    with licbak.Restorer(store=OnlySource(), backup=backup) as restorer:
        restorer.backup()
        with pytest.raises(licbak.Error) as caught:
            restorer.restore()
        assert caught.value.name == "LICBAK_E_NOTIMPL" and "get" in str(caught.value)

    class OnlyGet:
        def get(self, name: str) -> Optional[License]:
            return None

    with licbak.Restorer(store=OnlyGet(), backup=backup) as restorer:  # type: ignore[arg-type]
        assert restorer.restore(dry_run=True).licenses == 1
        with pytest.raises(licbak.Error, match="put"):
            restorer.restore()


class Odd(Exception):
    def __bool__(self) -> bool:
        return False


@pytest.mark.parametrize("method", ["enumerate", "get", "put"])
@pytest.mark.parametrize("kind", [KeyError, Odd, SystemExit])
def test_what_a_method_raises_comes_out_of_the_call(
    method: str, kind: type[BaseException], backup: Path
) -> None:
    raised = kind("on purpose")

    class Failing(Memory):
        pass

    def fail(*_: object) -> Any:
        raise raised

    with licbak.Restorer(store=Memory(*WALLET), backup=backup) as restorer:
        restorer.backup()
    setattr(Failing, method, fail)
    with licbak.Restorer(store=Failing(), backup=backup) as restorer:
        with pytest.raises(kind) as caught:
            restorer.backup(overwrite=True) if method == "enumerate" else restorer.restore()
        assert caught.value is raised and caught.traceback[-1].name == "fail"
        assert restorer.verify().licenses == 3  # the old backup, and a restorer that works


class Counting(Memory):
    """A store in which the lower count wins."""

    def merge(self, mine: licbak.License, theirs: licbak.License) -> Optional[licbak.License]:
        assert mine.content is not None and theirs.content is not None
        return theirs if int(theirs.content) < int(mine.content) else None


class Picky(Memory):
    """A store that does not take some licences."""

    error: Exception = ValueError("not this one")
    refused: tuple[str, ...] = ("a.lic",)

    def put(self, license: License) -> None:
        if license.name in self.refused:
            raise self.error
        super().put(license)


def test_keep_going_passes_over_what_the_store_does_not_take(backup: Path) -> None:
    with licbak.Restorer(store=Memory(*WALLET), backup=backup) as restorer:
        restorer.backup()
    store = Picky()
    with licbak.Restorer(store=store, backup=backup) as restorer:
        result = restorer.restore(keep_going=True)
        assert result.skipped == 1 and [left.name for left in result.left_out] == ["a.lic"]
        assert set(store.licenses) == {"folder/b.lic", "Élise.lic"}
        # What all lack ends the call, and so does a store that takes nothing.
        for error in MemoryError(), OSError(errno.ENOSPC, "full"), TypeError("a slip"):
            store.error = error
            with pytest.raises(type(error)):
                restorer.restore(keep_going=True)
        store.error, store.refused = KeyError("b"), tuple(license.name for license in WALLET)
        store.licenses.clear()
        with pytest.raises(licbak.Error) as caught:
            restorer.restore(keep_going=True)
        assert caught.value.__cause__ is store.error


def test_the_store_chooses_between_versions(backup: Path) -> None:
    with licbak.Restorer(store=Memory(licbak.License("film", b"12")), backup=backup) as restorer:
        restorer.backup()
    for count, left in ((b"3", b"3"), (b"99", b"12"), (b"none", None)):
        store = Counting(licbak.License("film", count))
        with licbak.Restorer(store=store, backup=backup) as restorer:
            if left is None:
                with pytest.raises(ValueError, match="none"):
                    restorer.restore()
                continue
            for dry_run in (True, False):
                result = restorer.restore(dry_run=dry_run)
                assert result.kept == (("film",) if left == b"3" else ())
                assert store.licenses["film"].content == (count if dry_run else left)
            store.licenses["film"] = licbak.License("film", b"3")
            restorer.restore(overwrite=True)
            assert store.licenses["film"].content == b"12"


@pytest.mark.parametrize("place", ["enumerate", "get", "put", "merge", "authorize", "show"])
@pytest.mark.parametrize("leaves", [True, False])
def test_a_child_that_is_forked_in_a_call_goes_on(place: str, leaves: bool, backup: Path) -> None:
    """It leaves where it is, or returns into the library, and learns of it from the call."""
    script = """
import os, signal, sys, warnings
import licbak

warnings.simplefilter("ignore")  # of threads in a process that forks
here, leaves, backup = sys.argv[1], sys.argv[2] == "True", sys.argv[3]
children = []
parent = os.getpid()

def fork(place):
    if place == here and os.getpid() == parent and not children:
        child = os.fork()
        children.append(child)
        if child == 0:
            signal.alarm(20)
            if leaves:
                sys.exit(7)

class Forking:
    def enumerate(self):
        yield licbak.License("a", b"a")
        fork("enumerate")
        yield licbak.License("b", b"b")

    def get(self, name):
        fork("get")
        return licbak.License("a", b"other") if name == "a" else None

    def put(self, license):
        fork("put")

    def merge(self, mine, theirs):
        fork("merge")
        return theirs

def authorize(info):
    fork("authorize")

def show(progress):
    fork("show")

restorer = licbak.Restorer(store=Forking(), backup=backup, authorizer=authorize)
try:
    restorer.backup(on_progress=show)
    restorer.restore()
except licbak.Closed:
    assert os.getpid() != parent and not leaves
    with licbak.Restorer(store=Forking(), backup=backup) as own:  # a restorer of the child's own
        own.backup(dry_run=True)
    sys.exit(8)
[child] = children
_, status = os.waitpid(child, 0)
print(os.waitstatus_to_exitcode(status), restorer.verify().licenses)
"""
    assert run_script(script, place, leaves, backup) == f"{7 if leaves else 8} 2\n"


@pytest.mark.parametrize(
    ("license", "kind", "words"),
    [
        (License("a"), ValueError, "must have its content"),
        (License("a\0b", b""), ValueError, "NUL"),
        (License("a", b"", key_id="\0"), ValueError, "NUL"),
        (License("\ud800", b""), UnicodeEncodeError, "surrogates"),
        (License("a", b"", modified_ns=2**63), ValueError, "must fit into 64 bits"),
        (License("a", b"", right=2**32), ValueError, "not a valid Right"),  # type: ignore[arg-type]
        (License("../a", b""), licbak.Error, "'../a' can't be kept"),
        (License("a", b"\0" * (16 * 2**20 + 1)), licbak.Error, "16 MiB"),
        ("a", TypeError, r"Item 0 of Memory\.enumerate must be a License, not 'a'"),
        (License(5, b""), TypeError, "the name must be a str, not 5"),  # type: ignore[arg-type]
    ],
)
def test_a_licence_that_is_none(
    license: Any, kind: type[BaseException], words: str, backup: Path
) -> None:
    with licbak.Restorer(store=Memory(), backup=backup) as restorer:
        restorer._store.licenses["a"] = license
        with pytest.raises(kind, match=words):
            restorer.backup()


class Promise:
    def __await__(self) -> Generator[Any, None, None]:
        yield None


async def later(*_: object) -> None:
    raise AssertionError("never begun")


async def each(*_: object) -> AsyncGenerator[License, None]:
    yield License("a", b"a")


@pytest.mark.parametrize("method", ["enumerate", "get", "put", "merge"])
@pytest.mark.parametrize("answer", [later, each, lambda *_: Promise()])
@pytest.mark.filterwarnings("error")
def test_what_must_be_awaited_is_refused(method: str, answer: Any, backup: Path) -> None:
    class Wallet(Counting):
        pass

    with licbak.Restorer(store=Memory(*WALLET), backup=backup) as restorer:
        restorer.backup()
    setattr(Wallet, method, answer)
    store = Wallet(*(License(license.name, b"other") for license in WALLET if method != "put"))
    restorer = licbak.Restorer(store=store, backup=backup)
    call = partial(restorer.backup, overwrite=True) if method == "enumerate" else restorer.restore
    if answer is each and method == "put":
        return  # what a put returns is not looked at any further
    with pytest.raises(TypeError, match=rf"Wallet\.{method}"):
        call()
    assert restorer.verify().licenses == 3


@pytest.mark.parametrize(
    ("method", "answer", "words"),
    [
        ("enumerate", None, r"Wallet\.enumerate must return an iterable of License, not None"),
        ("enumerate", [WALLET[0], b"x"], r"Item 1 of .*Wallet\.enumerate must be .* not b'x'"),
        ("get", b"x", r"The answer of .*Wallet\.get\('a.lic'\) must be a License, not b'x'"),
        ("merge", True, r"The answer of .*Wallet\.merge about 'a.lic' must be .* not True"),
    ],
)
def test_a_wrong_answer_is_named(method: str, answer: Any, words: str, backup: Path) -> None:
    class Wallet(Counting):
        pass

    with licbak.Restorer(store=Memory(*WALLET), backup=backup) as restorer:
        restorer.backup()
    setattr(Wallet, method, lambda *_: answer)
    store = Wallet(License("a.lic", b"other"))
    restorer = licbak.Restorer(store=store, backup=backup)
    call = partial(restorer.backup, overwrite=True) if method == "enumerate" else restorer.restore
    with pytest.raises(TypeError, match=words):
        call()


def test_content_is_bytes_like_and_kept_as_bytes() -> None:
    for given in (b"four", bytearray(b"four"), memoryview(b"four"), array("I", [0])):
        license = License("a", given)
        assert type(license.content) is bytes and license.size == 4
    wrong: Any
    for wrong in ("four", 4, [4]):
        with pytest.raises(TypeError, match="content of the licence 'a' must be bytes-like, not"):
            License("a", wrong)


def test_the_same_name_twice(backup: Path) -> None:
    class Twice:
        def enumerate(self) -> list[License]:
            return [License("a", b"1"), License("a", b"2")]

    with licbak.Restorer(store=Twice(), backup=backup) as restorer:
        with pytest.raises(licbak.Error) as caught:
            restorer.backup()
        assert caught.value.name == "LICBAK_HRESULT_ERROR_ALREADY_EXISTS"


def test_a_generator_is_ended_where_the_library_stops_it(backup: Path) -> None:
    left = []

    class Bad:
        def enumerate(self) -> Iterator[License]:
            try:
                yield License("..", b"")
                yield License("b", b"")
            finally:
                left.append("cursor closed")

    with licbak.Restorer(store=Bad(), backup=backup) as restorer, pytest.raises(licbak.Error):
        restorer.backup()
    assert left == ["cursor closed"]


def test_the_path_of_a_database(backup: Path, tmp_path: Path) -> None:
    path = tmp_path / "seats.db"
    with contextlib.closing(sqlite3.connect(path)) as db, db:
        db.execute("create table seat (id integer primary key, token blob)")
        db.execute("insert into seat values (1, x'00ff'), (2, x'')")
        db.execute(
            "create view license as select 'seats/' || id as name, token as content, "
            "'key ' || id as key_id from seat"
        )
    with licbak.Restorer(store=str(path), backup=backup) as restorer:
        assert restorer.backup().licenses == 2
        assert [license.key_id for license in restorer.licenses()] == ["key 1", "key 2"]
    other = tmp_path / "other.sqlite"
    with licbak.Restorer(store=other, backup=backup) as restorer:
        assert restorer.restore_license("key 1").licenses == 1
        assert restorer.restore().licenses == 2
    with contextlib.closing(sqlite3.connect(other)) as db:
        rows = db.execute("select name, content, key_id from license order by name").fetchall()
    assert rows == [("seats/1", b"\0\xff", "key 1"), ("seats/2", b"", "key 2")]


def test_rows_of_a_database(backup: Path) -> None:
    class Rows:
        """Called on a thread of the library, which sqlite3 must be told."""

        def __init__(self) -> None:
            self.db = sqlite3.connect(":memory:", check_same_thread=False)
            self.db.execute("create table license (name text primary key, content blob)")

        def enumerate(self) -> Iterator[License]:
            for name, content in self.db.execute("select * from license order by name"):
                yield License(name, content)

        def get(self, name: str) -> Optional[License]:
            query = "select content from license where name = ?"
            row = self.db.execute(query, (name,)).fetchone()
            return row and License(name, row[0])

        def put(self, license: License) -> None:
            query = "insert or replace into license values (?, ?)"
            self.db.execute(query, (license.name, license.content))

    rows = Rows()
    rows.put(License("a", b"1"))
    rows.put(License("b", b"2"))
    store: licbak.Store = rows
    licbak.Restorer(store=store, backup=backup).backup()
    other = Rows()
    licbak.Restorer(store=other, backup=backup).restore()
    assert list(other.enumerate()) == list(rows.enumerate())


def test_a_store_that_holds_its_restorer_is_collected(backup: Path) -> None:
    class Program(Memory):
        def __init__(self) -> None:
            super().__init__(*WALLET)
            self.restorer = licbak.Restorer(store=self, backup=backup)

    program = Program()
    program.restorer.backup()
    gone = weakref.ref(program)
    del program
    assert is_collected(gone)
