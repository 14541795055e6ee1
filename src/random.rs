//! Hash tables under keys that nobody else knows, and names that are unlikely to be taken.
//!
//! The standard library's tables ask the kernel for their keys by a call that a sandbox may deny.
//! Then they panic, or open a file that stays open as long as the process. So the keys come from
//! the random bytes that the kernel gives each process when it begins: these are always there.

#![forbid(unsafe_code)]

use std::hash::{BuildHasher, DefaultHasher, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest, Sha256};

use crate::sys::{auxiliary, clock};

pub type HashMap<K, V> = std::collections::HashMap<K, V, Key>;
pub type HashSet<K> = std::collections::HashSet<K, Key>;

/// A key for hashes, a new one each time.
#[derive(Clone, Debug)]
pub struct Key(DefaultHasher);

impl Default for Key {
    fn default() -> Key {
        Key::of(&bytes())
    }
}

impl Key {
    /// Makes the key of these bytes.
    pub fn of(bytes: &[u8; 16]) -> Key {
        let mut hasher = DefaultHasher::new();
        hasher.write(bytes);
        Key(hasher)
    }
}

/// Makes bytes that nobody else knows, new ones each time.
pub fn bytes() -> [u8; 16] {
    static MADE: AtomicU64 = AtomicU64::new(0);
    let mut digest = Sha256::new_with_prefix(auxiliary::random());
    digest.update(MADE.fetch_add(1, Ordering::Relaxed).to_ne_bytes());
    // Processes that were forked from one have the same bytes.
    digest.update(std::process::id().to_ne_bytes());
    digest.update(clock::now().to_ne_bytes());
    let digest: [u8; 32] = digest.finalize().into();
    let (halves, _) = digest.as_chunks();
    halves.first().copied().unwrap_or_default()
}

impl BuildHasher for Key {
    type Hasher = DefaultHasher;

    fn build_hasher(&self) -> DefaultHasher {
        self.0.clone()
    }
}

/// The beginnings of the names under which a backup and a restore hide what is not done yet.
pub const HIDDEN_BACKUP: &str = ".licenses.tar.zst.";
pub const HIDDEN_RESTORE: &str = ".licbak-restore.";

/// Makes a name that is unlikely to be taken: `prefix` and sixteen hexadecimal digits.
pub fn hidden_name(prefix: &str) -> String {
    format!("{prefix}{:016x}", Key::default().0.finish())
}

/// Tells whether [`hidden_name`] may have made the name.
pub fn is_hidden_name(name: &str, prefix: &str) -> bool {
    let digits = name
        .strip_prefix(prefix)
        .filter(|digits| digits.len() == 16);
    digits.is_some_and(|digits| {
        digits
            .bytes()
            .all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
    })
}

/// Tells whether this library hides something under `name`.
pub fn is_own_hidden_name(name: &[u8]) -> bool {
    let Ok(name) = std::str::from_utf8(name) else {
        return false;
    };
    let is_lock = |name: &str| name.strip_prefix(HIDDEN_BACKUP) == Some("lock");
    is_hidden_name(name, HIDDEN_BACKUP) || is_hidden_name(name, HIDDEN_RESTORE) || is_lock(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_differ_and_each_hashes_alike() {
        let (one, other) = (Key::default(), Key::default());
        assert_eq!(one.hash_one("a"), one.clone().hash_one("a"));
        assert_ne!(one.hash_one("a"), one.hash_one("b"));
        assert_ne!(one.hash_one("a"), other.hash_one("a"));
        assert_ne!(auxiliary::random(), [0; 16]);
    }
}
