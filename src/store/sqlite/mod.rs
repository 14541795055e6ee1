//! An SQLite database as a store: a table `license`, or for a backup a view of that name over the
//! host's own tables.
//!
//! The file may come from anybody: the schema is not trusted, sizes are bounded, and SQLite is told
//! to look closely at what it reads.

mod characters;
mod connection;
mod copy;
mod damage;
mod failure;
mod functions;
mod new;
mod patterns;
pub mod restore;
pub mod snapshot;
mod sorting;
mod temporary_file;
mod unlocked;

use std::fmt::Display;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::{Connection, ErrorCode};

use self::connection::{Sharing, connect};
use self::failure::{failure, is_of_temporary_file, moved};
use crate::error::{Access, Error, Outcome, Result};
use crate::license::SIZE_MAX;
use crate::store::patience::{GoOn, PATIENCE};
use crate::sys::anchored_path::AnchoredPath;
use crate::sys::files::{self, Errno, Facts, Identity, Kind};
use crate::sys::fork::{Use, Uses};
use crate::sys::{database_copy, database_memory, descriptors};

/// The number of SQLite's own steps after which it is asked whether to go on; one that goes through a
/// value of many MiB takes up to a tenth of a second.
const STEPS: i32 = 20;
/// Bytes of a row or a value that is made: a licence that is too large is named, if not by far.
const VALUE_MAX: i32 = 2 * SIZE_MAX as i32;
/// SQLite's own size of its cache, in KiB and negative as it counts these.
const CACHE: i32 = -2000;
/// The endings of the files that SQLite has beside a database.
const BESIDE: [&str; 3] = ["-wal", "-shm", "-journal"];

/// Tells whether `path`, which is no directory, is a database. The library does not open it itself
/// for that: closing a file takes the process's locks on it away, also those of another restorer.
pub fn is_database(path: &AnchoredPath) -> bool {
    let is_file = |facts: Facts| facts.kind == Kind::File && facts.size > 0;
    is_named_database(path) || files::facts_at(path).is_ok_and(is_file) && !is_foreign(path)
}

/// The uses of SQLite, which has locks for the whole process that a forked child inherits as they
/// are. Every caller of SQLite holds a use from before its first call until after its last.
static IN_USE: Uses = Uses::new();

fn begin_use(path: &AnchoredPath) -> Result<Use> {
    let begun = IN_USE.begin().inspect(|_| {
        database_memory::install();
        descriptors::lift_sqlite();
    });
    begun.map_err(|_| {
        let sentence = format!(
            "Cannot use the database '{}' (StorePath): this process was forked while its parent used a \
             database, and may find SQLite locked for ever. Call exec after fork, or fork when no \
             operation on a database runs.",
            path.display()
        );
        Error::new(Outcome::NotSupported, sentence)
    })
}

/// Tells whether SQLite is sure that the file is no database. A locked or damaged one is a
/// database, and so is one about which SQLite can't be asked.
fn is_foreign(path: &AnchoredPath) -> bool {
    let Ok(_held) = begin_use(path) else {
        return false;
    };
    let read = connect(path, Sharing::Locked, false)
        .and_then(|connection| connection.pragma_query_value(None, "schema_version", |_| Ok(())));
    read.is_err_and(|error| error.sqlite_error_code() == Some(ErrorCode::NotADatabase))
}

/// Tells whether a store that is to be made at `path` is a database.
pub fn is_named_database(path: &AnchoredPath) -> bool {
    path.has_extension(&["db", "sqlite", "sqlite3"])
}

/// Does `work` on a database, for which SQLite gets so much memory and stack and no more; `go_on`
/// may end it at any time.
fn bounded<T>(go_on: &GoOn, work: impl FnOnce() -> Result<T>) -> Result<T> {
    database_memory::bounded(&|| go_on().is_err(), work)
}

struct Database {
    connection: Connection,
    /// The use of SQLite, which ends after the connection.
    held: Use,
    /// The path that sentences show.
    path: AnchoredPath,
    /// The path where SQLite finds it: a new one is not at its path yet.
    file: AnchoredPath,
    /// It is only read: what SQLite writes then are temporary files.
    is_read: bool,
    /// Those are encrypted.
    hides: bool,
    go_on: GoOn,
}

impl Database {
    /// Opens the database `path` to read it; SQLite's temporary files may be hidden.
    fn open_to_read(
        path: &AnchoredPath,
        sharing: Sharing,
        hides: bool,
        go_on: GoOn,
    ) -> Result<Database> {
        let mut database = Database::open(path, path, sharing, hides, go_on)?;
        database.only_read()?;
        Ok(database)
    }

    /// Reads and no more, from now on.
    fn only_read(&mut self) -> Result<()> {
        self.is_read = true;
        functions::only_read(&self.connection).map_err(|error| self.failure("open", &error))
    }

