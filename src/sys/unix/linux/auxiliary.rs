//! Values that the kernel gives a process when it begins.

/// Gives random bytes, the same as long as the process lives.
pub fn random() -> [u8; 16] {
    // SAFETY: reads what the kernel has put beside the program's arguments.
    let address = unsafe { libc::getauxval(libc::AT_RANDOM) };
    let bytes: *const [u8; 16] = std::ptr::with_exposed_provenance(address as usize);
    // SAFETY: NULL, or 16 bytes, which stay there as long as the process lives.
    unsafe { bytes.as_ref() }.copied().unwrap_or_default()
}
