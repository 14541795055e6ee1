//! C++: the header of C in it, `licbak.hpp`, and `licbak_wm.hpp`.

use std::collections::BTreeSet;
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

/// Builds and runs the program of two translation units, `name` and `name_other`.
fn program_of_two(name: &str, compiler: &str, flags: &[&str]) {
    let other = source(&format!("{name}_other.cpp"));
    let all = [
        flags,
        &["-Wconversion", "-Wshadow", other.to_str().unwrap()],
    ]
    .concat();
    let program = build(compiler, &format!("{name}.cpp"), &all);
    expect_passed(name, &mut Command::new(&program));
    remove_built(&program);
}

/// Those compilers of C++ that are here.
fn compilers(what: &str) -> Vec<&'static str> {
    let mut compilers = vec!["c++", "clang++"];
    compilers.retain(|compiler| {
        let is_here = has(compiler);
        if !is_here {
            skip(&format!("{what} in {compiler}"), "not installed");
        }
        is_here
    });
    compilers
}

#[test]
fn hpp() {
    // One standard each; sanitized it is in the earlier one.
    for compiler in compilers("licbak.hpp") {
        let standard = match compiler {
            "c++" => "-std=c++20",
            _ => "-std=c++17",
        };
        program_of_two("hpp", compiler, &[standard]);
    }
}

#[test]
fn hpp_sanitized() {
    if !can_sanitize("c++") {
        return skip("licbak.hpp sanitized", "no c++, or one without sanitizers");
    }
    program_of_two("hpp", "c++", &[&["-std=c++17"], SANITIZE].concat());
}

/// What `-Wall -Wextra` leave out.
const STRICTER: [&str; 5] = [
    "-Wconversion",
    "-Wshadow",
    "-Wold-style-cast",
    "-Wswitch-enum",
    "-std=c++17",
];

/// After the macros of others, and without a warning.
#[test]
fn hpp_beside_others() {
    for compiler in compilers("licbak.hpp beside others") {
        let useless = ["-Wuseless-cast"];
        let own = if compiler == "c++" { &useless[..] } else { &[] };
        let program = build(
            compiler,
            "hpp_beside.cpp",
            &[STRICTER.as_slice(), own].concat(),
        );
        expect_passed("hpp_beside", &mut Command::new(&program));
        remove_built(&program);
    }
    if !has("c++") {
        return;
    }
    for text in ["#include <licbak.hpp>\n", "#include <licbak_wm.hpp>\n"] {
        let place = scratch();
        fs::write(place.join("alone.cpp"), text).unwrap();
        let mut compiler = Command::new("c++");
        compiler
            .args(STRICT)
            .args(STRICTER)
            .args(["-Wuseless-cast", "-fsyntax-only", "alone.cpp"]);
        compiler.args(pkg_config(stage(), &["--cflags"]));
        expect(compiler.current_dir(&place));
        fs::remove_dir_all(&place).unwrap();
    }
}

/// A compiler that can't take the header is told why, first of all.
#[test]
fn hpp_says_what_it_needs() {
    if !has("c++") {
        return skip("what licbak.hpp says to older compilers", "no c++");
    }
    let include = pkg_config(stage(), &["--cflags"]);
    let place = scratch();
    fs::write(place.join("old.cpp"), "#include <licbak.hpp>\n").unwrap();
    for (flag, sentence) in [
        ("-std=c++14", "licbak.hpp needs C++17"),
        ("-fno-exceptions", "licbak.hpp throws"),
    ] {
        let mut compiler = Command::new("c++");
        compiler
            .args(["-fsyntax-only", flag, "old.cpp"])
            .args(&include);
        let (status, text) = run(compiler.current_dir(&place));
        let first = text.lines().find(|line| line.contains("error:"));
        assert!(!status.success(), "{flag}");
        assert!(
            first.is_some_and(|line| line.contains(sentence)),
            "{flag}: {text}"
        );
    }
    fs::remove_dir_all(&place).unwrap();
}

/// Failures go from one shared object to another, also where names are hidden.
#[test]
fn hpp_across_shared_objects() {
    for compiler in compilers("licbak.hpp across shared objects") {
        let hidden = ["-std=c++17", "-fvisibility=hidden"];
        let host = build(
            compiler,
            "hpp_host.cpp",
            &[&hidden[..], &["-rdynamic", "-ldl"]].concat(),
        );
        let plugin = build(
            compiler,
            "hpp_plugin.cpp",
            &[&hidden[..], &["-shared", "-fPIC"]].concat(),
        );
        expect_passed("hpp_host", Command::new(&host).arg(&plugin));
        remove_built(&host);
        remove_built(&plugin);
    }
}

/// A header of later, in which a struct of events has grown, on the library of now.
#[test]
fn hpp_newer_than_the_library() {
    if !has("c++") {
        return skip("licbak.hpp newer than the library", "no c++");
    }
    let include = scratch();
    let header = read(&stage().join("include/licbak.h"));
    let (before, behind) = header.split_once("} licbak_progress;").unwrap();
    let grown = format!("{before}    uint8_t later[512];\n}} licbak_progress;{behind}");
    fs::write(include.join("licbak.h"), grown).unwrap();
    let wrapper = stage().join("include/licbak.hpp");
    fs::copy(wrapper, include.join("licbak.hpp")).unwrap();
    let place = format!("-I{}", include.display());
    let mut flags = vec!["-std=c++17", &place];
    if can_sanitize("c++") {
        flags.extend(SANITIZE);
    } else {
        skip(
            "licbak.hpp newer than the library, sanitized",
            "no sanitizers",
        );
    }
    let program = build("c++", "hpp_newer.cpp", &flags);
    expect_passed("hpp_newer", &mut Command::new(&program));
    remove_built(&program);
    fs::remove_dir_all(&include).unwrap();
}

