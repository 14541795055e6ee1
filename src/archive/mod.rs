//! The bytes of a backup file, as `format.md` beside this file describes them. Pure: readers and
//! writers in, values out; no paths, threads or clocks. All that is read is checked before it is
//! believed.

#![forbid(unsafe_code)]

pub mod builder;
mod canonical;
pub mod catalog_in_step;
pub mod frames;
pub mod index;
pub mod index_frame;
mod index_reader;
mod index_writer;
pub mod limits;
pub mod lines;
mod list_writer;
mod lookup;
pub mod members;
mod output;
mod parameters;
pub mod reader;
pub mod records;
mod salvage;
pub mod seek_table;
pub mod spool;
pub mod state;
pub mod tally;
#[cfg(any(test, fuzzing))]
pub mod testing;
pub mod trailer;
pub mod waiting_frames;
pub mod writer;

use std::io;

use crate::digest;

/// The names of the members that follow the licences.
pub const SUMS: &str = "SHA256SUMS";
pub const LICENSES: &str = "licenses.jsonl";
pub const RESTRICTED: &str = "restricted.jsonl";
pub const INDEX: &str = "index";
pub const STATE: &str = "state";
pub const FRAMES: &str = "frames";
pub const TRAILER: &str = "backup.json";
/// The part of a member's path before a licence's name.
pub const FOLDER: &str = "licenses/";

pub type Digest = [u8; 32];

/// The reason why a backup can't be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The backup is truncated, altered or not one of this library.
    #[error("{0}")]
    Damaged(String),
    #[error("it is of format version {}.{}, which {why}", version[0], version[1])]
    OtherVersion {
        version: [u64; 2],
        why: &'static str,
    },
    #[error(transparent)]
    System(io::Error),
    #[error("there is not enough memory")]
    OutOfMemory,
    /// Who asked for the work does not want it any more.
    #[error("it was stopped")]
    Stopped,
}

pub type Result<T, E = Fault> = std::result::Result<T, E>;

impl Fault {
    pub fn damaged(what: impl Into<String>) -> Fault {
        Fault::Damaged(what.into())
    }

    /// Makes the fault of a frame whose bytes have another digest than they should.
    pub fn altered() -> Fault {
        Fault::damaged("a frame has been altered")
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Fault {
        match error.kind() {
            io::ErrorKind::OutOfMemory => Fault::OutOfMemory,
            _ => Fault::System(error),
        }
    }
}

impl From<std::collections::TryReserveError> for Fault {
    fn from(_: std::collections::TryReserveError) -> Fault {
        Fault::OutOfMemory
    }
}

/// A file that many readers share, each at positions of its own.
pub trait ReadAt {
    fn size(&self) -> io::Result<u64>;

    /// Gives the bytes that can only be read together.
    fn block(&self) -> u64 {
        1
    }

    /// Fills `buffer` from `offset` on. A file that ends before that is an error of the kind
    /// `UnexpectedEof`, and one whose bytes there are known to be wrong `InvalidData`.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;
}

impl<R: ReadAt> ReadAt for &R {
    fn size(&self) -> io::Result<u64> {
        (**self).size()
    }

    fn block(&self) -> u64 {
        (**self).block()
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        (**self).read_exact_at(buffer, offset)
    }
}

impl ReadAt for Vec<u8> {
    fn size(&self) -> io::Result<u64> {
        self.as_slice().size()
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.as_slice().read_exact_at(buffer, offset)
    }
}

impl ReadAt for &[u8] {
    fn size(&self) -> io::Result<u64> {
        Ok(self.len() as u64)
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let part = start
            .checked_add(buffer.len())
            .and_then(|end| self.get(start..end));
        buffer.copy_from_slice(part.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

pub fn digest(bytes: &[u8]) -> Digest {
    use sha2::Digest as _;
    sha2::Sha256::digest(bytes).into()
}

/// Computes the digests of `count` messages, all at once, which is faster than one by one.
pub fn digests<'m>(count: usize, messages: impl Iterator<Item = &'m [u8]>) -> Result<Vec<Digest>> {
    let mut digests = Vec::new();
    digests.try_reserve_exact(count)?;
    digests.resize(count, Digest::default());
    digest::each(messages, |number, digest| {
        if let Some(place) = digests.get_mut(number) {
            *place = digest;
        }
    });
    Ok(digests)
}
