//! Builds programs against a staged install, and runs them with a time limit.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::io::Write;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::platform;

pub const STRICT: &[&str] = &["-Wall", "-Wextra", "-Wpedantic", "-Werror"];
pub const SANITIZE: &[&str] = &[
    "-fsanitize=address,undefined",
    "-fno-sanitize-recover=all",
    "-fno-omit-frame-pointer",
];

/// How long a program may run; more, where it tries everything (torture.sh).
pub fn limit() -> Duration {
    let torture = std::env::var_os("LICBAK_TORTURE").is_some();
    Duration::from_secs(if torture { 7200 } else { 300 })
}

/// Runs a command to its end or the time limit, and gives its status with all that it printed.
pub fn run(command: &mut Command) -> (ExitStatus, String) {
    let shown = format!("{command:?}");
    let output = scratch().join("output");
    let file = fs::File::create(&output).unwrap();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(file.try_clone().unwrap())
        .stderr(file)
        .process_group(0) // so that the limit ends its children too
        .spawn()
        .unwrap_or_else(|error| panic!("{shown}: {error}"));
    let limit = limit();
    let end = Instant::now() + limit;
    let status = loop {
        match child.try_wait().unwrap() {
            Some(status) => break status,
            None if Instant::now() > end => {
                let group = format!("-{}", child.id());
                Command::new("kill")
                    .args(["-9", "--", &group])
                    .status()
                    .unwrap();
                child.wait().unwrap();
                panic!("{shown}: still running after {limit:?}\n{}", read(&output));
            }
            None => sleep(Duration::from_millis(5)),
        }
    };
    let text = read(&output);
    fs::remove_dir_all(output.parent().unwrap()).unwrap();
    (status, text)
}

pub fn read(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned()
}

/// Runs a command that must succeed.
pub fn expect(command: &mut Command) -> String {
    let shown = format!("{command:?}");
    let (status, text) = run(command);
    assert!(
        status.success(),
        "{shown}: {status}, signal {:?}\n{text}",
        status.signal()
    );
    text
}

/// Runs a test program: it prints one closing line, after what it skipped and what it counted.
pub fn expect_passed(name: &str, command: &mut Command) {
    expect_passed_as("", name, command);
}

/// Says `note` before what it says.
pub fn expect_passed_as(note: &str, name: &str, command: &mut Command) {
    let directory = scratch();
    let text = expect(command.current_dir(&directory).env("TMPDIR", &directory));
    let mut told = false;
    for line in text.lines() {
        let rest = line
            .strip_prefix(name)
            .and_then(|rest| rest.strip_prefix(": "));
        let rest = rest.unwrap_or_else(|| panic!("unexpected output: {line}"));
        if rest.contains([':', ';']) {
            // "skipped: what (why)", or "what: figures", or "what N; what else".
            say(&format!("{note}{line}"));
        } else {
            assert!(
                rest.ends_with(" checks passed"),
                "unexpected output: {line}"
            );
        }
        told |= rest.starts_with("skipped: ") || !rest.contains([':', ';']);
    }
    assert!(told, "{name} printed no closing line\n{text}");
    fs::remove_dir(&directory).expect("a test program leaves its directory empty");
}

/// A new directory, removed by whoever is done with it.
pub fn scratch() -> PathBuf {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let path = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join(format!("c-tests-{}-{number}", std::process::id()));
    fs::create_dir_all(&path).unwrap();
    path
}

/// Prints past the test runner, which keeps what a passing test prints.
#[allow(clippy::explicit_write)]
pub fn say(line: &str) {
    writeln!(std::io::stderr(), "{line}").unwrap();
}

/// Names what this machine can't test, also when the test passes.
pub fn skip(what: &str, why: &str) {
    say(&format!("skipped: {what} ({why})"));
}

/// Whether this machine has a program of this name.
pub fn has(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok()
}

/// Whether a compiler is there, and can build with the sanitizers.
pub fn can_sanitize(compiler: &str) -> bool {
    if !has(compiler) {
        return false;
    }
    let probe = scratch();
    fs::write(probe.join("probe.c"), "int main(void) { return 0; }\n").unwrap();
    let mut command = Command::new(compiler);
    let (status, _) = run(command.args(SANITIZE).arg("probe.c").current_dir(&probe));
    fs::remove_dir_all(&probe).unwrap();
    status.success()
}

/// The file of this name, in whichever folder of c-tests.
pub fn source(name: &str) -> PathBuf {
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("c-tests");
    let mut folders = fs::read_dir(all)
        .unwrap()
        .map(|folder| folder.unwrap().path());
    let found = folders.find(|folder| folder.join(name).exists());
    found
        .unwrap_or_else(|| panic!("no folder of c-tests has {name}"))
        .join(name)
}

