//! The Python package in `python/`: its wheel, its tests, its types, and what the README shows of
//! it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::docs::{DENIED, same_licenses};
use crate::harness::*;
use crate::inside::check_no_path_of_the_builder;
use crate::licenses::check_licenses;

/// What the package's tests and its build need. Pinned, so that what passes today passes tomorrow.
const TOOLS: [&str; 7] = [
    "cattrs==26.2.1",
    "hatchling==1.33.0",
    "mypy==2.4.1",
    "pydantic==2.14.4",
    "pytest==9.2.0",
    "rich==15.0.0",
    "tqdm==4.70.1",
];

fn package() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("python")
}

/// A virtual environment with the tools, kept for the next run, or why there can be none.
fn tools() -> Result<PathBuf, &'static str> {
    if !has("python3") {
        return Err("there is no python3");
    }
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("python");
    let script = "import sys; print(sys.version, sys.executable)";
    let key = expect(Command::new("python3").args(["-c", script])) + &TOOLS.join(" ");
    let (marker, python) = (place.join("made for"), place.join("bin/python"));
    if fs::read_to_string(&marker).is_ok_and(|made_for| made_for == key) {
        return Ok(python);
    }
    let venv = ["-m", "venv", "--clear"];
    let (status, _) = run(Command::new("python3").args(venv).arg(&place));
    if !status.success() {
        return Err("python3 has no venv");
    }
    let (status, _) = run(pip(&python, "install").args(TOOLS));
    if !status.success() {
        return Err("pip gets no packages here");
    }
    fs::write(marker, key).unwrap();
    Ok(python)
}

fn pip(python: &Path, command: &str) -> Command {
    let mut pip = Command::new(python);
    pip.args(["-m", "pip", command, "--quiet"])
        .arg("--disable-pip-version-check");
    pip
}

fn build_wheel(python: &Path, wheels: &Path, package: &Path) -> Command {
    let mut build = pip(python, "wheel");
    build
        .args(["--no-deps", "--no-build-isolation", "--wheel-dir"])
        .arg(wheels)
        .arg(package);
    build
}

/// A wheel with the staged library, made of the package in a copy of the sources.
pub fn wheel_of(sources: &Path) -> Option<Vec<u8>> {
    let Installed { python, .. } = installed()?;
    let wheels = scratch();
    let mut build = build_wheel(python, &wheels, &sources.join("python"));
    expect(build.env("LICBAK_LIBRARY", library()));
    let wheel = fs::read(only_file(&wheels).0).unwrap();
    fs::remove_dir_all(wheels).unwrap();
    Some(wheel)
}

fn only_file(folder: &Path) -> (PathBuf, String) {
    let file = fs::read_dir(folder).unwrap().next().unwrap().unwrap();
    (file.path(), file.file_name().into_string().unwrap())
}

struct Installed {
    python: PathBuf,
    wheel: String,
}

/// The package as a user has it, with the staged library in its wheel. Names what is missing for
/// it.
fn installed() -> Option<&'static Installed> {
    static INSTALLED: OnceLock<Result<Installed, &str>> = OnceLock::new();
    let installed = INSTALLED.get_or_init(|| {
        let python = tools()?;
        let wheels = scratch();
        let mut build = build_wheel(&python, &wheels, &package());
        expect(build.env("LICBAK_LIBRARY", library()));
        let (path, wheel) = only_file(&wheels);
        let mut install = pip(&python, "install");
        install.args(["--no-deps", "--no-index", "--force-reinstall"]);
        expect(install.arg(path));
        fs::remove_dir_all(wheels).unwrap();
        Ok(Installed { python, wheel })
    });
    installed
        .as_ref()
        .inspect_err(|why| skip("the Python package", why))
        .ok()
}

#[test]
fn tests_of_the_package() {
    let Some(Installed { python, .. }) = installed() else {
        return;
    };
    let place = scratch();
    let mut pytest = Command::new(python);
    pytest
        .args(["-B", "-m", "pytest", "-rs", "-p", "no:cacheprovider"])
        .arg("--basetemp")
        .arg(place.join("pytest"))
        .arg(package().join("tests"))
        .current_dir(&place);
    let text = expect(&mut pytest);
    for line in text.lines().filter(|line| line.starts_with("SKIPPED")) {
        skip("a test of the Python package", line);
    }
    let closing = text.lines().last().unwrap();
    assert!(closing.contains(" passed in "), "{text}");
    fs::remove_dir_all(place).unwrap();
}

