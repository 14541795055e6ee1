//! The time of day, in nanoseconds since 1970 UTC, and the time that the machine runs.

use windows_sys::Win32::Foundation::FILETIME;
use windows_sys::Win32::System::SystemInformation::{
    GetSystemTimeAsFileTime, GetSystemTimePreciseAsFileTime, GetTickCount64,
};

/// 1970 in units of 100 nanoseconds since 1601, as Windows counts.
const EPOCH: i64 = 116_444_736_000_000_000;

/// Converts a time of Windows's; one outside of the years 1678 to 2261 is clamped.
pub fn from_system(time: i64) -> i64 {
    time.saturating_sub(EPOCH).saturating_mul(100)
}

/// Converts nanoseconds since 1970 into a time of Windows's.
pub fn to_system(time: i64) -> i64 {
    time.div_euclid(100) + EPOCH
}

/// Gives the present moment.
pub fn now() -> i64 {
    read(GetSystemTimePreciseAsFileTime)
}

/// Gives the moment as the system stamps files with it: the beginning of its present tick.
pub fn tick() -> i64 {
    read(GetSystemTimeAsFileTime)
}

/// Gives the time since the machine started, which nobody sets.
pub fn since_boot() -> i64 {
    // SAFETY: the call has no arguments.
    let milliseconds = unsafe { GetTickCount64() };
    i64::try_from(milliseconds)
        .unwrap_or(i64::MAX)
        .saturating_mul(1_000_000)
}

fn read(clock: unsafe extern "system" fn(*mut FILETIME)) -> i64 {
    let mut time = FILETIME::default();
    // SAFETY: `time` is a place for the call's result.
    unsafe { clock(&raw mut time) };
    from_system(i64::from(time.dwHighDateTime) << 32 | i64::from(time.dwLowDateTime))
}
