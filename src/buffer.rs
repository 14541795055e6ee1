//! Memory that is used again and again.

#![forbid(unsafe_code)]

use std::collections::TryReserveError;

/// Gives the first `size` bytes of `buffer`, which grows where needed and never shrinks, so that no
/// byte is zeroed twice.
pub fn sized(buffer: &mut Vec<u8>, size: usize) -> Result<&mut [u8], TryReserveError> {
    if buffer.len() < size {
        buffer.try_reserve_exact(size - buffer.len())?;
        buffer.resize(size, 0);
    }
    let end = size.min(buffer.len());
    let (used, _) = buffer.split_at_mut(end);
    Ok(used)
}
