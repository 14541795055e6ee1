//! The parts of a backup: how large each is, and whether it stands in the old backup already.

use std::io;

/// Bytes of the first parts; a backup of no more is one request.
const PART: usize = 16 << 20;
/// The most parts of an upload, and the number of those of one size. All stores take parts of one
/// size; some take no others, but they have no use for a terabyte either.
pub const PARTS_MAX: usize = 10_000;
const ALIKE: usize = 2000;
/// The fewest bytes of a part, but for the last, that may be copied from another object.
const COPY_MIN: usize = 5 << 20;

/// Gives the bytes of the part with that number, from 0.
pub fn part_size(number: usize) -> usize {
    PART << (number / ALIKE)
}

/// Bytes of the backup that follow each other, and perhaps stand so in the old one.
#[derive(Default)]
pub struct Part {
    pub bytes: Vec<u8>,
    /// The place in the old backup where all of them stand; none where they do not.
    pub old: Option<u64>,
}

impl Part {
    /// Appends bytes, as many as there is room for, and gives how many; `old` is their place in the
    /// old backup.
    pub fn append(&mut self, bytes: &[u8], old: Option<u64>, size: usize) -> io::Result<usize> {
        let at = self.bytes.len();
        let taken = bytes.get(..size.saturating_sub(at)).unwrap_or(bytes);
        if self.bytes.capacity() < at + taken.len() {
            // Most backups are small, and the others have many parts.
            let room = match at {
                0 => taken.len(),
                _ => size - at,
            };
            self.bytes
                .try_reserve_exact(room)
                .map_err(|_| io::ErrorKind::OutOfMemory)?;
        }
        self.bytes.extend_from_slice(taken);
        let start = old.and_then(|old| old.checked_sub(at as u64));
        self.old = match at {
            0 => start,
            _ => self.old.filter(|own| Some(*own) == start),
        };
        Ok(taken.len())
    }

    /// Gives the place from which the store may copy it, if it may.
    pub fn copied_from(&self) -> Option<u64> {
        self.old.filter(|_| self.bytes.len() >= COPY_MIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_grow_where_there_would_be_too_many() {
        assert_eq!(part_size(0), 16 << 20);
        assert_eq!(part_size(ALIKE - 1), 16 << 20);
        assert_eq!(part_size(PARTS_MAX - 1), 256 << 20);
        let all: u64 = (0..PARTS_MAX).map(|number| part_size(number) as u64).sum();
        assert!(all > 900 << 30);
    }

    #[test]
    fn a_part_is_copied_only_if_all_of_it_stands_together_in_the_old_backup() {
        let filled = |pieces: &[(&[u8], Option<u64>)]| {
            let mut part = Part::default();
            for (bytes, old) in pieces {
                part.append(bytes, *old, 100).unwrap();
            }
            part.old
        };
        assert_eq!(filled(&[(b"abc", Some(7)), (b"de", Some(10))]), Some(7));
        assert_eq!(filled(&[(b"abc", Some(7)), (b"de", Some(11))]), None);
        assert_eq!(filled(&[(b"abc", Some(7)), (b"de", None)]), None);
        assert_eq!(filled(&[(b"abc", None), (b"de", Some(3))]), None);
        assert_eq!(
            filled(&[(b"abc", Some(7)), (b"d", None), (b"e", Some(11))]),
            None
        );
        let mut part = Part::default();
        assert_eq!(part.append(&[1; 70], None, 100).unwrap(), 70);
        assert_eq!(part.append(&[1; 70], None, 100).unwrap(), 30);
        assert_eq!(part.append(&[1; 70], None, 100).unwrap(), 0);
    }
}
