//! Linux and macOS, by rustix, and by libc for threads and what rustix leaves alone. What differs
//! between the two has a twin for each.

#[cfg(target_os = "linux")]
pub use linux::auxiliary;

#[cfg(target_vendor = "apple")]
use apple as system;
#[cfg(target_os = "linux")]
use linux as system;

pub mod anchor;
#[cfg(target_vendor = "apple")]
mod apple;
#[allow(unsafe_code)]
pub mod cancelling;
#[allow(unsafe_code)]
pub mod clock;
#[allow(unsafe_code)]
pub mod descriptors;
pub mod files;
#[allow(unsafe_code)]
pub mod fork;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(feature = "object-storage")]
pub mod sockets;
#[allow(unsafe_code)]
mod streams;
#[allow(unsafe_code)]
pub mod threads;
#[cfg(feature = "object-storage")]
pub mod trust;
#[allow(unsafe_code)]
pub mod undumped;
pub mod wait_descriptor;
