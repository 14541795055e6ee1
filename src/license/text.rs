//! Decodes a content as text, whatever its encoding.

use std::borrow::Cow;

use memchr::{memchr, memmem};

use crate::error::Result;

/// Gives a content as text; None if it is none, or begins like no document that is read. UTF-16 is
/// recognised by its byte order mark, or by its NULs at the beginning of a document.
pub fn decode(content: &[u8]) -> Result<Option<Cow<'_, str>>> {
    Ok(match content {
        [0xFF, 0xFE, ..] => utf16(content, u16::from_le_bytes)?.map(Cow::Owned),
        [0xFE, 0xFF, ..] => utf16(content, u16::from_be_bytes)?.map(Cow::Owned),
        [0xEF, 0xBB, 0xBF, text @ ..] => utf8(without_tail(text)),
        _ => {
            let Some(start) = content.iter().position(|byte| !is_around(*byte)) else {
                return Ok(None);
            };
            match content.split_at_checked(start).unwrap_or_default() {
                (_, [first, ..]) if !begins(*first) => None,
                ([.., 0], [_, 0, ..]) if start % 2 == 1 => {
                    let text = content.get(start - 1..).unwrap_or_default();
                    utf16(text, u16::from_be_bytes)?.map(Cow::Owned)
                }
                (_, text @ [_, 0, ..]) => utf16(text, u16::from_le_bytes)?.map(Cow::Owned),
                (_, text) => bytes(without_tail(text))?,
            }
        }
    })
}

/// Tells whether a document can begin with this byte: XML, JSON, the lines of PEM, or the base64 of
/// a licence.
fn begins(byte: u8) -> bool {
    matches!(byte, b'<' | b'{' | b'-' | b'W' | b'A')
}

/// Tells whether programs put this byte before a document: space, or the NULs of a larger buffer.
fn is_around(byte: u8) -> bool {
    byte == 0 || byte.is_ascii_whitespace()
}

/// Tells whether programs put this byte behind a document: there also ^Z, the end of a file of DOS.
fn is_tail(byte: u8) -> bool {
    is_around(byte) || byte == 0x1A
}

fn without_tail(text: &[u8]) -> &[u8] {
    let last = text.iter().rposition(|byte| !is_tail(*byte));
    text.get(..last.map_or(0, |last| last + 1))
        .unwrap_or_default()
}

/// Gives the document in a text: without a byte order mark, and what programs put around it.
pub fn document(text: &str) -> &str {
    let text = text.trim_start_matches(|c| c == '\u{FEFF}' || u8::try_from(c).is_ok_and(is_around));
    text.trim_end_matches(|c| u8::try_from(c).is_ok_and(is_tail))
}

fn utf16(content: &[u8], unit: fn([u8; 2]) -> u16) -> Result<Option<String>> {
    // A single byte at the end is what a program appended that took the file for bytes.
    let (pairs, _) = content.as_chunks();
    let mut text = String::new();
    // A unit takes three bytes of UTF-8 at most.
    text.try_reserve_exact(3 * pairs.len())?;
    for character in char::decode_utf16(pairs.iter().map(|pair| unit(*pair))) {
        match character {
            Ok(character) => text.push(character),
            Err(_) => return Ok(None),
        }
    }
    Ok(Some(text))
}

fn utf8(text: &[u8]) -> Option<Cow<'_, str>> {
    str::from_utf8(text).ok().map(Cow::Borrowed)
}

/// Decodes what is UTF-8 unless it is XML that declares another encoding: XML 1.0, 4.3.3. What is
/// no Unicode there has ASCII in its lower half, which markup and the names in it are.
fn bytes(text: &[u8]) -> Result<Option<Cow<'_, str>>> {
    match declared_encoding(text) {
        Some(encoding) if !is_unicode(encoding) && !text.is_ascii() => {
            single_bytes(text, encoding).map(|text| Some(Cow::Owned(text)))
        }
        _ => Ok(utf8(text)),
    }
}

/// Gives the name of the encoding in an XML declaration.
fn declared_encoding(text: &[u8]) -> Option<&[u8]> {
    let declaration = text.strip_prefix(b"<?xml")?;
    let declaration = declaration.get(..memchr(b'>', declaration)?)?;
    let after = memmem::find(declaration, b"encoding")? + b"encoding".len();
    let value = declaration.get(after..)?.trim_ascii_start();
    let (quote, name) = value.strip_prefix(b"=")?.trim_ascii_start().split_first()?;
    name.get(..memchr(*quote, name)?)
}

fn is_unicode(encoding: &[u8]) -> bool {
    let begins_with = |prefix: &[u8]| {
        let beginning = encoding.get(..prefix.len());
        beginning.is_some_and(|beginning| beginning.eq_ignore_ascii_case(prefix))
    };
    [&b"utf"[..], b"ucs", b"iso-10646", b"unicode"]
        .into_iter()
        .any(begins_with)
}

