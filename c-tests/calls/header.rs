//! `include/licbak.h` is made from the doc comments in `src/abi`, and committed. Where the two
//! differ this test fails; `LICBAK_BLESS=1 cargo test --test header` makes the header anew.

#![allow(unsafe_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// cbindgen does the types and functions; what it can't do is done here: the opening text,
/// constants in hexadecimal and with their types, the calling convention.
fn generate() -> String {
    let crate_dir = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut config = cbindgen::Config {
        language: cbindgen::Language::C,
        header: Some(opening(crate_dir)),
        include_guard: Some("LICBAK_H".into()),
        no_includes: true,
        sys_includes: vec!["stddef.h".into(), "stdint.h".into()],
        after_includes: Some(MACROS.replace("VERSION_HERE", env!("CARGO_PKG_VERSION"))),
        cpp_compat: true,
        style: cbindgen::Style::Both,
        documentation_style: cbindgen::DocumentationStyle::Doxy,
        line_length: 92,
        tab_width: 4,
        usize_is_size_t: true,
        sort_by: cbindgen::SortKey::None,
        ..cbindgen::Config::default()
    };
    config.function.prefix = Some("LICBAK_API".into());
    config.function.sort_by = Some(cbindgen::SortKey::None);
    config.constant.sort_by = Some(cbindgen::SortKey::None);
    // In the order in which a reader needs them.
    let sources = [
        "types",
        "hresult",
        "version",
        "restorer",
        "props",
        "backup",
        "restore",
        "authorizer",
        "reading",
        "store",
    ];
    let paths = sources.map(|noun| crate_dir.join(format!("src/abi/{noun}.rs")));
    let builder = cbindgen::Builder::new().with_config(config);
    let bindings = paths
        .into_iter()
        .fold(builder, cbindgen::Builder::with_src)
        .generate();
    let mut header = Vec::new();
    bindings
        .expect("src/abi has what cbindgen understands")
        .write(&mut header);
    grouped(&polish(
        &String::from_utf8(header).expect("cbindgen writes UTF-8"),
    ))
}

/// The module's own text, as a comment of C.
fn opening(crate_dir: &Path) -> String {
    let source = fs::read_to_string(crate_dir.join("src/abi/mod.rs")).expect("src/abi/mod.rs");
    let text = source
        .lines()
        .map_while(|line| line.strip_prefix("//!"))
        .map(str::trim_end);
    let text: Vec<_> = text
        .map(|line| match line {
            " ```c" => " @code".into(),
            " ```" => " @endcode".into(),
            line => line.to_owned(),
        })
        .collect();
    let license = "/* SPDX-License-Identifier: MIT OR Apache-2.0 */\n/* Made from src/abi: change it there. */\n";
    let lines: String = text.iter().map(|line| format!(" *{line}\n")).collect();
    format!("{license}\n/**\n * @file licbak.h\n *\n{lines} */")
}

const MACROS: &str = r#"
/** The version of this header. licbak_version tells the library's. */
#define LICBAK_VERSION "VERSION_HERE"

#if defined(_WIN32)
#define LICBAK_CALL __cdecl
#if defined(LICBAK_STATIC)
#define LICBAK_API
#else
#define LICBAK_API __declspec(dllimport)
#endif
#else
/** The calling convention of the functions. */
#define LICBAK_CALL
/** The import attribute of the functions. */
#define LICBAK_API
#endif

#if defined(__cplusplus)
#define LICBAK_HRESULT_C(value) (static_cast<licbak_hresult>((value) | 0u))
#else
/** A constant of type licbak_hresult, for case labels and initialisers, not for the preprocessor. */
#define LICBAK_HRESULT_C(value) ((licbak_hresult)(value))
#endif

/** Whether an outcome is success. */
#define LICBAK_SUCCEEDED(hr) ((hr) >= 0)

/** Whether an outcome is failure. */
#define LICBAK_FAILED(hr) ((hr) < 0)"#;

/// What the first declaration of each group has, and the group's name and title for Doxygen. A
/// group may go on later.
const GROUPS: &[(&str, &str)] = &[
    (
        "#define LICBAK_WAIT_FOREVER ",
        "restorer The restorer and its operations",
    ),
    (
        "#define LICBAK_WM_BACKUP_OVERWRITE ",
        "flags Flags of an operation",
    ),
    (
        "#define LICBAK_PHASE_LISTING ",
        "phases Phases of an operation",
    ),
    (
        "#define LICBAK_RIGHT_UNSTATED ",
        "licenses What a licence says of itself",
    ),
    (
        "#define LICBAK_MACHINE_UNKNOWN ",
        "reading Looking at a backup",
    ),
    (
        "#define LICBAK_ABI_VERSION ",
        "version The version of the library",
    ),
    ("typedef struct licbak_restorer ", "types Types"),
    (
        "#define LICBAK_WMT_ERROR ",
        "statuses What a status callback is told",
    ),
    (
        "#define LICBAK_WMT_TYPE_DWORD ",
        "datatypes Types of values",
    ),
    ("#define LICBAK_S_OK ", "outcomes Outcomes"),
    ("licbak_hresult_name(", "outcomes Outcomes"),
    ("licbak_version(", "version The version of the library"),
    ("licbak_create(", "restorer The restorer and its operations"),
    ("licbak_set_prop(", "properties Properties"),
    ("licbak_backup_licenses(", "backup Backing up"),
    ("licbak_restore_licenses(", "restore Restoring"),
    ("licbak_verify_backup(", "reading Looking at a backup"),
    ("licbak_set_store(", "store A store of the host's own"),
];

