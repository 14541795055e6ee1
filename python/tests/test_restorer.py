"""The calls that wait."""

from __future__ import annotations

import _thread
import contextvars
import ctypes
import errno
import http.server
import os
import random
import threading
from collections.abc import Generator
from datetime import datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from typing import Any, Optional

import pytest
from conftest import Long, Memory, Stalled, make_many, stalled_backup, wait_for_lists

import licbak
from licbak import Format, Right, _c, _listing, _operation
from licbak._host import license_of


def test_there_and_back(store: Path, backup: Path, tmp_path: Path) -> None:
    os.utime(store / "film.lic", ns=(0, 1_600_000_000_123_456_789))
    with licbak.Restorer(store=store, backup=backup, threads=2, compression_level=-5) as restorer:
        saved = restorer.backup()
        assert saved.licenses == 2 and saved.content_bytes == 16
        assert saved.backup_bytes == (backup / "licenses.tar.zst").stat().st_size
        link = licbak.LeftOut("link", "it is a symbolic link, and links are not followed")
        assert saved.left_out == (link,)
        assert saved.skipped == saved.gone == 0
        assert restorer.verify().licenses == 2
    other = tmp_path / "other"
    with licbak.Restorer(store=other, backup=backup) as restorer:
        assert restorer.restore(dry_run=True).licenses == 2 and not other.exists()
        assert restorer.restore().kept == ()
        assert (other / "film.lic").read_bytes() == b"a licence"
        assert (other / "film.lic").stat().st_mtime_ns == 1_600_000_000_123_456_789
        (other / "film.lic").write_bytes(b"used")
        assert restorer.restore().kept == ("film.lic",)
        assert (other / "film.lic").read_bytes() == b"used"
        assert restorer.restore(overwrite=True).kept == ()
        assert (other / "film.lic").read_bytes() == b"a licence"


def test_an_old_backup_is_replaced_on_request_only(store: Path, backup: Path) -> None:
    with licbak.Restorer(store=store, backup=backup) as restorer:
        restorer.backup()
        with pytest.raises(licbak.BackupExists):
            restorer.backup()
        restorer.backup(dry_run=True)
        (store / "new.lic").write_bytes(b"new")
        assert restorer.backup(overwrite=True, full=True).licenses == 3


def test_what_cant_be_read_or_put_back_is_passed_over_on_request_only(
    store: Path, backup: Path, tmp_path: Path
) -> None:
    (store / "a: \x01.lic").write_bytes(b"no name")
    with licbak.Restorer(store=store, backup=backup) as restorer:
        with pytest.raises(licbak.Error):
            restorer.backup()
        with pytest.raises(licbak.InvalidArgument):
            restorer.backup(overwrite=True, keep_going=True)
        assert restorer.backup(keep_going=True, dry_run=True).skipped == 1
        saved = restorer.backup(keep_going=True)
        assert saved.licenses == 2 and saved.skipped == 1
        lost = licbak.LeftOut("a: \\u{1}.lic", "it has a backslash or a control character")
        assert lost in saved.left_out and len(saved.left_out) == 2
    other = tmp_path / "other"
    (other / "film.lic").mkdir(parents=True)
    with licbak.Restorer(store=other, backup=backup) as restorer:
        with pytest.raises(licbak.Error):
            restorer.restore()
        restored = restorer.restore(keep_going=True)
        assert restored.licenses == 1 and restored.skipped == 1
        assert restored.left_out[0].name == "film.lic"
        with pytest.raises(licbak.Error):  # it is all that was asked for
            restorer.restore_license("film", keep_going=True)


def test_a_dry_run_needs_no_backup_directory(store: Path) -> None:
    with licbak.Restorer(store=store, leave_out_unstated=True) as restorer:
        with pytest.raises(licbak.NothingBackedUp) as caught:
            restorer.backup(dry_run=True)
        result = caught.value.result
        assert sorted(result.restricted) == ["Lied für Élise", "film"]
        assert {name for name, _ in result.left_out} == {
            "film.lic",
            "link",
            "music/Lied für Élise.lic",
        }


