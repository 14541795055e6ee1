//! Builds and runs the C test programs of this folder against a staged install, as a host would.
//!
//! Each program is a `#[test]`: compiled strictly with the flags that pkg-config gives, run in a
//! directory of its own with a time limit, and quoted when it fails. What a machine cannot test is
//! named on standard error.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "calls/abi.rs"]
mod abi;
#[path = "delivery/cpp.rs"]
mod cpp;
#[path = "delivery/docs.rs"]
mod docs;
#[path = "support/harness.rs"]
mod harness;
#[path = "delivery/inside.rs"]
mod inside;
#[path = "delivery/install.rs"]
mod install;
#[path = "hosts/languages.rs"]
mod languages;
#[path = "delivery/licenses.rs"]
mod licenses;
#[path = "delivery/packaging.rs"]
mod packaging;
#[path = "support/platform.rs"]
mod platform;
#[path = "delivery/python.rs"]
mod python;
#[path = "delivery/tool.rs"]
mod tool;
#[path = "delivery/tool_keys.rs"]
mod tool_keys;
#[path = "delivery/tool_output.rs"]
mod tool_output;
#[path = "delivery/tool_restore.rs"]
mod tool_restore;

use std::fs;
use std::path::Path;
use std::process::Command;

use harness::*;

// -- the C programs

