//! The installed tree as build systems find it, CMake and pkg-config, wherever it has been moved
//! to.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use crate::harness::*;

/// Copies the staged install to `prefix`.
fn copy_stage(prefix: &Path) {
    expect(Command::new("cp").arg("-R").arg(stage()).arg(prefix));
}

/// Installs anew, with another layout.
fn install_apart(prefix: &Path, libdir: &Path) {
    expect(install(prefix).arg("--libdir").arg(libdir));
}

fn remove_shared(libdir: &Path) {
    for entry in fs::read_dir(libdir).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name().to_string_lossy().contains(".so") {
            fs::remove_file(entry.path()).unwrap();
        }
    }
}

fn dynamic_section(program: &Path) -> String {
    expect(Command::new("readelf").args(["-d", "-W"]).arg(program))
}

/// Whether a program, which must run, needs our shared library.
fn runs_with_shared(program: &Path, name: &str) -> bool {
    expect_passed(name, &mut Command::new(program));
    dynamic_section(program).contains("Shared library: [liblicbak.so.0]")
}

// -- CMake

/// Finds licbak twice, as a project whose parts need it does, and links a program in C and one in
/// C++ with each of TARGETS.
const CONSUMER: &str = r#"
cmake_minimum_required(VERSION 3.13)
project(consumer C CXX)
find_package(licbak 0.1 CONFIG REQUIRED)
find_package(licbak CONFIG REQUIRED)
foreach(target IN LISTS TARGETS)
  add_executable(props_${target} "${SOURCES}/calls/props.c")
  add_executable(cxx_${target} "${SOURCES}/delivery/cxx.cpp")
  target_link_libraries(props_${target} PRIVATE licbak::${target})
  target_link_libraries(cxx_${target} PRIVATE licbak::${target})
endforeach()
foreach(target licbak shared static)
  if(TARGET licbak::${target})
    message(STATUS "has ${target}")
  endif()
endforeach()
"#;

struct Project(PathBuf);

impl Project {
    fn new(lists: &str) -> Project {
        let directory = scratch();
        fs::write(directory.join("CMakeLists.txt"), lists).unwrap();
        Project(directory)
    }

    /// Gives what CMake said as one line: where it wraps its own depends on how long the paths in
    /// them are.
    fn configure(&self, prefix: &Path, settings: &[&str]) -> (ExitStatus, String) {
        let build = self.0.join("build");
        if build.exists() {
            fs::remove_dir_all(&build).unwrap();
        }
        let mut command = Command::new("cmake");
        command.arg("-S").arg(&self.0).arg("-B").arg(build);
        command.arg(format!("-DCMAKE_PREFIX_PATH={}", prefix.display()));
        command.arg(format!(
            "-DSOURCES={}",
            Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("c-tests")
                .display()
        ));
        let (status, text) = run(command.args(settings));
        (
            status,
            text.split_whitespace().collect::<Vec<_>>().join(" "),
        )
    }

    /// Builds all, and gives what the configuration said.
    fn build(&self, prefix: &Path, settings: &[&str]) -> String {
        let (status, text) = self.configure(prefix, settings);
        assert!(status.success(), "{text}");
        expect(
            Command::new("cmake")
                .arg("--build")
                .arg(self.0.join("build")),
        );
        text
    }

