//! A spool: bytes that wait until their turn in a backup. Few wait in memory, more in a file, which
//! is made only then.

use std::io::Write;

use super::{Fault, ReadAt, Result};

/// A file for waiting data.
pub trait Scratch: Write + ReadAt {
    /// Gives back the room of data that is not read any more, where that is possible.
    fn release(&self, start: u64, length: u64);
}

/// Memory is given back only as a whole.
impl Scratch for Vec<u8> {
    fn release(&self, _: u64, _: u64) {}
}

/// Makes an empty file.
pub type MakeScratch<'s, S> = Box<dyn FnOnce() -> Result<S> + 's>;

/// Bytes that wait in memory, where no more wait than these.
pub const IN_MEMORY: usize = 1 << 20;

pub struct Spool<'s, S> {
    make: Option<MakeScratch<'s, S>>,
    file: Option<S>,
    /// The bytes that wait, where there is no file.
    memory: Vec<u8>,
    in_memory: usize,
    size: u64,
}

impl<'s, S: Scratch> Spool<'s, S> {
    /// Makes an empty spool; `make` is called for a file when more than `in_memory` bytes wait.
    pub fn new(in_memory: usize, make: impl FnOnce() -> Result<S> + 's) -> Spool<'s, S> {
        Spool {
            make: Some(Box::new(make)),
            file: None,
            memory: Vec::new(),
            in_memory,
            size: 0,
        }
    }

    /// Takes these bytes in, one behind the other, and tells where they begin.
    pub fn append(&mut self, parts: &[&[u8]]) -> Result<u64> {
        let (start, length) = (
            self.size,
            parts.iter().map(|part| part.len()).sum::<usize>(),
        );
        if self.memory.len() + length > self.in_memory
            && let Some(make) = self.make.take()
        {
            let mut file = make()?;
            file.write_all(&self.memory)?;
            self.memory = Vec::new();
            self.file = Some(file);
        }
        match &mut self.file {
            Some(file) => parts.iter().try_for_each(|part| file.write_all(part))?,
            None if self.make.is_none() => return Err(Fault::OutOfMemory),
            None => {
                self.memory.try_reserve(length)?;
                parts
                    .iter()
                    .for_each(|part| self.memory.extend_from_slice(part));
            }
        }
        self.size += length as u64;
        Ok(start)
    }

    /// Fills `buffer` with what waits from `start` on.
    pub fn read(&self, buffer: &mut [u8], start: u64) -> Result<()> {
        match &self.file {
            Some(file) => Ok(file.read_exact_at(buffer, start)?),
            None => Ok(self.memory.read_exact_at(buffer, start)?),
        }
    }

    /// Gives back the room of bytes that are not read any more.
    pub fn release(&self, start: u64, length: u64) {
        if let Some(file) = &self.file {
            file.release(start, length);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn only_much_waits_in_a_file() {
        let made = Cell::new(false);
        let mut spool = Spool::new(IN_MEMORY, || {
            made.set(true);
            Ok(Vec::new())
        });
        let part = |number: u64| vec![number as u8; IN_MEMORY / 8];
        for number in 0..16 {
            let start = spool.append(&[&part(number), b"end"]).unwrap();
            assert_eq!(start, number * (IN_MEMORY as u64 / 8 + 3));
            assert_eq!(made.get(), number >= 7, "{number}");
            for before in 0..=number {
                let mut bytes = vec![0; IN_MEMORY / 8 + 3];
                let start = before * bytes.len() as u64;
                spool.read(&mut bytes, start).unwrap();
                assert_eq!(bytes, [part(before), b"end".to_vec()].concat());
            }
        }
        assert!(
            spool
                .read(&mut [0; 4], 16 * (IN_MEMORY as u64 / 8 + 3) - 3)
                .is_err()
        );
    }
}
