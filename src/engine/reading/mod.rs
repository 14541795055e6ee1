//! A backup that is read: opened, checked, verified, listed.

pub mod backup_file;
pub mod catalog;
pub mod check;
pub mod list;
pub mod verify;
