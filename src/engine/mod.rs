//! What a host can ask for: each room tells how one thing goes.
//!
//! - `restorer`: the backup restorer, idle or busy; `properties`: what it was told.
//! - `operation`: what any operation is: start, events, cancel, wait, end.
//! - `backup`: a store into a backup; `restore`: a backup into a store.
//! - `reading`: a backup opened, checked, verified, listed; `stop`: why work on one ends early.

#![forbid(unsafe_code)]

pub mod backup;
pub mod operation;
pub mod properties;
pub mod reading;
pub mod restore;
pub mod restorer;
mod stop;
