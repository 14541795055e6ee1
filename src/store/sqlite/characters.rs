//! The characters of texts as SQLite reads them, whose bytes may be no UTF-8.

use crate::sys::database_functions::{Effort, Refusal};

/// Gives the part that SQLite takes for all of a text, where it looks for its end.
pub fn until_nul(text: &[u8]) -> &[u8] {
    let end = memchr::memchr(0, text).unwrap_or(text.len());
    text.get(..end).unwrap_or_default()
}

pub fn is_within(byte: u8) -> bool {
    byte & 0xC0 == 0x80
}

/// Gives the bytes of the first character, which may be no UTF-8.
pub fn length(text: &[u8]) -> usize {
    let is_long = text.first().is_some_and(|first| *first >= 0xC0);
    let more = text
        .iter()
        .skip(1)
        .take_while(|byte| is_long && is_within(**byte));
    text.len().min(1 + more.count())
}

/// Gives the first character as SQLite reads it, and what follows; 0 if there is none.
pub fn first_of<'t>(text: &'t [u8], effort: &Effort<'_>) -> Result<(u32, &'t [u8]), Refusal> {
    let (character, rest) = text.split_at(length(text));
    effort.spend(character.len())?;
    let Some((first, more)) = character.split_first() else {
        return Ok((0, rest));
    };
    if *first < 0xC0 {
        return Ok((u32::from(*first), rest));
    }
    let mask = match first {
        ..0xE0 => 0x1F,
        ..0xF0 => 0x0F,
        ..0xF8 => 0x07,
        ..0xFC => 0x03,
        _ => 0x01,
    };
    let start = match first {
        0xFE.. => 0,
        first => u32::from(first & mask),
    };
    let read = more
        .iter()
        .fold(start, |read, byte| (read << 6) + u32::from(byte & 0x3F));
    let is_none = read < 0x80 || read & 0xFFFF_F800 == 0xD800 || read & 0xFFFF_FFFE == 0xFFFE;
    Ok((if is_none { 0xFFFD } else { read }, rest))
}
