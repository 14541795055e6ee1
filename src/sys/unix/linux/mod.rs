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
#[cfg(all(
    feature = "standalone",
    target_env = "gnu",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
#[allow(unsafe_code)]
mod thread_end;

pub use room::Room;
