//! The command-line tool, as a user and as a script calls it: what it does. What comes back of a
//! backup is in `tool_restore.rs`, what the tool prints in `tool_output.rs`, and the keys that it
//! takes in `tool_keys.rs`.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::docs::{DENIED, licenses, same_licenses};
use crate::harness::*;

pub fn tool(arguments: &[&str], directory: &Path) -> Command {
    let mut command = Command::new(stage().join("bin/licbak"));
    command.args(arguments).current_dir(directory);
    command
}

/// The tool in a line of the shell, which knows it as `licbak`.
pub fn shell(line: &str, directory: &Path) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("PATH=$1:$PATH; {line}"), "sh"]);
    command.arg(stage().join("bin")).current_dir(directory);
    command
}

/// What `licbak list --json` prints of each licence.
pub fn list_json(directory: &Path, backups: &str) -> Vec<Value> {
    let text = expect(&mut tool(&["list", "--json", backups], directory));
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

pub fn check(arguments: &[&str], directory: &Path, code: i32, words: &[&str]) {
    let (status, text) = run(&mut tool(arguments, directory));
    assert_eq!(status.code(), Some(code), "{arguments:?}: {text}");
    for words in words {
        assert!(text.contains(words), "{arguments:?}: no {words:?}: {text}");
    }
}

pub fn write(path: &Path, content: impl AsRef<[u8]>) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

/// Bytes that no compression makes less of.
pub fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed;
    let bytes = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    });
    bytes.take(length).collect()
}

/// The main job: exit codes and words, on a pipe.
#[test]
fn main_job() {
    let place = scratch();
    for directory in ["empty", "backups", "closed"] {
        fs::create_dir(place.join(directory)).unwrap();
    }
    let store = licenses();
    let store = store.to_str().unwrap();
    let cases: [(&str, i32, &str); 17] = [
        ("backup --dry-run STORE backups", 0, "30 licences"),
        ("verify backups", 1, "ERROR_FILE_NOT_FOUND, 0x80070002"),
        (
            "backup --verify --threads 3 --level 5 STORE backups",
            0,
            "Verified 30",
        ),
        (
            "backup STORE backups",
            1,
            "NS_E_DRM_BACKUP_EXISTS, 0xC00D2742",
        ),
        ("backup STORE backups", 1, "use --overwrite"),
        ("backup --overwrite --full STORE backups", 0, "Backed up 30"),
        ("list backups", 0, "harbour-lights"),
        ("restore --dry-run backups restored", 0, "30 licences"),
        ("restore backups restored", 0, "Restored 30"),
        ("restore --quiet backups restored", 0, ""),
        ("backup --overwrite empty backups", 3, "no licence"),
        ("backup nowhere closed", 1, "ERROR_PATH_NOT_FOUND"),
        ("restore https://backups restored", 2, "://"),
        ("--help", 0, "Exit codes"),
        ("help", 0, "Exit codes"),
        ("-V", 0, env!("CARGO_PKG_VERSION")),
        ("--version", 0, env!("CARGO_PKG_VERSION")),
    ];
    for (line, code, words) in cases {
        let arguments: Vec<&str> = line.split(' ').collect();
        let arguments = arguments
            .iter()
            .map(|word| if *word == "STORE" { store } else { word });
        check(&arguments.collect::<Vec<_>>(), &place, code, &[words]);
    }
    same_licenses(Path::new(store), DENIED, &place.join("restored"));
    let quiet = expect(&mut tool(
        &[
            "backup",
            "--overwrite",
            "--verify",
            "--quiet",
            store,
            "backups",
        ],
        &place,
    ));
    assert_eq!(quiet, "");
    fs::remove_dir_all(place).unwrap();
}

