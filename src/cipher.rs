//! A cipher for what waits on a disk until its turn, with a key that nobody has any more when that is
//! over.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;

use chacha20::ChaCha20;
use chacha20::cipher::{KeyIvInit, StreamCipher, StreamCipherSeek};
use zeroize::Zeroizing;

/// Fills `bytes` with random ones.
pub fn fill(bytes: &mut [u8]) -> io::Result<()> {
    // The reason may look like one that has to do with the file.
    let gives_none = |_| io::Error::other("the system gives no random bytes");
    getrandom::getrandom(bytes).map_err(gives_none)
}

/// The key of one file, wiped when it is dropped.
pub struct PassingKey(Zeroizing<[u8; 32]>);

impl PassingKey {
    pub fn new() -> io::Result<PassingKey> {
        let mut key = Zeroizing::new([0; 32]);
        fill(key.as_mut())?;
        Ok(PassingKey(key))
    }

    /// Encrypts, or decrypts, the bytes at `offset` of the file, each of which is written once.
    pub fn apply(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        self.apply_again(bytes, offset, 0)
    }

    /// Encrypts, or decrypts, bytes of a place that was written `times` before: two contents that
    /// were encrypted alike would tell each other.
    fn apply_again(&self, bytes: &mut [u8], offset: u64, times: u64) -> io::Result<()> {
        let too_large = |_| io::Error::from(io::ErrorKind::FileTooLarge);
        let key: &[u8; 32] = &self.0;
        let mut nonce = [0; 12];
        nonce
            .iter_mut()
            .zip(times.to_le_bytes())
            .for_each(|(to, from)| *to = from);
        let mut cipher = ChaCha20::new(key.into(), &nonce.into());
        cipher.try_seek(offset).map_err(too_large)?;
        cipher.try_apply_keystream(bytes).map_err(too_large)
    }
}

/// The most parts that are told apart, which take some 50 MiB: pages of 4 GiB in the worst of orders.
const PARTS_MAX: usize = 1 << 20;

/// The key of a file whose places are written again and again.
pub struct RewritingKey {
    key: PassingKey,
    /// The parts that have been written, by their start, each with its end and the times that this
    /// was so before.
    parts: BTreeMap<u64, (u64, u64)>,
}

impl RewritingKey {
    pub fn new() -> io::Result<RewritingKey> {
        Ok(RewritingKey {
            key: PassingKey::new()?,
            parts: BTreeMap::new(),
        })
    }

