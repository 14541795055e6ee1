//! Reads lines and times fast if they are written as this library does: there is one of each for
//! every licence. Others are left to a parser that knows all of JSON and RFC 3339, which reads
//! these the same way.

use std::borrow::Cow;
use std::io::Write;

use memchr::memchr;

use super::records::LicenseLine;
use crate::bytes;

/// Reads a line of `licenses.jsonl`, if it is written as this library does and without an escape.
pub fn license(line: &[u8]) -> Option<LicenseLine<'_>> {
    if !bytes::all(line, |byte| (byte != b'\\') & (byte >= b' ')) {
        return None;
    }
    let mut text = Text(std::str::from_utf8(line).ok()?);
    let line = LicenseLine {
        name: text.after(r#"{"name":"#)?.string()?,
        key_id: text.after(r#","key_id":"#)?.string()?,
        format: text.after(r#","format":"#)?.word()?,
        right: text.after(r#","right":"#)?.word()?,
        size: text.after(r#","size":"#)?.natural()?,
        modified: match text.after(r#","modified":"#)?.after("null") {
            Some(_) => None,
            None => Some(text.string()?),
        },
        other_key_ids: Vec::new(),
    };
    text.ends_with("}").then_some(line)
}

/// Appends the line of a licence, unless a text in it needs an escape, or it has several key IDs.
pub fn push_license(lines: &mut Vec<u8>, line: &LicenseLine) -> bool {
    let texts: [&[u8]; 4] =
        [&line.name, &line.key_id, &line.format, &line.right].map(|text| text.as_bytes());
    let is_plain = |byte| (byte != b'"') & (byte != b'\\') & (byte >= b' ');
    if !texts.iter().all(|text| bytes::all(text, is_plain)) || !line.other_key_ids.is_empty() {
        return false;
    }
    let keys = [
        r#"{"name":""#,
        r#"","key_id":""#,
        r#"","format":""#,
        r#"","right":""#,
    ];
    for (key, text) in keys.into_iter().zip(texts) {
        lines.extend_from_slice(key.as_bytes());
        lines.extend_from_slice(text);
    }
    // A Vec takes everything that is written to it.
    let _ = write!(lines, r#"","size":{},"modified":"#, line.size);
    let modified = line.modified.as_deref();
    let [quote, modified] = modified.map_or(["", "null"], |text| ["\"", text]);
    for text in [quote, modified, quote, "}\n"] {
        lines.extend_from_slice(text.as_bytes());
    }
    true
}

/// The rest of a line that has no escape.
struct Text<'a>(&'a str);

impl<'a> Text<'a> {
    fn after(&mut self, prefix: &str) -> Option<&mut Text<'a>> {
        self.0 = self.0.strip_prefix(prefix)?;
        Some(self)
    }

    fn ends_with(&self, end: &str) -> bool {
        self.0 == end
    }

    /// Reads a string.
    fn string(&mut self) -> Option<Cow<'a, str>> {
        self.string_to(|text| memchr(b'"', text))
    }

    /// Reads a short string, whose end is found sooner byte by byte.
    fn word(&mut self) -> Option<Cow<'a, str>> {
        self.string_to(|text| text.iter().position(|byte| *byte == b'"'))
    }

    fn string_to(&mut self, end: impl FnOnce(&[u8]) -> Option<usize>) -> Option<Cow<'a, str>> {
        let text = self.0.strip_prefix('"')?;
        let (string, rest) = text.split_at_checked(end(text.as_bytes())?)?;
        self.0 = rest.strip_prefix('"')?;
        Some(string.into())
    }

    /// Reads a number of at most nineteen digits, so that it fits.
    fn natural(&mut self) -> Option<u64> {
        let length = self.0.bytes().take_while(u8::is_ascii_digit).count();
        let (digits, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        let plain = (1..=19).contains(&length) && (length == 1 || !digits.starts_with('0'));
        plain.then(|| number(digits.as_bytes()))
    }
}

fn number(digits: &[u8]) -> u64 {
    let digits = digits.iter().map(|digit| u64::from(digit - b'0'));
    digits.fold(0, |number, digit| number * 10 + digit)
}

/// Gives the nanoseconds since 1970 UTC of `YYYY-MM-DDThh:mm:ss.nnnnnnnnnZ`, for the years in which
/// all such times fit.
pub fn time(text: &str) -> Option<i64> {
    const FORM: &[u8; 30] = b"dddd-dd-ddTdd:dd:dd.dddddddddZ";
    let text: &[u8; 30] = text.as_bytes().try_into().ok()?;
    // This has no branch for each byte.
    let fits = |(byte, form): (&u8, &u8)| match form {
        b'd' => byte.is_ascii_digit(),
        form => byte == form,
    };
    let both = text.iter().zip(FORM);
    if !both.fold(true, |all, pair| all & fits(pair)) {
        return None;
    }
    let field = |start, end| text.get(start..end).map_or(0, number) as i64;
    let (year, month, day) = (field(0, 4), field(5, 7), field(8, 10));
    let (hour, minute, second) = (field(11, 13), field(14, 16), field(17, 19));
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        2 => 28 + i64::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    let exists = (1970..=2261).contains(&year)
        && (1..=12).contains(&month)
        && (1..=length).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    // Years that begin in March end with the day that not all of them have; 1970 began 719,468 days
    // after the first of these years.
    let (years, months) = (year - i64::from(month < 3), (month + 9) % 12);
    let leaps = years / 4 - years / 100 + years / 400;
    let days = years * 365 + leaps + (months * 153 + 2) / 5 + day - 1 - 719_468;
    let seconds = ((days * 24 + hour) * 60 + minute) * 60 + second;
    exists.then(|| seconds * 1_000_000_000 + field(20, 29))
}

/// Writes nanoseconds since 1970 UTC in that form; they are positive.
pub fn write_time(moment: i64) -> String {
    let second = moment.div_euclid(1_000_000_000);
    let (days, of_day) = (second.div_euclid(86_400), second.rem_euclid(86_400));
    // In eras of 400 years that begin in March, as above.
    let days = days + 719_468;
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let of_era = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (of_era * 365 + of_era / 4 - of_era / 100);
    let months = (day * 5 + 2) / 153;
    let month = (months + 2) % 12 + 1;
    let year = era * 400 + of_era + i64::from(month < 3);
    let mut text = *b"0000-00-00T00:00:00.000000000Z";
    for (place, number) in [
        (0..4, year),
        (5..7, month),
        (8..10, day - (months * 153 + 2) / 5 + 1),
        (11..13, of_day / 3600),
        (14..16, of_day / 60 % 60),
        (17..19, of_day % 60),
        (20..29, moment.rem_euclid(1_000_000_000)),
    ] {
        let mut rest = number;
        for digit in text.get_mut(place).unwrap_or_default().iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
    }
    text.iter().copied().map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use super::super::lines::{self, parse_json};
    use super::*;

    fn written(line: &impl serde::Serialize) -> String {
        let mut bytes = Vec::new();
        lines::push_json(&mut bytes, line).unwrap();
        String::from_utf8(bytes).unwrap().trim_end().to_owned()
    }

    #[test]
    fn licences_are_written_as_json_writes_them() {
        for name in ["é/b c", "\"", "a\\b", "a\u{1}", "\u{7f}"] {
            for (modified, others) in [(0, 0), (1_000_000_000_123_456_789, 0), (-1, 1)] {
                let line = LicenseLine {
                    name: name.into(),
                    key_id: "k:,}".into(),
                    format: "lcp".into(),
                    right: "unstated".into(),
                    size: 1 << 24,
                    modified: lines::time(modified),
                    other_key_ids: vec!["other".into(); others],
                };
                let mut text = Vec::new();
                lines::push_license(&mut text, &line).unwrap();
                assert_eq!(String::from_utf8(text).unwrap().trim_end(), written(&line));
            }
        }
    }

    /// Puts any byte anywhere in a line, and checks that the fast reading still agrees with a
    /// parser of JSON.
    fn check_license(ours: &str) {
        let shown = |line: &LicenseLine| format!("{line:?}");
        let json = |line: &[u8]| {
            parse_json::<LicenseLine>(line)
                .ok()
                .map(|line| shown(&line))
        };
        assert_eq!(
            license(ours.as_bytes()).map(|line| shown(&line)),
            json(ours.as_bytes())
        );
        for at in 0..ours.len() {
            for byte in b"\0\t \"\\{},:+-.019ae\x7f\xff" {
                for part in [at..at, at..at + 1] {
                    let mut other = ours.as_bytes().to_vec();
                    other.splice(part, [*byte]);
                    if let Some(fast) = license(&other) {
                        assert_eq!(Some(shown(&fast)), json(&other));
                    }
                }
            }
        }
    }

    #[test]
    fn licences_as_they_are_written_and_others() {
        for modified in [0, 1_000_000_000_123_456_789] {
            check_license(&written(&LicenseLine {
                name: "é/b c".into(),
                key_id: "k:,}".into(),
                format: "lcp".into(),
                right: "unstated".into(),
                size: 1 << 24,
                modified: lines::time(modified),
                other_key_ids: Vec::new(),
            }));
        }
    }

    #[test]
    fn times_are_those_of_the_calendar() {
        let slow = |text: &str| text.parse::<jiff::Timestamp>().ok();
        let second = 1_000_000_000;
        let last = slow("2261-12-31T23:59:59.999999999Z")
            .unwrap()
            .as_nanosecond() as i64;
        let mut moment = 0;
        while moment <= last {
            let written = write_time(moment + 1);
            assert_eq!(slow(&written).unwrap().as_nanosecond() as i64, moment + 1);
            assert_eq!(time(&written), Some(moment + 1));
            moment += 12_345_678 * second / 10 + 1;
        }
        assert_eq!(time(&lines::time(last).unwrap()), Some(last));
        let end = jiff::Timestamp::from_nanosecond(i64::MAX.into()).unwrap();
        assert_eq!(write_time(i64::MAX), format!("{end:.9}"));
        // A day that does not exist is none for both.
        for year in [1970, 1999, 2000, 2024, 2100, 2261] {
            for month in 0..14 {
                for day in 0..33 {
                    let text = format!("{year}-{month:02}-{day:02}T00:00:00.000000000Z");
                    assert_eq!(time(&text).is_some(), slow(&text).is_some(), "{text}");
                }
            }
        }
        for other in [
            "1969-12-31T23:59:59.999999999Z",
            "2262-01-01T00:00:00.000000000Z",
            "2016-12-31T23:59:60.000000000Z",
            "2016-12-31T24:00:00.000000000Z",
            "2016-12-31T23:60:00.000000000Z",
            "2016-12-31t23:59:00.000000000Z",
            "2016-12-31T23:59:00.00000000Z",
            "2016-12-31T23:59:00.000000000+",
            "2016-12-31T23:59:00,000000000Z",
        ] {
            assert_eq!(time(other), None, "{other}");
        }
    }
}
