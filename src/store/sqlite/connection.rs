//! Connections to databases, shared with their other users or without locks.

use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::sys::anchored_path::AnchoredPath;
use crate::sys::hidden_files::interface;

/// The way in which a database is shared with its other users.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    Locked,
    /// Without locks, which can't be had where it is. It is only read.
    Unlocked(Log),
}

/// The log of a database in WAL mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Log {
    None,
    Filled,
}

/// Connects to the database at `path`, and may hide what SQLite writes into temporary files.
pub fn connect(path: &AnchoredPath, sharing: Sharing, hides: bool) -> rusqlite::Result<Connection> {
    // This keeps a name from being taken for a URI, or for no file at all.
    let plain = Path::new(".").join(path.to_absolute());
    let reads = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    match sharing {
        Sharing::Locked => {
            let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            Connection::open_with_flags_and_vfs(plain, flags, interface(true, hides))
        }
        Sharing::Unlocked(Log::None) => {
            let uri = immutable_uri(&path.to_absolute());
            let flags = reads | OpenFlags::SQLITE_OPEN_URI;
            Connection::open_with_flags_and_vfs(uri, flags, interface(true, hides))
        }
        Sharing::Unlocked(Log::Filled) => {
            // SQLite keeps the log's index in memory where no other uses the database.
            let unlocked = interface(false, hides);
            let connection = Connection::open_with_flags_and_vfs(plain, reads, unlocked)?;
            connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
            connection.pragma_update_and_check(None, "locking_mode", "EXCLUSIVE", |_| Ok(()))?;
            Ok(connection)
        }
    }
}

/// Gives the address of a database that SQLite is to take for one that nobody changes.
fn immutable_uri(path: &Path) -> String {
    let path = path.as_os_str().as_encoded_bytes();
    let mut uri = "file://".to_owned();
    // A drive's letter needs one; a share's name and a long path have their own.
    if !matches!(path.first(), Some(b'/' | b'\\')) {
        uri.push('/');
    }
    for byte in path {
        match byte {
            b'\\' if cfg!(windows) => uri.push('/'),
            b'/' | b':' | b'-' | b'.' | b'_' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => {
                uri.push(char::from(*byte));
            }
            byte => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri + "?immutable=1"
}
