//! Which library this is.

use std::ffi::{CStr, c_char};

/// The version of the binary interface: the number in the library's SONAME. It rises when programs
/// that were built before can't run with the library any more.
pub const LICBAK_ABI_VERSION: u32 = 0;

/// The version of the library.
///
/// @return "0.1.0" and the like; static.
#[unsafe(no_mangle)]
pub extern "C" fn licbak_version() -> *const c_char {
    const VERSION: &CStr =
        match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
            Ok(version) => version,
            Err(_) => c"",
        };
    VERSION.as_ptr()
}

/// The LICBAK_ABI_VERSION of the library, to compare with the header's.
///
/// @return The version.
#[unsafe(no_mangle)]
pub extern "C" fn licbak_abi_version() -> u32 {
    LICBAK_ABI_VERSION
}
