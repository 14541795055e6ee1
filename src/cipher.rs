//! A cipher for what waits on a disk until its turn, with a key that nobody has any more when that is
//! over.

#![forbid(unsafe_code)]

use std::io;

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

    /// Encrypts, or decrypts, the bytes at `offset` of the file. Two contents of one place would be
    /// encrypted alike.
    pub fn apply(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        let too_large = |_| io::Error::from(io::ErrorKind::FileTooLarge);
        let key: &[u8; 32] = &self.0;
        let mut cipher = ChaCha20::new(key.into(), &[0; 12].into());
        cipher.try_seek(offset).map_err(too_large)?;
        cipher.try_apply_keystream(bytes).map_err(too_large)
    }
}
