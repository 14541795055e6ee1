//! The figures of licences, in a frame or in a whole backup.

use super::Result;
use super::output::too_many;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub licenses: u32,
    /// The licences that are left out, since their issuers deny backup.
    pub restricted: u32,
    /// Bytes of the licences' contents.
    pub content_bytes: u64,
    /// The licences that may also be counted in an earlier frame, in another version.
    pub read_again: u32,
}

impl Tally {
    /// Adds the figures of more licences, if a backup can hold so many.
    pub fn add(&mut self, more: &Tally) -> Result<()> {
        let sum = |one: u32, other: u32| one.checked_add(other).ok_or_else(too_many);
        self.licenses = sum(self.licenses, more.licenses)?;
        self.restricted = sum(self.restricted, more.restricted)?;
        self.content_bytes += more.content_bytes;
        self.read_again += more.read_again;
        Ok(())
    }

    /// Counts every licence once.
    pub fn settled(self) -> Tally {
        Tally {
            licenses: self.licenses.saturating_sub(self.read_again),
            read_again: 0,
            ..self
        }
    }
}
