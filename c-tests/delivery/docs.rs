//! What a new user is told works as it is told: the README, the demo, the examples.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::*;
use crate::tool::{list_json, tool};

fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Those of [`licenses`] that are not to be in a backup, see examples-c/README.md.
pub const DENIED: &[&str] = &[
    "rental-blue-canal.xml",
    "subscription-basic.xml",
    "ringtone-marimba-trial.dr",
    "song-tin-roof-preview.ro",
];

pub fn licenses() -> PathBuf {
    project().join("examples-c/licenses")
}

/// Compiles a program as a user would: plain `cc` or `c++`, and what pkg-config says.
fn compile(source: &Path, program: &Path) {
    let (compiler, flags) = match source.extension().unwrap().to_str() {
        Some("cpp") => ("c++", &["-std=c++17", "-pthread"][..]),
        _ => ("cc", &["-std=c11"][..]),
    };
    let mut command = Command::new(compiler);
    command
        .args(STRICT)
        .args(flags)
        .arg(source)
        .arg("-o")
        .arg(program);
    command.args(pkg_config(stage(), &["--cflags", "--libs"]));
    expect(command.arg(format!("-Wl,-rpath,{}", stage().join("lib").display())));
}

fn same_tree(one: &Path, other: &Path) {
    expect(Command::new("diff").arg("-r").args([one, other]));
}

/// What `store` gives back, but for those licences whose issuers deny backup.
pub fn same_licenses(store: &Path, denied: &[&str], restored: &Path) {
    let mut diff = Command::new("diff");
    let exclusions = denied.iter().flat_map(|name| ["-x", name]);
    expect(diff.arg("-r").args(exclusions).args([store, restored]));
    let mut find = Command::new("find");
    let names = denied.iter().flat_map(|name| ["-name", name, "-o"]);
    let text = expect(find.arg(restored).args(names).arg("-false"));
    assert_eq!(text, "", "restored though denied");
}

/// The block of a language in the README.
fn quoted<'t>(readme: &'t str, language: &str) -> &'t str {
    let (_, block) = readme.split_once(&format!("```{language}\n")).unwrap();
    block.split_once("```").unwrap().0
}

/// The indented block of a page that has these words: commands of a shell.
fn commands(page: &str, words: &str) -> String {
    let mut blocks = page.split("\n\n").filter(|block| block.starts_with("    "));
    blocks
        .find(|block| block.contains(words))
        .expect(words)
        .to_owned()
}

/// Runs commands of a page in a folder, as a user does in the checkout when licbak is installed.
fn follow(commands: &str, place: &Path) -> (std::process::ExitStatus, String) {
    let link = place.join("examples-c");
    if !link.exists() {
        std::os::unix::fs::symlink(project().join("examples-c"), link).unwrap();
    }
    let path = std::env::var("PATH").unwrap();
    let mut shell = Command::new("sh");
    shell.args(["-ec", commands]).current_dir(place);
    shell.env("PATH", format!("{}:{path}", stage().join("bin").display()));
    shell.env("PKG_CONFIG_PATH", stage().join("lib/pkgconfig"));
    run(shell.env("LD_LIBRARY_PATH", stage().join("lib")))
}

/// Does so with commands that must work.
fn follow_well(commands: &str, place: &Path) -> String {
    let (status, text) = follow(commands, place);
    assert!(status.success(), "{commands}: {text}");
    text
}

/// The program in C++ in the README.
#[test]
fn readme_cpp() {
    if !has("c++") || !has("pkg-config") {
        return skip("the README's program in C++", "no c++ or pkg-config");
    }
    let place = scratch();
    let readme = read(&project().join("README.md"));
    fs::write(place.join("backup.cpp"), quoted(&readme, "cpp")).unwrap();
    let commands = commands(&readme, "    c++ ");
    assert_eq!(follow_well(&commands, &place), "30 licences saved\n");
    let (status, text) = follow(&commands, &place);
    assert!(
        !status.success() && text.starts_with("already there: "),
        "{text}"
    );
    assert_eq!(follow("./backup", &place).0.code(), Some(2));
    fs::remove_dir_all(place).unwrap();
}

