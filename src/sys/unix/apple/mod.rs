//! What macOS does in its own way. This compiles, and was never run.

#[allow(unsafe_code)]
pub mod attributes;
#[allow(unsafe_code)]
mod dir;
pub mod facts;
pub mod file;
mod mounts;
#[allow(unsafe_code)]
pub mod process;
mod protection;
pub mod static_tls;

pub use crate::sys::unknown_room::Room;
