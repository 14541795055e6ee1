//! What programs that are built already rely on is as `abi.txt` has it: the exported functions with
//! their parameters, the constants, and the layout of every struct. Where the two differ this test
//! fails; `LICBAK_BLESS=1 cargo test --test c abi` writes the file anew, and whether that needs a
//! new SONAME is for whoever does it to decide: what is new at the end of a struct or of the list
//! does not.

use std::fs;
use std::process::Command;

use crate::harness::*;

/// The functions that the library exports.
pub fn exports() -> Vec<String> {
    let text = expect(
        Command::new("nm")
            .args(["-D", "--defined-only"])
            .arg(library()),
    );
    let names = text
        .lines()
        .filter_map(|line| line.split_whitespace().last());
    names.map(str::to_owned).collect()
}

/// The types, functions and constants of the header, a line each.
fn declarations() -> Vec<String> {
    let header = read(&stage().join("include/licbak.h"));
    let mut code = String::new();
    for part in header.split("/*") {
        code += part.split_once("*/").map_or(part, |(_, code)| code);
    }
    let is_directive = |line: &&str| line.trim_start().starts_with('#');
    let (directives, rest): (Vec<_>, Vec<_>) = code.lines().partition(is_directive);
    let constants = directives.into_iter().filter(|line| {
        let name = line.strip_prefix("#define LICBAK_").unwrap_or_default();
        let (name, value) = name.split_once(' ').unwrap_or_default();
        !value.is_empty() && !name.contains('(') && !matches!(name, "CALL" | "API" | "VERSION")
    });
    let rest = rest.join(" ");
    let others = rest.split(';').filter_map(|text| {
        let start = text.find("LICBAK_API ").or(text.find("typedef "))?;
        text.get(start..).filter(|text| !text.contains('{'))
    });
    let one_line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    others.chain(constants).map(one_line).collect()
}

fn layout() -> String {
    let program = build("cc", "abi.c", &["-std=c11"]);
    let text = expect(&mut Command::new(&program));
    remove_built(&program);
    text
}

/// Each member of each struct is in the program that prints the layout, and in the one that asserts
/// it; and so will those be that are still to come.
fn check_members(layout: &str) {
    let header = read(&stage().join("include/licbak.h"));
    let layouts = read(&source("layouts.c"));
    let mut members = 0;
    for text in header.split("typedef struct ").skip(1) {
        let Some((name, body)) = text.split_once(" {") else {
            continue;
        };
        let (body, _) = body.split_once(&format!("}} {name};")).unwrap();
        let lines = body.lines().map(str::trim);
        let lines = lines.filter(|line| line.ends_with(';') || line.contains("LICBAK_CALL *"));
        for line in lines {
            let member = match line.split_once("LICBAK_CALL *") {
                Some((_, rest)) => rest.split(')').next().unwrap(),
                None => line
                    .trim_end_matches(';')
                    .trim_end_matches(|c: char| c == '[' || c == ']' || c.is_ascii_digit())
                    .rsplit([' ', '*'])
                    .next()
                    .unwrap(),
            };
            if line.starts_with("void *emit_context)") {
                continue;
            }
            let told = format!("type {name}: {member} at ");
            assert!(layout.contains(&told), "abi.c lacks {member} of {name}");
            let asserted = format!("MEMBER({name}, {member}, ");
            assert!(
                layouts.contains(&asserted),
                "layouts.c lacks {member} of {name}"
            );
            members += 1;
        }
    }
    assert_eq!(members, layout.matches(" at ").count(), "{layout}");
}

#[test]
fn abi() {
    if cfg!(not(all(target_pointer_width = "64", target_os = "linux"))) {
        return skip("the layout of the ABI", "the file is of 64-bit Linux");
    }
    let layout = layout();
    check_members(&layout);
    let mut exported = exports();
    exported.sort();
    let exported = exported.iter().map(|name| format!("export {name}\n"));
    let declared = declarations().into_iter().map(|line| line + "\n");
    let now: String = exported.chain(declared).chain([layout]).collect();
    let path = source("abi.txt");
    if std::env::var_os("LICBAK_BLESS").is_some() {
        fs::write(&path, &now).unwrap();
    }
    let before = read(&path);
    let gone: Vec<_> = before
        .lines()
        .filter(|line| !now.lines().any(|other| other == *line))
        .collect();
    let new: Vec<_> = now
        .lines()
        .filter(|line| !before.lines().any(|other| other == *line))
        .collect();
    say(&format!(
        "abi: lines {}, gone {}, new {}",
        before.lines().count(),
        gone.len(),
        new.len()
    ));
    assert_eq!(
        now, before,
        "the ABI is another; gone: {gone:#?}, new: {new:#?}; see c-tests/calls/abi.rs"
    );
}

/// The layouts on other processors, by the header alone: those of 32 bits too, where what has 64 may
/// begin at each word, or at each second one only.
#[test]
fn layouts() {
    let processors: [(&str, &[&str], usize); 7] = [
        ("cc", &[], 10 * size_of::<usize>() + align_of::<u64>()),
        ("gcc", &["-m32"], 44),
        ("clang", &["--target=i686-linux-gnu"], 44),
        ("clang", &["--target=armv7-linux-gnueabihf"], 48),
        ("clang", &["--target=powerpc-linux-gnu"], 48),
        ("clang", &["--target=aarch64-linux-gnu"], 88),
        ("clang", &["--target=riscv64-linux-gnu"], 88),
    ];
    for (compiler, which, model) in processors {
        if !has(compiler) {
            let what = format!("layouts by {compiler} {}", which.concat());
            skip(&what, "not installed");
            continue;
        }
        let mut command = Command::new(compiler);
        command.args(which).args(STRICT).args([
            "-std=c11",
            "-ffreestanding",
            "-fsyntax-only",
            &format!("-DMODEL={model}"),
        ]);
        expect(
            command
                .args(pkg_config(stage(), &["--cflags"]))
                .arg(source("layouts.c")),
        );
    }
}
