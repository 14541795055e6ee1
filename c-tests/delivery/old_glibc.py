"""What is built for an old glibc: what the libraries, in the installed trees and in the wheels, ask of
it, and that the tool of each machine and this machine's wheel do the main job here.

    old_glibc.py FOLDER

The folder has, for each machine, a wheel and a tree of its name that install.sh has made.
"""

import pathlib
import platform
import re
import subprocess
import sys
import tempfile
import zipfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

from checks import check, check_that, finish  # noqa: E402

OLDEST = (2, 17)
OLDEST_GCC = (4, 8)  # the one of the oldest Linuxes that have this glibc
# The words by which readelf tells each machine, and the command that runs its programs elsewhere.
MACHINES = {
    "x86_64": ("X86-64", ["qemu-x86_64-static"]),
    "aarch64": ("AArch64", ["qemu-aarch64-static", "-L", "/usr/aarch64-linux-gnu"]),
}
LICENSES = {f"{number}.lic": f"licence {number}".encode() for number in range(100)}
PACKAGE = """
import sys, licbak
store, backups, again = sys.argv[1:]
licbak.Restorer(store=store, backup=backups).backup()
licbak.Restorer(store=again, backup=backups).restore()
"""


def expect(*command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    check(done.returncode, 0, f"{command}: {done.stdout}{done.stderr}")
    return done.stdout


def check_file(file, machine):
    """A library or program is for the machine, asks for no newer glibc, and for nothing beside it but
    gcc's own library, and licbak's."""
    check_that(machine in expect("readelf", "--wide", "--file-header", file), f"{file} is for {machine}")
    versions = expect("readelf", "--wide", "--version-info", file)
    check_that("GLIBC_" in versions, versions)
    for library, oldest in (("GLIBC", OLDEST), ("GCC", OLDEST_GCC)):
        found = re.findall(rf"\b{library}_(\d+)\.(\d+)", versions)
        newest = max(((int(major), int(minor)) for major, minor in found), default=(0, 0))
        check_that(newest <= oldest, f"{file} asks for {library} {newest}, which is newer than {oldest}")
    needed = re.findall(r"NEEDED.*\[(.*)\]", expect("readelf", "--wide", "--dynamic", file))
    known = re.compile(r"lib(c|m|dl|rt|util|pthread|gcc_s|licbak)\.so\.|ld-linux")
    check([name for name in needed if not known.match(name)], [], f"what {file} needs beside")


def check_job(place, *steps):
    """Commands, which get a store, a folder for the backup and one to restore into, put back all."""
    store, backups, again = folders = [place / name for name in ("store", "backups", "again")]
    store.mkdir()
    backups.mkdir()
    for name, content in LICENSES.items():
        (store / name).write_bytes(content)
    for step in steps:
        expect(*step(*folders))
    check({path.name: path.read_bytes() for path in again.iterdir()}, LICENSES, "what is restored")


def check_tree(prefix, machine, runner):
    check_file(prefix / "lib/liblicbak.so", machine)
    tool = prefix / "bin/licbak"
    check_file(tool, machine)
    with tempfile.TemporaryDirectory() as place:
        check_job(
            pathlib.Path(place),
            lambda store, backups, _: [*runner, tool, "backup", store, backups],
            lambda _, backups, again: [*runner, tool, "restore", backups, again],
        )


def check_wheel(wheel, machine, runs_here):
    with tempfile.TemporaryDirectory() as folder:
        place = pathlib.Path(folder)
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(place / "package")
        check_file(place / "package/licbak/liblicbak.so", machine)
        python = ["env", f"PYTHONPATH={place / 'package'}", sys.executable, "-B", "-c", PACKAGE]
        if runs_here:
            check_job(place, lambda *folders: [*python, *folders])


folder = pathlib.Path(sys.argv[1])
for name, (machine, runner) in MACHINES.items():
    runs_here = platform.machine() == name
    check_tree(folder / name, machine, [] if runs_here else runner)
    # The tag is made from what the library asks for.
    tag = f"py3-none-manylinux_{OLDEST[0]}_{OLDEST[1]}_{name}"
    (wheel,) = folder.glob(f"licbak-*_{name}.whl")
    check_that(wheel.stem.endswith(tag), f"{wheel.name} is tagged {tag}")
    check_wheel(wheel, machine, runs_here)
finish()
