//! A database while it is backed up: one snapshot of it, which writers do not disturb.

use std::sync::Arc;

use rusqlite::Row;
use rusqlite::types::ValueRef;

use super::connection::Sharing;
use super::{Column, Database, Table, bounded, unlocked};
use crate::error::Result;
use crate::license::{BackupRight, Format, name};
use crate::store::content_batch::{AHEAD, ContentBatches};
use crate::store::license::License;
use crate::store::patience::GoOn;
use crate::store::snapshot::{self, Feed};
use crate::sync::locks::Unshared;
use crate::sys::anchored_path::AnchoredPath;

pub struct Snapshot {
    /// The database, used only by the thread that lists it.
    database: Unshared<Database>,
    reading: RowReading,
}

/// The way in which the rows are read.
struct RowReading {
    query: String,
    /// The query is that of [`Database::query_by_number`].
    is_by_number: bool,
    is_of_view: bool,
}

impl Snapshot {
    /// Opens the database at `path` and takes the snapshot.
    pub fn open(path: &AnchoredPath, go_on: GoOn) -> Result<Snapshot> {
        bounded(&go_on, || {
            let (database, is_copy) =
                unlocked::or_unlocked(path, &go_on, || Snapshot::begin(path, Arc::clone(&go_on)))?;
            Snapshot::of(database, is_copy)
        })
    }

    /// Opens the database and takes the snapshot; tells whether that is a copy.
    fn begin(path: &AnchoredPath, go_on: GoOn) -> Result<(Database, bool)> {
        let database = Database::open_to_read(path, Sharing::Locked, go_on)?;
        let is_copy = !database.is_in_wal_mode()?;
        database.begin_to_read()?;
        // In the moment between, another process may have put it in WAL mode.
        let is_copy = is_copy && !database.is_in_wal_mode()?;
        Ok(match is_copy {
            true => (database.copy()?, true),
            false => (database, false),
        })
    }

    /// Finds out how the snapshot is to be read, and whether it is whole.
    fn of(mut database: Database, is_copy: bool) -> Result<Snapshot> {
        let table = database
            .table()?
            .ok_or_else(|| database.unfit("it has no table or view 'license'"))?;
        let (reading, is_checked) = match table.row_number {
            Some(number) => {
                let is_checked = database.check_table()?;
                let reading = RowReading {
                    query: database.query_by_number(table, number)?,
                    is_by_number: true,
                    is_of_view: false,
                };
                (reading, is_checked)
            }
            None => {
                let query = database.query(table)?;
                let is_checked = database.check_what_is_read(&query)?;
                let reading = RowReading {
                    query,
                    is_by_number: false,
                    is_of_view: table.is_view,
                };
                (reading, is_checked)
            }
        };
        // What was right stays so in a file that nobody else has. A page that is mapped would be
        // looked at again for each row below it.
        if is_copy && is_checked {
            database.trust_pages()?;
        }
        Ok(Snapshot {
            database: Unshared::new(database),
            reading,
        })
    }
}

impl Table {
    fn selected(self, of: &str) -> String {
        let column = |column, name| match column {
            Column::Lacking => "NULL".to_owned(),
            Column::Kept | Column::Computed => format!("{of}{name}"),
        };
        let (key_id, right) = (
            column(self.key_id, "key_id"),
            column(self.right, "backup_right"),
        );
        format!("{of}name, {of}content, {key_id}, {right}")
    }
}

impl Database {
    fn is_in_wal_mode(&self) -> Result<bool> {
        let mode = self
            .connection
            .pragma_query_value(None, "journal_mode", |row| row.get::<_, String>(0));
        let mode = mode.map_err(|error| self.failure("read", &error))?;
        Ok(mode.eq_ignore_ascii_case("wal"))
    }

    /// Starts a transaction, which SQLite does at the first read.
    pub fn begin_to_read(&self) -> Result<()> {
        let begun = self
            .connection
            .execute_batch("BEGIN; SELECT count(*) FROM sqlite_schema");
        begun.map_err(|error| self.failure("read", &error))
    }

    /// Makes the query for every licence, sorted by the bytes of its name.
    fn query(&self, table: Table) -> Result<String> {
        let columns = table.selected("");
        let collation = self.collation()?;
        Ok(format!(
            "SELECT {columns} FROM license ORDER BY name COLLATE {collation}"
        ))
    }

    /// Makes the query for every licence of a table whose rows have a `number`, sorted by the bytes
    /// of its name. The rows are read by their number, and an index only gives their order. It has
    /// as many entries as there are rows; so where each leads to a row, and the rows' own names are
    /// in order, no row is missed, however much the index is damaged.
    fn query_by_number(&self, table: Table, number: &str) -> Result<String> {
        let columns = table.selected("rows.");
        let collation = self.collation()?;
        Ok(format!(
            "SELECT {columns} FROM license AS sorted LEFT JOIN license AS rows ON rows.{number} = sorted.{number} \
             ORDER BY sorted.name COLLATE {collation}"
        ))
    }

