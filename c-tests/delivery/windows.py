"""What install.sh makes for Windows, as programs and users get it. Programs run under Wine.

    windows.py PREFIX LINUX_PREFIX [PART]...

The parts are the functions below that begin with check_; without any, all are run. The prefixes are
those of install.sh with `--target x86_64-pc-windows-gnu` and without: what the tool and the examples
print here is compared with what they print on Linux.

From the environment: WINEPREFIX, Wine's folder, which nothing else uses meanwhile; BUILT, the folder
into which cargo has built for Windows, and RUSTC, its compiler; PROCESS_PRNG, a bcryptprimitives.dll
that is put beside each program, for a Wine that lacks it; WINE.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
EXAMPLES = PROJECT / "examples-c"
PREFIX, LINUX = (Path(argument).resolve() for argument in sys.argv[1:3])
WINE = os.environ.get("WINE", "/usr/lib/wine/wine64")
GNU = "x86_64-w64-mingw32"
STRICT = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"]
CC = [f"{GNU}-gcc-posix", "-std=c11", *STRICT]
CXX = [f"{GNU}-g++-posix", "-std=c++17", *STRICT, "-static"]
IMPORTS = PREFIX / "lib/liblicbak.dll.a"  # by its file's name, since -static prefers liblicbak.a
DENIED = {  # see examples-c/README.md
    "rental-blue-canal.xml",
    "subscription-basic.xml",
    "ringtone-marimba-trial.dr",
    "song-tin-roof-preview.ro",
}
# What every Windows has. bcryptprimitives.dll has been there since Windows 7.
SYSTEM = {"kernel32.dll", "ntdll.dll", "msvcrt.dll", "userenv.dll", "ws2_32.dll", "advapi32.dll"}
SYSTEM |= {"crypt32.dll", "ncrypt.dll", "secur32.dll"}  # of the store of those whom Windows trusts
SYSTEM |= {"shell32.dll", "bcrypt.dll", "bcryptprimitives.dll", "dbghelp.dll"}
SYSTEM |= {"api-ms-win-core-synch-l1-2-0.dll"}

checks = 0


def check(condition: object, about: object) -> None:
    """Counts what is so, and ends at what is not."""
    global checks
    checks += 1
    if not condition:
        sys.exit(f"windows: not so: {about}")


def run(*command: object, **options: object) -> subprocess.CompletedProcess[str]:
    """Runs a command, and gives what it prints. That goes through files, since what Wine starts for
    itself would keep pipes open."""
    words = [str(word) for word in command]
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        streams = {"stdin": subprocess.DEVNULL, "stdout": output, "stderr": errors}
        done = subprocess.run(words, check=False, timeout=300, **streams, **options)  # type: ignore[call-overload]
        output.seek(0)
        errors.seek(0)
        texts = (output.read().decode(), errors.read().decode())
    return subprocess.CompletedProcess(words, done.returncode, *texts)


def expect(*command: object, **options: object) -> str:
    """Runs a command that must succeed, and gives what it prints."""
    done = run(*command, **options)
    check(done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def wine(program: Path, *arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    """Runs a program for Windows, with the stand-in beside it."""
    stand_in = os.environ.get("PROCESS_PRNG")
    if stand_in and not (program.parent / "bcryptprimitives.dll").exists():
        shutil.copy(stand_in, program.parent / "bcryptprimitives.dll")
    environment = {**os.environ, "WINEDEBUG": "-all", "LC_ALL": "C.UTF-8"}
    environment.update(options.pop("env", {}))  # type: ignore[call-overload]
    return run(WINE, program, *arguments, env=environment, **options)


def passed(name: str, done: subprocess.CompletedProcess[str]) -> None:
    """Counts the checks of a test program, which must have passed."""
    global checks
    told = re.fullmatch(rf"{name}: (\d+) checks passed\r?\n", done.stdout)
    check(done.returncode == 0 and told, f"{name}: {done.returncode} {done.stdout}{done.stderr}")
    checks += int(told[1]) if told else 0


def names_of(pattern: str, text: str) -> list[str]:
    """What a pattern finds in each line."""
    return re.findall(pattern, text, re.MULTILINE)


def needs(file: Path) -> set[str]:
    """The DLLs that a file is loaded with."""
    text = expect(f"{GNU}-objdump", "-p", file)
    return {name.lower() for name in names_of(r"DLL Name: (\S+)", text)}


def exports(file: Path) -> set[str]:
    """The names that a DLL exports."""
    text = expect(f"{GNU}-objdump", "-p", file).partition("[Ordinal/Name Pointer] Table")[2]
    return set(names_of(r"^\s+\[ *\d+\](?: \+base\[ *\d+\])?(?: +[0-9a-f]+)? (\w+)$", text))


def copy_store(place: Path) -> Path:
    """The licences with times that both systems keep."""
    store = place / "store"
    shutil.copytree(EXAMPLES / "licenses", store)
    for number, path in enumerate(sorted(store.rglob("*"))):
        if path.is_file():
            os.utime(path, (1_700_000_000 + number,) * 2)
    return store


def tree(folder: Path) -> dict[str, bytes]:
    """The files below a folder."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def allowed() -> dict[str, bytes]:
    """The licences that a backup has."""
    files = tree(EXAMPLES / "licenses")
    return {name: content for name, content in files.items() if Path(name).name not in DENIED}


