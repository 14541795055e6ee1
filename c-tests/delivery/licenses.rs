//! The licences of what is inside of the library: LICENSE-THIRD-PARTY is as the crates have it and
//! comes with every installation, and nothing is in it that not everybody may pass on.
//! `LICBAK_BLESS=1 cargo test --release --test c licenses` writes the file anew.

#![allow(clippy::indexing_slicing)] // of JSON

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::harness::*;

/// Of what is linked into the library.
const INSIDE: &[&str] = &[
    "MIT",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "Zlib",
    "Unicode-3.0",
    "ISC",
];
/// Of what only builds or tests it, besides those.
const BESIDE: &[&str] = &["MPL-2.0"];

/// What no crate says.
const PREFACE: &str = "\
What is inside of liblicbak.so and liblicbak.a beside licbak itself, and on what terms. Where a
crate gives the choice it is taken under the MIT licence.

The Rust standard library, with the crates that it is made of: MIT OR Apache-2.0, copyright (c)
The Rust Project Contributors. The words of both are in LICENSE-MIT and LICENSE-APACHE beside this
file.

SQLite, in libsqlite3-sys: in the public domain, see https://sqlite.org/copyright.html.

zstd, in zstd-sys: the BSD licence of Meta Platforms, Inc. and affiliates, below.
";

/// One that the project is built from.
pub struct Crate {
    name: String,
    license: String,
    authors: String,
    pub folder: PathBuf,
    inside: bool,
}

impl Crate {
    /// Its licence files, or that of MIT where there is one.
    fn texts(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.folder).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.filter(|name| name.starts_with("LICENSE")).collect();
        names.sort();
        if let Some(mit) = names.iter().find(|name| name.starts_with("LICENSE-MIT")) {
            names = vec![mit.clone()];
        }
        if self.name == "zstd-sys" {
            names.push("zstd/LICENSE".to_owned());
        }
        // Some packages leave the text out; that of MIT is the same but for who has written it.
        let is_mit = is_allowed(&self.license, |word| word == "MIT");
        assert!(
            !names.is_empty() || is_mit,
            "{} has no licence file",
            self.name
        );
        let text = |name: &String| {
            let text = read(&self.folder.join(name));
            let lines: Vec<_> = text.lines().map(str::trim_end).collect();
            lines.join("\n").trim_matches('\n').to_owned()
        };
        names.iter().map(text).collect()
    }
}

/// The crates that are built on Linux, sorted by their names.
pub fn crates() -> Vec<Crate> {
    let mut metadata = Command::new("cargo");
    metadata.args(["metadata", "--locked", "--format-version", "1"]);
    metadata.args(["--filter-platform", "x86_64-unknown-linux-gnu"]);
    metadata.current_dir(env!("CARGO_MANIFEST_DIR"));
    let text = String::from_utf8(metadata.output().unwrap().stdout).unwrap();
    let metadata: Value = serde_json::from_str(&text).unwrap();
    let list = |value: &Value, key: &str| value[key].as_array().unwrap().clone();
    let packages = list(&metadata, "packages");
    let nodes = list(&metadata["resolve"], "nodes");

    // What is linked: all that it depends on, but for what build scripts, tests and macros do.
    let is_macro = |id: &Value| {
        let package = packages.iter().find(|package| package["id"] == *id);
        package.unwrap()["targets"][0]["kind"][0] == "proc-macro"
    };
    let root = metadata["resolve"]["root"].as_str().unwrap().to_owned();
    let mut inside = BTreeSet::new();
    let mut to_do = vec![root.clone()];
    while let Some(id) = to_do.pop() {
        let node = nodes.iter().find(|node| node["id"] == *id).unwrap();
        for dependency in list(node, "deps") {
            let linked = list(&dependency, "dep_kinds")
                .iter()
                .any(|kind| kind["kind"].is_null());
            if linked && !is_macro(&dependency["pkg"]) {
                let id = dependency["pkg"].as_str().unwrap().to_owned();
                if inside.insert(id.clone()) {
                    to_do.push(id);
                }
            }
        }
    }

    let others = packages.iter().filter(|package| package["id"] != *root);
    let mut crates: Vec<_> = others
        .map(|package| Crate {
            name: package["name"].as_str().unwrap().to_owned(),
            license: package["license"].as_str().unwrap_or_default().to_owned(),
            authors: list(package, "authors")
                .iter()
                .filter_map(Value::as_str)
                .collect::<Vec<_>>()
                .join(", "),
            folder: Path::new(package["manifest_path"].as_str().unwrap())
                .parent()
                .unwrap()
                .to_owned(),
            inside: inside.contains(package["id"].as_str().unwrap()),
        })
        .collect();
    crates.sort_by(|one, other| one.name.cmp(&other.name));
    crates
}

/// Whether an expression such as "(MIT OR Apache-2.0) AND Zlib" leaves a choice that is allowed.
fn is_allowed(license: &str, allowed: impl Fn(&str) -> bool) -> bool {
    let license = license.replace('/', " OR ").replace(['(', ')'], "");
    let mut parts = license.split(" AND ");
    parts.all(|part| part.split(" OR ").any(&allowed))
}

#[test]
fn licenses_of_all_crates() {
    let crates = crates();
    for Crate {
        name,
        license,
        inside,
        ..
    } in &crates
    {
        let allowed = |word: &str| INSIDE.contains(&word) || (!inside && BESIDE.contains(&word));
        assert!(is_allowed(license, allowed), "{name}: {license:?}");
    }
    let inside = crates.iter().filter(|one| one.inside).count();
    say(&format!(
        "licenses: crates {}, inside {inside}",
        crates.len()
    ));
    assert!(inside > 10);
    assert!(!is_allowed("MIT AND GPL-3.0-only", |word| word == "MIT"));
}

#[test]
fn licenses_of_what_is_inside() {
    let mut texts: Vec<(String, Vec<String>)> = Vec::new();
    let mut without = String::new();
    for one in crates().iter().filter(|one| one.inside) {
        let own = one.texts();
        if own.is_empty() {
            without += &format!("{}: {}\n", one.name, one.authors);
        }
        for text in own {
            match texts.iter_mut().find(|(known, _)| *known == text) {
                Some((_, names)) => names.push(one.name.clone()),
                None => texts.push((text, vec![one.name.clone()])),
            }
        }
    }
    let mut expected = PREFACE.to_owned();
    if !without.is_empty() {
        expected += "\nCrates under the MIT licence whose packages do not have its words, which are in LICENSE-MIT:\n\n";
        expected += &without;
    }
    for (text, names) in texts {
        let line = "-".repeat(100);
        expected += &format!("\n{line}\n{}\n\n{text}\n", names.join(", "));
    }
    for words in ["Meta Platforms", "Alexandre Bury", "Orson Peters"] {
        assert!(expected.contains(words), "{words}"); // zstd, zstd-safe, foldhash
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("LICENSE-THIRD-PARTY");
    if std::env::var_os("LICBAK_BLESS").is_some() {
        fs::write(&path, &expected).unwrap();
    }
    assert!(
        read(&path) == expected,
        "LICENSE-THIRD-PARTY is of other crates; see c-tests/delivery/licenses.rs"
    );
}

/// Ours, and those of what is inside, are in a folder.
pub fn check_licenses(folder: &Path) {
    for name in ["LICENSE-MIT", "LICENSE-APACHE", "LICENSE-THIRD-PARTY"] {
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
        assert_eq!(read(&folder.join(name)), read(&here), "{name}");
    }
}

#[test]
fn licenses_are_installed() {
    check_licenses(&stage().join("share/licenses/licbak"));
}
