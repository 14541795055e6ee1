//! Tests backups of licences that were read more than once, since their store moved.

use std::collections::BTreeMap;

use super::roundtrip::license;
use super::{new_writer, noted, stamp};
use crate::archive::builder::FrameBuilder;
use crate::archive::catalog_in_step::Agreement;
use crate::archive::frames::{Compressor, FrameReader};
use crate::archive::lines::parse_json;
use crate::archive::reader::{Reader, licenses_in};
use crate::archive::state::{self, FileState, Noted, OlderVersion, Proof, State};
use crate::archive::writer::LastLook;
use crate::archive::{RESTRICTED, STATE, digest};
use crate::license as licenses;
use crate::random::HashMap;

/// The number of licences: more than lists of their length keep in memory, and more than a frame
/// holds.
const COUNT: usize = 20_000;

/// The finding about a licence, by its number, when the store is read; none where it is not read.
type Pass = fn(usize) -> Option<LastLook>;

/// Gives a licence as a pass finds it: each time another content, of another size.
fn version(number: usize, pass: usize) -> (String, Vec<u8>) {
    let (name, mut content) = license(number);
    content.extend(format!("version {pass}").bytes().cycle().take(9 + 7 * pass));
    (name, content)
}

fn proof(number: usize, pass: usize) -> Proof {
    let state = FileState {
        device: 1,
        inode: number as u128,
        mtime: 0,
        ctime: pass as i64,
        size: 1,
    };
    noted().prover().unwrap().proof(&state)
}

/// Reads the licences in these passes, and keeps what was found last. Gives the file, or the first
/// licence of which an earlier version must not stay.
fn write(passes: &[Pass]) -> Result<Vec<u8>, String> {
    let mut file = Vec::new();
    let mut writer = new_writer(&mut file, Some(noted())).unwrap();
    let mut packer = Compressor::of_licenses(None).unwrap();
    let (mut builder, mut last) = (FrameBuilder::new().unwrap(), HashMap::default());
    for (pass, find) in passes.iter().enumerate() {
        for number in 0..COUNT {
            let Some(look) = find(number) else { continue };
            let (name, content) = version(number, pass);
            if builder.is_full(content.len() as u64) {
                let frame = builder.close(&mut packer, Vec::new()).unwrap();
                writer.append(frame).unwrap();
            }
            let buffer = builder.begin(&name, content.len() as u64, 1).unwrap();
            buffer[..content.len()].copy_from_slice(&content);
            let statement = licenses::read(&name, builder.content()).unwrap();
            match look {
                LastLook::Restricted => builder.restrict(&name, &statement).unwrap(),
                LastLook::Kept => {
                    let proof = proof(number, pass);
                    builder.keep(&name, 1, &statement, Some(proof)).unwrap();
                }
            }
            if pass > 0 {
                if look == LastLook::Kept {
                    builder.note_read_again();
                }
                last.insert(name, look);
            }
        }
        // Passes do not share frames.
        let frame = builder.close(&mut packer, Vec::new()).unwrap();
        writer.append(frame).unwrap();
    }
    if let Some(name) = writer.keep_last(&last).unwrap().into_iter().next() {
        return Err(name);
    }
    let counts = writer.counts();
    let (kept, restricted) = last_of(passes);
    assert_eq!(counts.licenses as usize, kept.len());
    assert_eq!(counts.restricted as usize, restricted.len());
    let sizes = kept
        .iter()
        .map(|(pass, number)| version(*number, *pass).1.len());
    assert_eq!(counts.content_bytes as usize, sizes.sum::<usize>());
    let mut names = kept
        .iter()
        .map(|(_, number)| *number)
        .chain(restricted)
        .map(|number| license(number).0);
    let mut visit = |name: &str| {
        assert_eq!(Some(name), names.next().as_deref());
        Ok::<(), crate::archive::Fault>(())
    };
    writer.names(&mut visit).unwrap();
    assert_eq!(names.next(), None);
    writer.finish(&stamp()).unwrap();
    Ok(file)
}

/// Computes the final lists, in their order. Licences are given by the pass that found them last,
/// and their number; those left out by their number, in the order of the first pass of which a line
/// is left.
fn last_of(passes: &[Pass]) -> (Vec<(usize, usize)>, Vec<usize>) {
    let (mut kept, mut restricted) = (Vec::new(), Vec::new());
    for number in 0..COUNT {
        let looks = passes.iter().map(|find| find(number)).enumerate();
        let looks = looks.filter_map(|(pass, look)| Some((pass, look?)));
        let looks: Vec<_> = looks.collect();
        let first_left_out = looks.iter().find(|(_, look)| *look == LastLook::Restricted);
        match (looks.last(), first_left_out) {
            (Some((pass, LastLook::Kept)), _) => kept.push((*pass, number)),
            (Some(_), Some((pass, _))) => restricted.push((*pass, number)),
            _ => {}
        }
    }
    kept.sort_unstable();
    restricted.sort_unstable();
    (
        kept,
        restricted.into_iter().map(|(_, number)| number).collect(),
    )
}

