//! Finds out whether a database is damaged. SQLite reads what it can of a damaged one, and may miss
//! rows without a word.

use std::collections::BTreeSet;
use std::sync::Arc;

use rusqlite::ErrorCode;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};

use super::Database;
use super::failure::{read_fault, system_outcome};
use crate::error::{Error, Result};
use crate::sync::locks::Unshared;

/// Characters kept of a finding of SQLite.
const TOLD_MAX: usize = 1000;

impl Database {
    /// Refuses a database that is damaged anywhere: a write into it would damage more.
    pub fn check_all(&self) -> Result<()> {
        self.limit_cache()?;
        let mut found = self.ask("quick_check", &1);
        // Other tables may need collations, functions or modules that only their host has.
        if found.as_ref().is_err_and(is_unknown) && self.table()?.is_some() {
            found = self.ask("quick_check", &"license");
        }
        self.judge(found).map(drop)
    }

    /// Refuses a database that is damaged in what `query` reads: its tables, and their indexes,
    /// which must lead to every row. The rest may be as large and as damaged as it likes. Returns
    /// false where SQLite can't check all of it.
    pub fn check_what_is_read(&mut self, query: &str) -> Result<bool> {
        let mut is_checked = true;
        for table in self.tables_read(query)? {
            is_checked &= self.judge(self.ask("integrity_check", &table))?;
        }
        Ok(is_checked)
    }

    /// Refuses a database that is damaged in the table `license` or its indexes, each of which must
    /// have as many entries as the table has rows. Whether an entry leads to the right row is not
    /// checked. Returns false where SQLite can't check the table.
    pub fn check_table(&self) -> Result<bool> {
        self.judge(self.ask("quick_check", &"license"))
    }

    /// Refuses a database whose table `license` does not have as many rows as were `read` by an
    /// index: SQLite does not check the indexes of a table that needs what only its host has.
    pub fn check_count(&self, read: u64) -> Result<()> {
        let count = "SELECT count(*) FROM license NOT INDEXED";
        let count = self
            .connection
            .query_row(count, [], |row| row.get::<_, i64>(0));
        let count = count.map_err(|error| self.failure("count the rows of", &error))?;
        match u64::try_from(count) == Ok(read) {
            true => Ok(()),
            false => Err(self.unfit(format_args!(
                "it is damaged (of {count} rows its indexes lead to {read})"
            ))),
        }
    }

    /// Gives the tables that `query` reads, also through views.
    fn tables_read(&mut self, query: &str) -> Result<BTreeSet<String>> {
        let tables = Arc::new(Unshared::new(BTreeSet::new()));
        let seen = Arc::clone(&tables);
        let authorizer = move |context: AuthContext| {
            if let AuthAction::Read { table_name, .. } = context.action {
                let mut name = String::new();
                if name.try_reserve_exact(table_name.len()).is_err() {
                    return Authorization::Deny; // the lack of memory is told
                }
                name.push_str(table_name);
                seen.lock().insert(name);
            }
            Authorization::Allow
        };
        let connection = &mut self.connection;
        let prepared = connection
            .authorizer(Some(authorizer))
            .and_then(|()| connection.prepare(query).map(drop));
        let removed = connection.authorizer(None::<fn(AuthContext) -> Authorization>);
        prepared
            .and(removed)
            .map_err(|error| self.failure("read", &error))?;
        let tables = std::mem::take(&mut *tables.lock());
        Ok(tables)
    }

    /// Gives the first finding of one of SQLite's checks, or "ok". The check takes a page for which
    /// there was no memory as lost, so a fault counts only if it is found twice.
    fn ask(&self, check: &str, what: &dyn rusqlite::ToSql) -> rusqlite::Result<String> {
        let found = self.ask_once(check, what)?;
        match found.as_str() {
            "ok" => Ok(found),
            _ => self.ask_once(check, what),
        }
    }

    fn ask_once(&self, check: &str, what: &dyn rusqlite::ToSql) -> rusqlite::Result<String> {
        let mut found = None;
        self.connection.pragma(None, check, what, |row| {
            // The beginning is enough: a damaged item may have a name of any length.
            let told = row.get_ref(0)?.as_str()?.chars().take(TOLD_MAX);
            found.get_or_insert_with(|| told.collect::<String>().replace('\n', "; "));
            Ok(())
        })?;
        Ok(found.unwrap_or_else(|| "ok".to_owned()))
    }

    /// Returns false where SQLite refused the check.
    fn judge(&self, found: rusqlite::Result<String>) -> Result<bool> {
        match found.as_deref() {
            Ok("ok") => Ok(true),
            // SQLite goes on past what it can't read, and then the system's last error says why.
            Ok(found) if found.contains("get page") || found.contains("get the page") => {
                let doing = format!("read the database '{}' (StorePath)", self.path.display());
                Err(Error::reasoned(read_fault(system_outcome()), doing, found))
            }
            Ok(found) => Err(self.unfit(format_args!("it is damaged ({found})"))),
            Err(error) if is_unknown(error) => Ok(false),
            Err(error) => Err(self.failure("check", error)),
        }
    }
}

/// Tells whether SQLite refuses the request, rather than the data it has found.
fn is_unknown(error: &rusqlite::Error) -> bool {
    use rusqlite::Error::{SqlInputError, SqliteFailure};
    matches!(error, SqlInputError { error, .. } | SqliteFailure(error, _) if error.code == ErrorCode::Unknown)
}
