//! The patience with other programs that have a file open and let no other open it: a file server
//! that has lent it to somebody, or on Windows a search for viruses.

#![forbid(unsafe_code)]

use std::thread::sleep;
use std::time::{Duration, Instant};

use super::files::Errno;

/// Longer than such a program needs, once it is asked.
const PATIENCE: Duration = Duration::from_secs(1);

/// Tries again while another program keeps what is needed.
pub fn patiently<T>(mut attempt: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    let until = Instant::now() + PATIENCE;
    let mut pause = Duration::from_millis(1);
    loop {
        match attempt() {
            Err(Errno::TXTBSY | Errno::WOULDBLOCK) if Instant::now() < until => {
                sleep(pause);
                pause *= 2;
            }
            done => return done,
        }
    }
}