fn check(passes: &[Pass]) {
    let file = write(passes).unwrap();
    let (kept, restricted) = last_of(passes);
    let reader = Reader::open(&file).unwrap();
    let mut lists = Agreement::new(&reader).unwrap();
    let (mut memory, mut listed) = (FrameReader::new().unwrap(), kept.iter());
    // The versions that are not listed: the name and size, by the frame.
    let mut old = BTreeMap::<u32, Vec<(String, u32)>>::new();
    for frame in 0..reader.license_frames() {
        let content = reader.frame(frame, &mut memory).unwrap();
        let mut expected = lists.of_frame(frame).unwrap().into_iter().peekable();
        let walked = licenses_in(content, |found| {
            let Some(expected) = expected.next_if(|next| next.name == found.name) else {
                let old = old.entry(frame as u32).or_default();
                old.push((found.name.into_owned(), found.content.len() as u32));
                return Ok::<(), crate::archive::Fault>(());
            };
            let (pass, number) = listed.next().unwrap();
            let (name, content) = version(*number, *pass);
            assert_eq!(
                (expected.name.as_str(), expected.frame),
                (found.name.as_ref(), frame)
            );
            assert_eq!(expected.digest, digest(found.content));
            assert_eq!(
                (found.name.as_ref(), found.content),
                (name.as_str(), content.as_slice())
            );
            Ok(())
        });
        walked.unwrap();
        assert!(expected.next().is_none());
    }
    assert_eq!(listed.next(), None);
    lists.finish().unwrap();
    reader.check_unknown().unwrap();
    let looks = |find: &Pass| (0..COUNT).filter(|number| find(*number) == KEPT).count();
    let read = passes.iter().map(looks).sum::<usize>();
    assert_eq!(old.values().map(Vec::len).sum::<usize>(), read - kept.len());

    let mut left_out = reader.lines(RESTRICTED).unwrap();
    let mut count = 0;
    while left_out.next().unwrap().is_some() {
        count += 1;
    }
    assert_eq!(count, restricted.len());
    check_states(&reader, &kept, old);
}

/// Checks that each licence has the state of the pass that found it last, that each old version is
/// told, and that nothing else is.
fn check_states(
    reader: &Reader<&Vec<u8>>,
    kept: &[(usize, usize)],
    mut old: BTreeMap<u32, Vec<(String, u32)>>,
) {
    let mut member = reader.member(STATE).unwrap();
    let mut content = Vec::new();
    while let Some(part) = member.next().unwrap() {
        content.extend_from_slice(part);
    }
    member.finish().unwrap();
    let (states, lines) = content.split_at(kept.len() * state::RECORD);
    for (bytes, (pass, number)) in states.as_chunks().0.iter().zip(kept) {
        let expected = State {
            proof: Some(proof(*number, *pass)),
            size: version(*number, *pass).1.len() as u32,
        };
        assert_eq!(State::from_bytes(*bytes), expected);
    }
    let mut lines = lines.split_inclusive(|byte| *byte == b'\n');
    assert_eq!(parse_json::<Noted>(lines.next().unwrap()).unwrap(), noted());
    for line in lines {
        let line: OlderVersion = parse_json(line).unwrap();
        let versions = old.get_mut(&line.frame).unwrap();
        let this = (line.name.into_owned(), line.size);
        let place = versions.iter().position(|version| *version == this);
        versions.remove(place.unwrap());
    }
    assert!(old.values().all(Vec::is_empty));
}

const KEPT: Option<LastLook> = Some(LastLook::Kept);
const RESTRICTED_NOW: Option<LastLook> = Some(LastLook::Restricted);

fn every(number: usize, of: usize, look: Option<LastLook>) -> Option<LastLook> {
    look.filter(|_| number.is_multiple_of(of))
}

#[test]
fn of_a_licence_that_was_read_again_the_last_version_counts() {
    check(&[|_| KEPT, |_| None]);
    check(&[|_| KEPT, |number| every(number, 3, KEPT)]);
    check(&[
        |_| KEPT,
        |number| every(number, 3, KEPT),
        |number| every(number, 5, KEPT),
    ]);
    // All of them, and those that have come late.
    check(&[|number| every(number, 2, KEPT), |_| KEPT, |_| KEPT]);
}

#[test]
fn what_was_left_out_at_first_and_kept_in_the_end_is_listed_once() {
    // Left out, left out again, left out and kept, kept and kept.
    check(&[
        |number| match number % 5 {
            3 => RESTRICTED_NOW,
            _ => KEPT,
        },
        |number| match number % 10 {
            3 => every(number, 3, RESTRICTED_NOW),
            _ => every(number, 3, KEPT),
        },
        |number| match number % 10 {
            3 => every(number, 27, RESTRICTED_NOW),
            _ => every(number, 9, KEPT),
        },
    ]);
    check(&[|_| RESTRICTED_NOW, |_| KEPT]);
    check(&[|_| RESTRICTED_NOW, |_| RESTRICTED_NOW]);
    // Some were denied in between.
    check(&[
        |_| KEPT,
        |number| every(number, 4, RESTRICTED_NOW),
        |number| every(number, 4, KEPT),
    ]);
}

#[test]
fn what_was_kept_and_is_left_out_in_the_end_is_told() {
    let first = Err(license(8).0);
    assert_eq!(
        write(&[|_| KEPT, |number| RESTRICTED_NOW.filter(|_| number == 8)]),
        first
    );
    assert_eq!(
        write(&[
            |_| RESTRICTED_NOW,
            |number| every(number, 8, KEPT),
            |number| RESTRICTED_NOW.filter(|_| number == 8 || number == 16),
        ]),
        first
    );
}
