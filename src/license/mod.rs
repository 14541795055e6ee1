//! What a licence says of itself. Pure: bytes in, values out.

#![forbid(unsafe_code)]

pub mod name;

use name::stem;

use crate::error::{Error, Outcome, Result};

/// Bytes of one licence; what is larger is none.
pub const SIZE_MAX: u64 = 16 << 20;

/// Refuses a licence of more than [`SIZE_MAX`] bytes.
pub fn check_size(name: &str, size: u64) -> Result<()> {
    if size <= SIZE_MAX {
        return Ok(());
    }
    let sentence = format!(
        "The licence '{name}' has {size} bytes, and a backup takes licences of 16 MiB (16,777,216 \
         bytes) at most. A store is to hold licences only: move it elsewhere."
    );
    Err(Error::new(Outcome::FileTooLarge, sentence))
}

/// What the issuer says about backing the licence up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackupRight {
    Unstated,
    Allowed,
    Denied,
}

impl BackupRight {
    pub fn from_number(number: u32) -> Option<BackupRight> {
        let all = [
            BackupRight::Unstated,
            BackupRight::Allowed,
            BackupRight::Denied,
        ];
        all.into_iter().find(|right| right.number() == number)
    }

    /// Whether a licence with this right stays out of a backup.
    pub fn is_restricted(self, leave_out_unstated: bool) -> bool {
        match self {
            BackupRight::Denied => true,
            BackupRight::Unstated => leave_out_unstated,
            BackupRight::Allowed => false,
        }
    }
}

/// Which kind of licence it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Opaque,
}

macro_rules! words {
    ($type:ty { $($variant:ident = $number:literal $word:literal),+ $(,)? }) => {
        impl $type {
            /// The number on the ABI.
            pub fn number(self) -> u32 {
                match self { $(Self::$variant => $number),+ }
            }

            /// The word in a backup.
            pub fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            pub fn from_word(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}

words!(BackupRight { Unstated = 0 "unstated", Allowed = 1 "allowed", Denied = 2 "denied" });
words!(Format { Opaque = 0 "opaque" });

/// What is known of a licence besides its name and content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    pub key_id: String,
    pub format: Format,
    pub right: BackupRight,
}

/// Reads what the licence `name` says of itself; what says nothing is opaque and goes by its file's
/// stem.
pub fn read(name: &str, _content: &[u8]) -> Statement {
    Statement {
        key_id: stem(name).to_owned(),
        format: Format::Opaque,
        right: BackupRight::Unstated,
    }
}
