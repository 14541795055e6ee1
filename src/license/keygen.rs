//! Reads licence files and machine files of Keygen, as far as they are not encrypted: JSON in
//! base64, between lines like those of PEM.
//!
//! Source: the reference of Keygen's API (keygen.sh/docs/api/cryptography), "Cryptographic license
//! files": the JSON has `enc`, `sig` and `alg`. Where `alg` begins with `base64`, `enc` is the
//! base64 of a document of JSON:API, whose `data.id` is the licence's or the machine's.

use std::borrow::Cow;

use serde::de::{IgnoredAny, MapAccess};

use super::base64_text;
use super::json_object::{Members, Object, Value};
use super::statement::{BackupRight, Format, Said};
use crate::error::Result;
use crate::json;

/// The kinds of files, by the words in their first line and in their last.
const KINDS: [&str; 2] = ["LICENSE FILE", "MACHINE FILE"];

pub fn read(document: &str) -> Result<Option<Said>> {
    let Some(body) = KINDS.iter().find_map(|kind| body(document, kind)) else {
        return Ok(None);
    };
    let Some(file) = base64_text::decode(body)? else {
        return Ok(None);
    };
    let Some(encoded) = encoded(&file) else {
        return Ok(None);
    };
    let data = base64_text::decode(&encoded)?;
    Ok(data.and_then(|data| read_data(&data)))
}

/// Gives what stands between the lines that begin and end a file of that kind.
fn body<'d>(document: &'d str, kind: &str) -> Option<&'d str> {
    let rest = document.strip_prefix("-----BEGIN ")?.strip_prefix(kind)?;
    let (body, end) = rest.strip_prefix("-----")?.split_once("-----END ")?;
    end.strip_prefix(kind)?.starts_with("-----").then_some(body)
}

#[derive(Default)]
struct File<'f> {
    enc: Value<'f>,
    alg: Value<'f>,
}

impl<'f> Members<'f> for File<'f> {
    fn take<A: MapAccess<'f>>(&mut self, name: &str, members: &mut A) -> Result<(), A::Error> {
        match name {
            "enc" => self.enc = members.next_value()?,
            "alg" => self.alg = members.next_value()?,
            _ => drop(members.next_value::<IgnoredAny>()?),
        }
        Ok(())
    }
}

/// Gives the part that is not encrypted.
fn encoded(file: &[u8]) -> Option<Cow<'_, str>> {
    let Object::<File>(file) = json::parse(file).ok()?;
    let (encoding, _) = file.alg.text()?.split_once('+')?;
    match file.enc {
        Value::Text(encoded) if encoding == "base64" => Some(encoded),
        _ => None,
    }
}

#[derive(Default)]
struct Document<'d> {
    data: Option<Object<Resource<'d>>>,
}

impl<'d> Members<'d> for Document<'d> {
    fn take<A: MapAccess<'d>>(&mut self, name: &str, members: &mut A) -> Result<(), A::Error> {
        match name {
            "data" => self.data = Some(members.next_value()?),
            _ => drop(members.next_value::<IgnoredAny>()?),
        }
        Ok(())
    }
}

/// A licence or a machine.
#[derive(Default)]
struct Resource<'r> {
    id: Value<'r>,
}

impl<'r> Members<'r> for Resource<'r> {
    fn take<A: MapAccess<'r>>(&mut self, name: &str, members: &mut A) -> Result<(), A::Error> {
        match name {
            "id" => self.id = members.next_value()?,
            _ => drop(members.next_value::<IgnoredAny>()?),
        }
        Ok(())
    }
}

fn read_data(document: &[u8]) -> Option<Said> {
    let Object::<Document>(document) = json::parse(document).ok()?;
    let Object(resource) = document.data?;
    let mut said = Said::new(Format::Keygen, BackupRight::Unstated);
    said.key_ids.push(resource.id.text()?);
    Some(said)
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    const DATA: &str = r#"{"data":{"type":"licenses","id":"218810ed-2ac8","attributes":{"id":7}},"included":[{"id":"x"}],"meta":{"ttl":3600}}"#;

    fn file(kind: &str, alg: &str, data: &str) -> String {
        let enc = STANDARD.encode(data);
        let file = format!(r#"{{"enc":"{enc}","sig":"c2ln","alg":"{alg}"}}"#);
        let base64 = STANDARD.encode(file);
        let lines: Vec<&str> = base64
            .as_bytes()
            .chunks(60)
            .flat_map(str::from_utf8)
            .collect();
        let body = lines.join("\r\n");
        format!("-----BEGIN {kind} FILE-----\r\n{body}\r\n-----END {kind} FILE-----")
    }

    fn key_id(file: &str) -> Option<String> {
        let said = read(file).unwrap()?;
        assert_eq!(
            (said.format, said.right),
            (Format::Keygen, BackupRight::Unstated)
        );
        said.key_ids.split().0
    }

    #[test]
    fn the_id_of_what_is_not_encrypted_is_read() {
        for kind in ["LICENSE", "MACHINE"] {
            for alg in [
                "base64+ed25519",
                "base64+rsa-sha256",
                "base64+rsa-pss-sha256",
            ] {
                let file = file(kind, alg, DATA);
                assert_eq!(
                    key_id(&file).as_deref(),
                    Some("218810ed-2ac8"),
                    "{kind} {alg}"
                );
                assert_eq!(
                    key_id(&file.replace("\r\n", "")).as_deref(),
                    Some("218810ed-2ac8")
                );
            }
        }
    }

    #[test]
    fn other_files_are_none() {
        for alg in ["aes-256-gcm+ed25519", "ed25519", "", "base64"] {
            assert_eq!(key_id(&file("LICENSE", alg, DATA)), None, "{alg}");
        }
        for data in [
            "",
            "{}",
            "[]",
            r#"{"data":[]}"#,
            r#"{"data":{}}"#,
            r#"{"data":{"id":1}}"#,
        ] {
            assert_eq!(
                key_id(&file("LICENSE", "base64+ed25519", data)),
                None,
                "{data}"
            );
        }
        let whole = file("LICENSE", "base64+ed25519", DATA);
        for (text, other) in [
            ("-----END", "-----"),
            ("END LICENSE", "END MACHINE"),
            ("BEGIN LICENSE", "BEGIN CERTIFICATE"),
            ("FILE-----\r\n", "FILE\r\n"),
            ("ey", "e."),
        ] {
            assert_eq!(key_id(&whole.replace(text, other)), None, "{text}");
        }
        for file in [
            "-----BEGIN LICENSE FILE-----",
            "-----BEGIN LICENSE FILE----------END LICENSE FILE-----",
        ] {
            assert_eq!(key_id(file), None, "{file}");
        }
    }
}
