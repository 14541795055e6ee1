//! Restores into a database: in one transaction, which a failure, a cancel or a crash takes back whole.

use std::path::{Path, PathBuf};

use rusqlite::{OptionalExtension, ToSql, params};

use super::{Database, Table, begin_use};
use crate::error::{Access, Error, Outcome, Result};
use crate::license::{self, Statement, name};
use crate::store::{GoOn, Placed};
use crate::sys::files::{self, Dir, Errno};

/// The row of a name: found by the table's own index, which may take several names for one.
const THIS_NAME: &str = "name = ?1 AND name = ?1 COLLATE BINARY";

/// A database while it is restored into.
pub struct Restore {
    /// None where it does not exist, and is not to be made.
    database: Option<Database>,
    table: Option<Table>,
    replace: bool,
    dry_run: bool,
    /// Was there without content, or not at all.
    is_new: bool,
    made: Option<Made>,
    /// The last folder that was found to be no licence, and so are those that it is in.
    folder: String,
}

/// A new file, which goes again unless something is committed to it.
struct Made {
    path: PathBuf,
    is_committed: bool,
}

impl Drop for Made {
    fn drop(&mut self) {
        if self.is_committed {
            return;
        }
        for suffix in ["", "-wal", "-shm", "-journal"] {
            let mut name = self.path.clone().into_os_string();
            name.push(suffix);
            let _ = files::remove_at(Path::new(&name));
        }
    }
}

impl Restore {
    /// Opens the database at `path`, or makes it.
    pub fn open(path: &Path, replace: bool, dry_run: bool, go_on: GoOn) -> Result<Restore> {
        // Before anything is made.
        let _held = begin_use(path)?;
        let (is_there, is_new) = match files::facts_at(path) {
            Err(Errno::NOENT) => (false, true),
            Err(errno) => return Err(Error::directory("StorePath", path, errno)),
            // A restore that was killed may have left it empty.
            Ok(facts) => (true, facts.size == 0),
        };
        let mut restore = Restore {
            database: None,
            table: None,
            replace,
            dry_run,
            is_new,
            made: None,
            folder: String::new(),
        };
        if !is_there {
            // Its parent must be there, also for a dry run.
            let parent = files::parent(path);
            Dir::open(parent).map_err(|errno| Error::directory("StorePath", parent, errno))?;
            if dry_run {
                return Ok(restore);
            }
            restore.made = make(path)?;
        }
        let database = Database::open(path, go_on)?;
        let failed = |error: rusqlite::Error| database.failure("restore into", &error);
        // Also what says that a transaction is over is to be on the disk when it is: a journal's end is a name
        // in its directory.
        let set = database
            .connection
            .pragma_update(None, "synchronous", "EXTRA");
        set.map_err(failed)?;
        if is_new && !dry_run {
            let set = database
                .connection
                .pragma_update(None, "journal_mode", "WAL");
            set.map_err(failed)?;
        }
        if restore.made.is_none() {
            database.check_all()?;
        }
        // Another's lock is waited for here, once, and not with every page that has to be written. (In WAL
        // mode others read on.)
        let begin = if dry_run { "BEGIN" } else { "BEGIN EXCLUSIVE" };
        database.connection.execute_batch(begin).map_err(failed)?;
        restore.table = database.table()?;
        match restore.table {
            Some(Table { is_view: true, .. }) => {
                let sentence = format!(
                    "In the database '{}' (StorePath) 'license' is a view, and nothing can be restored \
                     into it. Restore into another database, and take the licences over from there.",
                    path.display()
                );
                return Err(Error::new(Outcome::NotSupported, sentence));
            }
            None if !dry_run => {
                let create = "CREATE TABLE license(name TEXT PRIMARY KEY, content BLOB NOT NULL, \
                              key_id TEXT, backup_right INTEGER)";
                database.connection.execute_batch(create).map_err(failed)?;
                restore.table = database.table()?;
            }
            _ => {}
        }
        restore.database = Some(database);
        Ok(restore)
    }

    /// Compares the licence with what the store has under its name, and writes it where it is to be
    /// restored.
    pub fn place(&mut self, name: &str, content: &[u8], stated: &Statement) -> Result<Placed> {
        let (Some(database), Some(table)) = (&self.database, self.table) else {
            return Ok(Placed::Staged);
        };
        let connection = &database.connection;
        let doing = || format!("restore the licence '{name}' into");
        let failed = |error: rusqlite::Error| database.failure(&doing(), &error);
        let compare = format!("SELECT content IS ?2 FROM license WHERE {THIS_NAME}");
        let mut compare = connection.prepare_cached(&compare).map_err(failed)?;
        let is_same = compare.query_row(params![name, content], |row| row.get::<_, bool>(0));
        let write = match is_same.optional().map_err(failed)? {
            Some(true) => return Ok(Placed::Same),
            Some(false) if !self.replace => return Ok(Placed::Kept),
            Some(false) => table.update(),
            None => {
                database.check_folders(name, &self.folder)?;
                let (folder, _) = name::split(name);
                folder.clone_into(&mut self.folder);
                table.insert()
            }
        };
        if !self.dry_run {
            let (key_id, right) = unsaid(name, content, stated)?;
            let mut write = connection.prepare_cached(&write).map_err(failed)?;
            let mut values: Vec<&dyn ToSql> = vec![&name, &content];
            if table.has_key_id {
                values.push(&key_id);
            }
            if table.has_right {
                values.push(&right);
            }
            let written = write.execute(values.as_slice());
            if written.map_err(failed)? == 0 {
                let reason = format_args!("a trigger keeps the licence '{name}' out");
                return Err(database.unfit(reason));
            }
            // A column of numbers takes the text "1e3" for one; a trigger may do anything.
            let is_kept = format!(
                "SELECT typeof(name) = 'text' AND content IS ?2 FROM license WHERE {THIS_NAME}"
            );
            let mut is_kept = connection.prepare_cached(&is_kept).map_err(failed)?;
            let is_kept = is_kept.query_row(params![name, content], |row| row.get::<_, bool>(0));
            if is_kept.optional().map_err(failed)? != Some(true) {
                let reason = format_args!(
                    "it does not keep the licence '{name}' as it is: 'name' must be TEXT, and no trigger \
                     may change what is written"
                );
                return Err(database.unfit(reason));
            }
        }
        Ok(Placed::Staged)
    }

