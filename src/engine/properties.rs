//! The properties of a restorer, as `IWMBackupRestoreProps` had them.

use std::path::PathBuf;
use std::sync::Arc;

use crate::encryption::keys::{Keys, identities};
use crate::encryption::lock::{Lock, recipients};
use crate::error::{Error, Outcome, Result};
use crate::license::name::shown;
use crate::location::Location;
use crate::location::address::{Access, Address, Endpoint, Keys as StoreKeys};
use crate::location::places::{in_bucket, in_directory};
use crate::secret::Secret;
use crate::sys::anchor::path_of;
use crate::sys::anchored_path::AnchoredPath;

/// The value of a property, in the type in which it was set.
#[derive(Clone, Debug)]
pub enum Value {
    String(String),
    /// A STRING that nobody gets back.
    Secret(Secret),
    Binary(Vec<u8>),
    Dword(u32),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Property {
    BackupPath,
    RestorePath,
    StorePath,
    Threads,
    CompressionLevel,
    MachineId,
    UnstatedRight,
    Recipients,
    Passphrase,
    Identities,
    Endpoint,
    Region,
    AccessKeyId,
    SecretAccessKey,
    SessionToken,
}

/// All properties, in the order in which they are counted.
const ALL: [(Property, &str); 15] = [
    (Property::BackupPath, "BackupPath"),
    (Property::RestorePath, "RestorePath"),
    (Property::StorePath, "StorePath"),
    (Property::Threads, "Threads"),
    (Property::CompressionLevel, "CompressionLevel"),
    (Property::MachineId, "MachineId"),
    (Property::UnstatedRight, "UnstatedRight"),
    (Property::Recipients, "Recipients"),
    (Property::Passphrase, "Passphrase"),
    (Property::Identities, "Identities"),
    (Property::Endpoint, "Endpoint"),
    (Property::Region, "Region"),
    (Property::AccessKeyId, "AccessKeyId"),
    (Property::SecretAccessKey, "SecretAccessKey"),
    (Property::SessionToken, "SessionToken"),
];

/// The most workers that a host may ask for.
const THREADS_MAX: u32 = 256;
/// Workers beyond these, for each core, would have nothing to do but to hold memory, even where most
/// wait for a store on a network.
const PER_CORE: usize = 4;

impl Property {
    pub fn from_name(name: &str) -> Result<Property> {
        let found = ALL
            .iter()
            .find(|(_, known)| *known == name)
            .map(|(property, _)| *property);
        found.ok_or_else(|| {
            Error::new(
                Outcome::UnsupportedProperty,
                format!("There is no property '{}'.", shown(name)),
            )
        })
    }

    pub fn is_secret(self) -> bool {
        matches!(
            self,
            Property::Passphrase
                | Property::Identities
                | Property::SecretAccessKey
                | Property::SessionToken
        )
    }

    fn name(self) -> &'static str {
        ALL.iter()
            .find(|(property, _)| *property == self)
            .map_or("", |(_, name)| name)
    }

    /// Says which values the property can have, for a sentence.
    fn range(self) -> String {
        match self {
            Property::BackupPath | Property::RestorePath => {
                "a path without a NUL and without '://', or s3://bucket/prefix".into()
            }
            Property::StorePath => "a path without a NUL and without '://'".into(),
            Property::Threads => format!("a DWORD from 0 to {THREADS_MAX}"),
            Property::CompressionLevel => {
                let levels = crate::archive::frames::levels();
                format!("a DWORD from {} to {}", levels.start(), levels.end())
            }
            Property::MachineId => "a STRING without a NUL".into(),
            Property::UnstatedRight => "a DWORD, 0 or 1".into(),
            Property::Recipients => "a STRING of age recipients (age1…), one a line".into(),
            Property::Passphrase => "a STRING that is not empty and has no NUL".into(),
            Property::Identities => {
                "a STRING of age identities (AGE-SECRET-KEY-1…), one a line".into()
            }
            Property::Endpoint => {
                "a STRING as https://host or http://host, perhaps with a port and a path".into()
            }
            Property::Region => "a STRING of letters, digits and hyphens".into(),
            Property::AccessKeyId | Property::SecretAccessKey | Property::SessionToken => {
                "a STRING of ASCII without control characters".into()
            }
        }
    }