# -- the files


def check_library(_: Path) -> None:
    """The DLLs export and need what they should, and the static library shows its own names. No file
    tells where or when it was built."""
    for name, content in tree(PREFIX).items():
        for builders in [str(PROJECT), str(Path.home()), "/registry/src/"]:
            check(f"{builders}/".replace("//", "/").encode() not in content, (name, builders))
        if content[:2] == b"MZ":
            (header,) = struct.unpack_from("<I", content, 0x3C)
            check(content[header + 8 : header + 12] == bytes(4), f"{name} has the time of its link")
    header = (PREFIX / "include/licbak.h").read_text(encoding="utf-8")
    functions = set(names_of(r"^LICBAK_API .*LICBAK_CALL (\w+)\(", header))
    check("licbak_wait" in functions, functions)
    check(exports(PREFIX / "bin/licbak.dll") == functions, exports(PREFIX / "bin/licbak.dll"))
    definition = (PREFIX / "lib/licbak.def").read_text(encoding="utf-8")
    check(set(definition.split()[3:]) == functions, definition)
    wmvcore = PREFIX / "lib/wmvcore/wmvcore.dll"
    check(exports(wmvcore) == {"WMCreateBackupRestorer"}, exports(wmvcore))
    for file in [PREFIX / "bin/licbak.dll", wmvcore]:
        check(needs(file) <= SYSTEM, (file, needs(file) - SYSTEM))
    tool = needs(PREFIX / "bin/licbak.exe")
    check(tool <= SYSTEM | {"licbak.dll"} and "licbak.dll" in tool, tool)
    shown = expect(f"{GNU}-nm", "-g", "--defined-only", PREFIX / "lib/liblicbak.a")
    shown_names = set(names_of(r"^[0-9a-f]+ [A-Z] (\w+)$", shown))
    check(functions <= shown_names, functions - shown_names)
    foreign = {name for name in shown_names if not name.startswith("licbak_")}
    check(not foreign, sorted(foreign)[:20])
    for name, content in tree(PREFIX / "share/licenses/licbak").items():
        check(content == (PROJECT / name).read_bytes(), name)


# -- programs


def readme_program(place: Path) -> Path:
    """The program in C that the README shows."""
    readme = (PROJECT / "README.md").read_text(encoding="utf-8")
    source = place / "backup.c"
    source.write_text(readme.partition("```c\n")[2].partition("```")[0], encoding="utf-8")
    return source


def check_program(program: Path, is_shared: bool) -> None:
    """Runs the README's program, linked in one way or another."""
    found = needs(program)
    check(found - {"licbak.dll"} <= SYSTEM and ("licbak.dll" in found) == is_shared, (program, found))
    if is_shared:
        shutil.copy(PREFIX / "bin/licbak.dll", program.parent)
    backups = program.parent / "backups"
    shutil.rmtree(backups, ignore_errors=True)
    backups.mkdir()
    if not (program.parent / "store").exists():
        copy_store(program.parent)
    done = wine(program, "store", "backups", cwd=program.parent)
    check(done.stdout.rstrip("\r\n") == "saved", done.stdout + done.stderr)
    check((backups / "licenses.tar.zst").is_file(), program)


