//! The commands: licbak's tool, and what a user would type instead.
//!
//! What makes a file or a tree ends when it is on the disk, on both sides: licbak syncs by itself,
//! the others are followed by `sync` on what they made.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Outcome;
use crate::floors::Floor;
use crate::limit::Work;
use crate::processes::{run, shell};

pub const BACKUP_FILE: &str = "licenses.tar.zst";

pub fn floor(floor: Floor, store: &Path) -> Outcome<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(floor.word()).arg(store);
    Ok(command)
}

pub fn work(work: Work, backup: &Path, made: &Path) -> Outcome<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(work.word()).arg(backup).arg(made);
    Ok(command)
}

/// The tool, as a user has it.
pub struct Licbak {
    program: PathBuf,
    /// A host that measures its calls.
    calls: PathBuf,
    /// A host that makes its licences up.
    host: PathBuf,
}

impl Licbak {
    /// Installs it, below cargo's target directory.
    pub fn install(target: &Path) -> Outcome<Licbak> {
        let prefix = target.join("bench-stage");
        let mut install = Command::new("./install.sh");
        install
            .arg("--prefix")
            .arg(&prefix)
            .env("CARGO_TARGET_DIR", target)
            .current_dir(env!("CARGO_MANIFEST_DIR"));
        run(&mut install)?;
        Ok(Licbak {
            program: prefix.join("bin/licbak"),
            calls: compile(&prefix, "calls")?,
            host: compile(&prefix, "host")?,
        })
    }

    fn command(&self, word: &str, options: &[&str], paths: &[&Path]) -> Command {
        let mut command = Command::new(&self.program);
        command.arg(word).args(options).args(paths);
        command
    }

    pub fn backup(&self, store: &Path, directory: &Path) -> Command {
        self.command("backup", &[], &[store, directory])
    }

    pub fn backup_on_one_thread(&self, store: &Path, directory: &Path) -> Command {
        self.command("backup", &["--threads", "1"], &[store, directory])
    }

    /// Takes over what has not changed.
    pub fn repeat(&self, store: &Path, directory: &Path) -> Command {
        self.command("backup", &["--overwrite"], &[store, directory])
    }

    pub fn verify(&self, directory: &Path) -> Command {
        self.command("verify", &[], &[directory])
    }

    pub fn restore(&self, directory: &Path, store: &Path) -> Command {
        self.command("restore", &[], &[directory, store])
    }

    pub fn can_restore_one(&self) -> Outcome<bool> {
        let help = run(&mut self.command("restore", &["--help"], &[]))?;
        Ok(help.contains("--key-id"))
    }

    pub fn restore_one(&self, key_id: &str, directory: &Path, store: &Path) -> Command {
        self.command("restore", &["--key-id", key_id], &[directory, store])
    }

    pub fn call(&self, store: &Path, directory: &Path) -> Command {
        let mut command = Command::new(&self.calls);
        command.arg(store).arg(directory);
        command
    }

    /// `step` is one of benches/host.c.
    pub fn host(&self, step: &str, licenses: u64, directory: &Path) -> Command {
        let mut command = Command::new(&self.host);
        command.arg(step).arg(licenses.to_string()).arg(directory);
        command
    }

    pub fn list(&self, directory: &Path) -> Command {
        self.command("list", &[], &[directory])
    }
}

/// Compiles a host against the library that is installed there.
fn compile(prefix: &Path, name: &str) -> Outcome<PathBuf> {
    let program = prefix.join("bin").join(name);
    let source = format!("benches/{name}.c");
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    let mut compile = shell(
        "$CC -std=c11 -O2 -o \"$1\" \"$2\" -I \"$3/include\" -L \"$3/lib\" -llicbak -Wl,-rpath,\"$3/lib\"",
    );
    compile.arg(&program).env("CC", compiler);
    compile.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join(source));
    run(compile.arg(prefix))?;
    Ok(program)
}

pub mod tar {
    use super::{Command, Path, shell};

    pub fn backup(store: &Path, file: &Path) -> Command {
        let mut command = shell("tar -I 'zstd -3 -T0' -cf \"$2\" -C \"$1\" . && sync \"$2\"");
        command.arg(store).arg(file);
        command
    }

    /// As any user: only root would give files away to their owners, at a cost of its own.
    pub fn restore(file: &Path, store: &Path) -> Command {
        let mut command =
            shell("tar -I zstd --no-same-owner -xf \"$1\" -C \"$2\" && sync -f \"$2\"");
        command.arg(file).arg(store);
        command
    }

    pub fn restore_one(file: &Path, name: &str) -> Command {
        let mut command = Command::new("tar");
        command.args(["-I", "zstd", "-xOf"]).arg(file);
        command.arg(format!("./{name}"));
        command
    }

    pub fn list(file: &Path) -> Command {
        let mut command = Command::new("tar");
        command.args(["-I", "zstd", "-tf"]).arg(file);
        command
    }

    pub fn verify(file: &Path) -> Command {
        let mut command = Command::new("zstd");
        command.args(["-q", "-t"]).arg(file);
        command
    }
}

pub fn vacuum_into(database: &Path, copy: &Path) -> Command {
    let mut command = shell(
        "sqlite3 \"$1\" \"VACUUM INTO '$2'\" && zstd -q -3 -T0 \"$2\" -o \"$2.zst\" && sync \"$2.zst\"",
    );
    command.arg(database).arg(copy);
    command
}

/// A repository of restic, with its cache beside it.
pub struct Restic {
    directory: PathBuf,
}

impl Restic {
    pub fn create(directory: PathBuf) -> Outcome<Restic> {
        let restic = Restic { directory };
        run(restic.command().arg("init"))?;
        Ok(restic)
    }

    pub fn backup(&self, store: &Path) -> Command {
        let mut command = self.command();
        command.arg("backup").arg(store);
        command
    }

    fn command(&self) -> Command {
        let mut command = Command::new("restic");
        command
            .args(["-q", "-r"])
            .arg(self.directory.join("repository"));
        command.arg("--cache-dir").arg(self.directory.join("cache"));
        command.env("RESTIC_PASSWORD", "bench");
        command
    }
}
