//! tar headers: POSIX ustar, with a pax header for the path alone where ustar has no room for it.

use std::borrow::Cow;

use super::{Fault, Result, limits};

pub const BLOCK: usize = 512;
/// The two zero blocks that end an archive.
pub const END: [u8; 2 * BLOCK] = [0; 2 * BLOCK];

/// Rounds `size` up to whole blocks.
pub const fn padded(size: u64) -> u64 {
    size.next_multiple_of(BLOCK as u64)
}

/// The largest size and time that ustar's eleven octal digits hold.
const OCTAL_MAX: u64 = (1 << 33) - 1;

/// Makes the blocks before a member's content: one header, or a pax header, its records, and the
/// header.
pub fn header(path: &str, size: u64, modified: u64) -> Cow<'static, [u8]> {
    let (fields, is_small) = (split(path), size <= OCTAL_MAX);
    if let (Some((prefix, name)), true) = (fields, is_small) {
        return Cow::Owned(block(prefix, name, size, modified, b'0').to_vec());
    }
    let mut records = Vec::new();
    if fields.is_none() {
        records.extend_from_slice(&pax_record("path", path));
    }
    if !is_small {
        records.extend_from_slice(&pax_record("size", &size.to_string()));
    }
    let length = records.len() as u64;
    let mut blocks = block(b"", b"PaxHeaders/path", length, modified, b'x').to_vec();
    blocks.extend_from_slice(&records);
    blocks.resize(blocks.len().next_multiple_of(BLOCK), 0);
    // Readers that know no pax headers get the end of the name, which tells more than its
    // beginning.
    let end = path.as_bytes();
    let end = end.get(end.len().saturating_sub(NAME)..).unwrap_or(end);
    let (prefix, name) = fields.unwrap_or((b"", end));
    let stated = if is_small { size } else { 0 };
    blocks.extend_from_slice(&block(prefix, name, stated, modified, b'0'));
    Cow::Owned(blocks)
}

/// Counts the bytes of the [header] of a member with a size that ustar holds.
pub fn header_length(path: &str) -> usize {
    match split(path) {
        Some(_) => BLOCK,
        None => 2 * BLOCK + padded(pax_record("path", path).len() as u64) as usize,
    }
}

/// Counts the bytes before the content of a member with a short name.
pub fn header_size(size: u64) -> u64 {
    let blocks = if size <= OCTAL_MAX { 1 } else { 3 };
    blocks * BLOCK as u64
}

const NAME: usize = 100;
const PREFIX: usize = 155;

/// Splits `path` into the ustar fields, if it fits them.
fn split(path: &str) -> Option<(&[u8], &[u8])> {
    let path = path.as_bytes();
    if path.len() <= NAME {
        return Some((b"", path));
    }
    // The earliest slash that leaves a name short enough also leaves the shortest prefix.
    let earliest = path.len() - NAME - 1;
    let slash = earliest
        + path
            .get(earliest..)?
            .iter()
            .position(|byte| *byte == b'/')?;
    let (prefix, name) = (path.get(..slash)?, path.get(slash + 1..)?);
    (prefix.len() <= PREFIX && !prefix.is_empty() && !name.is_empty()).then_some((prefix, name))
}

/// Makes `LENGTH KEY=VALUE\n`, where the length counts itself.
fn pax_record(key: &str, value: &str) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while rest + length.to_string().len() != length {
        length += 1;
    }
    format!("{length} {key}={value}\n").into_bytes()
}

fn block(prefix: &[u8], name: &[u8], size: u64, modified: u64, kind: u8) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    let mut put = |at: usize, bytes: &[u8]| {
        if let Some(field) = block.get_mut(at..at + bytes.len()) {
            field.copy_from_slice(bytes);
        }
    };
    put(0, name);
    put(100, b"0000600\x000000000\x000000000\0"); // mode, user, group
    put(124, &octal(size));
    put(136, &octal(modified));
    put(148, b"        "); // the checksum counts itself as spaces
    put(156, &[kind]);
    put(257, b"ustar\x0000");
    put(329, b"0000000\x000000000\0"); // device numbers, of no file of ours
    put(345, prefix);
    let sum = sum_of(&block);
    if let Some(field) = block.get_mut(148..156) {
        field.copy_from_slice(&checksum_field(sum));
    }
    block
}

