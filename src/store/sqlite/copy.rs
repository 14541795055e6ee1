//! A copy of a database that is not in WAL mode. There a reader keeps writers out; so they wait for
//! the copy, and not for the backup.

use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};

use super::Database;
use crate::error::{Error, Result};
use crate::sys::database_copy;

/// Bytes of a database that is copied into memory.
const SMALL: i64 = 1 << 20;

impl Database {
    /// Makes a copy of the snapshot that is being read, and begins to read that.
    pub fn copy(self) -> Result<Database> {
        let size = self.size()?;
        let copy = match size <= SMALL {
            true => self.copy_by_pages()?,
            false => self.copy_into_file(size)?,
        };
        self.replaced_by(copy)
    }

    /// Makes a copy that has what the log of the database holds, too, and begins to read that.
    pub fn copy_with_log(self) -> Result<Database> {
        let copy = self.copy_by_pages()?;
        self.replaced_by(copy)
    }

    /// Begins to read the `copy` instead.
    fn replaced_by(self, copy: Connection) -> Result<Database> {
        // The connection is closed before the use ends, so that SQLite is never called without one.
        let Database {
            connection,
            held,
            path,
            file,
            is_read,
            hides,
            go_on,
        } = self;
        drop(connection);
        let mut copy = Database::new(copy, held, &path, &file, go_on)?;
        copy.hides = hides;
        if is_read {
            copy.only_read()?;
        }
        copy.begin_to_read()?;
        Ok(copy)
    }

    /// Gives the size of the database in bytes; its file may be larger.
    pub fn size(&self) -> Result<i64> {
        let size = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size";
        let size = self.connection.query_row(size, [], |row| row.get(0));
        size.map_err(|error| self.failure("read the size of", &error))
    }

    /// Copies into SQLite's cache, which needs no place on a disk for as much as is small.
    fn copy_by_pages(&self) -> Result<Connection> {
        /// Pages copied at a time.
        const PART: i32 = 1024;
        let failed = |error: rusqlite::Error| self.copy_failure(&error);
        let mut copy = database_copy::open_in_memory(self.hides).map_err(failed)?;
        {
            let backup = Backup::new(&self.connection, &mut copy).map_err(failed)?;
            while backup.step(PART).map_err(failed)? != StepResult::Done {
                (self.go_on)()?;
            }
        }
        Ok(copy)
    }

    /// Copies the file, which no writer changes meanwhile.
    fn copy_into_file(&self, size: i64) -> Result<Connection> {
        /// The largest page that a database may have: SQLite's functions write no more at once.
        const BLOCK: usize = 64 << 10;
        let failed = |error: rusqlite::Error| self.copy_failure(&error);
        let copy = database_copy::open(self.hides).map_err(failed)?;
        let mut block = Vec::new();
        block.try_reserve_exact(BLOCK)?;
        block.resize(BLOCK, 0);
        let mut done = 0;
        while done < size {
            (self.go_on)()?;
            block.truncate(usize::try_from(size - done).unwrap_or(BLOCK));
            database_copy::read(&self.connection, &mut block, done).map_err(failed)?;
            database_copy::write(&copy, &block, done).map_err(failed)?;
            done += BLOCK as i64;
        }
        Ok(copy)
    }

    /// Ends the look at each page for sizes that it can't have.
    pub fn trust_pages(&self) -> Result<()> {
        let trusted = self
            .connection
            .pragma_update(None, "cell_size_check", false);
        trusted.map_err(|error| self.failure("read", &error))
    }

    fn copy_failure(&self, error: &rusqlite::Error) -> Error {
        self.failure("make a temporary copy of", error)
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};
    use std::process::Command;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use rusqlite::ErrorCode;

    use super::super::snapshot::Snapshot;
    use super::*;
    use crate::store::patience::GoOn;
    use crate::sys::anchored_path::AnchoredPath;
    use crate::sys::test_folder;

    const BLOCKS: usize = 40;
    /// Tells the process that a test starts which database it is to ask for.
    const ASKED_FOR: &str = "LICBAK_TEST_DATABASE";

    /// Makes a database in rollback mode that is copied in so many blocks, at least.
    fn make(folder: &Path) -> PathBuf {
        let path = folder.join("store.db");
        let connection = Connection::open(&path).unwrap();
        connection
            .execute_batch("CREATE TABLE license(name TEXT PRIMARY KEY, content BLOB NOT NULL)")
            .unwrap();
        for number in 0..BLOCKS {
            let row = (format!("{number:02}"), vec![0; 64 << 10]);
            connection
                .execute("INSERT INTO license VALUES (?, ?)", row)
                .unwrap();
        }
        path
    }

    fn open(path: &Path, go_on: GoOn) -> Result<Snapshot> {
        Snapshot::open(&AnchoredPath::now(path), false, go_on)
    }

    #[test]
    fn a_copy_is_stopped_at_each_block() {
        let folder = test_folder("stopped-copy");
        let path = make(&folder);
        for block in 0..BLOCKS {
            let asked = Arc::new(AtomicUsize::new(0));
            let count = Arc::clone(&asked);
            let go_on = move || match count.fetch_add(1, Ordering::SeqCst) < block {
                true => Ok(()),
                false => Err(Error::out_of_memory()),
            };
            assert!(open(&path, Arc::new(go_on)).is_err(), "block {block}");
            // The first question comes from SQLite, whose failure asks once more for the cause.
            let again = usize::from(block == 0);
            assert_eq!(asked.load(Ordering::SeqCst), block + 1 + again);
        }
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_copy_leaves_the_locks_of_the_process_alone() {
        if let Some(path) = std::env::var_os(ASKED_FOR) {
            let other = Connection::open(path).unwrap();
            other.busy_timeout(Duration::ZERO).unwrap();
            let refused = other.execute_batch("BEGIN IMMEDIATE").unwrap_err();
            assert_eq!(refused.sqlite_error_code(), Some(ErrorCode::DatabaseBusy));
            return;
        }
        let folder = test_folder("locks-beside-a-copy");
        let path = make(&folder);
        let others_are_refused = || {
            let name = "store::sqlite::copy::tests::a_copy_leaves_the_locks_of_the_process_alone";
            let mut other = Command::new(std::env::current_exe().unwrap());
            other.args(["--exact", name]).env(ASKED_FOR, &path);
            other.output().unwrap().status.success()
        };
        let writer = Connection::open(&path).unwrap();
        writer.execute_batch("BEGIN IMMEDIATE").unwrap();
        let snapshot = open(&path, Arc::new(|| Ok(()))).unwrap();
        assert!(others_are_refused());
        drop(snapshot);
        assert!(others_are_refused());
        drop(writer);
        assert!(!others_are_refused());
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
