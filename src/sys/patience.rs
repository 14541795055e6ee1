//! The patience with other programs that have a file open and let no other open it: a file server
//! that has lent it to somebody, or on Windows a search for viruses.

#![forbid(unsafe_code)]

use std::thread::sleep;
use std::time::{Duration, Instant};

use super::files::Errno;

/// Longer than such a program needs, once it is asked.
const PATIENCE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(20);

/// Tries again for a little while, as long as another program keeps what is needed.
pub fn patiently<T>(attempt: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    while_in_use(PATIENCE, || Ok(()), attempt)?
}

/// Tries again for as long as `patience`, while another program keeps what is needed; `go_on` may
/// end it.
pub fn while_in_use<T, E>(
    patience: Duration,
    go_on: impl Fn() -> Result<(), E>,
    mut attempt: impl FnMut() -> Result<T, Errno>,
) -> Result<Result<T, Errno>, E> {
    // The first attempt, at which nearly all succeed, asks no clock.
    let (mut until, mut pause) = (None, Duration::from_millis(1));
    loop {
        let done = attempt();
        if !matches!(done, Err(Errno::TXTBSY | Errno::WOULDBLOCK)) {
            return Ok(done);
        }
        let now = Instant::now();
        if now >= *until.get_or_insert(now + patience) {
            return Ok(done);
        }
        go_on()?;
        sleep(pause);
        pause = (2 * pause).min(LONGEST_PAUSE);
    }
}
