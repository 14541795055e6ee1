"""Failures as exceptions."""

from __future__ import annotations

import errno
import pickle
from pathlib import Path
from typing import Any

import pytest
from conftest import run_script
from test_header import CONSTANTS

import licbak
from licbak._errors import error_of


def fail(kind: type[licbak.Error], call: Any, **arguments: Any) -> licbak.Error:
    with pytest.raises(kind) as caught:
        call(**arguments)
    error = caught.value
    assert str(error).endswith(".") and len(str(error)) > 20
    return error


def test_each_failure_has_its_class_and_its_number(store: Path, backup: Path) -> None:
    restorer = licbak.Restorer(store=store, backup=backup)
    error = fail(licbak.NoBackup, restorer.verify)
    assert isinstance(error, FileNotFoundError) and error.errno == errno.ENOENT
    restorer.backup()
    error = fail(licbak.BackupExists, restorer.backup)
    assert isinstance(error, FileExistsError) and error.errno == errno.EEXIST
    assert error.hresult == 0xC00D2742 and error.name == "LICBAK_NS_E_DRM_BACKUP_EXISTS"
    assert error.filename is None and str(backup) in str(error)

    empty = backup / "empty"
    empty.mkdir()
    error = fail(licbak.NothingBackedUp, licbak.Restorer(store=empty, backup=empty).backup)
    assert error.errno is None and error.name == "LICBAK_HRESULT_ERROR_EMPTY"
    missing = licbak.Restorer(store=store / "missing", backup=empty)
    assert isinstance(fail(licbak.NoDirectory, missing.backup), FileNotFoundError)
    file = licbak.Restorer(store=store / "film.lic", backup=empty)
    assert isinstance(fail(licbak.NotADirectory, file.backup), NotADirectoryError)


def test_a_failure_that_has_no_class_has_its_number(backup: Path) -> None:
    run_script(
        """
import errno, os, resource, sys
import licbak

class Large:
    def enumerate(self):
        yield licbak.License("a", os.urandom(100_000))

resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    licbak.Restorer(store=Large(), backup=sys.argv[1]).backup()
except licbak.Error as error:
    assert type(error) is licbak.Error and error.errno == errno.EFBIG, repr(error)
else:
    sys.exit("a backup over the limit")
""",
        backup,
    )


def test_a_full_disk_and_no_permission() -> None:
    full = error_of(CONSTANTS["HRESULT_ERROR_DISK_FULL"], "")
    assert isinstance(full, licbak.DiskFull) and full.errno == errno.ENOSPC
    assert str(full) == "The disk is full."
    denied = error_of(CONSTANTS["E_ACCESSDENIED"], "No.")
    assert isinstance(denied, PermissionError) and isinstance(denied, licbak.AccessDenied)


def test_damage_names_the_licences(store: Path, backup: Path) -> None:
    (store / "large.lic").write_bytes(bytes(range(256)) * 4096)
    restorer = licbak.Restorer(store=store, backup=backup, compression_level=-7)
    restorer.backup()
    file = backup / "licenses.tar.zst"
    content = bytearray(file.read_bytes())
    content[40:60] = bytes(20)
    file.write_bytes(content)
    error = fail(licbak.BackupCorrupt, restorer.verify)
    assert "film.lic" in error.result.damaged
    fail(licbak.BackupCorrupt, restorer.restore)


def test_errors_cross_processes() -> None:
    error = licbak.BackupExists(0xC00D2742, "There is one.", licbak.Result(kept=("a",)))
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is licbak.BackupExists and str(copy) == "There is one."
    assert (copy.errno, copy.hresult, copy.result) == (error.errno, error.hresult, error.result)


def test_a_number_of_nobodys_has_no_name() -> None:
    error = licbak.Error(0x80123456, "Failed.")
    assert error.name == "" and error.errno is None
