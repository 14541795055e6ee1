//! Reads Readium LCP licences: JSON.
//!
//! Source: Licensed Content Protection Specification 1.0, 3 (License Document): `id`, `issued`,
//! `provider` and `encryption` are in every one. Neither `links`, which was an object before the
//! specification was final and is a list since, nor `rights` tell anything about a backup.

use serde::Deserialize;
use serde::de::IgnoredAny;
use std::borrow::Cow;

use super::name::KEY_ID_MAX;
use super::statement::{BackupRight, Format, Said};
use crate::json;

#[derive(Deserialize)]
struct Document<'d> {
    #[serde(borrow)]
    id: Cow<'d, str>,
    #[serde(borrow, rename = "issued")]
    _issued: Cow<'d, str>,
    #[serde(borrow, rename = "provider")]
    _provider: Cow<'d, str>,
    #[serde(rename = "encryption")]
    _encryption: Encryption,
}

/// The encryption: an object, whose content is the reader's business.
#[derive(Deserialize)]
struct Encryption {
    #[serde(default, rename = "profile")]
    _profile: IgnoredAny,
}

pub fn read(document: &str) -> Option<Said> {
    let document: Document = json::parse_text(document).ok()?;
    Some(Said {
        format: Format::Lcp,
        key_id: (document.id.len() <= KEY_ID_MAX).then(|| document.id.into_owned()),
        right: BackupRight::Unstated,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_members_make_a_licence() {
        let whole = r#"{"provider":"https://p.example","links":[{"rel":"hint"}],"id":"urn:\u00e9","issued":"2020-01-01T00:00:00Z","encryption":{"profile":"p"}}"#;
        assert_eq!(read(whole).unwrap().key_id.as_deref(), Some("urn:é"));
        assert!(read(&whole.replace("[{\"rel\":\"hint\"}]", "{\"hint\":{}}")).is_some());
        for member in ["provider", "id", "issued", "encryption"] {
            assert!(
                read(&whole.replace(&format!("\"{member}\""), "\"x\"")).is_none(),
                "{member}"
            );
        }
        for (text, other) in [("\"urn:\\u00e9\"", "7"), ("{\"profile\":\"p\"}", "\"p\"")] {
            assert!(read(&whole.replace(text, other)).is_none(), "{other}");
        }
        assert!(read(&whole[..whole.len() - 1]).is_none());
        assert!(read(&format!("{whole}x")).is_none());
        assert!(read(&whole.replacen('{', "{\"id\":\"twice\",", 1)).is_none());
        let deep = whole.replace("[{\"rel\":\"hint\"}]", &"[".repeat(500_000));
        assert!(read(&deep).is_none());
    }
}