macro_rules! c_programs {
    ($($name:ident)*) => { $(#[test] fn $name() { c_program(stringify!($name)); })* };
}

c_programs! {
    calls props handles many
    roundtrip backup names paths restore restore_license list info transfer access
    outcomes damage salvage rights
    keep_going events cancel lifetime reentry in_wait in_wait_ends
    races crowd moving unrest in_use hygiene guest sandbox stick overtaken shapes
    encryption no_plaintext account
    repeat repeat_generations repeat_stop repeat_rights repeat_damage repeat_shared repeat_moved
    repeat_unchanged
    repeat_origin moves gone
    host_store host_many host_misuse host_inside host_merge
    faults kills powercut cut_disk full odd_places memory
    portable_calls portable_backup portable_restore portable_salvage portable_sqlite
    portable_host_store portable_in_wait portable_cancel portable_races portable_kills
    portable_paths portable_windows_names portable_sharing portable_hygiene portable_exchange
}

/// This one opens the library itself, so it must not be linked with it.
#[test]
fn unload() {
    let program = scratch().join("unload");
    let mut command = platform::compiler();
    command
        .args(["-std=c11", "-pthread", "-o"])
        .arg(&program)
        .args(STRICT)
        .arg(source("unload.c"));
    expect(command.args(pkg_config(stage(), &["--cflags"])).arg("-ldl"));
    let mut command = platform::running(&program);
    expect_passed("unload", command.env("LICBAK_SO", library()));
    remove_built(&program);
}

/// The host's side under the sanitizers: reads and writes that the library or a test does out of
/// bounds, leaks, and undefined behaviour of what the header lets a host write.
#[test]
fn sanitized() {
    if !can_sanitize("cc") {
        return skip(
            "sanitized programs",
            "cc has no -fsanitize=address,undefined",
        );
    }
    let flags = [&["-std=c11"], SANITIZE].concat();
    for name in [
        "calls",
        "props",
        "names",
        "restore",
        "list",
        "info",
        "transfer",
        "events",
        "lifetime",
        "reentry",
        "in_wait",
        "in_wait_ends",
        "host_store",
        "host_many",
        "host_misuse",
        "host_inside",
        "host_merge",
    ] {
        let program = build("cc", &format!("{name}.c"), &flags);
        expect_passed_as("sanitized ", name, &mut Command::new(&program));
        remove_built(&program);
    }
}

/// The same programs once more, with the host called by the threads that wait.
#[test]
fn called_in_wait() {
    let names = [
        "events",
        "host_store",
        "host_misuse",
        "host_inside",
        "host_merge",
    ];
    for name in names {
        let program = build_c(name);
        let mut command = platform::running(&program);
        expect_passed_as("in wait ", name, command.env("CALL_IN_WAIT", "1"));
        remove_built(&program);
    }
}

// -- other languages

#[test]
fn plain_ctypes() {
    expect_passed("plain_ctypes", &mut python("plain_ctypes.py"));
}

#[test]
fn versions() {
    expect_passed("versions", &mut python("versions.py"));
}

#[test]
fn hostile() {
    expect_passed("hostile", &mut python("hostile.py"));
}

#[test]
fn composed() {
    expect_passed("composed", &mut python("composed.py"));
}

#[test]
fn repeat_hostile() {
    expect_passed("repeat_hostile", &mut python("repeat_hostile.py"));
}

/// A store that needs every kind of tar header and several frames, backed up by Python and read by
/// everyone.
#[test]
fn readers() {
    let place = scratch();
    let store = place.join("store");
    for number in 0..2000_usize {
        let name = match number % 100 {
            0 => format!("{}/key.lic", "f".repeat(100 + number / 100)), // fits by ustar's prefix
            1 => format!("{}-{number}.lic", "n".repeat(120)),           // fits in a pax header only
            2 => format!("Lieder für Élise/\u{1F511} {number}.lic"),
            3 => format!("same stem/{number}/key.lic"), // many licences of one key ID
            _ => format!("{}/key {number}.lic", number % 7),
        };
        let content: Vec<u8> = (0..number * 7)
            .map(|i| (i * i / 7 + number) as u8)
            .collect();
        let path = store.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    let backups = place.join("backups");
    fs::create_dir(&backups).unwrap();
    expect_passed(
        "plain_ctypes",
        python("plain_ctypes.py").arg(&store).arg(&backups),
    );
    expect_passed(
        "readers",
        python("readers.py")
            .arg(backups.join("licenses.tar.zst"))
            .arg(&store),
    );
    fs::remove_dir_all(&place).unwrap();
}

// -- databases as stores, and buckets as places for backups

macro_rules! python_programs {
    ($($name:ident)*) => { $(
        #[test]
        fn $name() {
            let name = stringify!($name);
            expect_passed(name, &mut python(&format!("{name}.py")));
        }
    )* };
}

python_programs! {
    sqlite_store sqlite_errors sqlite_restore sqlite_new sqlite_writers sqlite_copy sqlite_places sqlite_hostile sqlite_fork
    sqlite_keep_going sqlite_endless file_systems age
    object_storage object_faults object_races object_errors object_costs object_tls object_hostile object_peers
}

// -- the header

/// Alone, and twice, in every language that a host may be written in.
#[test]
fn header() {
    let place = scratch();
    fs::write(place.join("alone.c"), "#include <licbak.h>\n").unwrap();
    fs::write(
        place.join("twice.c"),
        "#include <licbak.h>\n#include <licbak.h>\nint unused;\n",
    )
    .unwrap();
    let languages = [
        ("cc", "c", &["c99", "c11", "c17"][..]),
        ("c++", "c++", &["c++11", "c++14", "c++17", "c++20"][..]),
    ];
    for (compiler, language, standards) in languages {
        if !has(compiler) {
            skip(&format!("the header in {compiler}"), "not installed");
            continue;
        }
        for standard in standards {
            for file in ["alone.c", "twice.c"] {
                let mut command = Command::new(compiler);
                command.args(STRICT).arg(format!("-std={standard}")).args([
                    "-fsyntax-only",
                    "-x",
                    language,
                    file,
                ]);
                expect(
                    command
                        .args(pkg_config(stage(), &["--cflags"]))
                        .current_dir(&place),
                );
            }
        }
    }
    fs::remove_dir_all(&place).unwrap();
}

/// Doxygen makes pages of the headers, and has nothing to warn of.
#[test]
fn doxygen() {
    if !has("doxygen") {
        return skip("the headers' pages", "doxygen is not installed");
    }
    let place = scratch();
    let config = place.join("Doxyfile");
    let output = place.display();
    let text = format!("@INCLUDE = docs/Doxyfile\nOUTPUT_DIRECTORY = \"{output}\"\n");
    fs::write(&config, text).unwrap();
    let mut doxygen = Command::new("doxygen");
    doxygen.arg(&config).current_dir(env!("CARGO_MANIFEST_DIR"));
    expect(&mut doxygen);
    let properties = read(&place.join("doxygen/group__properties.html"));
    assert!(
        properties.contains("licbak_set_prop_string"),
        "{properties}"
    );
    fs::remove_dir_all(&place).unwrap();
}

/// The table of the C programs that call every function has every function, and so will those that
/// are still to come.
#[test]
fn every_function_is_in_the_table() {
    let header = read(&stage().join("include/licbak.h"));
    let table = read(&source("functions.h"));
    let functions: Vec<&str> = header
        .split("LICBAK_CALL ")
        .filter_map(|declaration| declaration.split(';').next()?.split_once('('))
        .filter(|(_, parameters)| parameters.replace("**", "").contains("licbak_restorer *"))
        .map(|(function, _)| function)
        .collect();
    assert!(functions.contains(&"licbak_destroy"), "{functions:?}");
    for function in functions {
        assert!(
            table.contains(&format!("X({function}, ")),
            "functions.h lacks {function}"
        );
    }
}

// -- the library file

#[test]
fn exports_its_own_names_alone() {
    let names = abi::exports();
    let has = |function: &str| names.iter().any(|name| name == function);
    assert!(has("licbak_backup_licenses"), "{names:?}");
    check_own_names(&names);
}

#[test]
fn soname_and_nodelete() {
    let text = expect(Command::new("readelf").args(["-d", "-W"]).arg(library()));
    assert!(text.contains("Library soname: [liblicbak.so.0]"), "{text}");
    assert!(
        text.lines()
            .any(|line| line.contains("FLAGS_1") && line.contains("NODELETE")),
        "{text}"
    );
}

/// Threads of a host that loads the library itself have its thread-local storage from the start:
/// what glibc made when it is first used would end the process where there is no memory.
#[test]
fn static_thread_local_storage() {
    let machine = expect(Command::new("uname").arg("-m"));
    if !["x86_64", "aarch64"].contains(&machine.trim()) || !cfg!(target_env = "gnu") {
        return skip("static thread-local storage", "not on this machine");
    }
    let text = expect(Command::new("readelf").args(["-d", "-W"]).arg(library()));
    assert!(
        text.lines()
            .any(|line| line.contains("(FLAGS)") && line.contains("STATIC_TLS")),
        "{text}"
    );
}

/// What a thread has to destroy when it ends is remembered by the library: glibc would end the
/// process where there is no memory for that.
#[test]
fn thread_ends_are_its_own() {
    let machine = expect(Command::new("uname").arg("-m"));
    if !["x86_64", "aarch64"].contains(&machine.trim()) || !cfg!(target_env = "gnu") {
        return skip("ends of threads", "not on this machine");
    }
    let asked_for = expect(
        Command::new("nm")
            .args(["-D", "--undefined-only"])
            .arg(library()),
    );
    assert!(asked_for.contains("pthread_key_create"), "{asked_for}");
    assert!(!asked_for.contains("thread_atexit"), "{asked_for}");
}

/// liblicbak.so, for the linker, leads to liblicbak.so.0, for the loader, and that to the file of
/// this version.
#[test]
fn links_of_the_library() {
    let lib = stage().join("lib");
    let major = fs::read_link(lib.join("liblicbak.so")).unwrap();
    assert_eq!(major, Path::new("liblicbak.so.0"));
    let file = fs::read_link(lib.join(major)).unwrap();
    let version = file
        .to_str()
        .unwrap()
        .strip_prefix("liblicbak.so.")
        .unwrap();
    assert!(
        version.starts_with("0.") && version.split('.').count() == 3,
        "{version}"
    );
    assert!(fs::symlink_metadata(lib.join(&file)).unwrap().is_file());
}

// -- the closing line

/// That of .ci/run: how many tests passed, and each part that this machine can't test.
#[test]
fn closing_line() {
    let place = scratch();
    let log = place.join("log");
    let said = "test props ... ok\n\
                stick: skipped: vfat (no such kernel)\n\
                test outcomes ... sanitized outcomes: skipped: full disk (not root)\n\
                stick: skipped: vfat (no such kernel)\n\
                skipped: C++ programs (no c++)\n\
                test result: ok. 40 passed; 0 failed; 0 ignored\n";
    let skipped = "stick: vfat (no such kernel), sanitized outcomes: full disk (not root), C++ programs (no c++)";
    let cases = [
        (
            format!("{said}test result: ok. 2 passed; 0 failed; 1 ignored\nexit status 0\n"),
            0,
            format!("42 passed, 4 skipped: {skipped}, 1 ignored"),
        ),
        (
            format!("{said}test result: FAILED. 1 passed; 3 failed; 0 ignored\nexit status 101\n"),
            101,
            format!("41 passed, 3 failed, 3 skipped: {skipped}"),
        ),
        (
            "test result: ok. 9 passed; 0 failed; 0 ignored\nexit status 0\n".to_owned(),
            0,
            "9 passed, 0 skipped".to_owned(),
        ),
        (
            "test result: ok. 9 passed; 0 failed; 0 ignored\n".to_owned(), // it was cut
            1,
            "9 passed, 0 skipped".to_owned(),
        ),
        (
            "exit status 0\n".to_owned(),
            1,
            "0 passed, 0 skipped".to_owned(),
        ),
    ];
    for (text, code, closing) in cases {
        fs::write(&log, &text).unwrap();
        let mut awk = Command::new("awk");
        let (status, output) = run(awk.arg("-f").arg(source("closing.awk")).arg(&log));
        assert_eq!(output, format!("{closing}\n"));
        assert_eq!(status.code(), Some(code));
    }
    fs::remove_dir_all(place).unwrap();
}

/// That of a platform's script in .ci.
#[test]
fn closing_line_of_a_platform() {
    let place = scratch();
    let log = place.join("log");
    let said = "windows: skipped: CMake (not installed)\nwindows: 12 checks passed\n";
    let cases = [
        (
            format!("{said}portable_paths: 5 checks passed\nexit status 0\n"),
            0,
            "Windows: 2 programs with 17 checks passed, 1 skipped: windows: CMake (not installed)",
        ),
        (
            format!("{said}portable_paths.c:5: not so\nexit status 3\n"),
            3,
            "Windows: FAILED, 1 programs with 12 checks passed, 1 skipped: windows: CMake (not installed)",
        ),
        (
            "exit status 0\n".to_owned(),
            1,
            "Windows: 0 programs with 0 checks passed, 0 skipped",
        ),
        (
            "windows: 12 checks passed\n".to_owned(), // it was cut
            1,
            "Windows: FAILED, 1 programs with 12 checks passed, 0 skipped",
        ),
    ];
    for (text, code, closing) in cases {
        fs::write(&log, &text).unwrap();
        let mut awk = Command::new("awk");
        awk.args(["-v", "what=Windows", "-f"]);
        let (status, output) = run(awk.arg(source("closing_platform.awk")).arg(&log));
        assert_eq!(output, format!("{closing}\n"));
        assert_eq!(status.code(), Some(code));
    }
    fs::remove_dir_all(place).unwrap();
}

// -- planted bugs

/// Each can still be put into the sources; that a suite catches it shows planted.sh.
#[test]
fn planted() {
    if !has("patch") {
        return skip("planted bugs", "patch is not installed");
    }
    let sources = Path::new(env!("CARGO_MANIFEST_DIR"));
    let bugs = fs::read_dir(sources.join("c-tests/faults/planted")).unwrap();
    let mut count = 0;
    for bug in bugs {
        let mut patch = Command::new("patch");
        patch.args(["--dry-run", "--batch", "--silent", "-p1", "-i"]);
        expect(patch.arg(bug.unwrap().path()).current_dir(sources));
        count += 1;
    }
    assert!(count > 10, "{count}");
}
