//! The errors of Windows, those of one meaning as one.

#![forbid(unsafe_code)]

use std::io;

use windows_sys::Win32::Foundation as system;
use windows_sys::core::BOOL;

/// An error of the system's, by the number that stands for all with its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Errno(u32);

/// The errors that others mean too.
const SAME: [(Errno, &[u32]); 13] = [
    (
        Errno::NOENT,
        &[
            system::ERROR_PATH_NOT_FOUND,
            system::ERROR_INVALID_DRIVE,
            system::ERROR_BAD_NETPATH,
            system::ERROR_BAD_NET_NAME,
            system::ERROR_DELETE_PENDING,
        ],
    ),
    (
        Errno::ACCESS,
        &[
            system::ERROR_NETWORK_ACCESS_DENIED,
            system::ERROR_LOGON_FAILURE,
        ],
    ),
    (Errno::EXIST, &[system::ERROR_FILE_EXISTS]),
    (Errno::ILSEQ, &[system::ERROR_BAD_PATHNAME]),
    (Errno::NAMETOOLONG, &[system::ERROR_BUFFER_OVERFLOW]),
    (Errno::NOSPC, &[system::ERROR_HANDLE_DISK_FULL]),
    (Errno::TXTBSY, &[system::ERROR_USER_MAPPED_FILE]),
    (
        Errno::NOTSUP,
        &[system::ERROR_INVALID_FUNCTION, system::ERROR_INVALID_LEVEL],
    ),
    (Errno::LOOP, &[system::ERROR_STOPPED_ON_SYMLINK]),
    (
        Errno::NOMEM,
        &[
            system::ERROR_OUTOFMEMORY,
            system::ERROR_COMMITMENT_LIMIT,
            system::ERROR_NO_SYSTEM_RESOURCES,
            system::ERROR_WORKING_SET_QUOTA,
            system::ERROR_PAGEFILE_QUOTA,
            system::ERROR_NOT_ENOUGH_QUOTA,
        ],
    ),
    (
        Errno::IO,
        &[
            system::ERROR_CRC,
            system::ERROR_SEEK,
            system::ERROR_SECTOR_NOT_FOUND,
            system::ERROR_READ_FAULT,
            system::ERROR_WRITE_FAULT,
            system::ERROR_GEN_FAILURE,
            system::ERROR_FILE_CORRUPT,
            system::ERROR_DISK_CORRUPT,
            system::ERROR_DISK_OPERATION_FAILED,
        ],
    ),
    (
        Errno::NODEV,
        &[
            system::ERROR_NOT_READY,
            system::ERROR_BAD_UNIT,
            system::ERROR_NO_MEDIA_IN_DRIVE,
            system::ERROR_WRONG_DISK,
            system::ERROR_MEDIA_CHANGED,
            system::ERROR_DEVICE_NOT_CONNECTED,
            system::ERROR_DEVICE_REMOVED,
            system::ERROR_NO_SUCH_DEVICE,
        ],
    ),
    (
        Errno::STALE,
        &[
            system::ERROR_NETNAME_DELETED,
            system::ERROR_UNEXP_NET_ERR,
            system::ERROR_SEM_TIMEOUT,
            system::ERROR_VC_DISCONNECTED,
            system::ERROR_CONNECTION_ABORTED,
            system::ERROR_NETWORK_UNREACHABLE,
            system::ERROR_HOST_UNREACHABLE,
        ],
    ),
];

impl Errno {
    pub const ACCESS: Errno = Errno(system::ERROR_ACCESS_DENIED);
    pub const DQUOT: Errno = Errno(system::ERROR_DISK_QUOTA_EXCEEDED);
    pub const EXIST: Errno = Errno(system::ERROR_ALREADY_EXISTS);
    pub const FBIG: Errno = Errno(system::ERROR_FILE_TOO_LARGE);
    /// The name has a character, or is one, that the file system does not take.
    pub const ILSEQ: Errno = Errno(system::ERROR_INVALID_NAME);
    pub const INVAL: Errno = Errno(system::ERROR_INVALID_PARAMETER);
    pub const IO: Errno = Errno(system::ERROR_IO_DEVICE);
    pub const ISDIR: Errno = Errno(system::ERROR_DIRECTORY_NOT_SUPPORTED);
    /// There is nothing more to read.
    pub const READ: Errno = Errno(system::ERROR_HANDLE_EOF);
    /// A link is where none is followed.
    pub const LOOP: Errno = Errno(system::ERROR_CANT_RESOLVE_FILENAME);
    pub const MFILE: Errno = Errno(system::ERROR_TOO_MANY_OPEN_FILES);
    pub const MLINK: Errno = Errno(system::ERROR_TOO_MANY_LINKS);
    pub const NAMETOOLONG: Errno = Errno(system::ERROR_FILENAME_EXCED_RANGE);
    pub const NFILE: Errno = Errno(system::ERROR_SHARING_BUFFER_EXCEEDED);
    pub const NODEV: Errno = Errno(system::ERROR_DEV_NOT_EXIST);
    pub const NOENT: Errno = Errno(system::ERROR_FILE_NOT_FOUND);
    pub const NOMEM: Errno = Errno(system::ERROR_NOT_ENOUGH_MEMORY);
    pub const NOSPC: Errno = Errno(system::ERROR_DISK_FULL);
    pub const NOSYS: Errno = Errno(system::ERROR_CALL_NOT_IMPLEMENTED);
    pub const NOTDIR: Errno = Errno(system::ERROR_DIRECTORY);
    pub const NOTEMPTY: Errno = Errno(system::ERROR_DIR_NOT_EMPTY);
    pub const NOTSUP: Errno = Errno(system::ERROR_NOT_SUPPORTED);
    /// The name is that of a device.
    pub const NXIO: Errno = Errno(system::ERROR_BAD_DEVICE);
    pub const PERM: Errno = Errno(system::ERROR_PRIVILEGE_NOT_HELD);
    pub const ROFS: Errno = Errno(system::ERROR_WRITE_PROTECT);
    pub const STALE: Errno = Errno(system::ERROR_FILE_INVALID);
    /// Another program has the file open, and does not share it.
    pub const TXTBSY: Errno = Errno(system::ERROR_SHARING_VIOLATION);
    pub const WOULDBLOCK: Errno = Errno(system::ERROR_LOCK_VIOLATION);
    pub const XDEV: Errno = Errno(system::ERROR_NOT_SAME_DEVICE);

    /// Gives the error with this number.
    pub fn of(code: u32) -> Errno {
        let same = SAME.into_iter().find(|(_, codes)| codes.contains(&code));
        same.map_or(Errno(code), |(errno, _)| errno)
    }

    /// Gives the error of this thread's last call.
    pub fn last() -> Errno {
        let error = io::Error::last_os_error();
        Errno::from_io_error(&error).unwrap_or(Errno::INVAL)
    }

    pub fn from_io_error(error: &io::Error) -> Option<Errno> {
        error
            .raw_os_error()
            .map(|code| Errno::of(code.cast_unsigned()))
    }
}

/// Takes what a call of Win32 returns.
pub fn succeeded(result: BOOL) -> Result<(), Errno> {
    match result {
        0 => Err(Errno::last()),
        _ => Ok(()),
    }
}

impl From<Errno> for io::Error {
    fn from(Errno(code): Errno) -> io::Error {
        io::Error::from_raw_os_error(code.cast_signed())
    }
}
