//! The bytes of a new backup on their way into its file.

use std::io::{self, Write};

use super::super::{Existing, Sink};
use crate::sys::direct_io::Uncached;
use crate::sys::files::File;

pub struct FileSink<'f> {
    file: &'f File,
    out: Uncached<'f>,
    /// Bytes that the file and the old backup have in the same place, in blocks that they share.
    shared: u64,
}

impl FileSink<'_> {
    /// Begins at the place in the file that is reached.
    pub fn begin(file: &File) -> io::Result<FileSink<'_>> {
        Ok(FileSink {
            file,
            out: Uncached::new(file).map_err(|_| io::ErrorKind::OutOfMemory)?,
            shared: 0,
        })
    }
}

impl Write for FileSink<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl Sink for FileSink<'_> {
    fn share(&mut self, old: &dyn Existing, first: u64) -> io::Result<()> {
        let (Some(old), 1..) = (old.file(), first) else {
            return Ok(());
        };
        self.shared = self.file.share(old).map_or(0, |()| first);
        Ok(self.file.cut(self.shared)?)
    }

    fn take(
        &mut self,
        old: &dyn Existing,
        start: u64,
        buffer: &mut [u8],
        is_right: &dyn Fn(&[u8]) -> bool,
    ) -> io::Result<bool> {
        let is_shared = start < self.shared;
        let length = buffer.len() as u64;
        let is_read = if is_shared {
            let read = self.file.read_full_at(buffer, start);
            self.file.forget(start, length);
            read == Ok(buffer.len())
        } else {
            let read = old.read_exact_at(buffer, start);
            old.forget(start, length);
            read.is_ok()
        };
        let is_right = is_read && is_right(buffer);
        match (is_right, is_shared) {
            (true, false) => self.out.write_all(buffer)?,
            // The following frames move to other places.
            (false, true) => {
                self.shared = start;
                self.file.cut(start)?;
            }
            _ => {}
        }
        Ok(is_right)
    }
}
