//! Values that the system gives a process when it begins.

use std::hash::{BuildHasher, RandomState};
use std::sync::OnceLock;

/// Gives random bytes, the same as long as the process lives.
pub fn random() -> [u8; 16] {
    static BYTES: OnceLock<[u8; 16]> = OnceLock::new();
    // The keys of the standard library's tables are the system's random numbers (ProcessPrng).
    *BYTES.get_or_init(|| {
        let keys = RandomState::new();
        let half = |number: u64| u128::from(keys.hash_one(number));
        (half(0) << 64 | half(1)).to_ne_bytes()
    })
}
