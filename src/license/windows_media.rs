//! Reads the XML that holds licences of Windows Media: an element LICENSE whose version tells what
//! it is, alone or in the response of a server.
//!
//! Source: [MS-DRM] 2.2.3.2.4: a LICENSERESPONSE has any number of elements LICENSE, of versions
//! that may differ. Those of version 7 are encrypted on their way; a client keeps them decrypted.

use super::statement::{BackupRight, Said};
use super::{wmdrm, wmdrm1, xmr};
use crate::error::Result;
use crate::xml;

pub const LICENSE: &str = "LICENSE";
pub const RESPONSE: &str = "LICENSERESPONSE";
/// The path of a licence in a response, but for its own.
const IN_RESPONSE: &str = "LICENSERESPONSE/";

/// Reads all licences in a document.
pub fn read(document: &str) -> Result<Option<Said>> {
    let (mut reading, mut outcome) = (Reading::default(), Ok(()));
    let walked = xml::walk(document, &[], |path, node| {
        reading.visit(path, &node).unwrap_or_else(|error| {
            outcome = Err(error);
            xml::Next::Stop
        })
    });
    outcome?;
    reading.end()?;
    let said = reading.said.map(|mut said| {
        if reading.has_closed && said.right == BackupRight::Allowed {
            said.right = BackupRight::Unstated;
        }
        said
    });
    Ok(walked.and(said))
}

#[derive(Default)]
struct Reading {
    said: Option<Said>,
    /// There is a licence that is encrypted, of whose rights nothing is known.
    has_closed: bool,
    license: License,
    /// The base64 of a licence, in memory that the next one uses again.
    base64: String,
}

/// The licence that is being read.
#[derive(Default)]
enum License {
    #[default]
    None,
    Version7 {
        reading: wmdrm::Reading,
        is_in_response: bool,
    },
    /// A licence that is the base64 of what this function reads.
    Encoded(fn(&[u8]) -> Option<Said>),
}

impl Reading {
    fn visit(&mut self, path: &str, node: &xml::Node) -> Result<xml::Next> {
        let of_license = path.strip_prefix(IN_RESPONSE).unwrap_or(path);
        if let (LICENSE, xml::Node::Element(_)) = (of_license, node) {
            self.end()?;
            self.license = match node.attribute("version").as_deref() {
                Some(wmdrm::VERSION) => License::Version7 {
                    reading: wmdrm::Reading::default(),
                    is_in_response: of_license != path,
                },
                Some(xmr::VERSION) => License::Encoded(xmr::read),
                Some(version) if wmdrm1::VERSIONS.contains(&version) => {
                    License::Encoded(wmdrm1::read)
                }
                _ => License::None,
            };
            return Ok(xml::Next::Into);
        }
        if path == RESPONSE {
            return Ok(xml::Next::Into);
        }
        match (&mut self.license, node) {
            (License::Version7 { reading, .. }, node) => return Ok(reading.visit(of_license, node)),
            (_, xml::Node::Element(_)) => return Ok(xml::Next::Past),
            (License::Encoded(_), xml::Node::Text(text)) => {
                self.base64.try_reserve(text.len())?;
                self.base64.push_str(text);
            }
            (License::Encoded(_), xml::Node::Entity) => self.license = License::None,
            (License::None, _) => {}
        }
        Ok(xml::Next::Into)
    }