    /// Gives every licence to `batches`.
    fn gather(&self, reading: &RowReading, batches: &mut ContentBatches) -> Result<()> {
        let (mut last, mut count) = (String::new(), 0_u64);
        let row_after = |last: &str| match last {
            "" => "the first row".to_owned(),
            last => format!("the row after '{last}'"),
        };
        let failed = |error: rusqlite::Error, last: &str| {
            self.failure(&format!("read {} in", row_after(last)), &error)
        };
        let mut statement = self
            .connection
            .prepare(&reading.query)
            .map_err(|error| failed(error, ""))?;
        let mut rows = statement.query([]).map_err(|error| failed(error, ""))?;
        while let Some(row) = rows.next().map_err(|error| failed(error, &last))? {
            count += 1;
            let license = match license(row) {
                Ok(license) => license,
                Err(what) => {
                    let error = format!("{} is no licence: {what}", row_after(&last));
                    let error = self.unfit(error).of_one(what);
                    batches.pass_over(&name_of(row, count), error)?;
                    continue;
                }
            };
            // A repeated name is an error too, and gets its own words.
            if reading.is_by_number && license.name < last.as_str() {
                let what = format_args!("it is damaged ({} is out of order)", row_after(&last));
                return Err(self.unfit(what));
            }
            batches.add(&license)?;
            license.name.clone_into(&mut last);
        }
        match reading.is_of_view {
            true => Ok(()),
            false => self.check_count(count),
        }
    }

    /// Gives the collation that sorts by the bytes of UTF-8. It is SQLite's own BINARY where the
    /// database has its texts in UTF-8.
    fn collation(&self) -> Result<&'static str> {
        const OURS: &str = "licbak_bytes";
        let failed = |error: rusqlite::Error| self.failure("read", &error);
        let encoding = self
            .connection
            .pragma_query_value(None, "encoding", |row| row.get::<_, String>(0));
        if encoding.map_err(failed)? == "UTF-8" {
            return Ok("BINARY");
        }
        self.connection
            .create_collation(OURS, |one, other| one.cmp(other))
            .map_err(failed)?;
        Ok(OURS)
    }
}

/// Gives the name of a row that is no licence, or its `number` in the order of the names.
fn name_of(row: &Row, number: u64) -> String {
    match row.get_ref(0) {
        Ok(ValueRef::Text(name)) => name::shown_bytes(name),
        _ => format!("(row {number})"),
    }
}

/// Gives the licence in a row, or what is wrong with it.
fn license<'r>(row: &'r Row) -> std::result::Result<License<'r>, String> {
    let value = |column: usize| row.get_ref(column).map_err(|error| error.to_string());
    let text =
        |bytes: &'r [u8]| std::str::from_utf8(bytes).map_err(|_| "a text is not UTF-8".to_owned());
    let wrong = |column: &str, found: ValueRef, expected: &str| {
        Err(format!(
            "{column} is {}, and must be {expected}",
            found.data_type()
        ))
    };
    let name = match value(0)? {
        ValueRef::Text(name) => text(name)?,
        other => return wrong("name", other, "TEXT"),
    };
    let wrong = |column: &str, found, expected: &str| {
        wrong(column, found, expected).map_err(|what| format!("of '{}' {what}", name::shown(name)))
    };
    let content = match value(1)? {
        ValueRef::Blob(content) => content,
        text @ ValueRef::Text(_) => {
            let remedy = "BLOB: make 'license' a view that gives it so, as in CREATE VIEW license AS SELECT name, \
                          CAST(content AS BLOB) AS content FROM seats";
            return wrong("content", text, remedy);
        }
        other => return wrong("content", other, "BLOB"),
    };
    let key_id = match value(2)? {
        ValueRef::Null => None,
        ValueRef::Text(key_id) => Some(text(key_id)?),
        other => return wrong("key_id", other, "TEXT or NULL"),
    };
    let right = match value(3)? {
        ValueRef::Null => Some(BackupRight::Unstated),
        ValueRef::Integer(number) => u32::try_from(number)
            .ok()
            .and_then(BackupRight::from_number),
        other => return wrong("backup_right", other, "INTEGER or NULL"),
    };
    let Some(right) = right else {
        return Err(format!(
            "backup_right of '{}' must be 0, 1 or 2",
            name::shown(name)
        ));
    };
    Ok(License {
        name,
        key_id,
        content,
        modified: 0,
        right,
        format: Format::Opaque,
    })
}

impl snapshot::Snapshot for Snapshot {
    fn batches_ahead(&self) -> usize {
        AHEAD
    }

    fn list(self: Arc<Self>, feed: &mut dyn Feed) -> Result<()> {
        let mut batches = ContentBatches::new("database", feed);
        let database = self.database.lock();
        bounded(&database.go_on, || {
            database.gather(&self.reading, &mut batches)
        })?;
        batches.finish()
    }
}
