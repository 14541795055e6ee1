//! Reads licences of PlayReady and Windows Media DRM 11: Extensible Media Rights, binary, or its
//! base64 in XML.
//!
//! Only the tree of objects and the key ID of the content key object are read here, as
//! interoperable open implementations have them (for instance github.com/dobo90/playready-rs,
//! xmr_license.rs). The content of the rights objects is not public, so that the backup right stays
//! unstated.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::statement::{BackupRight, Format, Said};
use super::xml;
use crate::error::Result;

pub const ROOT: &str = "LICENSE";
pub const VERSION: &str = "3.0.0.0";
pub const MAGIC: &[u8] = b"XMR\0";

/// Bytes of the header: magic, version and the 16 bytes of the rights ID.
const HEADER: usize = 4 + 4 + 16;
/// Bytes before an object's content: flags, type and length, big-endian; the length counts them
/// too.
const OBJECT: usize = 2 + 2 + 4;
/// The flag of an object whose content is objects.
const CONTAINER: u16 = 2;
const CONTENT_KEY: u16 = 0x000A;
/// Bytes of the key ID, which comes first in a content key object.
const KEY_ID: usize = 16;
/// The deepest nesting of containers: several times what a licence has.
const DEPTH_MAX: usize = 16;

pub fn read(content: &[u8]) -> Option<Said> {
    let objects = content.strip_prefix(MAGIC).and(content.get(HEADER..))?;
    let mut key_id = None;
    walk(objects, 0, &mut key_id)?;
    Some(Said {
        format: Format::Xmr,
        key_id: key_id.map(|key_id| STANDARD.encode(key_id)),
        right: BackupRight::Unstated,
    })
}

/// Finds the first content key; None where lengths don't fit together.
fn walk<'o>(mut objects: &'o [u8], depth: usize, key_id: &mut Option<&'o [u8]>) -> Option<()> {
    if depth > DEPTH_MAX {
        return None;
    }
    while let Some((header, rest)) = objects.split_first_chunk::<OBJECT>() {
        let [f0, f1, t0, t1, length @ ..] = *header;
        let length = usize::try_from(u32::from_be_bytes(length)).ok()?;
        let (object, after) = rest.split_at_checked(length.checked_sub(OBJECT)?)?;
        if u16::from_be_bytes([f0, f1]) & CONTAINER != 0 {
            walk(object, depth + 1, key_id)?;
        } else if u16::from_be_bytes([t0, t1]) == CONTENT_KEY && key_id.is_none() {
            *key_id = Some(object.get(..KEY_ID)?);
        }
        objects = after;
    }
    objects.is_empty().then_some(())
}

/// Reads the text of a `LICENSE version="3.0.0.0"`.
pub fn read_wrapped(document: &str) -> Result<Option<Said>> {
    let mut text = Vec::new();
    text.try_reserve_exact(document.len())?;
    let walked = xml::walk(document, &[], |path, node| {
        if let (ROOT, xml::Node::Text(part)) = (path, node) {
            let base64 = part.bytes().filter(|byte| !byte.is_ascii_whitespace());
            text.extend(base64.take(document.len() - text.len()));
        }
        xml::Next::Into
    });
    let mut content = Vec::new();
    content.try_reserve_exact(base64::decoded_len_estimate(text.len()))?;
    Ok(walked.and_then(|()| {
        content.resize(content.capacity(), 0);
        let length = STANDARD.decode_slice(&text, &mut content).ok()?;
        read(content.get(..length)?)
    }))
}

#[cfg(test)]
pub mod tests {
    use super::*;

    pub fn object(flags: u16, kind: u16, content: &[u8]) -> Vec<u8> {
        let length = u32::try_from(OBJECT + content.len()).unwrap();
        let numbers = [flags.to_be_bytes(), kind.to_be_bytes()].concat();
        [&numbers, &length.to_be_bytes()[..], content].concat()
    }

    pub fn license(objects: &[u8]) -> Vec<u8> {
        [MAGIC, &[0, 0, 0, 3], &[15; 16], objects].concat()
    }

    fn key_id(objects: &[u8]) -> Option<Option<String>> {
        read(&license(objects)).map(|said| said.key_id)
    }

    #[test]
    fn the_key_id_is_found_in_the_tree() {
        let key = object(1, CONTENT_KEY, &[7; 20]);
        let rights = object(1, 0x0D, &[0; 4]);
        let tree = object(
            3,
            1,
            &[
                rights.clone(),
                object(2, 9, &key),
                object(1, CONTENT_KEY, &[8; 16]),
            ]
            .concat(),
        );
        let expected = Some(Some("BwcHBwcHBwcHBwcHBwcHBw==".to_owned()));
        assert_eq!(key_id(&tree), expected);
        assert_eq!(key_id(&[tree.clone(), rights.clone()].concat()), expected);
        assert_eq!(key_id(&rights), Some(None));
        assert_eq!(key_id(&[]), Some(None));

        let base64 = STANDARD.encode(license(&tree));
        let (first, rest) = base64.split_at(11);
        let document =
            format!("<LICENSE version=\"3.0.0.0\">\n{first}\r\n<!-- --> {rest}</LICENSE>");
        assert_eq!(
            read_wrapped(&document).unwrap().map(|said| said.key_id),
            expected
        );
        for text in ["", "AAAA", "x", &base64[..80]] {
            let document = format!("<LICENSE version=\"3.0.0.0\">{text}</LICENSE>");
            assert!(read_wrapped(&document).unwrap().is_none(), "{text}");
        }
    }

    #[test]
    fn lengths_that_lie_are_no_licence() {
        let key = object(1, CONTENT_KEY, &[7; 16]);
        assert!(read(&license(&key)[..HEADER - 1]).is_none());
        assert_eq!(key_id(&key[..key.len() - 1]), None);
        assert_eq!(key_id(&[key.clone(), vec![0]].concat()), None);
        assert_eq!(key_id(&object(1, CONTENT_KEY, &[7; 15])), None);
        for length in [0_u32, 7, 25, u32::MAX] {
            let mut lying = key.clone();
            lying[4..8].copy_from_slice(&length.to_be_bytes());
            assert_eq!(key_id(&lying), None, "{length}");
        }
        let deep = (0..5000).fold(Vec::new(), |inner, _| object(3, 1, &inner));
        assert_eq!(key_id(&deep), None);
    }
}
