//! Walks over a document of WBXML, the binary form of XML, as [`xml::walk`](crate::xml::walk) does
//! over its text.
//!
//! Source: WAP-192-WBXML 1.3, 5 (encoding) and 7 (tokens). Attributes are passed over. What is
//! behind the document does not matter.

use memchr::memchr;
use quick_xml::events::BytesStart;

use crate::xml::{Namespace, Next, Node};

/// The limits of the depth of elements, of the bytes of a name, and of those of a text that many
/// may share: several times what a licence has.
const DEPTH_MAX: usize = 16;
const NAME_MAX: usize = 64;
const SHARED_MAX: usize = 1024;

/// The versions 1.1 to 1.3.
pub const VERSIONS: std::ops::RangeInclusive<u8> = 1..=3;

const SWITCH_PAGE: u8 = 0x00;
const END: u8 = 0x01;
const ENTITY: u8 = 0x02;
const STR_I: u8 = 0x03;
const LITERAL: u8 = 0x04;
const EXT_I_0: u8 = 0x40;
const EXT_I_2: u8 = 0x42;
const PI: u8 = 0x43;
const EXT_T_0: u8 = 0x80;
const EXT_T_2: u8 = 0x82;
const STR_T: u8 = 0x83;
const EXT_0: u8 = 0xC0;
const EXT_2: u8 = 0xC2;
const OPAQUE: u8 = 0xC3;
/// The bits of an element's token for its attributes and its content, and the first such token.
const HAS_ATTRIBUTES: u8 = 0x80;
const HAS_CONTENT: u8 = 0x40;
const FIRST_ELEMENT: u8 = 0x05;

/// A kind of documents.
pub struct Kind {
    /// The document's public identifier, by its number or by its name.
    pub public_id: u32,
    pub public_names: [&'static str; 2],
    /// The paths' names of elements, by their tokens from the first on.
    pub tokens: &'static [&'static str],
    /// The namespaces of names that are spelled out, by their usual prefixes.
    pub namespaces: &'static [Namespace],
}

/// Tells `visit` the elements and texts of a document in order, each with the path of its element.
/// None means that it is no such document, or that the walk was stopped.
pub fn walk(content: &[u8], kind: &Kind, mut visit: impl FnMut(&str, &Node) -> Next) -> Option<()> {
    let mut bytes = Bytes(content);
    let strings = begin(&mut bytes, kind)?;
    let (mut path, mut depth, mut page) = (String::new(), 0, 0);
    // The depth of the element that is passed over.
    let mut passed = None;
    loop {
        let text = match bytes.byte()? {
            SWITCH_PAGE => {
                page = bytes.byte()?;
                continue;
            }
            PI => {
                bytes.attributes()?;
                continue;
            }
            END => {
                leave(&mut path, depth, &mut passed);
                depth = usize::checked_sub(depth, 1)?;
                match depth {
                    0 => return Some(()),
                    _ => continue,
                }
            }
            ENTITY => char::from_u32(bytes.number()?).map(|c| Node::Text(c.to_string().into())),
            STR_I => text(bytes.string()?),
            STR_T => shared(strings, bytes.number()?, SHARED_MAX).and_then(text),
            OPAQUE => {
                let length = usize::try_from(bytes.number()?).ok()?;
                text(bytes.take(length)?)
            }
            // Extensions, of which the documents that are read have none.
            EXT_I_0..=EXT_I_2 => bytes.string().map(|_| None)?,
            EXT_T_0..=EXT_T_2 => bytes.number().map(|_| None)?,
            EXT_0..=EXT_2 => None,
            token => {
                if depth == DEPTH_MAX {
                    return None;
                }
                depth += 1;
                let (namespace, name) = match token & !(HAS_ATTRIBUTES | HAS_CONTENT) {
                    LITERAL => literal(shared(strings, bytes.number()?, NAME_MAX)?, kind)?,
                    tag if page == 0 => ("", named(tag, kind)),
                    _ => ("", UNKNOWN),
                };
                if token & HAS_ATTRIBUTES != 0 {
                    bytes.attributes()?;
                }
                if passed.is_none() {
                    if depth > 1 {
                        path.push('/');
                    }
                    path.push_str(namespace);
                    path.push_str(name);
                    let element = BytesStart::from_content(name, name.len());
                    match visit(&path, &Node::Element(&element)) {
                        Next::Into => {}
                        Next::Past => passed = Some(depth),
                        Next::Stop => return None,
                    }
                }
                if token & HAS_CONTENT == 0 {
                    leave(&mut path, depth, &mut passed);
                    depth -= 1;
                    if depth == 0 {
                        return Some(());
                    }
                }
                continue;
            }
        };
        // There is no text before the root.
        if depth == 0 {
            return None;
        }
        if passed.is_none()
            && let Next::Stop = visit(&path, &text.unwrap_or(Node::Entity))
        {
            return None;
        }
    }
}

