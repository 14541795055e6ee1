"""Puts the library into the wheel, and tags the wheel with what that file needs."""

from __future__ import annotations

import json
import os
import re
import shutil
import struct
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

# The machines in the header of an ELF file and of a DLL, with their names in wheels.
MACHINES = {3: "i686", 62: "x86_64", 183: "aarch64", 243: "riscv64"}
WINDOWS_MACHINES = {0x014C: "win32", 0x8664: "win_amd64", 0xAA64: "win_arm64"}

LIBRARIES = ("liblicbak.so", "licbak.dll")


class LibraryHook(BuildHookInterface[Any]):
    """Takes a finished library, or has cargo build the crate around this folder."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling before it builds; `version` is "standard" or "editable"."""
        if self.target_name == "sdist":
            raise SystemExit(
                "licbak has no sdist: the library is built from the Rust crate around this folder. "
                "Build a wheel from a checkout instead: pip wheel ./python"
            )
        given = os.environ.get("LICBAK_LIBRARY")
        library = Path(given).resolve() if given else build(Path(self.root).parent)
        if not library.is_file():
            raise SystemExit(f"LICBAK_LIBRARY names {library}, which does not exist; correct it")
        platform = platform_tag(library)
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{platform}"
        name = LIBRARIES[platform.startswith("win")]  # whatever the name of what was given
        if version == "editable":  # the package is imported from where its sources are
            shutil.copyfile(library, Path(self.root, "src", "licbak", name))
        else:
            build_data["force_include"][str(library)] = f"licbak/{name}"


def build(crate: Path) -> Path:
    """Builds the crate, and gives the path of the library from cargo's messages."""
    command = ["cargo", "build", "--release", "--locked", "--lib"]
    command += ["--message-format", "json-render-diagnostics"]
    try:
        done = subprocess.run(command, cwd=crate, check=True, stdout=subprocess.PIPE)
    except FileNotFoundError:
        raise SystemExit(
            "cargo is missing: install Rust, or name a finished library in LICBAK_LIBRARY"
        ) from None
    except subprocess.CalledProcessError as error:
        raise SystemExit(f"the library does not build ({error}); see the messages above") from None
    files = [
        Path(file)
        for line in done.stdout.splitlines()
        for file in json.loads(line).get("filenames", [])
        if Path(file).name in LIBRARIES
    ]
    if not files:
        raise SystemExit("cargo has built none of " + ", ".join(LIBRARIES))
    return files[-1]


def platform_tag(library: Path) -> str:
    """The platform of a wheel with this library: its machine, and the oldest glibc that works."""
    content = library.read_bytes()
    if content[:2] == b"MZ":
        return windows_tag(library, content)
    if content[:4] != b"\x7fELF":
        raise SystemExit(f"{library} is a library of neither Linux nor Windows")
    order = "<" if content[5] == 1 else ">"
    (machine,) = struct.unpack_from(order + "H", content, 18)
    if machine not in MACHINES:
        raise unknown_machine(library, machine)
    # The names of symbol versions stand as they are in the table of dynamic strings.
    versions = re.findall(rb"\0GLIBC_(\d+)\.(\d+)(?:\.\d+)?(?=\0)", content)
    if not versions:  # another libc, or none: a wheel for this machine only
        return f"linux_{MACHINES[machine]}"
    major, minor = max((int(major), int(minor)) for major, minor in versions)
    return f"manylinux_{major}_{minor}_{MACHINES[machine]}"


def windows_tag(library: Path, content: bytes) -> str:
    """The platform of a wheel with this DLL, which needs nothing but Windows."""
    (header,) = struct.unpack_from("<I", content, 0x3C)
    signature, machine = struct.unpack_from("<4sH", content, header)
    if signature != b"PE\0\0" or machine not in WINDOWS_MACHINES:
        raise unknown_machine(library, machine)
    return WINDOWS_MACHINES[machine]


def unknown_machine(library: Path, machine: int) -> SystemExit:
    """The failure for a library of a machine that has no name here."""
    return SystemExit(
        f"{library} is for machine {machine}; hatch_build.py has no name for that machine"
    )
