//! The lock of a new backup: whoever can open it.

use std::io::{self, Write};
use std::iter;

use age::x25519::Recipient;
use age::{Encryptor, scrypt};

use super::keys::{WORK_FACTOR, check_randomness, check_work, lines};
use super::{Encrypted, keys::Keys};
use crate::archive::{Digest, digest};
use crate::secret::Secret;

/// Whoever can open a new backup.
pub enum Lock {
    Recipients(Vec<Recipient>),
    Passphrase(Secret),
}

/// Reads recipients, one a line; None where a line is none, or there is none at all.
pub fn recipients(text: &str) -> Option<Vec<Recipient>> {
    lines(text)
}

impl Lock {
    /// Begins an encrypted file behind `out`, with a new key of its own.
    pub fn encrypt<W: Write>(&self, out: W) -> io::Result<Encrypted<W>> {
        check_randomness()?;
        let encryptor = match self {
            Lock::Recipients(recipients) => {
                let recipients = recipients.iter().map(|recipient| recipient as _);
                Encryptor::with_recipients(recipients)
            }
            Lock::Passphrase(passphrase) => {
                check_work(WORK_FACTOR)?;
                let mut recipient = scrypt::Recipient::new(passphrase.text().into());
                recipient.set_work_factor(WORK_FACTOR);
                Encryptor::with_recipients(iter::once(&recipient as _))
            }
        };
        let encryptor = encryptor.map_err(|_| io::ErrorKind::InvalidInput)?;
        encryptor.wrap_output(out)
    }

    /// Gives what tells these recipients from others, in any order; none for a passphrase.
    pub fn fingerprint(&self) -> Option<Digest> {
        let Lock::Recipients(recipients) = self else {
            return None;
        };
        let mut lines: Vec<_> = recipients.iter().map(Recipient::to_string).collect();
        lines.sort_unstable();
        lines.dedup();
        Some(digest(lines.join("\n").as_bytes()))
    }

    /// Tells whether a backup that `keys` have opened by their passphrase has this one.
    pub fn is_passphrase_of(&self, keys: &Keys) -> bool {
        match (self, &keys.passphrase) {
            (Lock::Passphrase(own), Some(other)) => own.text() == other.text(),
            _ => false,
        }
    }
}