/// What can't be read or put back is passed over when that is asked for, and the exit code tells.
#[test]
fn keep_going() {
    let place = scratch();
    for name in ["store/a.lic", "store/b.lic", "store/back\\slash.lic"] {
        write(&place.join(name), name);
    }
    for directory in ["backups", "restored/a.lic", "all/a.lic", "all/b.lic"] {
        fs::create_dir_all(place.join(directory)).unwrap();
    }
    let cases: [(&str, i32, &[&str]); 8] = [
        ("backup store backups", 1, &["ERROR_INVALID_NAME"]),
        (
            "backup --keep-going --overwrite store backups",
            2,
            &["not with --overwrite"],
        ),
        (
            "backup --keep-going --verify store backups",
            3,
            &[
                "left out: back\\\\slash.lic: it has a backslash",
                "Backed up 2 licences",
                "; 1 passed over\n",
                "Verified 2",
            ],
        ),
        (
            "restore --keep-going backups all",
            1,
            &["ERROR_INVALID_NAME"],
        ),
        ("restore backups restored", 1, &["ERROR_INVALID_NAME"]),
        (
            "restore --keep-going backups restored",
            3,
            &[
                "left out: a.lic: ",
                "Restored 1 licence",
                "; 1 passed over\n",
            ],
        ),
        (
            "restore --keep-going --key-id b backups restored",
            0,
            &["Restored 1 licence"],
        ),
        (
            "restore --keep-going backups new",
            0,
            &["Restored 2 licences"],
        ),
    ];
    for (line, code, words) in cases {
        check(&line.split(' ').collect::<Vec<_>>(), &place, code, words);
    }
    fs::remove_dir_all(place).unwrap();
}

/// What of the old backup is gone: nothing, one, several, or it can't be told.
#[test]
fn summary() {
    let parts = ["licbak_show.c", "licbak_system.c"];
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples-c");
    let parts = parts.map(|part| examples.join(part).display().to_string());
    let program = build("cc", "tool_summary.c", &["-std=c11", &parts[0], &parts[1]]);
    let text = expect(&mut Command::new(&program));
    let rest = "of the old backup";
    let sentences = [
        String::new(),
        format!("1 licence {rest} is not in the store any more.\n"),
        format!("3 licences {rest} are not in the store any more.\n"),
        format!("It can't be told how many licences {rest} are not in the store any more.\n"),
    ];
    let expected = sentences.map(|sentence| format!("Backed up 2 licences (5 B)\n{sentence}"));
    assert_eq!(text, expected.concat());
    remove_built(&program);
}

/// A backup tells how many licences look like those of a format with rights and can't be read.
#[test]
fn unread() {
    let place = scratch();
    let license = "<LICENSE version=\"2.0.0.0\"><LICENSORINFO><DATA><ONACTION type=\"Backup\"/>";
    let whole = format!("{license}</DATA></LICENSORINFO></LICENSE>");
    let utf16: Vec<u8> = license.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let store = place.join("store");
    write(&store.join("whole.xml"), &whole);
    write(&store.join("a/cut.xml"), license);
    write(&store.join("other.txt"), "a LICENSE");
    write(&store.join("other.xml"), "<a><LICENSE></a>");
    write(&store.join("eula.txt"), "LICENSE KEY: 1");
    write(&store.join("vendor.xml"), "<LICENSEKEY>1</LICENSEKEY>");
    let told = |options: &[&str]| {
        let arguments = [&["backup"], options, &["store", "backups"]].concat();
        let text = expect(&mut tool(&arguments, &place));
        text.split_once(" compressed)\n")
            .map_or(text.clone(), |(_, rest)| rest.to_owned())
    };
    fs::create_dir(place.join("backups")).unwrap();
    assert_eq!(
        told(&[]),
        "1 file looks like a Windows Media licence and can't be read.\n"
    );
    fs::remove_dir_all(place.join("backups")).unwrap();
    fs::create_dir(place.join("backups")).unwrap();
    fs::write(store.join("utf-16.xml"), utf16).unwrap();
    write(
        &store.join("declared.xml"),
        format!("<?xml version='1.0'?>\n<!-- -->{license}"),
    );
    write(&store.join("cut.xmr"), "XMR\0\0");
    write(&store.join("cut.dr"), "<!DOCTYPE o-ex:rights><o-ex:rights>");
    let sentences = "4 files look like Windows Media licences and can't be read.\n\
                     1 file looks like an OMA rights object and can't be read.\n";
    assert_eq!(told(&[]), sentences);
    assert_eq!(told(&["--overwrite", "--quiet"]), "");
    assert_eq!(told(&["--overwrite"]), "");
    assert!(told(&["--overwrite", "--verify"]).starts_with(sentences));
    assert!(!told(&["--dry-run"]).contains("look"));
    fs::remove_dir_all(place).unwrap();
}

