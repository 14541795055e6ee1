//! What the command-line tool prints, for people and for scripts.

use std::fs;
use std::process::Command;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::docs::{DENIED, licenses};
use crate::harness::*;
use crate::tool::{check, list_json, noise, shell, tool, write};

/// `list --json`: what a script reads is what the licences are, whatever their names.
#[test]
fn list_as_json() {
    let place = scratch();
    let at = SystemTime::UNIX_EPOCH;
    let nanosecond = Duration::from_nanos(1);
    let later = at + Duration::new(1_600_000_000, 120_000_000);
    let lcp = |id: &str| {
        let content =
            json!({"id": id, "issued": "2026-01-01T00:00:00Z", "provider": "p", "encryption": {}});
        content.to_string()
    };
    let wmdrm = "<LICENSE version=\"2.0.0.0\"><LICENSORINFO><DATA><KID>k=</KID>\
                 <ONACTION type=\"Backup\"/></DATA></LICENSORINFO></LICENSE>";
    let opaque = "text".to_owned();
    // In the order of a backup.
    let cases = [
        (
            "\"quoted\" it's.lic",
            opaque.clone(),
            later,
            json!({"key_id": "\"quoted\" it's", "format": "opaque", "right": "unstated",
                "size": 4, "modified": "2020-09-13T12:26:40.120000000Z"}),
        ),
        (
            "allowed.xml",
            wmdrm.to_owned(),
            at - nanosecond,
            json!({"key_id": "k=", "format": "wmdrm", "right": "allowed",
                "size": wmdrm.len(), "modified": "1969-12-31T23:59:59.999999999Z"}),
        ),
        (
            "book.lcpl",
            lcp("a\\b \"c\"\u{2028}\u{1F511}"),
            at + nanosecond,
            json!({"key_id": "a\\b \"c\"\u{2028}\u{1F511}", "format": "lcp", "right": "unstated",
                "size": lcp("a\\b \"c\"\u{2028}\u{1F511}").len(),
                "modified": "1970-01-01T00:00:00.000000001Z"}),
        ),
        (
            "Élise/été.lic",
            opaque,
            at,
            json!({"key_id": "été", "format": "opaque", "right": "unstated", "size": 4,
                "modified": null}),
        ),
    ];
    for (name, content, modified, _) in &cases {
        let path = place.join("store").join(name);
        write(&path, content);
        let file = fs::File::options().append(true).open(path).unwrap();
        file.set_modified(*modified).unwrap();
    }
    fs::create_dir(place.join("backups")).unwrap();
    expect(&mut tool(&["backup", "store", "backups"], &place));
    let mut listed = list_json(&place, "backups");
    assert_eq!(listed.len(), cases.len());
    for ((name, _, _, expected), license) in cases.iter().zip(&mut listed) {
        let told = license.as_object_mut().unwrap();
        assert_eq!(told.remove("name").unwrap(), *name);
        assert_eq!(license, expected);
    }
    let text = expect(&mut tool(&["list", "--json", "backups"], &place));
    assert!(text.contains("\"name\":\"Élise/été.lic\""), "{text}"); // not as \u00c9
    fs::remove_dir_all(place).unwrap();
}

/// `list` for people: columns, which a terminal gets with a header and a pipe without one.
#[test]
fn list_in_columns() {
    let place = scratch();
    write(&place.join("store/Élise.lic"), "1");
    write(&place.join("store/seat.lic"), noise(1234, 1));
    fs::create_dir(place.join("backups")).unwrap();
    expect(&mut tool(&["backup", "store", "backups"], &place));
    let rows = [
        format!("opaque  unstated      1234  {:40}  seat.lic", "seat"),
        format!("opaque  unstated         1  {:40}  Élise.lic", "Élise"),
    ];
    let header = format!("FORMAT  RIGHT         SIZE  {:40}  NAME", "KEY ID");
    let text = expect(&mut tool(&["list", "backups"], &place));
    assert_eq!(text.lines().collect::<Vec<_>>(), rows);

    let on_terminal = "import pty, sys; sys.exit(pty.spawn(sys.argv[1:]) >> 8)";
    let mut python = Command::new("python3");
    python
        .args(["-c", on_terminal])
        .arg(stage().join("bin/licbak"));
    let text = expect(python.args(["list", "backups"]).current_dir(&place));
    let shown: Vec<_> = text.lines().map(str::trim_end).collect();
    assert_eq!(shown, [header.as_str(), &rows[0], &rows[1]]);
    fs::remove_dir_all(place).unwrap();
}

