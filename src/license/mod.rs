//! Reads the statements that a licence makes about itself. Pure: bytes in, values out.

#![forbid(unsafe_code)]

mod base64_text;
mod json_object;
mod keygen;
mod lcp;
pub mod name;
mod oma;
#[cfg(any(test, fuzzing))]
pub mod parsers;
mod plain_xml;
mod statement;
mod text;
mod wbxml;
mod windows_media;
mod wmdrm;
mod wmdrm1;
mod xmr;

use self::name::stem;
use self::statement::Said;
pub use self::statement::{BackupRight, Format, Statement};

use crate::error::{Error, Outcome, Result};
use crate::xml;

/// Bytes of the largest licence; a larger file is no licence.
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
    let reason = format_args!("it has {size} bytes, and 16 MiB are the most");
    Err(Error::new(Outcome::FileTooLarge, sentence).of_one(reason))
}

/// Bytes of the largest content that is parsed.
const PARSED_MAX: usize = 1 << 20;

/// Reads the statements of the licence `name` about itself. A licence that says nothing known, or
/// is broken, is opaque and gets its file's stem as key ID; the only error is lack of memory.
///
/// What it finds in a content changes only with the library's version: a repeated backup does not
/// look into unchanged licences again.
pub fn read(name: &str, content: &[u8]) -> Result<Statement> {
    let said = match content.len() <= PARSED_MAX {
        true => recognise(content)?,
        false => None,
    };
    let said = said.unwrap_or_else(|| Said::new(Format::Opaque, BackupRight::Unstated));
    let (key_id, other_key_ids) = said.key_ids.split();
    Ok(Statement {
        key_id: key_id.unwrap_or_else(|| stem(name).to_owned()),
        other_key_ids,
        format: said.format,
        right: said.right,
    })
}

fn recognise(content: &[u8]) -> Result<Option<Said>> {
    match content {
        [b'X', b'M', b'R', 0, ..] => return Ok(xmr::read(content)),
        [0, 1, 0, ..] => return Ok(wmdrm1::read(content)),
        [version, ..] if wbxml::VERSIONS.contains(version) => return Ok(oma::read_binary(content)),
        _ => {}
    }
    let Some(text) = text::decode(content)? else {
        return Ok(oma::read_message(content));
    };
    let document = text::document(&text);
    match document.as_bytes() {
        [b'<', ..] => recognise_xml(document),
        [b'{', ..] => Ok(lcp::read(document)),
        [b'-', ..] => match keygen::read(document)? {
            None => Ok(oma::read_message(document.as_bytes())),
            said => Ok(said),
        },
        _ if document.starts_with(xmr::BASE64) => read_base64(document, xmr::read),
        _ if document.starts_with(wmdrm1::BASE64) => read_base64(document, wmdrm1::read),
        _ => Ok(None),
    }
}

fn read_base64(document: &str, read: impl Fn(&[u8]) -> Option<Said>) -> Result<Option<Said>> {
    let content = base64_text::decode(document)?;
    Ok(content.and_then(|content| read(&content)))
}

