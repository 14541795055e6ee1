//! Temporary files of SQLite that are encrypted with keys that are thrown away: what it sorts or
//! copies stands on no disk as it is.

use std::ffi::{CStr, c_int, c_void};
use std::io;
use std::ptr;
use std::slice;

use rusqlite::ffi;

use super::database_interface::{Before, WITH_LOCKS, WITHOUT_LOCKS, open_behind};
use crate::buffer::sized;
use crate::cipher::RewritingKey;

const PREFIX: &str = "licbak-hiding-";

static HIDING_WITH_LOCKS: Before = Before::new(match cfg!(windows) {
    true => c"licbak-hiding-win32-longpath",
    false => c"licbak-hiding-unix",
});
static HIDING_WITHOUT_LOCKS: Before = Before::new(match cfg!(windows) {
    true => c"licbak-hiding-win32-longpath-none",
    false => c"licbak-hiding-unix-none",
});

/// Gives SQLite's interface to the system with locks, or the one without, or what hides temporary
/// files and is else the same.
pub fn interface(has_locks: bool, hides: bool) -> &'static CStr {
    let hiding = match (has_locks, hides) {
        (true, false) => return WITH_LOCKS,
        (false, false) => return WITHOUT_LOCKS,
        (true, true) => &HIDING_WITH_LOCKS,
        (false, true) => &HIDING_WITHOUT_LOCKS,
    };
    hiding.register(PREFIX, size_of::<Hidden>(), open, |_| {})
}

/// A hidden file as SQLite knows it. The system's file, which has the bytes, lies behind it.
#[repr(C, align(8))] // as all memory that SQLite gives
struct Hidden {
    base: ffi::sqlite3_file,
    /// Made when the file is opened, and dropped when it is closed.
    hiding: *mut Hiding,
}

struct Hiding {
    key: RewritingKey,
    /// What SQLite writes is its own, so that it is encrypted here.
    buffer: Vec<u8>,
}

static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    iVersion: 1, // without shared memory and mapping, which no temporary file needs
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: None,
    xShmLock: None,
    xShmBarrier: None,
    xShmUnmap: None,
    xFetch: None,
    xUnfetch: None,
};

/// Opens a file: a temporary one hidden, any other as it is.
unsafe extern "C" fn open(
    interface: *mut ffi::sqlite3_vfs,
    name: ffi::sqlite3_filename,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    given: *mut c_int,
) -> c_int {
    const TEMPORARY: c_int = ffi::SQLITE_OPEN_TEMP_DB
        | ffi::SQLITE_OPEN_TRANSIENT_DB
        | ffi::SQLITE_OPEN_TEMP_JOURNAL
        | ffi::SQLITE_OPEN_SUBJOURNAL;
    if flags & TEMPORARY == 0 {
        // SAFETY: SQLite's own arguments for this very call.
        return unsafe { open_behind(interface, PREFIX, name, file, flags, given) };
    }
    let Ok(key) = RewritingKey::new() else {
        return ffi::SQLITE_IOERR;
    };
    let buffer = Vec::new();
    // SAFETY: SQLite's own arguments, and room behind the file's own part for the system's file. SQLite
    // closes a file that has functions, and no other.
    unsafe {
        let hidden = file.cast::<Hidden>();
        let system = behind(file);
        (*hidden).base.pMethods = ptr::null();
        (*system).pMethods = ptr::null();
        let code = open_behind(interface, PREFIX, name, system, flags, given);
        if code == ffi::SQLITE_OK {
            (*hidden).hiding = Box::into_raw(Box::new(Hiding { key, buffer }));
            (*hidden).base.pMethods = ptr::from_ref(&METHODS);
        }
        code
    }
}

/// Gives the system's file of a hidden one.
fn behind(file: *mut ffi::sqlite3_file) -> *mut ffi::sqlite3_file {
    file.cast::<Hidden>().wrapping_add(1).cast()
}

