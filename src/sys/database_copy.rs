//! Copies of databases in files without names, which SQLite reads as any database.
//!
//! Both files are reached through SQLite's own handles: POSIX takes all locks of a process on a
//! file away when any descriptor of it is closed, so a database must not be opened once more.

use std::ffi::{CStr, c_char, c_int};
use std::path::PathBuf;
use std::ptr;

use rusqlite::{Connection, Error, OpenFlags, ffi};

use super::database_interface::{Before, open_behind};
use super::hidden_files::interface;

/// The name of each such database, which SQLite asks for.
const NAME: &CStr = c"licbak-copy";
/// What the name of an interface begins with that opens them.
const PREFIX: &str = "licbak-copy-";

/// Opens an empty database in a new file that has no name, in SQLite's folder for such files, and
/// which may be hidden. It can be read only, and is filled with [`write`] before that.
pub fn open(hides: bool) -> rusqlite::Result<Connection> {
    interface(true, hides);
    let copying = match hides {
        true => &HIDDEN,
        false => &PLAIN,
    };
    let copying = copying.register(PREFIX, 0, open_file, |copying| {
        copying.xAccess = Some(find_none);
        copying.xFullPathname = Some(keep_name);
    });
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags_and_vfs(NAME.to_string_lossy().as_ref(), flags, copying)
}

/// Opens an empty database that can be written, in memory as far as SQLite's cache goes, and then in
/// such a file.
pub fn open_in_memory(hides: bool) -> rusqlite::Result<Connection> {
    Connection::open_with_flags_and_vfs("", OpenFlags::default(), interface(true, hides))
}

/// Reads from the file of a database, which holds what the database does while a transaction reads
/// it in any mode but WAL.
pub fn read(database: &Connection, block: &mut [u8], offset: i64) -> rusqlite::Result<()> {
    let length = length(block)?;
    with_file(database, |file, methods| {
        let read = methods.xRead?;
        // SAFETY: the file is open, and the block has this length.
        Some(unsafe { read(file, block.as_mut_ptr().cast(), length, offset) })
    })
}

/// Writes to the file of a database that [`open`] has made.
pub fn write(copy: &Connection, block: &[u8], offset: i64) -> rusqlite::Result<()> {
    let length = length(block)?;
    with_file(copy, |file, methods| {
        let write = methods.xWrite?;
        // SAFETY: the file is open, and the block has this length.
        Some(unsafe { write(file, block.as_ptr().cast(), length, offset) })
    })
}

/// Tells the folder in which SQLite makes its temporary files; None, where it finds none.
pub fn temporary_folder(database: &Connection) -> Option<PathBuf> {
    let mut name: *mut c_char = ptr::null_mut();
    // SAFETY: the connection is open, and gives a text of its own, which is freed.
    let name = unsafe {
        ffi::sqlite3_file_control(
            database.handle(),
            c"main".as_ptr(),
            ffi::SQLITE_FCNTL_TEMPFILENAME,
            ptr::from_mut(&mut name).cast(),
        );
        if name.is_null() {
            return None;
        }
        let told = CStr::from_ptr(name).to_string_lossy().into_owned();
        ffi::sqlite3_free(name.cast());
        PathBuf::from(told)
    };
    let folder = name
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    folder.map(PathBuf::from)
}

fn length(block: &[u8]) -> rusqlite::Result<c_int> {
    c_int::try_from(block.len()).map_err(|_| failure(ffi::SQLITE_TOOBIG))
}

/// Calls `call` with the open file of a database and its functions; None, where it lacks one.
fn with_file(
    database: &Connection,
    call: impl FnOnce(*mut ffi::sqlite3_file, &ffi::sqlite3_io_methods) -> Option<c_int>,
) -> rusqlite::Result<()> {
    let mut file: *mut ffi::sqlite3_file = ptr::null_mut();
    // SAFETY: the connection is open, and lends its file until it is closed; a file that is open
    // has functions.
    let code = unsafe {
        let place = ptr::from_mut(&mut file).cast();
        let found = ffi::sqlite3_file_control(
            database.handle(),
            c"main".as_ptr(),
            ffi::SQLITE_FCNTL_FILE_POINTER,
            place,
        );
        match (found, file.as_ref().and_then(|file| file.pMethods.as_ref())) {
            (ffi::SQLITE_OK, Some(methods)) => call(file, methods),
            _ => None,
        }
    };
    match code {
        Some(ffi::SQLITE_OK) => Ok(()),
        code => Err(failure(code.unwrap_or(ffi::SQLITE_MISUSE))),
    }
}

fn failure(code: c_int) -> Error {
    let words = match code {
        ffi::SQLITE_IOERR_SHORT_READ => "its file is shorter than it says",
        code => ffi::code_to_str(code),
    };
    Error::SqliteFailure(ffi::Error::new(code), Some(words.to_owned()))
}

/// Interfaces where the file of every database is new and has no name: as it is, and hidden.
static PLAIN: Before = Before::new(match cfg!(windows) {
    true => c"licbak-copy-win32-longpath",
    false => c"licbak-copy-unix",
});
static HIDDEN: Before = Before::new(match cfg!(windows) {
    true => c"licbak-copy-licbak-hiding-win32-longpath",
    false => c"licbak-copy-licbak-hiding-unix",
});

/// Opens a file: for a database one without a name, which is never written by SQLite itself. Other
/// files are those to which a sort gives what it can't hold.
unsafe extern "C" fn open_file(
    interface: *mut ffi::sqlite3_vfs,
    name: ffi::sqlite3_filename,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    given: *mut c_int,
) -> c_int {
    const UNNAMED: c_int = ffi::SQLITE_OPEN_TEMP_DB
        | ffi::SQLITE_OPEN_READWRITE
        | ffi::SQLITE_OPEN_CREATE
        | ffi::SQLITE_OPEN_EXCLUSIVE
        | ffi::SQLITE_OPEN_DELETEONCLOSE;
    let is_database = flags & ffi::SQLITE_OPEN_MAIN_DB != 0;
    let (name, flags) = match is_database {
        true => (ptr::null(), UNNAMED),
        false => (name, flags),
    };
    // SAFETY: SQLite's own arguments for this very call, but for a name and flags that it uses
    // itself.
    unsafe {
        let code = open_behind(interface, PREFIX, name, file, flags, given);
        if let (true, Some(given)) = (is_database, given.as_mut()) {
            *given = ffi::SQLITE_OPEN_READONLY;
        }
        code
    }
}

/// Finds nothing beside a database: no journal and no log.
unsafe extern "C" fn find_none(
    _: *mut ffi::sqlite3_vfs,
    _: *const c_char,
    _: c_int,
    found: *mut c_int,
) -> c_int {
    // SAFETY: SQLite's own place for the answer.
    if let Some(found) = unsafe { found.as_mut() } {
        *found = 0;
    }
    ffi::SQLITE_OK
}

/// Leaves the name of a database as it is: no folder is asked about it.
unsafe extern "C" fn keep_name(
    _: *mut ffi::sqlite3_vfs,
    _: *const c_char,
    room: c_int,
    place: *mut c_char,
) -> c_int {
    let bytes = NAME.to_bytes_with_nul();
    if usize::try_from(room).is_ok_and(|room| room >= bytes.len()) && !place.is_null() {
        // SAFETY: the place has that much room.
        unsafe { ptr::copy_nonoverlapping(NAME.as_ptr(), place, bytes.len()) };
        return ffi::SQLITE_OK;
    }
    ffi::SQLITE_CANTOPEN
}
