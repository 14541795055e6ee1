//! Safe wrappers over the operating system: what differs between systems has a twin for each,
//! behind the same names.

pub use platform::*;

pub mod anchored_path;
#[cfg(not(target_os = "linux"))]
pub mod auxiliary;
#[allow(unsafe_code)]
pub mod database_copy;
#[allow(unsafe_code)]
pub mod database_functions;
#[allow(unsafe_code)]
mod database_interface;
#[allow(unsafe_code)]
pub mod database_memory;
pub mod direct_io;
#[allow(unsafe_code)]
pub mod hidden_files;
pub mod kinds;
pub mod origin;
pub mod patience;
#[allow(unsafe_code)]
#[cfg(feature = "standalone")]
pub mod reserve;
mod transfers;
#[cfg(not(target_os = "linux"))]
mod unknown_room;

#[cfg(unix)]
use unix as platform;
#[cfg(windows)]
use windows as platform;

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

/// Makes an empty folder for the test of this name, which removes it.
#[cfg(test)]
pub fn test_folder(test: &str) -> std::path::PathBuf {
    let path = std::env::temp_dir().join(format!("licbak-{test}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir(&path).unwrap();
    path
}
