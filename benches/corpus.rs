//! Stores full of licences, made once and kept for the next run.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, UNIX_EPOCH};

use rusqlite::Connection;

use crate::Outcome;
use crate::licenses::{Issuer, License};

/// Rises with whatever changes the licences, so that none of an older make is measured.
const VERSION: u32 = 1;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Form {
    /// 256 folders.
    Folders,
    /// All in one folder.
    Flat,
}

impl Form {
    pub fn word(self) -> &'static str {
        match self {
            Form::Folders => "256 folders",
            Form::Flat => "one folder",
        }
    }
}

/// A folder of licences.
pub struct Corpus {
    pub path: PathBuf,
    pub licenses: u64,
    form: Form,
    issuer: Issuer,
}

impl Corpus {
    pub fn open(directory: &Path, licenses: u64, form: Form) -> Outcome<Corpus> {
        let form_word = match form {
            Form::Folders => "folders",
            Form::Flat => "flat",
        };
        let corpus = Corpus {
            path: directory.join(format!("licenses-{licenses}-{form_word}-v{VERSION}")),
            licenses,
            form,
            issuer: Issuer::new(),
        };
        if !corpus.mark().exists() {
            eprintln!("making {licenses} licences in {}", form.word());
            corpus.make()?;
            File::create(corpus.mark())?;
        }
        Ok(corpus)
    }

    pub fn form(&self) -> Form {
        self.form
    }

    /// Stands beside a corpus that is whole and in its first state.
    fn mark(&self) -> PathBuf {
        self.path.with_extension("whole")
    }

    /// Writes all licences, also over those of a run that was stopped.
    fn make(&self) -> Outcome<()> {
        let half = self.licenses / 2;
        thread::scope(|scope| {
            let other = scope.spawn(|| self.write_range(half..self.licenses));
            self.write_range(0..half)?;
            other.join().map_err(|_| "a thread has panicked")?
        })
    }

    fn write_range(&self, numbers: Range<u64>) -> Outcome<()> {
        numbers.into_iter().try_for_each(|number| {
            let license = self.issuer.license(number, 0);
            let file = self.write(&license)?;
            let modified = UNIX_EPOCH + Duration::from_secs(license.modified);
            Ok(file.set_modified(modified)?)
        })
    }

    /// Over the licence that is there, which has the same size: so no file is removed or made.
    fn write(&self, license: &License) -> Outcome<File> {
        let path = self.path.join(self.name(license));
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false);
        let mut file = match options.open(&path) {
            // The first of its folder: an empty folder would be none of a backup.
            Err(error) if error.kind() == ErrorKind::NotFound => {
                fs::create_dir_all(path.parent().unwrap_or(&self.path))?;
                options.open(&path)?
            }
            opened => opened?,
        };
        file.write_all(&license.content)?;
        Ok(file)
    }

    /// The licence's name in the store.
    pub fn name(&self, license: &License) -> String {
        match self.form {
            Form::Folders => format!("{}/{}", folder_name(license.folder), license.name),
            Form::Flat => license.name.clone(),
        }
    }

    /// One in the middle, for what concerns a single licence.
    pub fn one(&self) -> License {
        self.issuer.license(self.licenses / 2, 0)
    }

    /// Changes one licence in a hundred, other ones each round, as hosts do: a new content under
    /// the old name. The corpus is no longer in its first state.
    pub fn change(&self, round: u64) -> Outcome<()> {
        let _ = fs::remove_file(self.mark());
        self.each_changed(round, 1 + round)
    }

    /// Brings the first state back after `rounds` changes, but for the times.
    pub fn change_back(&self, rounds: u64) -> Outcome<()> {
        (0..rounds).try_for_each(|round| self.each_changed(round, 0))?;
        File::create(self.mark())?;
        Ok(())
    }

    fn each_changed(&self, round: u64, state: u64) -> Outcome<()> {
        let numbers = (round % 100..self.licenses).step_by(100);
        for number in numbers {
            self.write(&self.issuer.license(number, state))?;
        }
        Ok(())
    }

    /// The same licences as an SQLite database.
    pub fn database(&self, directory: &Path) -> Outcome<PathBuf> {
        let path = directory.join(format!("licenses-{}-v{VERSION}.db", self.licenses));
        if path.exists() {
            return Ok(path);
        }
        eprintln!("making a database of {} licences", self.licenses);
        let unfinished = path.with_extension("unfinished");
        let _ = fs::remove_file(&unfinished);
        let mut connection = Connection::open(&unfinished)?;
        connection.execute_batch(
            "PRAGMA synchronous = OFF;
             CREATE TABLE license(name TEXT PRIMARY KEY, content BLOB NOT NULL, key_id TEXT, backup_right INTEGER);",
        )?;
        let transaction = connection.transaction()?;
        let mut insert =
            transaction.prepare("INSERT INTO license(name, content) VALUES (?1, ?2)")?;
        for number in 0..self.licenses {
            let license = self.issuer.license(number, 0);
            insert.execute((self.name(&license), &license.content))?;
        }
        drop(insert);
        transaction.commit()?;
        drop(connection);
        fs::rename(&unfinished, &path)?;
        Ok(path)
    }
}

fn folder_name(folder: u8) -> String {
    format!("{folder:02x}")
}
