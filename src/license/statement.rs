//! The statements that a licence can make about itself.

use super::name::is_key_id;

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
    Wmdrm1,
    Keygen,
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
words!(Format {
    Opaque = 0 "opaque",
    Wmdrm = 1 "wmdrm",
    Xmr = 2 "xmr",
    Lcp = 3 "lcp",
    Oma = 4 "oma",
    Wmdrm1 = 5 "wmdrm1",
    Keygen = 6 "keygen",
});

/// The facts known of a licence besides its name and content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    pub key_id: String,
    /// The key IDs besides the first; most licences have none.
    pub other_key_ids: Vec<String>,
    pub format: Format,
    pub right: BackupRight,
}

impl Statement {
    /// Replaces the key ID by that which somebody else states, who wins. If the content says it
    /// too, its others stay.
    pub fn correct_key_id(&mut self, key_id: &str) {
        if key_id == self.key_id {
            return;
        }
        match self
            .other_key_ids
            .iter_mut()
            .find(|other| **other == key_id)
        {
            Some(other) => std::mem::swap(other, &mut self.key_id),
            None => {
                key_id.clone_into(&mut self.key_id);
                self.other_key_ids.clear();
            }
        }
    }
}

/// The findings of a recogniser in a content.
#[derive(Debug, PartialEq, Eq)]
pub struct Said {
    pub format: Format,
    pub key_ids: KeyIds,
    pub right: BackupRight,
}

impl Said {
    pub fn new(format: Format, right: BackupRight) -> Said {
        Said {
            format,
            key_ids: KeyIds::default(),
            right,
        }
    }

    /// Takes in what another licence in the same content says. What one of them denies is denied,
    /// and only what each of them allows is allowed.
    pub fn join(&mut self, other: Said) {
        self.key_ids.join(other.key_ids);
        self.right = match (self.right, other.right) {
            (right, other) if right == other => right,
            (BackupRight::Denied, _) | (_, BackupRight::Denied) => BackupRight::Denied,
            _ => BackupRight::Unstated,
        };
    }

    /// Joins what all licences in a content say; none of them may say anything.
    pub fn add_to(self, all: &mut Option<Said>) {
        match all {
            Some(said) => said.join(self),
            None => *all = Some(self),
        }
    }
}

/// The key IDs of a licence, each once and in their order, as far as they keep the rule.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct KeyIds(Vec<String>);

/// The most key IDs of a licence that are kept: many times what one has.
const KEY_IDS_MAX: usize = 256;

impl KeyIds {
    pub fn push(&mut self, key_id: &str) {
        let KeyIds(key_ids) = self;
        let is_new = || !key_ids.iter().any(|other| other == key_id);
        if key_ids.len() < KEY_IDS_MAX && is_key_id(key_id) && is_new() {
            key_ids.push(key_id.to_owned());
        }
    }

    fn join(&mut self, KeyIds(others): KeyIds) {
        others.iter().for_each(|key_id| self.push(key_id));
    }

    /// Gives the first key ID and the others.
    pub fn split(self) -> (Option<String>, Vec<String>) {
        let mut key_ids = self.0.into_iter();
        (key_ids.next(), key_ids.collect())
    }
}

#[cfg(test)]
impl KeyIds {
    pub fn all(&self) -> Vec<&str> {
        self.0.iter().map(String::as_str).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_ids_are_kept_in_their_order_and_once() {
        let mut key_ids = KeyIds::default();
        for key_id in ["b", "", "a", "b", "c\n", "a", "c"] {
            key_ids.push(key_id);
        }
        assert_eq!(key_ids.all(), ["b", "a", "c"]);
        (0..1000).for_each(|number| key_ids.push(&number.to_string()));
        assert_eq!(key_ids.all().len(), KEY_IDS_MAX);
        let (first, others) = key_ids.split();
        assert_eq!(
            (first.as_deref(), others.len()),
            (Some("b"), KEY_IDS_MAX - 1)
        );
        assert_eq!(KeyIds::default().split(), (None, Vec::new()));
    }

    #[test]
    fn the_strictest_licence_decides() {
        use BackupRight::{Allowed, Denied, Unstated};
        for (first, second, both) in [
            (Allowed, Allowed, Allowed),
            (Allowed, Unstated, Unstated),
            (Unstated, Unstated, Unstated),
            (Allowed, Denied, Denied),
            (Denied, Unstated, Denied),
        ] {
            for (first, second) in [(first, second), (second, first)] {
                let mut said = None;
                Said::new(Format::Wmdrm, first).add_to(&mut said);
                Said::new(Format::Wmdrm, second).add_to(&mut said);
                assert_eq!(said.unwrap().right, both);
            }
        }
    }

    #[test]
    fn a_stated_key_id_wins() {
        let corrected = |key_id: &str| {
            let mut statement = Statement {
                key_id: "a".to_owned(),
                other_key_ids: vec!["b".to_owned(), "c".to_owned()],
                format: Format::Xmr,
                right: BackupRight::Unstated,
            };
            statement.correct_key_id(key_id);
            (statement.key_id, statement.other_key_ids)
        };
        let expected = |first: &str, others: &[&str]| {
            let others = others.iter().map(|other| (*other).to_owned()).collect();
            (first.to_owned(), others)
        };
        assert_eq!(corrected("a"), expected("a", &["b", "c"]));
        assert_eq!(corrected("c"), expected("c", &["b", "a"]));
        assert_eq!(corrected("x"), expected("x", &[]));
    }
}
