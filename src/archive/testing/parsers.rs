//! Reads a backup of which a part is any content, for the targets in fuzz/. It checks that there is
//! no panic, and that nothing is believed that breaks a rule.

use std::sync::OnceLock;

use super::forge::{Part, Parts};
use super::{new_writer, noted, stamp};
use crate::archive::builder::FrameBuilder;
use crate::archive::catalog_in_step::{Agreement, Expected};
use crate::archive::frames::{Compressor, FrameReader};
use crate::archive::reader::{Reader, licenses_in};
use crate::archive::seek_table::{SeekTable, Tail};
use crate::archive::{Fault, RESTRICTED, Result, digest, members};
#[cfg(test)]
use crate::license::parsers::Parser;
use crate::license::{self, name};

/// All parsers by the names of their targets.
#[cfg(test)]
pub const ALL: [(&str, Parser); 6] = [
    ("table", table),
    ("members", members),
    ("trailer", trailer),
    ("index", index),
    ("backup", backup),
    ("ruin", ruin),
];

/// Alters the entries of the seek table: the last but one makes them fill the file.
pub fn table(content: &[u8]) {
    check(&build(|part, entries| {
        if part == Part::Table {
            let end: usize = lengths(entries).sum();
            *entries = whole(content, 8);
            let rest = end.checked_sub(lengths(entries).sum());
            let rest = rest.and_then(|rest| u32::try_from(rest).ok());
            if let (Some(rest), Some((_, last))) = (rest, entries.split_last_chunk_mut::<16>()) {
                let (length, _) = last.split_at_mut(4);
                let sum =
                    u32::from_le_bytes(length.try_into().unwrap_or_default()).wrapping_add(rest);
                length.copy_from_slice(&sum.to_le_bytes());
            }
        }
    }));
    let file = content.to_vec();
    let Ok(tail) = Tail::read_from(&file) else {
        return;
    };
    let Ok(table) = SeekTable::read(&file, &tail) else {
        return;
    };
    for (number, span) in table.spans().iter().enumerate() {
        assert_eq!(table.frame_at(span.content_start).ok(), Some(number));
        assert!(span.end() <= file.len() as u64);
    }
}

/// Alters a frame of members, whose headers get the checksums that belong to them.
pub fn members(content: &[u8]) {
    let mut content = content.to_vec();
    let mut start = 0;
    while let Some(header) = content
        .get_mut(start..)
        .and_then(|rest| rest.first_chunk_mut::<{ members::BLOCK }>())
    {
        members::repair(header);
        let parsed = content.get(start..).map(members::parse);
        start += match parsed {
            Some(Ok(member)) => member.end,
            _ => members::BLOCK,
        };
    }
    let mut size = 0;
    let _ = licenses_in(&content, |license| {
        assert!(name::is_allowed(&license.name));
        size += members::BLOCK + license.content.len();
        assert!(size <= content.len());
        Ok::<(), Fault>(())
    });
    check(&build(|part, frame| {
        if part == Part::Licenses(1) {
            frame.clone_from(&content);
        }
    }));
}

/// Alters `backup.json`.
pub fn trailer(content: &[u8]) {
    check(&build(|part, json| {
        if part == Part::Trailer {
            *json = content.to_vec();
        }
    }));
}

/// Alters the records of the index.
pub fn index(content: &[u8]) {
    check(&build(|part, records| {
        if part == Part::Index {
            *records = content.to_vec();
        }
    }));
}

/// Makes alterations, each of a part: its number, a place in it, an action there, and a number of
/// bytes for it.
pub fn backup(content: &[u8]) {
    check(&build(|part, bytes| {
        let mut rest = content;
        while let Some(([number, low, high, action, size], after)) = rest.split_first_chunk::<5>() {
            let (data, after) = after
                .split_at_checked(usize::from(*size))
                .unwrap_or((after, &[]));
            rest = after;
            if *number == number_of(part) {
                let place = usize::from(u16::from_le_bytes([*low, *high])) % (bytes.len() + 1);
                alter(bytes, place, *action, data);
            }
        }
    }));
}

/// Puts together a file without an end, of pieces: an action, and a number of bytes for it.
pub fn ruin(content: &[u8]) {
    let whole = build(|_, _| {});
    let frame = Reader::open(&whole).and_then(|reader| reader.span(0));
    let frame = frame.map(|span| span.length as usize).unwrap_or_default();
    let frame = whole.get(..frame).unwrap_or_default();
    let magic = zstd_safe::MAGICNUMBER.to_le_bytes();
    let (mut file, mut rest, mut frames) = (Vec::new(), content, 0);
    while let Some(([action, size], after)) = rest.split_first_chunk::<2>() {
        let size = usize::from(*size);
        let (data, after) = after.split_at_checked(size).unwrap_or((after, &[]));
        rest = after;
        match action % 4 {
            0 => file.extend_from_slice(data),
            1 => {
                frames += 1;
                file.extend_from_slice(frame);
                file.extend_from_slice(data);
            }
            // The header of a frame of that many bytes.
            2 => {
                file.extend_from_slice(&[&magic[..], &[0b1010_0100, *action]].concat());
                file.extend_from_slice(&[0, 0, 0]);
                file.extend_from_slice(data);
            }
            // Blocks that each repeat a byte 131,072 times.
            _ => data
                .iter()
                .for_each(|byte| file.extend_from_slice(&[2, 0, 0x10, *byte])),
        }
    }
    check(&file);
    let go_on = || Ok::<(), Fault>(());
    let searched = Reader::open_damaged(&file, go_on).and_then(|reader| reader.search(go_on));
    let searched = searched.unwrap_or_default();
    // More that looks like frames may use the search's budget up, and a table leads elsewhere.
    let starts = memchr::memmem::find_iter(&file, &magic).count();
    let table = Tail::read_from(&file).and_then(|tail| SeekTable::read(&file, &tail));
    if frames > 0 && starts <= frames + 1 && table.is_err() {
        assert!(searched.iter().any(|license| license.name == "a"));
    }
}