/// Makes a block a header of ustar, as far as its checksum and version go.
#[cfg(any(test, fuzzing))]
pub fn repair(block: &mut [u8; BLOCK]) {
    let (_, fields) = block.split_at_mut(148);
    let (checksum, fields) = fields.split_at_mut(8);
    checksum.fill(b' ');
    let (_, version) = fields.split_at_mut(257 - 156);
    let (version, _) = version.split_at_mut(8);
    version.copy_from_slice(b"ustar\x0000");
    let sum = sum_of(block);
    let (_, fields) = block.split_at_mut(148);
    let (checksum, _) = fields.split_at_mut(8);
    checksum.copy_from_slice(&checksum_field(sum));
}

/// Sums up the bytes of a block. Two bytes of a word at a time are summed in each of its quarters,
/// which hold the sum of twice as many as there are words.
fn sum_of(block: &[u8; BLOCK]) -> u32 {
    const LOW: u64 = 0x00FF_00FF_00FF_00FF;
    let words = block.as_chunks().0.iter();
    let sums = words.fold(0, |sums, word| {
        let word = u64::from_le_bytes(*word);
        sums + (word & LOW) + (word >> 8 & LOW)
    });
    let quarters = [0, 16, 32, 48].map(|shift| sums >> shift & 0xFFFF);
    quarters.iter().sum::<u64>() as u32
}

/// Writes six octal digits, a NUL and a space.
fn checksum_field(sum: u32) -> [u8; 8] {
    let digit = |shift: u32| b'0' + (sum >> shift & 7) as u8;
    [
        digit(15),
        digit(12),
        digit(9),
        digit(6),
        digit(3),
        digit(0),
        0,
        b' ',
    ]
}

/// Writes eleven octal digits.
fn octal(value: u64) -> [u8; 11] {
    std::array::from_fn(|place| b'0' + (value >> (30 - 3 * place) & 7) as u8)
}

/// A member at the beginning of some bytes.
#[derive(Debug, PartialEq, Eq)]
pub struct Member<'a> {
    pub path: Cow<'a, str>,
    /// The beginning of its content, and that of the next member.
    pub content: usize,
    pub end: usize,
    pub size: u64,
    /// The time of modification in seconds since 1970 UTC.
    pub modified: u64,
}

/// Reads the member whose first block begins `bytes`; its content need not be in them. It must be a
/// regular file, with at most one pax header, which says nothing but path, size and time.
pub fn parse(bytes: &[u8]) -> Result<Member<'_>> {
    let first = header_block(bytes, 0)?;
    if first.kind == b'0' {
        let path = first.path()?;
        return member(path, BLOCK, first.size, &first);
    }
    if first.kind != b'x' {
        return Err(Fault::damaged("a member is no regular file"));
    }
    let end = BLOCK as u64 + padded(first.size);
    let records = usize::try_from(BLOCK as u64 + first.size)
        .ok()
        .and_then(|end| bytes.get(BLOCK..end));
    let pax = Pax::parse(records.ok_or_else(|| Fault::damaged("a pax header is cut off"))?)?;
    let second = usize::try_from(end).map_err(|_| Fault::damaged("a pax header is too long"))?;
    let header = header_block(bytes, second)?;
    if header.kind != b'0' {
        return Err(Fault::damaged("a pax header stands before no regular file"));
    }
    let size = match pax.size {
        Some(size) if header.size != 0 && size != header.size => {
            return Err(Fault::damaged("a member states two sizes"));
        }
        Some(size) => size,
        None => header.size,
    };
    let path = match pax.path {
        Some(path) => Cow::Borrowed(path),
        None => header.path()?,
    };
    member(path, second + BLOCK, size, &header)
}

fn member<'a>(
    path: Cow<'a, str>,
    content: usize,
    size: u64,
    header: &Header,
) -> Result<Member<'a>> {
    let end = size
        .checked_next_multiple_of(BLOCK as u64)
        .and_then(|size| content.checked_add(usize::try_from(size).ok()?));
    let end = end.ok_or_else(|| Fault::damaged("a member is too large"))?;
    Ok(Member {
        path,
        content,
        end,
        size,
        modified: header.modified,
    })
}

struct Header<'a> {
    block: &'a [u8; BLOCK],
    kind: u8,
    size: u64,
    modified: u64,
}

