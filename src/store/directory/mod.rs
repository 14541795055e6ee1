//! A directory as a store: every regular file below it is a licence, except hidden ones.

mod batch;
mod comparison;
mod descent;
mod file;
mod listing;
mod moment;
mod names;
pub mod restore;
mod rights;
mod snapshot;
mod twins;
mod unsynced;

pub use file::{Attempt, FileEntry, OpenFile, Opened, Seen, Sight};
pub use listing::{Listing, TICK};
