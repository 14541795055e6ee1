//! Tests backups that are written and read again in memory.

use super::parsers::{self, read};
use super::{new_writer, stamp};
use crate::archive::builder::FrameBuilder;
use crate::archive::frames::Compressor;
use crate::archive::reader::Reader;
use crate::archive::{Fault, LICENSES, limits};
use crate::license;

/// Gives the name and content of a licence.
pub(super) fn license(number: usize) -> (String, Vec<u8>) {
    let size = number * 7919 % 3000;
    let content = (0..size)
        .map(|at| (number.wrapping_mul(31) ^ (at / 5)) as u8)
        .collect();
    let folder = "folder/".repeat(number % 37);
    (format!("{folder}licence {number}.lic"), content)
}

fn write(count: usize, restricted: impl Fn(usize) -> bool) -> Vec<u8> {
    let mut file = Vec::new();
    let mut writer = new_writer(&mut file, None).unwrap();
    let mut packer = Compressor::of_licenses(None).unwrap();
    let mut builder = FrameBuilder::new().unwrap();
    for number in 0..count {
        let (name, content) = license(number);
        if builder.is_full(content.len() as u64) {
            writer
                .append(builder.close(&mut packer, Vec::new()).unwrap())
                .unwrap();
        }
        let modified = number as i64 * 1_000_000_007;
        let buffer = builder.begin(&name, content.len() as u64, modified);
        buffer.unwrap()[..content.len()].copy_from_slice(&content);
        let statement = license::read(&name, builder.content()).unwrap();
        match restricted(number) {
            true => builder.restrict(&name, &statement).unwrap(),
            false => builder.keep(&name, modified, &statement, None).unwrap(),
        }
    }
    if !builder.is_empty() {
        writer
            .append(builder.close(&mut packer, Vec::new()).unwrap())
            .unwrap();
    }
    let mut named = Vec::new();
    let mut visit = |name: &str| {
        named.push(name.to_owned());
        Ok::<(), Fault>(())
    };
    writer.names(&mut visit).unwrap();
    let (left_out, kept): (Vec<_>, Vec<_>) = (0..count).partition(|number| restricted(*number));
    let all = kept
        .iter()
        .chain(&left_out)
        .map(|number| license(*number).0);
    assert!(all.eq(named));
    assert_eq!(writer.counts().licenses as usize, kept.len());
    writer.finish(&stamp()).unwrap();
    file
}

#[test]
fn what_is_written_is_read() {
    // 20,000 licences make lists that outgrow memory, and an index of several frames.
    for (count, every) in [(0, 2), (1, 2), (1, 1), (100, 3), (20_000, 1000)] {
        let restricted = |number: usize| number % every == every - 1;
        let (found, left_out) = read(&write(count, restricted)).unwrap();
        let found = found.into_iter();
        let found = found.map(|(license, content)| (license.name, content, license.modified));
        let kept = (0..count).filter(|number| !restricted(*number));
        let expected = kept.map(|number| {
            let (name, content) = license(number);
            (name, content, number as i64 * 1_000_000_007)
        });
        assert!(found.eq(expected));
        assert_eq!(
            left_out,
            (0..count).filter(|number| restricted(*number)).count()
        );
    }
}

#[test]
fn a_list_that_grows_at_once_has_no_frame_that_a_reader_refuses() {
    // One batch, of which everything is left out: no frame of licences is closed meanwhile.
    let (mut file, count) = (Vec::new(), 6000);
    let mut writer = new_writer(&mut file, None).unwrap();
    let mut builder = FrameBuilder::new().unwrap();
    let name = |number: usize| format!("{number}{}", "/\"".repeat(1900));
    for number in 0..count {
        let name = name(number);
        let statement = license::read(&name, b"x").unwrap();
        builder.restrict(&name, &statement).unwrap();
    }
    let mut packer = Compressor::of_licenses(None).unwrap();
    let frame = builder.close(&mut packer, Vec::new()).unwrap();
    assert!(frame.listed.restricted.len() > limits::FRAME_MAX);
    writer.append(frame).unwrap();
    writer.finish(&stamp()).unwrap();
    assert_eq!(read(&file).unwrap().1, count);
}

#[test]
fn equal_licences_make_equal_bytes() {
    assert_eq!(write(500, |_| false), write(500, |_| false));
}

#[test]
fn every_bit_and_every_byte_counts() {
    let good = write(7, |number| number == 3);
    assert!(read(&good).is_ok());
    for bit in 0..good.len() * 8 {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert!(
            matches!(
                read(&bad),
                Err(Fault::Damaged(_) | Fault::OtherVersion { .. })
            ),
            "bit {bit}"
        );
    }
    for length in 0..good.len() {
        assert!(
            matches!(read(&good[..length].to_vec()), Err(Fault::Damaged(_))),
            "length {length}"
        );
    }
    for more in [1, 8, 512] {
        let longer = [good.clone(), vec![0; more]].concat();
        assert!(
            matches!(read(&longer), Err(Fault::Damaged(_))),
            "{more} bytes more"
        );
    }
}

#[test]
fn a_list_is_read_without_the_licences() {
    let file = write(3000, |_| false);
    let reader = Reader::open(file).unwrap();
    let (mut lines, mut count) = (reader.lines(LICENSES).unwrap(), 0);
    while let Some(line) = lines.next().unwrap() {
        let line: crate::archive::records::LicenseLine =
            crate::archive::lines::parse_json(line).unwrap();
        assert_eq!(line.name, license(count).0);
        count += 1;
    }
    lines.finish().unwrap();
    assert_eq!(count, 3000);
}

#[test]
fn the_corpora_of_the_fuzz_targets_hold() {
    license::parsers::check_corpora(&parsers::ALL);
}
