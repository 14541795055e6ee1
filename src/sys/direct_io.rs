//! Writes a file past the system's cache.
//!
//! A backup is hardly ever read, and must not drive the host's data out of memory; finding memory
//! for it and copying it there would be useless work, too. Only whole blocks can go to the disk
//! directly, from addresses and to positions that are multiples of a block (open(2), `O_DIRECT`).
//! The rest goes through the cache, and so does everything where the file system knows no other
//! way.
//!
//! The manual page open(2) warns of such writes while another thread forks. They only read the
//! memory, which its thread leaves alone until they are over, and the child never looks at it.

#![forbid(unsafe_code)]

use std::collections::TryReserveError;
use std::io::{self, Write};

use super::files::{Errno, File};

/// A multiple of the blocks of nearly all disks.
const BLOCK: usize = 4096;
/// Bytes written at once: enough to keep a disk busy.
const PART: usize = 1 << 20;

/// Writes from a file's position on. All that it was given is in the file after
/// [`flush`](Write::flush), and until then nobody else writes there. After an error all that it was
/// given is lost.
pub struct Uncached<'f> {
    file: &'f File,
    /// The bytes to be written next, from `start` on.
    part: Vec<u8>,
    start: usize,
}

impl<'f> Uncached<'f> {
    pub fn new(file: &'f File) -> Result<Uncached<'f>, TryReserveError> {
        let mut part = Vec::new();
        part.try_reserve_exact(BLOCK + PART)?;
        Ok(Uncached {
            file,
            part,
            start: 0,
        })
    }

    /// Gives the place in `part` where the first block of memory begins.
    fn first_block(&self) -> usize {
        self.part.as_ptr().align_offset(BLOCK) % BLOCK
    }

    /// Begins a part as far behind the beginning of a block as the file's position is.
    fn begin(&mut self) -> Result<(), Errno> {
        let behind = self.file.position()? % BLOCK as u64;
        self.start = self.first_block() + behind as usize;
        self.part.resize(self.start, 0);
        Ok(())
    }

    fn write_out(&mut self) -> Result<(), Errno> {
        let bytes = self.part.get(self.start..).unwrap_or_default();
        let blocks = match self.start == self.first_block() {
            true => bytes.len() / BLOCK * BLOCK,
            false => 0,
        };
        let written = match bytes.get(..blocks) {
            None | Some([]) => Ok(0),
            Some(blocks) => self.file.write_direct(blocks),
        };
        let rest = |written| bytes.get(written..).unwrap_or_default();
        let done = written.and_then(|written| self.file.write_all(rest(written)));
        self.part.clear();
        done
    }
}

impl Write for Uncached<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.part.is_empty() {
            self.begin()?;
        }
        let room = (self.first_block() + PART).saturating_sub(self.part.len());
        let taken = bytes.get(..room).unwrap_or(bytes);
        // This fits into the reserved memory, so the memory stays where it is.
        self.part.extend_from_slice(taken);
        if taken.len() == room {
            self.write_out()?;
        }
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(self.write_out()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::anchored_path::AnchoredPath;
    use crate::sys::files::Dir;
    use crate::sys::test_folder;

    #[test]
    fn all_is_appended_wherever_it_begins_and_however_it_comes() {
        let path = test_folder("uncached");
        let directory = Dir::open(&AnchoredPath::now(&path)).unwrap();
        let content: Vec<u8> = (0..3 * PART as u32 + 5000).map(|n| (n / 7) as u8).collect();
        let cases = [0, 1, BLOCK - 1, BLOCK, 2 * BLOCK + 9]
            .into_iter()
            .enumerate();
        for (number, before) in cases {
            let name = number.to_string();
            let file = directory.create(&name).unwrap();
            file.write_all(content.get(..before).unwrap()).unwrap();
            let mut out = Uncached::new(&file).unwrap();
            out.flush().unwrap();
            let mut at = before;
            for size in [0, 1, PART, BLOCK - 1, PART + 1, 13].into_iter().cycle() {
                let end = content.len().min(at + size);
                out.write_all(content.get(at..end).unwrap()).unwrap();
                at = end;
                if at == content.len() {
                    break;
                }
                // The bytes written in between have their place, too.
                if size == 13 {
                    out.flush().unwrap();
                }
            }
            out.flush().unwrap();
            assert!(
                std::fs::read(path.join(&name)).unwrap() == content,
                "{before}"
            );
        }
        std::fs::remove_dir_all(path).unwrap();
    }
}