/// A backup that replaces another tells what of that one is gone.
#[test]
fn gone() {
    let place = scratch();
    let license = |number: u32| place.join(format!("store/{number}.lic"));
    for number in 1..=5 {
        write(&license(number), "text");
    }
    fs::create_dir(place.join("backups")).unwrap();
    let backup = |options: &[&str]| {
        let arguments = [&["backup"], options, &["store", "backups"]].concat();
        expect(&mut tool(&arguments, &place))
    };
    let told = |sentence: &str| {
        let text = backup(&["--overwrite"]);
        assert!(text.ends_with(sentence), "{sentence}: {text}");
    };
    assert!(!backup(&[]).contains("old backup"));
    told(" compressed)\n");
    fs::remove_file(license(1)).unwrap();
    fs::remove_file(license(4)).unwrap();
    told(")\n2 licences of the old backup are not in the store any more.\n");
    told(" compressed)\n");
    fs::remove_file(license(2)).unwrap();
    told(")\n1 licence of the old backup is not in the store any more.\n");
    fs::remove_file(license(3)).unwrap();
    assert_eq!(backup(&["--overwrite", "--quiet"]), "");
    write(&place.join("backups/licenses.tar.zst"), "no backup");
    told(
        ")\nIt can't be told how many licences of the old backup are not in the store any more.\n",
    );
    fs::remove_dir_all(place).unwrap();
}

/// Each option is told where it is known, and refused where it is not.
#[test]
fn options() {
    let place = scratch();
    let known = [
        (
            "backup",
            "--overwrite --full --dry-run --verify --threads --level --machine-id --recipient --recipients-file \
             --identity --passphrase --json --quiet",
        ),
        (
            "restore",
            "--key-id --overwrite --salvage --dry-run --machine-id --individualize --identity --passphrase --json --quiet",
        ),
        ("verify", "--identity --passphrase --json --quiet"),
        ("list", "--identity --passphrase --json"),
        ("info", "--machine-id --identity --passphrase --json"),
    ];
    for (command, own) in known {
        let help = expect(&mut tool(&[command, "--help"], &place));
        assert_eq!(help, expect(&mut tool(&["help", command], &place)));
        assert_eq!(help, expect(&mut tool(&[command, "-h"], &place)));
        let all = known.iter().flat_map(|(_, options)| options.split(' '));
        for option in all {
            let is_known = own.split(' ').any(|known| known == option);
            assert_eq!(help.contains(option), is_known, "{command} {option}");
            if !is_known {
                check(&[command, option, "a", "b"], &place, 2, &["no such option"]);
            }
        }
    }
    for (line, words) in [
        ("backup store", "a path is missing"),
        ("list", "a path is missing"),
        ("list one two", "one path too many"),
        ("backup --verify --dry-run store backups", "dry run"),
        (
            "backup --threads many store backups",
            "--threads: needs a number from 0 to 256",
        ),
        ("backup --threads=257 store backups", "from 0 to 256"),
        ("backup --threads -1 store backups", "from 0 to 256"),
        ("backup --level=23 store backups", "from -131072 to 22"),
        ("backup --level -131073 store backups", "from -131072 to 22"),
        ("backup --level= store backups", "needs a number"),
        ("restore backups store --key-id", "needs a key ID"),
        ("restore --key-id backups store", "a path is missing"),
        ("info backups --machine-id", "needs a word"),
        ("info backups --identity", "--identity: needs a file"),
        (
            "info backups --identity missing",
            "--identity: can't be read",
        ),
        (
            "backup --recipient= store backups",
            "needs an age recipient",
        ),
        ("restore --key-id=k backups", "a path is missing"),
        ("restore --key-id= backups store", "needs a key ID"),
        ("list --json=yes backups", "no such option with a value"),
        ("list -x backups", "-x: no such option"),
        ("frobnicate", "no such command"),
        ("help frobnicate", "no such command"),
    ] {
        let arguments: Vec<&str> = line.split(' ').collect();
        check(&arguments, &place, 2, &[words, "usage"]);
    }
    check(
        &["restore", "--key-id", "", "backups", "store"],
        &place,
        2,
        &["needs a key ID"],
    );
    fs::remove_dir(place).expect("nothing is made by what is refused");
}