/// `list` shows no character that would turn the order of its row, wherever that stands.
#[test]
fn list_of_names_with_an_effect() {
    let place = scratch();
    let name = |before: usize, effect: &str| format!("{}{effect}é.lic", "a".repeat(before));
    for before in 0..20 {
        write(&place.join("store").join(name(before, "\u{202e}")), "1");
    }
    fs::create_dir(place.join("backups")).unwrap();
    expect(&mut tool(&["backup", "store", "backups"], &place));
    let shown = (0..20).rev().map(|before| name(before, "?"));
    let rows = shown.map(|name| {
        let key_id = name.trim_end_matches(".lic");
        format!("opaque  unstated         1  {key_id:40}  {name}")
    });
    let text = expect(&mut tool(&["list", "backups"], &place));
    assert_eq!(text.lines().collect::<Vec<_>>(), rows.collect::<Vec<_>>());
    fs::remove_dir_all(place).unwrap();
}

/// `info`: one fact a line, or one object, and the machine beside --machine-id.
#[test]
fn info() {
    let place = scratch();
    write(&place.join("store/a.lic"), "text");
    write(&place.join("store/b.lic"), "licence");
    write(
        &place.join("store/denied.xml"),
        "<LICENSE version=\"2.0.0.0\"><LICENSORINFO><DATA><KID>k</KID></DATA></LICENSORINFO></LICENSE>",
    );
    fs::create_dir(place.join("backups")).unwrap();
    let backup = |options: &[&str]| {
        let arguments = [&["backup", "--full", "--overwrite"], options].concat();
        let mut command = tool(&[&arguments[..], &["store", "backups"]].concat(), &place);
        expect(command.env("SOURCE_DATE_EPOCH", "1600000000"));
    };
    let json = |options: &[&str]| -> Value {
        let arguments = [&["info", "--json"], options, &["backups"]].concat();
        let text = expect(&mut tool(&arguments, &place));
        assert_eq!(text.lines().count(), 1);
        serde_json::from_str(&text).unwrap()
    };
    check(&["info", "backups"], &place, 1, &["ERROR_FILE_NOT_FOUND"]);
    backup(&["--machine-id", "seat 7"]);
    let first = json(&[]);
    let id = first.get("id").and_then(Value::as_str).unwrap();
    backup(&["--machine-id", "seat 7"]);
    let size = fs::metadata(place.join("backups/licenses.tar.zst"))
        .unwrap()
        .len();
    let expected = json!({"id": id, "generation": 2, "created": "2020-09-13T12:26:40.000000000Z",
        "machine": "unknown", "licenses": 2, "restricted": 1, "content_bytes": 11, "backup_bytes": size,
        "encrypted": false, "version": [1, 2]});
    assert_eq!(json(&[]), expected);
    for (word, machine) in [("seat 7", "same"), ("seat 8", "other")] {
        let told = json(&["--machine-id", word]);
        assert_eq!(told.get("machine").unwrap(), machine);
    }

    let text = expect(&mut tool(
        &["info", "--machine-id", "seat 7", "backups"],
        &place,
    ));
    let expected = format!(
        "id          {id}\ngeneration  2\ncreated     2020-09-13 12:26:40 UTC\nmachine     same\n\
         licences    2\nrestricted  1\ncontent     11 bytes\nbackup      {size} bytes\n\
         encrypted   no\nversion     1.2\n"
    );
    assert_eq!(text, expected);

    // The file itself, under another name.
    fs::rename(place.join("backups/licenses.tar.zst"), place.join("copy")).unwrap();
    let copy = |command: &[&str], words: &str| check(command, &place, 0, &[words]);
    copy(&["info", "copy"], id);
    copy(&["list", "copy"], "b.lic");
    copy(&["verify", "copy"], "Verified 2");
    copy(&["restore", "copy", "restored"], "Restored 2");
    fs::remove_dir_all(place).unwrap();
}

