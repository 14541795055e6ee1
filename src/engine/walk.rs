//! One pass over a backup: every frame and every licence is checked, and whoever walks sees each
//! licence that is right.

use std::collections::HashSet;
use std::sync::Arc;

use super::events::Notice;
use super::operation::Operation;
use super::pool::{Outlet, Pool, Work, ordered};
use super::progress::{Count, Phase};
use super::reading::{Backup, Stored};
use crate::archive::agreement::{Agreement, places};
use crate::archive::frames::FrameReader;
use crate::archive::index::Record;
use crate::archive::lines::{RestrictedLine, parse_json};
use crate::archive::reader::licenses_in;
use crate::archive::{Digest, Fault, RESTRICTED, digest};
use crate::error::{Error, Result};
use crate::license::{BackupRight, Format, name};
use crate::sys::files::File;

/// Sees the licences of a backup, on the workers' threads.
pub trait Visitor: Send + Sync + 'static {
    /// What a worker keeps from licence to licence.
    type Cursor: Default;
    /// What became of a licence.
    type Found: Send;

    fn visit(
        &self,
        cursor: &mut Self::Cursor,
        license: &Expected,
        content: &[u8],
    ) -> Result<Self::Found>;
}

/// What the backup's lists say of a licence.
#[derive(Debug)]
pub struct Expected {
    pub name: String,
    pub key_id: String,
    pub right: BackupRight,
    pub format: Format,
    pub modified: i64,
    pub size: u64,
    digest: Digest,
    offset: u64,
}

/// Walks the whole of `backup` with all `workers`. `found` learns, in order, of each licence that
/// is right; damaged ones are told to the host and counted. What is wrong with the backup as a
/// whole is an error, and so, at the end, is a damaged licence.
pub fn walk<V: Visitor>(
    operation: &Arc<Operation>,
    pool: &Pool,
    workers: usize,
    backup: &Arc<Backup>,
    phase: Phase,
    visitor: Arc<V>,
    mut found: impl FnMut(&Expected, V::Found) -> Result<()>,
) -> Result<()> {
    let (reader, fault) = (&backup.reader, |fault| backup.error(fault));
    let counters = &operation.counters;
    let total = reader.trailer().licenses;
    counters.licenses_total.set(total);
    counters.enter(phase, total);
    let places: Vec<Record> = places(reader).map_err(fault)?;
    let names = name::Set::default();
    let hash = names.hasher();
    let mut lists = Lists {
        agreement: Agreement::new(reader, &places).map_err(fault)?,
        names,
        content_bytes: 0,
    };
    let checking = Checking {
        operation: Arc::clone(operation),
        backup: Arc::clone(backup),
        visitor,
    };
    let frames = (0..reader.license_frames()).map(|frame| {
        operation.check()?;
        lists.frame(backup, frame).map_err(fault)
    });
    let (mut damaged, mut damage, mut superseded) = (0, None, HashSet::new());
    ordered(
        pool,
        workers,
        Arc::new(checking),
        frames,
        |checked: Checked<V::Found>| {
            for (license, verdict) in checked.licenses {
                operation.check()?;
                match verdict {
                    Some(what) => found(&license, what)?,
                    None => {
                        damaged += 1;
                        counters.licenses_damaged.add(1);
                        operation.tell(Notice::Damaged { name: license.name });
                    }
                }
                counters.phase_done.add(1);
            }
            for name in checked.superseded {
                superseded.try_reserve(1)?;
                superseded.insert(hash.of(&name));
            }
            // Each has to be a name in the lists, of which there are so many.
            if superseded.len() as u64 > total {
                return Err(fault(unlisted()));
            }
            damage = damage.take().or(checked.damage);
            counters.backup_bytes.set(checked.end);
            Ok(())
        },
    )?;
    lists.finish(backup, &superseded).map_err(fault)?;
    reader.check_unknown().map_err(fault)?;
    check_restricted(backup).map_err(fault)?;
    counters.backup_bytes.set(reader.file_size());
    if damaged == 0 && damage.is_none() {
        return Ok(());
    }
    let why = damage.unwrap_or_else(|| "they are not what SHA256SUMS says".into());
    Err(fault(Fault::Damaged(format!(
        "{damaged} of its {total} licences can't be restored: {why}"
    ))))
}

/// What the members after the licences say, walked beside them.
struct Lists<'b> {
    agreement: Agreement<'b, Stored<File>>,
    names: name::Set,
    content_bytes: u64,
}

