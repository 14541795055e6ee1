"""Where the library is found."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import licbak
from licbak import _c

PACKAGE = Path(licbak.__file__).parent
BUNDLED = PACKAGE / "liblicbak.so"


@pytest.fixture
def without(tmp_path: Path) -> Path:
    """A folder to import the package from, without its library."""
    shutil.copytree(PACKAGE, tmp_path / "licbak", ignore=shutil.ignore_patterns("*.so"))
    return tmp_path


def imported(folder: Path, **environment: str) -> str:
    """The library that a program has loaded, or what it was told."""
    script = "import licbak; print(licbak._c._library._name)"
    command = [sys.executable, "-B", "-c", script]
    environment["PYTHONPATH"] = str(folder)
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    return (done.stdout or done.stderr).strip()


def test_the_bundled_one_comes_first(without: Path) -> None:
    assert imported(PACKAGE.parent, LICBAK_LIBRARY="/nowhere.so") == str(BUNDLED)


def test_else_the_one_that_is_named(without: Path) -> None:
    assert imported(without, LICBAK_LIBRARY=str(BUNDLED)) == str(BUNDLED)


def test_else_the_systems(without: Path) -> None:
    system = without / "lib"
    system.mkdir()
    (system / "liblicbak.so.0").symlink_to(BUNDLED)
    assert imported(without, LD_LIBRARY_PATH=str(system)) == "liblicbak.so.0"


def test_none_or_another_is_told(without: Path) -> None:
    told = imported(without, LICBAK_LIBRARY=str(without / "missing.so")).splitlines()[-1]
    assert told.startswith("ImportError: licbak's library can't be loaded") and "missing.so" in told
    told = imported(without, LICBAK_LIBRARY="libc.so.6").splitlines()[-1]
    assert told.startswith("ImportError: libc.so.6 is not licbak's library.")


def test_another_binary_interface_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_c, "ABI_VERSION", 1)
    with pytest.raises(ImportError, match=r"has version 0 .* needs version 1"):
        _c._load()
