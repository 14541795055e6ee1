//! Reads a backup: opens, checks, verifies, lists it.

pub mod backup_file;
pub mod catalog;
pub mod check;
pub mod list;
pub mod verify;
