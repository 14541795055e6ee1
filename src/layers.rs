//! The layers of the crate: arrows point down only.

use std::fs;
use std::path::Path;

/// Each layer, and what it may use. All may use `error`, and `error` only `sys`.
const LAYERS: [(&str, &[&str]); 10] = [
    ("abi", &["engine", "store", "license", "sys", "error"]),
    (
        "engine",
        &[
            "store", "archive", "location", "license", "buffer", "sys", "error",
        ],
    ),
    ("store", &["license", "buffer", "sys", "error"]),
    ("archive", &["license", "buffer", "json", "sys"]),
    ("location", &["sys", "error"]),
    ("license", &["json", "error"]),
    ("error.rs", &["sys"]),
    ("buffer.rs", &[]),
    ("json.rs", &[]),
    ("sys", &[]),
];

fn sources(path: &Path) -> Vec<(String, String)> {
    if path.is_file() {
        return vec![(
            path.display().to_string(),
            fs::read_to_string(path).unwrap(),
        )];
    }
    let entries = fs::read_dir(path)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries
        .filter(|path| path.is_dir() || path.extension().is_some_and(|e| e == "rs"))
        .flat_map(|path| sources(&path))
        .collect()
}

/// The layers that a source names after `crate::`.
fn used(source: &str) -> impl Iterator<Item = &str> {
    let code = source
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    let after = code.flat_map(|line| line.split("crate::").skip(1));
    after.map(|rest| {
        rest.split(|c: char| !c.is_ascii_lowercase())
            .next()
            .unwrap_or("")
    })
}

#[test]
fn arrows_point_down() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut arrows = 0;
    for (layer, below) in LAYERS {
        for (file, source) in sources(&root.join(layer)) {
            for used in used(&source) {
                let own = used == layer;
                assert!(own || below.contains(&used), "{file} uses crate::{used}");
                arrows += usize::from(!own);
            }
        }
    }
    assert!(arrows > 40, "the test has lost sight of the sources");
}

/// Of `sys` archive has the digests, and nothing by which it would touch a disk or the clock.
#[test]
fn archive_is_pure() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/archive");
    for (file, source) in sources(&root) {
        let mut of_sys = source.split("crate::sys::").skip(1);
        assert!(of_sys.all(|used| used.starts_with("sha256")), "{file}");
    }
}

#[test]
fn only_abi_and_sys_are_unsafe() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for layer in ["engine", "store", "archive", "location", "license"] {
        let module = fs::read_to_string(root.join(layer).join("mod.rs")).unwrap();
        assert!(module.contains("#![forbid(unsafe_code)]"), "{layer}");
    }
}
