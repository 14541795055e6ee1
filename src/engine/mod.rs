//! What an operation is: start, events, cancel, wait, end; and the story of each.

#![forbid(unsafe_code)]

pub mod backup;
mod choice;
pub mod events;
mod gathering;
pub mod list;
mod lists;
mod memory;
mod old;
pub mod operation;
pub mod pool;
pub mod progress;
pub mod properties;
pub mod reading;
mod readings;
pub mod restore;
mod restore_database;
pub mod restore_host;
pub mod restorer;
mod state;
mod take_over;
pub mod verify;
pub mod walk;
