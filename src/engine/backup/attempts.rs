//! The attempts at a file that may be written to while it is read.

use std::time::Duration;

use crate::error::{Error, Outcome, Result};
use crate::license::SIZE_MAX;
use crate::store::PATIENCE;
use crate::store::directory::{Attempt, Seen};
use crate::sys::patience::Patience;

/// The findings of the attempts at one file so far.
pub struct Attempts {
    patience: Patience,
    /// The room to make at least, whatever the file's size says.
    room: u64,
    /// Bytes that the file held in the last attempt, where its size said more.
    short: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All that the file holds was read, as it was at one moment.
    Whole,
    /// The file holds more than there was room for.
    HoldsMore,
    /// The file has changed meanwhile, or may have.
    Moves,
}

impl Default for Attempts {
    fn default() -> Attempts {
        Attempts {
            patience: Patience::new(PATIENCE),
            room: 0,
            short: None,
        }
    }
}

impl Attempts {
    /// Tells how many bytes to make room for.
    pub fn room(&self, seen: &Seen) -> u64 {
        seen.facts.size.max(self.room)
    }

    /// Judges an attempt with that room. The number of bytes read counts, even where the size says
    /// less; where the size says more, the number has to be the same twice.
    pub fn judge(&mut self, seen: &Seen, attempt: &Attempt) -> Verdict {
        let (room, read) = (self.room(seen), attempt.read);
        if !attempt.is_same {
            self.short = None;
            return Verdict::Moves;
        }
        if read > room {
            self.room = more_than(room);
            return Verdict::HoldsMore;
        }
        if read >= seen.facts.size || self.short == Some(read) {
            return Verdict::Whole;
        }
        self.short = Some(read);
        Verdict::Moves
    }

    /// Pauses before the next attempt at the licence `name`, `at_least` as long as that; fails where
    /// there have been enough. `go_on` may end it.
    pub fn pause(
        &mut self,
        name: &str,
        at_least: Duration,
        go_on: impl Fn() -> Result<()>,
    ) -> Result<()> {
        if self.patience.pause(at_least, go_on)? {
            return Ok(());
        }
        let sentence = format!(
            "The licence '{name}' is being written to again and again. Try again when its writer is done."
        );
        let error = Error::new(Outcome::SharingViolation, sentence);
        Err(error.of_one("it is being written to again and again"))
    }
}

/// Gives the room for a licence that holds more than `size` bytes, or one byte too many.
fn more_than(size: u64) -> u64 {
    const FIRST: u64 = 64 << 10;
    match size < SIZE_MAX {
        true => (2 * size).clamp(FIRST, SIZE_MAX),
        false => SIZE_MAX + 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::anchored_path::AnchoredPath;
    use crate::sys::files::Dir;

    /// Gives the facts of a file that says that it has `size` bytes.
    fn seen(size: u64) -> Seen {
        let folder = Dir::open(&AnchoredPath::now(std::path::Path::new("."))).unwrap();
        let mut facts = folder.facts().unwrap();
        facts.size = size;
        Seen {
            facts,
            fresh: None,
            has_settled: false,
        }
    }

    fn attempt(read: u64) -> Attempt {
        Attempt {
            read,
            is_same: true,
        }
    }

    #[test]
    fn what_a_file_holds_counts_and_not_what_its_size_says() {
        let mut attempts = Attempts::default();
        assert_eq!(attempts.room(&seen(7)), 7);
        assert_eq!(attempts.judge(&seen(7), &attempt(7)), Verdict::Whole);
        // More than the size says: one byte more was read, and there is room for more then.
        assert_eq!(attempts.judge(&seen(7), &attempt(8)), Verdict::HoldsMore);
        assert_eq!(attempts.room(&seen(7)), 64 << 10);
        assert_eq!(attempts.judge(&seen(7), &attempt(9)), Verdict::Whole);
        // Less than the size says: twice the same.
        assert_eq!(attempts.judge(&seen(7), &attempt(5)), Verdict::Moves);
        assert_eq!(attempts.judge(&seen(7), &attempt(4)), Verdict::Moves);
        assert_eq!(attempts.judge(&seen(7), &attempt(4)), Verdict::Whole);
    }

    #[test]
    fn what_has_changed_meanwhile_is_never_whole() {
        let mut attempts = Attempts::default();
        assert_eq!(attempts.judge(&seen(7), &attempt(5)), Verdict::Moves);
        for read in [5, 7, 8] {
            let changed = Attempt {
                read,
                is_same: false,
            };
            assert_eq!(attempts.judge(&seen(7), &changed), Verdict::Moves);
        }
        // A reading from before a change says nothing.
        assert_eq!(attempts.judge(&seen(7), &attempt(5)), Verdict::Moves);
        assert_eq!(attempts.room(&seen(7)), 7);
    }

    #[test]
    fn room_grows_to_one_byte_more_than_a_licence_may_have() {
        let mut attempts = Attempts::default();
        let (mut rooms, seen) = (0, seen(0));
        while attempts.room(&seen) <= SIZE_MAX {
            let read = attempts.room(&seen) + 1;
            assert_eq!(attempts.judge(&seen, &attempt(read)), Verdict::HoldsMore);
            rooms += 1;
        }
        assert_eq!((attempts.room(&seen), rooms), (SIZE_MAX + 1, 10));
    }
}
