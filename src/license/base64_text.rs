//! Reads base64 as it is found in licences: with line breaks in it, with or without the padding at
//! its end, in either alphabet of RFC 4648 (4 and 5).

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::error::Result;

const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Gives the bytes that `text` stands for; None where it is no base64.
pub fn decode(text: &str) -> Result<Option<Vec<u8>>> {
    let mut digits = Vec::new();
    digits.try_reserve_exact(text.len())?;
    let space = |byte: &u8| !byte.is_ascii_whitespace();
    digits.extend(text.bytes().filter(space).map(|byte| match byte {
        b'-' => b'+',
        b'_' => b'/',
        byte => byte,
    }));
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(base64::decoded_len_estimate(digits.len()))?;
    bytes.resize(bytes.capacity(), 0);
    Ok(LENIENT
        .decode_slice(&digits, &mut bytes)
        .ok()
        .map(|length| {
            bytes.truncate(length);
            bytes
        }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_read_as_it_is_written() {
        let decoded = |text| decode(text).unwrap();
        for text in ["+/+/AA==", "-_-_AA", " +/+\r\n/A\tA=\n=", "+/+/AB=="] {
            assert_eq!(decoded(text).unwrap(), [0xFB, 0xFF, 0xBF, 0], "{text}");
        }
        assert_eq!(decoded("").unwrap(), [0; 0]);
        for text in ["A", "AAAA=AAA", "AA\u{e9}A", "AA.A", "AAAA===="] {
            assert!(decoded(text).is_none(), "{text}");
        }
    }
}
