//! The patience with others: with programs that have a file open and let no other open it (a file
//! server that has lent it to somebody, on Windows a search for viruses), and with what keeps
//! changing.

#![forbid(unsafe_code)]

use std::thread::sleep;
use std::time::{Duration, Instant};

use super::files::Errno;

/// Longer than such a program needs, once it is asked.
const BRIEF: Duration = Duration::from_secs(1);
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(20);

/// The patience with one thing, which ends after some time without progress. The pauses between
/// attempts grow.
pub struct Patience {
    limit: Duration,
    /// The time when it ends; set by the first pause, so that a first attempt asks no clock.
    until: Option<Instant>,
    pause: Duration,
    /// The least number of things that was ever left to wait for.
    fewest: usize,
}

impl Patience {
    pub fn new(limit: Duration) -> Patience {
        Patience {
            limit,
            until: None,
            pause: FIRST_PAUSE,
            fewest: usize::MAX,
        }
    }

    /// Begins afresh where fewer things are `left` to wait for than ever before. So it lasts as long
    /// as there is progress, and ends all the same.
    pub fn renew(&mut self, left: usize) {
        if left < self.fewest {
            self.fewest = left;
            (self.until, self.pause) = (None, FIRST_PAUSE);
        }
    }

    /// Pauses before the next attempt, `at_least` as long as that; returns false where the patience
    /// has ended. `go_on` may end the pause.
    pub fn pause<E>(
        &mut self,
        at_least: Duration,
        go_on: impl Fn() -> Result<(), E>,
    ) -> Result<bool, E> {
        let now = Instant::now();
        if now >= *self.until.get_or_insert(now + self.limit) {
            return Ok(false);
        }
        let mut left = self.pause.max(at_least);
        while !left.is_zero() {
            go_on()?;
            let part = left.min(LONGEST_PAUSE);
            sleep(part);
            left -= part;
        }
        go_on()?;
        self.pause = (2 * self.pause).min(LONGEST_PAUSE);
        Ok(true)
    }
}

/// Tries again for a little while, as long as another program keeps what is needed.
pub fn patiently<T>(attempt: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    while_in_use(BRIEF, || Ok(()), attempt)?
}

/// Tries again for as long as `limit`, while another program keeps what is needed; `go_on` may end
/// it.
pub fn while_in_use<T, E>(
    limit: Duration,
    go_on: impl Fn() -> Result<(), E>,
    mut attempt: impl FnMut() -> Result<T, Errno>,
) -> Result<Result<T, Errno>, E> {
    let mut patience = Patience::new(limit);
    loop {
        let done = attempt();
        let is_in_use = matches!(done, Err(Errno::TXTBSY | Errno::WOULDBLOCK));
        if !is_in_use || !patience.pause(Duration::ZERO, &go_on)? {
            return Ok(done);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    const NEVER: Duration = Duration::from_secs(1 << 30);

    #[test]
    fn a_pause_is_ended_at_once() {
        let (mut patience, asked) = (Patience::new(NEVER), Cell::new(0));
        let ended = patience.pause(NEVER, || match asked.replace(asked.get() + 1) {
            3 => Err(()),
            _ => Ok(()),
        });
        assert_eq!((ended, asked.get()), (Err(()), 4));
    }

    #[test]
    fn patience_ends_unless_fewer_are_left_than_ever() {
        let go_on = || Ok::<(), ()>(());
        let mut patience = Patience::new(Duration::ZERO);
        assert_eq!(patience.pause(Duration::ZERO, go_on), Ok(false));
        let mut patience = Patience::new(NEVER);
        assert_eq!(patience.pause(Duration::ZERO, go_on), Ok(true));
        let lasts = |patience: &mut Patience, left| {
            patience.until = Some(Instant::now());
            patience.renew(left);
            patience.pause(Duration::ZERO, go_on) == Ok(true)
        };
        let left = [7, 7, 9, 5, 6, 0, 0];
        let lasts = left.map(|left| lasts(&mut patience, left));
        assert_eq!(lasts, [true, false, false, true, false, true, false]);
    }
}
