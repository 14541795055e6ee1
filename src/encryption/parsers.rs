//! Reads an encrypted file that was altered, for the target in fuzz/. It checks that there is no
//! panic, and that nothing comes out but what went in.

use std::io::{self, Write};
use std::sync::OnceLock;

use super::keys::Keys;
use super::lock::{Lock, recipients};
use super::payload::Payload;
use super::{CHUNK, SEALED};
use crate::archive::ReadAt;
use crate::secret::Secret;

/// Of the tests of the crate `age`.
const RECIPIENT: &str = "age1t7rxyev2z3rw82stdlrrepyc39nvn86l5078zqkf5uasdy86jp6svpy7pa";
const IDENTITY: &str = "AGE-SECRET-KEY-1GQ9778VQXMMJVE8SK7J6VT8UJ4HDQAJUVSFCWCM02D8GEWQ72PVQ2Y5J33";
/// Three chunks, of which one is small.
const SIZE: usize = 2 * CHUNK as usize + 1000;

fn plain() -> Vec<u8> {
    (0..SIZE).map(|n| (n / 7 + n / 1000) as u8).collect()
}

fn file() -> io::Result<Vec<u8>> {
    let recipients = recipients(RECIPIENT).unwrap_or_default();
    let mut out = Lock::Recipients(recipients).encrypt(Vec::new())?;
    out.write_all(&plain())?;
    out.finish()
}

/// Makes alterations: an action, a place, counted from the end where it is odd, and a number of bytes
/// for it.
pub fn encrypted(content: &[u8]) {
    static FILE: OnceLock<(Vec<u8>, Vec<u8>)> = OnceLock::new();
    let make = || (file().unwrap_or_default(), plain());
    let (whole, plain) = FILE.get_or_init(make);
    let (mut file, mut rest) = (whole.clone(), content);
    while let Some(([action, a, b, c, size], after)) = rest.split_first_chunk::<5>() {
        let (data, after) = after
            .split_at_checked(usize::from(*size))
            .unwrap_or((after, &[]));
        rest = after;
        let place = u32::from_le_bytes([*a, *b, *c, 0]) as usize % (file.len() + 1);
        let place = if a % 2 == 1 {
            file.len() - place
        } else {
            place
        };
        alter(&mut file, *action, place, data);
    }
    let keys = Keys {
        identities: Secret::new(IDENTITY.into()).ok(),
        passphrase: None,
    };
    let is_whole = file == *whole;
    let opened = Payload::open(file.clone(), &keys);
    assert!(!is_whole || opened.is_ok());
    if let Ok(payload) = opened {
        check(&payload, plain, is_whole);
    }
    if let Ok(payload) = Payload::open_damaged(file, &keys) {
        let size = payload.size().unwrap_or_default();
        let mut bytes = vec![1; size.min(4 * CHUNK) as usize];
        if payload.read_exact_at(&mut bytes, 0).is_ok() {
            for (found, right) in bytes
                .chunks(CHUNK as usize)
                .zip(plain.chunks(CHUNK as usize))
            {
                assert!(found.iter().all(|byte| *byte == 0) || right.starts_with(found));
            }
        }
    }
}

fn alter(file: &mut Vec<u8>, action: u8, place: usize, data: &[u8]) {
    let end = file.len().min(place + data.len());
    let sealed = SEALED as usize;
    match action % 5 {
        0 => drop(file.splice(place..end, data.iter().copied())),
        1 => drop(file.splice(place..place, data.iter().copied())),
        2 => file.truncate(place),
        // A chunk more, or less, or one in the place of another.
        3 => drop(file.drain(place..file.len().min(place + sealed))),
        _ => {
            let chunk = file.get(place..file.len().min(place + sealed));
            let chunk = chunk.unwrap_or_default().to_vec();
            file.extend_from_slice(&chunk);
        }
    }
}

/// Reads parts of each length at each edge.
fn check(payload: &Payload<Vec<u8>>, plain: &[u8], is_whole: bool) {
    let size = payload.size().unwrap_or_default() as usize;
    // The last chunk is the last one's.
    assert!(size == plain.len());
    for length in [1, 17, CHUNK as usize, plain.len()] {
        for start in [0, CHUNK as usize - 1, 2 * CHUNK as usize, plain.len() - 1] {
            let mut bytes = vec![0; length.min(plain.len() - start)];
            let read = payload.read_exact_at(&mut bytes, start as u64);
            assert!(read.is_ok() || !is_whole);
            if read.is_ok() {
                assert!(plain.get(start..start + bytes.len()) == Some(&bytes));
            }
        }
    }
}
