//! The progress of an operation: counted by its threads, read by anybody.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

/// The part of its work that an operation is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Listing = 1,
    Checking = 2,
    Working = 3,
    Committing = 4,
}

/// The extent of what an operation that ended well has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    All,
    /// All but what was passed over.
    Less,
}

impl Progress {
    pub fn done(&self) -> Done {
        match self.licenses_skipped {
            0 => Done::All,
            _ => Done::Less,
        }
    }
}

macro_rules! progress {
    ($($(#[$doc:meta])* $field:ident),+ $(,)?) => {
        /// The figures at one moment.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Progress {
            $($(#[$doc])* pub $field: u64,)+
            /// The [`Phase`], 0 before the first.
            pub phase: u32,
        }

        /// The figures while they change. Each is right by itself; together they are of about the
        /// same moment.
        #[derive(Debug, Default)]
        pub struct Counters {
            $(pub $field: AtomicU64,)+
            phase: AtomicU32,
        }

        impl Counters {
            pub fn read(&self) -> Progress {
                let mut now = Progress {
                    $($field: self.$field.load(Relaxed),)+
                    phase: self.phase.load(Relaxed),
                };
                // One of them may be of the phase before.
                if now.phase_total > 0 {
                    now.phase_done = now.phase_done.min(now.phase_total);
                }
                now
            }
        }
    };
}

progress! {
    /// All licences, 0 until it is known.
    licenses_total,
    /// Licences stored, restored or verified.
    licenses_done,
    licenses_restricted,
    licenses_kept,
    licenses_damaged,
    /// Bytes in the contents of the licences done.
    content_bytes,
    /// Bytes written or read of the backup file.
    backup_bytes,
    phase_done,
    /// Steps of the phase, 0 where it is not known.
    phase_total,
    /// Licences that could not be read, kept or put back, and were passed over.
    licenses_skipped,
    /// Licences in the backup that is replaced which the store does not have any more; `u64::MAX`
    /// where that could not be told.
    licenses_gone,
}

impl Counters {
    /// Enters `phase`, of `total` steps where that is known.
    pub fn enter(&self, phase: Phase, total: u64) {
        self.phase_done.store(0, Relaxed);
        self.go_on(phase, total);
    }

    /// Enters `phase` with its first steps done.
    pub fn go_on(&self, phase: Phase, total: u64) {
        self.phase_total.store(total, Relaxed);
        self.phase.store(phase as u32, Relaxed);
    }
}

/// Shortens the calls of atomic counters.
pub trait Counting {
    fn add(&self, more: u64);
    fn take(&self, less: u64);
    fn set(&self, value: u64);
}

impl Counting for AtomicU64 {
    fn add(&self, more: u64) {
        self.fetch_add(more, Relaxed);
    }

    fn take(&self, less: u64) {
        let _ = self.fetch_update(Relaxed, Relaxed, |value| Some(value.saturating_sub(less)));
    }

    fn set(&self, value: u64) {
        self.store(value, Relaxed);
    }
}
