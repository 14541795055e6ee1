//! Hosts in many languages, which do the same job and say the same, each on a thread of its own.
//!
//! A test takes what the machine has and downloads nothing.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::docs::licenses;
use crate::harness::*;

const DENIED: &str = "song-tin-roof-preview.ro";

/// What a host can be in its language.
#[derive(PartialEq)]
enum Kind {
    /// It also keeps licences itself.
    WithStore,
    Plain,
}

/// Has a host back up a store, be refused the second time, restore and, where it keeps licences
/// itself, restore into its own store and back that up.
fn check(host: &mut Command, kind: Kind) {
    let place = scratch();
    let store = place.join("store");
    for directory in ["store/music", "backups", "restored", "own"] {
        fs::create_dir_all(place.join(directory)).unwrap();
    }
    fs::write(store.join("film.lic"), "a licence").unwrap();
    fs::write(store.join("music/Lied für Élise.lic"), "").unwrap();
    fs::copy(
        licenses().join("media/phone").join(DENIED),
        store.join(DENIED),
    )
    .unwrap();
    std::os::unix::fs::symlink("film.lic", store.join("link.lic")).unwrap();
    host.args(["store", "backups", "restored", "own"])
        .current_dir(&place)
        .env("LD_LIBRARY_PATH", stage().join("lib"));
    let text = expect(host);

    let mut expected = vec![
        format!("left out: {DENIED}: its issuer denies backup"),
        "left out: link.lic: it is a symbolic link, and links are not followed".to_owned(),
        "2 of 3".to_owned(),
        "backup: LICBAK_S_OK".to_owned(),
        "again: LICBAK_NS_E_DRM_BACKUP_EXISTS: There is a backup in 'backups' already, and it is \
         kept. Ask for it to be replaced, or name another directory."
            .to_owned(),
    ];
    let with_store = kind == Kind::WithStore;
    for what in ["restore", "into own", "from own"] {
        if what == "restore" || with_store {
            expected.extend(["2 of 2".to_owned(), format!("{what}: LICBAK_S_OK")]);
        }
    }
    let (told, after) = text.split_once("backup:").expect(&text);
    let mut lines: Vec<&str> = told.lines().collect();
    // What is left out comes in any order, and the last progress last.
    lines.sort_by_key(|line| {
        (
            !line.starts_with("left out: "),
            line.starts_with("left out: link"),
        )
    });
    let after = format!("backup:{after}");
    lines.extend(after.lines());
    // Progress comes as often as the host has time for it; its last is the whole.
    let is_progress = |line: &str| line.starts_with(|c: char| c.is_ascii_digit());
    lines.dedup_by(|next, line| {
        let again = is_progress(next) && is_progress(line);
        if again {
            *line = next;
        }
        again
    });
    assert_eq!(lines, expected, "{text}");

    fs::remove_file(store.join(DENIED)).unwrap();
    fs::remove_file(store.join("link.lic")).unwrap();
    let same = |other: &Path| expect(Command::new("diff").arg("-r").arg(&store).arg(other));
    same(&place.join("restored"));
    if with_store {
        let mut tool = Command::new(stage().join("bin/licbak"));
        expect(tool.args(["restore", "own", "again"]).current_dir(&place));
        same(&place.join("again"));
    }
    fs::remove_dir_all(place).unwrap();
}

/// Whether a program is there and ends well with these arguments.
fn can(program: &str, arguments: &[&str]) -> bool {
    has(program) && run(Command::new(program).args(arguments)).0.success()
}

/// Checks a host whose language runs it as it is, where `probe` says that it has what it needs.
fn script(name: &str, needs: &str, program: &str, probe: &[&str], kind: Kind) {
    if !can(program, probe) {
        return skip(&format!("the host {name}"), &format!("no {needs}"));
    }
    check(Command::new(program).arg(source(name)), kind);
}

#[test]
fn c() {
    let program = build("cc", "host.c", &["-std=c11"]);
    check(&mut Command::new(&program), Kind::WithStore);
    remove_built(&program);
}

#[test]
fn cpp() {
    if !has("c++") {
        return skip("the host host.cpp", "no c++");
    }
    let program = build("c++", "host.cpp", &["-std=c++17"]);
    check(&mut Command::new(&program), Kind::WithStore);
    remove_built(&program);
}