def check_links(place: Path) -> None:
    """Programs are linked by hand, as docs/windows.md says, and with what the .def alone makes."""
    source = readme_program(place)
    include, lib = f"-I{PREFIX / 'include'}", PREFIX / "lib"
    page = (PROJECT / "docs/windows.md").read_text(encoding="utf-8")
    line = page.partition("-DLICBAK_STATIC backup.c -I include lib/liblicbak.a ")[2]
    libraries = line.partition(" -o ")[0].split()
    pc_file = (lib / "pkgconfig/licbak.pc").read_text(encoding="utf-8")
    check(f"\nLibs.private: {' '.join(libraries)}\n" in pc_file, (libraries, pc_file))
    alone = place / "alone"
    alone.mkdir()
    expect(f"{GNU}-dlltool", "-d", lib / "licbak.def", "-l", alone / "liblicbak.a")
    plain = [f"{GNU}-gcc-posix", source, include]
    for name, command, is_shared in [
        ("shared", [*plain, f"-L{lib}", "-llicbak"], True),
        ("static", [*plain, "-DLICBAK_STATIC", lib / "liblicbak.a", *libraries], False),
        ("by_def", [*plain, f"-L{alone}", "-llicbak"], True),
    ]:
        (place / name).mkdir()
        expect(*command, "-o", place / name / "backup.exe")
        check_program(place / name / "backup.exe", is_shared)


def check_static_libs(place: Path) -> None:
    """The list of what a static program needs is that of rustc."""
    built, rustc = Path(os.environ["BUILT"]), os.environ.get("RUSTC", "rustc")
    source = place / "nothing.rs"
    source.write_text("extern crate licbak;\n", encoding="utf-8")
    options = ["--target", "x86_64-pc-windows-gnu", "--crate-type", "staticlib"]
    options += ["--print", "native-static-libs", "--extern", f"licbak={built}/liblicbak.rlib"]
    own = run(rustc, "--print", "target-libdir", *options[:2]).stdout.strip()
    for name in ["std", "core", "alloc", "compiler_builtins", "panic_unwind"]:
        # Those that were built with the crate, where the compiler has none of its own.
        if os.path.isdir(own) and os.listdir(own):
            break
        found = sorted((built / "deps").glob(f"lib{name}-*.rlib"), key=os.path.getmtime)
        options += ["--extern", f"noprelude:{name}={found[-1]}"] if found else []
    for folder in [built, built.parents[1] / "release"]:  # the latter has macros, which run here
        options += ["-L", f"dependency={folder}/deps"]
    command = [rustc, "-Zunstable-options", *options, source]
    done = run(*command, cwd=place, env={**os.environ, "RUSTC_BOOTSTRAP": "1"})
    check(done.returncode == 0, done.stderr)
    named = names_of(r"native-static-libs: (.*)$", done.stderr)
    pc_file = (PREFIX / "lib/pkgconfig/licbak.pc").read_text(encoding="utf-8")
    check(named == names_of(r"^Libs.private: (.*)$", pc_file), (named, pc_file))


CONSUMER = """
cmake_minimum_required(VERSION 3.13)
project(consumer C)
find_package(licbak 0.1 CONFIG REQUIRED)
find_package(licbak CONFIG REQUIRED)
foreach(target licbak shared static)
  add_executable(${target} backup.c)
  target_link_libraries(${target} PRIVATE licbak::${target})
  set_target_properties(${target} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${target})
endforeach()
"""


def check_packages(place: Path) -> None:
    """CMake and pkg-config find what has been moved."""
    moved = place / "moved to here"
    shutil.copytree(PREFIX, moved)
    if shutil.which("cmake") and shutil.which("make"):
        project = place / "project"
        project.mkdir()
        readme_program(project)
        (project / "CMakeLists.txt").write_text(CONSUMER, encoding="utf-8")
        settings = {"CMAKE_SYSTEM_NAME": "Windows", "CMAKE_C_COMPILER": f"{GNU}-gcc-posix"}
        settings["CMAKE_PREFIX_PATH"] = str(moved)
        options = [f"-D{name}={value}" for name, value in settings.items()]
        expect("cmake", "-S", project, "-B", project / "build", *options)
        expect("cmake", "--build", project / "build")
        for target in ["licbak", "shared", "static"]:
            check_program(project / "build" / target / f"{target}.exe", target != "static")
    else:
        print("windows: skipped: CMake (not installed)")
    if shutil.which("pkg-config"):
        environment = {**os.environ, "PKG_CONFIG_PATH": str(moved / "lib/pkgconfig")}
        source = readme_program(place)
        for name, kind in [("by_pkg_config", ""), ("by_pkg_config_static", "--static")]:
            (place / name).mkdir()
            line = '$1 ${3:+$3} "$2" -o "$2".exe $(pkg-config $3 --cflags --libs licbak)'
            line = f'eval "{line}"'.replace('"$2"', '\\"\\$2\\"')
            expect("sh", "-c", line, "sh", f"{GNU}-gcc-posix", source, kind.replace("--", "-"), env=environment)
            program = place / name / "backup.exe"
            shutil.move(f"{source}.exe", program)
            check_program(program, not kind)
    else:
        print("windows: skipped: pkg-config (not installed)")


