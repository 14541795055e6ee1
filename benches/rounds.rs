//! Everything that is run on one store, round by round.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use crate::Outcome;
use crate::corpus::{Corpus, Form};
use crate::floors::Floor;
use crate::limit::Work;
use crate::options::Part;
use crate::peers::{self, BACKUP_FILE, Licbak, Restic, tar};
use crate::processes::{Cost, Meter, run};

/// More than the three seconds after which a file's times tell whether it has changed.
pub const AT_REST: Duration = Duration::from_secs(4);

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    ReadFloor,
    StatFloor,
    /// What a backup can't do without: the read floor, and the next three.
    Limit,
    Digest,
    Compress,
    Write,
    Backup,
    TarBackup,
    Repeat,
    RepeatChanged,
    ResticRepeat,
    Verify,
    /// What a verify can't do without: the next two.
    VerifyLimit,
    VerifyDigest,
    Unpack,
    ZstdTest,
    RestoreDisk,
    TarRestoreDisk,
    RestoreMemory,
    TarRestoreMemory,
    RestoreOne,
    TarRestoreOne,
    List,
    TarList,
    Getter,
    Clock,
    Telling,
    ToldBackup,
    DatabaseBackup,
    Vacuum,
    /// What it costs a host to make its licences up.
    Making,
}

/// What was measured on one store. The n-th costs of all steps are of the same round.
pub struct Figures {
    pub licenses: u64,
    /// None: a host that makes them up.
    pub form: Option<Form>,
    pub costs: BTreeMap<Step, Vec<Cost>>,
}

impl Figures {
    pub fn of(&self, step: Step) -> &[Cost] {
        self.costs.get(&step).map_or(&[], Vec::as_slice)
    }

    pub fn note(&mut self, step: Step, cost: Cost) {
        self.costs.entry(step).or_default().push(cost);
    }
}

/// Where a round puts what it makes. Everything has a name of its own: on ext4 files that are made
/// soon after others were removed cost many times as much.
pub struct Places<'p> {
    pub directory: &'p Path,
    pub memory: &'p Path,
}

pub struct Rounds<'r> {
    pub meter: &'r mut Meter,
    pub licbak: &'r Licbak,
    pub places: Places<'r>,
    pub parts: &'r [Part],
    pub corpus: &'r Corpus,
    pub figures: Figures,
    pub restic: Option<Restic>,
    pub database: Option<PathBuf>,
}

