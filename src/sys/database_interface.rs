//! SQLite's interfaces to the system, and those of the library's own that stand before them.

use std::cell::UnsafeCell;
use std::ffi::{CStr, c_int};
use std::mem::MaybeUninit;
use std::sync::Once;

use rusqlite::ffi;

/// SQLite's own interfaces, with locks and without. What it takes on Windows by itself has room for a
/// path of a thousand bytes.
pub const WITH_LOCKS: &CStr = match cfg!(windows) {
    true => c"win32-longpath",
    false => c"unix",
};
pub const WITHOUT_LOCKS: &CStr = match cfg!(windows) {
    true => c"win32-longpath-none",
    false => c"unix-none",
};

type Open = unsafe extern "C" fn(
    *mut ffi::sqlite3_vfs,
    ffi::sqlite3_filename,
    *mut ffi::sqlite3_file,
    c_int,
    *mut c_int,
) -> c_int;

/// An interface that stands before another: what it does not do itself, that one does.
pub struct Before {
    name: &'static CStr,
    interface: UnsafeCell<MaybeUninit<ffi::sqlite3_vfs>>,
    registered: Once,
}

// SAFETY: it is written once, before SQLite knows it, and from then on SQLite's.
unsafe impl Sync for Before {}

impl Before {
    /// `name` ends with that of the interface which it stands before.
    pub const fn new(name: &'static CStr) -> Before {
        Before {
            name,
            interface: UnsafeCell::new(MaybeUninit::uninit()),
            registered: Once::new(),
        }
    }

    /// Makes the interface known to SQLite, as the other one that is `changed`; its files take `more`
    /// bytes. Gives its name. Without it, nothing can be opened by that name.
    pub fn register(
        &'static self,
        prefix: &str,
        more: usize,
        open: Open,
        changed: impl FnOnce(&mut ffi::sqlite3_vfs),
    ) -> &'static CStr {
        // SAFETY: SQLite never frees the other interface, and both stay where they are.
        self.registered.call_once(|| unsafe {
            let Some(other) = behind(self.name, prefix).map(|other| &*other) else {
                return;
            };
            let Some(size) = c_int::try_from(more)
                .ok()
                .and_then(|more| other.szOsFile.checked_add(more))
            else {
                return;
            };
            let interface = (*self.interface.get()).write(ffi::sqlite3_vfs {
                zName: self.name.as_ptr(),
                pNext: std::ptr::null_mut(),
                szOsFile: size,
                xOpen: Some(open),
                ..*other
            });
            changed(interface);
            ffi::sqlite3_vfs_register(interface, 0);
        });
        self.name
    }
}

/// Finds the interface that one with the name `name` stands before.
fn behind(name: &CStr, prefix: &str) -> Option<*mut ffi::sqlite3_vfs> {
    let other = name.to_bytes_with_nul().get(prefix.len()..)?;
    let other = CStr::from_bytes_with_nul(other).ok()?;
    // SAFETY: the name ends with a NUL.
    let other = unsafe { ffi::sqlite3_vfs_find(other.as_ptr()) };
    (!other.is_null()).then_some(other)
}

/// Opens a file by the interface that `interface` stands before.
///
/// # Safety
///
/// SQLite's own arguments for an interface that [`Before::register`] has made with this `prefix`, but
/// for a `name` and `flags` that SQLite uses itself, and a `file` with the room of the other's.
pub unsafe fn open_behind(
    interface: *mut ffi::sqlite3_vfs,
    prefix: &str,
    name: ffi::sqlite3_filename,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    given: *mut c_int,
) -> c_int {
    // SAFETY: see above.
    unsafe {
        let other = behind(CStr::from_ptr((*interface).zName), prefix);
        match other.map(|other| ((*other).xOpen, other)) {
            Some((Some(open), other)) => open(other, name, file, flags, given),
            _ => ffi::SQLITE_CANTOPEN,
        }
    }
}
