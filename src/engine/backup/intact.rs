//! Finds out whether an old backup is still what it was, before it is kept in place of an equal one.

use std::iter::{self, Peekable};
use std::sync::Arc;

use crate::archive::seek_table::Span;
use crate::archive::{Digest, Fault, ReadAt, digests};
use crate::buffer::sized;
use crate::engine::operation::Operation;
use crate::engine::operation::pool::{Pool, Rest, Work, ordered};
use crate::engine::operation::progress::{Counting, Phase};
use crate::engine::reading::backup_file::{Backup, errno};
use crate::error::{Result, has_given_up};
use crate::location::Existing;
use crate::sys::files::Errno;

/// Bytes that are read at once.
const PART: u64 = 4 << 20;
/// A multiple of the blocks of nearly all disks, which alone can be read past the system's cache.
const BLOCK: u64 = 4096;

/// Tells whether each frame of the old backup is still as its digest says.
pub fn is_intact(
    old: &Arc<Backup>,
    operation: &Operation,
    pool: &Pool,
    workers: usize,
) -> Result<bool> {
    let counters = &operation.counters;
    let frames = || old.reader.digested().peekable();
    let end = old.reader.digested().last();
    counters.enter(Phase::Checking, end.map_or(0, |(span, _)| span.end()));
    let check = |frames: &mut Peekable<_>, is_direct: bool| -> Result<Verdict> {
        let size = if is_direct {
            old.reader.file_size()
        } else {
            u64::MAX
        };
        let parts = iter::from_fn(|| {
            let part = next_part(frames, size).transpose()?;
            Some(operation.check().and(part))
        });
        let work = Arc::new(Digesting {
            backup: Arc::clone(old),
            is_direct,
        });
        let mut verdict = Verdict::Right;
        ordered(pool, workers, work, parts, |part: Digested| {
            operation.check()?;
            verdict = verdict.max(part.verdict);
            counters.backup_bytes.set(part.end);
            counters.phase_done.set(part.end);
            Ok(())
        })?;
        Ok(verdict)
    };
    // Nobody else reads the file meanwhile.
    let mut left = frames();
    let mut verdict = Verdict::Right;
    if let Some(file) = old.source().plain().and_then(Existing::file)
        && file.set_direct(true).is_ok()
    {
        let checked = check(&mut left, true);
        let _ = file.set_direct(false);
        verdict = checked?;
    }
    if verdict == Verdict::Unread {
        (left, verdict) = (frames(), Verdict::Right);
    }
    verdict = verdict.max(check(&mut left, false)?);
    // Of its lists, too, which were read before.
    old.source().forget(0, old.reader.file_size());
    Ok(verdict == Verdict::Right)
}

/// Takes as many frames as are read at once; none where no more blocks that have one are whole in a
/// file of that size.
fn next_part(
    frames: &mut Peekable<impl Iterator<Item = (Span, Digest)>>,
    size: u64,
) -> Result<Option<Vec<(Span, Digest)>>> {
    let fits = |span: &Span| span.end() + BLOCK <= size;
    let Some(first) = frames.next_if(|(span, _)| fits(span)) else {
        return Ok(None);
    };
    let (start, mut part) = (first.0.start, Vec::new());
    part.try_reserve(1)?;
    part.push(first);
    while let Some(frame) = frames.next_if(|(span, _)| span.end() - start <= PART && fits(span)) {
        part.try_reserve(1)?;
        part.push(frame);
    }
    Ok(Some(part))
}

struct Digesting {
    backup: Arc<Backup>,
    /// The file is read past the system's cache.
    is_direct: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    Right,
    /// The file system does not read past its cache after all.
    Unread,
    Wrong,
}

struct Digested {
    verdict: Verdict,
    /// The end of the part in the file.
    end: u64,
}

impl Work for Digesting {
    type Job = Vec<(Span, Digest)>;
    type Output = Digested;
    type Scratch = Vec<u8>;

    fn scratch(&self) -> Result<Vec<u8>> {
        Ok(Vec::new())
    }

    fn work(
        &self,
        buffer: &mut Vec<u8>,
        part: Self::Job,
        _: Rest<Self::Job, Digested>,
    ) -> Result<Digested> {
        let source = self.backup.source();
        let start = part.first().map_or(0, |(span, _)| span.start) / BLOCK * BLOCK;
        let end = part.last().map_or(0, |(span, _)| span.end());
        let length = match self.is_direct {
            true => (end - start).next_multiple_of(BLOCK),
            false => end - start,
        };
        let room = sized(buffer, (length + BLOCK) as usize)?;
        let first = room.as_ptr().align_offset(BLOCK as usize) % BLOCK as usize;
        let bytes = room.get_mut(first..).unwrap_or_default();
        let bytes = bytes.get_mut(..length as usize).unwrap_or_default();
        let read = source.read_exact_at(bytes, start);
        if let (true, Err(error)) = (self.is_direct, &read)
            && matches!(errno(error), Errno::INVAL | Errno::NOTSUP)
        {
            let verdict = Verdict::Unread;
            return Ok(Digested { verdict, end });
        }
        if !self.is_direct {
            source.forget(start, length);
        }
        let is_read = match read {
            Err(error) if has_given_up(&error) => {
                return Err(self.backup.error(Fault::System(error)));
            }
            read => read.is_ok(),
        };
        let messages = part.iter().map(|(span, _)| {
            let within = (span.start - start) as usize..(span.end() - start) as usize;
            bytes.get(within).unwrap_or_default()
        });
        let found = digests(part.len(), messages).map_err(|fault| self.backup.error(fault))?;
        let is_right = is_read && part.iter().map(|(_, expected)| expected).eq(&found);
        Ok(Digested {
            verdict: if is_right {
                Verdict::Right
            } else {
                Verdict::Wrong
            },
            end,
        })
    }

    fn weight(_: &Digested) -> usize {
        0
    }
}
