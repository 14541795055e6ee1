//! What a licence can say of itself.

/// What the issuer says about backing the licence up.
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
words!(Format { Opaque = 0 "opaque", Wmdrm = 1 "wmdrm", Xmr = 2 "xmr", Lcp = 3 "lcp", Oma = 4 "oma" });

/// What is known of a licence besides its name and content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    pub key_id: String,
    pub format: Format,
    pub right: BackupRight,
}

/// What a recogniser finds in a content.
pub struct Said {
    pub format: Format,
    pub key_id: Option<String>,
    pub right: BackupRight,
}
