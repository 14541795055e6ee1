//! licbak side by side with what a user would pick instead. See README.md.

mod chart;
mod corpus;
mod floors;
mod goals;
mod host;
mod instructions;
mod licenses;
mod limit;
mod options;
mod peers;
mod processes;
mod rounds;
mod shapes;
mod table;

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use corpus::{Corpus, Form};
use floors::Floor;
use limit::Work;
use options::{Options, Part};
use peers::{Licbak, Restic};
use processes::Meter;
use rounds::{Figures, Places, Rounds};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.as_slice() {
        [word, rest @ ..] => match (Floor::from_word(word), Work::from_word(word), rest) {
            (Some(floor), _, [store]) => floors::run(floor, Path::new(store)),
            (_, Some(work), [backup, made]) => limit::run(work, Path::new(backup), Path::new(made)),
            _ => compare(arguments),
        },
        [] => compare(arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("side_by_side: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Cargo's target directory.
fn target() -> &'static Path {
    let own = Path::new(env!("CARGO_TARGET_TMPDIR"));
    own.parent().unwrap_or(own)
}

fn compare(arguments: Vec<String>) -> Outcome<()> {
    let options = Options::parse(arguments.into_iter(), target().join("bench"))?;
    if options.help {
        print!("{}", options::USAGE);
        return Ok(());
    }
    let licbak = Licbak::install(target())?;
    if options.instructions {
        return instructions::print(&licbak, &options);
    }
    let mut bench = Bench::prepare(&options, &licbak)?;
    let all = bench.measure_all();
    bench.free_memory()?;
    let all = all?;
    if !all.is_empty() {
        bench.report(&all)?;
    }
    if options.shapes {
        shapes::print(&licbak, &mut bench.meter, &bench.work, &options)?;
    }
    bench.clean_up()
}

struct Bench<'b> {
    options: &'b Options,
    licbak: &'b Licbak,
    meter: Meter,
    /// Of this run alone, and removed when all is done.
    work: PathBuf,
    memory: PathBuf,
    /// What is not measured, and why.
    left_out: Vec<String>,
}

/// Of more, what takes long and says nothing new is left out.
const ALL_PARTS_UP_TO: u64 = 100_000;
/// Of larger stores.
const ROUNDS_OF_LARGE: u64 = 3;

impl<'b> Bench<'b> {
    fn prepare(options: &'b Options, licbak: &'b Licbak) -> Outcome<Bench<'b>> {
        let own = format!("run-{}", std::process::id());
        let work = options.directory.join(&own);
        let memory = options.memory.join(format!("licbak-bench-{own}"));
        fs::create_dir_all(&work)?;
        let mut bench = Bench {
            options,
            licbak,
            meter: Meter::new(&work)?,
            work,
            memory,
            left_out: Vec::new(),
        };
        bench.look_for_peers()?;
        Ok(bench)
    }

    fn look_for_peers(&mut self) -> Outcome<()> {
        let skipped = Part::ALL
            .into_iter()
            .filter(|part| !self.options.parts.contains(part));
        for part in skipped {
            self.leave_out(part.word(), "not asked for");
        }
        for (part, program, argument) in [
            (Part::Restic, "restic", "version"),
            (Part::Database, "sqlite3", "-version"),
        ] {
            if !processes::is_installed(program, argument) {
                self.leave_out(part.word(), &format!("{program} is not installed"));
            }
        }
        if !self.licbak.can_restore_one()? {
            self.leave_out("restore one", "this licbak has no 'restore --key-id'");
        }
        Ok(())
    }

    fn leave_out(&mut self, what: &str, why: &str) {
        self.left_out.push(format!("{what}: {why}"));
    }

    fn measure_all(&mut self) -> Outcome<Vec<Figures>> {
        let mut all = Vec::new();
        for licenses in &self.options.licenses {
            all.push(self.measure(*licenses, Form::Folders)?);
            if self.options.flat {
                all.push(self.measure(*licenses, Form::Flat)?);
            }
        }
        for licenses in &self.options.host {
            let directory = self.work.join(format!("{licenses}-host"));
            fs::create_dir(&directory)?;
            let rounds = self.options.rounds.min(ROUNDS_OF_LARGE);
            let figures =
                host::measure(self.licbak, &mut self.meter, &directory, *licenses, rounds)?;
            all.push(figures);
        }
        Ok(all)
    }

    fn measure(&mut self, licenses: u64, form: Form) -> Outcome<Figures> {
        let parts = self.parts(licenses, form);
        let corpus = Corpus::open(&self.options.directory, licenses, form)?;
        let own = format!("{licenses}-{}", form.word().replace(' ', "-"));
        let (directory, memory) = (self.work.join(&own), self.memory.join(&own));
        fs::create_dir(&directory)?;
        fs::create_dir_all(&memory)?;
        let restic = parts.contains(&Part::Restic) && parts.contains(&Part::Repeat);
        let database = parts.contains(&Part::Database);
        let rounds = Rounds {
            meter: &mut self.meter,
            licbak: self.licbak,
            parts: &parts,
            restic: match restic {
                true => Some(Restic::create(directory.join("restic"))?),
                false => None,
            },
            database: match database {
                true => Some(corpus.database(&self.options.directory)?),
                false => None,
            },
            places: Places {
                directory: &directory,
                memory: &memory,
            },
            figures: Figures {
                licenses,
                form: Some(form),
                costs: BTreeMap::new(),
            },
            corpus: &corpus,
        };
        let count = match licenses > ALL_PARTS_UP_TO {
            true => self.options.rounds.min(ROUNDS_OF_LARGE),
            false => self.options.rounds,
        };
        rounds.run(count)
    }

    /// What is measured on such a store.
    fn parts(&mut self, licenses: u64, form: Form) -> Vec<Part> {
        let is_left_out = |part: &Part| match part {
            Part::Restic => !processes::is_installed("restic", "version"),
            Part::Database => !processes::is_installed("sqlite3", "-version"),
            _ => false,
        };
        let mut parts = self.options.parts.clone();
        parts.retain(|part| !is_left_out(part));
        if licenses > ALL_PARTS_UP_TO && form == Form::Folders {
            let (dropped, kept): (Vec<Part>, _) = parts
                .into_iter()
                .partition(|part| matches!(part, Part::Restic | Part::Restore | Part::Database));
            for part in dropped {
                let what = format!("{} of {} licences", part.word(), table::grouped(licenses));
                self.leave_out(&what, "takes long, and says nothing new");
            }
            parts = kept;
        }
        if form == Form::Flat {
            parts.retain(|part| *part == Part::Repeat);
        }
        parts
    }

    fn report(&mut self, all: &[Figures]) -> Outcome<()> {
        for figures in all {
            table::print_pairs(figures);
            table::print_limits(figures);
        }
        let others = self.meter.share_of_others();
        table::print_goals(&goals::judge(all), others);
        if let Some(svg) = chart::draw(all) {
            let path = self.options.directory.join("cost.svg");
            fs::write(&path, svg)?;
            println!("\nDrawn: {}", path.display());
        }
        println!(
            "\nWhile something was measured, others kept {:.0} % of the machine busy.",
            others * 100.0
        );
        println!("\nLeft out:");
        for line in &self.left_out {
            println!("- {line}");
        }
        Ok(())
    }

    /// What a failure leaves on the disk can be looked at; memory is needed.
    fn free_memory(&self) -> Outcome<()> {
        match self.memory.exists() {
            true => Ok(fs::remove_dir_all(&self.memory)?),
            false => Ok(()),
        }
    }

    fn clean_up(&self) -> Outcome<()> {
        if !self.options.keep {
            fs::remove_dir_all(&self.work)?;
        }
        Ok(())
    }
}
