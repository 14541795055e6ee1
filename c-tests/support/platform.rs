//! The platform that the C programs are tested on, where it is another than this machine's.
//!
//! `LICBAK_TARGET` is Rust's name of it, `LICBAK_CC` the command that compiles C for it, and
//! `LICBAK_RUNNER` the one that runs its programs here, if they need one.

#![allow(clippy::unwrap_used)]

use std::env;
use std::path::Path;
use std::process::Command;

/// Gives Rust's name of the platform; None for this machine's.
pub fn target() -> Option<String> {
    env::var("LICBAK_TARGET").ok()
}

/// Has install.sh build for the platform.
pub fn install_for(install: &mut Command) {
    if let (Some(target), Ok(compiler)) = (target(), env::var("LICBAK_CC")) {
        install.args(["--target", &target]).env("CC", compiler);
    }
}

/// Gives the command that compiles C.
pub fn compiler() -> Command {
    command_of(&env::var("LICBAK_CC").unwrap_or("cc".to_owned()))
}

/// Gives the command that runs a C program.
pub fn running(program: &Path) -> Command {
    let Ok(runner) = env::var("LICBAK_RUNNER") else {
        return Command::new(program);
    };
    let mut command = command_of(&runner);
    command.arg(program);
    command
}

fn command_of(words: &str) -> Command {
    let mut words = words.split_whitespace();
    let mut command = Command::new(words.next().unwrap());
    command.args(words);
    command
}
