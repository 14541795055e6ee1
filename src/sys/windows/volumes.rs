//! The volume that a folder is on, as an [`Origin`].

use std::os::windows::io::{AsHandle, AsRawHandle, BorrowedHandle};

use windows_sys::Wdk::Storage::FileSystem::{
    FileFsDeviceInformation, NtQueryVolumeInformationFile,
};
use windows_sys::Wdk::System::SystemInformation::{
    NtQuerySystemInformation, SystemTimeOfDayInformation,
};
use windows_sys::Win32::System::IO::IO_STATUS_BLOCK;

use super::files::Dir;
use super::handles;
use crate::sys::origin::{Origin, Stamps};

/// The file systems that keep the numbers of files, and a time of their own for each change.
const SHOW_CHANGES: [&str; 2] = ["NTFS", "ReFS"];

/// The characteristics of a device whose volume may change elsewhere, as wdm.h has them:
/// FILE_REMOVABLE_MEDIA, FILE_READ_ONLY_DEVICE, FILE_FLOPPY_DISKETTE, FILE_REMOTE_DEVICE and
/// FILE_PORTABLE_DEVICE.
const MAY_CHANGE_ELSEWHERE: u32 = 0x1 | 0x2 | 0x4 | 0x10 | 0x4_0000;

impl Origin {
    /// Gives the present origin of `folder`; none where files do not show each change, or where it
    /// can't be told.
    pub fn of(folder: &Dir) -> Option<Origin> {
        let handle = folder.as_handle();
        let kind = handles::file_system(handle)?;
        if !SHOW_CHANGES.contains(&kind.as_str()) || may_change_elsewhere(handle)? {
            return None;
        }
        Some(Origin {
            boot: boot()?,
            mount: folder.facts().ok()?.identity.device,
            stamps: Stamps::ByTick,
        })
    }
}

/// The answer about the device of a volume (FILE_FS_DEVICE_INFORMATION).
#[repr(C)]
#[derive(Default)]
struct Device {
    kind: u32,
    characteristics: u32,
}

fn may_change_elsewhere(folder: BorrowedHandle) -> Option<bool> {
    let mut told = Device::default();
    let mut block = IO_STATUS_BLOCK::default();
    // SAFETY: `told` is the structure of this class, and `block` a place for the result.
    let status = unsafe {
        NtQueryVolumeInformationFile(
            folder.as_raw_handle(),
            &raw mut block,
            (&raw mut told).cast(),
            size_of_val(&told) as u32,
            FileFsDeviceInformation,
        )
    };
    (status >= 0).then_some(told.characteristics & MAY_CHANGE_ELSEWHERE != 0)
}

/// The answer about the time of day, as far as it is needed (SYSTEM_TIMEOFDAY_INFORMATION).
#[repr(C)]
#[derive(Default)]
struct TimeOfDay {
    boot_time: i64,
    current_time: i64,
    time_zone_bias: i64,
    time_zone_id: u32,
    reserved: u32,
    boot_time_bias: i64,
    sleep_time_bias: u64,
}

fn boot() -> Option<String> {
    let (mut told, mut length) = (TimeOfDay::default(), 0);
    // SAFETY: `told` has the length that is given.
    let status = unsafe {
        NtQuerySystemInformation(
            SystemTimeOfDayInformation,
            (&raw mut told).cast(),
            size_of_val(&told) as u32,
            &raw mut length,
        )
    };
    // A clock that is set moves the boot time and its bias alike.
    let moment = told.boot_time.wrapping_sub(told.boot_time_bias);
    (status >= 0 && told.boot_time != 0).then(|| moment.to_string())
}
