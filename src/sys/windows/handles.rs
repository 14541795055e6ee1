//! Files and folders by handle: asked, renamed, removed, read and written.
//!
//! Only the native calls rename into a folder's handle. Source: the pages of NtSetInformationFile
//! and of the structures named here, in Microsoft's documentation.

use std::ffi::c_void;
use std::os::windows::io::{AsRawHandle, BorrowedHandle};
use std::ptr::{null, null_mut};
use std::sync::OnceLock;

use windows_sys::Wdk::Storage::FileSystem::{
    FILE_DISPOSITION_DELETE, FILE_DISPOSITION_IGNORE_READONLY_ATTRIBUTE,
    FILE_DISPOSITION_INFORMATION, FILE_DISPOSITION_INFORMATION_EX,
    FILE_DISPOSITION_POSIX_SEMANTICS, FILE_INFORMATION_CLASS, FILE_NAMES_INFORMATION,
    FILE_RENAME_IGNORE_READONLY_ATTRIBUTE, FILE_RENAME_INFORMATION, FILE_RENAME_INFORMATION_0,
    FILE_RENAME_POSIX_SEMANTICS, FILE_RENAME_REPLACE_IF_EXISTS, FileDispositionInformation,
    FileDispositionInformationEx, FileNamesInformation, FileRenameInformation,
    FileRenameInformationEx, NtQueryDirectoryFile, NtSetInformationFile,
};
use windows_sys::Win32::Foundation::{
    ERROR_FILE_NOT_FOUND, ERROR_NO_MORE_FILES, GetLastError, HANDLE, NTSTATUS,
    STATUS_INVALID_DEVICE_REQUEST, STATUS_INVALID_INFO_CLASS, STATUS_INVALID_LEVEL,
    STATUS_INVALID_PARAMETER, STATUS_NOT_IMPLEMENTED, STATUS_NOT_SUPPORTED,
};
use windows_sys::Win32::Storage::FileSystem::{
    BY_HANDLE_FILE_INFORMATION, FILE_ATTRIBUTE_NORMAL, FILE_ATTRIBUTE_READONLY,
    FILE_ATTRIBUTE_TAG_INFO, FILE_BASIC_INFO, FILE_END_OF_FILE_INFO, FILE_ID_INFO,
    FILE_INFO_BY_HANDLE_CLASS, FILE_STANDARD_INFO, FileAttributeTagInfo, FileBasicInfo,
    FileEndOfFileInfo, FileIdBothDirectoryRestartInfo, FileIdInfo, FileStandardInfo,
    FlushFileBuffers, GetFileInformationByHandle, GetFileInformationByHandleEx,
    GetVolumeInformationByHandleW, LOCKFILE_EXCLUSIVE_LOCK, LOCKFILE_FAIL_IMMEDIATELY, LockFileEx,
    ReadFile, SetFileInformationByHandle, WriteFile,
};
use windows_sys::Win32::System::IO::{IO_STATUS_BLOCK, OVERLAPPED};
use windows_sys::Win32::System::LibraryLoader::{GetModuleHandleW, GetProcAddress};

use super::errno::{Errno, succeeded};
use super::opening::{done, native_string};
use super::rights::words;

/// Tells whether the system or the file system does not know a class of information.
fn is_unknown(status: NTSTATUS) -> bool {
    matches!(
        status,
        STATUS_INVALID_PARAMETER
            | STATUS_INVALID_INFO_CLASS
            | STATUS_INVALID_LEVEL
            | STATUS_INVALID_DEVICE_REQUEST
            | STATUS_NOT_IMPLEMENTED
            | STATUS_NOT_SUPPORTED
    )
}

// -- facts

/// A structure that the system fills with facts of a file.
///
/// # Safety
///
/// The class is that of the structure, in which every byte may be any.
unsafe trait Told: Default {
    const CLASS: FILE_INFO_BY_HANDLE_CLASS;
}

