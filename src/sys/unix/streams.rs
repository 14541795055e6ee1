//! The standard streams that a process lacks, and what takes their places meanwhile.

use std::ffi::c_int;
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd};

use rustix::fs::{Mode, OFlags};

use super::system::facts::{HELD, is_held};

/// The first descriptor that is no standard stream.
pub const FIRST: c_int = 3;

/// The places that are taken, and by how many.
#[derive(Default)]
pub struct Streams {
    users: usize,
    taken: [Option<OwnedFd>; FIRST as usize],
}

impl Streams {
    /// Takes the places of the streams that the process lacks now, by what can neither be read nor
    /// written to.
    pub fn take(&mut self) {
        self.users += 1;
        while lacks_any() {
            let opened = rustix::fs::open("/", HELD | OFlags::CLOEXEC, Mode::empty());
            let Some(taken) = opened.ok().filter(|taken| taken.as_raw_fd() < FIRST) else {
                return;
            };
            let place = self.taken.get_mut(taken.as_raw_fd() as usize);
            if let Some(closed) = place.and_then(|place| place.replace(taken)) {
                // By the process, which had its number from this one.
                let _ = closed.into_raw_fd();
            }
        }
    }

    /// Gives the places back, where nobody else uses them.
    pub fn give_back(&mut self) {
        self.users -= 1;
        if self.users > 0 {
            return;
        }
        for taken in self.taken.iter_mut().filter_map(Option::take) {
            if !is_held(&taken) {
                // The process has put a stream of its own there.
                let _ = taken.into_raw_fd();
            }
        }
    }
}

pub fn lacks_any() -> bool {
    // SAFETY: asks for a flag of a descriptor, if there is one.
    (0..FIRST).any(|stream| unsafe { libc::fcntl(stream, libc::F_GETFD) } < 0)
}