    /// Tells whether the property can have this value.
    fn takes(self, value: &Value) -> bool {
        match (self, value) {
            (Property::BackupPath | Property::RestorePath, path) if address_in(path).is_some() => {
                true
            }
            (
                Property::BackupPath | Property::RestorePath | Property::StorePath,
                Value::String(path),
            ) => is_path(path.as_bytes()),
            (
                Property::BackupPath | Property::RestorePath | Property::StorePath,
                Value::Binary(path),
            ) => path_of(path).is_some_and(|path| is_path(path.as_os_str().as_encoded_bytes())),
            (Property::Threads, Value::Dword(threads)) => *threads <= THREADS_MAX,
            (Property::CompressionLevel, Value::Dword(level)) => {
                crate::archive::frames::levels().contains(&level.cast_signed())
            }
            (Property::MachineId, Value::String(machine)) => !machine.contains('\0'),
            (Property::UnstatedRight, Value::Dword(leave_out)) => *leave_out <= 1,
            (Property::Recipients, Value::String(text)) => recipients(text).is_some(),
            (Property::Passphrase, Value::Secret(text)) => {
                !text.text().is_empty() && !text.text().contains('\0')
            }
            (Property::Identities, Value::Secret(text)) => identities(text.text()).is_some(),
            (Property::Endpoint, Value::String(text)) => Endpoint::parse(text).is_some(),
            (Property::Region, Value::String(text)) => is_region(text),
            (Property::AccessKeyId, Value::String(text)) => is_key(text),
            (Property::SecretAccessKey | Property::SessionToken, Value::Secret(text)) => {
                is_key(text.text())
            }
            _ => false,
        }
    }
}

/// Gives the address in object storage that a path is, if it is one.
fn address_in(path: &Value) -> Option<Address> {
    match path {
        Value::String(text) => Address::parse(text),
        Value::Binary(bytes) => Address::parse(path_of(bytes)?.to_str()?),
        Value::Dword(_) | Value::Secret(_) => None,
    }
}

/// Tells whether `text` can be the name of a region.
fn is_region(text: &str) -> bool {
    let is_own = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=64).contains(&text.len()) && text.bytes().all(is_own)
}

/// Tells whether `text` can stand in a header, as a key to a store does.
fn is_key(text: &str) -> bool {
    let is_own = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
    !text.is_empty() && text.trim() == text && text.bytes().all(is_own)
}

/// Tells whether `path` is a system path; a path with a scheme is another place.
fn is_path(path: &[u8]) -> bool {
    !path.contains(&0) && !path.windows(3).any(|part| part == b"://")
}

/// The properties that are set, and no others.
#[derive(Clone, Debug, Default)]
pub struct Properties {
    values: [Option<Value>; ALL.len()],
}

impl Properties {
    pub fn set(&mut self, property: Property, value: Value) -> Result<()> {
        let value = match value {
            Value::String(text) if property.is_secret() => {
                Value::Secret(Secret::new(text).map_err(|_| Error::out_of_memory())?)
            }
            value => value,
        };
        if !property.takes(&value) {
            let sentence = format!("{} must be {}.", property.name(), property.range());
            return Err(Error::new(Outcome::InvalidArgument, sentence));
        }
        *self.slot(property)? = Some(value);
        Ok(())
    }

    pub fn remove(&mut self, property: Property) -> Result<()> {
        *self.slot(property)? = None;
        Ok(())
    }

    fn slot(&mut self, property: Property) -> Result<&mut Option<Value>> {
        let slot = self.values.get_mut(property as usize);
        slot.ok_or_else(|| Error::panicked(&"a property without a place"))
    }

    pub fn get(&self, property: Property) -> Result<&Value> {
        let missing = || {
            Error::new(
                Outcome::InvalidProperty,
                format!("{} is not set. Set it and try again.", property.name()),
            )
        };
        self.values
            .get(property as usize)
            .and_then(Option::as_ref)
            .ok_or_else(missing)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &Value)> {
        ALL.iter()
            .zip(&self.values)
            .filter_map(|((_, name), value)| Some((*name, value.as_ref()?)))
    }