fn number_of(part: Part) -> u8 {
    match part {
        Part::Licenses(number) => number as u8,
        Part::Sums => 2,
        Part::Lines => 3,
        Part::Restricted => 4,
        Part::Index => 5,
        Part::State => 6,
        Part::Digests => 7,
        Part::Trailer => 8,
        Part::Table => 9,
    }
}

fn alter(bytes: &mut Vec<u8>, place: usize, action: u8, data: &[u8]) {
    let end = bytes.len().min(place + data.len());
    match action % 5 {
        0 => drop(bytes.splice(place..end, data.iter().copied())),
        1 => drop(bytes.splice(place..place, data.iter().copied())),
        2 => drop(bytes.drain(place..end)),
        3 => bytes.truncate(place),
        _ => {
            // The header gets the right checksum again.
            let header = bytes.get_mut(place / members::BLOCK * members::BLOCK..);
            header
                .and_then(|rest| rest.first_chunk_mut())
                .map(members::repair);
        }
    }
}

fn whole(content: &[u8], unit: usize) -> Vec<u8> {
    let (whole, _) = content.split_at(content.len() / unit * unit);
    whole.to_vec()
}

fn lengths(entries: &[u8]) -> impl Iterator<Item = usize> {
    let entries = entries.as_chunks::<8>().0.iter();
    entries.map(|[l0, l1, l2, l3, ..]| u32::from_le_bytes([*l0, *l1, *l2, *l3]) as usize)
}

/// Builds a small backup, altered.
fn build(alter: impl FnMut(Part, &mut Vec<u8>)) -> Vec<u8> {
    static PARTS: OnceLock<Parts> = OnceLock::new();
    let parts = PARTS.get_or_init(|| parts().unwrap_or_else(|fault| unreachable!("{fault}")));
    parts.build(alter).unwrap_or_default()
}

/// Makes two frames of two licences.
fn parts() -> Result<Parts> {
    let mut file = Vec::new();
    let mut writer = new_writer(&mut file, Some(noted()))?;
    let (mut builder, mut packer) = (FrameBuilder::new()?, Compressor::of_licenses(None)?);
    let long = "n".repeat(120);
    for frame in [["a", "b/c.lic"], ["d", &long]] {
        for name in frame {
            let content = name.as_bytes();
            let buffer = builder.begin(name, content.len() as u64, 1)?;
            buffer
                .split_at_mut(content.len())
                .0
                .copy_from_slice(content);
            let statement = license::read(name, content).map_err(|_| Fault::OutOfMemory)?;
            builder.keep(name, 1, &statement, None)?;
        }
        writer.append(builder.close(&mut packer, Vec::new())?)?;
    }
    writer.finish(&stamp())?;
    Parts::of(&Reader::open(file)?)
}

/// Reads `file` in every way.
fn check(file: &Vec<u8>) {
    let found = read(file).map(|(found, _)| found).unwrap_or_default();
    let go_on = || Ok::<(), Fault>(());
    if let Ok(reader) = Reader::open(file) {
        for (license, content) in &found {
            check_license(license);
            assert_eq!(license.size, content.len() as u64);
            let others = reader.find(&license.key_id, go_on).unwrap_or_default();
            let is_there = others.iter().any(|other| other.name == license.name);
            assert!(is_there, "{license:?}");
        }
        for key_id in ["a", "c", "d", "absent"] {
            for license in reader.find(key_id, go_on).unwrap_or_default() {
                check_license(&license);
                assert_eq!(license.key_id, key_id);
            }
        }
    }
    let searched = Reader::open_damaged(file, go_on).and_then(|reader| reader.search(go_on));
    let searched = searched.unwrap_or_default();
    let mut names = name::Set::default();
    for license in &searched {
        check_license(license);
        assert_eq!(names.insert(&license.name), Ok(Ok(())));
    }
}

fn check_license(license: &Expected) {
    assert!(name::is_allowed(&license.name));
    assert!(name::is_key_id(&license.key_id));
    assert!(license.size <= license::SIZE_MAX);
}

/// A licence with its content.
type Found = (Expected, Vec<u8>);

/// Gives all licences and the number of those left out, or the first fault.
pub fn read(file: &Vec<u8>) -> Result<(Vec<Found>, usize)> {
    let reader = Reader::open(file)?;
    let mut agreement = Agreement::new(&reader)?;
    let (mut memory, mut found) = (FrameReader::new()?, Vec::new());
    for frame in 0..reader.license_frames() {
        let mut expected = agreement.of_frame(frame)?.into_iter();
        licenses_in(reader.frame(frame, &mut memory)?, |license| {
            let listed = expected.next();
            let more = || Fault::damaged("a frame has more licences than are listed");
            let listed = listed.ok_or_else(more)?;
            let size = license.content.len() as u64;
            let same = listed.name == license.name && listed.size == size;
            if !same || listed.digest != digest(license.content) {
                return Err(Fault::damaged("a licence is not what the lists say"));
            }
            found.push((listed, license.content.to_vec()));
            Ok(())
        })?;
    }
    agreement.finish()?;
    reader.check_unknown()?;
    let (mut lines, mut restricted) = (reader.lines(RESTRICTED)?, 0);
    while lines.next()?.is_some() {
        restricted += 1;
    }
    lines.finish()?;
    Ok((found, restricted))
}