/// Reads what is before the root, and gives the table of strings.
fn begin<'c>(bytes: &mut Bytes<'c>, kind: &Kind) -> Option<&'c [u8]> {
    let version = bytes.byte()?;
    let public_id = bytes.number()?;
    let public_name = match public_id {
        0 => Some(bytes.number()?),
        _ => None,
    };
    let _charset = bytes.number()?;
    let length = usize::try_from(bytes.number()?).ok()?;
    let strings = bytes.take(length)?;
    let is_kind = match public_name {
        None => public_id == kind.public_id,
        Some(place) => {
            let name = shared(strings, place, NAME_MAX)?;
            kind.public_names
                .iter()
                .any(|of_kind| of_kind.as_bytes() == name)
        }
    };
    (is_kind && VERSIONS.contains(&version)).then_some(strings)
}

/// Leaves the element at the path's end, which has no place in it if it is passed over.
fn leave(path: &mut String, depth: usize, passed: &mut Option<usize>) {
    if passed.is_none_or(|passed| passed == depth) {
        *passed = None;
        let slash = path.bytes().rposition(|byte| byte == b'/');
        path.truncate(slash.unwrap_or(0));
    }
}

/// Gives a text; None where its characters are not known.
fn text(bytes: &[u8]) -> Option<Node<'_>> {
    let text = str::from_utf8(bytes).ok()?;
    Some(Node::Text(text.into()))
}

/// Gives a string of the table, unless it is longer than `most`.
fn shared(strings: &[u8], place: u32, most: usize) -> Option<&[u8]> {
    let rest = strings.get(usize::try_from(place).ok()?..)?;
    let beginning = rest.get(..most + 1).unwrap_or(rest);
    beginning.get(..memchr(0, beginning)?)
}

/// The name of an element that its kind does not know.
const UNKNOWN: &str = "?:";

fn named(tag: u8, kind: &Kind) -> &'static str {
    let place = tag.checked_sub(FIRST_ELEMENT).map(usize::from);
    let name = place.and_then(|place| kind.tokens.get(place));
    name.copied().unwrap_or(UNKNOWN)
}

/// Gives the namespace's prefix in a path and the name behind it.
fn literal<'n>(name: &'n [u8], kind: &Kind) -> Option<(&'static str, &'n str)> {
    let name = str::from_utf8(name)
        .ok()
        .filter(|name| !name.contains('/'))?;
    let Some((prefix, local)) = name.split_once(':') else {
        return Some(("", name));
    };
    let mut known = kind.namespaces.iter();
    let known = known.find(|known| known.usual == prefix);
    Some((known.map_or(UNKNOWN, |known| known.prefix), local))
}

/// The bytes that are still to be read.
struct Bytes<'c>(&'c [u8]);

