//! What is inside of the libraries stays there: the names of other libraries, their calls of a host
//! that has such names, and where it was built; and the C parts are compiled with what finds
//! overflows.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::*;
use crate::licenses::crates;
use crate::python;

fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn target() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap()
}

fn archive() -> PathBuf {
    stage().join("lib/liblicbak.a")
}

/// What a program that is linked with liblicbak.a is linked with besides.
fn static_libs() -> Vec<String> {
    let libs = pkg_config(stage(), &["--static", "--libs"]);
    let is_ours = |lib: &String| lib.starts_with("-L") || lib == "-llicbak";
    libs.into_iter().filter(|lib| !is_ours(lib)).collect()
}

/// Links a program with files and libraries in this order.
fn link(file: &str, program: &Path, with: &[&str]) {
    let mut command = Command::new("cc");
    command.args(["-std=c11", "-pthread"]).args(STRICT);
    command.args(pkg_config(stage(), &["--cflags"]));
    command.arg(source(file)).arg("-o").arg(program).args(with);
    expect(command.args(static_libs()));
}

/// The names that a file of objects shows to others.
fn defined(file: &Path) -> Vec<String> {
    let text = expect(Command::new("nm").args(["-g", "--defined-only"]).arg(file));
    let symbols = text.lines().filter(|line| line.split(' ').count() == 3);
    let names = symbols.filter_map(|line| line.split(' ').next_back());
    names.map(str::to_owned).collect()
}

#[test]
fn archive_shows_its_own_names_alone() {
    let names = defined(&archive());
    assert!(
        names.iter().any(|name| name == "licbak_destroy"),
        "{names:?}"
    );
    check_own_names(&names);
    // What those tools stumble over that have LLVM's plugin, and what is merged by name.
    let sections = expect(Command::new("readelf").args(["-S", "-W"]).arg(archive()));
    for word in [" .llvmbc ", " .llvmcmd ", " GROUP "] {
        assert!(!sections.contains(word), "{word}");
    }
}

/// A library in Rust with its own standard library, which unwinds.
const OTHER: &str = r#"
#[no_mangle]
pub extern "C" fn other_catches() -> bool {
    std::panic::set_hook(Box::new(|_| ()));
    std::panic::catch_unwind(|| assert!(std::env::args().count() > 1000)).is_err()
}
"#;

/// In both orders, beside the shared libraries of the system and the static ones.
#[test]
fn archive_beside_what_is_inside() {
    let place = scratch();
    let other = place.join("libother.a");
    fs::write(place.join("other.rs"), OTHER).unwrap();
    let mut rustc = Command::new("rustc");
    rustc.args(["--crate-type", "staticlib", "-o"]).arg(&other);
    expect(rustc.arg("other.rs").current_dir(&place));

    let (program, ours) = (place.join("beside"), archive());
    fs::write(
        place.join("probe.c"),
        "#include <sqlite3.h>\n#include <zstd.h>\n\
         int main(void) { return !sqlite3_libversion() || !ZSTD_versionNumber(); }\n",
    )
    .unwrap();
    for kind in ["-Wl,-Bdynamic", "-Wl,-Bstatic"] {
        let theirs = [kind, "-lsqlite3", "-lzstd", "-Wl,-Bdynamic"];
        let mut probe = Command::new("cc");
        probe
            .arg("probe.c")
            .args(theirs)
            .args(["-lm", "-o", "probe"]);
        if !run(probe.current_dir(&place)).0.success() {
            skip(
                &format!("liblicbak.a beside SQLite and zstd by {kind}"),
                "not installed for developers",
            );
            continue;
        }
        let (ours, other) = (ours.to_str().unwrap(), other.to_str().unwrap());
        let first = [&[ours], &theirs[..], &[other]].concat();
        let last = [&[other], &theirs[..], &[ours]].concat();
        for order in [first, last] {
            link("beside.c", &program, &order);
            expect_passed("beside", &mut Command::new(&program));
        }
    }
    fs::remove_dir_all(place).unwrap();
}

