//! Sorts the records of the index, in memory or, where there are many, in parts that wait in the
//! spool and are merged at the end.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::index::{RECORD, Record};
use super::limits::SORTED_AT_ONCE;
use super::spool::{Scratch, Spool};
use super::{Fault, Result};
use crate::buffer::sized;

/// Records of a sorted part that are read at once.
const READ_AT_ONCE: usize = 1 << 10;

#[derive(Default)]
pub struct IndexWriter {
    recent: Vec<Record>,
    /// The sorted parts in the spool.
    parts: Vec<Part>,
}

struct Part {
    start: u64,
    count: usize,
}

impl IndexWriter {
    /// Counts the records.
    pub fn len(&self) -> usize {
        self.recent.len() + self.parts.iter().map(|part| part.count).sum::<usize>()
    }

    pub fn push<S: Scratch>(&mut self, record: Record, spool: &mut Spool<'_, S>) -> Result<()> {
        if self.recent.len() == SORTED_AT_ONCE {
            self.spill(spool)?;
        }
        self.recent.try_reserve(1)?;
        self.recent.push(record);
        Ok(())
    }

    fn spill<S: Scratch>(&mut self, spool: &mut Spool<'_, S>) -> Result<()> {
        self.recent.sort_unstable();
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(self.recent.len() * RECORD)?;
        let records = self.recent.iter();
        records.for_each(|record| bytes.extend_from_slice(&record.to_bytes()));
        self.parts.try_reserve(1)?;
        self.parts.push(Part {
            start: spool.append(&[&bytes])?,
            count: self.recent.len(),
        });
        self.recent.clear();
        Ok(())
    }

    /// Drops the records of these licences, which are sorted, and counts the others without them.
    pub fn drop_licenses<S: Scratch>(
        &mut self,
        dropped: &[u32],
        spool: &mut Spool<'_, S>,
    ) -> Result<()> {
        let all = std::mem::take(self);
        let mut sorted = all.into_sorted(spool)?;
        while let Some(record) = sorted.next(spool)? {
            if let Err(before) = dropped.binary_search(&record.license) {
                let license = record.license - before as u32;
                self.push(Record { license, ..record }, spool)?;
            }
        }
        Ok(())
    }

    /// Gives all records in their order.
    pub fn into_sorted<S: Scratch>(mut self, spool: &Spool<'_, S>) -> Result<SortedRecords> {
        self.recent.sort_unstable();
        let mut sorted = SortedRecords {
            next: BinaryHeap::new(),
            parts: Vec::new(),
        };
        sorted.next.try_reserve_exact(self.parts.len() + 1)?;
        sorted.parts.try_reserve_exact(self.parts.len() + 1)?;
        for part in self.parts {
            sorted.parts.push(PartReader {
                records: Vec::new(),
                at: 0,
                rest: part,
            });
        }
        sorted.parts.push(PartReader {
            records: self.recent,
            at: 0,
            rest: Part { start: 0, count: 0 },
        });
        for number in 0..sorted.parts.len() {
            sorted.take_from(number, spool)?;
        }
        Ok(sorted)
    }
}

/// The records of all parts, merged.
pub struct SortedRecords {
    /// The next record of each part that has one, by the number of the part.
    next: BinaryHeap<Reverse<(Record, usize)>>,
    parts: Vec<PartReader>,
}

impl SortedRecords {
    pub fn next<S: Scratch>(&mut self, spool: &Spool<'_, S>) -> Result<Option<Record>> {
        let Some(Reverse((record, part))) = self.next.pop() else {
            return Ok(None);
        };
        self.take_from(part, spool)?;
        Ok(Some(record))
    }

    fn take_from<S: Scratch>(&mut self, number: usize, spool: &Spool<'_, S>) -> Result<()> {
        let part = self.parts.get_mut(number).ok_or(Fault::OutOfMemory)?;
        if let Some(record) = part.next(spool)? {
            // There is room for one of each part.
            self.next.push(Reverse((record, number)));
        }
        Ok(())
    }
}

/// The records of a part: some in memory, the rest in the spool.
struct PartReader {
    records: Vec<Record>,
    at: usize,
    rest: Part,
}

impl PartReader {
    fn next<S: Scratch>(&mut self, spool: &Spool<'_, S>) -> Result<Option<Record>> {
        if self.at == self.records.len() && self.rest.count > 0 {
            let count = self.rest.count.min(READ_AT_ONCE);
            let mut bytes = Vec::new();
            let bytes = sized(&mut bytes, count * RECORD)?;
            spool.read(bytes, self.rest.start)?;
            self.records.clear();
            self.records.try_reserve_exact(count)?;
            let (records, _) = bytes.as_chunks();
            self.records
                .extend(records.iter().copied().map(Record::from_bytes));
            self.at = 0;
            self.rest.start += (count * RECORD) as u64;
            self.rest.count -= count;
        }
        let record = self.records.get(self.at).copied();
        self.at += 1;
        Ok(record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Makes a record with a hint in no order; every third has the same.
    fn record(license: u32) -> Record {
        let hint = match license % 3 {
            0 => 7,
            _ => license.wrapping_mul(2_654_435_761),
        };
        Record { hint, license }
    }

    #[test]
    fn records_are_sorted_however_many_there_are() {
        for count in [
            0,
            1,
            1000,
            SORTED_AT_ONCE as u32,
            3 * SORTED_AT_ONCE as u32 + 7,
        ] {
            let mut spool = Spool::new(0, || Ok(Vec::new()));
            let mut index = IndexWriter::default();
            for license in 0..count {
                index.push(record(license), &mut spool).unwrap();
            }
            let dropped: Vec<u32> = (0..count).filter(|license| license % 5 == 2).collect();
            let mut expected: Vec<Record> = (0..count).map(record).collect();
            for drops in [false, true] {
                if drops {
                    index.drop_licenses(&dropped, &mut spool).unwrap();
                    expected.retain(|record| record.license % 5 != 2);
                    for record in &mut expected {
                        record.license -=
                            dropped.partition_point(|gone| *gone < record.license) as u32;
                    }
                }
                expected.sort_unstable();
                assert_eq!(index.len(), expected.len());
                let copy = IndexWriter {
                    recent: index.recent.clone(),
                    parts: index.parts.iter().map(|part| Part { ..*part }).collect(),
                };
                let mut sorted = copy.into_sorted(&spool).unwrap();
                for record in &expected {
                    assert_eq!(sorted.next(&spool).unwrap(), Some(*record));
                }
                assert_eq!(sorted.next(&spool).unwrap(), None);
            }
        }
    }
}