/// Ctrl-C and the system's request to end are seen in the exit code, and nothing stays behind.
#[test]
fn signals() {
    let place = scratch();
    write(&place.join("store/a.lic"), "text");
    fs::create_dir(place.join("backups")).unwrap();
    // The signal comes when it is caught, and the database stays locked for longer.
    // A shell has the signal ignored in what it runs in the background.
    let lock = "import signal, sqlite3, subprocess, sys\n\
                signal.signal(signal.SIGINT, signal.default_int_handler)\n\
                db = sqlite3.connect('seats.db', isolation_level=None)\n\
                db.execute('create table license (name text primary key, content blob not null)')\n\
                db.execute(\"insert into license values ('a', x'00')\")\n\
                db.execute('begin exclusive')\n\
                tool = subprocess.Popen([sys.argv[1], 'backup', 'seats.db', 'backups'],\n\
                    stderr=subprocess.PIPE)\n\
                caught = 0\n\
                while tool.poll() is None and not caught >> int(sys.argv[2]) - 1 & 1:\n\
                \x20   status = open(f'/proc/{tool.pid}/status').read()\n\
                \x20   caught = int(status.partition('SigCgt:')[2].split()[0], 16)\n\
                tool.send_signal(int(sys.argv[2]))\n\
                print(tool.wait())\n";
    for (signal, code) in [("2", "130\n"), ("15", "143\n")] {
        let _ = fs::remove_file(place.join("seats.db"));
        let mut python = Command::new("python3");
        python
            .args(["-c", lock])
            .arg(stage().join("bin/licbak"))
            .arg(signal);
        assert_eq!(expect(python.current_dir(&place)), code);
        assert_eq!(fs::read_dir(place.join("backups")).unwrap().count(), 0);
    }
    fs::remove_dir_all(place).unwrap();
}

/// Ctrl-C while the tool looks for what it can't read of a backup that is done already.
#[test]
fn signal_after_the_backup() {
    let place = scratch();
    write(&place.join("store/a.lic"), "text");
    fs::create_dir(place.join("backups")).unwrap();
    // The tool can't print what it has done before the signal has come, since its pipe is full.
    let interrupt = "import os, signal, subprocess, sys, time\n\
                     signal.signal(signal.SIGINT, signal.default_int_handler)\n\
                     reader, writer = os.pipe()\n\
                     os.set_blocking(writer, False)\n\
                     try:\n\
                     \x20   while True: os.write(writer, bytes(4096))\n\
                     except BlockingIOError: os.set_blocking(writer, True)\n\
                     tool = subprocess.Popen(\n\
                     \x20   [sys.argv[1], 'backup', '--verify', 'store', 'backups'],\n\
                     \x20   stdout=writer, stderr=subprocess.DEVNULL)\n\
                     os.close(writer)\n\
                     while not os.path.exists('backups/licenses.tar.zst'): time.sleep(0.01)\n\
                     tool.send_signal(signal.SIGINT)\n\
                     told = open(reader, 'rb').read().strip(bytes(1))\n\
                     print(tool.wait(), told.decode(), end='')\n";
    let mut python = Command::new("python3");
    python
        .args(["-c", interrupt])
        .arg(stage().join("bin/licbak"));
    let text = expect(python.current_dir(&place));
    assert!(text.starts_with("130 Backed up 1 licence ("), "{text}");
    assert!(!text.contains("Verified"), "{text}");
    fs::remove_dir_all(place).unwrap();
}