def test_paths_are_the_systems_bytes(store: Path, tmp_path: Path) -> None:
    odd = os.fsencode(tmp_path) + b"/b\xff\xfe"
    os.mkdir(odd)
    for path in (odd, os.fsdecode(odd), Path(os.fsdecode(odd))):
        with licbak.Restorer(store=os.fsencode(store), backup=path) as restorer:
            restorer.backup(overwrite=True)
    assert os.listdir(odd) == [b"licenses.tar.zst"]


def test_the_list_of_a_backup(store: Path, backup: Path) -> None:
    os.utime(store / "film.lic", ns=(0, 1_600_000_000_123_456_789))
    with licbak.Restorer(store=store, backup=backup) as restorer:
        restorer.backup()
        first, second = restorer.licenses()
    assert first == licbak.License(
        "film.lic", key_id="film", modified_ns=1_600_000_000_123_456_789, size=9
    )
    assert first.modified == datetime(2020, 9, 13, 12, 26, 40, 123456, timezone.utc)
    assert second.name == "music/Lied für Élise.lic" and second.content is None


def test_what_a_backup_says_about_itself(store: Path, backup: Path) -> None:
    with licbak.Restorer(store=store, backup=backup, machine_id="seat 7") as restorer:
        with pytest.raises(licbak.NoBackup):
            restorer.info()
        earliest = datetime.now(timezone.utc) - timedelta(seconds=1)
        result = restorer.backup()
        first = restorer.info()
        assert (len(first.id), first.generation, first.machine) == (32, 1, licbak.Machine.SAME)
        assert first.created is not None and earliest < first.created < datetime.now(timezone.utc)
        assert (first.licenses, first.restricted) == (result.licenses, len(result.restricted))
        assert first.content_bytes == result.content_bytes
        assert first.backup_bytes == (backup / "licenses.tar.zst").stat().st_size
        assert (first.version, first.encrypted) == ((1, 2), False)
        assert licbak.info(backup, machine_id="seat 7") == first
        assert licbak.info(backup, machine_id="seat 8").machine is licbak.Machine.OTHER
        assert licbak.info(os.fspath(backup)).machine is licbak.Machine.UNKNOWN
        restorer.backup(overwrite=True, full=True)
        assert (restorer.info().id, restorer.info().generation) == (first.id, 2)
        assert licbak.info(backup / "licenses.tar.zst") == licbak.info(backup)
    with pytest.raises(licbak.Closed):
        restorer.info()
    with pytest.raises(licbak.NoDirectory, match="nowhere"):
        licbak.info(backup / "nowhere")
    with pytest.raises(licbak.InvalidArgument, match=r"machine_id can't be 'a.*b'"):
        licbak.info(backup, machine_id="a\0b")


RECIPIENT = "age1t7rxyev2z3rw82stdlrrepyc39nvn86l5078zqkf5uasdy86jp6svpy7pa"
IDENTITY = "AGE-SECRET-KEY-1GQ9778VQXMMJVE8SK7J6VT8UJ4HDQAJUVSFCWCM02D8GEWQ72PVQ2Y5J33"


def test_an_encrypted_backup(store: Path, backup: Path, tmp_path: Path) -> None:
    with licbak.Restorer(store=store, backup=backup, recipients=[RECIPIENT]) as restorer:
        count = restorer.backup().licenses
        assert [path.name for path in backup.iterdir()] == ["licenses.tar.zst.age"]
        for read in (restorer.info, restorer.verify, lambda: list(restorer.licenses())):
            with pytest.raises(licbak.DecryptionFailed):
                read()
    target = tmp_path / "target"
    with licbak.Restorer(store=target, backup=backup, identities=f"# mine\n{IDENTITY}") as restorer:
        assert restorer.info().encrypted
        assert restorer.restore().licenses == count
    assert licbak.info(backup, identities=IDENTITY).licenses == count
    with pytest.raises(licbak.DecryptionFailed):
        licbak.info(backup, passphrase="another")
    with pytest.raises(licbak.InvalidArgument, match=r"identities can't be '\*\*\*'"):
        licbak.Restorer(identities=IDENTITY + "x")
    with pytest.raises(licbak.InvalidArgument, match="recipients can't be"):
        licbak.Restorer(recipients=[RECIPIENT, "age1"])
    with pytest.raises(TypeError, match="passphrase must be a str"):
        licbak.Restorer(passphrase=b"bytes")  # type: ignore[arg-type]


