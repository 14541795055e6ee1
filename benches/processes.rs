//! Runs whole processes and tells what they cost.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Outcome;

/// What a process cost, with all that it waited for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    /// Seconds, user and system.
    pub cpu: f64,
    pub wall: f64,
    /// Bytes, of the largest of its processes.
    pub peak: u64,
    /// Bytes of what it made, where that is of interest.
    pub made: u64,
}

pub struct Meter {
    helper: PathBuf,
    scratch: PathBuf,
    measured: Cost,
    /// CPU seconds that the whole machine was busy while something was measured.
    busy: f64,
}

impl Meter {
    /// Builds the helper that starts what is measured.
    pub fn new(scratch: &Path) -> Outcome<Meter> {
        let helper = scratch.join("measure");
        let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
        let mut compile = shell("$CC -std=c11 -O2 -o \"$1\" \"$2\"");
        compile.arg(&helper).env("CC", compiler);
        run(compile.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/measure.c")))?;
        Ok(Meter {
            helper,
            scratch: scratch.to_owned(),
            measured: Cost::default(),
            busy: 0.0,
        })
    }

    /// Runs a command that must succeed; what it prints goes nowhere.
    pub fn measure(&mut self, command: &Command) -> Outcome<Cost> {
        self.start(command, Stdio::null())
    }

    /// Likewise, and gives what it printed.
    pub fn measure_output(&mut self, command: &Command) -> Outcome<(Cost, String)> {
        let output = File::create(self.scratch.join("output"))?;
        let cost = self.start(command, output.into())?;
        Ok((cost, fs::read_to_string(self.scratch.join("output"))?))
    }

    fn start(&mut self, command: &Command, output: Stdio) -> Outcome<Cost> {
        let figures = self.scratch.join("figures");
        let errors = self.scratch.join("errors");
        let mut measured = Command::new(&self.helper);
        measured
            .arg(&figures)
            .arg(command.get_program())
            .args(command.get_args())
            .envs(
                command
                    .get_envs()
                    .filter_map(|(name, value)| Some((name, value?))),
            )
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(File::create(&errors)?);
        let busy = busy_seconds();
        let status = measured.status()?;
        let busy = busy_seconds() - busy;
        if !status.success() {
            let text = fs::read_to_string(&errors)?;
            return Err(format!("{command:?}: {status}\n{text}").into());
        }
        let cost = parse(&fs::read_to_string(&figures)?)
            .ok_or("the helper that measures wrote no figures")?;
        self.busy += busy;
        self.measured.cpu += cost.cpu;
        self.measured.wall += cost.wall;
        Ok(cost)
    }

    /// Which part of the machine others used while something was measured: with more than a little,
    /// wall times say nothing.
    pub fn share_of_others(&self) -> f64 {
        let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
        let available = self.measured.wall * cores as f64;
        ((self.busy - self.measured.cpu) / available).max(0.0)
    }
}

fn parse(figures: &str) -> Option<Cost> {
    let numbers: Vec<u64> = figures
        .split_whitespace()
        .map(|number| number.parse().ok())
        .collect::<Option<_>>()?;
    let &[user, system, wall, peak] = numbers.as_slice() else {
        return None;
    };
    Some(Cost {
        cpu: (user + system) as f64 / 1e6,
        wall: wall as f64 / 1e9,
        peak: peak << 10,
        made: 0,
    })
}

/// Of all cores together, since the machine was started; 0 where the system doesn't tell.
fn busy_seconds() -> f64 {
    const TICKS: f64 = 100.0;
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let all: Vec<f64> = text
        .lines()
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .filter_map(|number| number.parse().ok())
        .collect();
    match all.as_slice() {
        [user, nice, system, _idle, _waiting, interrupt, soft, ..] => {
            (user + nice + system + interrupt + soft) / TICKS
        }
        _ => 0.0,
    }
}

/// A line for the shell, whose arguments are `$1` and so on.
pub fn shell(line: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-euc", line, "sh"]);
    command
}

/// Runs a command that must succeed, unmeasured, and gives what it printed.
pub fn run(command: &mut Command) -> Outcome<String> {
    let output = command.stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    Err(format!("{command:?}: {}\n{errors}", output.status).into())
}

pub fn is_installed(program: &str, argument: &str) -> bool {
    let mut command = Command::new(program);
    command.arg(argument).stdin(Stdio::null());
    command.output().is_ok_and(|output| output.status.success())
}