// SAFETY: as the page of GetFileInformationByHandleEx has it; so below.
unsafe impl Told for FILE_BASIC_INFO {
    const CLASS: FILE_INFO_BY_HANDLE_CLASS = FileBasicInfo;
}
// SAFETY: the fields that are `bool` are written by the system, as 0 or 1.
unsafe impl Told for FILE_STANDARD_INFO {
    const CLASS: FILE_INFO_BY_HANDLE_CLASS = FileStandardInfo;
}
// SAFETY: as above.
unsafe impl Told for FILE_ID_INFO {
    const CLASS: FILE_INFO_BY_HANDLE_CLASS = FileIdInfo;
}
// SAFETY: as above.
unsafe impl Told for FILE_ATTRIBUTE_TAG_INFO {
    const CLASS: FILE_INFO_BY_HANDLE_CLASS = FileAttributeTagInfo;
}

fn told<T: Told>(handle: BorrowedHandle) -> Result<T, Errno> {
    let mut told = T::default();
    let place: *mut c_void = (&raw mut told).cast();
    let length = size_of::<T>() as u32;
    // SAFETY: the place has that length, and is one for this class.
    let told_all =
        unsafe { GetFileInformationByHandleEx(handle.as_raw_handle(), T::CLASS, place, length) };
    succeeded(told_all).map(|()| told)
}

pub fn basic(handle: BorrowedHandle) -> Result<FILE_BASIC_INFO, Errno> {
    told(handle)
}

/// Gives the size in bytes.
pub fn size(handle: BorrowedHandle) -> Result<u64, Errno> {
    let told: FILE_STANDARD_INFO = told(handle)?;
    Ok(u64::try_from(told.EndOfFile).unwrap_or(0))
}

/// Counts the names of the file.
pub fn links(handle: BorrowedHandle) -> Result<u32, Errno> {
    let told: FILE_STANDARD_INFO = told(handle)?;
    Ok(told.NumberOfLinks)
}

/// Gives the number of the volume and that of the file on it, all 128 bits where the file system
/// has so many.
pub fn identity(handle: BorrowedHandle) -> Result<(u64, u128), Errno> {
    match told::<FILE_ID_INFO>(handle) {
        Ok(told) => {
            let file = u128::from_le_bytes(told.FileId.Identifier);
            return Ok((told.VolumeSerialNumber, file));
        }
        Err(Errno::NOTSUP | Errno::INVAL) => {}
        Err(errno) => return Err(errno),
    }
    let mut told = BY_HANDLE_FILE_INFORMATION::default();
    // SAFETY: `told` is a place for the result.
    succeeded(unsafe { GetFileInformationByHandle(handle.as_raw_handle(), &raw mut told) })?;
    let file = u64::from(told.nFileIndexHigh) << 32 | u64::from(told.nFileIndexLow);
    Ok((u64::from(told.dwVolumeSerialNumber), u128::from(file)))
}

/// Gives the tag of a reparse point, which says what it is.
pub fn reparse_tag(handle: BorrowedHandle) -> Result<u32, Errno> {
    let told: FILE_ATTRIBUTE_TAG_INFO = told(handle)?;
    Ok(told.ReparseTag)
}

/// Gives the name of the file system.
pub fn file_system(handle: BorrowedHandle) -> Option<String> {
    let (mut name, none) = ([0; 32], null_mut());
    let length = u32::try_from(name.len()).ok()?;
    // SAFETY: the name has room for so many units, and nothing else is asked for.
    let is_told = unsafe {
        GetVolumeInformationByHandleW(
            handle.as_raw_handle(),
            null_mut(),
            0,
            none,
            none,
            none,
            name.as_mut_ptr(),
            length,
        )
    };
    let name = name.split(|unit| *unit == 0).next().unwrap_or_default();
    (is_told != 0).then(|| String::from_utf16_lossy(name))
}