    /// Gives the path in `property`, as it is meant now; an empty one is missing.
    pub fn path(&self, property: Property) -> Result<AnchoredPath> {
        let path = match self.get(property)?.clone() {
            Value::String(path) => PathBuf::from(path),
            Value::Binary(path) => path_of(&path).unwrap_or_default(),
            Value::Dword(_) | Value::Secret(_) => PathBuf::new(),
        };
        if path.as_os_str().is_empty() {
            return Err(Error::new(
                Outcome::InvalidProperty,
                format!("{} is empty. Set it and try again.", property.name()),
            ));
        }
        Ok(AnchoredPath::now(path))
    }

    /// Gives the place of backups in `property`, as it is meant now; an empty one is missing.
    pub fn location(&self, property: Property) -> Result<Arc<dyn Location>> {
        match address_in(self.get(property)?) {
            Some(address) => self.bucket(address),
            None => Ok(in_directory(self.path(property)?)),
        }
    }

    /// Gives the place at an address in object storage, with the way and the keys to it.
    fn bucket(&self, address: Address) -> Result<Arc<dyn Location>> {
        let endpoint = self.text(Property::Endpoint).ok();
        let region = match endpoint {
            None => self.text(Property::Region)?,
            // Most stores have one region, and take this for it.
            Some(_) => self.text(Property::Region).unwrap_or("us-east-1"),
        };
        let endpoint = endpoint.and_then(Endpoint::parse);
        let endpoint = endpoint.unwrap_or_else(|| Endpoint::of_aws(region));
        self.get(Property::SecretAccessKey)?;
        let keys = StoreKeys {
            id: self.text(Property::AccessKeyId)?.to_owned(),
            secret: self
                .secret(Property::SecretAccessKey)
                .ok_or_else(Error::out_of_memory)?,
            token: self.secret(Property::SessionToken),
        };
        let region = region.to_owned();
        let access = Access {
            endpoint,
            region,
            keys,
        };
        Ok(in_bucket(address, access))
    }

    fn text(&self, property: Property) -> Result<&str> {
        match self.get(property)? {
            Value::String(text) => Ok(text),
            _ => Ok(""),
        }
    }

    fn number(&self, property: Property) -> Option<u32> {
        match self.get(property) {
            Ok(Value::Dword(number)) => Some(*number),
            _ => None,
        }
    }

    /// Gives the number of workers of an operation.
    pub fn workers(&self) -> usize {
        // To count the cores files are read, too.
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        match self.number(Property::Threads) {
            None | Some(0) => cores().min(THREADS_MAX as usize),
            Some(threads) if threads as usize <= PER_CORE => threads as usize,
            Some(threads) => (threads as usize).min(PER_CORE * cores()),
        }
    }

    /// Gives zstd's level, where the host has set one.
    pub fn level(&self) -> Option<i32> {
        self.number(Property::CompressionLevel)
            .map(u32::cast_signed)
    }

    /// Gives the host's word for this machine, if there is one.
    pub fn machine(&self) -> Option<&str> {
        match self.get(Property::MachineId) {
            Ok(Value::String(machine)) if !machine.is_empty() => Some(machine),
            _ => None,
        }
    }

    pub fn leaves_out_unstated(&self) -> bool {
        self.number(Property::UnstatedRight) == Some(1)
    }

    /// Gives the keys to encrypted backups.
    pub fn keys(&self) -> Keys {
        Keys {
            identities: self.secret(Property::Identities),
            passphrase: self.secret(Property::Passphrase),
        }
    }

    /// Gives the lock of a new backup; none where it is not to be encrypted.
    pub fn lock(&self) -> Result<Option<Lock>> {
        match self.get(Property::Recipients) {
            Ok(Value::String(text)) => {
                // They were looked at when they were set.
                let recipients = recipients(text).ok_or_else(Error::out_of_memory)?;
                Ok(Some(Lock::Recipients(recipients)))
            }
            _ => Ok(self.secret(Property::Passphrase).map(Lock::Passphrase)),
        }
    }

    fn secret(&self, property: Property) -> Option<Secret> {
        match self.get(property) {
            Ok(Value::Secret(text)) => Some(text.clone()),
            _ => None,
        }
    }
}
