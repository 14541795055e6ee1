//! Opens names below a folder's handle, which only the native call does. Source: the page of
//! NtCreateFile in Microsoft's documentation.

use std::os::windows::io::{AsRawHandle, BorrowedHandle, FromRawHandle, OwnedHandle};
use std::ptr::{null, null_mut};

use windows_sys::Wdk::Foundation::OBJECT_ATTRIBUTES;
use windows_sys::Wdk::Storage::FileSystem::{
    FILE_CREATE, FILE_DIRECTORY_FILE, FILE_NON_DIRECTORY_FILE, FILE_OPEN, FILE_OPEN_REPARSE_POINT,
    FILE_SYNCHRONOUS_IO_NONALERT, NTCREATEFILE_CREATE_DISPOSITION, NTCREATEFILE_CREATE_OPTIONS,
    NtCreateFile,
};
use windows_sys::Win32::Foundation::{
    HANDLE, NTSTATUS, OBJ_CASE_INSENSITIVE, RtlNtStatusToDosError, STATUS_DELETE_PENDING,
    STATUS_FILE_IS_A_DIRECTORY, STATUS_IO_REPARSE_TAG_NOT_HANDLED, STATUS_OBJECT_NAME_INVALID,
    UNICODE_STRING,
};
use windows_sys::Win32::Storage::FileSystem::{
    DELETE, FILE_ATTRIBUTE_NORMAL, FILE_GENERIC_READ, FILE_GENERIC_WRITE, FILE_LIST_DIRECTORY,
    FILE_READ_ATTRIBUTES, FILE_SHARE_DELETE, FILE_SHARE_MODE, FILE_SHARE_READ, FILE_SHARE_WRITE,
    FILE_WRITE_ATTRIBUTES, SYNCHRONIZE,
};
use windows_sys::Win32::System::IO::IO_STATUS_BLOCK;

use super::errno::Errno;
use super::rights;
use crate::sys::patience::patiently;

/// What others may do meanwhile with what is opened.
pub const SHARE_ALL: FILE_SHARE_MODE = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;

/// A way to open something.
#[derive(Clone, Copy)]
pub struct Opening {
    pub access: u32,
    pub share: FILE_SHARE_MODE,
    pub disposition: NTCREATEFILE_CREATE_DISPOSITION,
    pub options: NTCREATEFILE_CREATE_OPTIONS,
    /// What is made is its maker's alone.
    pub is_private: bool,
}

// -- ways to open

/// Opens for asking alone, which disturbs nobody.
pub const LOOK: Opening = Opening {
    access: FILE_READ_ATTRIBUTES,
    share: SHARE_ALL,
    disposition: FILE_OPEN,
    options: 0,
    is_private: false,
};
pub const FOLDER: Opening = Opening {
    access: FILE_LIST_DIRECTORY | FILE_READ_ATTRIBUTES,
    options: FILE_DIRECTORY_FILE,
    ..LOOK
};
pub const READ: Opening = Opening {
    access: FILE_GENERIC_READ,
    ..LOOK
};
pub const REMOVE: Opening = Opening {
    access: DELETE | FILE_READ_ATTRIBUTES | FILE_WRITE_ATTRIBUTES,
    options: FILE_OPEN_REPARSE_POINT,
    ..LOOK
};
pub const MAKE: Opening = Opening {
    access: FILE_GENERIC_READ | FILE_GENERIC_WRITE | DELETE,
    disposition: FILE_CREATE,
    options: FILE_NON_DIRECTORY_FILE,
    is_private: true,
    ..LOOK
};
pub const MAKE_FOLDER: Opening = Opening {
    disposition: FILE_CREATE,
    options: FILE_DIRECTORY_FILE,
    is_private: true,
    ..LOOK
};

// -- opening

/// Opens `name` below `folder`, or a native path from the root; an empty name is the folder itself.
pub fn open(
    folder: Option<BorrowedHandle>,
    name: &[u16],
    how: Opening,
) -> Result<OwnedHandle, Errno> {
    patiently(|| open_once(folder, name, how))
}

/// Opens as [`open`] does, and waits for nobody.
pub fn open_once(
    folder: Option<BorrowedHandle>,
    name: &[u16],
    how: Opening,
) -> Result<OwnedHandle, Errno> {
    let name = native_string(name)?;
    let descriptor = match how.is_private {
        true => &raw const *rights::private()?,
        false => null(),
    };
    let attributes = OBJECT_ATTRIBUTES {
        Length: size_of::<OBJECT_ATTRIBUTES>() as u32,
        RootDirectory: folder.map_or(null_mut(), |folder| folder.as_raw_handle()),
        ObjectName: &raw const name,
        Attributes: OBJ_CASE_INSENSITIVE,
        SecurityDescriptor: descriptor,
        SecurityQualityOfService: null(),
    };
    let (mut handle, mut block): (HANDLE, _) = (null_mut(), IO_STATUS_BLOCK::default());
    // SAFETY: `handle` and `block` are places for the results; the rest is read during the call.
    let status = unsafe {
        NtCreateFile(
            &raw mut handle,
            how.access | SYNCHRONIZE,
            &raw const attributes,
            &raw mut block,
            null(),
            FILE_ATTRIBUTE_NORMAL,
            how.share,
            how.disposition,
            how.options | FILE_SYNCHRONOUS_IO_NONALERT,
            null(),
            0,
        )
    };
    match done(status) {
        // Nothing can be there under a name that no file system takes.
        Err(Errno::ILSEQ) if how.disposition == FILE_OPEN => return Err(Errno::NOENT),
        done => done?,
    }
    // SAFETY: just opened, and nobody else's.
    Ok(unsafe { OwnedHandle::from_raw_handle(handle) })
}

/// Describes a name to the native calls, none of which writes to it.
pub fn native_string(name: &[u16]) -> Result<UNICODE_STRING, Errno> {
    let length = u16::try_from(size_of_val(name)).map_err(|_| Errno::NAMETOOLONG)?;
    Ok(UNICODE_STRING {
        Length: length,
        MaximumLength: length,
        Buffer: name.as_ptr().cast_mut(),
    })
}

/// Opens what `handle` has open once more, in another way.
pub fn reopen(handle: BorrowedHandle, access: u32) -> Result<OwnedHandle, Errno> {
    let how = Opening {
        access,
        options: FILE_OPEN_REPARSE_POINT,
        ..LOOK
    };
    open(Some(handle), &[], how)
}

/// Takes what a native call returns.
pub fn done(status: NTSTATUS) -> Result<(), Errno> {
    match status {
        0.. => Ok(()),
        // These have no number of their own in Win32.
        STATUS_DELETE_PENDING => Err(Errno::NOENT),
        STATUS_FILE_IS_A_DIRECTORY => Err(Errno::ISDIR),
        STATUS_OBJECT_NAME_INVALID => Err(Errno::ILSEQ),
        // A socket, a pipe or a device of another system.
        STATUS_IO_REPARSE_TAG_NOT_HANDLED => Err(Errno::NXIO),
        // SAFETY: the call takes any number.
        status => Err(Errno::of(unsafe { RtlNtStatusToDosError(status) })),
    }
}