# -- beside Linux


def comparable(text: str) -> str:
    """What is the same on both systems: no IDs, no sizes after compression, no system's sentences, and no
    ends of lines, which the C library makes."""
    text = text.replace("\r\n", "\n")
    text = re.sub(r"[0-9.]+ [KM]?i?B compressed", "SIZE compressed", text)
    text = re.sub(r"\b[0-9a-f]{32}\b", "ID", text)
    text = re.sub(r"(backup +|\"backup_bytes\":)\d+", r"\1SIZE", text)
    # Files that were written within three seconds make one more.
    text = re.sub(r"(generation +|\"generation\":)\d", r"\1N", text)
    text = re.sub(r"(created +)[-0-9]+ [:0-9]+ UTC|\"created\":\"[^\"]*\"", "CREATED", text)
    # Of a failure its code; which sentence the system has for it is its own.
    return re.sub(r"^licbak: .*\((\w+, 0x[0-9A-F]{8})\)$", r"licbak: \1", text, flags=re.MULTILINE)


def events(text: str) -> list[str]:
    """What is told on the way. When a phase is told is a matter of time."""
    phase = r"(starting|listing|checking|committing|backing up|restoring|verifying)(: .*)?"
    return sorted(line for line in comparable(text).splitlines() if not re.fullmatch(phase, line))


class Beside:
    """A folder on each system, in which the same is done."""

    def __init__(self, place: Path) -> None:
        self.windows, self.linux = place / "windows", place / "linux"
        for folder in [self.windows, self.linux]:
            folder.mkdir(parents=True)
            copy_store(folder)

    def make(self, *names: str) -> None:
        for name in names:
            (self.windows / name).mkdir()
            (self.linux / name).mkdir()

    def same(self, code: int, windows: Path, linux: Path, *arguments: str, also: str = "stderr") -> str:
        """Runs a program on both, and gives what it has printed on Windows."""
        here = wine(windows, *arguments, cwd=self.windows)
        there = run(linux, *arguments, cwd=self.linux)
        about = f"{windows.name} {arguments}:\n{here}\n{there}"
        check((here.returncode, there.returncode) == (code, code), about)
        check(comparable(here.stdout) == comparable(there.stdout), about)
        if also:
            check(events(here.stderr) == events(there.stderr), about)
        return here.stdout + here.stderr


WALK = [
    (2, ""),
    (0, "--help"),
    (0, "--version"),
    (0, "restore --help"),
    (2, "frobnicate"),
    (2, "backup --frobnicate store backups"),
    (2, "backup --threads many store backups"),
    (2, "backup --threads 300 store backups"),
    (0, "backup --dry-run store backups"),
    (1, "verify backups"),
    (1, "backup nowhere backups"),
    (1, "backup store nowhere"),
    (3, "backup empty backups"),
    (0, "backup --verify --threads 3 --level 5 --machine-id seat store backups"),
    (1, "backup store backups"),
    (0, "backup --overwrite --full store backups"),
    (0, "backup --overwrite --quiet store backups"),
    (0, "verify backups"),
    (0, "list backups"),
    (0, "list --json backups"),
    (0, "info --machine-id seat backups"),
    (0, "info --json backups"),
    (0, "restore --dry-run backups restored"),
    (0, "restore backups restored"),
    (0, "restore backups restored"),
    (0, "restore --key-id cadworks backups one"),
    (1, "restore --key-id nobody backups one"),
    (0, "restore backups seats.db"),
    (0, "backup seats.db two"),
    (0, "list two"),
]


