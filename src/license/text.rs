//! Decodes a content as text, whatever its encoding.

use std::borrow::Cow;

use crate::error::Result;

/// Gives a content as text; None if it is none. UTF-16 is recognised by its byte order mark, or by
/// a beginning like that of an XML document.
pub fn decode(content: &[u8]) -> Result<Option<Cow<'_, str>>> {
    Ok(match content {
        [0xFF, 0xFE, ..] => utf16(content, u16::from_le_bytes)?.map(Cow::Owned),
        [0xFE, 0xFF, ..] => utf16(content, u16::from_be_bytes)?.map(Cow::Owned),
        [first, 0, ..] if begins(*first) => utf16(content, u16::from_le_bytes)?.map(Cow::Owned),
        [0, first, ..] if begins(*first) => utf16(content, u16::from_be_bytes)?.map(Cow::Owned),
        _ => std::str::from_utf8(content).ok().map(Cow::Borrowed),
    })
}

/// Tells whether an XML document can begin with this byte.
fn begins(byte: u8) -> bool {
    byte == b'<' || byte.is_ascii_whitespace()
}

fn utf16(content: &[u8], unit: fn([u8; 2]) -> u16) -> Result<Option<String>> {
    let (pairs, rest) = content.as_chunks();
    if !rest.is_empty() {
        return Ok(None);
    }
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

/// Gives the document in a text: without a byte order mark and the space around it, and the NULs
/// that some programs put at its end.
pub fn document(text: &str) -> &str {
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
    text.trim_start()
        .trim_end_matches(|c: char| c == '\0' || c.is_ascii_whitespace())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(bytes).collect()
    }

    #[test]
    fn all_encodings_are_read() {
        let text = "<é\u{1F511}>";
        let marked = format!("\u{FEFF} \r\n{text}\0\0");
        let padded = format!("\n{text}\n\0 \0");
        for text in [text, &marked, &padded] {
            let contents = [
                encoded(text, u16::to_le_bytes),
                encoded(text, u16::to_be_bytes),
                text.as_bytes().to_vec(),
            ];
            for content in contents {
                let decoded = decode(&content).unwrap().unwrap();
                assert_eq!(document(&decoded), "<é\u{1F511}>");
            }
        }
    }

    #[test]
    fn broken_text_is_none() {
        let odd = &encoded("<a/>", u16::to_le_bytes)[..7];
        let lone = [b'<', 0, 0, 0xD8];
        for content in [odd, &lone, &[0xFF, 0xFE, 0], &[b'<', 0xFF]] {
            assert!(decode(content).unwrap().is_none(), "{content:?}");
        }
    }
}
