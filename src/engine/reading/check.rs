//! Walks once over a backup, or a part of it: checks frames and licences, and shows each licence
//! that is right to a visitor.

use std::borrow::Cow;
use std::iter::{self, Peekable};
use std::slice;
use std::sync::Arc;

use super::backup_file::Backup;
use super::catalog::Catalog;
use crate::archive::catalog_in_step::Expected;
use crate::archive::frames::FrameReader;
use crate::archive::reader::licenses_in;
use crate::archive::{Fault, digests};
use crate::engine::operation::Operation;
use crate::engine::operation::listener::Notice;
use crate::engine::operation::pool::{Pool, Rest, Work, ordered};
use crate::engine::operation::progress::{Counting, Phase};
use crate::error::{Error, Result};
use crate::license::name;
use crate::random::HashSet;

/// Sees the licences of a backup, on the workers' threads.
pub trait Visitor: Send + Sync + 'static {
    /// The things that a worker keeps from licence to licence.
    type Cursor: Default;
    /// The result for a licence.
    type Found: Send;

    fn visit(
        &self,
        cursor: &mut Self::Cursor,
        license: &Expected,
        content: &[u8],
    ) -> Result<Self::Found>;
}

/// Visits licences without doing anything: they only have to be right.
pub struct Looking;

impl Visitor for Looking {
    type Cursor = ();
    type Found = ();

    fn visit(&self, (): &mut (), _: &Expected, _: &[u8]) -> Result<()> {
        Ok(())
    }
}

/// Carries contents to the thread that calls the host.
pub struct Copying;

impl Visitor for Copying {
    type Cursor = ();
    type Found = Vec<u8>;

    fn visit(&self, (): &mut (), _: &Expected, content: &[u8]) -> Result<Vec<u8>> {
        let mut copy = Vec::new();
        copy.try_reserve_exact(content.len())?;
        copy.extend_from_slice(content);
        Ok(copy)
    }
}

/// The licences of a backup that a walk visits.
pub enum Selection {
    /// All licences: every byte of the file is checked.
    All,
    /// The licences in these places, in the order of the backup.
    These(Vec<Expected>),
}

/// The things that a walk needs.
#[derive(Clone, Copy)]
pub struct Walk<'w> {
    pub operation: &'w Arc<Operation>,
    pub pool: &'w Pool,
    pub workers: usize,
    pub backup: &'w Arc<Backup>,
    /// The host has already been told of the damage.
    pub is_again: bool,
}

impl Walk<'_> {
    /// Walks the selection with all workers. `found` learns, in order, of each licence that is
    /// right; damaged ones are told to the host and counted. Gives the backup's damage as far as it
    /// could be read; fails where its lists can't be followed.
    pub fn see<V: Visitor>(
        &self,
        phase: Phase,
        selection: &Selection,
        visitor: Arc<V>,
        mut found: impl FnMut(&Expected, V::Found) -> Result<()>,
    ) -> Result<Option<Error>> {
        let (operation, backup) = (self.operation, self.backup);
        let counters = &operation.counters;
        let mut jobs = Jobs::new(backup, selection)?;
        let (total, mut older) = (jobs.licenses(), Older::default());
        counters.licenses_total.set(total);
        counters.enter(phase, total);
        let checking = Checking {
            are_all: jobs.are_all(),
            operation: Arc::clone(operation),
            backup: Arc::clone(backup),
            visitor,
        };
        let (mut damaged, mut damage, mut read) = (0, None, 0);
        let under_way = jobs.by_ref().map(|job| operation.check().and(job));
        let take = |checked: Checked<V::Found>| {
            let mut superseded = checked.superseded.into_iter().peekable();
            let both = checked.licenses.into_iter().zip(checked.verdicts);
            for (number, (license, verdict)) in both.enumerate() {
                operation.check()?;
                while let Some((_, name)) = superseded.next_if(|(before, _)| *before <= number) {
                    older.meet(&name)?;
                }
                older.supersede(&license.name);
                match verdict {
                    Some(what) => found(&license, what)?,
                    None => {
                        damaged += 1;
                        counters.licenses_damaged.add(1);
                        if !self.is_again {
                            operation.tell(Notice::Damaged { name: license.name });
                        }
                    }
                }
                counters.phase_done.add(1);
            }
            superseded.try_for_each(|(_, name)| older.meet(&name))?;
            // Each has to be a name in the lists, which have that many.
            if older.names.len() as u64 > total {
                return Err(backup.error(unlisted()));
            }
            damage = damage.take().or(checked.damage);
            read += checked.bytes;
            counters.backup_bytes.set(read);
            Ok(())
        };
        ordered(self.pool, self.workers, Arc::new(checking), under_way, take)?;
        if damaged > 0 || damage.is_some() {
            let why = damage.unwrap_or_else(|| "they are not what SHA256SUMS says".into());
            let what = format!("{damaged} of {total} licences can't be restored: {why}");
            return Ok(Some(backup.error(Fault::Damaged(what))));
        }
        let all = jobs.are_all();
        let finished = jobs.finish(&older);
        if all {
            // Of its lists, too, which were read meanwhile.
            backup.source().forget(0, backup.reader.file_size());
        }
        match finished {
            Ok(size) => {
                counters.backup_bytes.set(size.unwrap_or(read));
                Ok(None)
            }
            Err(Fault::Damaged(what)) => Ok(Some(backup.error(Fault::Damaged(what)))),
            Err(fault) => Err(backup.error(fault)),
        }
    }
}

