//! Functions of SQL that take the place of SQLite's own in a connection.
//!
//! SQLite can't be stopped while it is in one of its functions; some of them take hours with values
//! of many MiB.

use std::cell::Cell;
use std::ffi::{CStr, c_int, c_void};
use std::ops::{Deref, DerefMut};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::{ptr, slice};

use rusqlite::{Connection, Error, ffi};

const FLAGS: c_int = ffi::SQLITE_UTF8 | ffi::SQLITE_DETERMINISTIC | ffi::SQLITE_INNOCUOUS;
/// The most arguments that a function takes.
const ARGUMENTS_MAX: usize = 3;
const UTF8: u8 = ffi::SQLITE_UTF8 as u8;

/// A function that gives a value for each of its calls.
pub struct Function {
    pub name: &'static CStr,
    pub arguments: c_int,
    pub answer: fn(&Call<'_>) -> Result<Answer, Refusal>,
}

/// What a function gives.
pub enum Answer {
    Null,
    Number(i64),
    Text(Buffer),
    Blob(Buffer),
}

/// The reason why a function gives nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    Stopped,
    OutOfMemory,
    TooBig,
    Said(&'static CStr),
}

/// Tells whether what takes long is to end.
pub type Stops = Arc<dyn Fn() -> bool + Send + Sync>;

/// Gives each of `functions` to `connection`, which end where it `stops`.
pub fn install(
    connection: &Connection,
    functions: &'static [Function],
    stops: &Stops,
) -> rusqlite::Result<()> {
    for function in functions {
        let installed = Box::new(Installed {
            answer: function.answer,
            stops: Arc::clone(stops),
        });
        // SAFETY: the connection is open, and drops what is installed, also where this fails.
        done(unsafe {
            ffi::sqlite3_create_function_v2(
                connection.handle(),
                function.name.as_ptr(),
                function.arguments,
                FLAGS,
                Box::into_raw(installed).cast(),
                Some(call),
                None,
                None,
                Some(uninstall),
            )
        })?;
    }
    Ok(())
}

/// Makes `connection` count rows one by one. SQLite's own `count(*)` goes through all pages of a
/// table in one step, and some tables lead to the same pages again and again.
pub fn count_by_rows(connection: &Connection) -> rusqlite::Result<()> {
    // SAFETY: the connection is open.
    done(unsafe {
        ffi::sqlite3_create_window_function(
            connection.handle(),
            c"count".as_ptr(),
            0,
            FLAGS,
            ptr::null_mut(),
            Some(count_row),
            Some(tell_count),
            Some(tell_count),
            Some(uncount_row),
            None,
        )
    })
}

/// Takes the kinds of virtual tables away, but for those that are `kept`: some search indexes of
/// their own without asking whether to go on.
pub fn keep_tables(connection: &Connection, kept: &[&'static CStr]) -> rusqlite::Result<()> {
    let names = kept.iter().map(|name| name.as_ptr());
    let mut names: Vec<_> = names.chain([ptr::null()]).collect();
    // SAFETY: the connection is open, and the list ends with null.
    done(unsafe { ffi::sqlite3_drop_modules(connection.handle(), names.as_mut_ptr()) })
}

fn done(code: c_int) -> rusqlite::Result<()> {
    match code {
        ffi::SQLITE_OK => Ok(()),
        code => Err(Error::SqliteFailure(ffi::Error::new(code), None)),
    }
}

struct Installed {
    answer: fn(&Call<'_>) -> Result<Answer, Refusal>,
    stops: Stops,
}

/// The work that is done until it is asked again whether to go on.
pub struct Effort<'s> {
    stops: &'s Stops,
    left: Cell<usize>,
}

impl<'s> Effort<'s> {
    /// Bytes that are looked at between two questions, which takes milliseconds.
    const MOST: usize = 1 << 20;

    fn new(stops: &'s Stops) -> Effort<'s> {
        Effort {
            stops,
            left: Cell::new(Self::MOST),
        }
    }

    /// Counts bytes that are looked at; fails if the operation is to end.
    pub fn spend(&self, bytes: usize) -> Result<(), Refusal> {
        if let Some(left) = self.left.get().checked_sub(bytes) {
            self.left.set(left);
            return Ok(());
        }
        self.left.set(Self::MOST);
        match (self.stops)() {
            true => Err(Refusal::Stopped),
            false => Ok(()),
        }
    }
}

/// A call of a function, with its arguments.
pub struct Call<'c> {
    context: *mut ffi::sqlite3_context,
    arguments: &'c [*mut ffi::sqlite3_value],
    /// Copies of blobs that are read as text: in place that would change what they are elsewhere.
    copies: [Cell<*mut ffi::sqlite3_value>; ARGUMENTS_MAX],
    pub effort: Effort<'c>,
}

impl Call<'_> {
    /// Tells whether there is an argument of this number.
    pub fn has(&self, argument: usize) -> bool {
        argument < self.arguments.len()
    }

    /// Tells whether an argument is NULL.
    pub fn is_null(&self, argument: usize) -> bool {
        self.kind(argument) == ffi::SQLITE_NULL
    }

    /// Gives the bytes of an argument that is a blob.
    pub fn blob(&self, argument: usize) -> Option<&[u8]> {
        if self.kind(argument) != ffi::SQLITE_BLOB {
            return None;
        }
        let value = *self.arguments.get(argument)?;
        // SAFETY: an argument of this call. Its blob stays until it is converted, which `text` does
        // with a copy; an empty one may have no address.
        unsafe {
            let bytes = ffi::sqlite3_value_blob(value).cast::<u8>();
            Some(bytes_at(bytes, ffi::sqlite3_value_bytes(value)).unwrap_or_default())
        }
    }

    /// Gives an argument as text; None if it is NULL.
    pub fn text(&self, argument: usize) -> Result<Option<&[u8]>, Refusal> {
        let kind = self.kind(argument);
        let (Some(mut value), Some(copy)) = (
            self.arguments.get(argument).copied(),
            self.copies.get(argument),
        ) else {
            return Ok(None);
        };
        // SAFETY: an argument of this call or its copy, which have the same text from now on.
        unsafe {
            if kind == ffi::SQLITE_BLOB {
                if copy.get().is_null() {
                    copy.set(ffi::sqlite3_value_dup(value));
                }
                value = copy.get();
            }
            if kind == ffi::SQLITE_NULL {
                return Ok(None);
            }
            // There is no copy where memory lacks or the operation is to end, and no text then.
            let text = match value.is_null() {
                true => ptr::null(),
                false => ffi::sqlite3_value_text(value),
            };
            if text.is_null() {
                return Err(Refusal::OutOfMemory);
            }
            Ok(bytes_at(text, ffi::sqlite3_value_bytes(value)))
        }
    }

    /// Makes room for an answer.
    pub fn buffer(&self, bytes: usize) -> Result<Buffer, Refusal> {
        // SAFETY: the connection of this call; -1 only asks.
        let most = unsafe {
            let database = ffi::sqlite3_context_db_handle(self.context);
            ffi::sqlite3_limit(database, ffi::SQLITE_LIMIT_LENGTH, -1)
        };
        if !usize::try_from(most).is_ok_and(|most| bytes <= most) {
            return Err(Refusal::TooBig);
        }
        // SAFETY: SQLite's memory of this size, which it may refuse, and which is filled with zeros.
        unsafe {
            let start = ffi::sqlite3_malloc64(bytes.max(1) as u64).cast::<u8>();
            if start.is_null() {
                return Err(Refusal::OutOfMemory);
            }
            ptr::write_bytes(start, 0, bytes);
            Ok(Buffer { start, bytes })
        }
    }

    fn kind(&self, argument: usize) -> c_int {
        let value = self.arguments.get(argument);
        // SAFETY: an argument of this call.
        value.map_or(ffi::SQLITE_NULL, |value| unsafe {
            ffi::sqlite3_value_type(*value)
        })
    }

    fn give(&self, answer: Result<Answer, Refusal>) {
        let context = self.context;
        // SAFETY: the context of this call. SQLite takes the buffer, and frees it.
        unsafe {
            match answer {
                Ok(Answer::Null) => ffi::sqlite3_result_null(context),
                Ok(Answer::Number(number)) => ffi::sqlite3_result_int64(context, number),
                Ok(Answer::Text(text)) => {
                    let (start, bytes) = text.into_parts();
                    let start = start.cast_const().cast();
                    ffi::sqlite3_result_text64(
                        context,
                        start,
                        bytes,
                        Some(ffi::sqlite3_free),
                        UTF8,
                    );
                }
                Ok(Answer::Blob(blob)) => {
                    let (start, bytes) = blob.into_parts();
                    let start = start.cast_const().cast();
                    ffi::sqlite3_result_blob64(context, start, bytes, Some(ffi::sqlite3_free));
                }
                Err(Refusal::Stopped) => {
                    ffi::sqlite3_result_error_code(context, ffi::SQLITE_INTERRUPT);
                }
                Err(Refusal::OutOfMemory) => ffi::sqlite3_result_error_nomem(context),
                Err(Refusal::TooBig) => ffi::sqlite3_result_error_toobig(context),
                Err(Refusal::Said(what)) => {
                    ffi::sqlite3_result_error(context, what.as_ptr(), -1);
                }
            }
        }
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        for copy in &self.copies {
            // SAFETY: a copy that this call has made, or null.
            unsafe { ffi::sqlite3_value_free(copy.get()) }
        }
    }
}

/// Gives the bytes at `start`; None if that is null.
///
/// # Safety
///
/// There are so many, and they stay as they are as long as they are used.
unsafe fn bytes_at<'b>(start: *const u8, bytes: c_int) -> Option<&'b [u8]> {
    if start.is_null() {
        return None;
    }
    // SAFETY: the caller's promise, passed on.
    Some(unsafe { slice::from_raw_parts(start, usize::try_from(bytes).unwrap_or(0)) })
}

/// The bytes of an answer, in SQLite's own memory.
pub struct Buffer {
    start: *mut u8,
    bytes: usize,
}

impl Buffer {
    pub fn truncate(&mut self, bytes: usize) {
        self.bytes = self.bytes.min(bytes);
    }