/// The README's way to use it from CMake, on its program in C.
#[test]
fn readme_cmake() {
    if !has("cmake") || !has("make") {
        return skip("the README's lines for CMake", "no cmake or make");
    }
    let place = scratch();
    let readme = read(&project().join("README.md"));
    let lists = quoted(&readme, "cmake");
    let begin = "cmake_minimum_required(VERSION 3.13)\nproject(backup C)\n";
    fs::write(place.join("CMakeLists.txt"), format!("{begin}{lists}")).unwrap();
    fs::write(place.join("backup.c"), quoted(&readme, "c")).unwrap();
    let prefix = format!("-DCMAKE_PREFIX_PATH={}", stage().display());
    let cmake = |arguments: &[&str]| {
        expect(Command::new("cmake").args(arguments).current_dir(&place));
    };
    cmake(&["-S", ".", "-B", "build", &prefix]);
    cmake(&["--build", "build"]);
    let mut backup = Command::new(place.join("build/backup"));
    backup.arg(licenses()).arg(".").current_dir(&place);
    assert_eq!(expect(&mut backup), "saved\n");
    fs::remove_dir_all(place).unwrap();
}

/// The commands and the program in the README, and what it says about keeping yesterday's backup.
#[test]
fn readme() {
    if !has("pkg-config") {
        return skip("the README's program in C", "no pkg-config");
    }
    let place = scratch();
    let readme = read(&project().join("README.md"));
    let text = follow_well(&commands(&readme, "    licbak backup"), &place);
    assert!(text.contains("Restored 30 licences"), "{text}");
    same_licenses(&licenses(), DENIED, &place.join("restored"));

    fs::write(place.join("backup.c"), quoted(&readme, "c")).unwrap();
    let text = follow_well(&commands(&readme, "    cc backup.c -o"), &place);
    assert_eq!(text, "saved\n");
    let (status, text) = follow("./backup nowhere backups", &place);
    assert!(!status.success() && text.contains("'nowhere'"), "{text}");
    assert_eq!(follow("./backup", &place).0.code(), Some(2));

    let link = readme.lines().find_map(|line| line.split_once("`ln "));
    let link = link.unwrap().1.split_once('`').unwrap().0;
    follow_well(&format!("mkdir yesterday; ln {link}"), &place);
    let kept = fs::read(place.join("yesterday/licenses.tar.zst")).unwrap();
    follow_well("cp -R examples-c/licenses store", &place);
    fs::write(place.join("store/new.lic"), "new").unwrap();
    follow_well("licbak backup --overwrite store backups", &place);
    assert!(fs::read(place.join("yesterday/licenses.tar.zst")).unwrap() == kept);
    follow_well("licbak restore yesterday again", &place);
    same_licenses(&licenses(), DENIED, &place.join("again"));
    fs::remove_dir_all(place).unwrap();
}

/// The view in the README, over tables of a host's own.
#[test]
fn readme_view() {
    let place = scratch();
    let readme = read(&project().join("README.md"));
    let tables = "CREATE TABLE seats(seat, token BLOB, serial);\n\
                  INSERT INTO seats VALUES('cad', x'c0ffee', 'S 12');\n";
    let script = format!("{tables}{}", quoted(&readme, "sql"));
    let mut python = Command::new("python3");
    let make = "import sqlite3, sys; sqlite3.connect('seats.db').executescript(sys.argv[1])";
    expect(python.args(["-c", make, &script]).current_dir(&place));
    follow_well("mkdir backups; licbak backup seats.db backups", &place);
    let listed = list_json(&place, "backups");
    let [license] = &listed[..] else {
        panic!("{listed:?}")
    };
    assert_eq!(license["name"], "seats/cad");
    assert_eq!(license["key_id"], "S 12");
    fs::remove_dir_all(place).unwrap();
}