def check_tool(place: Path) -> None:
    """The tool does on Windows what it does on Linux, with backups that both read."""
    beside = Beside(place)
    beside.make("backups", "empty", "two")
    tools = (place / "tool/licbak.exe", LINUX / "bin/licbak")
    shutil.copytree(PREFIX / "bin", place / "tool")

    def both(code: int, *arguments: str) -> str:
        text = beside.same(code, *tools, *arguments)
        check("\r\n" not in text, text)  # a script reads the same bytes on both
        return text

    for code, line in WALK:
        both(code, *line.split())
    for folder in [beside.windows, beside.linux]:
        check(tree(folder / "restored") == allowed(), folder)
        check(list(tree(folder / "one")) == ["seats/engineering/cadworks.lic"], folder)

    # Of two versions the store's stays, unless told otherwise.
    name = "kiosk/lobby-01.key"
    for folder in [beside.windows, beside.linux]:
        (folder / "restored" / name).write_text("in use", encoding="utf-8")
    check(f"kept: {name}" in both(0, "restore", "backups", "restored"), name)
    check((beside.windows / "restored" / name).read_text(encoding="utf-8") == "in use", name)
    both(0, "restore", "--overwrite", "backups", "restored")
    check(tree(beside.windows / "restored") == allowed(), "overwritten")

    # What one has made the other reads.
    windows, linux = (folder / "backups/licenses.tar.zst" for folder in [beside.windows, beside.linux])
    shutil.copy(windows, beside.linux / "other.zst")
    shutil.copy(linux, beside.windows / "other.zst")
    both(0, "verify", "other.zst")
    both(0, "restore", "other.zst", "from the other")
    for folder in [beside.windows, beside.linux]:
        check(tree(folder / "from the other") == allowed(), folder)

    # Damage in the first frame, of which the lists at the end know the names.
    for file in [windows, linux]:
        content = bytearray(file.read_bytes())
        content[600:700] = bytes(100)
        file.write_bytes(content)
    both(1, "restore", "backups", "damaged")
    both(1, "restore", "--salvage", "backups", "salvaged")
    check(not (beside.windows / "damaged").exists(), "of a damaged backup nothing is restored")

    # Words that no code page has, and the times of what was there before 1970.
    for folder in [beside.windows, beside.linux]:
        (folder / "Lizenzen für 音楽 🔑").mkdir()
        old = folder / "Lizenzen für 音楽 🔑/früher ♪.lic"
        old.write_text("text", encoding="utf-8")
        os.utime(old, (-86_400, -86_400))
    both(0, "backup", "--overwrite", "Lizenzen für 音楽 🔑", "two")
    text = both(0, "list", "--json", "two")
    check(json.loads(text)["name"] == "früher ♪.lic", text)
    check(json.loads(text)["modified"] == "1969-12-31T00:00:00.000000000Z", text)
    text = both(1, "restore", "--key-id", "schlüssel 🔑", "two", "one")
    check("schlüssel 🔑" in text, text)


# Programs, the arguments with which each does its work, and those with which it fails.
EXAMPLE_CALLS = [
    ("01_back_up.c", "store one", "nowhere two"),
    ("02_restore.c", "one restored", "two restored"),
    ("03_progress_and_cancel.c", "store two", "store nowhere"),
    ("04_wait.c", "store three", "store one"),
    ("06_host_memory.c", "five", "nowhere"),
    ("07_cpp.cpp", "store six", "store six"),
    ("08_one_license.c", "one lost cadworks", "one lost cad"),
]


def check_examples(place: Path) -> None:
    """The examples that are not of POSIX print what they print on Linux."""
    beside = Beside(place)
    beside.make("one", "two", "three", "five", "six")
    shutil.copytree(PREFIX / "bin", place / "programs")
    linux_lib = LINUX / "lib"
    for name, good, bad in EXAMPLE_CALLS:
        is_cxx = name.endswith(".cpp")
        windows = place / "programs" / f"{Path(name).stem}.exe"
        linux = place / "programs" / Path(name).stem
        compiler = CXX if is_cxx else CC
        source = EXAMPLES / name
        expect(*compiler, source, f"-I{PREFIX / 'include'}", IMPORTS, "-o", windows)
        native = ["c++", "-std=c++17", "-pthread"] if is_cxx else ["cc", "-std=c11"]
        expect(
            *native, source, f"-I{LINUX / 'include'}", f"-L{linux_lib}", f"-Wl,-rpath,{linux_lib}", "-llicbak",
            "-o", linux,
        )  # fmt: skip
        # How often progress is told is a matter of time.
        beside.same(0, windows, linux, *good.split(), also="")
        beside.same(1, windows, linux, *bad.split(), also="")
        beside.same(2, windows, linux)
    check(tree(beside.windows / "restored") == allowed(), "02_restore")
    check(list(tree(beside.windows / "lost")) == ["seats/engineering/cadworks.lic"], "08_one_license")


# -- wmvcore.dll, and the header that it is made of