/// `errc` has every failure that the library returns.
#[test]
fn hpp_knows_every_failure() {
    let include = Path::new(env!("CARGO_MANIFEST_DIR")).join("include");
    let header = fs::read_to_string(include.join("licbak.h")).unwrap();
    let wrapper = fs::read_to_string(include.join("licbak.hpp")).unwrap();
    // What the wrapper itself fails with.
    let others = ["LICBAK_E_ABORT"];
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

/// In the later standard; sanitized it is in the earlier one.
#[test]
fn wm() {
    for compiler in compilers("licbak_wm.hpp") {
        program_of_two("wm", compiler, &["-std=c++20"]);
    }
}

#[test]
fn wm_sanitized() {
    if !can_sanitize("c++") {
        return skip(
            "licbak_wm.hpp sanitized",
            "no c++, or one without sanitizers",
        );
    }
    // A callback that is not of C++ has no type for the sanitizer to look at.
    let flags = [&["-std=c++17"], SANITIZE, &["-fno-sanitize=vptr"]].concat();
    program_of_two("wm", "c++", &flags);
}

/// A client of the original, unchanged.
#[test]
fn wm_client() {
    for compiler in compilers("a client of the original") {
        let flags = [
            "-std=c++17",
            "-fshort-wchar",
            "-fno-exceptions",
            "-fno-rtti",
            "-Wconversion",
        ];
        let program = build(compiler, "wm_client.cpp", &flags);
        let mut client = Command::new(&program);
        expect_passed("wm_client", client.env("LICBAK_STORE_PATH", "store"));
        remove_built(&program);
    }
}

/// `licbak_wm.hpp` defines no macro but those of the original's headers.
#[test]
fn wm_macros() {
    if !has("c++") {
        return skip("the macros of licbak_wm.hpp", "no c++");
    }
    let header = read(&stage().join("include/licbak_wm.hpp"));
    let includes = header.lines().filter(|line| line.starts_with("#include <"));
    let bare: String = includes.map(|line| format!("{line}\n")).collect();
    let place = scratch();
    let macros = |text: &str| -> BTreeSet<String> {
        fs::write(place.join("macros.cpp"), text).unwrap();
        let mut compiler = Command::new("c++");
        compiler.args(["-std=c++17", "-dM", "-E", "macros.cpp"]);
        compiler.args(pkg_config(stage(), &["--cflags"]));
        let text = expect(compiler.current_dir(&place));
        let names = text.lines().map(|line| line.split(' ').nth(1).unwrap());
        names.map(|name| name.replace("(x)", "")).collect()
    };
    let before = macros(&bare.replace("#include <unknwn.h>\n#include <nserror.h>\n", ""));
    let added = macros("#include <licbak_wm.hpp>\n");
    let families = [
        "STDMETHOD",
        "SUCCEEDED(",
        "FAILED(",
        "S_",
        "E_",
        "NS_E_DRM_",
        "WM_",
        "__IWM",
        "TRUE",
        "FALSE",
    ];
    let leaked: Vec<_> = added
        .difference(&before)
        .filter(|name| *name != "LICBAK_WM_HPP")
        .filter(|name| !families.iter().any(|family| name.starts_with(family)))
        .collect();
    assert!(leaked.is_empty(), "{leaked:?}");
    assert!(added.contains("E_NOINTERFACE") && added.contains("WM_BACKUP_OVERWRITE"));
    fs::remove_dir_all(&place).unwrap();
}

/// What a program that runs elsewhere than on Windows has of its own, it keeps.
#[test]
fn wm_own_types() {
    if !has("c++") {
        return skip("licbak_wm.hpp with types of the host's own", "no c++");
    }
    let place = scratch();
    let program = r#"
#include <licbak.h>
#include <uchar.h>
typedef int HRESULT;
typedef unsigned char BYTE;
typedef unsigned short WORD;
typedef unsigned DWORD, ULONG;
typedef char16_t WCHAR, *LPWSTR;
typedef const WCHAR *LPCWSTR;
typedef struct { unsigned Data1; unsigned short Data2, Data3; unsigned char Data4[8]; } GUID, IID;
typedef const IID &REFIID;
#define STDMETHODCALLTYPE
enum : HRESULT { S_OK, S_FALSE };
#define HRESULT_OF(value) ((HRESULT)(value))
#define FAILED(hr) ((hr) < 0)
#define SUCCEEDED(hr) ((hr) >= 0)
#define E_NOTIMPL HRESULT_OF(0x80004001)
#define E_NOINTERFACE HRESULT_OF(0x80004002)
#define E_POINTER HRESULT_OF(0x80004003)
#define E_OUTOFMEMORY HRESULT_OF(0x8007000E)
#define E_INVALIDARG HRESULT_OF(0x80070057)
struct IUnknown {
    virtual HRESULT QueryInterface(REFIID, void **) = 0;
    virtual ULONG AddRef() = 0;
    virtual ULONG Release() = 0;
};
#define LICBAK_NO_WINDOWS_TYPES
#include <licbak_wm.hpp>
int main()
{
    IWMLicenseBackup *backup;
    return WMCreateBackupRestorer(nullptr, &backup) == S_OK ? (int)backup->Release() : 1;
}
"#;
    fs::write(place.join("own.cpp"), program).unwrap();
    let mut compiler = Command::new("c++");
    compiler
        .args(STRICT)
        .args(["-std=c++17", "-fsyntax-only", "own.cpp"]);
    compiler.args(pkg_config(stage(), &["--cflags"]));
    expect(compiler.current_dir(&place));
    fs::remove_dir_all(&place).unwrap();
}