/// Fills `buffer` with some entries of a folder, the first ones or those that follow; false at the
/// end.
pub fn entries(
    handle: BorrowedHandle,
    class: FILE_INFO_BY_HANDLE_CLASS,
    buffer: &mut [u64],
) -> Result<bool, Errno> {
    let length = u32::try_from(size_of_val(buffer)).unwrap_or(u32::MAX);
    let place = buffer.as_mut_ptr().cast();
    // SAFETY: the buffer has that length, and is aligned for the structure.
    let listed =
        unsafe { GetFileInformationByHandleEx(handle.as_raw_handle(), class, place, length) };
    if listed != 0 {
        return Ok(true);
    }
    // SAFETY: the call has no arguments.
    match unsafe { GetLastError() } {
        ERROR_NO_MORE_FILES => Ok(false),
        // A root folder of FAT that has nothing. Later it may be a share that is gone for a while.
        ERROR_FILE_NOT_FOUND if class == FileIdBothDirectoryRestartInfo => Ok(false),
        code => Err(Errno::of(code)),
    }
}

/// Tells whether the folder has a file under this very name, whatever its case. Else `name` finds
/// it as a short name, which the file system has made for another. The handle has listed nothing.
pub fn lists(folder: BorrowedHandle, name: &[u16]) -> Result<bool, Errno> {
    const START: usize = std::mem::offset_of!(FILE_NAMES_INFORMATION, FileName);
    // A name has 255 units at most.
    let (mut entry, mut block) = ([0_u64; 72], IO_STATUS_BLOCK::default());
    let length = size_of_val(&entry) as u32;
    let wanted = native_string(name)?;
    // SAFETY: the buffer has that length, and is aligned for the structure; the name is read during
    // the call.
    let status = unsafe {
        NtQueryDirectoryFile(
            folder.as_raw_handle(),
            null_mut(),
            None,
            null(),
            &raw mut block,
            entry.as_mut_ptr().cast(),
            length,
            FileNamesInformation,
            true,
            &raw const wanted,
            true,
        )
    };
    done(status)?;
    let bytes = entry.map(u64::to_ne_bytes);
    let (start, listed) = bytes.as_flattened().split_at(START);
    let length = start
        .last_chunk()
        .map_or(0, |length| u32::from_ne_bytes(*length));
    let (listed, _) = listed
        .get(..length as usize)
        .unwrap_or_default()
        .as_chunks();
    let listed: Vec<u16> = listed
        .iter()
        .map(|unit| u16::from_ne_bytes(*unit))
        .collect();
    let whatever_case = |name: &[u16]| String::from_utf16_lossy(name).to_uppercase();
    Ok(listed == name || whatever_case(&listed) == whatever_case(name))
}

// -- changes

/// Sets times and attributes; zeros stay what they are.
pub fn set_basic(handle: BorrowedHandle, facts: &FILE_BASIC_INFO) -> Result<(), Errno> {
    // SAFETY: it is the structure of the class.
    unsafe { set_told(handle, FileBasicInfo, facts) }
}

pub fn set_size(handle: BorrowedHandle, size: u64) -> Result<(), Errno> {
    let size = i64::try_from(size).map_err(|_| Errno::FBIG)?;
    let facts = FILE_END_OF_FILE_INFO { EndOfFile: size };
    // SAFETY: it is the structure of the class.
    unsafe { set_told(handle, FileEndOfFileInfo, &facts) }
}

/// # Safety
///
/// `T` is the structure of the class.
unsafe fn set_told<T>(
    handle: BorrowedHandle,
    class: FILE_INFO_BY_HANDLE_CLASS,
    facts: &T,
) -> Result<(), Errno> {
    let place: *const c_void = std::ptr::from_ref(facts).cast();
    let length = size_of::<T>() as u32;
    // SAFETY: the caller promises that the place has the structure of the class.
    succeeded(unsafe { SetFileInformationByHandle(handle.as_raw_handle(), class, place, length) })
}

/// # Safety
///
/// At `facts` is the structure of the class, with this length.
unsafe fn set(
    handle: BorrowedHandle,
    class: FILE_INFORMATION_CLASS,
    facts: *const c_void,
    length: usize,
) -> NTSTATUS {
    let mut block = IO_STATUS_BLOCK::default();
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    // SAFETY: the caller promises the structure of the class, with its length.
    unsafe { NtSetInformationFile(handle.as_raw_handle(), &raw mut block, facts, length, class) }
}

