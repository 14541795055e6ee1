//! Data of an encrypted backup that waits on a disk until its turn: encrypted with a key that
//! nobody has any more when the backup is done.

use std::io::{self, Write};

use crate::archive::ReadAt;
use crate::archive::spool::Scratch;
use crate::buffer::sized;
use crate::cipher::PassingKey;

/// A file for waiting data. Each byte is written once, so that no two are encrypted alike.
pub struct Waiting<F> {
    file: F,
    key: PassingKey,
    size: u64,
    buffer: Vec<u8>,
}

/// Bytes that are encrypted at once.
const PART: usize = 64 << 10;

impl<F> Waiting<F> {
    /// Hides what will be in the file, which is empty.
    pub fn new(file: F) -> io::Result<Waiting<F>> {
        Ok(Waiting {
            file,
            key: PassingKey::new()?,
            size: 0,
            buffer: Vec::new(),
        })
    }
}

impl<F: Write> Write for Waiting<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let bytes = bytes.get(..PART).unwrap_or(bytes);
        let mut buffer = std::mem::take(&mut self.buffer);
        let encrypted = sized(&mut buffer, bytes.len()).map_err(|_| io::ErrorKind::OutOfMemory)?;
        encrypted.copy_from_slice(bytes);
        self.key.apply(encrypted, self.size)?;
        self.file.write_all(encrypted)?;
        self.size += bytes.len() as u64;
        self.buffer = buffer;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl<F: ReadAt> ReadAt for Waiting<F> {
    fn size(&self) -> io::Result<u64> {
        self.file.size()
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset)?;
        self.key.apply(buffer, offset)
    }
}

impl<F: Scratch> Scratch for Waiting<F> {
    fn release(&self, start: u64, length: u64) {
        self.file.release(start, length);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_comes_back_from_anywhere_and_is_hidden() {
        let content: Vec<u8> = (0..3 * PART as u32 + 77).map(|n| (n / 300) as u8).collect();
        let mut waiting = Waiting::new(Vec::new()).unwrap();
        for part in content.chunks(PART + 1001) {
            waiting.write_all(part).unwrap();
        }
        assert_eq!(waiting.file.len(), content.len());
        let same = waiting.file.iter().zip(&content).filter(|(a, b)| a == b);
        assert!(same.count() < content.len() / 128);
        for (start, length) in [(0, content.len()), (63, 2), (PART - 1, PART + 2)] {
            let mut found = vec![0; length];
            waiting.read_exact_at(&mut found, start as u64).unwrap();
            assert_eq!(found, content[start..start + length]);
        }
        let mut other = Waiting::new(Vec::new()).unwrap();
        other.write_all(&content).unwrap();
        assert_ne!(other.file, waiting.file);
    }
}
