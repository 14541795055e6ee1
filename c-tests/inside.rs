//! What is inside of the libraries stays there, beside others of its names.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::*;

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
    let foreign: Vec<_> = names
        .iter()
        .filter(|name| !name.starts_with("licbak_"))
        .collect();
    assert!(
        foreign.is_empty(),
        "names that are not licbak_*: {foreign:?}"
    );
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