/// All pages of the project, by their paths in it.
fn pages() -> Vec<String> {
    let mut find = Command::new("git");
    find.args([
        "ls-files",
        "--cached",
        "--others",
        "--exclude-standard",
        "*.md",
    ]);
    let (status, text) = run(find.current_dir(project()));
    assert!(status.success(), "{text}");
    text.lines().map(str::to_owned).collect()
}

/// Each snippet of each page has a test that runs it.
#[test]
fn every_snippet_is_run() {
    // In this file, but for those of languages.rs, of python/tests/test_readme.py, and of object
    // storage, in object_storage.py and (rights) object_costs.py.
    let run_by_tests = [
        ("README.md", "c python cmake cpp sql".to_owned()),
        (
            "docs/languages.md",
            "c c cpp python js go java csharp ruby ruby perl php lua".to_owned(),
        ),
        ("docs/object-storage.md", "c python json".to_owned()),
        ("docs/windows-media-format-sdk.md", "cpp c".to_owned()),
        ("docs/windows.md", "pascal".to_owned()),
        (
            "python/README.md",
            vec![
                "python";
                read(&project().join("python/README.md"))
                    .matches("```python")
                    .count()
            ]
            .join(" "),
        ),
    ];
    for page in pages() {
        let text = read(&project().join(&page));
        let fences = text
            .lines()
            .filter_map(|line| line.trim_start().strip_prefix("```"));
        let languages: Vec<_> = fences.step_by(2).collect();
        let known = run_by_tests.iter().find(|(name, _)| *name == page);
        let known = known.map_or("", |(_, languages)| languages);
        assert_eq!(languages.join(" "), known, "{page}");
    }
}

/// A page ends at 100 columns, but for tables and code, its links lead somewhere, and the index has
/// it.
#[test]
fn pages_are_tidy() {
    let index = read(&project().join("docs/index.md"));
    for page in pages() {
        let text = read(&project().join(&page));
        let mut is_code = false;
        for line in text.lines() {
            is_code ^= line.trim_start().starts_with("```");
            // The page of the format has a line for each fact.
            let is_prose = !is_code
                && !line.trim_start().starts_with('|')
                && !line.starts_with("    ")
                && page != "src/archive/format.md";
            assert!(!is_prose || line.chars().count() <= 100, "{page}: {line}");
        }
        let folder = project().join(&page);
        let folder = folder.parent().unwrap();
        for (_, link) in text
            .match_indices("](")
            .map(|(at, _)| text.split_at(at + 2))
        {
            let link = link.split([')', '#']).next().unwrap();
            let is_own = !link.is_empty() && !link.contains("://") && !link.contains([' ', '\n']);
            assert!(!is_own || folder.join(link).exists(), "{page}: {link}");
        }
        let from_index = match page.strip_prefix("docs/") {
            Some(page) => page.to_owned(),
            None => format!("../{page}"),
        };
        let is_listed = page == "docs/index.md" || index.contains(&format!("]({from_index})"));
        assert!(is_listed, "docs/index.md does not lead to {page}");
    }
}

/// The main job in one command, on the licences that come with the project.
#[test]
fn demo() {
    let text = expect(Command::new(project().join("examples-c/demo.sh")).current_dir(project()));
    assert!(text.trim_end().ends_with("Everything agrees."), "{text}");
}

