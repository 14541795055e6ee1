//! The operations that a host can ask for; each room tells how one thing goes.
//!
//! - `restorer`: the backup restorer, idle or busy; `properties`: its settings.
//! - `operation`: the parts of any operation: start, events, cancel, wait, end.
//! - `backup`: a store into a backup; `restore`: a backup into a store.
//! - `reading`: a backup opened, checked, verified, listed, asked about itself; `stop`: why work on
//!   one stops.
//! - `passed_over`: what is left out for the rest to be done.
//! - `machine`: how a backup tells which machine it is of; `authorizer`: who allows its restore.

#![forbid(unsafe_code)]

pub mod authorizer;
pub mod backup;
mod machine;
pub mod operation;
mod passed_over;
pub mod properties;
pub mod reading;
pub mod restore;
pub mod restorer;
mod stop;
