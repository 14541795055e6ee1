//! Reads licences of Windows Media DRM 1: certified licences, a structure of fixed size and its
//! base64.
//!
//! Source: [MS-DRM] 2.2.2.3: CERTIFIED_LICENSE is two certificates and a LICENSE (2.2.2.3.4), whose
//! data are LICENSEDATA (2.2.2.3.5). The part that is read is found by its own first fields, at
//! either end of the structure.

use super::statement::{BackupRight, Format, Said};

/// The versions of such a licence in a LICENSE of XML: the WMRMResponse.AddLicense method of the
/// Windows Media Rights Manager SDK has the first, [MS-DRM] 3.2.5.1 the number of the second.
pub const VERSIONS: [&str; 2] = ["0.1.0.0", "0.1.0.1"];

/// The beginning of the base64 of such a licence, of two certificates too: their first fields are
/// versions alike.
pub const BASE64: &str = "AAEA";

/// Bytes before LICENSEDATA: version, length of the data, signature.
const VERSION: usize = 4;
const LENGTH: usize = 4;
const SIGNATURE: usize = 40;
/// Bytes of the fields of LICENSEDATA: the key ID as text, the key, the rights; then the security
/// level and the date of expiry.
const KEY_ID: usize = 25;
const KEY: usize = 80;
const RIGHTS: usize = 4;
const DATA: usize = KEY_ID + KEY + RIGHTS + 4 + 4;
const LICENSE: usize = VERSION + LENGTH + SIGNATURE + DATA;
/// The first two fields: 2.2.2.3.4 and 3.2.5.1 have different versions.
const BEGINNINGS: [[u8; VERSION + LENGTH]; 2] = [
    [0, 1, 0, 0, DATA as u8, 0, 0, 0],
    [0, 1, 0, 1, DATA as u8, 0, 0, 0],
];
/// "The client is not authorized to restore the license content", in the first byte of the rights.
const NO_RESTORE: u8 = 4;

/// Reads a licence. What programs put behind it, NULs, space, ^Z or one odd byte, does not matter.
pub fn read(content: &[u8]) -> Option<Said> {
    let is_tail = |byte: &&u8| matches!(byte, 0 | 0x1A) || byte.is_ascii_whitespace();
    let tail = content.iter().rev().take_while(is_tail).count();
    // The licence itself may end with zeros.
    let ends = (0..=tail.max(1)).map(|cut| content.len().saturating_sub(cut));
    let places = ends.filter_map(|end| content.get(end.checked_sub(LICENSE)?..end));
    let first = content.get(..LICENSE);
    first.into_iter().chain(places).find_map(read_license)
}

fn read_license(license: &[u8]) -> Option<Said> {
    let mut beginnings = BEGINNINGS.iter();
    let begins = beginnings.any(|beginning| license.starts_with(beginning));
    let data = license.get(LICENSE - DATA..).filter(|_| begins)?;
    let (key_id, rest) = data.split_at_checked(KEY_ID)?;
    let rights = rest.get(KEY)?;
    let mut said = Said::new(
        Format::Wmdrm1,
        match rights & NO_RESTORE {
            0 => BackupRight::Unstated,
            _ => BackupRight::Denied,
        },
    );
    let length = key_id.iter().position(|byte| *byte == 0);
    let key_id = key_id.get(..length.unwrap_or(KEY_ID))?;
    if let Ok(key_id) = str::from_utf8(key_id) {
        said.key_ids.push(key_id.trim_ascii());
    }
    Some(said)
}

#[cfg(test)]
pub mod tests {
    use super::*;

    pub fn license(key_id: &str, rights: u8) -> Vec<u8> {
        let mut license = [&BEGINNINGS[1][..], &[7; SIGNATURE]].concat();
        license.extend(key_id.bytes().chain([0; KEY_ID]).take(KEY_ID));
        license.extend([9; KEY]);
        license.extend([rights, 0, 0, 0, 0xE8, 3, 0, 0, 20, 99, 12, 31]);
        license
    }

    /// A certificate, which has a version too.
    fn certificate() -> Vec<u8> {
        [&[0, 1, 0, 0, 56, 0, 0, 0][..], &[5; 40 + 56]].concat()
    }

    #[test]
    fn the_key_id_and_the_right_are_read() {
        let key_id = "AAECAwQFBgcICQoLDA0ODw==";
        for (rights, right) in [
            (0, BackupRight::Unstated),
            (1, BackupRight::Unstated),
            (4, BackupRight::Denied),
            (0x1F, BackupRight::Denied),
        ] {
            let (license, certificate) = (license(key_id, rights), certificate());
            assert_eq!(license.len(), LICENSE);
            for content in [
                license.clone(),
                [&license[..], &certificate, &certificate].concat(),
                [&certificate[..], &certificate, &license].concat(),
                [&certificate[..], &certificate, &license, b"\0"].concat(),
                [&certificate[..], &certificate, &license, b"\r\n\0\x1A"].concat(),
                [&certificate[..], &certificate, &license, b"x"].concat(),
            ] {
                let said = read(&content).unwrap();
                assert_eq!((said.format, said.right), (Format::Wmdrm1, right));
                assert_eq!(said.key_ids.all(), [key_id]);
            }
        }
    }

    #[test]
    fn what_is_none_of_these_is_no_licence() {
        let license = license("AAEC", 0);
        for content in [
            &[][..],
            &license[..LICENSE - 1],
            &[&license[1..], &[0]].concat(),
            &[0; 500],
        ] {
            assert!(read(content).is_none());
        }
        for place in 0..VERSION + LENGTH {
            let mut other = license.clone();
            other[place] ^= 2;
            assert!(read(&other).is_none(), "{place}");
        }
    }

    #[test]
    fn key_ids_that_are_none_are_left_out() {
        for (key_id, expected) in [
            ("", None),
            ("\u{1}", None),
            ("x", Some("x")),
            (" x ", Some("x")),
        ] {
            let said = read(&license(key_id, 0)).unwrap();
            assert_eq!(said.key_ids.all().first().copied(), expected);
        }
        let all = "0123456789012345678901234";
        assert_eq!(read(&license(all, 0)).unwrap().key_ids.all(), [all]);
    }
}