#[test]
fn types_of_the_package() {
    let Some(Installed { python, .. }) = installed() else {
        return;
    };
    let mut mypy = Command::new(python);
    mypy.args(["-m", "mypy", "--strict", "--cache-dir"])
        .arg(Path::new(env!("CARGO_TARGET_TMPDIR")).join("mypy"))
        .args(["src", "tests", "hatch_build.py"])
        .env("MYPYPATH", "src:tests")
        .current_dir(package());
    expect(&mut mypy);
}

/// The wheel asks for no older glibc than the library needs, and for none that is newer.
#[test]
fn wheel_is_named_by_what_the_library_needs() {
    let Some(Installed { wheel, .. }) = installed() else {
        return;
    };
    let needs = expect(Command::new("readelf").args(["-V", "-W"]).arg(library()));
    let newest = needs
        .split("GLIBC_")
        .skip(1)
        .filter_map(|version| {
            let end = version.find(|c: char| !c.is_ascii_digit() && c != '.')?;
            let mut numbers = version[..end].split('.').map(|n| n.parse::<u32>().ok());
            Some((numbers.next()??, numbers.next()??))
        })
        .max();
    let platform = match newest {
        Some((major, minor)) => format!("manylinux_{major}_{minor}"),
        None => "linux".to_owned(),
    };
    let (version, machine) = (env!("CARGO_PKG_VERSION"), std::env::consts::ARCH);
    assert_eq!(
        *wheel,
        format!("licbak-{version}-py3-none-{platform}_{machine}.whl")
    );
}

/// Without LICBAK_LIBRARY cargo builds the library, which it has done already for what is staged.
#[test]
fn wheel_that_cargo_builds() {
    let Some(Installed { python, wheel }) = installed() else {
        return;
    };
    let place = scratch();
    expect(build_wheel(python, &place, &package()).env_remove("LICBAK_LIBRARY"));
    let (path, name) = only_file(&place);
    assert_eq!(name, *wheel);
    let mut unpack = Command::new(python);
    unpack.args(["-m", "zipfile", "-e"]).arg(path).arg(&place);
    expect(&mut unpack);
    let built = fs::read(place.join("licbak/liblicbak.so")).unwrap();
    assert!(built == fs::read(library()).unwrap());
    check_no_path_of_the_builder(&place);
    let licenses = format!("licbak-{}.dist-info/licenses", env!("CARGO_PKG_VERSION"));
    check_licenses(&place.join(licenses));

    let mut build = Command::new(python);
    build
        .args(["-B", "-c", "import hatch_build; hatch_build.build('.')"])
        .env("PATH", &place)
        .current_dir(package());
    let (status, text) = run(&mut build);
    assert!(
        !status.success() && text.contains("cargo is missing"),
        "{text}"
    );
    fs::remove_dir_all(place).unwrap();
}

/// An archive of the sources would lack the crate, so there is none, and the reason is told.
#[test]
fn no_sdist() {
    let Some(Installed { python, .. }) = installed() else {
        return;
    };
    let place = scratch();
    let mut build = Command::new(python);
    build
        .args(["-m", "hatchling", "build", "-t", "sdist", "-d"])
        .arg(&place)
        .current_dir(package());
    let (status, text) = run(&mut build);
    assert!(!status.success() && text.contains("pip wheel"), "{text}");
    fs::remove_dir(place).expect("nothing is left of it");
}

/// The program in the README of the project.
#[test]
fn readme() {
    let Some(Installed { python, .. }) = installed() else {
        return;
    };
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(project.join("README.md")).unwrap();
    let (_, program) = readme.split_once("```python\n").unwrap();
    let place = scratch();
    std::os::unix::fs::symlink(project.join("examples-c"), place.join("examples-c")).unwrap();
    let mut python = Command::new(python);
    python
        .args(["-c", program.split_once("```").unwrap().0])
        .current_dir(&place);
    let text = expect(&mut python);
    assert!(text.contains("saved 30"), "{text}");
    let store = project.join("examples-c/licenses");
    same_licenses(&store, DENIED, &place.join("restored"));
    fs::remove_dir_all(place).unwrap();
}