    /// Encrypts bytes that will be written at `offset`.
    pub fn encrypt(&mut self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        let end = end_of(bytes, offset)?;
        if bytes.is_empty() {
            return Ok(());
        }
        if self.parts.len() >= PARTS_MAX {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        let known = self.written(offset..end);
        let times = known.map(|(_, times)| times + 1).max().unwrap_or(0);
        self.note(offset..end, times);
        self.key.apply_again(bytes, offset, times)
    }

    /// Decrypts bytes that were read at `offset`. What was never written is left as it is; what was
    /// cut off counts as written, so that no stream is used twice.
    pub fn decrypt(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        for (part, times) in self.written(offset..end_of(bytes, offset)?) {
            let within = (part.start - offset) as usize..(part.end - offset) as usize;
            let own = bytes.get_mut(within).unwrap_or_default();
            self.key.apply_again(own, part.start, times)?;
        }
        Ok(())
    }

    /// Gives what of these bytes has been written, part by part.
    fn written(&self, bytes: Range<u64>) -> impl Iterator<Item = (Range<u64>, u64)> {
        let before = self.parts.range(..bytes.start).next_back();
        let within = self.parts.range(bytes.clone());
        before
            .into_iter()
            .chain(within)
            .filter_map(move |(start, (end, times))| {
                let part = *start.max(&bytes.start)..*end.min(&bytes.end);
                (!part.is_empty()).then_some((part, *times))
            })
    }

    /// Notes that these bytes are written; they become one with what lies beside them and was
    /// written as often.
    fn note(&mut self, mut bytes: Range<u64>, times: u64) {
        let before = self.parts.range(..bytes.start).next_back();
        if let Some((&start, &(end, own))) = before
            && end >= bytes.start
        {
            if end > bytes.end {
                self.parts.insert(bytes.end, (end, own));
            }
            match own == times {
                true => bytes.start = start,
                false => _ = self.parts.insert(start, (bytes.start, own)),
            }
        }
        while let Some((&start, &(end, own))) = self.parts.range(bytes.clone()).next() {
            self.parts.remove(&start);
            if end > bytes.end {
                self.parts.insert(bytes.end, (end, own));
            }
        }
        if let Some(&(end, own)) = self.parts.get(&bytes.end)
            && own == times
        {
            self.parts.remove(&bytes.end);
            bytes.end = end;
        }
        self.parts.insert(bytes.start, (bytes.end, times));
    }
}

fn end_of(bytes: &[u8], offset: u64) -> io::Result<u64> {
    let end = offset.checked_add(bytes.len() as u64);
    end.ok_or_else(|| io::ErrorKind::FileTooLarge.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes as SQLite does, and remembers beside it what a disk would have shown.
    struct Disk {
        key: RewritingKey,
        plain: Vec<u8>,
        hidden: Vec<u8>,
    }

    impl Disk {
        fn write(&mut self, offset: usize, bytes: &[u8]) {
            let mut hidden = bytes.to_vec();
            self.key.encrypt(&mut hidden, offset as u64).unwrap();
            self.plain[offset..][..bytes.len()].copy_from_slice(bytes);
            self.hidden[offset..][..bytes.len()].copy_from_slice(&hidden);
        }

        fn read(&self, offset: usize, length: usize) -> Vec<u8> {
            let mut bytes = self.hidden[offset..][..length].to_vec();
            self.key.decrypt(&mut bytes, offset as u64).unwrap();
            bytes
        }
    }

    fn disk(size: usize) -> Disk {
        Disk {
            key: RewritingKey::new().unwrap(),
            plain: vec![0; size],
            hidden: vec![0; size],
        }
    }

    #[test]
    fn what_is_written_anywhere_and_again_is_read() {
        const SIZE: usize = 2000;
        let mut disk = disk(SIZE);
        let mut state = 1_u64;
        let mut random = |below: usize| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1);
            (state >> 33) as usize % below
        };
        for number in 0..3000 {
            let offset = random(SIZE);
            let length = 1 + random((SIZE - offset).min(300));
            disk.write(offset, &vec![number as u8; length]);
            let offset = random(SIZE);
            let length = random(SIZE - offset);
            disk.write(offset, &[]);
            assert_eq!(disk.read(offset, length), disk.plain[offset..][..length]);
        }
        assert_eq!(disk.read(0, SIZE), disk.plain);
    }

    #[test]
    fn no_two_contents_of_a_place_are_encrypted_alike() {
        let mut disk = disk(100);
        let mut seen = Vec::new();
        for (offset, length) in [(0, 100), (0, 100), (10, 5), (0, 50), (12, 30), (0, 100)] {
            disk.write(offset, &vec![0; length]);
            seen.push(disk.hidden.clone());
        }
        let mut shown: Vec<_> = seen.iter().map(|hidden| &hidden[12..15]).collect();
        shown.sort_unstable();
        shown.dedup();
        assert_eq!(shown.len(), seen.len());
    }

    #[test]
    fn what_is_written_in_order_is_one_part() {
        let mut disk = disk(1000);
        for offset in (0..1000).step_by(10) {
            disk.write(offset, &[1; 10]);
        }
        assert_eq!(disk.key.parts.len(), 1);
        for offset in (200..400).step_by(10) {
            disk.write(offset, &[2; 10]);
        }
        assert_eq!(disk.key.parts.len(), 3);
    }
}
