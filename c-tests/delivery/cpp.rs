//! C++: the header of C in it, and `licbak.hpp`.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::harness::*;

#[test]
fn cxx() {
    if !has("c++") {
        return skip("C++ programs", "no c++");
    }
    for standard in ["-std=c++11", "-std=c++14", "-std=c++17", "-std=c++20"] {
        let program = build("c++", "cxx.cpp", &[standard]);
        expect_passed("cxx", &mut Command::new(&program));
        remove_built(&program);
    }
}

/// Builds and runs the program of two translation units.
fn hpp_program(compiler: &str, flags: &[&str]) {
    let other = source("hpp_other.cpp");
    let all = [
        flags,
        &["-Wconversion", "-Wshadow", other.to_str().unwrap()],
    ]
    .concat();
    let program = build(compiler, "hpp.cpp", &all);
    expect_passed("hpp", &mut Command::new(&program));
    remove_built(&program);
}

#[test]
fn hpp() {
    for compiler in ["c++", "clang++"] {
        if !has(compiler) {
            skip(&format!("licbak.hpp in {compiler}"), "not installed");
            continue;
        }
        for standard in ["-std=c++17", "-std=c++20"] {
            hpp_program(compiler, &[standard]);
        }
    }
}

#[test]
fn hpp_sanitized() {
    if !can_sanitize("c++") {
        return skip("licbak.hpp sanitized", "no c++, or one without sanitizers");
    }
    hpp_program("c++", &[&["-std=c++17"], SANITIZE].concat());
}

/// `errc` has every failure that the library returns.
#[test]
fn hpp_knows_every_failure() {
    let include = Path::new(env!("CARGO_MANIFEST_DIR")).join("include");
    let header = fs::read_to_string(include.join("licbak.h")).unwrap();
    let wrapper = fs::read_to_string(include.join("licbak.hpp")).unwrap();
    // The originals that are never returned, and what the wrapper itself fails with.
    let others = [
        "LICBAK_E_ABORT",
        "LICBAK_NS_E_DRM_NEEDS_INDIVIDUALIZATION",
        "LICBAK_NS_E_DRM_RESTORE_FRAUD",
        "LICBAK_NS_E_DRM_RESTORE_SERVICE_UNAVAILABLE",
    ];
    let names: Vec<_> = header
        .lines()
        .filter_map(|line| {
            line.strip_prefix("#define ")?
                .split_once(" LICBAK_HRESULT_C(0x")
        })
        .filter(|(name, value)| !value.starts_with("0000000") && !others.contains(name))
        .map(|(name, _)| name)
        .collect();
    assert!(names.len() > 30, "{names:?}");
    for name in names {
        assert!(wrapper.contains(&format!(" = {name},")), "{name}");
    }
}
