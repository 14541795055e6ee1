//! Safe wrappers over the operating system, and over the processor's own instructions.

pub mod anchored_path;
#[allow(unsafe_code)]
pub mod cancelling;
pub mod channel;
#[allow(unsafe_code)]
pub mod clock;
pub mod files;
#[allow(unsafe_code)]
pub mod fork;
pub mod locks;
pub mod origin;

#[allow(unsafe_code)]
#[cfg(feature = "standalone")]
pub mod reserve;
pub mod sha256;
#[allow(unsafe_code)]
pub mod static_tls;
#[allow(unsafe_code)]
pub mod threads;
pub mod uncached;
