//! Restores into a database, in one transaction, which a failure, a cancel or a crash undoes as a
//! whole.

use std::sync::Arc;

use rusqlite::{ErrorCode, OptionalExtension, ToSql, params};

use super::connection::Sharing;
use super::new::{New, is_free};
use super::{Column, Database, Table, begin_use, bounded, check_identity};
use crate::error::{Access, Error, Outcome, Result};
use crate::license::name::Clash;
use crate::license::{self, Statement, name};
use crate::store::patience::GoOn;
use crate::store::placed::Placed;
use crate::store::staging::remove_stale;
use crate::sys::anchored_path::AnchoredPath;
use crate::sys::files::{self, Dir, Errno, Identity, Room};

/// The row of a name: found by the table's own index, which may take several names for one.
const THIS_NAME: &str = "name = ?1 AND name = ?1 COLLATE BINARY";

/// A database while it is restored into.
pub struct Restore {
    path: AnchoredPath,
    replace: bool,
    dry_run: bool,
    go_on: GoOn,
    /// A licence that the table refuses leaves no trace, and is no reason to end.
    pub keep_going: bool,
    /// The database, none where it does not exist and is not to be made, and when it is closed.
    database: Option<Database>,
    /// The identity of its file.
    identity: Option<Identity>,
    table: Option<Table>,
    /// The table has triggers, which are kept from other licences.
    has_triggers: bool,
    /// The last folder that was found to be no licence; neither are the folders that it is in.
    folder: String,
    /// The new database, where there was none. It goes after the database is closed.
    new: Option<New>,
}

impl Restore {
    /// Opens the database at `path`, or makes it.
    pub fn open(path: &AnchoredPath, replace: bool, dry_run: bool, go_on: GoOn) -> Result<Restore> {
        let its = Arc::clone(&go_on);
        bounded(&go_on, || {
            Restore::open_bounded(path, replace, dry_run, its)
        })
    }

    fn open_bounded(
        path: &AnchoredPath,
        replace: bool,
        dry_run: bool,
        go_on: GoOn,
    ) -> Result<Restore> {
        // This comes before anything is made.
        let _held = begin_use(path)?;
        let mut restore = Restore {
            path: path.clone(),
            replace,
            dry_run,
            go_on,
            keep_going: false,
            database: None,
            identity: None,
            table: None,
            has_triggers: false,
            folder: String::new(),
            new: None,
        };
        let parent = path.parent();
        if is_free(path)? {
            // The parent must be there, also for a dry run.
            let parent = Dir::open(&parent)
                .map_err(|errno| Error::directory("StorePath", &parent, errno))?;
            if dry_run {
                return Ok(restore);
            }
            restore.new = Some(New::make(path, parent, &restore.go_on)?);
        } else if !dry_run && let Ok(parent) = Dir::open(&parent) {
            remove_stale(&parent, &restore.go_on);
        }
        restore.begin()?;
        Ok(restore)
    }

    /// Opens the database and begins the transaction.
    fn begin(&mut self) -> Result<()> {
        let (path, new) = (&self.path, &self.new);
        let file = new.as_ref().map_or_else(|| path.clone(), New::file);
        let facts = files::facts_at(&file);
        let facts = facts.map_err(|errno| Error::directory("StorePath", path, errno))?;
        let database =
            Database::open(path, &file, Sharing::Locked, false, Arc::clone(&self.go_on))?;
        check_identity(path, &file, facts.identity)?;
        let failed = |error: rusqlite::Error| database.failure("restore into", &error);
        let set = |what, to| database.connection.pragma_update(None, what, to);
        // The end of a transaction must be on the disk when it is reported: a journal's end is a
        // name in its directory.
        set("synchronous", "EXTRA").map_err(failed)?;
        if new.is_some() {
            // Nobody sees the database before it is whole: so everything is written once, and there
            // is nothing to go back to.
            set("journal_mode", "MEMORY").map_err(failed)?;
        } else {
            if facts.size == 0 && !self.dry_run {
                database.enter_wal_mode().map_err(failed)?;
            }
            database.check_all()?;
        }
        // Another's lock is waited for here, once, and not with every page that has to be written.
        // (In WAL mode others read on.)
        let begin = match self.dry_run {
            true => "BEGIN",
            false => "BEGIN EXCLUSIVE",
        };
        database.connection.execute_batch(begin).map_err(failed)?;
        self.table = database.table()?;
        match self.table {
            Some(Table { is_view: true, .. }) => {
                let sentence = format!(
                    "In the database '{}' (StorePath) 'license' is a view, and nothing can be restored \
                     into it. Restore into another database, and take the licences over from there.",
                    path.display()
                );
                return Err(Error::new(Outcome::NotSupported, sentence));
            }
            None if !self.dry_run => {
                let create = "CREATE TABLE license(name TEXT PRIMARY KEY, content BLOB NOT NULL, \
                              key_id TEXT, backup_right INTEGER)";
                database.connection.execute_batch(create).map_err(failed)?;
                self.table = database.table()?;
            }
            Some(_) if !self.dry_run && database.has_triggers()? => {
                database.guard()?;
                self.has_triggers = true;
            }
            _ => {}
        }
        (self.database, self.identity) = (Some(database), Some(facts.identity));
        Ok(())
    }