    /// Whether both programs of a target need our shared library.
    fn needs_shared(&self, target: &str) -> bool {
        let program = |name: &str| self.0.join(format!("build/{name}_{target}"));
        let needed = ["props", "cxx"].map(|name| runs_with_shared(&program(name), name));
        assert_eq!(needed[0], needed[1], "{target}");
        needed[0]
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn can_use_cmake() -> bool {
    let can = has("cmake") && has("make") && has("c++");
    if !can {
        skip("consumers by CMake", "no cmake, make or c++");
    }
    can
}

#[test]
fn cmake_targets() {
    if !can_use_cmake() {
        return;
    }
    let place = scratch();
    let prefix = place.join("moved to here");
    copy_stage(&prefix);
    let project = Project::new(CONSUMER);
    project.build(&prefix, &["-DTARGETS=licbak;shared;static"]);
    assert!(project.needs_shared("licbak"));
    assert!(project.needs_shared("shared"));
    assert!(!project.needs_shared("static"));
    let dynamic = dynamic_section(&project.0.join("build/props_shared"));
    assert!(dynamic.contains("moved to here/lib]"), "{dynamic}");

    // Another build's BUILD_SHARED_LIBS is no choice, licbak_USE_STATIC is one.
    project.build(&prefix, &["-DTARGETS=licbak", "-DBUILD_SHARED_LIBS=OFF"]);
    assert!(project.needs_shared("licbak"));
    project.build(&prefix, &["-DTARGETS=licbak", "-Dlicbak_USE_STATIC=ON"]);
    assert!(!project.needs_shared("licbak"));
    fs::remove_dir_all(place).unwrap();
}

/// A distribution may leave out one of the two libraries; then nobody is told of it.
#[test]
fn cmake_with_one_library() {
    if !can_use_cmake() {
        return;
    }
    let place = scratch();
    let prefix = place.join("moved");
    copy_stage(&prefix);
    let project = Project::new(CONSUMER);
    let archive = prefix.join("lib/liblicbak.a");
    fs::rename(&archive, place.join("liblicbak.a")).unwrap();
    let (status, text) = project.configure(&prefix, &[]);
    assert!(status.success(), "{text}");
    assert!(
        text.contains("has shared") && !text.contains("has static"),
        "{text}"
    );
    let (status, text) = project.configure(&prefix, &["-Dlicbak_USE_STATIC=ON"]);
    assert!(
        !status.success() && text.contains("not as licbak::static"),
        "{text}"
    );

    fs::rename(place.join("liblicbak.a"), &archive).unwrap();
    remove_shared(&prefix.join("lib"));
    let text = project.build(&prefix, &["-DTARGETS=licbak"]);
    assert!(!text.contains("has shared"), "{text}");
    assert!(!project.needs_shared("licbak"));
    fs::remove_dir_all(place).unwrap();
}

/// Wherever the libraries went, what is beside them is found.
#[test]
fn cmake_layouts() {
    if !can_use_cmake() {
        return;
    }
    let place = scratch();
    let project = Project::new(CONSUMER);
    let try_to_build = |prefix: &Path| {
        project.build(prefix, &["-DTARGETS=licbak;static"]);
        assert!(project.needs_shared("licbak") && !project.needs_shared("static"));
    };

    install_apart(&place.join("first"), Path::new("lib/x86_64-linux-gnu"));
    let moved = place.join("many architectures");
    fs::rename(place.join("first"), &moved).unwrap();
    // By its directory, since a CMake for another machine does not look there.
    let package = format!(
        "-Dlicbak_DIR={}/lib/x86_64-linux-gnu/cmake/licbak",
        moved.display()
    );
    project.build(&place, &["-DTARGETS=licbak;static", &package]);
    assert!(project.needs_shared("licbak") && !project.needs_shared("static"));

    install_apart(&place.join("headers"), &place.join("elsewhere/lib"));
    try_to_build(&place.join("elsewhere"));

    // As a system whose /lib is a link to /usr/lib.
    fs::create_dir(place.join("root")).unwrap();
    copy_stage(&place.join("root/usr"));
    symlink("usr/lib", place.join("root/lib")).unwrap();
    try_to_build(&place.join("root"));
    fs::remove_dir_all(place).unwrap();
}

#[test]
fn cmake_versions() {
    if !can_use_cmake() {
        return;
    }
    let version = env!("CARGO_PKG_VERSION");
    let numbers: Vec<u32> = version
        .split('.')
        .map(|part| part.parse().unwrap())
        .collect();
    let [major, minor, patch] = numbers[..] else {
        panic!("{version}")
    };
    let cases = [
        (String::new(), true),
        (format!("{major}.{minor}"), true),
        (version.to_owned(), true),
        (format!("{version} EXACT"), true),
        (format!("{major}.{minor}...{major}.{}", minor + 1), true),
        (format!("0.0.1...{version}"), true),
        (format!("0.0.1...<{version}"), false),
        (format!("{major}.{}...99", minor + 1), false),
        (format!("{major}.{minor}.{}", patch + 1), false),
        (format!("{major}.{}", minor + 1), false),
        (format!("{}.0", major + 1), false),
        ("0.0.1".to_owned(), false), // another series
    ];
    for (asked, found) in cases {
        let project = Project::new(&format!(
            "cmake_minimum_required(VERSION 3.19)\nproject(consumer C)\n\
             find_package(licbak {asked} CONFIG REQUIRED)\nmessage(STATUS \"got ${{licbak_VERSION}}\")\n"
        ));
        let (status, text) = project.configure(stage(), &[]);
        assert_eq!(status.success(), found, "{asked}: {text}");
        let said = match found {
            true => format!("got {version}"),
            false => format!("version: {version}"),
        };
        assert!(text.contains(&said), "{asked}: {text}");
    }
}

/// What only some platforms and tools look at.
#[test]
fn cmake_properties() {
    if !can_use_cmake() {
        return;
    }
    let project = Project::new(
        "cmake_minimum_required(VERSION 3.13)\nproject(consumer C)\n\
         find_package(licbak CONFIG REQUIRED)\n\
         get_target_property(soname licbak::shared IMPORTED_SONAME)\n\
         get_target_property(definitions licbak::static INTERFACE_COMPILE_DEFINITIONS)\n\
         get_target_property(libraries licbak::static INTERFACE_LINK_LIBRARIES)\n\
         message(STATUS \"soname ${soname}, definitions ${definitions}, libraries ${libraries}.\")\n",
    );
    let (_, text) = project.configure(stage(), &[]);
    let libraries = static_libs().join(";");
    let expected =
        format!("soname liblicbak.so.0, definitions LICBAK_STATIC, libraries {libraries}.");
    assert!(text.contains(&expected), "{text}");
}

// -- pkg-config

/// As a makefile does it: `eval` understands how pkg-config writes a path with a space.
const BY_PKG_CONFIG: &str =
    r#"eval "$1 \"\$2\" -o \"\$3\" -pthread $(pkg-config $4 --cflags --libs licbak)""#;

#[test]
fn pkg_config_consumers() {
    if !has("pkg-config") {
        return skip("consumers by pkg-config", "not installed");
    }
    let place = scratch();
    let prefix = place.join("moved to here");
    copy_stage(&prefix);
    for kind in ["", "--static"] {
        if kind == "--static" {
            remove_shared(&prefix.join("lib")); // which the linker prefers
        }
        for (compiler, file, name) in [("cc", "props.c", "props"), ("c++", "cxx.cpp", "cxx")] {
            if !has(compiler) {
                skip(&format!("{compiler} by pkg-config"), "not installed");
                continue;
            }
            let program = place.join(name);
            let mut command = Command::new("sh");
            command.args(["-c", BY_PKG_CONFIG, "sh", compiler]);
            command.arg(source(file)).arg(&program).arg(kind);
            expect(command.env("PKG_CONFIG_PATH", prefix.join("lib/pkgconfig")));
            let dynamic = dynamic_section(&program);
            assert_eq!(dynamic.contains("licbak"), kind.is_empty(), "{dynamic}");
            expect_passed(
                name,
                Command::new(&program).env("LD_LIBRARY_PATH", prefix.join("lib")),
            );
        }
    }
    fs::remove_dir_all(place).unwrap();
}

/// Without pkg-config too: what licbak.pc says is enough for a program that needs no shared library
/// of ours.
#[test]
fn static_link_from_a_moved_install() {
    let place = scratch();
    let prefix = place.join("moved");
    copy_stage(&prefix);
    remove_shared(&prefix.join("lib"));
    let program = place.join("props");
    let mut command = Command::new("cc");
    command.args(["-std=c11", "-pthread", "-o"]).arg(&program);
    command.args(STRICT).arg(source("props.c"));
    expect(command.args(pkg_config(&prefix, &["--static", "--cflags", "--libs"])));
    assert!(!runs_with_shared(&program, "props"));
    fs::remove_dir_all(place).unwrap();
}

// -- the crate

/// Who takes the crate gets what builds and installs the library, and not its tests.
#[test]
fn crate_has_what_it_needs() {
    let mut package = Command::new("cargo");
    package.args(["package", "--list", "--allow-dirty", "--quiet", "--offline"]);
    let text = expect(package.current_dir(env!("CARGO_MANIFEST_DIR")));
    let has = |name: &str| text.lines().any(|line| line == name);
    for file in [
        "install.sh",
        "include/licbak.h",
        "include/licbak.hpp",
        "include/licbak_wm.hpp",
        "man/functions.awk",
        "man/licbak.1",
        "completion/licbak.bash",
        "cmake/licbakConfig.cmake.in",
        "examples-c/licbak.c",
        "examples-c/licbak_system.h",
        "examples-c/wmvcore.def",
        ".cargo/rustc.sh",
        "LICENSE-THIRD-PARTY",
        "README.md",
        "build.rs",
        "src/lib.rs",
    ] {
        assert!(has(file), "{file}: {text}");
    }
    // What install.sh names of the sources is there.
    let script = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("install.sh"));
    let script = script.unwrap();
    let words = script.split(|c: char| c.is_whitespace() || c == '"' || c == ')');
    let folders = ["man/", "completion/", "cmake/", "include/", "examples-c/"];
    for word in words.filter(|word| folders.iter().any(|folder| word.starts_with(folder))) {
        let is_name = !word.contains(['*', '$', ',']) && !word.ends_with('/');
        assert!(!is_name || has(word), "{word}: {text}");
    }
    for line in text.lines() {
        let strange = [
            "c-tests/",
            "benches/",
            "fuzz/",
            "python/",
            ".ci/",
            "examples-c/licenses/",
        ];
        assert!(
            !strange.iter().any(|folder| line.starts_with(folder)),
            "{line}"
        );
    }
}

// -- what a static library needs

/// What licbak.pc says that liblicbak.a needs.
fn static_libs() -> Vec<String> {
    let file = fs::read_to_string(stage().join("lib/pkgconfig/licbak.pc")).unwrap();
    let line = file
        .lines()
        .find_map(|line| line.strip_prefix("Libs.private: "));
    line.unwrap().split(' ').map(str::to_owned).collect()
}

/// rustc is asked about a crate that has nothing but ours in it: the answer is the same, and ours
/// need not be compiled once more.
#[test]
fn static_libs_are_those_that_rustc_names() {
    stage(); // has built the library
    let place = scratch();
    fs::write(place.join("nothing.rs"), "extern crate licbak;\n").unwrap();
    let mut rustc = Command::new("rustc");
    rustc.args(["--crate-type", "staticlib", "--print", "native-static-libs"]);
    rustc.arg("--extern").arg(format!(
        "licbak={}",
        built().join("liblicbak.rlib").display()
    ));
    rustc
        .arg("-L")
        .arg(format!("dependency={}", built().join("deps").display()));
    let text = expect(rustc.arg("nothing.rs").current_dir(&place));
    fs::remove_dir_all(place).unwrap();
    let line = text
        .lines()
        .find_map(|line| line.split_once("native-static-libs: "));
    let named: Vec<&str> = line.expect(&text).1.split_whitespace().collect();
    assert_eq!(static_libs(), named);
    let readme =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let expected = format!("liblicbak.a {}", named.join(" "));
    assert!(
        readme.contains(&expected),
        "README.md does not say: {expected}"
    );
}