/// Gives what `handle` has open, which may be removed, the name `name` in the folder `into`. A file
/// there is replaced only if asked for; it may be open.
pub fn rename(
    handle: BorrowedHandle,
    into: BorrowedHandle,
    name: &[u16],
    replaces: bool,
) -> Result<(), Errno> {
    let flags = FILE_RENAME_POSIX_SEMANTICS | FILE_RENAME_IGNORE_READONLY_ATTRIBUTE;
    let replace = if replaces {
        FILE_RENAME_REPLACE_IF_EXISTS
    } else {
        0
    };
    let way = FILE_RENAME_INFORMATION_0 {
        Flags: flags | replace,
    };
    let status = rename_by(handle, into, name, FileRenameInformationEx, way)?;
    if !is_unknown(status) {
        return done(status);
    }
    // Before Windows 10, and on FAT.
    let way = FILE_RENAME_INFORMATION_0 {
        Flags: u32::from(replaces),
    };
    done(rename_by(handle, into, name, FileRenameInformation, way)?)
}

fn rename_by(
    handle: BorrowedHandle,
    into: BorrowedHandle,
    name: &[u16],
    class: FILE_INFORMATION_CLASS,
    way: FILE_RENAME_INFORMATION_0,
) -> Result<NTSTATUS, Errno> {
    const START: usize = std::mem::offset_of!(FILE_RENAME_INFORMATION, FileName);
    let bytes = size_of_val(name);
    let length = (START + bytes).max(size_of::<FILE_RENAME_INFORMATION>());
    let mut words = words(length)?;
    let place: *mut FILE_RENAME_INFORMATION = words.as_mut_ptr().cast();
    // SAFETY: the words have room for the structure with the name behind it.
    unsafe {
        (*place).Anonymous = way;
        (*place).RootDirectory = into.as_raw_handle();
        (*place).FileNameLength = bytes as u32;
        let behind = place.cast::<u8>().add(START).cast::<u16>();
        name.as_ptr().copy_to_nonoverlapping(behind, name.len());
    }
    // SAFETY: they are the structure of both classes of renames, with its length.
    Ok(unsafe { set(handle, class, place.cast(), length) })
}

/// Removes what `handle` has open: its name goes at once, where the file system can do that, and
/// else when the last handle is closed.
pub fn remove(handle: BorrowedHandle) -> Result<(), Errno> {
    let facts = FILE_DISPOSITION_INFORMATION_EX {
        Flags: FILE_DISPOSITION_DELETE
            | FILE_DISPOSITION_POSIX_SEMANTICS
            | FILE_DISPOSITION_IGNORE_READONLY_ATTRIBUTE,
    };
    let place: *const c_void = (&raw const facts).cast();
    let length = size_of_val(&facts);
    // SAFETY: it is the structure of the class, with its length.
    let status = unsafe { set(handle, FileDispositionInformationEx, place, length) };
    if !is_unknown(status) {
        return done(status);
    }
    set_read_only(handle, false)?;
    set_disposition(handle, true)
}

/// Makes a file read only, or no longer; true if it was not so before.
pub fn set_read_only(handle: BorrowedHandle, is_read_only: bool) -> Result<bool, Errno> {
    let before = basic(handle)?.FileAttributes;
    let after = match is_read_only {
        true => before | FILE_ATTRIBUTE_READONLY,
        false => before & !FILE_ATTRIBUTE_READONLY,
    };
    if after == before {
        return Ok(false);
    }
    let facts = FILE_BASIC_INFO {
        // Zero would leave all as they are.
        FileAttributes: if after == 0 {
            FILE_ATTRIBUTE_NORMAL
        } else {
            after
        },
        ..FILE_BASIC_INFO::default()
    };
    set_basic(handle, &facts).map(|()| true)
}

/// Says whether what `handle` has open goes when the last handle is closed, however that happens.
pub fn set_disposition(handle: BorrowedHandle, goes: bool) -> Result<(), Errno> {
    let facts = FILE_DISPOSITION_INFORMATION { DeleteFile: goes };
    let place: *const c_void = (&raw const facts).cast();
    let length = size_of_val(&facts);
    // SAFETY: it is the structure of the class, with its length.
    done(unsafe { set(handle, FileDispositionInformation, place, length) })
}

// -- contents

/// The most bytes that one call reads or writes.
const PART: usize = 1 << 30;

