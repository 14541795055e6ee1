//! The records of the index in a frame, laid out so that they compress: hints as differences to the
//! one before, and of all numbers first the lowest bytes, then the next ones, and so on.

use super::Result;
use super::index::{RECORD, Record};

/// Appends the records of a frame.
pub fn push(frame: &mut Vec<u8>, records: &[Record]) -> Result<()> {
    frame.try_reserve(records.len() * RECORD)?;
    let before = std::iter::once(0).chain(records.iter().map(|record| record.hint));
    let differences = records.iter().zip(before).map(|(record, before)| Record {
        hint: record.hint.wrapping_sub(before),
        ..*record
    });
    for place in 0..RECORD {
        let bytes = differences.clone().map(Record::to_bytes);
        frame.extend(bytes.filter_map(|bytes| bytes.get(place).copied()));
    }
    Ok(())
}

/// Reads the records of a frame in place of those in `records`; false where there can't be such.
pub fn read(frame: &[u8], records: &mut Vec<Record>) -> Result<bool> {
    let count = frame.len() / RECORD;
    records.clear();
    records.try_reserve(count)?;
    let (licenses, differences) = frame.split_at(frame.len() / 2);
    let (mut hint, mut is_whole) = (0_u32, frame.len().is_multiple_of(RECORD));
    let both = numbers(licenses, count).zip(numbers(differences, count));
    records.extend(both.map(|(license, difference)| {
        let (next, is_over) = hint.overflowing_add(difference);
        is_whole &= !is_over;
        hint = next;
        Record { hint, license }
    }));
    Ok(is_whole)
}

/// Gives `count` numbers, of which all lowest bytes come first.
fn numbers(bytes: &[u8], count: usize) -> impl Iterator<Item = u32> {
    let column = |place: usize| bytes.get(place * count..).unwrap_or_default().iter();
    let all = column(0).zip(column(1)).zip(column(2)).zip(column(3));
    let number =
        |(((b0, b1), b2), b3): (((&u8, &u8), &u8), &u8)| u32::from_le_bytes([*b0, *b1, *b2, *b3]);
    all.map(number).take(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back_and_hints_never_descend() {
        let record = |hint, license| Record { hint, license };
        let all = [
            record(0, 7),
            record(0x0403_0201, 0x0807_0605),
            record(u32::MAX, 0),
            record(u32::MAX, u32::MAX),
        ];
        for count in 0..=all.len() {
            let (mut frame, mut back) = (vec![9], vec![record(1, 1)]);
            push(&mut frame, &all[..count]).unwrap();
            assert!(read(&frame[1..], &mut back).unwrap());
            assert_eq!(back, all[..count]);
            assert!(!read(&frame, &mut back).unwrap());
        }
        let mut frame = Vec::new();
        push(&mut frame, &all[..2]).unwrap();
        assert_eq!(frame, [7, 5, 0, 6, 0, 7, 0, 8, 0, 1, 0, 2, 0, 3, 0, 4]);
        frame.clear();
        push(&mut frame, &[all[1], all[0]]).unwrap();
        assert!(!read(&frame, &mut Vec::new()).unwrap());
    }
}
