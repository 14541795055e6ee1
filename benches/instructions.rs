//! Instructions instead of time: their number is the same on a busy machine, and tells small differences
//! apart. Those of the kernel are not counted.

use std::fs;
use std::process::{Command, Stdio};
use std::thread;

use crate::Outcome;
use crate::corpus::{Corpus, Form};
use crate::options::Options;
use crate::peers::Licbak;
use crate::processes::run;
use crate::rounds::AT_REST;
use crate::table;

const LICENSES: u64 = 20_000;

#[derive(Clone, Copy)]
enum Counter {
    Valgrind,
    Perf,
}

impl Counter {
    /// The first that is installed and can count on this machine.
    fn find() -> Option<Counter> {
        let counts = |counter: &Counter| counter.count(&Command::new("true")).is_ok();
        [Counter::Valgrind, Counter::Perf].into_iter().find(counts)
    }

    /// Counts the instructions of a command that must succeed, on one core, so with one worker: how
    /// workers share what there is to do is luck.
    fn count(self, command: &Command) -> Outcome<f64> {
        let words: &[&str] = match self {
            Counter::Valgrind => &[
                "valgrind",
                "--tool=cachegrind",
                "--cache-sim=no",
                "--cachegrind-out-file=/dev/null",
            ],
            Counter::Perf => &["perf", "stat", "-x", " ", "-e", "instructions:u"],
        };
        let mut counted = Command::new("taskset");
        counted.args(["-c", &a_core()?]).args(words);
        counted.arg(command.get_program()).args(command.get_args());
        let output = counted.stdin(Stdio::null()).output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        let count = match self {
            Counter::Valgrind => said
                .lines()
                .filter_map(|line| line.split_once("refs:"))
                .find_map(|(_, count)| count.trim().replace(',', "").parse().ok()),
            Counter::Perf => said
                .lines()
                .filter(|line| line.contains("instructions:u"))
                .find_map(|line| line.split(' ').next()?.parse().ok()),
        };
        match count {
            Some(count) if output.status.success() => Ok(count),
            _ => Err(format!("{counted:?}: {}\n{said}", output.status).into()),
        }
    }
}

/// The number of the first core that this process may use.
fn a_core() -> Outcome<String> {
    let status = fs::read_to_string("/proc/self/status")?;
    let cores = status
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    let digits = cores.unwrap_or_default().trim().chars();
    Ok(digits.take_while(char::is_ascii_digit).collect())
}

/// Prints what each operation takes.
pub fn print(licbak: &Licbak, options: &Options) -> Outcome<()> {
    let Some(counter) = Counter::find() else {
        println!("left out: neither valgrind nor perf can count instructions here");
        return Ok(());
    };
    let corpus = Corpus::open(&options.directory, LICENSES, Form::Folders)?;
    let database = corpus.database(&options.directory)?;
    let store = &corpus.path;
    let own = format!("instructions-{}", std::process::id());
    let work = options.directory.join(&own);
    let memory = options.memory.join(format!("licbak-bench-{own}"));
    let [backup, repeated, of_database] =
        ["backup", "repeated", "database"].map(|name| work.join(name));
    for folder in [&work, &memory, &backup, &repeated, &of_database] {
        fs::create_dir(folder)?;
    }
    let print = |name: &str, command: &Command| -> Outcome<()> {
        let a_license = counter.count(command)? / LICENSES as f64;
        println!("| {name} | {a_license:.0} |");
        Ok(())
    };
    println!(
        "| {} licences | instructions a licence |",
        table::grouped(LICENSES)
    );
    println!("|---|---|");
    print("full backup", &licbak.backup(store, &backup))?;
    print("verify", &licbak.verify(&backup))?;
    print("list", &licbak.list(&backup))?;
    let restored = print("restore all, tmpfs", &licbak.restore(&backup, &memory));
    fs::remove_dir_all(&memory)?;
    restored?;
    print(
        "SQLite, full backup",
        &licbak.backup(&database, &of_database),
    )?;

    run(&mut licbak.backup(store, &repeated))?;
    corpus.change(0)?;
    thread::sleep(AT_REST);
    print("repeat, 1 % changed", &licbak.repeat(store, &repeated))?;
    print("repeat, nothing changed", &licbak.repeat(store, &repeated))?;
    corpus.change_back(1)?;
    if !options.keep {
        fs::remove_dir_all(&work)?;
    }
    Ok(())
}
