//! Reads JSON of unknown origin with little memory, whatever is in it.
//!
//! The parser serde_json unescapes strings, tells of wrong ones and keeps open brackets in memory
//! whose refusal would end the process. So it is given no string and no depth that would take much
//! of it; and lists are read into memory that can be refused.

#![forbid(unsafe_code)]

use std::marker::PhantomData;

use memchr::{memchr2, memchr2_iter};
use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};

/// Bytes of a string as it is written: a name of 4,000 bytes, each escaped, has 24,000.
const STRING_MAX: usize = 32 << 10;
/// The deepest nesting of brackets: more than serde_json allows for a value of ours.
const DEPTH_MAX: usize = 256;

/// Gives the value that `json` stands for, or the error in it.
pub fn parse<'j, T: Deserialize<'j>>(json: &'j [u8]) -> Result<T, serde_json::Error> {
    check(json)?;
    serde_json::from_slice(json)
}

/// Does the same for a text, whose UTF-8 need not be checked again.
pub fn parse_text<'j, T: Deserialize<'j>>(json: &'j str) -> Result<T, serde_json::Error> {
    check(json.as_bytes())?;
    serde_json::from_str(json)
}

fn check(json: &[u8]) -> Result<(), serde_json::Error> {
    match is_modest(json) {
        true => Ok(()),
        false => Err(serde_json::Error::custom(
            "a string or its depth is beyond all measure",
        )),
    }
}

/// Tells whether no string of `json` is very long, and brackets do not nest very deep. For bytes
/// that are no JSON either answer will do.
fn is_modest(json: &[u8]) -> bool {
    // Most JSON is shorter than such a string, and has fewer brackets.
    let mut opening = memchr2_iter(b'[', b'{', json);
    if json.len() <= STRING_MAX && opening.nth(DEPTH_MAX).is_none() {
        return true;
    }
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(byte) = json.get(at) {
        match byte {
            b'"' => match string_end(json, at + 1) {
                Some(end) => at = end,
                None => return false,
            },
            b'[' | b'{' => {
                depth += 1;
                if depth > DEPTH_MAX {
                    return false;
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += 1;
    }
    true
}

/// Finds the quotation mark that ends the string which begins at `start`, unless the string is very
/// long.
fn string_end(json: &[u8], start: usize) -> Option<usize> {
    let rest = json.get(start..).unwrap_or_default();
    let rest = rest.get(..STRING_MAX + 1).unwrap_or(rest);
    let mut at = 0;
    loop {
        at += memchr2(b'"', b'\\', rest.get(at..)?)?;
        if rest.get(at) == Some(&b'"') {
            return Some(start + at);
        }
        at += 2; // an escaped character ends nothing
    }
}

/// Reads a list whose length is not known before; for `serde(deserialize_with)`.
pub fn list<'j, D: Deserializer<'j>, T: Deserialize<'j>>(json: D) -> Result<Vec<T>, D::Error> {
    struct List<T>(PhantomData<T>);

    impl<'j, T: Deserialize<'j>> Visitor<'j> for List<T> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
            f.write_str("a list")
        }

        fn visit_seq<A: SeqAccess<'j>>(self, mut values: A) -> Result<Vec<T>, A::Error> {
            let mut list = Vec::new();
            while let Some(value) = values.next_element()? {
                list.try_reserve(1).map_err(A::Error::custom)?;
                list.push(value);
            }
            Ok(list)
        }
    }

    json.deserialize_seq(List(PhantomData))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_beyond_all_measure_is_refused() {
        let string = |length: usize| format!("[\"{}\"]", "\\\"".repeat(length / 2));
        assert!(parse::<[String; 1]>(string(STRING_MAX).as_bytes()).is_ok());
        assert!(parse::<[String; 1]>(string(STRING_MAX + 2).as_bytes()).is_err());
        let nested = |depth: usize| "[".repeat(depth) + "\"]\\\\\"" + &"]".repeat(depth);
        assert!(is_modest(nested(DEPTH_MAX).as_bytes()));
        assert!(!is_modest(nested(DEPTH_MAX + 1).as_bytes()));
        let many = format!("[{}0]", "[\"[\"],{},".repeat(1000));
        assert!(parse::<Vec<serde::de::IgnoredAny>>(many.as_bytes()).is_ok());
        assert!(parse_text::<[&str; 1]>("[\"é\"]").is_ok());
        assert!(parse_text::<serde::de::IgnoredAny>(&nested(DEPTH_MAX + 1)).is_err());
        let broken = [&b"\"\\\""[..], &[b' '; STRING_MAX]].concat();
        assert!(!is_modest(&broken));
    }
}
