//! Checks that the layers of the crate use only those below them, and that its files import in no
//! circle.

mod drawing;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Each layer with the layers that it may use. All may use `error`, and `error` only `sys`.
const LAYERS: [(&str, &[&str]); 18] = [
    (
        "abi",
        &["engine", "store", "license", "sync", "sys", "error"],
    ),
    (
        "engine",
        &[
            "store",
            "encryption",
            "archive",
            "location",
            "license",
            "buffer",
            "random",
            "secret",
            "sync",
            "sys",
            "error",
        ],
    ),
    (
        "store",
        &["license", "buffer", "random", "sync", "sys", "error"],
    ),
    (
        "encryption",
        &["archive", "buffer", "cipher", "secret", "sync"],
    ),
    (
        "archive",
        &["license", "buffer", "bytes", "random", "json", "digest"],
    ),
    (
        "location",
        &["buffer", "random", "secret", "xml", "sync", "sys", "error"],
    ),
    ("license", &["bytes", "random", "json", "xml", "error"]),
    ("error.rs", &["sys"]),
    ("buffer.rs", &[]),
    ("bytes.rs", &[]),
    ("json.rs", &[]),
    ("cipher.rs", &[]),
    ("random.rs", &["sys"]),
    ("secret.rs", &["sys"]),
    ("xml.rs", &[]),
    ("digest", &[]),
    ("sync", &["sys"]),
    ("sys", &["buffer", "cipher"]),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// Collects all files of the crate by their modules.
fn files(folder: &Path, module: &[String]) -> BTreeMap<Vec<String>, String> {
    let mut files = BTreeMap::new();
    for path in fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
    {
        let noun = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let mut own = module.to_vec();
        if path.is_dir() {
            own.push(noun);
            files.append(&mut self::files(&path, &own));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            if noun != "mod" && noun != "lib" {
                own.push(noun);
            }
            let source = fs::read_to_string(&path).unwrap();
            let code = source
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"));
            files.insert(own, code.map(|line| format!("{line}\n")).collect());
        }
    }
    files
}

/// Finds the paths in a source that begin with `crate`, `super`, `self` or one of its own modules,
/// those in braces one by one.
fn paths(source: &str) -> Vec<String> {
    let own = source.lines().filter_map(|line| {
        let (_, noun) = line.strip_suffix(';')?.split_once("mod ")?;
        Some(noun)
    });
    let mut paths = Vec::new();
    for start in ["crate", "super", "self"].into_iter().chain(own) {
        for (at, _) in source.match_indices(&format!("{start}::")) {
            let before = source[..at].chars().next_back();
            if !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':') {
                expand("", &source[at..], &mut paths);
            }
        }
    }
    paths
}

/// Adds the paths of one tree of names behind `prefix`; returns the text that follows it.
fn expand<'s>(prefix: &str, tree: &'s str, paths: &mut Vec<String>) -> &'s str {
    let is_of_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let tree = tree.trim_start();
    let (own, mut rest) = tree.split_at(tree.find(|c| !is_of_path(c)).unwrap_or(tree.len()));
    let path = format!("{prefix}{own}");
    if !path.ends_with("::") || !rest.starts_with('{') {
        paths.push(path);
        return rest;
    }
    while let Some(next) = rest.strip_prefix(['{', ',']) {
        rest = match next.trim_start().starts_with('}') {
            true => next.trim_start(),
            false => expand(&path, next, paths).trim_start(),
        };
    }
    rest.strip_prefix('}').unwrap_or(rest)
}

/// Finds the module that a path leads to from `here`.
fn module_of(
    path: &str,
    here: &[String],
    files: &BTreeMap<Vec<String>, String>,
) -> Option<Vec<String>> {
    let mut module = here.to_vec();
    for segment in path.split("::") {
        match segment {
            "crate" => module.clear(),
            "self" => {}
            "super" => drop(module.pop()),
            segment => module.push(segment.to_owned()),
        }
    }
    while !files.contains_key(&module) {
        module.pop()?;
    }
    Some(module).filter(|module| !module.is_empty() && module != here)
}

#[test]
fn arrows_point_down() {
    let files = files(&root(), &[]);
    let mut arrows = 0;
    for (layer, below) in LAYERS {
        let noun = layer.trim_end_matches(".rs");
        let own = files
            .iter()
            .filter(|(module, _)| module.first().is_some_and(|own| own == noun));
        for (module, source) in own {
            // All of the source counts, tests too.
            for used in source.split("crate::").skip(1) {
                let used = used
                    .split(|c: char| !c.is_ascii_lowercase())
                    .next()
                    .unwrap_or("");
                assert!(
                    used == noun || below.contains(&used),
                    "{} uses crate::{used}",
                    module.join("::")
                );
                arrows += usize::from(used != noun);
            }
        }
    }
    assert!(arrows > 40, "the test has lost sight of the sources");
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let files = files(&root(), &[]);
    let mut uses: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for (module, source) in &files {
        let product = source.split("mod tests {").next().unwrap_or("");
        let used = paths(product).into_iter();
        uses.insert(
            module.clone(),
            used.filter_map(|path| module_of(&path, module, &files))
                .collect(),
        );
    }
    let arrows: usize = uses.values().map(BTreeSet::len).sum();
    assert!(arrows > 200, "the test has lost sight of the sources");
    // A file that uses no remaining file is in no circle.
    while let Some(done) = uses
        .iter()
        .find(|(_, used)| used.is_empty())
        .map(|(module, _)| module.clone())
    {
        uses.remove(&done);
        for used in uses.values_mut() {
            used.remove(&done);
        }
    }
    let left: Vec<_> = uses
        .iter()
        .map(|(module, used)| (module.join("::"), used))
        .collect();
    assert!(
        left.is_empty(),
        "a circle is among these, and what they use: {left:#?}"
    );
}

#[test]
fn only_abi_sys_and_digest_are_unsafe() {
    for (layer, _) in LAYERS {
        if ["abi", "sys", "digest"].contains(&layer) {
            continue;
        }
        let path = root().join(layer);
        let file = match path.is_dir() {
            true => path.join("mod.rs"),
            false => path,
        };
        let module = fs::read_to_string(file).unwrap();
        assert!(module.contains("#![forbid(unsafe_code)]"), "{layer}");
    }
}
