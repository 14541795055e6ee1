//! The values behind a host's pointers, as Rust sees them.
//!
//! Every function here is sound if the host keeps its promise: a pointer that is not NULL is valid
//! for its value.

use std::ffi::{CStr, c_char};
use std::mem::{MaybeUninit, offset_of};

use super::types::{licbak_backup_info, licbak_license, licbak_progress, licbak_store};
use crate::error::{Error, Outcome, Result};

/// Refuses NULL.
pub fn not_null<T>(pointer: *const T) -> Result<()> {
    if pointer.is_null() {
        Err(Error::new(
            Outcome::Pointer,
            "A pointer that must not be NULL is NULL.",
        ))
    } else {
        Ok(())
    }
}

/// The bytes at `value`.
///
/// # Safety
/// `value` is NULL, or `size` bytes can be read there as long as the result is used.
pub unsafe fn bytes<'a>(value: *const u8, size: usize) -> Result<&'a [u8]> {
    not_null(value)?;
    if isize::try_from(size).is_err() {
        return Err(invalid("A size is larger than any memory."));
    }
    // SAFETY: the caller's promise, and the size is one that a slice can have.
    Ok(unsafe { std::slice::from_raw_parts(value, size) })
}

/// The text at `text`, without its NUL.
///
/// # Safety
/// `text` is NULL, or ends with a NUL, as long as the result is used.
pub unsafe fn text<'a>(text: *const c_char) -> Result<&'a [u8]> {
    not_null(text)?;
    // SAFETY: the caller's promise.
    Ok(unsafe { CStr::from_ptr(text) }.to_bytes())
}

/// A size that no struct of any version comes near; a larger size was never set.
const STRUCT_MAX: usize = 4096;

/// A struct that a host passes, which begins with its size as the host knows it.
///
/// # Safety
/// It may have any bytes of which those behind a whole version are zero.
pub unsafe trait Struct: Copy {
    /// The sizes of its versions, from the first to the last.
    const VERSIONS: &'static [usize] = &[size_of::<Self>()];
}

// SAFETY: numbers may have any bytes.
unsafe impl Struct for licbak_progress {}
// SAFETY: as above.
unsafe impl Struct for licbak_backup_info {}
// SAFETY: numbers and pointers that are not followed here may have any bytes.
unsafe impl Struct for licbak_license {}
// SAFETY: a function is the host's, or NULL: a version has none of them in part.
unsafe impl Struct for licbak_store {
    const VERSIONS: &'static [usize] = &[offset_of!(licbak_store, merge), size_of::<Self>()];
}

/// The size of the struct at `pointer` as the caller knows it, and as much of it as both sides
/// know.
///
/// # Safety
/// The struct's size can be read at `pointer`, which is not NULL.
unsafe fn struct_size<T: Struct>(pointer: *const T) -> Result<(usize, usize)> {
    // SAFETY: the size stands first in every struct of the ABI.
    let size = unsafe { pointer.cast::<usize>().read_unaligned() };
    let known = T::VERSIONS.iter().rev().find(|version| **version <= size);
    let Some(known) = known else {
        return Err(invalid(
            "struct_size is smaller than the struct in its first version. Set it to the struct's sizeof.",
        ));
    };
    if size > STRUCT_MAX {
        return Err(invalid(
            "struct_size is over 4,096, and no struct is that large. Set it to the struct's sizeof.",
        ));
    }
    Ok((size, *known))
}

/// The struct at `pointer`. Members that the caller does not know are zero.
///
/// # Safety
/// As many bytes as the struct says that it has can be read at `pointer`, which is not NULL.
pub unsafe fn read_struct<T: Struct>(pointer: *const T) -> Result<T> {
    // SAFETY: the caller's promise.
    let (size, known) = unsafe { struct_size(pointer) }?;
    // SAFETY: the caller's promise.
    let all = unsafe { bytes(pointer.cast::<u8>(), size) }?;
    if all.iter().skip(known).any(|byte| *byte != 0) {
        return Err(invalid(
            "The struct has something that this version does not know. Set it to zero.",
        ));
    }
    let mut value = MaybeUninit::<T>::zeroed();
    // SAFETY: both have as many bytes, and what is a whole version with zeros behind it is a value.
    unsafe {
        value
            .as_mut_ptr()
            .cast::<u8>()
            .copy_from_nonoverlapping(pointer.cast(), known);
        Ok(value.assume_init())
    }
}

