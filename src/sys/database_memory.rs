//! The bounds of SQLite's memory and stack while it works on a database that may be anybody's.
//!
//! SQLite asks its progress handler about rows, but not while it takes a schema apart, where a
//! short view may stand for billions of expressions. Whatever it does there needs memory: so each
//! request for some is where its work is bounded, and stopped.

use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::{Once, OnceLock};

use rusqlite::ffi;

/// Bytes of all pieces of memory that are not [`LARGE`]: schemas, statements and pages.
const SMALL_MAX: isize = 24 << 20;
/// Bytes of a piece that holds a value, as only values are so large.
const LARGE: isize = 128 << 10;
/// Bytes of all such values: a licence of 16 MiB is made of others, and copied.
const LARGE_MAX: isize = 56 << 20;
/// Bytes of stack below the place where the work began. Threads have a MiB.
const STACK_MAX: usize = 512 << 10;
/// The number of requests after which it is asked whether to go on. It is asked before each that is
/// [`LARGE`], too: whoever makes such values takes long with each.
const REQUESTS: u32 = 1000;

/// A piece of work on a database.
struct Work<'w> {
    stops: &'w dyn Fn() -> bool,
    /// Where its stack begins.
    stack: usize,
    small: Cell<isize>,
    large: Cell<isize>,
    requests: Cell<u32>,
    was_refused: Cell<bool>,
}

thread_local! {
    /// What this thread is at; null, where it is at nothing that is bounded.
    static WORK: Cell<*const Work<'static>> = const { Cell::new(ptr::null()) };
}

/// Does `work`, in which SQLite runs out of memory where it takes too much or goes too deep, or
/// where it `stops`.
pub fn bounded<T>(stops: &dyn Fn() -> bool, work: impl FnOnce() -> T) -> T {
    struct Leave(*const Work<'static>);
    impl Drop for Leave {
        fn drop(&mut self) {
            WORK.set(self.0);
        }
    }
    let bounds = Work {
        stops,
        stack: stack_pointer(),
        small: Cell::new(SMALL_MAX),
        large: Cell::new(LARGE_MAX),
        requests: Cell::new(0),
        was_refused: Cell::new(false),
    };
    let _leave = Leave(WORK.replace(ptr::from_ref(&bounds).cast()));
    work()
}

/// Tells whether memory was refused to the work that this thread is at, for want of anything but
/// memory.
pub fn was_refused() -> bool {
    with_work(|work| work.was_refused.get()).unwrap_or(false)
}

fn with_work<T>(look: impl FnOnce(&Work<'_>) -> T) -> Option<T> {
    // SAFETY: `bounded` takes the work away before it ends.
    unsafe { WORK.get().as_ref() }.map(look)
}

fn stack_pointer() -> usize {
    let here = 0u8;
    ptr::from_ref(&here).addr()
}

impl Work<'_> {
    /// Tells whether so many bytes may be taken now.
    fn admits(&self, bytes: isize) -> bool {
        let requests = self.requests.get().wrapping_add(1);
        self.requests.set(requests);
        if bytes > LARGE || requests.is_multiple_of(REQUESTS) {
            let stops = catch_unwind(AssertUnwindSafe(self.stops)).unwrap_or(true);
            if stops {
                return false;
            }
        }
        let is_deep = self.stack.abs_diff(stack_pointer()) > STACK_MAX;
        let is_admitted = !is_deep && self.left(bytes).0.get() >= bytes;
        if !is_admitted {
            self.was_refused.set(true);
        }
        is_admitted
    }

    /// Gives what is left for a piece of this size, and how much that was at first.
    fn left(&self, bytes: isize) -> (&Cell<isize>, isize) {
        match bytes > LARGE {
            true => (&self.large, LARGE_MAX),
            false => (&self.small, SMALL_MAX),
        }
    }

    fn take(&self, bytes: isize) {
        let (left, _) = self.left(bytes);
        left.set(left.get() - bytes);
    }

    /// Counts a piece that is given back; it may have been taken before the work began.
    fn give_back(&self, bytes: isize) {
        let (left, most) = self.left(bytes);
        left.set((left.get() + bytes).min(most));
    }
}

/// The functions that SQLite takes its memory from otherwise.
struct Own {
    allocate: unsafe extern "C" fn(c_int) -> *mut c_void,
    resize: unsafe extern "C" fn(*mut c_void, c_int) -> *mut c_void,
    free: unsafe extern "C" fn(*mut c_void),
    size: unsafe extern "C" fn(*mut c_void) -> c_int,
}

static OWN: OnceLock<Own> = OnceLock::new();

/// Makes SQLite take its memory here. It is called before any use of SQLite: where a host in Rust
/// has used the same SQLite before, that stays as it is.
pub fn install() {
    static INSTALL: Once = Once::new();
    // SAFETY: SQLite fills the functions in, and takes a copy of them, as long as nobody uses it.
    INSTALL.call_once(|| unsafe {
        let mut methods = MaybeUninit::<ffi::sqlite3_mem_methods>::zeroed();
        if ffi::sqlite3_config(ffi::SQLITE_CONFIG_GETMALLOC, methods.as_mut_ptr()) != ffi::SQLITE_OK
        {
            return;
        }
        let mut methods = methods.assume_init();
        let (Some(allocate), Some(resize), Some(free), Some(size)) = (
            methods.xMalloc,
            methods.xRealloc,
            methods.xFree,
            methods.xSize,
        ) else {
            return;
        };
        let own = Own {
            allocate,
            resize,
            free,
            size,
        };
        if OWN.set(own).is_ok() {
            methods.xMalloc = Some(self::allocate);
            methods.xRealloc = Some(self::resize);
            methods.xFree = Some(self::free);
            ffi::sqlite3_config(ffi::SQLITE_CONFIG_MALLOC, &raw const methods);
        }
    });
}

unsafe extern "C" fn allocate(bytes: c_int) -> *mut c_void {
    let Some(own) = OWN.get() else {
        return ptr::null_mut();
    };
    if !with_work(|work| work.admits(bytes as isize)).unwrap_or(true) {
        return ptr::null_mut();
    }
    // SAFETY: SQLite's own functions and arguments; what they give is one of their pieces.
    unsafe {
        let piece = (own.allocate)(bytes);
        if !piece.is_null() {
            with_work(|work| work.take((own.size)(piece) as isize));
        }
        piece
    }
}

unsafe extern "C" fn resize(piece: *mut c_void, bytes: c_int) -> *mut c_void {
    let Some(own) = OWN.get() else {
        return ptr::null_mut();
    };
    // SAFETY: as above; a piece that can't be resized stays.
    unsafe {
        let before = (own.size)(piece) as isize;
        // For a moment there may be both.
        if !with_work(|work| work.admits(bytes as isize)).unwrap_or(true) {
            return ptr::null_mut();
        }
        let resized = (own.resize)(piece, bytes);
        if !resized.is_null() {
            with_work(|work| {
                work.give_back(before);
                work.take((own.size)(resized) as isize);
            });
        }
        resized
    }
}

unsafe extern "C" fn free(piece: *mut c_void) {
    if let Some(own) = OWN.get() {
        // SAFETY: as above.
        unsafe {
            if !piece.is_null() {
                with_work(|work| work.give_back((own.size)(piece) as isize));
            }
            (own.free)(piece);
        }
    }
}