/// What stands in the place of a backup or a store is told for what it is, with advice that helps.
#[test]
fn what_is_no_backup_or_store() {
    let place = scratch();
    write(&place.join("store/a.lic"), "text");
    for folder in ["folder/licenses.tar.zst", "empty", "foreign", "backups"] {
        fs::create_dir_all(place.join(folder)).unwrap();
    }
    write(&place.join("empty/licenses.tar.zst"), "");
    write(
        &place.join("foreign/licenses.tar.zst"),
        "a text of some length",
    );
    write(&place.join("plain"), "plain");
    for command in ["verify", "info", "list", "restore"] {
        let check = |path: &str, words: &str| {
            let store: &[&str] = if command == "restore" {
                &["restored"]
            } else {
                &[]
            };
            let arguments = [&[command, path], store].concat();
            check(&arguments, &place, 1, &[words, "NS_E_DRM_BACKUP_CORRUPT"]);
        };
        check(
            "folder",
            "'folder/licenses.tar.zst' is not a file, and so not a backup",
        );
        check(
            "empty",
            "'empty/licenses.tar.zst' is not a backup: it is empty",
        );
        check("foreign", "is not a backup: it is a file of another kind");
        check(
            "plain",
            "'plain' is not a backup: it is a file of another kind",
        );
    }
    let salvage = ["restore", "--salvage", "foreign", "restored"];
    check(
        &salvage,
        &place,
        1,
        &["is not a backup: it is a file of another kind"],
    );
    assert!(!place.join("restored").exists());

    for options in [&[][..], &["--overwrite"]] {
        let arguments = [&["backup"], options, &["store", "folder"]].concat();
        let words = [
            "is that of a folder, which is kept",
            "NS_E_DRM_BACKUP_EXISTS",
        ];
        check(&arguments, &place, 1, &words);
    }
    let neither = ["'plain' is neither a directory nor an SQLite database"];
    check(&["backup", "plain", "backups"], &place, 1, &neither);
    check(
        &["backup", "--overwrite", "store", "foreign"],
        &place,
        0,
        &["Backed up 1"],
    );
    check(&["restore", "foreign", "plain"], &place, 1, &neither);
    fs::remove_dir_all(place).unwrap();
}

/// STORE as an SQLite database: made by a restore, and backed up again.
#[test]
fn database() {
    let place = scratch();
    for directory in ["one", "two"] {
        fs::create_dir(place.join(directory)).unwrap();
    }
    let store = licenses();
    let store = store.to_str().unwrap();
    check(&["backup", store, "one"], &place, 0, &["30 licences"]);
    check(&["restore", "one", "seats.db"], &place, 0, &["Restored 30"]);
    assert!(
        fs::read(place.join("seats.db"))
            .unwrap()
            .starts_with(b"SQLite format 3\0")
    );
    check(&["backup", "seats.db", "two"], &place, 0, &["30 licences"]);
    let mut listed = list_json(&place, "one");
    for license in &mut listed {
        license["modified"] = Value::Null; // for which a database has no column
    }
    assert_eq!(list_json(&place, "two"), listed);
    check(&["restore", "two", "restored"], &place, 0, &["Restored 30"]);
    same_licenses(Path::new(store), DENIED, &place.join("restored"));
    fs::remove_dir_all(place).unwrap();
}