    /// Opens the database `path`, which is in `file`.
    fn open(
        path: &AnchoredPath,
        file: &AnchoredPath,
        sharing: Sharing,
        hides: bool,
        go_on: GoOn,
    ) -> Result<Database> {
        let held = begin_use(path)?;
        let connection =
            connect(file, sharing, hides).map_err(|error| failure(path, file, "open", &error))?;
        // SQLite uses a path from the root, which may lead elsewhere by now.
        let from_root = AnchoredPath::now(file.to_absolute());
        check_identity(path, &from_root, identity(path, file)?)?;
        check_beside(path, file)?;
        let mut database = Database::new(connection, held, path, file, go_on)?;
        database.hides = hides;
        Ok(database)
    }

    fn new(
        connection: Connection,
        held: Use,
        path: &AnchoredPath,
        file: &AnchoredPath,
        go_on: GoOn,
    ) -> Result<Database> {
        let mut database = Database {
            connection,
            held,
            path: path.clone(),
            file: file.clone(),
            is_read: false,
            hides: false,
            go_on,
        };
        database
            .harden()
            .map_err(|error| database.failure("open", &error))?;
        Ok(database)
    }

    fn harden(&mut self) -> rusqlite::Result<()> {
        let connection = &mut self.connection;
        let switches = [
            (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
            (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
            (DbConfig::SQLITE_DBCONFIG_DQS_DML, false),
            (DbConfig::SQLITE_DBCONFIG_DQS_DDL, false),
        ];
        for (switch, on) in switches {
            connection.set_db_config(switch, on)?;
        }
        connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, VALUE_MAX)?;
        connection.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
        functions::install(connection, &self.go_on)?;
        let go_on = Arc::clone(&self.go_on);
        connection.progress_handler(STEPS, Some(move || go_on().is_err()))?;
        let (go_on, mut since) = (Arc::clone(&self.go_on), Instant::now());
        connection.busy_handler(Some(move |tries| {
            if tries == 0 {
                since = Instant::now();
            }
            std::thread::sleep(Duration::from_millis(5));
            go_on().is_ok() && since.elapsed() < PATIENCE
        }))?;
        connection.pragma_update(None, "cell_size_check", true)
    }

    /// Sets the size of the cache, as else the database itself says how much memory its pages take.
    fn limit_cache(&self) -> Result<()> {
        let cache = self.connection.pragma_update(None, "cache_size", CACHE);
        cache.map_err(|error| self.failure("read the schema of", &error))
    }

    /// Describes the store's table, or its view; None if there is neither.
    fn table(&self) -> Result<Option<Table>> {
        let failed = |error: rusqlite::Error| self.failure("read the schema of", &error);
        self.limit_cache()?;
        // Only virtual tables have no page.
        let kind = "SELECT type, type = 'table' AND (rootpage IS 0 OR sql LIKE 'create virtual %') \
                    FROM sqlite_schema WHERE lower(name) = 'license' AND type IN ('table', 'view')";
        let mut kinds = self.connection.prepare(kind).map_err(failed)?;
        let mut kinds = kinds.query([]).map_err(failed)?;
        let Some(row) = kinds.next().map_err(failed)? else {
            return Ok(None);
        };
        let is_view = row.get_ref(0).map_err(failed)?.as_bytes() == Ok(b"view");
        if row.get(1).map_err(failed)? {
            // A virtual table may keep what it is given in its own way, or not at all.
            let sentence = format!(
                "In the database '{}' (StorePath) 'license' is a virtual table. Use an ordinary table, or \
                 for a backup a view.",
                self.path.display()
            );
            return Err(Error::new(Outcome::NotSupported, sentence));
        }
        // Computed columns are hidden: 2 for those computed when they are read, 3 when they are
        // written.
        let columns = "SELECT lower(name), hidden IN (2, 3) FROM pragma_table_xinfo('license') WHERE lower(name) \
                       IN ('name', 'content', 'key_id', 'backup_right', 'rowid', '_rowid_', 'oid')";
        let mut columns = self.connection.prepare(columns).map_err(failed)?;
        let columns: Vec<(String, bool)> = columns
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
            .and_then(Iterator::collect)
            .map_err(failed)?;
        let column = |name: &str| match columns.iter().find(|(column, _)| column == name) {
            None => Column::Lacking,
            Some((_, true)) => Column::Computed,
            Some((_, false)) => Column::Kept,
        };
        let has = |name: &str| column(name) != Column::Lacking;
        if !has("name") || !has("content") {
            return Err(self.unfit("'license' has no columns name and content"));
        }
        // A table without row numbers has no such column, and a column of another meaning hides
        // them.
        let is_row_number = |name: &&str| {
            let read = format!("SELECT {name} FROM license");
            !is_view && !has(name) && self.connection.prepare(&read).is_ok()
        };
        Ok(Some(Table {
            is_view,
            computed: ["name", "content"]
                .into_iter()
                .find(|name| column(name) == Column::Computed),
            key_id: column("key_id"),
            right: column("backup_right"),
            row_number: ["rowid", "_rowid_", "oid"].into_iter().find(is_row_number),
        }))
    }

    /// Makes the error of a database that can't be used as a store.
    fn unfit(&self, reason: impl Display) -> Error {
        let doing = format!(
            "use the database '{}' (StorePath) as a store",
            self.path.display()
        );
        Error::reasoned(Outcome::LicenseStoreError, doing, reason)
    }

    /// Makes the error of an operation that was `doing` something with the database when SQLite
    /// failed.
    fn failure(&self, doing: &str, error: &rusqlite::Error) -> Error {
        if let Err(ended) = (self.go_on)() {
            return ended;
        }
        match self.is_read && is_of_temporary_file(error) {
            true => self.temporary_failure(doing, error),
            false => failure(&self.path, &self.file, doing, error),
        }
    }

    /// Makes the error of a temporary file that could not be written.
    fn temporary_failure(&self, doing: &str, error: &rusqlite::Error) -> Error {
        let cause = failure(&self.path, &self.file, doing, error);
        let variable = match cfg!(windows) {
            true => "TMP",
            false => "TMPDIR (SQLITE_TMPDIR comes before it)",
        };
        let folder = database_copy::temporary_folder(&self.connection);
        let what = match (&folder, cause.outcome) {
            // A copy in memory can't tell the folder.
            (None, Outcome::DiskFull) => {
                "the folder for temporary files is full: free space there".to_owned()
            }
            (None, _) => "no folder for temporary files can be written".to_owned(),
            (Some(folder), Outcome::DiskFull) => format!(
                "the folder for temporary files, '{}', is full: free space there",
                folder.display()
            ),
            (Some(folder), _) => format!(
                "a file in the folder for temporary files, '{}', could not be written ({error})",
                folder.display()
            ),
        };
        let remedy = match &folder {
            None if cause.outcome != Outcome::DiskFull => "Name one",
            _ => "Or name another folder",
        };
        let (path, outcome) = (self.path.display(), cause.outcome);
        let sentence = format!(
            "Cannot {doing} the database '{path}' (StorePath): {what}. {remedy} in the environment variable \
             {variable}, and try again."
        );
        Error::new(outcome, sentence)
    }
}

/// The table or view `license`.
#[derive(Clone, Copy, Debug)]
struct Table {
    is_view: bool,
    /// The column among the required ones that is computed from others, if there is one.
    computed: Option<&'static str>,
    key_id: Column,
    right: Column,
    /// The name of its row numbers, where it has them.
    row_number: Option<&'static str>,
}

/// A column that may be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Column {
    Lacking,
    Kept,
    /// A column computed from others, which can be read and not written.
    Computed,
}

