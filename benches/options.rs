//! The command line.

use std::path::PathBuf;

use crate::Outcome;

pub const USAGE: &str = "\
usage: cargo bench -- [OPTION]...

Sets licbak beside what a user would pick instead, and prints the ratios.

  --licenses N,N…  sizes of the store (default: 10000,100000)
  --rounds N       how often everything is run (default: 5); of larger stores than 100000 at most 3 times
  --flat           also stores that are one folder
  --host N,N…      a host that makes so many licences up; nothing else, unless --licenses or --all asks for it
  --shapes         stores of other shapes: large licences, tiny ones, deep folders; nothing else, unless
                   --licenses or --all asks for it
  --all            the whole table: 1000 to 1000000 licences, in folders and flat
  --only WHAT,…    backup, and of limit, repeat, restic, verify, restore, one, list, calls, database these
  --instructions   counts instructions instead: of 20000 licences, on one thread, in valgrind or perf
  --dir DIR        where everything is made (default: bench in cargo's target directory)
  --tmpfs DIR      where the restores to memory go (default: /dev/shm)
  --keep           remove nothing at the end but what is in memory
";

/// What can be left out. A backup can't: all else needs one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Limit,
    Repeat,
    Restic,
    Verify,
    Restore,
    One,
    List,
    Calls,
    Database,
}

impl Part {
    pub const ALL: [Part; 9] = [
        Part::Limit,
        Part::Repeat,
        Part::Restic,
        Part::Verify,
        Part::Restore,
        Part::One,
        Part::List,
        Part::Calls,
        Part::Database,
    ];

    pub fn word(self) -> &'static str {
        match self {
            Part::Limit => "limit",
            Part::Repeat => "repeat",
            Part::Restic => "restic",
            Part::Verify => "verify",
            Part::Restore => "restore",
            Part::One => "one",
            Part::List => "list",
            Part::Calls => "calls",
            Part::Database => "database",
        }
    }
}

pub struct Options {
    pub licenses: Vec<u64>,
    pub rounds: u64,
    pub flat: bool,
    pub host: Vec<u64>,
    pub shapes: bool,
    pub parts: Vec<Part>,
    pub directory: PathBuf,
    pub memory: PathBuf,
    pub keep: bool,
    pub instructions: bool,
    pub help: bool,
}

impl Options {
    pub fn parse(arguments: impl Iterator<Item = String>, directory: PathBuf) -> Outcome<Options> {
        let mut options = Options {
            licenses: Vec::new(),
            rounds: 5,
            flat: false,
            host: Vec::new(),
            shapes: false,
            parts: Part::ALL.to_vec(),
            directory,
            memory: PathBuf::from("/dev/shm"),
            keep: false,
            instructions: false,
            help: false,
        };
        let mut arguments = arguments;
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
            match argument.as_str() {
                "--licenses" => options.licenses = numbers(&value()?)?,
                "--rounds" => options.rounds = number(&value()?)?,
                "--flat" => options.flat = true,
                "--host" => options.host = numbers(&value()?)?,
                "--shapes" => options.shapes = true,
                "--all" => {
                    options.licenses = vec![1_000, 10_000, 100_000, 1_000_000];
                    options.flat = true;
                    options.shapes = true;
                }
                "--only" => options.parts = parts(&value()?)?,
                "--dir" => options.directory = std::path::absolute(value()?)?,
                "--tmpfs" => options.memory = std::path::absolute(value()?)?,
                "--keep" => options.keep = true,
                "--instructions" => options.instructions = true,
                "--help" => options.help = true,
                "--bench" => {} // cargo's own
                _ => return Err(format!("no such option: {argument}\n\n{USAGE}").into()),
            }
        }
        if options.licenses.is_empty() && options.host.is_empty() && !options.shapes {
            options.licenses = vec![10_000, 100_000];
        }
        Ok(options)
    }
}

fn number(text: &str) -> Outcome<u64> {
    let number = text.parse().ok().filter(|number| *number > 0);
    number.ok_or(format!("'{text}' is no number above 0").into())
}

fn numbers(text: &str) -> Outcome<Vec<u64>> {
    let mut numbers: Vec<u64> = text.split(',').map(number).collect::<Outcome<_>>()?;
    numbers.sort_unstable();
    numbers.dedup();
    match numbers.iter().all(|licenses| *licenses >= 100) {
        true => Ok(numbers),
        false => Err("of fewer than 100 licences no hundredth can be changed".into()),
    }
}

fn parts(text: &str) -> Outcome<Vec<Part>> {
    let words = text.split(',').filter(|word| *word != "backup");
    words
        .map(|word| {
            let part = Part::ALL.into_iter().find(|part| part.word() == word);
            part.ok_or(format!("--only knows no '{word}'").into())
        })
        .collect()
}