fn single_bytes(bytes: &[u8], encoding: &[u8]) -> Result<String> {
    let is = |names: &[&str]| {
        let mut names = names.iter();
        names.any(|name| encoding.eq_ignore_ascii_case(name.as_bytes()))
    };
    let upper: fn(u8) -> char = if is(&["iso-8859-1", "iso_8859-1", "iso8859-1", "latin1", "l1"]) {
        char::from
    } else if is(&["windows-1252", "cp1252", "x-cp1252"]) {
        windows_1252
    } else {
        // Nothing that is read has other characters than those of ASCII, but for some key IDs.
        |_| char::REPLACEMENT_CHARACTER
    };
    let mut text = String::new();
    let others = bytes.iter().filter(|byte| !byte.is_ascii()).count();
    // None of these characters takes more than three bytes of UTF-8.
    text.try_reserve_exact(bytes.len() + 2 * others)?;
    text.extend(bytes.iter().map(|byte| match byte.is_ascii() {
        true => char::from(*byte),
        false => upper(*byte),
    }));
    Ok(text)
}

/// Gives a character of the upper half of windows-1252, which is that of ISO-8859-1 with these in
/// the place of control characters (the Unicode Consortium's CP1252.TXT).
fn windows_1252(byte: u8) -> char {
    const CHARACTERS: [char; 32] = [
        '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8D}', 'Ž',
        '\u{8F}', '\u{90}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9D}',
        'ž', 'Ÿ',
    ];
    let character = CHARACTERS.get(usize::from(byte).wrapping_sub(0x80));
    character.copied().unwrap_or(char::from(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(bytes).collect()
    }

    fn read(content: &[u8]) -> Option<String> {
        let text = decode(content).unwrap()?;
        Some(document(&text).to_owned())
    }

    #[test]
    fn all_encodings_are_read_whatever_is_around() {
        let text = "<é\u{1F511}>";
        let befores = [
            "",
            "\u{FEFF}",
            "\u{FEFF} \r\n",
            "\n",
            "\0",
            "\0\0",
            "\r\n \0",
        ];
        let behinds = ["", "\n\0 \0", "\0\0\0", "\u{1A}", "\r\n\u{1A}\0"];
        for (before, behind) in befores.iter().flat_map(|b| behinds.map(|e| (*b, e))) {
            let whole = format!("{before}{text}{behind}");
            let contents = [
                encoded(&whole, u16::to_le_bytes),
                encoded(&whole, u16::to_be_bytes),
                whole.as_bytes().to_vec(),
            ];
            for content in contents {
                assert_eq!(read(&content).as_deref(), Some(text), "{content:?}");
                for odd in [b'\0', b'\n', 0x1A] {
                    let content = [content.as_slice(), &[odd]].concat();
                    assert_eq!(read(&content).as_deref(), Some(text), "{content:?}");
                }
            }
        }
        for first in ["{}", "-----", "WE1SAA", "AAEAAA"] {
            let [le, be] = [u16::to_le_bytes, u16::to_be_bytes].map(|bytes| encoded(first, bytes));
            assert_eq!(
                [read(&le), read(&be)].map(|text| text.unwrap()),
                [first, first]
            );
        }
    }

    #[test]
    fn what_is_no_text_or_no_document_is_none() {
        let lone = [b'<', 0, 0, 0xD8];
        let contents: [&[u8]; 8] = [
            b"",
            b" \n",
            b"\0\0\0",
            &lone,
            &[b'<', 0xFF],
            b"SERVER x",
            b"=<a/>",
            &[0xEF, 0xBB, 0xBF, 0xFF],
        ];
        for content in contents {
            assert!(decode(content).unwrap().is_none(), "{content:?}");
        }
    }

    #[test]
    fn the_encoding_is_that_which_xml_declares() {
        let declared = |encoding: &str, bytes: &[u8]| {
            let declaration = format!("<?xml version='1.0' encoding = \"{encoding}\"?>");
            let content = [declaration.as_bytes(), bytes].concat();
            Some(read(&content)?.split_off(declaration.len()))
        };
        let cases = [
            ("ISO-8859-1", "é\u{80}"),
            ("latin1", "é\u{80}"),
            ("Windows-1252", "é€"),
            ("US-ASCII", "\u{FFFD}\u{FFFD}"),
            ("koi8-r", "\u{FFFD}\u{FFFD}"),
            ("windows-1251", "\u{FFFD}\u{FFFD}"),
        ];
        for (encoding, characters) in cases {
            assert_eq!(
                declared(encoding, b"<a b='\xE9\x80'/>\n").as_deref(),
                Some(&*format!("<a b='{characters}'/>")),
                "{encoding}"
            );
            // In whatever it declares, ASCII is ASCII.
            assert_eq!(declared(encoding, b"<a/>").as_deref(), Some("<a/>"));
        }
        for encoding in ["UTF-8", "utf-16", "ISO-10646-UCS-2", "Unicode"] {
            assert_eq!(
                declared(encoding, "<é/>".as_bytes()).as_deref(),
                Some("<é/>")
            );
            assert_eq!(declared(encoding, b"<\xE9/>"), None);
        }
        // A mark wins over the declaration.
        let marked = "\u{FEFF}<?xml version='1.0' encoding='latin1'?><é/>";
        assert_eq!(
            read(marked.as_bytes()).as_deref(),
            marked.strip_prefix('\u{FEFF}')
        );
        for declaration in [
            "<?xml encoding",
            "<?xml encoding=?>",
            "<?xml encoding='x?>",
            "<?xml?>",
        ] {
            assert_eq!(read(declaration.as_bytes()).as_deref(), Some(declaration));
        }
    }

    #[test]
    fn windows_1252_is_as_published() {
        let upper = [0x80, 0x8C, 0x9F, 0xA0, 0xFF].map(windows_1252);
        assert_eq!(upper, ['€', 'Œ', 'Ÿ', '\u{A0}', 'ÿ']);
    }
}
