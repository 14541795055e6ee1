//! The index, which finds a licence by its key ID.

use super::{Digest, digest};

/// Bytes of a record in the file.
pub const RECORD: usize = 32;

/// The place of a licence in the decompressed stream. Records are sorted by the bytes of the key,
/// ties by the member's offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Record {
    /// The first bytes of the SHA-256 of the key ID. It is a hint: the key ID in `licenses.jsonl`
    /// decides.
    pub key: [u8; 8],
    /// The place of its member's first block, a pax header included.
    pub member: u64,
    /// The place of its line in `SHA256SUMS`.
    pub sum: u64,
    /// The place of its line in `licenses.jsonl`.
    pub line: u64,
}

/// Gives the part of a record that stands for `key_id`.
pub fn key(key_id: &str) -> [u8; 8] {
    let digest: Digest = digest(key_id.as_bytes());
    let [k0, k1, k2, k3, k4, k5, k6, k7, ..] = digest;
    [k0, k1, k2, k3, k4, k5, k6, k7]
}

impl Record {
    pub fn to_bytes(self) -> [u8; RECORD] {
        let mut bytes = [0; RECORD];
        let fields = [
            self.key,
            self.member.to_le_bytes(),
            self.sum.to_le_bytes(),
            self.line.to_le_bytes(),
        ];
        for (place, field) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(fields) {
            *place = field;
        }
        bytes
    }

    pub fn from_bytes(bytes: &[u8; RECORD]) -> Record {
        let mut fields = bytes.as_chunks::<8>().0.iter().copied();
        let mut next = || fields.next().unwrap_or_default();
        Record {
            key: next(),
            member: u64::from_le_bytes(next()),
            sum: u64::from_le_bytes(next()),
            line: u64::from_le_bytes(next()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_its_key_and_three_little_endian_offsets() {
        let record = Record {
            key: *b"abcdefgh",
            member: 1,
            sum: 2 << 8,
            line: u64::MAX,
        };
        let bytes = record.to_bytes();
        assert_eq!(&bytes[..18], b"abcdefgh\x01\0\0\0\0\0\0\0\0\x02");
        assert_eq!(bytes[24..], [255; 8]);
        assert_eq!(Record::from_bytes(&bytes), record);
    }
}
