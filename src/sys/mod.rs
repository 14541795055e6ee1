//! Safe wrappers over the operating system: what differs between systems has a twin for each,
//! behind the same names.

pub use platform::*;

#[allow(unsafe_code)]
pub mod database_copy;
pub mod direct_io;
pub mod patience;
#[allow(unsafe_code)]
#[cfg(feature = "standalone")]
pub mod reserve;

#[cfg(unix)]
use unix as platform;
#[cfg(windows)]
use windows as platform;

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;
