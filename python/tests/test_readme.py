"""What the README shows works when pasted."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

import licbak

README = (Path(__file__).parents[1] / "README.md").read_text()
PROGRAMS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
# What the page says to do before.
COMMANDS = README[: README.index("```python")].partition("\n    ")[2]


@pytest.mark.parametrize("number", range(len(PROGRAMS)))
def test_programs(number: int, tmp_path: Path) -> None:
    for module in ("tqdm", "rich"):
        if module in PROGRAMS[number] and importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed")
    subprocess.run(["sh", "-ec", COMMANDS], cwd=tmp_path, check=True)
    command = [sys.executable, "-c", PROGRAMS[number]]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "backups" / "licenses.tar.zst").exists()
    if "tqdm" in PROGRAMS[number]:
        assert "committing: 100%" in done.stderr
    elif "rich" in PROGRAMS[number]:
        assert "committing" in done.stdout and "100%" in done.stdout
    else:
        assert done.stderr == ""


def test_every_class_of_errors_is_in_the_table() -> None:
    table = README.partition("| class |")[2].partition("\n\n")[0]
    named = set(re.findall(r"`(\w+)`", table.replace("Error`", "`")))
    classes = {
        name
        for name, item in vars(licbak).items()
        if isinstance(item, type) and issubclass(item, licbak.Error) and item is not licbak.Error
    }
    assert classes - named == set()
