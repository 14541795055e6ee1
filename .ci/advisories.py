"""Looks for the crates of Cargo.lock in RustSec's list of advisories.

The list is the folder that ADVISORIES names, or is fetched from where it is kept; where it can't be
had, that is told, and nothing is wrong. An advisory that a crate is looked after no more is told,
and any other that applies is a failure.
"""

import os
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

LIST = "https://github.com/RustSec/advisory-db"


def key(version):
    """Numbers that compare as versions do; a pre-release comes before its release."""
    numbers, _, pre = version.partition("+")[0].partition("-")
    parts = [int(part) for part in numbers.split(".")]
    return (*parts, 0, 0)[:3], not pre


def meets(version, requirement):
    """Whether a version meets every part of, for instance, ">= 1.2, < 1.4"."""
    for part in requirement.split(","):
        operator, wanted = re.fullmatch(r"\s*(\^|>=|<=|>|<|=|)\s*([^\s]+)\s*", part).groups()
        here, there = key(version), key(wanted)
        if operator in ("^", ""):
            # No higher than what changes the first number that is not 0.
            fixed = next((i for i, number in enumerate(there[0]) if number), 2) + 1
            good = here >= there and here[0][:fixed] == there[0][:fixed]
        else:
            good = {
                ">=": here >= there,
                "<=": here <= there,
                ">": here > there,
                "<": here < there,
                "=": here == there,
            }[operator]
        if not good:
            return False
    return True


def applies(advisory, version):
    """Whether an advisory is about this version of its crate."""
    versions = advisory["versions"]
    harmless = versions["patched"] + versions.get("unaffected", [])
    return not any(meets(version, requirement) for requirement in harmless)


def check_this_script():
    """A wrong comparison would find nothing, which looks like a clean list."""
    versions = {"patched": [">= 1.2.3", "^0.9.4"], "unaffected": ["< 0.5"]}
    for version, affected in {
        "1.10.0": False,
        "1.2.3": False,
        "1.2.3-rc.1": True,
        "1.2.2": True,
        "0.10.0": True,
        "0.9.10+c.1.5": False,
        "0.9.3": True,
        "0.4.99": False,
    }.items():
        assert applies({"versions": versions}, version) == affected, version


def read_list(folder):
    """The advisories that have not been withdrawn, by the names of their crates."""
    found = {}
    for file in Path(folder, "crates").glob("*/*.md"):
        text = file.read_text(encoding="utf-8")
        advisory = tomllib.loads(text.split("```toml\n", 1)[1].split("```", 1)[0])
        if "withdrawn" not in advisory["advisory"]:
            title = re.search(r"^# (.*)", text, re.MULTILINE)[1]
            found.setdefault(file.parent.name, []).append((title, advisory))
    return found


def fetch(folder):
    """Whether the list could be had."""
    command = ["git", "clone", "--quiet", "--depth", "1", LIST, folder]
    try:
        quiet = {**os.environ, "GIT_TERMINAL_PROMPT": "0"}
        subprocess.run(command, check=True, timeout=120, capture_output=True, env=quiet)
    except (OSError, subprocess.SubprocessError):
        return False
    return True


def main():
    check_this_script()
    with tempfile.TemporaryDirectory() as scratch:
        folder = os.environ.get("ADVISORIES")
        if folder is None:
            folder = os.path.join(scratch, "list")
            if not fetch(folder):
                print(f"skipped: advisories ({LIST} can't be had here)")
                return 0
        advisories = read_list(folder)
    locked = tomllib.loads(Path("Cargo.lock").read_text(encoding="utf-8"))["package"]
    failures = 0
    for crate in locked:
        for title, advisory in advisories.get(crate["name"], []):
            if applies(advisory, crate["version"]):
                unmaintained = advisory["advisory"].get("informational") == "unmaintained"
                failures += not unmaintained
                about = f"{advisory['advisory']['id']}: {title}"
                print(f"advisories: {crate['name']} {crate['version']}: {about}")
    count = sum(map(len, advisories.values()))
    print(f"advisories: crates {len(locked)}, advisories {count}, failures {failures}")
    return int(failures > 0 or count == 0)


if __name__ == "__main__":
    sys.exit(main())