    /// Ends the licence that is being read.
    fn end(&mut self) -> Result<()> {
        let said = match std::mem::take(&mut self.license) {
            License::Version7 {
                reading,
                is_in_response,
            } => {
                let is_closed = is_in_response && !reading.is_open;
                self.has_closed |= is_closed;
                (!is_closed).then(|| reading.said())
            }
            License::Encoded(read) => {
                let content = super::base64_text::decode(&self.base64)?;
                content.and_then(|content| read(&content))
            }
            License::None => None,
        };
        self.base64.clear();
        if let Some(said) = said {
            said.add_to(&mut self.said);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

    use super::super::statement::Format;
    use super::*;

    const GRANT: &str = "<ONACTION type='Backup'/>";

    fn version_7(key_id: &str, actions: &str) -> String {
        format!(
            "<LICENSE version='2.0.0.0'><LICENSORINFO><DATA><KID>{key_id}</KID>{actions}</DATA>\
             </LICENSORINFO></LICENSE>"
        )
    }

    fn encoded(version: &str, text: &str) -> String {
        format!("<LICENSE version='{version}'>{text}</LICENSE>")
    }

    fn of_xmr(byte: u8) -> Vec<u8> {
        let key = xmr::tests::object(1, 10, &[byte; 16]);
        xmr::tests::license(&xmr::tests::object(3, 1, &key))
    }

    /// Gives the format, the right, and all key IDs.
    fn said(document: &str) -> Option<(Format, BackupRight, String)> {
        let said = read(document).unwrap()?;
        Some((said.format, said.right, said.key_ids.all().join(" ")))
    }

    fn expected(
        format: Format,
        right: BackupRight,
        key_ids: &str,
    ) -> Option<(Format, BackupRight, String)> {
        Some((format, right, key_ids.to_owned()))
    }

    #[test]
    fn a_response_is_read_as_what_is_in_it() {
        use BackupRight::{Allowed, Denied, Unstated};
        let response = |licenses: &[&str]| {
            let revocation = "<REVOCATION type='x'>AAAA<LICENSE version='2.0.0.0'/></REVOCATION>";
            format!(
                "<LICENSERESPONSE>{revocation}\r\n{}</LICENSERESPONSE>",
                licenses.join("\n")
            )
        };
        let (granted, denied) = (version_7("a", GRANT), version_7("b", ""));
        let of_1 = encoded("0.1.0.1", &STANDARD.encode(wmdrm1::tests::license("c", 1)));
        let of_1_denied = encoded("0.1.0.0", &STANDARD.encode(wmdrm1::tests::license("d", 5)));
        let encrypted = encoded("2.0.0.0", "AAAAAAAA");
        let of_xmr = encoded("3.0.0.0", &STANDARD.encode(of_xmr(0)));
        let cases: [(&[&str], _); 10] = [
            (&[&granted], expected(Format::Wmdrm, Allowed, "a")),
            (&[&denied], expected(Format::Wmdrm, Denied, "b")),
            (&[&granted, &denied], expected(Format::Wmdrm, Denied, "a b")),
            (&[&granted, &of_1], expected(Format::Wmdrm, Unstated, "a c")),
            (&[&of_1], expected(Format::Wmdrm1, Unstated, "c")),
            (
                &[&of_1, &of_1_denied, &of_1],
                expected(Format::Wmdrm1, Denied, "c d"),
            ),
            (
                &[&encrypted, &of_xmr],
                expected(Format::Xmr, Unstated, "AAAAAAAAAAAAAAAAAAAAAA=="),
            ),
            (
                &[&encrypted, &granted],
                expected(Format::Wmdrm, Unstated, "a"),
            ),
            (&[&encrypted], None),
            (&[], None),
        ];
        for (licenses, expected) in cases {
            assert_eq!(said(&response(licenses)), expected, "{licenses:?}");
        }
        // Without a response around them too.
        assert_eq!(
            said(&format!("{granted}\n{denied}")),
            expected(Format::Wmdrm, Denied, "a b")
        );
        assert_eq!(said(&format!("<a>{granted}</a>")), None);
    }

    #[test]
    fn base64_is_read_as_it_is_written() {
        let license = of_xmr(0xFB);
        let (plain, other) = (STANDARD.encode(&license), URL_SAFE_NO_PAD.encode(&license));
        let (first, rest) = plain.split_at(11);
        let key_id = STANDARD.encode([0xFB; 16]);
        for text in [
            &plain,
            &other,
            plain.trim_end_matches('='),
            &format!("\n{first}\r\n<!-- --> {rest}\t"),
            &format!("<![CDATA[{first}]]>{rest}<META>x</META>"),
        ] {
            let license = encoded("3.0.0.0", text);
            assert_eq!(
                said(&license),
                expected(Format::Xmr, BackupRight::Unstated, &key_id),
                "{text}"
            );
        }
        for text in ["", "AAAA", "x", &plain[..20], &format!("{first}&e;{rest}")] {
            let license = format!("<!DOCTYPE a>{}", encoded("3.0.0.0", text));
            assert_eq!(said(&license), None, "{text}");
        }
        assert_eq!(said(&encoded("4.0.0.0", &plain)), None);
    }
}