#[test]
fn glib() {
    if !can("pkg-config", &["--exists", "glib-2.0"]) {
        return skip("the host host_glib.c", "pkg-config knows no glib-2.0");
    }
    let mut flags = Command::new("pkg-config");
    let flags = expect(flags.args(["--cflags", "--libs", "glib-2.0"]));
    // Its headers come as the system's, which are not looked at as strictly.
    let flags = flags.replace("-I", "-isystem");
    let flags: Vec<&str> = ["-std=c11", "-Wl,--no-as-needed"]
        .into_iter()
        .chain(flags.split_whitespace())
        .collect();
    let program = build("cc", "host_glib.c", &flags);
    check(&mut Command::new(&program), Kind::Plain);
    remove_built(&program);
}

/// Node finds koffi where NODE_PATH says.
#[test]
fn node() {
    let probe = ["-e", "require('koffi').node.poll"];
    let needs = "node with koffi 3 in NODE_PATH";
    script("host.js", needs, "node", &probe, Kind::WithStore);
}

#[test]
fn ruby() {
    let probe = ["-rfiddle/import", "-e", ""];
    script("host.rb", "ruby with fiddle", "ruby", &probe, Kind::Plain);
}

#[test]
fn ruby_ffi() {
    let probe = ["-rffi", "-e", ""];
    script(
        "host_ffi.rb",
        "ruby with ffi",
        "ruby",
        &probe,
        Kind::WithStore,
    );
}

#[test]
fn perl() {
    let probe = ["-MFFI::Platypus 2.00", "-e", "1"];
    let needs = "perl with FFI::Platypus 2";
    script("host.pl", needs, "perl", &probe, Kind::WithStore);
}

#[test]
fn php() {
    let probe = ["-r", "FFI::cdef('');"];
    script("host.php", "php with FFI", "php", &probe, Kind::WithStore);
}

#[test]
fn lua() {
    script("host.lua", "luajit", "luajit", &["-e", ""], Kind::WithStore);
}

/// Go keeps what it has built for the next run.
#[test]
fn go() {
    if !can("go", &["version"]) || !has("pkg-config") {
        return skip("the host host.go", "no go, or no pkg-config");
    }
    let place = scratch();
    let program = place.join("host");
    let mut go = Command::new("go");
    go.args(["build", "-o"])
        .arg(&program)
        .args([source("host.go"), source("host_store.go")])
        .env("GOCACHE", Path::new(env!("CARGO_TARGET_TMPDIR")).join("go"))
        .env("GOTOOLCHAIN", "local")
        .env("PKG_CONFIG_PATH", stage().join("lib/pkgconfig"));
    expect(&mut go);
    check(&mut Command::new(&program), Kind::WithStore);
    fs::remove_dir_all(place).unwrap();
}

/// JNA's archive: the one that JNA_JAR names, or Debian's.
fn jna() -> Option<PathBuf> {
    let named = std::env::var_os("JNA_JAR").map(PathBuf::from);
    let jar = named.unwrap_or_else(|| "/usr/share/java/jna.jar".into());
    jar.is_file().then_some(jar)
}

#[test]
fn java() {
    let Some(jna) = jna().filter(|_| has("java") && has("javac")) else {
        return skip("the host Host.java", "no java, javac or jna.jar");
    };
    let mut java = Command::new("java");
    java.args(["-XX:TieredStopAtLevel=1", "-cp"]);
    check(java.arg(jna).arg(source("Host.java")), Kind::WithStore);
}

#[test]
fn csharp() {
    if !has("mcs") || !has("mono") {
        return skip("the host Host.cs", "no mcs or mono");
    }
    let place = scratch();
    let program = place.join("Host.exe");
    let mut mcs = Command::new("mcs");
    mcs.arg("-warnaserror")
        .arg(format!("-out:{}", program.display()));
    expect(mcs.arg(source("Host.cs")));
    check(Command::new("mono").arg(&program), Kind::WithStore);
    fs::remove_dir_all(place).unwrap();
}

/// The code of docs/languages.md is that of the files which it names, and it names every host.
#[test]
fn document() {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = read(&project.join("docs/languages.md"));
    let mut count = 0;
    for section in page.split("\n## ").skip(1) {
        let Some((text, rest)) = section.split_once("\n```") else {
            continue;
        };
        let (_, link) = text.rsplit_once("](../").unwrap();
        let file = read(&project.join(link.split_once(')').unwrap().0));
        let is_shown = |line: &&str| !line.ends_with(" // what all hosts of the tests do");
        let lines: Vec<&str> = file.lines().filter(is_shown).collect();
        let code = rest
            .split_once('\n')
            .unwrap()
            .1
            .split_once("\n```")
            .unwrap()
            .0;
        assert!(lines.join("\n").contains(code), "{section}");
        count += 1;
    }
    assert!(count > 10, "{count}");
    for file in fs::read_dir(project.join("c-tests/hosts")).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        if name.to_lowercase().starts_with("host") {
            assert!(page.contains(&name), "{name}");
        }
    }
}
