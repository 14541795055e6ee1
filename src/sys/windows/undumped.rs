//! Memory for secrets. Here a dump of the process may have it.

#![forbid(unsafe_code)]

use std::ops::Deref;

use zeroize::Zeroizing;

use super::files::Errno;

/// Bytes that are wiped when they are dropped.
pub struct Undumped(Zeroizing<Vec<u8>>);

impl Undumped {
    pub fn new(bytes: &[u8]) -> Result<Undumped, Errno> {
        let mut own = Vec::new();
        own.try_reserve_exact(bytes.len())
            .map_err(|_| Errno::NOMEM)?;
        own.extend_from_slice(bytes);
        Ok(Undumped(Zeroizing::new(own)))
    }
}

impl Deref for Undumped {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}