    fn into_parts(self) -> (*mut u8, u64) {
        let parts = (self.start, self.bytes as u64);
        std::mem::forget(self);
        parts
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: its own, and filled.
        unsafe { slice::from_raw_parts(self.start, self.bytes) }
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above.
        unsafe { slice::from_raw_parts_mut(self.start, self.bytes) }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // SAFETY: from SQLite, and freed once.
        unsafe { ffi::sqlite3_free(self.start.cast()) }
    }
}

unsafe extern "C" fn call(
    context: *mut ffi::sqlite3_context,
    count: c_int,
    arguments: *mut *mut ffi::sqlite3_value,
) {
    // SAFETY: SQLite's own arguments for this very call, and what was installed with the function.
    let (installed, arguments) = unsafe {
        let installed = &*ffi::sqlite3_user_data(context).cast::<Installed>();
        let count = usize::try_from(count).unwrap_or(0);
        (installed, slice::from_raw_parts(arguments, count))
    };
    let call = Call {
        context,
        arguments,
        copies: [const { Cell::new(ptr::null_mut()) }; ARGUMENTS_MAX],
        effort: Effort::new(&installed.stops),
    };
    let answer = catch_unwind(AssertUnwindSafe(|| (installed.answer)(&call)));
    call.give(answer.unwrap_or(Err(Refusal::Said(c"a function has failed"))));
}

unsafe extern "C" fn uninstall(installed: *mut c_void) {
    // SAFETY: made by `install`, and dropped once.
    drop(unsafe { Box::from_raw(installed.cast::<Installed>()) });
}

/// Gives the number of rows that a `count(*)` has counted; None where there is no memory for it.
unsafe fn counted<'c>(context: *mut ffi::sqlite3_context) -> Option<&'c mut i64> {
    // SAFETY: SQLite keeps so many bytes for each count, aligned and zeros at first.
    unsafe {
        ffi::sqlite3_aggregate_context(context, size_of::<i64>() as c_int)
            .cast::<i64>()
            .as_mut()
    }
}

unsafe extern "C" fn count_row(
    context: *mut ffi::sqlite3_context,
    _: c_int,
    _: *mut *mut ffi::sqlite3_value,
) {
    // SAFETY: SQLite's own context.
    match unsafe { counted(context) } {
        Some(count) => *count += 1,
        // SAFETY: as above.
        None => unsafe { ffi::sqlite3_result_error_nomem(context) },
    }
}

unsafe extern "C" fn uncount_row(
    context: *mut ffi::sqlite3_context,
    _: c_int,
    _: *mut *mut ffi::sqlite3_value,
) {
    // SAFETY: SQLite's own context.
    if let Some(count) = unsafe { counted(context) } {
        *count -= 1;
    }
}

unsafe extern "C" fn tell_count(context: *mut ffi::sqlite3_context) {
    // SAFETY: SQLite's own context, which gets the answer.
    unsafe {
        let count = counted(context).map_or(0, |count| *count);
        ffi::sqlite3_result_int64(context, count);
    }
}