impl Lists<'_> {
    /// What is expected in `frame`.
    fn frame(&mut self, backup: &Backup, frame: usize) -> Result<Job, Fault> {
        let end = backup.reader.span(frame)?.content_end();
        let mut licenses = Vec::new();
        while self.agreement.has_next_before(end) {
            let listed = self.agreement.next()?;
            self.names.insert(&listed.line.name)?.map_err(|clash| {
                Fault::Damaged(format!("a name clashes: {}: {clash}", listed.line.name))
            })?;
            self.content_bytes += listed.line.size;
            licenses.try_reserve(1)?;
            licenses.push(Expected {
                right: listed.line.right(),
                format: listed.line.format(),
                name: listed.line.name.into_owned(),
                key_id: listed.line.key_id.into_owned(),
                modified: listed.modified,
                size: listed.line.size,
                digest: listed.digest,
                offset: listed.offset,
            });
        }
        Ok(Job { frame, licenses })
    }

    /// Whether the lists are whole, name nothing twice, and name a later version of everything they
    /// pass over.
    fn finish(self, backup: &Backup, superseded: &HashSet<u128>) -> Result<(), Fault> {
        self.agreement.finish()?;
        if !superseded.iter().all(|hash| self.names.contains(*hash)) {
            return Err(unlisted());
        }
        match self.content_bytes == backup.reader.trailer().content_bytes {
            true => Ok(()),
            false => Err(Fault::damaged("its licences are not as large as it says")),
        }
    }
}

fn unlisted() -> Fault {
    Fault::damaged("it has licences that are in no list")
}

fn check_restricted(backup: &Backup) -> Result<(), Fault> {
    let mut lines = backup.reader.lines(RESTRICTED)?;
    let mut count = 0;
    while let Some((_, line)) = lines.next()? {
        parse_json::<RestrictedLine>(line)?;
        count += 1;
    }
    lines.finish()?;
    match backup.reader.trailer().restricted == count {
        true => Ok(()),
        false => Err(Fault::damaged(
            "its list of restricted licences is not as long as it says",
        )),
    }
}

struct Checking<V> {
    operation: Arc<Operation>,
    backup: Arc<Backup>,
    visitor: Arc<V>,
}

struct Job {
    frame: usize,
    licenses: Vec<Expected>,
}

struct Checked<F> {
    /// None: damaged.
    licenses: Vec<(Expected, Option<F>)>,
    /// Names that are in the frame and not in the lists: a later member has to have them.
    superseded: Vec<String>,
    /// What is wrong with the frame.
    damage: Option<String>,
    /// Where the frame ends in the file.
    end: u64,
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
        outlet: &Outlet<Self::Output>,
    ) -> Result<()> {
        let span = self
            .backup
            .reader
            .span(job.frame)
            .map_err(|fault| self.backup.error(fault))?;
        let mut checked = Checked {
            licenses: Vec::new(),
            superseded: Vec::new(),
            damage: None,
            end: span.start + u64::from(span.length),
        };
        checked.licenses.try_reserve_exact(job.licenses.len())?;
        let mut expected = job.licenses.into_iter().peekable();
        let read = self
            .backup
            .reader
            .frame(job.frame, memory)
            .map_err(Stop::Fault)
            .and_then(|content| {
                licenses_in(content, span, |license| {
                    self.operation.check().map_err(Stop::Error)?;
                    // What was expected before this member is not there.
                    while let Some(missing) =
                        expected.next_if(|expected| expected.offset < license.offset)
                    {
                        checked.licenses.push((missing, None));
                    }
                    let Some(this) = expected.next_if(|expected| expected.offset == license.offset)
                    else {
                        checked.superseded.push(license.name.into_owned());
                        return Ok(());
                    };
                    let right = license.name == this.name
                        && license.content.len() as u64 == this.size
                        && digest(license.content) == this.digest;
                    let verdict = match right {
                        true => Some(
                            self.visitor
                                .visit(cursor, &this, license.content)
                                .map_err(Stop::Error)?,
                        ),
                        false => None,
                    };
                    checked.licenses.push((this, verdict));
                    Ok(())
                })
            });
        match read {
            Ok(()) => {}
            Err(Stop::Error(error)) => return Err(error),
            Err(Stop::Fault(Fault::Damaged(what))) => checked.damage = Some(what),
            Err(Stop::Fault(fault)) => return Err(self.backup.error(fault)),
        }
        // What the frame still owes is damaged with it.
        checked
            .licenses
            .extend(expected.map(|license| (license, None)));
        outlet.send(checked)
    }
}

enum Stop {
    Fault(Fault),
    Error(Error),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Stop {
        Stop::Fault(fault)
    }
}