    /// Brings all that was placed to the disk.
    pub fn commit(mut self) -> Result<()> {
        let Some(database) = self.database.take() else {
            return Ok(());
        };
        let committed = database.connection.execute_batch("COMMIT");
        committed.map_err(|error| database.failure("commit what was restored into", &error))?;
        if let Some(made) = &mut self.made {
            made.is_committed = true;
        }
        if !self.is_new {
            return Ok(());
        }
        // Closed before, so that all is in the one file; its name has to reach the disk too.
        let path = database.path.clone();
        drop(database);
        let synced = Dir::open(files::parent(&path)).and_then(|directory| directory.sync());
        synced.map_err(|errno| {
            let doing = format!(
                "bring the new database '{}' (StorePath) to the disk",
                path.display()
            );
            Error::system(Access::Write, doing, errno)
        })
    }
}

impl Database {
    /// Refuses a new licence `name` where the store has a licence of the name of one of its folders, or a
    /// folder of its own name: no backup could take both. Nothing is wrong with `known`, a folder.
    fn check_folders(&self, name: &str, known: &str) -> Result<()> {
        let find = |query: &str, name: &str| {
            let mut query = self.connection.prepare_cached(query)?;
            query.query_row([name], |row| row.get(0)).optional()
        };
        // The table's own index finds more, if it is sorted in another way; the rest sees to that.
        const WITHIN: &str = "name >= ?1 || '/' AND name < ?1 || '0' \
                              AND substr(name, 1, length(?1) + 1) = ?1 || '/' COLLATE BINARY";
        let within = format!("SELECT name FROM license WHERE {WITHIN} LIMIT 1");
        let this = format!("SELECT name FROM license WHERE {THIS_NAME} AND typeof(name) = 'text'");
        let is_known = |folder: &str| {
            let rest = known.strip_prefix(folder);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let folders = name.match_indices('/').filter_map(|(at, _)| name.get(..at));
        let mut found: rusqlite::Result<Option<String>> = find(&within, name);
        for folder in folders.filter(|folder| !is_known(folder)) {
            if !matches!(found, Ok(None)) {
                break;
            }
            found = find(&this, folder);
        }
        let doing = format!("restore the licence '{name}' into");
        let Some(other) = found.map_err(|error| self.failure(&doing, &error))? else {
            return Ok(());
        };
        let sentence = format!(
            "Cannot {doing} the database '{}' (StorePath): it has the licence '{}', and a name can't be \
             that of a licence and of a folder. Rename that licence and try again.",
            self.path.display(),
            name::shown(&other),
        );
        Err(Error::new(Outcome::InvalidName, sentence))
    }
}

/// Makes an empty file for the database; None where another has made it meanwhile.
fn make(path: &Path) -> Result<Option<Made>> {
    match files::create_at(path) {
        Ok(()) => Ok(Some(Made {
            path: path.to_owned(),
            is_committed: false,
        })),
        Err(Errno::EXIST) => Ok(None),
        Err(errno) => {
            let doing = format!("make the database '{}' (StorePath)", path.display());
            Err(Error::system(Access::Write, doing, errno))
        }
    }
}

/// Of what is stated about a licence that which its content does not say: the rest need not be kept.
fn unsaid<'s>(
    name: &str,
    content: &[u8],
    stated: &'s Statement,
) -> Result<(Option<&'s str>, Option<u32>)> {
    let said = license::read(name, content)?;
    let key_id = (said.key_id != stated.key_id).then_some(stated.key_id.as_str());
    let right = (said.right != stated.right).then_some(stated.right.number());
    Ok((key_id, right))
}

impl Table {
    /// The columns that there are, in the order of their values.
    fn columns(self) -> impl Iterator<Item = &'static str> {
        let columns = [
            ("name", true),
            ("content", true),
            ("key_id", self.has_key_id),
            ("backup_right", self.has_right),
        ];
        columns
            .into_iter()
            .filter_map(|(column, is_there)| is_there.then_some(column))
    }

    fn insert(self) -> String {
        let columns: Vec<_> = self.columns().collect();
        let values: Vec<_> = (1..=columns.len()).map(|at| format!("?{at}")).collect();
        let (columns, values) = (columns.join(", "), values.join(", "));
        // Whatever the table says of conflicts, nothing else is deleted, and nothing left out.
        format!("INSERT OR ABORT INTO license({columns}) VALUES ({values})")
    }

    fn update(self) -> String {
        let numbered = self.columns().zip(1..);
        let set: Vec<_> = numbered
            .skip(1)
            .map(|(column, at)| format!("{column} = ?{at}"))
            .collect();
        format!(
            "UPDATE OR ABORT license SET {} WHERE {THIS_NAME}",
            set.join(", ")
        )
    }
}
