//! The keys to an encrypted backup.

use std::cell::RefCell;
use std::io;
use std::str::FromStr;

use age::secrecy::ExposeSecret;
use age::x25519::Identity;
use age::{DecryptError, scrypt};
use age_core::format::{FileKey, Stanza};

use crate::cipher;
use crate::secret::Secret;

/// The work of a passphrase, as a power of two: about a second.
pub const WORK_FACTOR: u8 = 18;
/// The most work that a file may ask for: a gibibyte of memory.
const WORK_FACTOR_MAX: u8 = 20;
/// The stanza of a passphrase.
const PASSPHRASE: &str = "scrypt";

/// The keys that a host has set, as texts: what is made of them is gone when they have been tried.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    pub identities: Option<Secret>,
    pub passphrase: Option<Secret>,
}

/// Reads identities, one a line; None where a line is none, or there is none at all.
pub fn identities(text: &str) -> Option<Vec<Identity>> {
    lines(text)
}

/// Reads the lines of a file of age keys; empty lines and those that begin with # say nothing.
pub(super) fn lines<K: FromStr>(text: &str) -> Option<Vec<K>> {
    let told = || {
        let lines = text.lines().map(str::trim);
        lines.filter(|line| !line.is_empty() && !line.starts_with('#'))
    };
    let mut keys = Vec::new();
    // A vector that grows would leave copies of secrets behind.
    keys.try_reserve_exact(told().count()).ok()?;
    for line in told() {
        keys.push(line.parse().ok()?);
    }
    (!keys.is_empty()).then_some(keys)
}

impl Keys {
    pub fn is_empty(&self) -> bool {
        self.identities.is_none() && self.passphrase.is_none()
    }
}

/// Fails where the system gives no random bytes: without them age would panic.
pub(super) fn check_randomness() -> io::Result<()> {
    cipher::fill(&mut [0])
}

/// Fails where there is no memory for the work of a passphrase: without it the process would end.
pub(super) fn check_work(factor: u8) -> io::Result<()> {
    const BLOCK: usize = 128 * 8;
    let room = Vec::<u8>::new().try_reserve_exact(BLOCK << factor);
    room.map_err(|_| io::ErrorKind::OutOfMemory.into())
}

/// The keys while they are tried on a file. The key of the file itself is kept.
pub(super) struct Trial<'k> {
    identities: Vec<Identity>,
    passphrase: Option<&'k Secret>,
    pub found: RefCell<Option<Opened>>,
    pub lacks_memory: RefCell<bool>,
}

/// The key of a file that was opened.
pub(super) struct Opened {
    pub key: FileKey,
    pub by_passphrase: bool,
}

impl<'k> Trial<'k> {
    pub fn of(keys: &'k Keys) -> Trial<'k> {
        Trial {
            identities: identities(keys.identities.as_ref().map_or("", Secret::text))
                .unwrap_or_default(),
            passphrase: keys.passphrase.as_ref(),
            found: RefCell::default(),
            lacks_memory: RefCell::default(),
        }
    }

    fn by_passphrase(&self, stanza: &Stanza) -> Option<Result<FileKey, DecryptError>> {
        let passphrase = self.passphrase?;
        let factor = stanza.args.get(1).and_then(|factor| factor.parse().ok());
        if factor.is_some_and(|factor| factor <= WORK_FACTOR_MAX && check_work(factor).is_err()) {
            *self.lacks_memory.borrow_mut() = true;
            return Some(Err(DecryptError::NoMatchingKeys));
        }
        let mut identity = scrypt::Identity::new(passphrase.text().into());
        identity.set_max_work_factor(WORK_FACTOR_MAX);
        age::Identity::unwrap_stanza(&identity, stanza)
    }
}

impl age::Identity for Trial<'_> {
    fn unwrap_stanza(&self, stanza: &Stanza) -> Option<Result<FileKey, DecryptError>> {
        let by_passphrase = stanza.tag == PASSPHRASE;
        let unwrapped = match by_passphrase {
            true => self.by_passphrase(stanza),
            false => {
                let mut identities = self.identities.iter();
                identities.find_map(|identity| age::Identity::unwrap_stanza(identity, stanza))
            }
        };
        if let Some(Ok(key)) = &unwrapped {
            let key = copy(key);
            *self.found.borrow_mut() = Some(Opened { key, by_passphrase });
        }
        unwrapped
    }
}

/// The key of a file that has been opened before.
pub(super) struct Known<'k>(pub &'k FileKey);

impl age::Identity for Known<'_> {
    fn unwrap_stanza(&self, _: &Stanza) -> Option<Result<FileKey, DecryptError>> {
        Some(Ok(copy(self.0)))
    }
}

fn copy(key: &FileKey) -> FileKey {
    FileKey::init_with_mut(|copy| copy.copy_from_slice(key.expose_secret()))
}