/// Calls a function of the system's file.
macro_rules! behind {
    ($file:expr, $method:ident $(, $argument:expr)*) => {{
        let system = behind($file);
        // SAFETY: SQLite's own arguments, for a file that is open.
        unsafe {
            match (*system).pMethods.as_ref().and_then(|methods| methods.$method) {
                Some(method) => method(system $(, $argument)*),
                None => ffi::SQLITE_IOERR,
            }
        }
    }};
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    let code = behind!(file, xClose);
    // SAFETY: made when the file was opened, and closed once.
    drop(unsafe { Box::from_raw((*file.cast::<Hidden>()).hiding) });
    code
}

unsafe extern "C" fn read(
    file: *mut ffi::sqlite3_file,
    place: *mut c_void,
    length: c_int,
    offset: i64,
) -> c_int {
    let code = behind!(file, xRead, place, length, offset);
    let (Ok(length), Ok(start)) = (usize::try_from(length), u64::try_from(offset)) else {
        return ffi::SQLITE_IOERR_READ;
    };
    let read = match code {
        ffi::SQLITE_OK => length,
        // The rest has been zeroed.
        ffi::SQLITE_IOERR_SHORT_READ => {
            let mut size = 0;
            let code = behind!(file, xFileSize, &mut size);
            if code != ffi::SQLITE_OK {
                return code;
            }
            usize::try_from(size.saturating_sub(offset))
                .unwrap_or(0)
                .min(length)
        }
        code => return code,
    };
    // SAFETY: the place has this length and has just been filled; the file is open.
    let hidden = unsafe {
        let bytes = slice::from_raw_parts_mut(place.cast::<u8>(), read);
        (*(*file.cast::<Hidden>()).hiding).key.decrypt(bytes, start)
    };
    match hidden {
        Ok(()) => code,
        Err(_) => ffi::SQLITE_IOERR_READ,
    }
}

unsafe extern "C" fn write(
    file: *mut ffi::sqlite3_file,
    bytes: *const c_void,
    length: c_int,
    offset: i64,
) -> c_int {
    let (Ok(count), Ok(start)) = (usize::try_from(length), u64::try_from(offset)) else {
        return ffi::SQLITE_IOERR_WRITE;
    };
    // SAFETY: the file is open, used by one thread, and SQLite's bytes have this length.
    let (hiding, bytes) = unsafe {
        let hiding = &mut *(*file.cast::<Hidden>()).hiding;
        (hiding, slice::from_raw_parts(bytes.cast::<u8>(), count))
    };
    let Ok(hidden) = sized(&mut hiding.buffer, count) else {
        return ffi::SQLITE_IOERR_NOMEM;
    };
    hidden.copy_from_slice(bytes);
    match hiding.key.encrypt(hidden, start) {
        Ok(()) => behind!(file, xWrite, hidden.as_ptr().cast(), length, offset),
        Err(error) if error.kind() == io::ErrorKind::OutOfMemory => ffi::SQLITE_IOERR_NOMEM,
        Err(_) => ffi::SQLITE_IOERR_WRITE,
    }
}

unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, size: i64) -> c_int {
    behind!(file, xTruncate, size)
}

unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, how: c_int) -> c_int {
    behind!(file, xSync, how)
}

unsafe extern "C" fn file_size(file: *mut ffi::sqlite3_file, size: *mut i64) -> c_int {
    behind!(file, xFileSize, size)
}

unsafe extern "C" fn lock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    behind!(file, xLock, level)
}

unsafe extern "C" fn unlock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    behind!(file, xUnlock, level)
}

unsafe extern "C" fn check_reserved_lock(
    file: *mut ffi::sqlite3_file,
    is_locked: *mut c_int,
) -> c_int {
    behind!(file, xCheckReservedLock, is_locked)
}

unsafe extern "C" fn file_control(
    file: *mut ffi::sqlite3_file,
    what: c_int,
    with: *mut c_void,
) -> c_int {
    behind!(file, xFileControl, what, with)
}

unsafe extern "C" fn sector_size(file: *mut ffi::sqlite3_file) -> c_int {
    behind!(file, xSectorSize)
}

unsafe extern "C" fn device_characteristics(file: *mut ffi::sqlite3_file) -> c_int {
    behind!(file, xDeviceCharacteristics)
}