/// Licences in the frames that are not in the lists, and for which no later licence of the same
/// name, which counts in their place, has been met yet. They are kept as hashes of their names.
#[derive(Default)]
struct Older {
    hash: name::Hash,
    names: HashSet<u128>,
}

impl Older {
    fn meet(&mut self, name: &str) -> Result<()> {
        self.names.try_reserve(1)?;
        self.names.insert(self.hash.of(name));
        Ok(())
    }

    fn supersede(&mut self, name: &str) {
        if !self.names.is_empty() {
            self.names.remove(&self.hash.of(name));
        }
    }
}

fn unlisted() -> Fault {
    Fault::damaged(
        "it has licences that its lists do not name, or that follow the listed one of the same name",
    )
}

/// A frame, and the licences that are expected in it.
struct Job {
    frame: usize,
    licenses: Vec<Expected>,
}

/// The frames of a selection, in their order.
struct Jobs<'b> {
    backup: &'b Backup,
    source: Source<'b>,
}

enum Source<'b> {
    /// Every frame, with the licences that the lists expect in it.
    All {
        lists: Box<Catalog<'b>>,
        frame: usize,
    },
    These(Peekable<slice::Iter<'b, Expected>>),
}

impl<'b> Jobs<'b> {
    fn new(backup: &'b Backup, selection: &'b Selection) -> Result<Jobs<'b>> {
        let source = match selection {
            Selection::These(licenses) => Source::These(licenses.iter().peekable()),
            Selection::All => Source::All {
                lists: Box::new(Catalog::new(&backup.reader).map_err(|fault| backup.error(fault))?),
                frame: 0,
            },
        };
        Ok(Jobs { backup, source })
    }

    fn licenses(&self) -> u64 {
        match &self.source {
            Source::All { .. } => self.backup.reader.trailer().licenses,
            Source::These(licenses) => licenses.len() as u64,
        }
    }

    /// Tells whether all licences are selected, so that an unexpected one has to be explained.
    fn are_all(&self) -> bool {
        matches!(self.source, Source::All { .. })
    }

    fn next_job(&mut self) -> Result<Option<Job>, Fault> {
        let reader = &self.backup.reader;
        match &mut self.source {
            Source::All { frame, .. } if *frame == reader.license_frames() => Ok(None),
            Source::All { lists, frame } => {
                let job = Job {
                    frame: *frame,
                    licenses: lists.of_frame(*frame)?,
                };
                *frame += 1;
                Ok(Some(job))
            }
            Source::These(left) => {
                let Some(frame) = left.peek().map(|first| first.frame) else {
                    return Ok(None);
                };
                let mut licenses = Vec::new();
                while let Some(license) = left.next_if(|license| license.frame == frame) {
                    licenses.try_reserve(1)?;
                    licenses.push(license.clone());
                }
                Ok(Some(Job { frame, licenses }))
            }
        }
    }

    /// Checks the rest when all licences have been checked. Where all are selected, that is the
    /// rest of the file, whose size it gives.
    fn finish(self, older: &Older) -> Result<Option<u64>, Fault> {
        match self.source {
            Source::These(_) => Ok(None),
            Source::All { .. } if !older.names.is_empty() => Err(unlisted()),
            Source::All { lists, .. } => {
                lists.finish()?;
                Ok(Some(self.backup.file_size()))
            }
        }
    }
}

impl Iterator for Jobs<'_> {
    type Item = Result<Job>;

    fn next(&mut self) -> Option<Result<Job>> {
        let job = self.next_job();
        job.map_err(|fault| self.backup.error(fault)).transpose()
    }
}

struct Checking<V> {
    /// All licences are selected: the names of unexpected ones are kept.
    are_all: bool,
    operation: Arc<Operation>,
    backup: Arc<Backup>,
    visitor: Arc<V>,
}