/// Puts what belongs together into groups: each begins before its first declaration, and ends where
/// the next one begins.
fn grouped(header: &str) -> String {
    let mut groups = GROUPS.iter().peekable();
    let mut blocks = Vec::new();
    let mut is_open = false;
    for block in header.trim_end().split("\n\n") {
        let declaration = block.rsplit(" */\n").next().unwrap_or(block);
        let group = groups.next_if(|(first, _)| declaration.contains(first));
        if is_open && (group.is_some() || block.starts_with("#ifdef __cplusplus")) {
            blocks.push("/** @} */".to_owned());
            is_open = false;
        }
        if let Some((_, title)) = group {
            blocks.push(format!("/**\n * @addtogroup {title}\n * @{{\n */"));
            is_open = true;
        }
        blocks.push(block.to_owned());
    }
    assert_eq!(
        groups.next(),
        None,
        "the first of this group is not in the header"
    );
    blocks.join("\n\n") + "\n"
}

fn polish(header: &str) -> String {
    let mut polished: Vec<String> = Vec::new();
    let mut lines = header.lines().peekable();
    while let Some(line) = lines.next() {
        let is_comment = line.trim_start().starts_with(['*', '/']);
        let last = polished.last().map_or("", String::as_str);
        let line = match line
            .strip_prefix("#define LICBAK_")
            .and_then(|rest| rest.split_once(' '))
        {
            Some((name, value)) => constant(name, value).unwrap_or_else(|| line.to_owned()),
            // A comment of one line takes one line.
            None if line.trim() == "/**" => match lines.next_if(|_| true) {
                Some(text) if lines.next_if(|end| end.trim() == "*/").is_some() => {
                    text.replacen("* ", "/** ", 1).replacen(" /**", "/**", 1) + " */"
                }
                text => line.to_owned() + "\n" + text.unwrap_or(""),
            },
            None if is_comment => line.to_owned(),
            // cbindgen leaves gaps where it passes over an item.
            None if line.is_empty() && last.is_empty() => continue,
            // It breaks a declaration that is too long with this.
            None if line == "LICBAK_API" => {
                declaration(&format!("{line} {}", lines.next().unwrap_or("")))
            }
            None => declaration(line),
        };
        polished.push(line);
    }
    polished.join("\n") + "\n"
}

/// cbindgen prints decimal numbers; a reader looks for what the original's headers print.
fn constant(name: &str, value: &str) -> Option<String> {
    let number = value
        .trim_start_matches("(licbak_hresult)")
        .trim_end_matches('u');
    let number: u32 = number.parse().ok()?;
    let is_hresult = ["S_", "E_", "NS_E_", "HRESULT_"]
        .iter()
        .any(|prefix| name.starts_with(prefix));
    let is_flag = ["WM_", "BACKUP_", "RESTORE_", "DRY_", "CALL_", "KEEP_"]
        .iter()
        .any(|prefix| name.starts_with(prefix));
    let value = match number {
        _ if is_hresult => format!("LICBAK_HRESULT_C(0x{number:08X})"),
        _ if is_flag || number > 0xFFFF => format!("0x{number:08X}u"),
        _ => format!("{number}u"),
    };
    Some(format!("#define LICBAK_{name} {value}"))
}

/// Adds the calling convention, and says in C what Rust says otherwise.
fn declaration(line: &str) -> String {
    let line = line
        .replace("(*", "(LICBAK_CALL *")
        .replace("type_", "type");
    if line.starts_with("typedef struct ") {
        return line;
    }
    let line = line.replace("struct licbak_", "licbak_");
    let parameters = line.trim_start();
    match line
        .strip_prefix("LICBAK_API ")
        .and_then(|line| line.split_once('('))
    {
        Some((function, parameters)) => {
            let name = function.rfind("licbak_").unwrap_or(0);
            let (result, name) = function.split_at(name);
            format!("LICBAK_API {result}LICBAK_CALL {name}({parameters}")
        }
        // Later lines of a declaration stood below its first parameter.
        None if line.len() - parameters.len() > 4 => format!("        {parameters}"),
        None => line,
    }
}