/// Builds the library as the tests are built, and installs it: without `--release` there is little
/// to wait for.
pub fn install(prefix: &Path) -> Command {
    let mut install = Command::new("sh");
    install.args(["install.sh", "--prefix"]).arg(prefix);
    install.current_dir(env!("CARGO_MANIFEST_DIR"));
    platform::install_for(&mut install);
    if cfg!(debug_assertions) {
        install.env("LICBAK_PROFILE", "dev");
    }
    install
}

/// Where cargo puts what it builds as the tests are built.
pub fn built() -> PathBuf {
    let folder = if cfg!(debug_assertions) {
        "debug"
    } else {
        "release"
    };
    Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name(folder)
}

/// A library shows nothing but its own names.
pub fn check_own_names<'n>(names: impl IntoIterator<Item = &'n String>) {
    let foreign: Vec<_> = names
        .into_iter()
        .filter(|name| !name.starts_with("licbak_"))
        .collect();
    assert!(
        foreign.is_empty(),
        "names that are not licbak_*: {foreign:?}"
    );
}

/// Installs the library once for all tests.
pub fn stage() -> &'static Path {
    static STAGE: OnceLock<PathBuf> = OnceLock::new();
    STAGE.get_or_init(|| {
        let name = format!("stage{}", platform::target().unwrap_or_default());
        let prefix = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        if prefix.exists() {
            fs::remove_dir_all(&prefix).unwrap();
        }
        expect(&mut install(&prefix));
        prefix
    })
}

pub fn library() -> PathBuf {
    stage().join("lib/liblicbak.so")
}

/// What `pkg-config <arguments> licbak` says of an install.
pub fn pkg_config(prefix: &Path, arguments: &[&str]) -> Vec<String> {
    if !has("pkg-config") {
        return read_pc_file(prefix, arguments);
    }
    let mut command = Command::new("pkg-config");
    command.args(arguments).arg("licbak");
    let text = expect(command.env("PKG_CONFIG_PATH", prefix.join("lib/pkgconfig")));
    text.split_whitespace().map(str::to_owned).collect()
}

/// What pkg-config would say, on a machine without it.
fn read_pc_file(prefix: &Path, arguments: &[&str]) -> Vec<String> {
    let file = fs::read_to_string(prefix.join("lib/pkgconfig/licbak.pc")).unwrap();
    let field = |name: &str| {
        let line = file.lines().find_map(|line| line.strip_prefix(name));
        let text = line.unwrap().replace("${libdir}", "${prefix}/lib");
        let text = text.replace("${includedir}", "${prefix}/include");
        text.replace("${prefix}", prefix.to_str().unwrap())
    };
    let fields = [
        ("--cflags", "Cflags:"),
        ("--libs", "Libs:"),
        ("--static", "Libs.private:"),
    ];
    let wanted = fields
        .iter()
        .filter(|(argument, _)| arguments.contains(argument));
    let text: String = wanted.map(|(_, name)| field(name)).collect();
    text.split_whitespace().map(str::to_owned).collect()
}

/// Compiles a program against the staged install, and gives its path.
pub fn build(compiler: &str, file: &str, flags: &[&str]) -> PathBuf {
    build_by(Command::new(compiler), file, flags)
}

fn build_by(mut command: Command, file: &str, flags: &[&str]) -> PathBuf {
    let program = scratch().join(Path::new(file).file_stem().unwrap());
    command
        .args(flags)
        .args(STRICT)
        .args(["-g", "-O1", "-pthread"])
        .arg("-o")
        .arg(&program)
        .arg(source(file));
    command.args(pkg_config(stage(), &["--cflags", "--libs"]));
    command.arg(format!("-Wl,-rpath,{}", stage().join("lib").display()));
    expect(&mut command);
    program
}

pub fn remove_built(program: &Path) {
    fs::remove_dir_all(program.parent().unwrap()).unwrap();
}

/// Builds and runs one C program.
pub fn c_program(name: &str) {
    let program = build_c(name);
    expect_passed(name, &mut platform::running(&program));
    remove_built(&program);
}

pub fn build_c(name: &str) -> PathBuf {
    build_by(platform::compiler(), &format!("{name}.c"), &["-std=c11"])
}

/// A Python program, started as a shell starts what runs in the background: with Ctrl-C ignored.
pub fn python(script: &str) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", "trap '' INT QUIT; exec python3 -B \"$@\"", "sh"])
        .arg(source(script))
        .env("PYTHONPATH", source("forge.py").parent().unwrap())
        .env("LICBAK_SO", library())
        .env("LICBAK_TOOL", stage().join("bin/licbak"));
    command
}
