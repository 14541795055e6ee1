//! The backups that may lie in a store.

use crate::sys::files::{Facts, Held};

/// Backups that may lie in a store: they are no licences, wherever a link to them is.
#[derive(Debug, Default)]
pub struct Backups(pub Vec<Held>);

impl Backups {
    pub fn has(&self, file: &Facts) -> bool {
        self.0.iter().any(|held| held.is(file))
    }
}