    pub fn path(&self) -> &AnchoredPath {
        &self.path
    }

    /// Gives the folder where a new database is made, and its room, where that is known. What room
    /// an old one has in itself is not.
    pub fn room(&self) -> Option<(&Dir, Room)> {
        self.new.as_ref()?.room()
    }

    /// Compares the licence with the store's row of its name, and writes it where it is to be
    /// restored.
    pub fn place(&mut self, name: &str, content: &[u8], stated: &Statement) -> Result<Placed> {
        let go_on = Arc::clone(&self.go_on);
        bounded(&go_on, || self.place_bounded(name, content, stated))
    }

    fn place_bounded(&mut self, name: &str, content: &[u8], stated: &Statement) -> Result<Placed> {
        let (Some(database), Some(table)) = (&self.database, self.table) else {
            return Ok(Placed::Written);
        };
        let connection = &database.connection;
        let doing = || format!("restore the licence '{name}' into");
        let failed = |error: rusqlite::Error| database.failure(&doing(), &error);
        let compare = format!("SELECT content IS ?2 FROM license WHERE {THIS_NAME}");
        let mut compare = connection.prepare_cached(&compare).map_err(failed)?;
        let is_same = compare.query_row(params![name, content], |row| row.get::<_, bool>(0));
        let is_same = is_same.optional().map_err(failed)?;
        drop(compare); // with its copy of the content
        let placed = Placed::by(is_same, self.replace);
        if placed != Placed::Written {
            return Ok(placed);
        }
        let write = match is_same {
            Some(_) => table.update(),
            None => {
                database.check_folders(name, &self.folder)?;
                let (folder, _) = name::split(name);
                folder.clone_into(&mut self.folder);
                table.insert()
            }
        };
        if let Some(column) = table.computed {
            let sentence = format!(
                "Cannot {} the database '{}' (StorePath): the column '{column}' of 'license' is generated from \
                 others, and can't be written. Restore into another database, and take the licences over from \
                 there.",
                doing(),
                database.path.display()
            );
            return Err(Error::new(Outcome::LicenseStoreError, sentence));
        }
        let put = || -> Result<()> {
            if self.has_triggers {
                let own = connection.prepare_cached("UPDATE temp.licbak_own SET name = ?1");
                own.and_then(|mut own| own.execute([name]))
                    .map_err(failed)?;
            }
            let (key_id, right) = unsaid(name, content, stated)?;
            let mut write = connection.prepare_cached(&write).map_err(failed)?;
            let mut values: Vec<&dyn ToSql> = vec![&name, &content];
            if table.key_id == Column::Kept {
                values.push(&key_id);
            }
            if table.right == Column::Kept {
                values.push(&right);
            }
            let written = write.execute(values.as_slice());
            let written = written.map_err(|error| match is_refusal(&error) {
                true => {
                    let reason = format!("the database refuses it ({error})");
                    failed(error).of_one(reason)
                }
                false => failed(error),
            })?;
            drop(write);
            if written == 0 {
                let reason = format_args!("a trigger keeps the licence '{name}' out");
                return Err(database.unfit(reason).of_one("a trigger keeps it out"));
            }
            // A numeric column takes the text "1e3" for a number; a trigger may do anything.
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
                let error = database.unfit(reason);
                return Err(error.of_one("the database does not keep it as it is"));
            }
            Ok(())
        };
        match (self.dry_run, self.keep_going) {
            (true, _) => {}
            (false, false) => put()?,
            (false, true) => database.undoing(put)?,
        }
        Ok(Placed::Written)
    }

    /// Makes a new database whole, out of sight, and brings it to the disk. Returns false where
    /// another has come to its path meanwhile, which is then to be restored into.
    pub fn seal(&mut self) -> Result<bool> {
        if self.new.is_none() {
            return Ok(true);
        }
        if let Some(database) = self.database.take() {
            let sealed = database.connection.execute_batch("COMMIT");
            let sealed = sealed.and_then(|()| database.enter_wal_mode());
            sealed.map_err(|error| database.failure("restore into", &error))?;
        }
        is_free(&self.path)
    }

    /// Makes the placed licences a part of the store, and brings that to the disk; a new database
    /// has to be sealed before. Returns false where another has come to its path meanwhile, which
    /// is then to be restored into.
    pub fn commit(&mut self) -> Result<bool> {
        if let Some(new) = &self.new {
            let is_published = new.publish()?;
            if is_published {
                self.check_place()?;
            }
            return Ok(is_published);
        }
        let Some(database) = self.database.take() else {
            return Ok(true);
        };
        self.check_place()?;
        let committed = database.connection.execute_batch("COMMIT");
        committed.map_err(|error| database.failure("commit what was restored into", &error))?;
        self.check_place()?;
        drop(database);
        self.sync_name()?;
        Ok(true)
    }

    /// Starts the same restore again.
    pub fn again(self) -> Result<Restore> {
        let (path, go_on) = (self.path.clone(), Arc::clone(&self.go_on));
        let (replace, dry_run, keep_going) = (self.replace, self.dry_run, self.keep_going);
        drop(self);
        let mut again = Restore::open(&path, replace, dry_run, go_on)?;
        again.keep_going = keep_going;
        Ok(again)
    }

    /// Refuses to report success where another database has taken this one's place.
    fn check_place(&self) -> Result<()> {
        match self.identity {
            Some(identity) => check_identity(&self.path, &self.path, identity),
            None => Ok(()),
        }
    }

    /// Brings the database's name to the disk: it may be the work of another restore, which is not
    /// as far yet.
    fn sync_name(&self) -> Result<()> {
        let synced = match Dir::open(&self.path.parent()) {
            // A user who may not list the directory has made no name there.
            Err(Errno::ACCESS) => Ok(()),
            directory => directory.and_then(|directory| directory.sync()),
        };
        synced.map_err(|errno| {
            let doing = format!(
                "bring the name of the database '{}' (StorePath) to the disk",
                self.path.display()
            );
            Error::system(Access::Write, doing, errno)
        })
    }
}