fn at(offset: u64) -> OVERLAPPED {
    let mut at = OVERLAPPED::default();
    at.Anonymous.Anonymous.Offset = offset as u32; // its lower half
    at.Anonymous.Anonymous.OffsetHigh = (offset >> 32) as u32;
    at
}

/// Reads from `offset`; 0 is the end.
pub fn read(handle: BorrowedHandle, buffer: &mut [u8], offset: u64) -> Result<usize, Errno> {
    let (mut at, mut count) = (at(offset), 0);
    let length = buffer.len().min(PART) as u32;
    let place = buffer.as_mut_ptr();
    // SAFETY: the buffer has that length, and the call returns when it has been read.
    let read = unsafe {
        ReadFile(
            handle.as_raw_handle(),
            place,
            length,
            &raw mut count,
            &raw mut at,
        )
    };
    match succeeded(read) {
        Err(Errno::READ) => Ok(0),
        read => read.map(|()| count as usize),
    }
}

/// Writes at `offset`, and tells how many bytes.
pub fn write(handle: BorrowedHandle, bytes: &[u8], offset: u64) -> Result<usize, Errno> {
    let (mut at, mut count) = (at(offset), 0);
    let length = bytes.len().min(PART) as u32;
    // SAFETY: the bytes are so many, and the call returns when they have been written.
    let written = unsafe {
        WriteFile(
            handle.as_raw_handle(),
            bytes.as_ptr(),
            length,
            &raw mut count,
            &raw mut at,
        )
    };
    succeeded(written).map(|()| count as usize)
}

/// Brings content and attributes to the disk.
pub fn flush(handle: BorrowedHandle) -> Result<(), Errno> {
    // SAFETY: the handle is open.
    succeeded(unsafe { FlushFileBuffers(handle.as_raw_handle()) })
}

/// Hands content and attributes to the disk, which may keep them in its own memory until the next
/// [`flush`] of any file.
pub fn hand_over(handle: BorrowedHandle) -> Result<(), Errno> {
    type Flush = unsafe extern "system" fn(
        HANDLE,
        u32,
        *const c_void,
        u32,
        *mut IO_STATUS_BLOCK,
    ) -> NTSTATUS;
    /// FLUSH_FLAGS_NO_SYNC of ntifs.h.
    const NO_SYNC: u32 = 2;
    static FLUSH: OnceLock<Option<Flush>> = OnceLock::new();
    let find = || {
        let name: Vec<u16> = "ntdll.dll\0".encode_utf16().collect();
        // SAFETY: the library is in every process for as long as that lives, and its function of
        // this name is of this type.
        unsafe {
            let found = GetProcAddress(
                GetModuleHandleW(name.as_ptr()),
                c"NtFlushBuffersFileEx".as_ptr().cast(),
            );
            found.map(|found| std::mem::transmute::<_, Flush>(found))
        }
    };
    // Windows 7 and Wine lack it.
    let Some(flush_without_waiting) = FLUSH.get_or_init(find) else {
        return flush(handle);
    };
    let mut block = IO_STATUS_BLOCK::default();
    let handle_of_file = handle.as_raw_handle();
    // SAFETY: the handle is open, and `block` a place for the result.
    let status =
        unsafe { flush_without_waiting(handle_of_file, NO_SYNC, null(), 0, &raw mut block) };
    match is_unknown(status) {
        true => flush(handle),
        false => done(status),
    }
}

/// Locks a place far behind the end of a file for this handle, unless another has it; false then.
pub fn try_lock(handle: BorrowedHandle) -> Result<bool, Errno> {
    const FAR: u64 = 1 << 62;
    let how = LOCKFILE_EXCLUSIVE_LOCK | LOCKFILE_FAIL_IMMEDIATELY;
    let mut at = at(FAR);
    // SAFETY: the handle is open, and the call returns at once.
    let locked = unsafe { LockFileEx(handle.as_raw_handle(), how, 0, 1, 0, &raw mut at) };
    match succeeded(locked) {
        Err(Errno::WOULDBLOCK) => Ok(false),
        locked => locked.map(|()| true),
    }
}
