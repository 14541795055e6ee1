//! A directory as a store: every regular file below it is a licence, but for what is hidden.

mod batch;
mod listing;
mod moment;
mod names;
pub mod restore;
mod snapshot;

pub use listing::Listing;