/// Real licence files of others, where they lie beside the checkout: they are known as what they
/// are, and come back byte for byte.
#[test]
fn samples() {
    let samples = project().join("../shared/samples");
    if !samples.is_dir() {
        return skip("licences of others", "they come with no release");
    }
    let place = scratch();
    fs::create_dir(place.join("backups")).unwrap();
    let path = samples.to_str().unwrap();
    expect(&mut tool(&["backup", "--verify", path, "backups"], &place));
    let listed = list_json(&place, "backups");
    let mut seen = [0, 0];
    for entry in fs::read_dir(&samples).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let license = || listed.iter().find(|license| license["name"] == *name);
        if name.ends_with(".lcpl") {
            let text = fs::read(samples.join(&name)).unwrap();
            let content: serde_json::Value = serde_json::from_slice(&text).unwrap();
            let id = content.get("id").unwrap();
            assert_eq!(license().unwrap()["key_id"], *id, "{name}");
            assert_eq!(license().unwrap()["format"], "lcp", "{name}");
            seen[0] += 1;
        } else if name.starts_with("keygen") {
            assert_eq!(license().unwrap()["format"], "opaque", "{name}");
            seen[1] += 1;
        }
    }
    assert!(seen[0] > 0 && seen[1] > 0, "{seen:?}");
    expect(&mut tool(&["restore", "backups", "restored"], &place));
    let denied = ["oma_rel1_count.dr", "wmdrm_v7_backup_denied.xml"];
    same_licenses(&samples, &denied, &place.join("restored"));
    fs::remove_dir_all(place).unwrap();
}

/// The page for who ports from the original: its program does its job, and it names all that it is
/// to name, and nothing else.
#[test]
fn windows_media_format_sdk() {
    let page = fs::read_to_string(project().join("docs/windows-media-format-sdk.md")).unwrap();
    let code_of = |header: &str| -> String {
        let header = fs::read_to_string(project().join("include").join(header)).unwrap();
        let is_comment = |line: &&str| line.trim_start().starts_with(['*', '/']);
        let lines = header.split_inclusive('\n');
        lines.filter(|line| !is_comment(line)).collect()
    };
    let code = code_of("licbak.h");
    let all_code = code.clone() + &code_of("licbak_wm.hpp");
    for name in names(&page).filter(|name| *name != "licbak_wm") {
        let is_known = names(&all_code).any(|known| known == name);
        assert!(is_known, "no {name} here");
    }
    for line in code.lines().filter(|line| line.starts_with("LICBAK_API ")) {
        let function = names(line).find(|name| line.contains(&format!("{name}(")));
        let function = function.unwrap();
        assert!(page.contains(&format!("`{function}`")), "{function}");
    }
    for row in include_str!("../calls/constants.csv").lines().skip(1) {
        let [name, value, _] = row.split(',').collect::<Vec<_>>()[..] else {
            panic!("{row}")
        };
        let origins = ["WM_", "WMT_", "NS_", "S_", "E_", "HRESULT_ERROR_"];
        if origins.iter().any(|origin| name.starts_with(origin)) {
            let cells = format!("| `LICBAK_{name}` | {value} |");
            assert!(page.contains(&cells), "{cells}");
        }
    }

    let place = scratch();
    fs::write(place.join("port.c"), quoted(&page, "c")).unwrap();
    compile(&place.join("port.c"), &place.join("port"));
    for _ in 0..2 {
        let mut port = Command::new(place.join("port"));
        let text = expect(port.arg(licenses()).arg(&place));
        let (denied, end) = text.split_at(text.find("ended").unwrap());
        assert_eq!(end, "ended with LICBAK_S_OK\n");
        assert_eq!(denied.matches("not backed up: ").count(), DENIED.len());
        assert!(place.join("licenses.tar.zst").is_file());
    }
    fs::remove_dir_all(place).unwrap();
}