def check_wmvcore(place: Path) -> None:
    """A program that imports the original's DLL, and one that was compiled with our header."""
    here = PROJECT / "c-tests/delivery"
    expect(f"{GNU}-dlltool", "-d", PREFIX / "lib/wmvcore/wmvcore.def", "-l", place / "libwmvcore.a")
    # The original's interfaces have no virtual destructors.
    options = ["-Wno-non-virtual-dtor", "-municode", here / "wmvcore_client.cpp", f"-L{place}", "-lwmvcore"]
    program = place / "wmvcore_client.exe"
    expect(*CXX, *options, "-o", program)
    check(needs(program) == {"wmvcore.dll", "kernel32.dll", "msvcrt.dll"}, needs(program))
    shutil.copy(PREFIX / "lib/wmvcore/wmvcore.dll", place)
    shutil.copytree(EXAMPLES / "licenses", place / "Lizenzen für 音楽")
    (place / "Sicherung ♪").mkdir()
    environment = {"LICBAK_STORE_PATH": "Lizenzen für 音楽", "WINEDLLOVERRIDES": "wmvcore=n"}
    passed("wmvcore_client", wine(program, "Sicherung ♪", cwd=place, env=environment))
    check(tree(place / "wiederhergestellt ♪") == allowed(), "restored by wmvcore.dll")
    expect(LINUX / "bin/licbak", "verify", place / "Sicherung ♪")

    folder = place / "client"
    folder.mkdir()
    flags = ["-fno-exceptions", "-fno-rtti", "-Wconversion", "-include", here / "posix_mkdir.h"]
    links = [f"-I{PREFIX / 'include'}", IMPORTS, "-luuid", "-o", folder / "wm_client.exe"]
    expect(*CXX, *flags, here / "wm_client.cpp", *links)
    shutil.copy(PREFIX / "bin/licbak.dll", folder)
    client = wine(folder / "wm_client.exe", cwd=folder, env={"LICBAK_STORE_PATH": "store"})
    passed("wm_client", client)


# -- Python


def check_wheel(place: Path) -> None:
    """The wheel that python/README.md says how to make has the DLL, and is tagged for it."""
    environment = {**os.environ, "LICBAK_LIBRARY": str(PREFIX / "bin/licbak.dll")}
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    command = [*pip, "wheel", "--quiet", "--no-deps", "--wheel-dir", place, PROJECT / "python"]
    if run(*pip, "--version").returncode != 0:
        print("windows: skipped: the wheel (no pip)")
        return
    expect(*command, env=environment)
    (wheel,) = place.glob("*.whl")
    version = (PREFIX / "lib/pkgconfig/licbak.pc").read_text(encoding="utf-8")
    version = version.partition("\nVersion: ")[2].partition("\n")[0]
    check(wheel.name == f"licbak-{version}-py3-none-win_amd64.whl", wheel.name)
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        check(archive.read("licbak/licbak.dll") == (PREFIX / "bin/licbak.dll").read_bytes(), names)
        metadata = archive.read(f"licbak-{version}.dist-info/WHEEL").decode()
        sources = {f"licbak/{path.name}" for path in PROJECT.glob("python/src/licbak/*.py")}
        for source in sources:
            check(archive.read(source) == (PROJECT / "python/src" / source).read_bytes(), source)
    check("Tag: py3-none-win_amd64\n" in metadata and "Root-Is-Purelib: false\n" in metadata, metadata)
    package = {name for name in names if name.startswith("licbak/")}
    check(package == sources | {"licbak/licbak.dll", "licbak/py.typed"}, package)
    print("windows: skipped: the Python package itself (there is no Python for Windows here)")


PARTS = [check_library, check_static_libs, check_links, check_packages, check_tool]
PARTS += [check_examples, check_wmvcore, check_wheel]


@contextlib.contextmanager
def one_run_of_wine() -> Iterator[None]:
    """Keeps Wine's server. Each has started its system anew, after which backups are written once
    more."""
    servers = (Path(WINE).resolve().with_name(name) for name in ["wineserver64", "wineserver"])
    server = next(server for server in servers if server.exists())
    Path(os.environ["WINEPREFIX"]).mkdir(parents=True, exist_ok=True)
    expect(server, "-p")
    try:
        run(WINE, "wineboot", "--init")
        yield
    finally:
        run(server, "-k")


def main() -> None:
    with one_run_of_wine(), tempfile.TemporaryDirectory(prefix="licbak-windows-") as scratch:
        for part in PARTS:
            name = part.__name__.removeprefix("check_")
            if not sys.argv[3:] or name in sys.argv[3:]:
                place = Path(scratch, name)
                place.mkdir()
                part(place)
    print(f"windows: {checks} checks passed")


main()
