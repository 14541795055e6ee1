//! Stores of other shapes than most: a few large licences, many tiny ones, deep folders, one flat
//! folder, and a database of small rows in no order.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use rusqlite::Connection;

use crate::Outcome;
use crate::goals::{self, Spread};
use crate::options::Options;
use crate::peers::{self, BACKUP_FILE, Licbak, tar};
use crate::processes::{Cost, Meter, is_installed, run};
use crate::rounds::AT_REST;
use crate::table::{grouped, shown};

struct Shape {
    name: &'static str,
    licenses: u64,
    /// Licences of a folder.
    share: u64,
    /// Folders above each folder.
    depth: u64,
    /// Bytes of a licence, and how many of them are random.
    size: usize,
    noise: usize,
}

const SHAPES: [Shape; 6] = [
    Shape {
        name: "large, random",
        licenses: 64,
        share: 64,
        depth: 0,
        size: 15 << 20,
        noise: 15 << 20,
    },
    Shape {
        name: "of 512 KiB, half of it random",
        licenses: 512,
        share: 512,
        depth: 0,
        size: 512 << 10,
        noise: 256 << 10,
    },
    Shape {
        name: "tiny, in folders",
        licenses: 100_000,
        share: 100,
        depth: 0,
        size: 100,
        noise: 0,
    },
    Shape {
        name: "tiny, in one folder",
        licenses: 100_000,
        share: 100_000,
        depth: 0,
        size: 100,
        noise: 0,
    },
    Shape {
        name: "empty",
        licenses: 100_000,
        share: 400,
        depth: 0,
        size: 0,
        noise: 0,
    },
    Shape {
        name: "one in each folder, 50 deep",
        licenses: 400,
        share: 1,
        depth: 49,
        size: 500,
        noise: 300,
    },
];

impl Shape {
    /// Makes the store, unless an earlier run has.
    fn store(&self, directory: &Path) -> Outcome<PathBuf> {
        let path = directory.join(format!("shape-{}-{}", self.licenses, self.name));
        let whole = path.with_extension("whole");
        if whole.exists() {
            return Ok(path);
        }
        eprintln!("making a store: {}", self.name);
        for number in 0..self.licenses {
            let mut folder = path.join(format!("{:04}", number / self.share));
            for above in 0..=self.depth {
                fs::create_dir_all(&folder)?;
                let content = self.content(number * (self.depth + 1) + above);
                fs::write(folder.join(format!("{number:06}.lic")), content)?;
                folder.push(format!("{above:02}"));
            }
        }
        // Else whoever syncs first pays for it.
        run(Command::new("sync").arg("-f").arg(&path))?;
        File::create(whole)?;
        Ok(path)
    }

