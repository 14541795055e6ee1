//! Windows: files and folders by handle, with the names below a folder's handle that only the
//! native calls take.

pub mod anchor;
pub mod cancelling;
#[allow(unsafe_code)]
pub mod clock;
pub mod descriptors;
mod errno;
pub mod files;
pub mod fork;
#[allow(unsafe_code)]
mod handles;
#[allow(unsafe_code)]
mod names;
#[allow(unsafe_code)]
mod opening;
#[allow(unsafe_code)]
mod rights;
#[cfg(feature = "object-storage")]
pub mod sockets;
#[allow(unsafe_code)]
pub mod threads;
#[cfg(feature = "object-storage")]
pub mod trust;
pub mod undumped;
#[allow(unsafe_code)]
mod volumes;
#[allow(unsafe_code)]
pub mod wait_descriptor;