fn header_block(bytes: &[u8], at: usize) -> Result<Header<'_>> {
    let block = bytes.get(at..).and_then(|rest| rest.first_chunk::<BLOCK>());
    let block = block.ok_or_else(|| Fault::damaged("a member's header is cut off"))?;
    let field = |at: usize, size: usize| block.get(at..at + size).unwrap_or_default();
    let sum = sum_of(block);
    let stated = field(148, 8);
    let sum = sum - stated.iter().map(|byte| u32::from(*byte)).sum::<u32>() + 8 * u32::from(b' ');
    if parse_octal(stated) != Some(sum.into()) || field(257, 8) != b"ustar\x0000" {
        return Err(Fault::damaged("a member has no ustar header"));
    }
    let size = parse_octal(field(124, 12))
        .ok_or_else(|| Fault::damaged("a member's size is no number"))?;
    let kind = field(156, 1).first().copied().unwrap_or_default();
    Ok(Header {
        block,
        kind,
        size,
        modified: parse_octal(field(136, 12)).unwrap_or_default(),
    })
}

impl<'a> Header<'a> {
    fn path(&self) -> Result<Cow<'a, str>> {
        let text = |at: usize, size: usize| {
            let field = self.block.get(at..at + size).unwrap_or_default();
            let text = field.split(|byte| *byte == 0).next().unwrap_or_default();
            std::str::from_utf8(text).map_err(|_| Fault::damaged("a member's name is no UTF-8"))
        };
        let (name, prefix) = (text(0, NAME)?, text(345, PREFIX)?);
        Ok(if prefix.is_empty() {
            Cow::Borrowed(name)
        } else {
            Cow::Owned(format!("{prefix}/{name}"))
        })
    }
}

/// Reads octal digits that are followed only by NULs and spaces.
fn parse_octal(field: &[u8]) -> Option<u64> {
    let end = field
        .iter()
        .position(|byte| !matches!(byte, b'0'..=b'7'))
        .unwrap_or(field.len());
    let (digits, rest) = field.split_at_checked(end)?;
    if digits.is_empty() || rest.iter().any(|byte| !matches!(byte, 0 | b' ')) {
        return None;
    }
    // The longest field has twelve digits.
    let value = |value, digit: &u8| value << 3 | u64::from(digit - b'0');
    Some(digits.iter().fold(0, value))
}

#[derive(Default)]
struct Pax<'a> {
    path: Option<&'a str>,
    size: Option<u64>,
}

impl<'a> Pax<'a> {
    fn parse(mut records: &'a [u8]) -> Result<Pax<'a>> {
        let bad = || Fault::damaged("a pax header is malformed");
        if records.len() > limits::LINE_MAX {
            return Err(bad());
        }
        let (mut pax, mut time) = (Pax::default(), None);
        while !records.is_empty() {
            let space = records
                .iter()
                .position(|byte| *byte == b' ')
                .ok_or_else(bad)?;
            let length = records.get(..space).and_then(decimal).ok_or_else(bad)?;
            let (record, rest) = records.split_at_checked(length as usize).ok_or_else(bad)?;
            let record = record
                .get(space + 1..)
                .and_then(|record| record.strip_suffix(b"\n"))
                .ok_or_else(bad)?;
            let (key, value) = std::str::from_utf8(record)
                .ok()
                .and_then(|r| r.split_once('='))
                .ok_or_else(bad)?;
            let new = match key {
                "path" => !value.is_empty() && pax.path.replace(value).is_none(),
                "size" => pax
                    .size
                    .replace(decimal(value.as_bytes()).ok_or_else(bad)?)
                    .is_none(),
                "mtime" => time.replace(value).is_none(),
                _ => false,
            };
            if !new {
                return Err(bad());
            }
            records = rest;
        }
        Ok(pax)
    }
}

fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_counts_every_byte() {
        assert_eq!(sum_of(&[0xFF; BLOCK]), 512 * 0xFF);
        for at in 0..BLOCK {
            let mut block = [0; BLOCK];
            block[at] = 0x81;
            assert_eq!(sum_of(&block), 0x81);
        }
    }

