"""What is built for an old glibc: what the libraries in the wheels ask of it, by readelf's word, and
that this machine's wheel works.

    old_glibc.py WHEELS
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
MACHINES = {"x86_64": "X86-64", "aarch64": "AArch64"}


def expect(*command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    check(done.returncode, 0, f"{command}: {done.stderr}")
    return done.stdout


def unpacked(wheel, place):
    """The library of a wheel, which is tagged with the oldest glibc."""
    with zipfile.ZipFile(wheel) as archive:
        return pathlib.Path(archive.extract("licbak/liblicbak.so", place))


def check_library(library, machine):
    header = expect("readelf", "--wide", "--file-header", library)
    check_that(machine in header, f"{machine} in {header}")
    versions = expect("readelf", "--wide", "--version-info", library)
    asked = {tuple(map(int, found)) for found in re.findall(r"\bGLIBC_(\d+)\.(\d+)\b", versions)}
    check_that(asked, versions)
    check_that(max(asked) <= OLDEST, f"symbols of glibc {max(asked)}")
    needed = re.findall(r"NEEDED.*\[(.*)\]", expect("readelf", "--wide", "--dynamic", library))
    check_that(all(re.match(r"lib(c|m|dl|rt|pthread|gcc_s)\.so|ld-linux", name) for name in needed), needed)


def check_package(wheel, place):
    """Backs up and restores by the package alone."""
    package, store, again, backups = (place / name for name in ("package", "store", "again", "backups"))
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(package)
    store.mkdir()
    backups.mkdir()
    licenses = {f"{number}.lic": f"licence {number}".encode() for number in range(100)}
    for name, content in licenses.items():
        (store / name).write_bytes(content)
    program = (
        "import sys, licbak\n"
        "store, again, backups = sys.argv[1:]\n"
        "restorer = licbak.Restorer(store=store, backup=backups)\n"
        "restorer.backup()\n"
        "licbak.Restorer(store=again, backup=backups).restore()\n"
    )
    expect("env", f"PYTHONPATH={package}", sys.executable, "-B", "-c", program, store, again, backups)
    restored = {path.name: path.read_bytes() for path in again.iterdir()}
    check(restored, licenses, "what is restored")


wheels = pathlib.Path(sys.argv[1])
for machine, name in MACHINES.items():
    (wheel,) = wheels.glob(f"licbak-*-py3-none-manylinux_{OLDEST[0]}_{OLDEST[1]}_{machine}.whl")
    with tempfile.TemporaryDirectory() as folder:
        place = pathlib.Path(folder)
        check_library(unpacked(wheel, place), name)
        if platform.machine() == machine:
            check_package(wheel, place)
finish()