fn recognise_xml(document: &str) -> Result<Option<Said>> {
    if let Some(said) = wmdrm::read_plain(document) {
        return Ok(Some(said));
    }
    match xml::root(document).as_deref() {
        Some(windows_media::LICENSE | windows_media::RESPONSE) => windows_media::read(document),
        Some(_) => Ok(oma::read(document)),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    const WMDRM: &str = "<LICENSE version='2.0.0.0'><LICENSORINFO><DATA><KID>Zm9v</KID>\
                         <ONACTION type='Backup'/></DATA></LICENSORINFO></LICENSE>";

    fn said(content: &[u8]) -> (Format, String, BackupRight) {
        let statement = read("a/stem.x", content).unwrap();
        (statement.format, statement.key_id, statement.right)
    }

    #[test]
    fn each_format_is_known_by_its_content() {
        let lcp = "{\"id\":\"u\",\"issued\":\"\",\"provider\":\"\",\"encryption\":{}}";
        let oma = "<rights xmlns='http://odrl.net/1.1/ODRL-EX'/>";
        let xmr = xmr::tests::license(&xmr::tests::object(1, 10, &[0; 16]));
        let base64 = |content: &[u8]| STANDARD.encode(content);
        let (xmr_base64, wmdrm1) = (base64(&xmr), wmdrm1::tests::license("k1", 5));
        let wmdrm1_base64 = base64(&wmdrm1);
        let enc = base64(b"{\"data\":{\"id\":\"k2\"}}");
        let file = base64(format!("{{\"enc\":\"{enc}\",\"alg\":\"base64+ed25519\"}}").as_bytes());
        let keygen = format!("-----BEGIN LICENSE FILE-----\n{file}\n-----END LICENSE FILE-----\n");
        let binary = b"\x03\x0E\x6A\0\x45\x4D\x52\x13\x01\x01\x01";
        let message = format!(
            "--b\r\nContent-Type: application/vnd.oma.drm.rights+xml\r\n\r\n{oma}\r\n--b--"
        );
        let cases: [(&[u8], Format, &str, BackupRight); 14] = [
            (
                xmr_base64.as_bytes(),
                Format::Xmr,
                "AAAAAAAAAAAAAAAAAAAAAA==",
                BackupRight::Unstated,
            ),
            (&wmdrm1, Format::Wmdrm1, "k1", BackupRight::Denied),
            (
                wmdrm1_base64.as_bytes(),
                Format::Wmdrm1,
                "k1",
                BackupRight::Denied,
            ),
            (
                keygen.as_bytes(),
                Format::Keygen,
                "k2",
                BackupRight::Unstated,
            ),
            (binary, Format::Oma, "stem", BackupRight::Denied),
            (
                message.as_bytes(),
                Format::Oma,
                "stem",
                BackupRight::Unstated,
            ),
            (
                b"----- x -----",
                Format::Opaque,
                "stem",
                BackupRight::Unstated,
            ),
            (
                WMDRM.as_bytes(),
                Format::Wmdrm,
                "Zm9v",
                BackupRight::Allowed,
            ),
            (lcp.as_bytes(), Format::Lcp, "u", BackupRight::Unstated),
            (oma.as_bytes(), Format::Oma, "stem", BackupRight::Unstated),
            (
                &xmr,
                Format::Xmr,
                "AAAAAAAAAAAAAAAAAAAAAA==",
                BackupRight::Unstated,
            ),
            (
                b"<LICENSE version='1.0'/>",
                Format::Opaque,
                "stem",
                BackupRight::Unstated,
            ),
            (b"SERVER x", Format::Opaque, "stem", BackupRight::Unstated),
            (b"", Format::Opaque, "stem", BackupRight::Unstated),
        ];
        for (content, format, key_id, right) in cases {
            assert_eq!(said(content), (format, key_id.to_owned(), right));
        }
    }

    #[test]
    fn every_key_id_of_a_licence_is_told() {
        let keys = [1, 2, 1].map(|byte| xmr::tests::object(1, 10, &[byte; 16]));
        let statement = read("a.xmr", &xmr::tests::license(&keys.concat())).unwrap();
        assert_eq!(statement.key_id, STANDARD.encode([1; 16]));
        assert_eq!(statement.other_key_ids, [STANDARD.encode([2; 16])]);
        assert!(read("a", b"x").unwrap().other_key_ids.is_empty());
    }

    #[test]
    fn an_id_that_breaks_the_rule_is_none() {
        let long = "x".repeat(1025);
        for bad in ["", " ", "a&#9;b", &long] {
            let content = WMDRM.replace("Zm9v", bad);
            assert_eq!(
                said(content.as_bytes()),
                (Format::Wmdrm, "stem".into(), BackupRight::Allowed)
            );
        }
    }

    #[test]
    fn what_is_large_is_not_looked_into() {
        let padded = |size: usize| WMDRM.to_owned() + &" ".repeat(size - WMDRM.len());
        assert_eq!(said(padded(PARSED_MAX).as_bytes()).0, Format::Wmdrm);
        assert_eq!(said(padded(PARSED_MAX + 1).as_bytes()).0, Format::Opaque);
    }

    #[test]
    fn the_corpora_of_the_fuzz_targets_hold() {
        parsers::check_corpora(&parsers::ALL);
    }

    /// Gives the files of all targets' corpora.
    fn corpora() -> Vec<Vec<u8>> {
        let corpora = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
        let files =
            parsers::ALL.map(|(target, _)| std::fs::read_dir(corpora.join(target)).unwrap());
        let files = files.into_iter().flatten();
        files
            .map(|file| std::fs::read(file.unwrap().path()).unwrap())
            .collect()
    }

    #[test]
    fn altered_contents_are_read_by_every_parser() {
        let contents = corpora();
        let mut random = 1_u64;
        let mut below = |end: usize| {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) as usize % end.max(1)
        };
        for _ in 0..5000 {
            let mut content = contents[below(contents.len())].clone();
            for _ in 0..=below(3) {
                let start = below(content.len());
                let end = start + below(content.len() - start).min(below(64));
                match below(3) {
                    0 => drop(content.drain(start..end)),
                    1 => {
                        let other = &contents[below(contents.len())];
                        let from = below(other.len());
                        let to = from + below(other.len() - from).min(below(64));
                        drop(content.splice(start..end, other[from..to].iter().copied()));
                    }
                    _ => drop(content.splice(start..end, [below(256) as u8])),
                }
            }
            parsers::ALL.iter().for_each(|(_, parse)| parse(&content));
        }
    }

    #[test]
    fn what_programs_put_around_a_text_says_nothing() {
        for content in corpora() {
            if str::from_utf8(&content).is_err() || content.iter().any(|byte| *byte < b'\t') {
                continue;
            }
            let alone = read("stem", &content).unwrap();
            for tail in [&b"\0"[..], b"\n", b"\r\n\x1A", &[0; 512]] {
                let around = [&b"\xEF\xBB\xBF\r\n"[..], &content, tail].concat();
                assert_eq!(read("stem", &around).unwrap(), alone, "{around:?}");
                let behind = [&content, tail].concat();
                assert_eq!(read("stem", &behind).unwrap(), alone, "{behind:?}");
            }
        }
    }

    #[test]
    fn hostile_contents_are_opaque_at_once() {
        let wmdrm = |inner: &str| format!("<LICENSE version='2.0.0.0'>{inner}</LICENSE>");
        let large = "x".repeat(PARSED_MAX - 100);
        let attributes: String = (0..70_000).map(|i| format!(" a{i}=''")).collect();
        let namespaces: String = (0..40_000).map(|i| format!(" xmlns:a{i}='u'")).collect();
        let contents = [
            format!("<LICENSE version='{large}'/>"),
            format!("<{large}/>"),
            wmdrm(&"<a>".repeat(300_000)),
            format!("<rights xmlns='http://odrl.net/1.1/ODRL-EX'{namespaces}/>"),
            format!("{{\"id\":{}", "[".repeat(1_000_000)),
        ];
        for content in contents {
            assert_eq!(said(content.as_bytes()).0, Format::Opaque, "{content:.60}");
        }
        let many = format!("<LICENSE{attributes} version='2.0.0.0'/>");
        assert_eq!(said(many.as_bytes()).0, Format::Wmdrm);
        let entity = format!(
            "<!DOCTYPE a [<!ENTITY b '{}'>]>{}",
            &large[200..],
            wmdrm("&b;")
        );
        assert_eq!(said(entity.as_bytes()).2, BackupRight::Denied);
    }
}
