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

/// The version of such a licence in a LICENSE of XML.
pub const VERSION: &str = "3.0.0.0";
pub const MAGIC: &[u8] = b"XMR\0";
/// The beginning of the base64 of such a licence: of its magic and of the next byte, 0.
pub const BASE64: &str = "WE1SAA";

/// Bytes of the header: magic, version and the 16 bytes of the rights ID.
const HEADER: usize = 4 + 4 + 16;
/// Bytes before an object's content: flags, type and length, big-endian; the length counts them
/// too.
const OBJECT: usize = 2 + 2 + 4;
/// The flag of an object whose content is objects, and the types of those that lead to a content
/// key: the outer container and that of key material.
const CONTAINER: u16 = 2;
const CONTAINERS: [u16; 2] = [0x0001, 0x0009];
const CONTENT_KEY: u16 = 0x000A;
/// Bytes of the key ID, which comes first in a content key object.
const KEY_ID: usize = 16;
/// The deepest nesting of containers: several times what a licence has.
const DEPTH_MAX: usize = 16;

/// Reads a licence, or several, one behind the other. What programs put behind them, NULs, space and
/// ^Z, does not matter.
pub fn read(content: &[u8]) -> Option<Said> {
    let is_tail = |byte: &u8| matches!(byte, 0 | 0x1A) || byte.is_ascii_whitespace();
    let tail = content
        .iter()
        .rev()
        .take_while(|byte| is_tail(byte))
        .count();
    let mut said = Said::new(Format::Xmr, BackupRight::Unstated);
    let mut objects = content.strip_prefix(MAGIC).and(content.get(HEADER..))?;
    while objects.len() > tail {
        objects = match objects.starts_with(MAGIC) {
            true => objects.get(HEADER..)?,
            false => read_object(objects, 0, &mut said)?,
        };
    }
    Some(said)
}

/// Reads an object, and gives the objects behind it; None where lengths don't fit together.
fn read_object<'o>(objects: &'o [u8], depth: usize, said: &mut Said) -> Option<&'o [u8]> {
    let (header, rest) = objects.split_first_chunk::<OBJECT>()?;
    let [f0, f1, t0, t1, length @ ..] = *header;
    let length = usize::try_from(u32::from_be_bytes(length)).ok()?;
    let (mut object, after) = rest.split_at_checked(length.checked_sub(OBJECT)?)?;
    let (flags, kind) = (u16::from_be_bytes([f0, f1]), u16::from_be_bytes([t0, t1]));
    if flags & CONTAINER != 0 || CONTAINERS.contains(&kind) {
        if depth == DEPTH_MAX {
            return None;
        }
        while !object.is_empty() {
            object = read_object(object, depth + 1, said)?;
        }
    } else if kind == CONTENT_KEY {
        said.key_ids.push(&STANDARD.encode(object.get(..KEY_ID)?));
    }
    Some(after)
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

    /// Gives the first key ID.
    fn key_id(objects: &[u8]) -> Option<Option<String>> {
        read(&license(objects)).map(|said| said.key_ids.split().0)
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
    }

    #[test]
    fn every_content_key_is_found() {
        let [first, second] = [7, 8].map(|byte| object(1, CONTENT_KEY, &[byte; 20]));
        let keys = ["BwcHBwcHBwcHBwcHBwcHBw==", "CAgICAgICAgICAgICAgICA=="];
        let both = [first.clone(), second.clone(), first.clone()].concat();
        let in_containers = object(1, 1, &object(0, 9, &both));
        for content in [
            license(&both),
            license(&object(3, 1, &object(2, 9, &both))),
            // The types tell of a container, and the flags do not.
            license(&in_containers),
            [license(&first), license(&second)].concat(),
            [license(&object(3, 1, &first)), license(&in_containers)].concat(),
        ] {
            assert_eq!(read(&content).unwrap().key_ids.all(), keys);
        }
    }

    #[test]
    fn what_is_behind_a_licence_does_not_matter() {
        let key = license(&object(3, 1, &object(1, CONTENT_KEY, &[7; 20])));
        for tail in [&[0][..], &[0; 16], b"\n", b"\r\n\0\x1a", &[0; 1000]] {
            assert!(read(&[&key, tail].concat()).is_some(), "{tail:?}");
        }
        for tail in [
            &b"x"[..],
            b"\0x",
            b"XMR",
            b"XMR\0",
            b"XMR\0\0\0\0\x03",
            b"\0XMR\0",
        ] {
            assert!(read(&[&key, tail].concat()).is_none(), "{tail:?}");
        }
    }

    #[test]
    fn lengths_that_lie_are_no_licence() {
        let key = object(1, CONTENT_KEY, &[7; 16]);
        assert!(read(&license(&key)[..HEADER - 1]).is_none());
        assert_eq!(key_id(&key[..key.len() - 1]), None);
        assert_eq!(key_id(&[key.clone(), vec![1]].concat()), None);
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
