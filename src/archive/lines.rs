//! Writes and reads the lines of `SHA256SUMS`, `licenses.jsonl` and `restricted.jsonl`.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::records::LicenseLine;
use super::{Digest, FOLDER, Fault, Result, canonical};
use crate::json;
use crate::license::{self, name};

/// Appends `line` and a newline.
pub fn push_json(lines: &mut Vec<u8>, line: &impl Serialize) -> Result<()> {
    serde_json::to_writer(&mut *lines, line).map_err(std::io::Error::from)?;
    lines.push(b'\n');
    Ok(())
}

/// Appends a line of `licenses.jsonl`.
pub fn push_license(lines: &mut Vec<u8>, line: &LicenseLine) -> Result<()> {
    match canonical::push_license(lines, line) {
        true => Ok(()),
        false => push_json(lines, line),
    }
}

/// Appends `line`, which has no newline, and a newline.
pub fn push_line(lines: &mut Vec<u8>, line: &[u8]) -> Result<()> {
    lines.try_reserve(line.len() + 1)?;
    lines.extend_from_slice(line);
    lines.push(b'\n');
    Ok(())
}

pub fn parse_json<'a, T: Deserialize<'a>>(line: &'a [u8]) -> Result<T> {
    json::parse(line).map_err(|error| Fault::Damaged(format!("a line of JSON is wrong: {error}")))
}

/// Reads a line of `licenses.jsonl`, if it tells of a possible licence.
pub fn parse_license(line: &[u8]) -> Result<LicenseLine<'_>> {
    let line = match canonical::license(line) {
        Some(line) => line,
        None => parse_json(line)?,
    };
    let allowed = name::is_allowed(&line.name) && line.key_ids().all(name::is_key_id);
    if !allowed || line.size > license::SIZE_MAX {
        let shown = name::shown(&line.name);
        return Err(Fault::Damaged(format!(
            "a licence can't be as it says: {shown}"
        )));
    }
    Ok(line)
}

/// Writes `modified`, nanoseconds since 1970 UTC, as RFC 3339; 0 means unknown.
pub fn time(modified: i64) -> Option<Cow<'static, str>> {
    if modified > 0 {
        return Some(canonical::write_time(modified).into());
    }
    let time = jiff::Timestamp::from_nanosecond(modified.into())
        .ok()
        .filter(|_| modified != 0)?;
    Some(format!("{time:.9}").into())
}

/// Reads a time that [`time`] has written.
pub fn parse_time(text: Option<&str>) -> Result<i64> {
    let Some(text) = text else { return Ok(0) };
    if let Some(time) = canonical::time(text) {
        return Ok(time);
    }
    let time: jiff::Timestamp = text
        .parse()
        .map_err(|_| Fault::damaged("a time is wrong"))?;
    i64::try_from(time.as_nanosecond()).map_err(|_| Fault::damaged("a time is out of range"))
}

/// Appends the line of `sha256sum` for the licence `name`.
pub fn push_sum(sums: &mut Vec<u8>, digest: &Digest, name: &str) {
    sums.extend_from_slice(&hex::<64>(digest));
    for text in ["  ", FOLDER, name, "\n"] {
        sums.extend_from_slice(text.as_bytes());
    }
}

/// Reads the digest and the name in a line of `SHA256SUMS`.
pub fn parse_sum(line: &[u8]) -> Result<(Digest, &str)> {
    let parse = || {
        let line = std::str::from_utf8(line).ok()?;
        let (digest, path) = line.split_at_checked(2 * size_of::<Digest>())?;
        let name = path.strip_prefix("  ")?.strip_prefix(FOLDER)?;
        Some((parse_hex(digest)?, name))
    };
    parse().ok_or_else(|| Fault::damaged("a line of SHA256SUMS is wrong"))
}

/// Writes `bytes` in lower-case hexadecimal, two digits a byte.
pub fn hex<const DIGITS: usize>(bytes: &[u8]) -> [u8; DIGITS] {
    // This has no branch for each digit, as `parse_hex`.
    let digit = |value: u8| b'0' + value + u8::from(value > 9) * (b'a' - b'9' - 1);
    let mut digits = [b'0'; DIGITS];
    for (pair, byte) in digits.as_chunks_mut().0.iter_mut().zip(bytes) {
        *pair = [digit(byte >> 4), digit(byte & 15)];
    }
    digits
}

/// Gives [`hex`] as text.
pub fn hex_text<const DIGITS: usize>(bytes: &[u8]) -> String {
    hex::<DIGITS>(bytes).map(char::from).iter().collect()
}

/// Reads exactly `SIZE` bytes that [`hex`] has written.
pub fn parse_hex<const SIZE: usize>(text: &str) -> Option<[u8; SIZE]> {
    const NONE: u8 = 0xFF;
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => byte - b'0',
        b'a'..=b'f' => byte - b'a' + 10,
        _ => NONE,
    };
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let mut bytes = [0; SIZE];
    if pairs.len() != SIZE || !rest.is_empty() {
        return None;
    }
    // This has no branch for each digit: there is one of these texts for every licence.
    let mut all = 0;
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        let (high, low) = (digit(*high), digit(*low));
        all |= high | low;
        *byte = high << 4 | low;
    }
    (all != NONE).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_is_written_as_sha256sum_does() {
        let mut sums = Vec::new();
        push_sum(&mut sums, &super::super::digest(b"abc"), "a/b c");
        let line =
            b"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  licenses/a/b c\n";
        assert_eq!(sums, line);
        assert_eq!(
            parse_sum(&line[..line.len() - 1]).unwrap(),
            (super::super::digest(b"abc"), "a/b c")
        );
        for bad in [
            &line[1..],
            &line[..70],
            b"",
            b"  licenses/a",
            &line.to_ascii_uppercase(),
        ] {
            assert!(parse_sum(bad).is_err());
        }
    }

    #[test]
    fn times_keep_their_nanoseconds() {
        let text = "2001-09-09T01:46:40.123456789Z";
        assert_eq!(time(1_000_000_000_123_456_789).as_deref(), Some(text));
        for modified in [1, -1, i64::MAX, i64::MIN, 1_000_000_000_123_456_789] {
            assert_eq!(parse_time(time(modified).as_deref()).unwrap(), modified);
        }
        assert_eq!((time(0), parse_time(None).unwrap()), (None, 0));
        assert!(parse_time(Some("yesterday")).is_err());
    }

    #[test]
    fn no_licence_has_a_name_that_could_harm() {
        let line = |name: &str, key_id: &str, size: u64| {
            format!(
                r#"{{"name":"{name}","key_id":"{key_id}","format":"opaque","right":"unstated","size":{size},"modified":null}}"#
            )
        };
        assert!(parse_license(line("a/b", "k", 1 << 24).as_bytes()).is_ok());
        for (name, key_id, size) in [
            ("../../etc/passwd", "k", 1),
            ("/etc/passwd", "k", 1),
            ("a\\u001b[2J", "k", 1),
            ("a\\u0000.hidden", "k", 1),
            ("a", "", 1),
            ("a", "\\u001b]0;title", 1),
            ("a", "k", (1 << 24) + 1),
        ] {
            let line = line(name, key_id, size);
            assert!(
                matches!(parse_license(line.as_bytes()), Err(Fault::Damaged(_))),
                "{line}"
            );
        }
    }
}