/// Finds the identity of the file that the database `path` now has in `file`.
fn identity(path: &AnchoredPath, file: &AnchoredPath) -> Result<Identity> {
    match files::facts_at(file) {
        Ok(facts) => Ok(facts.identity),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Err(moved(path)),
        Err(errno) => {
            let doing = format_args!("look for the database '{}' (StorePath)", path.display());
            Err(Error::system(Access::Read, doing, errno))
        }
    }
}

/// Refuses a database `path` whose `file` is another than before.
fn check_identity(path: &AnchoredPath, file: &AnchoredPath, expected: Identity) -> Result<()> {
    match identity(path, file)? == expected {
        true => Ok(()),
        false => Err(moved(path)),
    }
}

/// Gives the path beside which SQLite has its files: that to which a symbolic link leads, on systems
/// where SQLite follows it.
fn resolved(file: &AnchoredPath) -> Result<AnchoredPath, Errno> {
    let path = file.to_absolute();
    let resolved = match cfg!(windows) {
        true => Ok(path),
        false => std::fs::canonicalize(path),
    };
    let resolved = resolved.map(AnchoredPath::now);
    resolved.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
}

/// Refuses a database beside which something other than a file has the name of one of SQLite's: it
/// would be waited for, or lead elsewhere.
fn check_beside(path: &AnchoredPath, file: &AnchoredPath) -> Result<()> {
    let resolved = resolved(file).map_err(|errno| {
        let doing = format_args!("look for the database '{}' (StorePath)", path.display());
        Error::system(Access::Read, doing, errno)
    })?;
    for suffix in BESIDE {
        let beside = resolved.with_suffix(suffix);
        let kind = files::kind_at(&beside);
        if matches!(kind, Ok(kind) if kind != Kind::File) {
            let sentence = format!(
                "Cannot open the database '{}' (StorePath): beside it is '{}', which is no file, and SQLite's \
                 own files have that name. Remove it and try again.",
                path.display(),
                beside.display()
            );
            return Err(Error::new(Outcome::LicenseStoreError, sentence));
        }
    }
    Ok(())
}
