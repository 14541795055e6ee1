//! Digests many messages with SHA-256, two at a time where the processor can.
//!
//! A processor's instructions for SHA-256 wait for each other's results: two long messages computed
//! together each take two thirds of the time. One message can't be cut in two, but a frame of
//! licences has many.

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
mod x86;

use sha2::{Digest as _, Sha256};

/// Calls `take` with the number and the digest of each message, in any order.
pub fn each<'m>(messages: impl Iterator<Item = &'m [u8]>, mut take: impl FnMut(usize, [u8; 32])) {
    let messages = messages.enumerate();
    #[cfg(target_arch = "x86_64")]
    if let Some(two) = x86::Two::detect() {
        return two.digest(messages, take);
    }
    for (number, message) in messages {
        take(number, Sha256::digest(message).into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digests(messages: &[Vec<u8>]) -> Vec<[u8; 32]> {
        let mut digests = vec![[0; 32]; messages.len()];
        let mut told = 0;
        each(messages.iter().map(Vec::as_slice), |number, digest| {
            digests[number] = digest;
            told += 1;
        });
        assert_eq!(told, messages.len());
        digests
    }

    #[test]
    fn each_message_has_its_digest() {
        let message = |length: usize| -> Vec<u8> {
            (0..length).map(|n| (n * n / 3 + length) as u8).collect()
        };
        // Lengths around each edge of blocks and padding; then long messages beside short ones, in
        // all orders.
        let lengths = (0..=260).chain([100_000, 1, 70_000, 64, 55, 56, 63, 119, 120, 0, 4_000]);
        let all: Vec<Vec<u8>> = lengths.map(message).collect();
        for count in [0, 1, 2, 3, all.len()] {
            for messages in [&all[..count], &all[all.len() - count..]] {
                let expected: Vec<[u8; 32]> =
                    messages.iter().map(|m| Sha256::digest(m).into()).collect();
                assert_eq!(digests(messages), expected);
            }
        }
    }
}
