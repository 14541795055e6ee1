//! The time of day, in nanoseconds since 1970 UTC.

#![forbid(unsafe_code)]

use rustix::time::{ClockId, Timespec, clock_gettime};

/// The moment.
pub fn now() -> i64 {
    nanoseconds(clock_gettime(ClockId::Realtime))
}

/// The moment as the kernel stamps files with it: the beginning of its present tick.
pub fn tick() -> i64 {
    nanoseconds(clock_gettime(ClockId::RealtimeCoarse))
}

fn nanoseconds(time: Timespec) -> i64 {
    time.tv_sec
        .saturating_mul(1_000_000_000)
        .saturating_add(time.tv_nsec)
}
