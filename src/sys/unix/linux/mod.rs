//! What Linux does in its own way.

pub mod attributes;
#[allow(unsafe_code)]
pub mod auxiliary;
mod dir;
pub mod facts;
pub mod file;
mod mounts;
#[allow(unsafe_code)]
pub mod process;
mod protection;
mod room;
#[allow(unsafe_code)]
pub mod static_tls;

pub use room::Room;