struct Checked<F> {
    /// The expected licences.
    licenses: Vec<Expected>,
    /// The visitor's result for each of them; none for a damaged one.
    verdicts: Vec<Option<F>>,
    /// Names in the frame that are not in the lists, each with the number of the licences before
    /// it: a later member has to have them.
    superseded: Vec<(usize, String)>,
    /// The fault of the frame.
    damage: Option<String>,
    /// Bytes of the frame in the file.
    bytes: u64,
}

impl<V: Visitor> Work for Checking<V> {
    type Job = Job;
    type Output = Checked<V::Found>;
    type Scratch = (FrameReader, V::Cursor);

    fn scratch(&self) -> Result<Self::Scratch> {
        Ok((
            FrameReader::new().map_err(|fault| self.backup.error(fault))?,
            V::Cursor::default(),
        ))
    }

    fn work(
        &self,
        (memory, cursor): &mut Self::Scratch,
        job: Job,
        _: Rest<Job, Self::Output>,
    ) -> Result<Self::Output> {
        let Checking {
            operation, backup, ..
        } = self;
        let span = backup.reader.span(job.frame);
        let span = span.map_err(|fault| backup.error(fault))?;
        let mut checked = Checked {
            licenses: job.licenses,
            verdicts: Vec::new(),
            superseded: Vec::new(),
            damage: None,
            bytes: u64::from(span.length),
        };
        let (mut members, mut bytes) = (Vec::new(), &[][..]);
        let read = backup.reader.undigested(job.frame, memory);
        if self.are_all {
            // A whole backup would drive the host's own data out of the cache.
            backup.source().forget(span.start, span.length.into());
        }
        let read = read.and_then(|frame| {
            bytes = frame.bytes;
            licenses_in(frame.content?, |license| {
                members.try_reserve(1)?;
                members.push((license.name, license.content));
                Ok(())
            })
        });
        match read {
            Ok(()) => {}
            Err(Fault::Damaged(what)) => checked.damage = Some(what),
            Err(fault) => return Err(backup.error(fault)),
        }
        let Matches { contents, others } = Matches::of(&checked.licenses, &members, self.are_all)?;
        checked.superseded = others;
        operation.check()?;
        // All digests are computed at once, which is faster than one by one; so the frame's own
        // comes this late.
        let messages = contents.iter().map(|content| content.unwrap_or_default());
        let digests = digests(1 + contents.len(), iter::once(bytes).chain(messages));
        let mut digests = digests.map_err(|fault| backup.error(fault))?.into_iter();
        let is_right = digests
            .next()
            .is_some_and(|digest| backup.reader.vouches_for(job.frame, &digest));
        if !is_right {
            checked.superseded.clear();
            // This counts before all other faults of its bytes; where it has none, they could not
            // be read.
            if !bytes.is_empty() {
                checked.damage = Some(Fault::altered().to_string());
            }
        }
        checked.verdicts.try_reserve_exact(contents.len())?;
        for ((license, content), digest) in checked.licenses.iter().zip(contents).zip(digests) {
            operation.check()?;
            let content = content.filter(|_| is_right && digest == license.digest);
            let verdict = content.map(|content| self.visitor.visit(cursor, license, content));
            checked.verdicts.push(verdict.transpose()?);
        }
        Ok(checked)
    }

    fn weight(checked: &Self::Output) -> usize {
        let contents = checked.licenses.iter();
        contents.map(|license| license.size as usize).sum()
    }
}

/// The members of a frame beside the licences that are expected in it.
struct Matches<'c> {
    /// The content of each licence, if that may be right.
    contents: Vec<Option<&'c [u8]>>,
    /// The names of members that are not expected, each with the number of the licences before it.
    others: Vec<(usize, String)>,
}

impl<'c> Matches<'c> {
    /// Finds each licence among the members, in their order. Of members of one name the last counts.
    fn of(
        expected: &[Expected],
        members: &[(Cow<str>, &'c [u8])],
        keeps_names: bool,
    ) -> Result<Matches<'c>> {
        let (mut contents, mut others) = (Vec::new(), Vec::new());
        contents.try_reserve_exact(expected.len())?;
        let (mut left, mut members) = (expected.len(), members.iter().rev());
        for license in expected.iter().rev() {
            let mut content = None;
            for (name, found) in members.by_ref() {
                if *name == license.name {
                    content = Some(*found).filter(|found| found.len() as u64 == license.size);
                    break;
                }
                if keeps_names {
                    others.try_reserve(1)?;
                    others.push((left, name.clone().into_owned()));
                }
            }
            left -= 1;
            contents.push(content);
        }
        for (name, _) in members.filter(|_| keeps_names) {
            others.try_reserve(1)?;
            others.push((left, name.clone().into_owned()));
        }
        contents.reverse();
        others.reverse();
        Ok(Matches { contents, others })
    }
}