impl<'c> Bytes<'c> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn take(&mut self, length: usize) -> Option<&'c [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    /// Reads a number, seven bits a byte, the most significant ones first.
    fn number(&mut self) -> Option<u32> {
        let mut number = 0_u32;
        loop {
            let byte = self.byte()?;
            number = number.checked_mul(0x80)? | u32::from(byte & 0x7F);
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
    }

    /// Reads a string and the NUL at its end.
    fn string(&mut self) -> Option<&'c [u8]> {
        let string = self.take(memchr(0, self.0)?)?;
        self.byte()?;
        Some(string)
    }

    /// Passes over attributes and their end.
    fn attributes(&mut self) -> Option<()> {
        loop {
            match self.byte()? {
                END => return Some(()),
                SWITCH_PAGE => drop(self.byte()?),
                ENTITY | LITERAL | STR_T | EXT_T_0..=EXT_T_2 => drop(self.number()?),
                STR_I | EXT_I_0..=EXT_I_2 => drop(self.string()?),
                OPAQUE => {
                    let length = usize::try_from(self.number()?).ok()?;
                    self.take(length)?;
                }
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: Kind = Kind {
        public_id: 0x0E,
        public_names: ["-//ONE//", "-//TWO//"],
        tokens: &["o:a", "o:b", "past"],
        namespaces: &[Namespace {
            uri: "urn:one",
            usual: "one",
            prefix: "o:",
        }],
    };

    fn told(content: &[u8]) -> Option<String> {
        let mut told = String::new();
        walk(content, &KIND, |path, node| {
            match node {
                Node::Element(_) => told.push_str(&format!("<{path}>")),
                Node::Text(text) => told.push_str(text),
                Node::Entity => told.push_str("[entity]"),
            }
            match path.ends_with("/past") {
                true => Next::Past,
                false => Next::Into,
            }
        })?;
        Some(told)
    }

    /// Makes a document of that body, with a table of strings.
    fn document(body: &[u8]) -> Vec<u8> {
        let strings = b"one:c\0two:d\0e\0text\0f/g\0";
        let begin = [3, 0x0E, 0x6A, strings.len() as u8];
        [&begin[..], strings, body].concat()
    }

    #[test]
    fn elements_come_with_their_paths() {
        let cases: [(&[u8], &str); 9] = [
            (&[0x05], "<o:a>"),
            (&[0x45, 1], "<o:a>"),
            (b"\x45\x06\x46\x03x\0\x01\x03y\0\x01", "<o:a><o:a/o:b><o:a/o:b>xy"),
            // Attributes, and processing instructions around the root.
            (b"\x43\x05\x03x\0\x01\xC5\x05\x85\x04\x00\x83\x0E\x03z\0\x02\x41\xC3\x01\x01\x01\x01\x43\x05\x01", "<o:a>"),
            // What is spelled out.
            (b"\x45\x44\x00\x01\x04\x06\xC4\x0C\x05\x01\x01\x01", "<o:a><o:a/o:c><o:a/?:d><o:a/e>"),
            (b"\x45\x83\x0E\x02\x81\x69\xC3\x02hi\x01", "<o:a>text\u{E9}hi"),
            // What is not known.
            (b"\x45\x40x\0\x80\x01\xC0\xC3\x01\xFF\x3F\x00\x01\x05\x01", "<o:a>[entity][entity][entity][entity]<o:a/?:><o:a/?:>"),
            (b"\x45\x47\x03x\0\x45\x05\x01\x01\x05\x01", "<o:a><o:a/past><o:a/o:a>"),
            // What is behind the document.
            (b"\x45\x01\0\0\x1A", "<o:a>"),
        ];
        for (body, expected) in cases {
            assert_eq!(
                told(&document(body)).as_deref(),
                Some(expected),
                "{body:02x?}"
            );
        }
    }

    #[test]
    fn what_is_no_such_document_is_none() {
        let deep = [&[0x45; DEPTH_MAX + 1][..], &[1; DEPTH_MAX + 1]].concat();
        let bodies: [&[u8]; 14] = [
            b"",
            b"\x45",
            b"\x01",
            b"\x03x\0\x05",
            b"\x45\x03x",
            b"\x45\xC3\x09x\x01",
            b"\xC5\x05",
            b"\x44\x7F\x01",
            b"\x44\x13\x01",
            b"\x45\x02\x8F\xFF\xFF\xFF\xFF\xFF\x7F\x01",
            b"\x45\x00",
            b"\x43\x05",
            b"\x45\x83",
            &deep,
        ];
        for body in bodies {
            assert_eq!(told(&document(body)), None, "{body:02x?}");
        }
        for beginning in [
            &b""[..],
            b"\x03",
            b"\x00\x0E\x6A\x00",
            b"\x04\x0E\x6A\x00",
            b"\x03\x01\x6A\x00",
            b"\x03\x0E\x6A\x7F",
        ] {
            assert_eq!(
                told(&[beginning, &[0x05]].concat()),
                None,
                "{beginning:02x?}"
            );
        }
    }

    #[test]
    fn a_kind_is_known_by_its_name_too() {
        let named = |name: &str| {
            let table = format!("x\0{name}\0");
            [
                &[2, 0, 2, 0x6A, table.len() as u8][..],
                table.as_bytes(),
                &[0x05],
            ]
            .concat()
        };
        assert_eq!(told(&named("-//TWO//")).as_deref(), Some("<o:a>"));
        assert_eq!(told(&named("-//THREE//")), None);
    }
}