def test_an_account_of_an_object_store(monkeypatch: pytest.MonkeyPatch, store: Path) -> None:
    asked: list[str] = []

    class Refusing(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.headers["authorization"] + str(self.headers["x-amz-security-token"]))
            self.send_error(403)

        def log_message(self, *_: object) -> None:
            pass

    for name in ("ENDPOINT_URL", "ENDPOINT_URL_S3", "REGION", "DEFAULT_REGION", "SESSION_TOKEN"):
        monkeypatch.delenv(f"AWS_{name}", raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    place = "s3://bucket/host"
    with pytest.raises(licbak.InvalidArgument, match="region is missing"):
        licbak.info(place)
    with http.server.HTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        endpoint = f"http://127.0.0.1:{server.server_port}"
        with (
            licbak.Restorer(
                store=store, backup=place, endpoint=endpoint, region="one-1", access_key_id="mine"
            ) as restorer,
            pytest.raises(licbak.AccessDenied, match=place),
        ):
            restorer.backup()
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", endpoint)
        monkeypatch.setenv("AWS_REGION", "two-2")
        monkeypatch.setenv("AWS_SESSION_TOKEN", "token")
        with pytest.raises(licbak.AccessDenied, match=place):
            licbak.info(place)
        second = asked[-1]
        # The token of another key is none of this one.
        for key, secret, token in ("mine", None, None), (None, "s", None), ("mine", "s", "my own"):
            with (
                licbak.Restorer(
                    store=store,
                    backup=place,
                    access_key_id=key,
                    secret_access_key=secret,
                    session_token=token,
                ) as restorer,
                pytest.raises(licbak.AccessDenied, match=place),
            ):
                restorer.backup()
            assert asked[-1].endswith(str(token))
        server.shutdown()
    first = asked[0]
    assert "Credential=mine/" in first and "/one-1/s3/" in first and first.endswith("None")
    assert "Credential=AKIDEXAMPLE/" in second and "/two-2/s3/" in second
    assert second.endswith("token")
    with pytest.raises(licbak.InvalidArgument, match=r"secret_access_key can't be '\*\*\*'"):
        licbak.Restorer(backup=place, secret_access_key="")


def test_a_backup_of_another_machine(store: Path, backup: Path, tmp_path: Path) -> None:
    with licbak.Restorer(store=store, backup=backup, machine_id="seat 7") as restorer:
        restorer.backup()
    target = tmp_path / "target"
    with licbak.Restorer(store=target, backup=backup, machine_id="seat 8") as restorer:
        for restore in (restorer.restore, partial(restorer.restore_license, "film")):
            with pytest.raises(licbak.NeedsIndividualization, match="MachineId"):
                restore()
        assert not target.exists()
        assert restorer.restore(dry_run=True).licenses > 0
        assert restorer.restore(individualize=True).licenses > 0


def test_an_authorizer(store: Path, backup: Path, tmp_path: Path) -> None:
    asked: list[licbak.Info] = []

    class Refused(Exception):
        pass

    def refuse(info: licbak.Info) -> None:
        asked.append(info)
        raise Refused

    def asks_nobody(info: licbak.Info) -> bool:
        return False

    target = tmp_path / "target"
    with licbak.Restorer(store=target, backup=backup, authorizer=refuse) as restorer:
        with licbak.Restorer(store=store, backup=backup) as other:
            other.backup()
        with pytest.raises(Refused):
            restorer.restore()
        assert asked == [restorer.info()]
        assert restorer.restore(dry_run=True).licenses > 0
        assert len(asked) == 1
    wrong: Any = asks_nobody
    restorer = licbak.Restorer(store=target, backup=backup, authorizer=wrong)
    with restorer, pytest.raises(TypeError, match="None or raise"):
        restorer.restore()
    assert not target.exists()
    with licbak.Restorer(store=target, backup=backup, authorizer=asked.append) as restorer:
        assert restorer.restore().licenses > 0
    none: Any = 7
    with pytest.raises(TypeError, match="authorizer"):
        licbak.Restorer(authorizer=none)


def test_a_list_may_be_left_at_any_point(backup: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    count = make_many(backup)
    with licbak.Restorer(backup=backup) as restorer:
        assert len(list(restorer.licenses())) == count
        read = 0

        def counting(*arguments: Any) -> licbak.License:
            nonlocal read
            read += 1
            return license_of(*arguments)

        monkeypatch.setattr(_listing, "license_of", counting)
        for license in restorer.licenses():
            assert license.name == "000000.lic"
            wait_for_lists()
            break
        assert read < count and not _listing._listings

        left = restorer.licenses()
        next(left)
        wait_for_lists()
        restorer.close()  # which ends the list
        with pytest.raises(licbak.Closed):
            list(left)
    with pytest.raises(licbak.Closed):
        next(restorer.licenses())


def test_a_list_without_a_thread_to_be_had(backup: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    make_many(backup)
    with licbak.Restorer(backup=backup) as restorer:
        monkeypatch.setattr(_thread, "start_new_thread", refuse)
        with pytest.raises(RuntimeError, match="can't start"):
            next(restorer.licenses())


def test_lists_go_on_beside_each_other_and_operations(backup: Path) -> None:
    count = make_many(backup)
    with licbak.Restorer(backup=backup) as restorer:
        for one, other in zip(restorer.licenses(), restorer.licenses()):
            assert one == other
        one = next(licenses := restorer.licenses())
        restorer.verify()
        assert one.name == "000000.lic" and len(list(licenses)) == count - 1


@pytest.mark.parametrize(("told", "gone"), [(0, 0), (3, 3), (2**64 - 1, None)])
def test_what_is_gone(told: int, gone: Optional[int]) -> None:
    operation = _operation.Operation(licbak.Restorer(), None, _operation.Answers())
    figures = _c.Progress(licenses_skipped=2, licenses_gone=told)
    end = _c.Status.WMT_BACKUPRESTORE_END
    operation.take(end, _c.Hr.S_OK, ctypes.addressof(figures), ctypes.sizeof(figures))
    assert operation.result() == licbak.Result(skipped=2, gone=gone)


def test_progress(store: Path, backup: Path) -> None:
    seen: list[licbak.Progress] = []
    with licbak.Restorer(store=store, backup=backup) as restorer:
        restorer.backup(on_progress=seen.append)
    assert seen[-1].licenses_done == seen[-1].licenses_total == 2
    assert seen[-1].content_bytes == 16
    assert seen[-1].phase is licbak.Phase.COMMITTING


def test_cancel_from_another_thread(backup: Path) -> None:
    stalled = Stalled()
    with licbak.Restorer(store=stalled, backup=backup) as restorer:
        assert not restorer.cancel()
        thread, raised = stalled_backup(stalled, restorer)
        with pytest.raises(licbak.Busy):
            restorer.verify()
        assert restorer.cancel()
        assert thread.is_alive()  # it ends when the store's method goes on
        stalled.go_on.set()
        thread.join()
        assert [type(error) for error in raised] == [licbak.Canceled]
        assert list(backup.iterdir()) == []


def test_what_on_progress_raises_comes_out_of_the_call(backup: Path) -> None:
    def veto(progress: licbak.Progress) -> None:
        raise KeyError("veto")

    with licbak.Restorer(store=Long(), backup=backup) as restorer:
        with pytest.raises(KeyError, match="veto") as caught:
            restorer.backup(on_progress=veto)
        assert caught.traceback[-1].name == "veto"
        assert list(backup.iterdir()) == []


def test_calls_come_on_the_thread_of_the_operation_and_in_its_context(backup: Path) -> None:
    current = contextvars.ContextVar[str]("current", default="none")
    seen: set[tuple[str, int]] = set()

    def note(*_: object) -> None:
        seen.add((current.get(), threading.get_ident()))

    class Noting(Memory):
        def enumerate(self) -> Generator[licbak.License, None, None]:
            note()
            yield from super().enumerate()

        def put(self, license: licbak.License) -> None:
            note()

    store = Noting(licbak.License("a", b"a"))
    with licbak.Restorer(store=store, backup=backup, authorizer=note) as restorer:
        current.set("this")
        restorer.backup(on_progress=note)
        store.licenses.clear()
        restorer.restore(on_progress=note)
        assert seen == {("this", threading.get_ident())}
        seen.clear()

        def inside(progress: licbak.Progress) -> None:
            with licbak.Restorer(backup=backup) as other:
                other.verify(on_progress=note)

        restorer.verify(on_progress=inside)
    [(told, thread)] = seen
    assert told == "this" and thread != threading.get_ident()


def test_other_threads_go_on_during_an_operation(backup: Path) -> None:
    """The operation waits for what only another thread of Python can give it."""
    stalled = Stalled()
    threading.Timer(0.05, stalled.go_on.set).start()
    with licbak.Restorer(store=stalled, backup=backup) as restorer:
        assert restorer.backup().licenses == 2000


def test_a_list_is_closed_with_what_gives_it(backup: Path) -> None:
    make_many(backup)
    with licbak.Restorer(backup=backup) as restorer:
        licenses = restorer.licenses()
        next(licenses)
        licenses.close()
        assert not _listing._listings


def test_what_a_callback_returns_to_be_awaited_is_refused(store: Path, backup: Path) -> None:
    async def show(progress: licbak.Progress) -> None:
        raise AssertionError("never begun")

    async def authorize(info: licbak.Info) -> None:
        pass

    with licbak.Restorer(store=store, backup=backup) as restorer:
        with pytest.raises(TypeError, match=r"^on_progress has returned <coroutine .*AsyncRest"):
            restorer.backup(on_progress=show)
        restorer.backup(overwrite=True)  # the progress may have been told after the commit
    asking: Any = authorize
    restorer = licbak.Restorer(store=store, backup=backup, authorizer=asking)
    with pytest.raises(TypeError, match=r"^The authorizer has returned <coroutine"):
        restorer.restore()


def test_calls_inside_a_callback(store: Path, backup: Path, tmp_path: Path) -> None:
    asked: list[object] = []
    with licbak.Restorer(store=store, backup=backup) as restorer:

        def ask(progress: licbak.Progress) -> None:
            with pytest.raises(licbak.Busy):
                restorer.verify()
            with licbak.Restorer(store=store, backup=tmp_path) as other:
                asked.append(other.backup(overwrite=True).licenses)

        restorer.backup(on_progress=ask)
        restorer.verify()
    assert set(asked) == {2}


def test_one_after_the_other_inside_a_callback_is_never_busy(store: Path, backup: Path) -> None:
    verified = 0
    first = licbak.Restorer(store=store, backup=backup)
    first.backup()
    with first, licbak.Restorer(backup=backup) as other:

        def verify(progress: licbak.Progress) -> None:
            nonlocal verified
            while verified < 200:
                verified += other.verify().licenses

        first.verify(on_progress=verify)
    assert verified == 200


def test_what_is_wrong_with_a_setting_is_told(store: Path, backup: Path) -> None:
    with pytest.raises(licbak.InvalidArgument, match=r"compression_level can't be 1000.*to 22"):
        licbak.Restorer(compression_level=1000)
    with pytest.raises(ValueError, match=r"threads can't be 4294967296.*0 to 256"):
        licbak.Restorer(threads=2**32)
    with pytest.raises(licbak.InvalidArgument, match="backup can't be 'gs://bucket'"):
        licbak.Restorer(backup="gs://bucket")
    wrong: Any
    for wrong, words in (
        ({"threads": "4"}, "threads must be a number"),
        ({"backup": 4}, "backup must be a path"),
        ({"store": []}, "store must be a path.*it is a list"),
        ({"machine_id": 4}, "machine_id must be a str"),
    ):
        with pytest.raises(TypeError, match=words):
            licbak.Restorer(**wrong)
    with pytest.raises(TypeError, match="on_progress must be a function"):
        licbak.Restorer(store=store, backup=backup).backup(on_progress=4)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="key_id must be a str"):
        licbak.Restorer(store=store).restore_license(4)  # type: ignore[arg-type]


def test_a_setting_that_is_missing_is_named_as_the_argument(store: Path, backup: Path) -> None:
    restorer = licbak.Restorer(store=store)
    calls: list[Any] = [restorer.backup, restorer.verify, restorer.info]
    for call in (*calls, partial(next, restorer.licenses())):
        with pytest.raises(licbak.InvalidArgument, match=r"^backup is missing\. Give it"):
            call()
    with pytest.raises(ValueError, match=r"^store is missing\."):
        licbak.Restorer(backup=backup).backup()


def test_a_setting_that_there_is_no_memory_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_c, "set_prop", lambda *_: _c.Hr.E_OUTOFMEMORY)
    with pytest.raises(licbak.Error) as caught:
        licbak.Restorer(threads=4)
    assert type(caught.value) is licbak.Error and caught.value.errno == errno.ENOMEM


def test_a_closed_restorer_stays_closed(store: Path, backup: Path) -> None:
    restorer = licbak.Restorer(store=store, backup=backup)
    restorer.close()
    restorer.close()
    with pytest.raises(licbak.Closed, match="closed"):
        restorer.backup()
    assert not restorer.cancel()


def test_one_licence_by_its_key_id(store: Path, backup: Path, tmp_path: Path) -> None:
    (store / "music" / "film.lic").write_bytes(b"a second of that key ID")
    other = tmp_path / "other"
    with licbak.Restorer(store=store, backup=backup) as restorer:
        restorer.backup()
    with licbak.Restorer(store=other, backup=backup) as restorer:
        assert restorer.restore_license("film", dry_run=True).licenses == 2 and not other.exists()
        assert restorer.restore_license("Lied für Élise").licenses == 1
        assert os.listdir(other) == ["music"]
        (other / "film.lic").write_bytes(b"used")
        assert restorer.restore_license("film").kept == ("film.lic",)
        assert restorer.restore_license("film", overwrite=True).kept == ()
        assert (other / "film.lic").read_bytes() == b"a licence"

        with pytest.raises(licbak.NotFound, match="'Film'") as caught:
            restorer.restore_license("Film")
        assert isinstance(caught.value, LookupError) and caught.value.errno is None
        with pytest.raises(licbak.InvalidArgument, match="control characters"):
            restorer.restore_license("fi\nlm")
        with pytest.raises(ValueError, match="NUL"):
            restorer.restore_license("film\0")


def test_what_is_left_of_a_damaged_backup(store: Path, backup: Path, tmp_path: Path) -> None:
    noise = random.Random(1)
    for name in ("early.lic", "large.lic", "late.lic"):  # each in a part of the file of its own
        (store / name).write_bytes(noise.randbytes(1_500_000))
    other = tmp_path / "other"
    with licbak.Restorer(store=store, backup=backup) as restorer:
        restorer.backup()
    with licbak.Restorer(store=other, backup=backup) as restorer:
        assert restorer.restore(salvage=True, dry_run=True).licenses == 5  # nothing is damaged
        damage(backup, 2_000_000)
        with pytest.raises(licbak.BackupCorrupt):
            restorer.restore()
        assert not other.exists()
        with pytest.raises(licbak.BackupCorrupt) as caught:
            restorer.restore(salvage=True)
        result = caught.value.result
        back = {path.name for path in other.rglob("*.lic")}
        assert "large.lic" in result.damaged and "large.lic" not in back
        assert {"early.lic", "late.lic"} <= back
        assert result.licenses == len(back) == 5 - len(result.damaged)
        with pytest.raises(licbak.BackupCorrupt) as caught:
            restorer.restore_license("large", salvage=True)
        assert caught.value.result.damaged == ("large.lic",)


def damage(backup: Path, offset: int) -> None:
    with open(backup / "licenses.tar.zst", "r+b") as file:
        file.seek(offset)
        file.write(bytes(100))


def test_a_licence_tells_its_format_and_its_right(backup: Path) -> None:
    licences = Path(__file__).parents[2] / "examples-c" / "licenses"
    with licbak.Restorer(store=licences, backup=backup) as restorer:
        restorer.backup()
        found = {license.name: license for license in restorer.licenses()}
    kinds = {
        "books/winter-syntax.lcpl": (Format.LCP, Right.UNSTATED),
        "media/windows-media/radio-hour.xml": (Format.WMDRM, Right.ALLOWED),
        "media/streaming/concert-riverside.xmr": (Format.XMR, Right.UNSTATED),
        "media/phone/ringtone-harp.dr": (Format.OMA, Right.UNSTATED),
        "seats/engineering/cadworks.lic": (Format.OPAQUE, Right.UNSTATED),
    }
    assert {name: (found[name].format, found[name].right) for name in kinds} == kinds
    assert found["media/windows-media/radio-hour.xml"].key_id == "EATmFOAmVEe73iI4n9T6LA=="