#[test]
fn the_committed_header_is_what_the_sources_say() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("include/licbak.h");
    let generated = generate();
    if std::env::var_os("LICBAK_BLESS").is_some() {
        fs::write(&path, generated).expect("include/licbak.h");
        return;
    }
    let committed = fs::read_to_string(&path).expect("include/licbak.h");
    let differs = committed
        .lines()
        .zip(generated.lines())
        .find(|(committed, generated)| committed != generated);
    assert_eq!(
        differs, None,
        "LICBAK_BLESS=1 cargo test --test header makes it anew"
    );
    assert_eq!(committed.len(), generated.len());
}

/// Number and kind of every constant in a `name,value,kind` table.
fn table() -> BTreeMap<String, (u32, String)> {
    let rows = include_str!("constants.csv").lines().skip(1).map(|row| {
        let [name, value, kind] = row.split(',').collect::<Vec<_>>()[..] else {
            panic!("{row}")
        };
        let number = match value.strip_prefix("0x") {
            Some(digits) => u32::from_str_radix(digits, 16),
            None => value.parse(),
        };
        (name.to_owned(), (number.expect(row), kind.to_owned()))
    });
    rows.collect()
}

#[test]
fn constants_are_those_of_the_table() {
    let header = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("include/licbak.h"))
        .expect("header");
    let defined: BTreeMap<_, _> = header
        .lines()
        .filter_map(|line| line.strip_prefix("#define LICBAK_")?.split_once(' '))
        .map(|(name, value)| (name, value.trim_end_matches('u')))
        .collect();
    for (name, (number, kind)) in table() {
        let value = defined
            .get(name.as_str())
            .unwrap_or_else(|| panic!("LICBAK_{name} is missing"));
        let hexadecimal = value
            .trim_start_matches("LICBAK_HRESULT_C(")
            .trim_end_matches(')')
            .strip_prefix("0x");
        let found =
            hexadecimal.map_or_else(|| value.parse(), |digits| u32::from_str_radix(digits, 16));
        assert_eq!(found, Ok(number), "LICBAK_{name}");
        assert!(
            hexadecimal.is_some() || !matches!(kind.as_str(), "hresult" | "flag"),
            "LICBAK_{name} is {value}"
        );
    }
    // None of ours takes a name that the original might have.
    let ours = defined.keys().filter(|name| !table().contains_key(**name));
    assert_eq!(
        ours.filter(|name| ["WM", "NS_", "S_", "E_"]
            .iter()
            .any(|p| name.starts_with(p)))
            .count(),
        0
    );
}

/// The tables in the header's opening that a reader looks events and flags up in.
#[test]
fn what_is_sent_and_what_is_taken_stands_in_the_headers_tables() {
    let header = generate();
    let told: BTreeMap<_, _> = header
        .lines()
        .take_while(|line| *line != " */")
        .filter_map(|line| line.strip_prefix(" * | ")?.split_once('|'))
        .map(|(name, rest)| (name.trim(), rest.split('|').next().unwrap_or("").trim()))
        .filter(|(name, _)| name.starts_with(|first: char| first.is_ascii_uppercase()))
        .collect();
    let number = |text: &str| match text.trim_end_matches('u').strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => text.trim_end_matches('u').parse().ok(),
    };
    let (mut comment, mut found) = (String::new(), 0);
    for line in header.lines() {
        let Some((name, value)) = line
            .strip_prefix("#define LICBAK_")
            .and_then(|line| line.split_once(' '))
        else {
            comment = if line.is_empty() {
                String::new()
            } else {
                comment + line
            };
            continue;
        };
        let is_status = ["WMT_", "STATUS_"]
            .iter()
            .any(|prefix| name.starts_with(prefix))
            && !name.starts_with("WMT_TYPE_");
        let is_flag = ["WM_", "DRY_", "RESTORE_", "BACKUP_", "CALL_", "KEEP_"]
            .iter()
            .any(|prefix| name.starts_with(prefix));
        if is_status || is_flag {
            let told = told
                .get(name)
                .unwrap_or_else(|| panic!("LICBAK_{name} is in no table"));
            assert_eq!(number(told), number(value), "LICBAK_{name}");
            found += 1;
        }
    }
    assert_eq!(found, told.len(), "each row is a constant");
}

#[test]
fn every_constant_has_its_twin_at_run_time() {
    let text = |pointer| {
        // SAFETY: the library gives out static texts.
        unsafe { std::ffi::CStr::from_ptr(pointer) }
            .to_str()
            .expect("UTF-8")
    };
    for (name, (number, kind)) in table() {
        if kind == "hresult" {
            let hr = number as i32;
            assert_eq!(
                text(licbak::abi::hresult::licbak_hresult_name(hr)),
                format!("LICBAK_{name}")
            );
            assert!(
                text(licbak::abi::hresult::licbak_hresult_message(hr)).ends_with('.'),
                "{name}"
            );
        }
    }
    assert_eq!(
        text(licbak::abi::version::licbak_version()),
        env!("CARGO_PKG_VERSION")
    );
    assert_eq!(text(licbak::abi::hresult::licbak_hresult_name(-1)), "");
    assert_eq!(
        text(licbak::abi::hresult::licbak_hresult_message(12345)),
        ""
    );
}
