//! Reads and writes that go on until all is done.

#![forbid(unsafe_code)]

use super::files::Errno;

/// Calls `read` with the part still to fill and the number of bytes done, until nothing is left or
/// nothing more comes.
pub fn fill(
    buffer: &mut [u8],
    read: impl Fn(&mut [u8], usize) -> Result<usize, Errno>,
) -> Result<usize, Errno> {
    let mut done = 0;
    while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
        match read(rest, done)? {
            0 => break,
            count => done += count,
        }
    }
    Ok(done)
}

/// Calls `write` with the part still to write, until nothing is left.
pub fn drain(mut bytes: &[u8], write: impl Fn(&[u8]) -> Result<usize, Errno>) -> Result<(), Errno> {
    while !bytes.is_empty() {
        let written = write(bytes)?;
        // A file that takes nothing and reports nothing would be written to for ever.
        if written == 0 {
            return Err(Errno::IO);
        }
        bytes = bytes.get(written..).ok_or(Errno::IO)?;
    }
    Ok(())
}
