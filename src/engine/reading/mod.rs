//! Reads a backup: opens, checks, verifies, lists it, and tells what it says about itself.

pub mod backup_file;
pub mod catalog;
pub mod check;
pub mod info;
pub mod list;
pub mod verify;
