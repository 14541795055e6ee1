//! Safe wrappers over the operating system.

pub mod anchored_path;
#[allow(unsafe_code)]
pub mod auxiliary;
#[allow(unsafe_code)]
pub mod cancelling;
#[allow(unsafe_code)]
pub mod clock;
#[allow(unsafe_code)]
pub mod database_copy;
#[allow(unsafe_code)]
pub mod descriptors;
pub mod direct_io;
pub mod files;
#[allow(unsafe_code)]
pub mod fork;
pub mod origin;

#[allow(unsafe_code)]
#[cfg(feature = "standalone")]
pub mod reserve;
#[allow(unsafe_code)]
pub mod static_tls;
#[allow(unsafe_code)]
mod streams;
#[allow(unsafe_code)]
pub mod threads;
pub mod wait_descriptor;
