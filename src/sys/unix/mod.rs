//! Linux, by rustix, and by libc for threads and what rustix leaves alone.

pub mod anchor;
#[allow(unsafe_code)]
pub mod auxiliary;
#[allow(unsafe_code)]
pub mod cancelling;
#[allow(unsafe_code)]
pub mod clock;
#[allow(unsafe_code)]
pub mod descriptors;
pub mod files;
#[allow(unsafe_code)]
pub mod fork;
#[allow(unsafe_code)]
mod mounts;
#[cfg(feature = "object-storage")]
pub mod sockets;
#[allow(unsafe_code)]
mod static_tls;
#[allow(unsafe_code)]
mod streams;
#[allow(unsafe_code)]
pub mod threads;
#[cfg(feature = "object-storage")]
pub mod trust;
#[allow(unsafe_code)]
pub mod undumped;
pub mod wait_descriptor;
