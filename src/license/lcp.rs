//! Reads Readium LCP licences: JSON.
//!
//! Source: Licensed Content Protection Specification 1.0, 3 (License Document): `id`, `issued`,
//! `provider` and `encryption` are in every one. Neither `links`, which was an object before the
//! specification was final and is a list since, nor `rights` tell anything about a backup.

use serde::de::{IgnoredAny, MapAccess};

use super::json_object::{Members, Object, Value};
use super::statement::{BackupRight, Format, Said};
use crate::json;

#[derive(Default)]
struct Document<'d> {
    id: Value<'d>,
    issued: Value<'d>,
    provider: Value<'d>,
    encryption: Value<'d>,
}

impl<'d> Members<'d> for Document<'d> {
    fn take<A: MapAccess<'d>>(&mut self, name: &str, members: &mut A) -> Result<(), A::Error> {
        let value = match name {
            "id" => &mut self.id,
            "issued" => &mut self.issued,
            "provider" => &mut self.provider,
            "encryption" => &mut self.encryption,
            _ => return members.next_value::<IgnoredAny>().map(drop),
        };
        *value = members.next_value()?;
        Ok(())
    }
}

pub fn read(document: &str) -> Option<Said> {
    let Object::<Document>(document) = json::parse_text(document).ok()?;
    let id = document.id.text()?;
    document.issued.text().and(document.provider.text())?;
    let mut said = Said::new(Format::Lcp, BackupRight::Unstated);
    said.key_ids.push(id);
    (document.encryption == Value::Object).then_some(said)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_members_make_a_licence() {
        let whole = r#"{"provider":"https://p.example","links":[{"rel":"hint"}],"id":"urn:\u00e9","issued":"2020-01-01T00:00:00Z","encryption":{"profile":"p"}}"#;
        let id = |text: &str| read(text).and_then(|said| said.key_ids.split().0);
        assert_eq!(id(whole).as_deref(), Some("urn:é"));
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
        for twice in ["\"twice\"", "7"] {
            let twice = whole.replacen('{', &format!("{{\"id\":{twice},"), 1);
            assert_eq!(id(&twice).as_deref(), Some("urn:é"));
        }
        let last = whole.replace("\"issued\"", "\"id\":\"last\",\"issued\"");
        assert_eq!(id(&last).as_deref(), Some("last"));
        let deep = whole.replace("[{\"rel\":\"hint\"}]", &"[".repeat(500_000));
        assert!(read(&deep).is_none());
    }
}
