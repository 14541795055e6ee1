//! The statements that a licence can make about itself.

/// The issuer's statement about backing the licence up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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

    /// Tells whether a licence with this right stays out of a backup.
    pub fn is_restricted(self, leave_out_unstated: bool) -> bool {
        match self {
            BackupRight::Denied => true,
            BackupRight::Unstated => leave_out_unstated,
            BackupRight::Allowed => false,
        }
    }
}

/// The kind of a licence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    Opaque,
    Wmdrm,
    Xmr,
    Lcp,
    Oma,
}

macro_rules! words {
    ($type:ty { $($variant:ident = $number:literal $word:literal),+ $(,)? }) => {
        impl $type {
            /// Gives the number on the ABI.
            pub fn number(self) -> u32 {
                match self { $(Self::$variant => $number),+ }
            }

            /// Gives the word in a backup.
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
words!(Format { Opaque = 0 "opaque", Wmdrm = 1 "wmdrm", Xmr = 2 "xmr", Lcp = 3 "lcp", Oma = 4 "oma" });

/// The facts known of a licence besides its name and content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    pub key_id: String,
    pub format: Format,
    pub right: BackupRight,
}

/// The findings of a recogniser in a content.
#[derive(Debug, PartialEq, Eq)]
pub struct Said {
    pub format: Format,
    pub key_id: Option<String>,
    pub right: BackupRight,
}