    fn content(&self, number: u64) -> Vec<u8> {
        let mut content = format!("licence {number} ").into_bytes();
        let mut state = number + 1;
        while content.len() < self.noise {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            content.extend_from_slice(&state.to_le_bytes());
        }
        let words = b"its holder may play it on this machine ".iter().cycle();
        content.extend(words.take(self.size.saturating_sub(content.len())));
        content.truncate(self.size);
        content
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Backup,
    OneThread,
    Tar,
    Repeat,
}

/// Measures all shapes, and prints their table.
pub fn print(licbak: &Licbak, meter: &mut Meter, work: &Path, options: &Options) -> Outcome<()> {
    println!(
        "\n| licbak / tar, zstd -3 -T0 | CPU | wall | bytes | wall, all threads / one | CPU, repeat / full |"
    );
    println!("|---|---|---|---|---|---|");
    for shape in &SHAPES {
        let store = shape.store(&options.directory)?;
        let mut costs: BTreeMap<Step, Vec<Cost>> = BTreeMap::new();
        for round in 0..options.rounds {
            eprintln!("{}: round {} of {}", shape.name, round + 1, options.rounds);
            let own = work.join(format!("{}-{round}", shape.name));
            for (step, cost) in measure(licbak, meter, &store, &own)? {
                costs.entry(step).or_default().push(cost);
            }
        }
        let ratio = |ours: Step, theirs: Step, of: fn(&Cost) -> f64| {
            let [ours, theirs] = [ours, theirs].map(|step| costs.get(&step).into_iter().flatten());
            let pairs = ours.zip(theirs);
            let spread = Spread::of(pairs.map(|(ours, theirs)| of(ours) / of(theirs)).collect());
            spread.map_or(String::new(), shown)
        };
        println!(
            "| {} {} | {} | {} | {} | {} | {} |",
            grouped(shape.licenses * (shape.depth + 1)),
            shape.name,
            ratio(Step::Backup, Step::Tar, goals::cpu),
            ratio(Step::Backup, Step::Tar, goals::wall),
            ratio(Step::Backup, Step::Tar, goals::made),
            ratio(Step::Backup, Step::OneThread, goals::wall),
            ratio(Step::Repeat, Step::Backup, goals::cpu),
        );
    }
    match is_installed("sqlite3", "-version") {
        true => print_rows(licbak, meter, work, options),
        false => {
            println!("\nleft out: a database (sqlite3 is not installed)");
            Ok(())
        }
    }
}

/// Rows of the database, and bytes of a content.
const ROWS: u64 = 1_000_000;
const ROW: usize = 100;

/// Makes the database, unless an earlier run has: the names are in another order than the rows.
fn rows(directory: &Path) -> Outcome<PathBuf> {
    let path = directory.join(format!("shape-{ROWS}-rows.db"));
    if path.exists() {
        return Ok(path);
    }
    eprintln!("making a database of {} rows", grouped(ROWS));
    let unfinished = path.with_extension("unfinished");
    let _ = fs::remove_file(&unfinished);
    let mut connection = Connection::open(&unfinished)?;
    connection.execute_batch(
        "PRAGMA synchronous = OFF;
         CREATE TABLE license(name TEXT PRIMARY KEY, content BLOB NOT NULL);",
    )?;
    let transaction = connection.transaction()?;
    let mut insert = transaction.prepare("INSERT INTO license VALUES (?1, ?2)")?;
    for number in 0..ROWS {
        // An odd factor gives each number another one.
        let name = (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut content = format!("licence {number:08} ").into_bytes();
        content.resize(ROW, b'.');
        insert.execute((format!("{name:016x}.lic"), content))?;
    }
    drop(insert);
    transaction.commit()?;
    drop(connection);
    fs::rename(&unfinished, &path)?;
    Ok(path)
}

/// Measures the database, and prints its table.
fn print_rows(licbak: &Licbak, meter: &mut Meter, work: &Path, options: &Options) -> Outcome<()> {
    let database = rows(&options.directory)?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..options.rounds {
        eprintln!("a database: round {} of {}", round + 1, options.rounds);
        let backup = work.join(format!("rows-{round}"));
        let copy = work.join(format!("rows-{round}.db"));
        fs::create_dir(&backup)?;
        ours.push(meter.measure(&licbak.backup(&database, &backup))?);
        theirs.push(meter.measure(&peers::vacuum_into(&database, &copy))?);
    }
    let ratio = |of: fn(&Cost) -> f64| {
        let pairs = ours.iter().zip(&theirs);
        let spread = Spread::of(pairs.map(|(ours, theirs)| of(ours) / of(theirs)).collect());
        spread.map_or(String::new(), shown)
    };
    let peak = ours.iter().map(|cost| cost.peak >> 20).max();
    println!("\n| licbak / VACUUM INTO, zstd -3 -T0 | CPU | wall | peak, MiB |");
    println!("|---|---|---|---|");
    println!(
        "| {} rows of {ROW} bytes in no order | {} | {} | {} |",
        grouped(ROWS),
        ratio(goals::cpu),
        ratio(goals::wall),
        peak.unwrap_or_default(),
    );
    Ok(())
}

/// Runs everything on one store once.
fn measure(
    licbak: &Licbak,
    meter: &mut Meter,
    store: &Path,
    own: &Path,
) -> Outcome<Vec<(Step, Cost)>> {
    let (backup, one, tarball) = (own.join("all"), own.join("one"), own.join("tar.zst"));
    fs::create_dir_all(&backup)?;
    fs::create_dir(&one)?;
    // What was written just before is read again by each repeat.
    std::thread::sleep(AT_REST);
    read(store)?;
    let mut costs = Vec::new();
    for (step, command, made) in [
        (
            Step::Backup,
            licbak.backup(store, &backup),
            backup.join(BACKUP_FILE),
        ),
        (
            Step::OneThread,
            licbak.backup_on_one_thread(store, &one),
            one.join(BACKUP_FILE),
        ),
        (Step::Tar, tar::backup(store, &tarball), tarball.clone()),
        (
            Step::Repeat,
            licbak.repeat(store, &backup),
            backup.join(BACKUP_FILE),
        ),
    ] {
        let mut cost = meter.measure(&command)?;
        cost.made = fs::metadata(made)?.len();
        costs.push((step, cost));
    }
    Ok(costs)
}

/// Has the kernel hold all files below a folder in memory.
fn read(folder: &Path) -> Outcome<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        match entry.file_type()?.is_dir() {
            true => read(&entry.path())?,
            false => drop(io::copy(&mut File::open(entry.path())?, &mut io::sink())?),
        }
    }
    Ok(())
}
