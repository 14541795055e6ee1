//! Reads the statements that a licence makes about itself. Pure: bytes in, values out.

#![forbid(unsafe_code)]

mod lcp;
pub mod name;
mod oma;
#[cfg(any(test, fuzzing))]
pub mod parsers;
mod plain_xml;
mod statement;
mod text;
mod wmdrm;
mod xml;
mod xmr;

use self::name::stem;
use self::statement::Said;
pub use self::statement::{BackupRight, Format, Statement};

use crate::error::{Error, Outcome, Result};

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
    Err(Error::new(Outcome::FileTooLarge, sentence))
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
    let (format, key_id, right) = match said {
        Some(said) => (said.format, said.key_id, said.right),
        None => (Format::Opaque, None, BackupRight::Unstated),
    };
    let key_id = key_id.as_deref().filter(|key_id| name::is_key_id(key_id));
    Ok(Statement {
        key_id: key_id.unwrap_or_else(|| stem(name)).to_owned(),
        format,
        right,
    })
}

fn recognise(content: &[u8]) -> Result<Option<Said>> {
    if content.starts_with(xmr::MAGIC) {
        return Ok(xmr::read(content));
    }
    let Some(text) = text::decode(content)? else {
        return Ok(None);
    };
    let document = text::document(&text);
    if document.starts_with('{') {
        return Ok(lcp::read(document));
    }
    if let Some(said) = wmdrm::read_plain(document) {
        return Ok(Some(said));
    }
    let Some(root) = xml::root(document) else {
        return Ok(None);
    };
    match (root.name.as_str(), root.version.as_str()) {
        (wmdrm::ROOT, wmdrm::VERSION) => Ok(wmdrm::read(document)),
        (xmr::ROOT, xmr::VERSION) => xmr::read_wrapped(document),
        _ => Ok(oma::read(document)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WMDRM: &str = "<LICENSE version='2.0.0.0'><LICENSORINFO><DATA><KID>Zm9v</KID>\
                         <ONACTION type='Backup'/></DATA></LICENSORINFO></LICENSE>";

    fn said(content: &[u8]) -> (Format, String, BackupRight) {
        let Statement {
            key_id,
            format,
            right,
        } = read("a/stem.x", content).unwrap();
        (format, key_id, right)
    }

    #[test]
    fn each_format_is_known_by_its_content() {
        let lcp = "{\"id\":\"u\",\"issued\":\"\",\"provider\":\"\",\"encryption\":{}}";
        let oma = "<rights xmlns='http://odrl.net/1.1/ODRL-EX'/>";
        let xmr = xmr::tests::license(&xmr::tests::object(1, 10, &[0; 16]));
        let cases: [(&[u8], Format, &str, BackupRight); 7] = [
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
            format!(
                "<!DOCTYPE a [<!ENTITY b '{}'>]><LICENSE version='2.0.0.0'>&b;</LICENSE>",
                &large[200..]
            ),
            format!("<rights xmlns='http://odrl.net/1.1/ODRL-EX'{namespaces}/>"),
            format!("{{\"id\":{}", "[".repeat(1_000_000)),
        ];
        for content in contents {
            assert_eq!(said(content.as_bytes()).0, Format::Opaque, "{content:.60}");
        }
        let many = format!("<LICENSE{attributes} version='2.0.0.0'/>");
        assert_eq!(said(many.as_bytes()).0, Format::Wmdrm);
    }
}
