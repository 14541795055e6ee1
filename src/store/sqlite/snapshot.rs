//! A database while it is backed up: one snapshot of it, which writers do not disturb.

use std::sync::Arc;

use rusqlite::types::ValueRef;
use rusqlite::{ErrorCode, Row};

use super::connection::Sharing;
use super::sorting::Sorting;
use super::{Column, Database, Table, bounded, unlocked};
use crate::error::{Error, Outcome, Result};
use crate::license::{self, BackupRight, Format, SIZE_MAX, name};
use crate::store::content_batch::{AHEAD, ContentBatches};
use crate::store::license::License;
use crate::store::patience::GoOn;
use crate::store::snapshot::{self, Feed};
use crate::sync::locks::Unshared;
use crate::sys::anchored_path::AnchoredPath;
use crate::sys::database_memory;

pub struct Snapshot {
    /// The database, used only by the thread that lists it.
    database: Unshared<Database>,
    reading: RowReading,
}

/// The way in which the rows are read.
struct RowReading {
    query: String,
    order: Order,
    /// The indexes of its tables have been found to have an entry for each row.
    is_checked: bool,
}

/// The order in which a query gives its rows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    /// That of the names, by [`Database::query_by_number`].
    ByNumber,
    /// That of the names, as SQLite has it.
    ByName,
    /// Any.
    None,
}

impl Snapshot {
    /// Opens the database at `path` and takes the snapshot. What it needs to have on a disk besides
    /// may be hidden.
    pub fn open(path: &AnchoredPath, hides: bool, go_on: GoOn) -> Result<Snapshot> {
        bounded(&go_on, || {
            let begin = || Snapshot::begin(path, hides, Arc::clone(&go_on));
            let (database, is_copy) = unlocked::or_unlocked(path, hides, &go_on, begin)?;
            Snapshot::of(database, is_copy)
        })
    }

    /// Opens the database and takes the snapshot; tells whether that is a copy.
    fn begin(path: &AnchoredPath, hides: bool, go_on: GoOn) -> Result<(Database, bool)> {
        let database = Database::open_to_read(path, Sharing::Locked, hides, go_on)?;
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
        let reading = match table.row_number {
            Some(number) => {
                let is_checked = database.check_table()?;
                let (query, order) = match is_checked && database.has_small_rows(number)? {
                    true => (table.query(), Order::None),
                    false => (database.query_by_number(table, number)?, Order::ByNumber),
                };
                RowReading {
                    query,
                    order,
                    is_checked,
                }
            }
            None => {
                let (query, order) = match table.is_view {
                    true => (table.query(), Order::None),
                    false => (database.query_by_name(table)?, Order::ByName),
                };
                let is_checked = database.check_what_is_read(&query)?;
                RowReading {
                    query,
                    order,
                    is_checked,
                }
            }
        };
        // What was right stays so in a file that nobody else has.
        if is_copy && reading.is_checked {
            database.trust_pages()?;
        }
        Ok(Snapshot {
            database: Unshared::new(database),
            reading,
        })
    }
}

impl Table {
    /// Makes the query for every licence, as they lie.
    fn query(self) -> String {
        let columns = self.selected("");
        let hint = match self.is_view {
            true => "",
            false => "NOT INDEXED",
        };
        format!("SELECT {columns} FROM license {hint}")
    }

    /// Gives the columns of a licence, and last the size of its content where that is not read.
    fn selected(self, of: &str) -> String {
        let column = |column, name| match column {
            Column::Lacking => "NULL".to_owned(),
            Column::Kept | Column::Computed => format!("{of}{name}"),
        };
        let (key_id, right) = (
            column(self.key_id, "key_id"),
            column(self.right, "backup_right"),
        );
        let content = format!("{of}content");
        // What is computed would be computed three times.
        let (content, size) = match self.is_view || self.computed == Some("content") {
            true => (content, "NULL".to_owned()),
            false => (
                format!("CASE WHEN octet_length({content}) <= {SIZE_MAX} THEN {content} END"),
                format!("iif(octet_length({content}) > {SIZE_MAX}, octet_length({content}), NULL)"),
            ),
        };
        format!("{of}name, {content}, {key_id}, {right}, {size}")
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
            .execute_batch("BEGIN; PRAGMA schema_version");
        begun.map_err(|error| match error.sqlite_error_code() {
            // The schema has not been read yet, but the log, whose index is in memory where it is
            // not shared.
            Some(ErrorCode::OutOfMemory) if database_memory::was_refused() => {
                let sentence = format!(
                    "Cannot read the database '{0}' (StorePath): the index of its log, '{0}-wal', needs too much \
                     memory. Open the database as a user who may write there, run PRAGMA wal_checkpoint(TRUNCATE), \
                     and try again.",
                    self.path.display()
                );
                Error::new(Outcome::LicenseStoreError, sentence)
            }
            _ => self.failure("read", &error),
        })
    }

    /// Makes the query for every licence, sorted by the bytes of its name.
    fn query_by_name(&self, table: Table) -> Result<String> {
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

    /// Tells whether the rows of a table are so small that it is cheaper to sort them whole than to
    /// find each where it lies. Their `number` tells how many there are, at most.
    fn has_small_rows(&self, number: &str) -> Result<bool> {
        /// Bytes of a database for each row.
        const SMALL: i64 = 512;
        let last = format!("SELECT ifnull(max({number}), 0) FROM license");
        let last = self.connection.query_row(&last, [], |row| row.get(0));
        let last: i64 = last.map_err(|error| self.failure("read", &error))?;
        Ok(last > self.size()? / SMALL)
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
        let mut sorting = Sorting::new(self);
        while let Some(row) = rows.next().map_err(|error| failed(error, &last))? {
            count += 1;
            if let Err(error) = check_size(row) {
                batches.pass_over(&name_of(row, count), error)?;
                continue;
            }
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
            if reading.order == Order::ByNumber && license.name < last.as_str() {
                let what = format_args!("it is damaged ({} is out of order)", row_after(&last));
                return Err(self.unfit(what));
            }
            match (reading.order, batches.check(&license)) {
                (Order::None, Ok(())) => sorting.add(&license)?,
                (Order::None, Err(error)) => {
                    batches.pass_over(&name::shown(license.name), error)?;
                }
                (Order::ByName | Order::ByNumber, _) => batches.add(&license)?,
            }
            license.name.clone_into(&mut last);
        }
        drop(rows);
        drop(statement); // with its memory
        match reading.order {
            Order::None => sorting.finish(batches),
            Order::ByName | Order::ByNumber if reading.is_checked => Ok(()),
            Order::ByName | Order::ByNumber => self.check_count(count),
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

/// Refuses a row whose content was not read for its size.
fn check_size(row: &Row) -> Result<()> {
    match (row.get_ref(0), row.get_ref(4)) {
        (Ok(ValueRef::Text(name)), Ok(ValueRef::Integer(size))) => {
            license::check_size(&name::shown_bytes(name), size.cast_unsigned())
        }
        _ => Ok(()),
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