/// The client on that page which keeps its source, built as the page says.
#[test]
fn windows_media_format_sdk_client() {
    if !has("c++") {
        return skip("the client of the original", "no c++");
    }
    let place = scratch();
    let page = read(&project().join("docs/windows-media-format-sdk.md"));
    fs::write(place.join("backup.cpp"), quoted(&page, "cpp")).unwrap();
    let command = page
        .lines()
        .find_map(|line| line.strip_prefix("    c++ "))
        .unwrap();
    let command = command.split_once(" $(pkg-config").unwrap().0;
    let mut compiler = Command::new("c++");
    compiler.args(STRICT).args(command.split(' '));
    compiler.args(pkg_config(stage(), &["--cflags", "--libs"]));
    compiler.arg(format!("-Wl,-rpath,{}", stage().join("lib").display()));
    expect(compiler.current_dir(&place));
    fs::create_dir(place.join("backups")).unwrap();
    let client = |store: &Path| {
        let mut client = Command::new(place.join("backup"));
        run(client.env("LICBAK_STORE_PATH", store).current_dir(&place))
    };
    let restricted = "The content owner does not allow to back up a licence.\n";
    let (status, text) = client(&licenses());
    assert!(status.success(), "{text}");
    assert_eq!(text, restricted.repeat(DENIED.len()) + "Saved.\n");
    let (status, text) = client(&licenses());
    assert!(!status.success() && text == "There is a backup already.\n");
    fs::remove_file(place.join("backups/licenses.tar.zst")).unwrap();
    let (status, text) = client(&place.join("nowhere"));
    assert!(!status.success() && text == "Failed.\n", "{text}");
    fs::remove_dir_all(place).unwrap();
}

/// The program in Pascal on the page for Windows, which runs here, too.
#[test]
fn windows_pascal() {
    if !has("fpc") {
        return skip("the program in Pascal", "no fpc");
    }
    let place = scratch();
    let page = read(&project().join("docs/windows.md"));
    fs::write(place.join("backup.pas"), quoted(&page, "pascal")).unwrap();
    let mut fpc = Command::new("fpc");
    fpc.arg(format!("-Fl{}", stage().join("lib").display()));
    expect(fpc.arg("backup.pas").current_dir(&place));
    let mut backup = Command::new(place.join("backup"));
    backup.env("LD_LIBRARY_PATH", stage().join("lib"));
    let text = expect(backup.arg(licenses()).arg(&place));
    assert_eq!(text.matches("left out: ").count(), DENIED.len(), "{text}");
    assert!(text.ends_with("LICBAK_S_OK\n"), "{text}");
    assert!(place.join("licenses.tar.zst").is_file());
    fs::remove_dir_all(place).unwrap();
}

/// What a text has of names that licbak could have.
fn names(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| {
        (word.starts_with("licbak_") || word.starts_with("LICBAK_")) && word.len() > 7
    })
}

/// A backup goes through five machines, is rolled back, and meets a service that can't be reached.
#[test]
fn transfer_example() {
    let place = scratch();
    let program = place.join("transfer");
    compile(&project().join("examples-c/09_transfer.c"), &program);
    for directory in ["now", "old", "service"] {
        fs::create_dir(place.join(directory)).unwrap();
    }
    fs::create_dir_all(place.join("store")).unwrap();
    fs::write(place.join("store/a.lic"), "text").unwrap();
    let backup = |directory: &str| {
        let command = [
            "backup",
            "--overwrite",
            "--full",
            "--machine-id",
            "first",
            "store",
        ];
        expect(&mut tool(&[&command[..], &[directory]].concat(), &place));
    };
    let restore = |backups: &str, machine: &str, service: &[&str]| {
        let arguments = [&[backups, "restored", machine], service].concat();
        let (status, text) = run(Command::new(&program).args(arguments).current_dir(&place));
        assert_eq!(
            status.code(),
            Some(if text.contains("restored into") { 0 } else { 1 })
        );
        assert_eq!(place.join("restored").exists(), status.success(), "{text}");
        let _ = fs::remove_dir_all(place.join("restored"));
        text
    };
    let (asked, fraud) = (&["service"][..], "NS_E_DRM_RESTORE_FRAUD");
    backup("old");
    fs::copy(
        place.join("old/licenses.tar.zst"),
        place.join("now/licenses.tar.zst"),
    )
    .unwrap();
    for machine in ["first", "second", "third", "second", "fourth"] {
        let text = restore("now", machine, asked);
        assert!(text.contains("restored into"), "{machine}: {text}");
        assert_eq!(text.contains("another machine"), machine != "first");
    }
    let text = restore("now", "fifth", asked);
    assert!(text.contains(fraud), "{text}");
    assert!(text.contains("more about it: https://example.com/too-many-machines\n"));

    backup("now"); // its successor, which the fourth machine has seen
    assert!(restore("now", "fourth", asked).contains("restored into"));
    let text = restore("old", "fourth", asked);
    assert!(text.contains(fraud) && text.contains("https://example.com/older-backup"));
    assert!(restore("now", "fourth", asked).contains("restored into"));

    let text = restore("now", "fourth", &["no-service"]);
    assert!(
        text.contains("NS_E_DRM_RESTORE_SERVICE_UNAVAILABLE"),
        "{text}"
    );
    let text = restore("old", "fifth", &[]); // offline, and free
    assert!(text.contains("restored into") && !text.contains("asking"));
    assert_eq!(run(&mut Command::new(&program)).0.code(), Some(2));
    fs::remove_dir_all(place).unwrap();
}