/// Tells whether SQLite refuses a row by the rules of its table.
fn is_refusal(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error_code();
    matches!(
        code,
        Some(ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch | ErrorCode::TooBig)
    )
}

impl Database {
    /// Has the database keep its log beside it, where the system can. What is written for that is
    /// on the disk only after the last step: a batch of statements would not look at it.
    fn enter_wal_mode(&self) -> rusqlite::Result<()> {
        let mut enter = self.connection.prepare("PRAGMA journal_mode = WAL")?;
        let mut steps = enter.query([])?;
        while steps.next()?.is_some() {}
        Ok(())
    }

    fn has_triggers(&self) -> Result<bool> {
        let triggers = "SELECT count(1) > 0 FROM sqlite_schema WHERE type = 'trigger' \
                        AND lower(tbl_name) = 'license'";
        let triggers = self.connection.query_row(triggers, [], |row| row.get(0));
        triggers.map_err(|error| self.failure("read the schema of", &error))
    }

    /// Keeps the table's triggers from licences other than the one that is being written.
    fn guard(&self) -> Result<()> {
        let guard = "CREATE TEMP TABLE licbak_own(name); \
            INSERT INTO temp.licbak_own VALUES (NULL); \
            CREATE TEMP TRIGGER licbak_keeps BEFORE DELETE ON main.license \
            BEGIN SELECT RAISE(ABORT, 'a trigger removes licences'); END; \
            CREATE TEMP TRIGGER licbak_keeps_as_they_are \
            BEFORE UPDATE OF name, content ON main.license \
            WHEN OLD.name IS NOT (SELECT name FROM temp.licbak_own) COLLATE BINARY \
            BEGIN SELECT RAISE(ABORT, 'a trigger changes other licences'); END";
        let guarded = self.connection.execute_batch(guard);
        guarded.map_err(|error| self.failure("restore into", &error))
    }

    /// Does `work`, and undoes what a failure has left of it. A failure that has undone the whole
    /// transaction is not that of one licence.
    fn undoing(&self, work: impl FnOnce() -> Result<()>) -> Result<()> {
        let run = |what: &str| {
            let done = self
                .connection
                .prepare_cached(what)
                .and_then(|mut what| what.execute([]));
            done.map(drop)
                .map_err(|error| self.failure("restore into", &error))
        };
        run("SAVEPOINT license")?;
        let Err(error) = work() else {
            return run("RELEASE license");
        };
        if self.connection.is_autocommit() {
            return Err(Error::new(error.outcome, error.sentence()));
        }
        run("ROLLBACK TO license")?;
        run("RELEASE license")?;
        Err(error)
    }

    /// Refuses a new licence `name` where the store has a licence with the name of one of its
    /// folders, or a folder with its own name: no backup could take both. The folder `known` has
    /// been found right.
    fn check_folders(&self, name: &str, known: &str) -> Result<()> {
        let find = |query: &str, name: &str| {
            let mut query = self.connection.prepare_cached(query)?;
            query.query_row([name], |row| row.get(0)).optional()
        };
        // The table's own index finds more rows, if it is sorted in another way; the last condition
        // excludes them.
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
        let error = Error::new(Outcome::InvalidName, sentence);
        Err(error.of_one(Clash::Folder))
    }
}

/// Gives those of the statements about a licence that its content does not say: the rest need not
/// be kept.
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
    /// Gives the columns that are written, in the order of their values.
    fn columns(self) -> impl Iterator<Item = &'static str> {
        let columns = [
            ("name", true),
            ("content", true),
            ("key_id", self.key_id == Column::Kept),
            ("backup_right", self.right == Column::Kept),
        ];
        columns
            .into_iter()
            .filter_map(|(column, is_kept)| is_kept.then_some(column))
    }

    fn insert(self) -> String {
        let columns: Vec<_> = self.columns().collect();
        let values: Vec<_> = (1..=columns.len()).map(|at| format!("?{at}")).collect();
        let (columns, values) = (columns.join(", "), values.join(", "));
        // Whatever the table says about conflicts, no other row is deleted, and none left out.
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