/// An option's help is about its own command.
#[test]
fn help_of_a_command() {
    let place = scratch();
    for (command, option, about) in [
        ("backup", "--overwrite", "replace the backup that is there"),
        ("restore", "--overwrite", "replace licences that differ"),
        (
            "backup",
            "--machine-id WORD",
            "the backup keeps a hash of it",
        ),
        (
            "restore",
            "--machine-id WORD",
            "a backup of another is refused",
        ),
        ("info", "--machine-id WORD", "machine is same or other"),
        ("backup", "--threads N", "from 1 to 256"),
        ("backup", "--level N", "from -131072 to 22"),
    ] {
        let help = expect(&mut tool(&["help", command], &place));
        let mut rows = help
            .lines()
            .filter(|line| line.trim_start().starts_with(option));
        assert!(rows.next().unwrap().contains(about), "{command}: {help}");
        assert_eq!(rows.next(), None, "{command}: {help}");
    }
    fs::remove_dir(place).unwrap();
}

/// `--json` of an operation: an object for each licence that is told, and one for the end.
#[test]
fn operations_as_json() {
    let place = scratch();
    let store = licenses();
    let store = store.to_str().unwrap();
    fs::create_dir(place.join("backups")).unwrap();
    let objects = |arguments: &[&str], code: i32| -> Vec<Value> {
        let mut command = tool(arguments, &place);
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}");
        assert_eq!(output.stderr.is_empty(), code == 0, "{arguments:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    };
    let told = objects(&["backup", "--json", "--verify", store, "backups"], 0);
    let [left_out @ .., backup, verify] = &told[..] else {
        panic!("{told:?}")
    };
    assert_eq!(left_out.len(), DENIED.len());
    for license in left_out {
        assert_eq!(license["event"], "left_out");
        assert!(
            license["text"]
                .as_str()
                .unwrap()
                .ends_with(": its issuer denies backup")
        );
        assert!(!license["key_id"].as_str().unwrap().is_empty());
    }
    let size = fs::metadata(place.join("backups/licenses.tar.zst"))
        .unwrap()
        .len();
    let bytes = backup["content_bytes"].clone();
    let end = |operation: &str, restricted: usize| {
        json!({"event": "end", "operation": operation, "outcome": "LICBAK_S_OK", "code": "0x00000000",
            "message": null,
            "licenses": 30, "restricted": restricted, "kept": 0, "damaged": 0, "skipped": 0, "gone": 0,
            "content_bytes": bytes, "backup_bytes": size})
    };
    assert_eq!(*backup, end("backup", DENIED.len()));
    assert_eq!(*verify, end("verify", 0));
    let told = objects(&["restore", "--json", "backups", "restored"], 0);
    assert_eq!(told, [end("restore", 0)]);
    let name = "seats/engineering/cadworks.lic";
    fs::write(place.join("restored").join(name), "in use").unwrap();
    let told = objects(&["restore", "--json", "backups", "restored"], 0);
    let [kept, end] = &told[..] else {
        panic!("{told:?}")
    };
    assert_eq!(*kept, json!({"event": "kept", "name": name}));
    assert_eq!(end["kept"], 1);
    let told = objects(&["backup", "--json", store, "backups"], 1);
    let [end] = &told[..] else { panic!("{told:?}") };
    assert_eq!(end["outcome"], "LICBAK_NS_E_DRM_BACKUP_EXISTS");
    let message = end["message"].as_str().unwrap();
    assert!(
        message.starts_with("There is a backup in 'backups' already"),
        "{message}"
    );
    fs::remove_dir_all(place).unwrap();
}

/// With `--json` also what fails before it has begun ends with its one last object, and what is not
/// known is null.
#[test]
fn early_failures_as_json() {
    let place = scratch();
    write(&place.join("store/a.lic"), "text");
    fs::create_dir(place.join("backups")).unwrap();
    expect(&mut tool(&["backup", "store", "backups"], &place));
    for (line, outcome, number, words, figure) in [
        (
            "backup store backups",
            "NS_E_DRM_BACKUP_EXISTS",
            "0xC00D2742",
            "There is a backup in 'backups' already",
            json!(null),
        ),
        (
            "backup --overwrite nowhere backups",
            "HRESULT_ERROR_PATH_NOT_FOUND",
            "0x80070003",
            "Cannot open the directory 'nowhere'",
            json!(0),
        ),
        (
            "restore https://backups restored",
            "E_INVALIDARG",
            "0x80070057",
            "RestorePath: A path must",
            json!(null),
        ),
        (
            "verify nowhere",
            "HRESULT_ERROR_PATH_NOT_FOUND",
            "0x80070003",
            "Cannot open the directory 'nowhere'",
            json!(0),
        ),
        (
            "list nowhere",
            "HRESULT_ERROR_PATH_NOT_FOUND",
            "0x80070003",
            "Cannot open the directory 'nowhere'",
            json!(null),
        ),
        (
            "info store",
            "HRESULT_ERROR_FILE_NOT_FOUND",
            "0x80070002",
            "There is no backup (licenses.tar.zst, or licenses.tar.zst.age) in 'store'",
            json!(null),
        ),
        (
            "backup --threads=many store backups",
            "E_INVALIDARG",
            "0x80070057",
            "--threads: needs a number",
            json!(null),
        ),
        (
            "backup store",
            "E_INVALIDARG",
            "0x80070057",
            "backup: a path is missing",
            json!(null),
        ),
        (
            "verify one \u{e9}",
            "E_INVALIDARG",
            "0x80070057",
            "??: one path too many",
            json!(null),
        ),
    ] {
        let mut arguments: Vec<&str> = line.split(' ').collect();
        arguments.push("--json");
        let output = tool(&arguments, &place).output().unwrap();
        let code = if outcome == "E_INVALIDARG" { 2 } else { 1 };
        assert_eq!(output.status.code(), Some(code), "{line}");
        assert!(!output.stderr.is_empty(), "{line}");
        let mut end: Value = serde_json::from_slice(&output.stdout).expect(line);
        let message = end.get_mut("message").unwrap().take();
        let message = message.as_str().unwrap();
        assert!(message.starts_with(words), "{line}: {message}");
        let expected = json!({"event": "end", "operation": arguments.first().unwrap(),
            "outcome": format!("LICBAK_{outcome}"), "code": number, "message": null,
            "licenses": figure, "restricted": figure, "kept": figure, "damaged": figure,
            "skipped": figure, "gone": null, "content_bytes": figure, "backup_bytes": figure});
        assert_eq!(end, expected, "{line}");
    }
    fs::remove_dir_all(place).unwrap();
}

/// A list that can't be written is an error, and no word of the tool gets into a backup.
#[test]
fn output_that_is_no_output() {
    let place = scratch();
    fs::create_dir(place.join("backups")).unwrap();
    let store = licenses();
    std::os::unix::fs::symlink(&store, place.join("store")).unwrap();
    for (streams, code) in [
        ("2>&-", 0),
        ("<&- 2>&-", 0),
        ("<&- >&- 2>&-", 1),
        (">&-", 1),
    ] {
        let line = format!("exec licbak backup --overwrite store backups {streams}");
        let (status, text) = run(&mut shell(&line, &place));
        assert_eq!(status.code(), Some(code), "{streams}: {text}");
        check(&["verify", "backups"], &place, 0, &["Verified 30"]);
    }
    for command in ["list", "list --json", "info", "info --json"] {
        for output in [">/dev/full", ">&-"] {
            let line = format!("exec licbak {command} backups {output}");
            let (status, text) = run(&mut shell(&line, &place));
            assert_eq!(status.code(), Some(1), "{line}: {text}");
            assert!(text.contains("can't write the output"), "{line}: {text}");
        }
    }
    fs::remove_dir_all(place).unwrap();
}
