//! The word for a machine, as a backup keeps it: an HMAC-SHA-256 keyed with the backup's ID (RFC
//! 2104, FIPS 180-4), so that two backups of one machine do not show that they are.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::archive::Digest;

/// Hashes `machine`, the host's word for it, for the backup with that ID.
pub fn of_backup(machine: &str, id: &[u8; 16]) -> Digest {
    let mut key = [0; 64];
    let (start, _) = key.split_at_mut(id.len());
    start.copy_from_slice(id);
    // A key of one block is taken as it is, so that zeros behind the ID change nothing.
    let mut hmac = Hmac::<Sha256>::new(&key.into());
    hmac.update(machine.as_bytes());
    hmac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::lines::hex_text;

    #[test]
    fn a_machine_is_hashed_as_openssl_does() {
        // printf seat-7 | openssl dgst -sha256 -mac HMAC -macopt hexkey:000102…0e0f
        let id = std::array::from_fn(|at| at as u8);
        let hash = hex_text::<64>(&of_backup("seat-7", &id));
        assert_eq!(
            hash,
            "b4436204adcec1f202463657eab155c19fa6fbfaf54aee0b54f40bc9cc9c0ea9"
        );
    }
}
