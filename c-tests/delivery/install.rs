//! install.sh: what it asks for, what it leaves in a prefix, and that it takes all of it away again.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::harness::*;

fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A program that a test puts in the place of a real one.
fn script(path: &Path, lines: &str) {
    fs::write(path, format!("#!/bin/sh\n{lines}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// install.sh with any arguments, of the build that the tests are of.
fn installer(arguments: &[&str]) -> Command {
    let mut command = Command::new("sh");
    command.arg("install.sh").args(arguments);
    command.current_dir(project());
    if cfg!(debug_assertions) {
        command.env("LICBAK_PROFILE", "dev");
    }
    command
}

/// All files and links below a folder, by their paths from there.
fn files(folder: &Path) -> Vec<String> {
    let mut find = Command::new("find");
    find.args([".", "!", "-type", "d"]).current_dir(folder);
    let text = expect(&mut find);
    let mut paths: Vec<_> = text.lines().map(|line| line[2..].to_owned()).collect();
    paths.sort();
    paths
}

/// Who has no cargo, or an old one, is told which one to get before anything is done.
#[test]
fn install_names_the_cargo_that_it_needs() {
    let place = scratch();
    let manifest = read(&project().join("Cargo.toml"));
    let oldest = manifest.split_once("rust-version = \"").unwrap().1;
    let oldest = oldest.split_once('"').unwrap().0;
    script(&place.join("old"), "echo 'cargo 1.9.5 (aaaa 2020-01-01)'");
    script(&place.join("none"), "echo 'no toolchain' >&2; exit 1");
    for (cargo, words) in [
        ("absent", "cargo is missing"),
        ("none", "does not work"),
        ("old", "cargo 1.9 is too old"),
    ] {
        let prefix = place.join("prefix");
        let mut install = installer(&["--prefix", prefix.to_str().unwrap()]);
        // So that nothing is taken that was built ahead.
        install.env("CARGO_TARGET_DIR", place.join("target"));
        let (status, text) = run(install.env("CARGO", place.join(cargo)));
        assert_eq!(status.code(), Some(1), "{text}");
        let advice = format!("install Rust {oldest} or later: https://rustup.rs");
        assert!(text.contains(words) && text.contains(&advice), "{text}");
        assert!(!prefix.exists() && !place.join("target").exists());
    }
    let help = expect(&mut installer(&["--help"]));
    assert!(
        help.contains(&format!("cargo of Rust\n{oldest} or later")),
        "{help}"
    );
    fs::remove_dir_all(place).unwrap();
}

/// What one user has built, another one installs without cargo; the loader is told of it; and
/// wherever the prefix has been moved, all of it goes, and nothing else.
#[test]
fn install_without_cargo_and_uninstall() {
    let place = scratch();
    let (prefix, searched) = (place.join("made/prefix"), place.join("searched"));
    let programs = place.join("programs");
    fs::create_dir(&programs).unwrap();
    // As where the prefix is /usr/local: the folder is one of those that the loader looks into.
    let lines = format!(
        "[ $# = 0 ] && touch '{}' && exit\necho '{}: (from x)'",
        place.join("told").display(),
        searched.display()
    );
    script(&programs.join("ldconfig"), &lines);
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let target = place.join("target").display().to_string();
    let folder = if cfg!(debug_assertions) {
        "dev"
    } else {
        "release"
    };

    // A cargo that has nothing to do but to say where it has done it.
    let metadata = format!(
        "echo '\"target_directory\":\"{}\"'",
        built().parent().unwrap().display()
    );
    script(
        &programs.join("built"),
        &format!("case $1 in --version) cargo --version ;; metadata) {metadata} ;; esac"),
    );
    stage();
    let mut build = installer(&["--build"]);
    expect(
        build
            .env("CARGO", programs.join("built"))
            .env("CARGO_TARGET_DIR", &target),
    );
    let install = || {
        let mut install = installer(&["--prefix", prefix.to_str().unwrap(), "--libdir"]);
        install
            .arg(&searched)
            .env("PATH", &path)
            .env("CARGO", "absent");
        run(install.env("CARGO_TARGET_DIR", &target))
    };
    let (status, text) = install();
    assert!(status.success(), "{text}");
    let is_root = expect(Command::new("id").arg("-u")) == "0\n";
    assert_eq!(place.join("told").exists(), is_root, "{text}");
    assert_eq!(
        text.contains("when root has run: ldconfig"),
        !is_root,
        "{text}"
    );
    assert!(install().0.success(), "once more");

    // The manifest has all that is there.
    let manifest = read(&prefix.join("share/licbak/manifest"));
    let named = |path: &str| manifest.lines().filter(|line| *line == path).count();
    for path in files(&prefix) {
        assert_eq!(named(&path), 1, "{path}");
    }
    for path in files(&searched) {
        assert_eq!(named(searched.join(&path).to_str().unwrap()), 1, "{path}");
    }

    let moved = place.join("moved");
    fs::rename(&prefix, &moved).unwrap();
    fs::write(moved.join("share/mine"), "mine").unwrap();
    let uninstall = || {
        let mut uninstall = installer(&["--uninstall", "--prefix", moved.to_str().unwrap()]);
        run(uninstall.env("PATH", &path))
    };
    let (status, text) = uninstall();
    assert!(status.success(), "{text}");
    assert_eq!(files(&moved), ["share/mine"]);
    assert_eq!(fs::read_dir(&moved).unwrap().count(), 1);
    assert!(!searched.exists() && !place.join("made").exists());
    let (status, text) = uninstall();
    assert!(!status.success() && text.contains("there is no"), "{text}");

    // What was built before the sources have changed is not taken.
    let mark = Path::new(&target).join(format!("install/native-{folder}/made"));
    expect(Command::new("touch").args(["-t", "200001010000"]).arg(mark));
    let (status, text) = install();
    assert!(
        !status.success() && text.contains("cargo is missing"),
        "{text}"
    );
    fs::remove_dir_all(place).unwrap();
}

/// A packager's folder before every path is in no path of the manifest, and stays.
#[test]
fn install_below_a_destdir() {
    let place = scratch();
    let destdir = place.join("package");
    let arguments = ["--prefix", "/usr", "--destdir", destdir.to_str().unwrap()];
    let text = expect(&mut installer(&arguments));
    assert!(!text.contains("To use it"), "{text}");
    let manifest = read(&destdir.join("usr/share/licbak/manifest"));
    assert!(!manifest.contains(place.to_str().unwrap()), "{manifest}");
    assert_eq!(manifest.lines().next(), Some("./"), "{manifest}");
    expect(installer(&arguments).arg("--uninstall"));
    assert_eq!(fs::read_dir(&destdir).unwrap().count(), 0);
    fs::write(place.join("other"), "").unwrap();

    // A manifest that leads out of the prefix is not believed.
    fs::create_dir_all(destdir.join("usr/share/licbak")).unwrap();
    let manifest = destdir.join("usr/share/licbak/manifest");
    fs::write(manifest, "share/../../../other\n").unwrap();
    let (status, text) = run(installer(&arguments).arg("--uninstall"));
    assert!(!status.success() && place.join("other").exists(), "{text}");
    fs::remove_dir_all(place).unwrap();
}

/// Each function has its page, and the pages are right for those who render them.
#[test]
fn manual() {
    let share = stage().join("share/man");
    let header = read(&stage().join("include/licbak.h"));
    let functions = header
        .split("LICBAK_CALL ")
        .filter_map(|rest| Some(rest.split_once('(')?.0))
        .filter(|name| name.starts_with("licbak_"));
    let mut pages = vec![share.join("man1/licbak.1"), share.join("man3/licbak.3")];
    pages.extend(functions.map(|name| share.join(format!("man3/{name}.3"))));
    assert!(pages.len() > 25, "{pages:?}");
    for page in &pages {
        assert!(page.exists(), "{page:?}");
        if has("man") {
            let mut man = Command::new("sh");
            man.args([
                "-c",
                "exec man --warnings -E UTF-8 -l \"$1\" 2>&1 >/dev/null",
                "sh",
            ]);
            assert_eq!(expect(man.arg(page)), "", "{page:?}");
        }
        if has("mandoc") {
            let mut lint = Command::new("mandoc");
            expect(lint.args(["-T", "lint", "-W", "warning"]).arg(page));
        }
    }
    for (program, what) in [("man", "groff"), ("mandoc", "mandoc")] {
        if !has(program) {
            skip(&format!("the manual in {what}"), "not installed");
        }
    }
    let wait = read(&share.join("man3/licbak_wait.3"));
    for words in [
        "licbak_wait \\- waits for the end of the operation",
        "uint32_t timeout_ms,",
        ".SH PARAMETERS\n.TP\n.I timeout_ms\nHow many milliseconds",
        ".SH RETURN VALUE\nLICBAK_S_OK;",
    ] {
        assert!(wait.contains(words), "{words}: {wait}");
    }

    // What the tool says of itself is in its page.
    let page = read(&share.join("man1/licbak.1")).replace('\\', "");
    for command in ["backup", "restore", "verify", "list", "info"] {
        let mut help = Command::new(stage().join("bin/licbak"));
        let help = expect(help.args([command, "--help"]));
        let options = help.lines().filter_map(|line| line.strip_prefix("  --"));
        for option in options {
            let option = option.split(' ').next().unwrap();
            assert!(
                page.contains(&format!("--{option}")),
                "{command} --{option}"
            );
        }
    }
}

/// The shells complete commands, options and the names of files.
#[test]
fn completion() {
    let share = stage().join("share");
    let path = format!(
        "{}:{}",
        stage().join("bin").display(),
        std::env::var("PATH").unwrap()
    );
    let shell = |program: &str, script: &str, file: &str| {
        let mut command = Command::new(program);
        command
            .arg("-c")
            .arg(script.replace("FILE", share.join(file).to_str().unwrap()));
        expect(command.env("PATH", &path).env("HOME", "/nonexistent"))
    };
    let cases = [
        ("ba", "backup"),
        ("backup --ov", "--overwrite"),
        ("help inf", "info"),
        ("info --ma", "--machine-id"),
    ];
    for (line, expected) in cases {
        if has("bash") {
            let script = format!(
                ". FILE; COMP_WORDS=(licbak {line}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); \
                 _licbak licbak; echo \"${{COMPREPLY[*]}}\""
            );
            let told = shell("bash", &script, "bash-completion/completions/licbak");
            assert_eq!(told, format!("{expected}\n"), "bash: {line}");
        }
        if has("zsh") {
            // Its own functions choose by what was typed: here all that they are given is looked at.
            let script = format!(
                "_describe() {{ print -l -- ${{(P)2}} }}; _files() {{ print files }}; \
                 words=(licbak {line}) CURRENT=$#words; . FILE"
            );
            let told = shell("zsh", &script, "zsh/site-functions/_licbak");
            let has_it = told
                .lines()
                .any(|line| line.starts_with(&format!("{expected}:")));
            assert!(
                has_it && told.lines().all(|line| line.contains(':')),
                "zsh: {line}: {told}"
            );
        }
        if has("fish") {
            let script = format!("source FILE; complete -C 'licbak {line}'");
            let told = shell("fish", &script, "fish/vendor_completions.d/licbak.fish");
            assert!(
                told.starts_with(&format!("{expected}\t")),
                "fish: {line}: {told}"
            );
            assert_eq!(told.lines().count(), 1, "fish: {line}: {told}");
        }
    }
    for program in ["bash", "zsh", "fish"] {
        if !has(program) {
            skip(&format!("completion in {program}"), "not installed");
        }
    }
}