#[test]
fn hooks_of_the_host() {
    let program = build("cc", "hooks.c", &["-std=c11", "-rdynamic"]);
    expect_passed("hooks", &mut Command::new(&program));
    link("hooks.c", &program, &[archive().to_str().unwrap()]);
    expect_passed("hooks", &mut Command::new(&program));
    remove_built(&program);
}

/// SQLite and zstd, as they are in the library.
#[test]
fn hardened_c_parts() {
    if cfg!(not(target_env = "gnu")) {
        return skip("FORTIFY", "the C library has none");
    }
    stage(); // has built them
    let all = target().join("release/liblicbak.a");
    let names = expect(Command::new("ar").arg("t").arg(&all));
    let place = scratch();
    // zstd calls the compiler's own memcpy, which FORTIFY leaves alone.
    let parts = [
        ("-sqlite3.o", &["__stack_chk_fail", "__memcpy_chk"][..]),
        ("-zstd_compress.o", &["__stack_chk_fail"]),
        ("-huf_decompress.o", &["__stack_chk_fail"]),
    ];
    for (part, checks) in parts {
        let member = names.lines().find(|name| name.ends_with(part)).expect(part);
        expect(
            Command::new("ar")
                .arg("x")
                .arg(&all)
                .arg(member)
                .current_dir(&place),
        );
        let needs = expect(Command::new("nm").arg("-u").arg(place.join(member)));
        for check in checks {
            assert!(needs.contains(check), "{member} has no {check}: {needs}");
        }
    }
    fs::remove_dir_all(place).unwrap();
}

/// Everything below a folder, that of the sources, the crates or what was built from them.
pub fn check_no_path_of_the_builder(folder: &Path) {
    let mut paths = vec![project().to_owned(), target().to_owned()];
    paths.extend(
        crates()
            .into_iter()
            .map(|one| one.folder.parent().unwrap().to_owned()),
    );
    paths.sort();
    paths.dedup();
    let mut folders = vec![folder.to_owned()];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let content = fs::read(&path).unwrap();
            for builder in &paths {
                let found = memchr::memmem::find(&content, builder.to_str().unwrap().as_bytes());
                assert!(
                    found.is_none(),
                    "{} has {}",
                    path.display(),
                    builder.display()
                );
            }
            files += 1;
        }
    }
    assert!(files > 5, "{files}");
}

#[test]
fn no_path_of_the_builder() {
    check_no_path_of_the_builder(stage());
}

/// All that is installed, and the wheel, from sources, crates and a target folder elsewhere.
#[test]
fn build_elsewhere_is_the_same() {
    if std::env::var_os("LICBAK_TORTURE").is_none() {
        return skip(
            "the same build in another folder",
            "takes minutes: LICBAK_TORTURE=1",
        );
    }
    let place = scratch();
    let (sources, prefix) = (place.join("other sources"), place.join("prefix"));
    fs::create_dir(&sources).unwrap();
    let mut copy = Command::new("sh");
    copy.args([
        "-c",
        "git ls-files -z | tar -c --null -T - | tar -x -C \"$1\"",
        "sh",
    ]);
    expect(copy.arg(&sources).current_dir(project()));
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.unwrap_or_else(|| Path::new(&std::env::var_os("HOME").unwrap()).join(".cargo"));
    symlink(home, place.join("other crates")).unwrap();
    let elsewhere = |command: &mut Command| {
        command.env("CARGO_HOME", place.join("other crates"));
        expect(command.env("CARGO_TARGET_DIR", place.join("target")));
    };
    let mut install = Command::new("sh");
    install.arg("install.sh").arg("--prefix").arg(&prefix);
    elsewhere(install.current_dir(&sources));
    expect(Command::new("diff").arg("-r").args([stage(), &prefix]));
    if let Some(wheel) = python::wheel_of(project()) {
        assert!(wheel == python::wheel_of(&sources).unwrap());
    }
    fs::remove_dir_all(place).unwrap();
}