/// Fills the struct at `pointer`, which begins with its size as the caller knows it. `value` makes
/// the struct for that size, or fails, and then nothing is written; the rest that only the caller
/// knows is zeroed.
///
/// # Safety
/// As many bytes as the struct says that it has can be read and written at `pointer`, which is not
/// NULL.
pub unsafe fn write_struct<T: Struct>(
    pointer: *mut T,
    value: impl FnOnce(usize) -> Result<T>,
) -> Result<()> {
    // SAFETY: the caller's promise.
    let (size, known) = unsafe { struct_size(pointer) }?;
    let value = value(size)?;
    let bytes = pointer.cast::<u8>();
    // SAFETY: the struct has `known` bytes, and the rest beyond them.
    unsafe {
        bytes.copy_from_nonoverlapping((&raw const value).cast(), known);
        bytes.add(known).write_bytes(0, size - known);
    }
    Ok(())
}

/// The text in `bytes`, if it is UTF-8.
pub fn utf8(bytes: &[u8]) -> Result<&str> {
    std::str::from_utf8(bytes).map_err(|_| invalid("A text is not UTF-8."))
}

pub fn invalid(sentence: &str) -> Error {
    Error::new(Outcome::InvalidArgument, sentence)
}

/// Refuses flags that `what` does not know; `takes` names those that it does.
pub fn check_flags(flags: u32, known: u32, what: &str, takes: &str) -> Result<()> {
    match flags & !known {
        0 => Ok(()),
        unknown => Err(invalid(&format!(
            "Unknown flag {unknown:#x} for {what}. It takes {takes}."
        ))),
    }
}

/// A buffer of the host for a text or a value: its bytes, and its size.
pub struct Buffer {
    bytes: *mut u8,
    size: *mut usize,
}

impl Buffer {
    /// # Safety
    /// `bytes` is NULL, or `*size` bytes can be written there; `size` is NULL or can be read and
    /// written.
    pub unsafe fn new(bytes: *mut u8, size: *mut usize) -> Result<Buffer> {
        not_null(size)?;
        Ok(Buffer { bytes, size })
    }

    /// Whether `content` fits, or only its size is asked for.
    pub fn takes(&self, content: &[u8]) -> bool {
        // SAFETY: as promised to `new`.
        self.bytes.is_null() || content.len() <= unsafe { self.size.read_unaligned() }
    }

    /// Bytes that can be written.
    fn room(&self) -> usize {
        match self.bytes.is_null() {
            true => 0,
            // SAFETY: as promised to `new`.
            false => unsafe { self.size.read_unaligned() },
        }
    }

    /// Tells the size of `content`.
    pub fn tell_size(&self, content: &[u8]) {
        // SAFETY: as promised to `new`.
        unsafe { self.size.write_unaligned(content.len()) };
    }

    /// Writes `content`, which it takes, unless only its size is asked for.
    pub fn write(&self, content: &[u8]) {
        if !self.bytes.is_null() {
            // SAFETY: as promised to `new`, and `takes` has compared the sizes.
            unsafe {
                self.bytes
                    .copy_from_nonoverlapping(content.as_ptr(), content.len())
            };
        }
    }
}

/// Gives each content to its buffer of the host, to all of them or to none. Their sizes are always
/// set.
pub fn give(buffers: &[(Buffer, &[u8])]) -> Result<()> {
    let fits = buffers
        .iter()
        .all(|(buffer, content)| buffer.takes(content));
    buffers
        .iter()
        .for_each(|(buffer, content)| buffer.tell_size(content));
    if !fits {
        return Err(Error::new(Outcome::BufferTooSmall, ""));
    }
    buffers
        .iter()
        .for_each(|(buffer, content)| buffer.write(content));
    Ok(())
}

/// Gives the host `text` with its NUL, or as many whole characters as fit.
pub fn give_beginning(buffer: Buffer, text: &str) -> Result<()> {
    let end = buffer.room().saturating_sub(1);
    let beginning = text
        .get(..text.floor_char_boundary(end))
        .unwrap_or_default();
    if beginning.len() < text.len() && buffer.room() > 0 {
        buffer.write(&with_nul(beginning));
    }
    give(&[(buffer, &with_nul(text))])
}

/// Gives `text` with the NUL that C wants, in the memory of `buffer`.
pub fn put_with_nul<'b>(buffer: &'b mut Vec<u8>, text: &str) -> Result<&'b [u8]> {
    buffer.clear();
    buffer.try_reserve(text.len() + 1)?;
    buffer.extend_from_slice(text.as_bytes());
    buffer.push(0);
    Ok(buffer)
}

/// `text` with the NUL that C wants.
pub fn with_nul(text: &str) -> Vec<u8> {
    [text.as_bytes(), b"\0"].concat()
}
