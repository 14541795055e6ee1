//! What the command-line tool puts back of a backup: one licence of many, what is intact of a damaged
//! one, and what is of another machine.

use std::fs;
use std::os::unix::fs::FileExt;
use std::process::Command;

use crate::harness::*;
use crate::tool::{check, noise, tool, write};

/// `restore --key-id`: one licence, several, none.
#[test]
fn one_license() {
    let place = scratch();
    write(&place.join("store/other.lic"), "other");
    write(&place.join("store/one/same.lic"), "first");
    write(&place.join("store/two/same.lic"), "second");
    fs::create_dir(place.join("backups")).unwrap();
    expect(&mut tool(&["backup", "store", "backups"], &place));
    let restore = |options: &[&str], code: i32, words: &[&str]| {
        let arguments = [&["restore"], options, &["backups", "restored"]].concat();
        check(&arguments, &place, code, words);
    };
    restore(
        &["--dry-run", "--key-id", "other"],
        0,
        &["Would restore 1 licence (5 B)\n"],
    );
    assert!(!place.join("restored").exists());
    restore(&["--key-id", "other"], 0, &["Restored 1 licence (5 B)\n"]);
    assert_eq!(read(&place.join("restored/other.lic")), "other");
    assert_eq!(fs::read_dir(place.join("restored")).unwrap().count(), 1);

    write(&place.join("restored/two/same.lic"), "in use");
    restore(
        &["--key-id", "same"],
        0,
        &["kept: two/same.lic", "Restored 1 licence", "; 1 kept"],
    );
    restore(&["--key-id", "same", "--overwrite"], 0, &["2 licences"]);
    expect(
        Command::new("diff")
            .args(["-r", "store", "restored"])
            .current_dir(&place),
    );

    restore(
        &["--key-id", "Same"],
        1,
        &["'Same'", "HRESULT_ERROR_NOT_FOUND, 0x80070490"],
    );
    restore(&["--key-id", "a\nb"], 2, &["E_INVALIDARG"]);
    fs::remove_dir_all(place).unwrap();
}

/// `restore --salvage`: the summary has what came back, the exit code that something is lost.
#[test]
fn salvage() {
    let place = scratch();
    for (seed, name) in [(1, "a.lic"), (2, "b.lic"), (3, "c.lic")] {
        write(&place.join("store").join(name), noise(1_500_000, seed));
    }
    fs::create_dir(place.join("backups")).unwrap();
    expect(&mut tool(&["backup", "store", "backups"], &place));
    let mut options = fs::File::options();
    let file = options
        .write(true)
        .open(place.join("backups/licenses.tar.zst"))
        .unwrap();
    file.write_all_at(&[0; 1000], 2_000_000).unwrap(); // within b.lic

    let corrupt = "NS_E_DRM_BACKUP_CORRUPT, 0xC00D2743";
    let restore = |options: &[&str], words: &[&str]| {
        let arguments = [&["restore"], options, &["backups", "restored"]].concat();
        check(&arguments, &place, 1, &[words, &[corrupt]].concat());
    };
    restore(&[], &["use --salvage"]);
    restore(
        &["--salvage", "--dry-run"],
        &["Would restore 2 licences (2.9 MiB); 1 lost\n"],
    );
    assert!(!place.join("restored").exists());
    restore(&["--salvage", "--key-id", "b"], &["Restored 0", "; 1 lost"]);
    restore(
        &["--salvage"],
        &["damaged: b.lic", "Restored 2 licences (2.9 MiB); 1 lost\n"],
    );
    expect(
        Command::new("diff")
            .args(["-r", "-x", "b.lic", "store", "restored"])
            .current_dir(&place),
    );
    assert!(!place.join("restored/b.lic").exists());

    let (_, text) = run(&mut tool(
        &["restore", "--salvage", "backups", "restored"],
        &place,
    ));
    assert!(!text.contains("use --salvage"), "{text}");
    check(&["verify", "backups"], &place, 1, &["damaged: b.lic"]);
    fs::remove_dir_all(place).unwrap();
}

/// A backup of another machine is restored with the user's consent alone.
#[test]
fn another_machine() {
    let place = scratch();
    write(&place.join("store/a.lic"), "text");
    fs::create_dir(place.join("backups")).unwrap();
    let ours = ["backup", "--machine-id", "seat 7", "store", "backups"];
    expect(&mut tool(&ours, &place));
    let restore = |options: &[&str], code, words: &[&str]| {
        let command = [&["restore"], options, &["backups", "restored"]].concat();
        check(&command, &place, code, words);
        assert_eq!(place.join("restored").exists(), words == ["Restored 1"]);
        let _ = fs::remove_dir_all(place.join("restored"));
    };
    let (other, consent) = (["--machine-id", "seat 8"], "--individualize");
    restore(&["--machine-id", "seat 7"], 0, &["Restored 1"]);
    restore(&[], 0, &["Restored 1"]); // which machine this is, nobody says
    restore(
        &other,
        1,
        &["NEEDS_INDIVIDUALIZATION", "use --individualize"],
    );
    restore(
        &[&other[..], &["--dry-run"]].concat(),
        0,
        &["Would", "with --individualize"],
    );
    restore(&[&other[..], &[consent]].concat(), 0, &["Restored 1"]);
    fs::remove_dir_all(place).unwrap();
}
