//! Encrypted backups: the whole of a backup's bytes as the payload of one age file
//! (age-encryption.org/v1), which `age -d` opens. All cryptography is that of the `age` crate, but
//! for what only waits on a disk under a key that is thrown away.
//!
//! The payload comes in chunks of 64 KiB, each sealed by itself with its number, the last one as
//! such. So it is read from any offset, and its length is known to be right when its last chunk is.

#![forbid(unsafe_code)]

pub mod keys;
pub mod lock;
#[cfg(any(test, fuzzing))]
pub mod parsers;
pub mod payload;
pub mod waiting;
mod window;

use age::stream::StreamWriter;

/// The beginning of every encrypted backup, of any version of age.
pub const MAGIC: &[u8] = b"age-encryption.org/";

/// Bytes of a chunk of the payload, and of what is added to each.
const CHUNK: u64 = 64 << 10;
const TAG: u64 = 16;
/// Bytes of a chunk in the file.
const SEALED: u64 = CHUNK + TAG;

/// A writer that encrypts what it gets; nothing is whole until it is finished.
pub type Encrypted<W> = StreamWriter<W>;