impl Rounds<'_> {
    pub fn run(mut self, rounds: u64) -> Outcome<Figures> {
        self.begin()?;
        for round in 0..rounds {
            eprintln!(
                "{} licences in {}: round {} of {rounds}",
                self.corpus.licenses,
                self.corpus.form().word(),
                round + 1
            );
            self.round(round)?;
        }
        if self.has(Part::Repeat) {
            self.check_repeated()?;
            self.corpus.change_back(rounds)?;
        }
        Ok(self.figures)
    }

    fn has(&self, part: Part) -> bool {
        self.parts.contains(&part)
    }

    /// Makes what the repeated backups begin with.
    fn begin(&mut self) -> Outcome<()> {
        if self.has(Part::Repeat) {
            let store = &self.corpus.path;
            run(&mut self.licbak.backup(store, &self.new_folder("repeated")?))?;
            if let Some(restic) = &self.restic {
                run(&mut restic.backup(store))?;
            }
        }
        Ok(())
    }

    fn round(&mut self, round: u64) -> Outcome<()> {
        let store = self.corpus.path.clone();
        if self.has(Part::Repeat) {
            self.repeat(round)?;
        }
        self.floors(&store)?;

        let backup = self.new_folder(&format!("backup-{round}"))?;
        let tarball = self.path(&format!("tar-{round}.tar.zst"));
        self.run_licbak(
            Step::Backup,
            &self.licbak.backup(&store, &backup),
            Some(&backup),
        )?;
        self.run_step(
            Step::TarBackup,
            &tar::backup(&store, &tarball),
            Some(&tarball),
        )?;

        // What went past the page cache is to be there, as tar's is.
        read(&backup.join(BACKUP_FILE))?;
        self.limits(round, &backup.join(BACKUP_FILE))?;
        if self.has(Part::Verify) {
            self.run_licbak(Step::Verify, &self.licbak.verify(&backup), None)?;
            self.run_step(Step::ZstdTest, &tar::verify(&tarball), None)?;
            // It gives the page cache back.
            read(&backup.join(BACKUP_FILE))?;
        }
        if self.has(Part::List) {
            self.list(round, &backup, &tarball)?;
        }
        if self.has(Part::Calls) {
            self.call(round)?;
        }
        if self.has(Part::One) {
            self.restore_one(round, &backup, &tarball)?;
        }
        if self.has(Part::Restore) {
            self.restore_to_disk(round, &backup, &tarball)?;
            read(&backup.join(BACKUP_FILE))?;
            self.restore_to_memory(round, &backup, &tarball)?;
        }
        if let Some(database) = self.database.clone() {
            self.back_up_database(round, &database)?;
        }
        Ok(())
    }

    /// Has the kernel hold the store in memory: it may have given it up for what else a round reads
    /// and writes.
    fn warm_up(&self) -> Outcome<()> {
        run(&mut peers::floor(Floor::Read, &self.corpus.path)?).map(drop)
    }

    fn floors(&mut self, store: &Path) -> Outcome<()> {
        self.warm_up()?;
        for (step, floor) in [
            (Step::ReadFloor, Floor::Read),
            (Step::StatFloor, Floor::Stat),
        ] {
            let (cost, output) = self.meter.measure_output(&peers::floor(floor, store)?)?;
            expect_count("the floor", &output, self.corpus.licenses)?;
            self.note(step, cost);
        }
        Ok(())
    }

    /// Each part alone; what is common to those that unpack the backup is taken off.
    fn limits(&mut self, round: u64, backup: &Path) -> Outcome<()> {
        if !self.has(Part::Limit) && !self.has(Part::Verify) {
            return Ok(());
        }
        let unpack = self.work(Work::Unpack, backup)?;
        self.note(Step::Unpack, unpack);
        if self.has(Part::Limit) {
            let read = self.figures.of(Step::ReadFloor).last();
            let read = read.map_or(0.0, |cost| cost.cpu);
            let digest = self.work(Work::Digest, backup)?.cpu - unpack.cpu;
            let compress = self.work(Work::Compress, backup)?.cpu - unpack.cpu;
            let made = self.path(&format!("written-{round}"));
            let write = peers::work(Work::Write, backup, &made)?;
            let write = self.meter.measure(&write)?.cpu;
            self.note_cpu(Step::Digest, digest);
            self.note_cpu(Step::Compress, compress);
            self.note_cpu(Step::Write, write);
            self.note_cpu(Step::Limit, read + digest + compress + write);
        }
        if self.has(Part::Verify) {
            let check = self.work(Work::Check, backup)?;
            self.note_cpu(Step::VerifyDigest, check.cpu - unpack.cpu);
            self.note(Step::VerifyLimit, check);
        }
        Ok(())
    }

    fn work(&mut self, work: Work, backup: &Path) -> Outcome<Cost> {
        let command = peers::work(work, backup, Path::new(""))?;
        let (cost, said) = self.meter.measure_output(&command)?;
        expect_count(work.word(), &said, self.corpus.licenses)?;
        Ok(cost)
    }

    /// A day of a store: some licences change, it is backed up, and backed up again.
    fn repeat(&mut self, round: u64) -> Outcome<()> {
        let store = self.corpus.path.clone();
        let repeated = self.path("repeated");
        self.corpus.change(round)?;
        run(Command::new("sync").arg("-f").arg(&store))?;
        // Days are longer: licbak reads again what was written to so shortly before it was read.
        thread::sleep(AT_REST);
        self.warm_up()?;
        read(&repeated.join(BACKUP_FILE))?;
        self.run_licbak(
            Step::RepeatChanged,
            &self.licbak.repeat(&store, &repeated),
            Some(&repeated),
        )?;
        read(&repeated.join(BACKUP_FILE))?;
        self.run_licbak(
            Step::Repeat,
            &self.licbak.repeat(&store, &repeated),
            Some(&repeated),
        )?;
        if let Some(restic) = &self.restic {
            run(&mut restic.backup(&store))?;
            let cost = self.meter.measure(&restic.backup(&store))?;
            self.note(Step::ResticRepeat, cost);
        }
        Ok(())
    }

    /// What was backed up again and again is the store as it is now.
    fn check_repeated(&self) -> Outcome<()> {
        let repeated = self.path("repeated");
        run(&mut self.licbak.verify(&repeated))?;
        if self.has(Part::Restore) {
            let store = self.new_folder("restored-repeated")?;
            run(&mut self.licbak.restore(&repeated, &store))?;
            self.compare(&store)?;
        }
        Ok(())
    }

    fn list(&mut self, round: u64, backup: &Path, tarball: &Path) -> Outcome<()> {
        let list = self.licbak.list(backup);
        self.run_step(Step::List, &list, None)?;
        self.run_step(Step::TarList, &tar::list(tarball), None)?;
        if round == 0 {
            let (_, rows) = self.meter.measure_output(&list)?;
            let (rows, licenses) = (rows.lines().count() as u64, self.corpus.licenses);
            if rows != licenses {
                return Err(format!("{rows} of {licenses} licences were listed").into());
            }
        }
        Ok(())
    }

    /// The program measures itself: what it does is too little for a whole process.
    fn call(&mut self, round: u64) -> Outcome<()> {
        let backup = self.new_folder(&format!("called-{round}"))?;
        let said = run(&mut self.licbak.call(&self.corpus.path, &backup))?;
        let mut nanoseconds = said.split_whitespace().map(str::parse::<f64>);
        for step in [Step::Getter, Step::Clock, Step::Telling, Step::ToldBackup] {
            let cpu = nanoseconds.next().ok_or("calls says too little")?? / 1e9;
            self.note_cpu(step, cpu);
        }
        Ok(())
    }

    fn restore_one(&mut self, round: u64, backup: &Path, tarball: &Path) -> Outcome<()> {
        let license = self.corpus.one();
        let name = self.corpus.name(&license);
        self.run_step(Step::TarRestoreOne, &tar::restore_one(tarball, &name), None)?;
        if self.licbak.can_restore_one()? {
            let store = self.new_folder(&format!("one-{round}"))?;
            let restore = self.licbak.restore_one(&license.key_id, backup, &store);
            self.run_step(Step::RestoreOne, &restore, None)?;
            if fs::read(store.join(&name))? != fs::read(self.corpus.path.join(&name))? {
                return Err(format!("{name} came back alone and is different").into());
            }
        }
        Ok(())
    }

    fn restore_to_disk(&mut self, round: u64, backup: &Path, tarball: &Path) -> Outcome<()> {
        let ours = self.new_folder(&format!("restored-{round}"))?;
        let theirs = self.new_folder(&format!("untarred-{round}"))?;
        self.run_licbak(Step::RestoreDisk, &self.licbak.restore(backup, &ours), None)?;
        self.run_step(Step::TarRestoreDisk, &tar::restore(tarball, &theirs), None)?;
        self.compare_once(round, &ours)
    }

    /// Nothing on a file system in memory is dear to make again, and there is no room to keep it.
    /// What was just removed leaves memory that is cheap to take; so something is, before the first
    /// that is measured, too.
    fn restore_to_memory(&mut self, round: u64, backup: &Path, tarball: &Path) -> Outcome<()> {
        let [before, ours, theirs] =
            ["before", "ours", "theirs"].map(|name| self.places.memory.join(name));
        fs::create_dir(&before)?;
        run(&mut tar::restore(tarball, &before))?;
        fs::remove_dir_all(&before)?;
        fs::create_dir(&ours)?;
        self.run_licbak(
            Step::RestoreMemory,
            &self.licbak.restore(backup, &ours),
            None,
        )?;
        self.compare_once(round, &ours)?;
        fs::remove_dir_all(&ours)?;
        fs::create_dir(&theirs)?;
        self.run_step(
            Step::TarRestoreMemory,
            &tar::restore(tarball, &theirs),
            None,
        )?;
        Ok(fs::remove_dir_all(&theirs)?)
    }

    fn compare_once(&self, round: u64, restored: &Path) -> Outcome<()> {
        match round {
            0 => self.compare(restored),
            _ => Ok(()),
        }
    }

    fn compare(&self, restored: &Path) -> Outcome<()> {
        run(Command::new("diff")
            .arg("-r")
            .arg(&self.corpus.path)
            .arg(restored))
        .map(drop)
    }

    fn back_up_database(&mut self, round: u64, database: &Path) -> Outcome<()> {
        let backup = self.new_folder(&format!("database-backup-{round}"))?;
        let copy = self.path(&format!("vacuumed-{round}.db"));
        let made = copy.with_extension("db.zst");
        read(database)?;
        let ours = self.licbak.backup(database, &backup);
        self.run_licbak(Step::DatabaseBackup, &ours, Some(&backup))?;
        self.run_step(
            Step::Vacuum,
            &peers::vacuum_into(database, &copy),
            Some(&made),
        )
    }

    /// Runs an operation of licbak on all licences, and makes sure that it was on all.
    fn run_licbak(
        &mut self,
        step: Step,
        command: &Command,
        makes_in: Option<&Path>,
    ) -> Outcome<()> {
        let (mut cost, summary) = self.meter.measure_output(command)?;
        expect_count("licbak", &summary, self.corpus.licenses)?;
        if summary.contains("left out") {
            return Err(format!("licbak left licences out: {summary}").into());
        }
        if let Some(directory) = makes_in {
            cost.made = fs::metadata(directory.join(BACKUP_FILE))?.len();
        }
        self.note(step, cost);
        Ok(())
    }

    fn run_step(&mut self, step: Step, command: &Command, makes: Option<&Path>) -> Outcome<()> {
        let mut cost = self.meter.measure(command)?;
        if let Some(file) = makes {
            cost.made = fs::metadata(file)?.len();
        }
        self.note(step, cost);
        Ok(())
    }

    fn note(&mut self, step: Step, cost: Cost) {
        self.figures.note(step, cost);
    }

    fn note_cpu(&mut self, step: Step, cpu: f64) {
        let cost = Cost {
            cpu,
            ..Cost::default()
        };
        self.note(step, cost);
    }

    fn path(&self, name: &str) -> PathBuf {
        self.places.directory.join(name)
    }

    fn new_folder(&self, name: &str) -> Outcome<PathBuf> {
        let path = self.path(name);
        fs::create_dir(&path)?;
        Ok(path)
    }
}

/// The first number in what a program says of its work is that of the licences.
pub fn expect_count(who: &str, said: &str, licenses: u64) -> Outcome<()> {
    let mut numbers = said.split_whitespace().map(str::parse::<u64>);
    match numbers.find_map(Result::ok) {
        Some(count) if count == licenses => Ok(()),
        _ => Err(format!("{who} was to do {licenses} licences and says: {said}").into()),
    }
}

/// Has the kernel hold a file in memory.
fn read(path: &Path) -> Outcome<()> {
    io::copy(&mut File::open(path)?, &mut io::sink())?;
    Ok(())
}