    #[test]
    fn every_length_of_path_comes_back() {
        for length in 1..700 {
            for path in [
                "x".repeat(length),
                "dir/".repeat(length / 4) + &"y".repeat(length % 4 + 1),
            ] {
                let header = header(&path, 5, 1);
                assert_eq!(header.len() % BLOCK, 0);
                assert_eq!(header.len(), header_length(&path));
                let expected = Member {
                    path: path.as_str().into(),
                    content: header.len(),
                    end: header.len() + 512,
                    size: 5,
                    modified: 1,
                };
                assert_eq!(parse(&header).unwrap(), expected);
            }
        }
    }

    #[test]
    fn ustar_is_used_wherever_it_can_be() {
        let plain = |path: &str| header(path, 0, 0).len() == BLOCK;
        assert!(plain(&"x".repeat(100)) && !plain(&"x".repeat(101)));
        assert!(plain(&("p".repeat(155) + "/" + &"n".repeat(100))));
        assert!(!plain(&("p".repeat(156) + "/" + &"n".repeat(99))));
    }

    #[test]
    fn a_size_beyond_ustar_has_a_pax_header() {
        for size in [OCTAL_MAX, OCTAL_MAX + 1, limits::MEMBER_MAX] {
            let header = header("licenses.jsonl", size, 0);
            assert_eq!(header.len() as u64, header_size(size));
            let member = parse(&header).unwrap();
            assert_eq!(
                (member.path.as_ref(), member.size),
                ("licenses.jsonl", size)
            );
            assert_eq!(member.content, header.len());
        }
    }

    #[test]
    fn a_pax_length_counts_itself() {
        assert_eq!(pax_record("path", "abc"), b"12 path=abc\n");
        for size in 80..120 {
            let record = pax_record("path", &"x".repeat(size));
            assert!(record.starts_with(format!("{} ", record.len()).as_bytes()));
        }
    }

    /// Makes a pax header with these records, before a file of `size` bytes.
    fn with_pax(records: &[u8], size: u64) -> Vec<u8> {
        let mut bytes = block(b"", b"pax", records.len() as u64, 0, b'x').to_vec();
        bytes.extend_from_slice(records);
        bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
        bytes.extend_from_slice(&block(b"", b"name", size, 0, b'0'));
        bytes
    }

    #[test]
    fn pax_headers_of_other_writers_are_read() {
        let bytes = with_pax(
            b"12 path=abc\n8 size=7\n20 mtime=1350244992.0\n".as_slice(),
            0,
        );
        assert!(parse(&bytes).is_err(), "a wrong length");
        let bytes = with_pax(b"12 path=abc\n9 size=7\n22 mtime=1350244992.3\n", 0);
        let member = parse(&bytes).unwrap();
        assert_eq!((member.path.as_ref(), member.size), ("abc", 7));
    }

    #[test]
    fn what_no_writer_of_ours_makes_is_refused() {
        let records: [&[u8]; 12] = [
            b"9 size=7\n",                 // beside a size of 5
            b"12 path=abc\n12 path=abd\n", // twice
            b"8 path=\n",
            b"12 path=abc",
            b"99 path=abc\n",
            b"0 path=abc\n",
            b"-1 path=abc\n",
            b"x path=abc\n",
            b"11 path abc\n",
            b"12 link=abc\n",
            b"13 size=0x10\n",
            b"12 path=\xff\xff\xff\n",
        ];
        for records in records {
            let bytes = with_pax(records, 5);
            assert!(
                parse(&bytes).is_err(),
                "{}",
                String::from_utf8_lossy(records)
            );
        }
        let endless = with_pax(b"29 size=18446744073709551615\n", 0);
        assert!(parse(&endless).is_err());
        for kind in *b"1234567LKgS\0" {
            assert!(
                parse(&block(b"", b"name", 0, 0, kind)).is_err(),
                "type {kind}"
            );
        }
        let twice = [
            with_pax(b"12 path=abc\n", 5)[..1024].to_vec(),
            with_pax(b"12 path=abc\n", 5),
        ]
        .concat();
        assert!(parse(&twice).is_err(), "two pax headers");
        let good = header("name", 5, 0);
        for at in 0..BLOCK {
            let mut bad = good.to_vec();
            bad[at] ^= 1;
            assert!(parse(&bad).is_err(), "byte {at}");
        }
        assert!(parse(&good[..511]).is_err());
    }
}