const CPP: &str = "07_cpp";

/// Every example does its job, and tells what is wrong with bad input.
#[test]
fn examples() {
    let place = scratch();
    let build = |name: &str| {
        let program = place.join(name);
        let extension = if name == CPP { "cpp" } else { "c" };
        compile(
            &project().join(format!("examples-c/{name}.{extension}")),
            &program,
        );
        program
    };
    let licenses = licenses();
    let store = licenses.to_str().unwrap();
    let cases: [(&str, &[&str], &[&str]); 9] = [
        ("01_back_up", &[store, "one"], &["nowhere", "two"]),
        ("02_restore", &["one", "restored"], &["two", "restored"]),
        (
            "03_progress_and_cancel",
            &[store, "two"],
            &[store, "nowhere"],
        ),
        ("04_wait", &[store, "three"], &[store, "one"]),
        ("05_host_files", &[store, "four"], &["nowhere", "five"]),
        (
            "05_host_files",
            &["among", "four", "--restore"],
            &["among", "one", "--restore"], // which holds other files
        ),
        ("06_host_memory", &["five"], &["nowhere"]),
        (CPP, &[store, "six"], &[store, "six"]), // which has a backup by then
        (
            "08_one_license",
            &["one", "lost", "cadworks"],
            &["one", "lost", "cad"],
        ),
    ];
    for directory in ["one", "two", "three", "four", "five", "six", "among"] {
        fs::create_dir(place.join(directory)).unwrap();
    }
    fs::write(place.join("among/other.txt"), "no licence").unwrap();
    for (name, good, bad) in cases {
        if name == CPP && !has("c++") {
            skip("the example in C++", "no c++");
            continue;
        }
        let program = build(name);
        let call =
            |arguments: &[&str]| run(Command::new(&program).args(arguments).current_dir(&place));
        let (status, text) = call(good);
        assert!(status.success(), "{name}: {text}");
        if name == "06_host_memory" {
            assert!(
                text.contains("plays: 3, and the backup has plays: 12: plays: 3\n"),
                "{text}"
            );
            assert!(
                text.contains("plays: 99, and the backup has plays: 12: plays: 12\n"),
                "{text}"
            );
        }
        let (status, text) = call(bad);
        assert_eq!(status.code(), Some(1), "{name}: {text}");
        assert!(text.contains('.'), "{name} does not tell why: {text}");
        assert_eq!(call(&[]).0.code(), Some(2), "{name} without arguments");
    }
    same_licenses(&licenses, DENIED, &place.join("restored"));
    let seats = "seats/engineering";
    same_tree(&licenses.join(seats), &place.join("among").join(seats));
    assert_eq!(fs::read_dir(place.join("among")).unwrap().count(), 2); // and the other file
    let seat = "seats/engineering/cadworks.lic";
    let lost = expect(
        Command::new("find")
            .args([".", "-type", "f"])
            .current_dir(place.join("lost")),
    );
    assert_eq!(lost, format!("./{seat}\n"));
    assert_eq!(
        read(&place.join("lost").join(seat)),
        read(&licenses.join(seat))
    );
    fs::remove_dir_all(place).unwrap();
}
