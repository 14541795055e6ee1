//! The mount or volume, and the run of the system, in which something was seen. A device, an inode
//! and times name the same file only there: another disk in the same place, or the same disk after a
//! power cut, may have them for another content.

#![forbid(unsafe_code)]

/// The way in which a file system keeps the times of changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stamps {
    /// Times are those of the kernel's tick, as a rule.
    #[cfg_attr(
        not(any(target_os = "linux", windows)),
        expect(dead_code, reason = "it is not known of any file system there")
    )]
    ByTick,
    /// Times are those of the tick, or exact where somebody has looked at the time before
    /// ("multigrain", since Linux 6.13): so a reader that looks sees the next change.
    #[cfg_attr(
        not(target_os = "linux"),
        expect(dead_code, reason = "no file system there keeps them so")
    )]
    WhenLookedAt,
}

/// One mount or volume in one run of the system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The run, in the system's own words.
    pub boot: String,
    /// The mount, by its number in this run; or the volume, by its own number.
    pub mount: u64,
    pub stamps: Stamps,
}
