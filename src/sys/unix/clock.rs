//! The time of day, in nanoseconds since 1970 UTC, and the time that the machine runs.

use super::system::process::{SINCE_BOOT, STAMPS};

/// Gives the present moment.
pub fn now() -> i64 {
    read(libc::CLOCK_REALTIME)
}

/// Gives the moment as the kernel stamps files with it: the beginning of its present tick.
pub fn tick() -> i64 {
    read(STAMPS)
}

/// Gives the time since the machine started, which nobody sets.
pub fn since_boot() -> i64 {
    read(SINCE_BOOT)
}

fn read(clock: libc::clockid_t) -> i64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is a place for the call's result. (It is libc's call: code that finds the
    // kernel's own function for itself, as rustix does, does not survive a host under valgrind.)
    unsafe { libc::clock_gettime(clock, &raw mut time) };
    time.tv_sec
        .saturating_mul(1_000_000_000)
        .saturating_add(time.tv_nsec)
}
