//! Looks at many bytes at a time.

#![forbid(unsafe_code)]

/// The bytes that a processor looks at in one step.
const STEP: usize = 16;

/// Tells whether each byte fits. `fits` is quick where it has no branch; the bytes that are left
/// over are looked at with some that were.
pub fn all(bytes: &[u8], fits: impl Fn(u8) -> bool) -> bool {
    let (steps, rest) = bytes.as_chunks::<STEP>();
    let Some(last) = bytes.last_chunk::<STEP>() else {
        return rest.iter().all(|byte| fits(*byte));
    };
    // Each place of a step has its own answer until the end.
    let mut wrong = [0; STEP];
    for step in steps.iter().chain([last]) {
        for (wrong, byte) in wrong.iter_mut().zip(step) {
            *wrong |= u8::from(!fits(*byte));
        }
    }
    wrong == [0; STEP]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_byte_counts() {
        for length in 0..50 {
            let mut bytes = vec![b'a'; length];
            assert!(all(&bytes, |byte| byte == b'a'));
            for at in 0..length {
                bytes[at] = b'b';
                assert!(!all(&bytes, |byte| byte == b'a'), "{at} of {length}");
                bytes[at] = b'a';
            }
        }
    }
}
