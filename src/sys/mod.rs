//! Safe wrappers over the operating system.

pub mod channel;
pub mod files;
#[allow(unsafe_code)]
pub mod fork;
pub mod locks;
#[allow(unsafe_code)]
#[cfg(feature = "standalone")]
pub mod reserve;
#[allow(unsafe_code)]
pub mod static_tls;
#[allow(unsafe_code)]
pub mod threads;
