//! Reads a backup from its end, and checks every byte before it is believed.
//!
//! The chain of trust: `backup.json` holds the digests of the other members; one of these,
//! `frames`, holds the digest of every earlier frame; `SHA256SUMS` that of every licence.

use std::borrow::Cow;
use std::ops::Range;

use memchr::memchr;
use sha2::{Digest as _, Sha256};

use super::frames::{FrameReader, Unpacked};
use super::index::{COUNT, RECORD};
use super::seek_table::{self, SeekTable, Span, Tail};
use super::trailer::{Entry, Trailer};
use super::{
    Digest, FOLDER, FRAMES, Fault, INDEX, LICENSES, RESTRICTED, ReadAt, Result, SUMS, TRAILER,
    limits, members,
};
use crate::license::{self, name};
use crate::random::HashSet;

/// The members that a reader needs, in their order.
const KNOWN: [&str; 5] = [SUMS, LICENSES, RESTRICTED, INDEX, FRAMES];

/// An opened backup whose trailer and frame digests have been checked.
pub struct Reader<R> {
    pub(super) source: R,
    pub(super) tail: Tail,
    pub(super) table: SeekTable,
    pub(super) digests: Vec<Digest>,
    pub(super) trailer: Trailer,
    pub(super) license_frames: usize,
}

impl<R: ReadAt> Reader<R> {
    pub fn open(source: R) -> Result<Reader<R>> {
        let tail = Tail::read_from(&source)?;
        let table = SeekTable::read(&source, &tail)?;
        let trailer = read_trailer(&source, &tail, &table)?;
        let license_frames = check_layout(&trailer, &table)?;
        let mut reader = Reader {
            source,
            tail,
            table,
            digests: Vec::new(),
            trailer,
            license_frames,
        };
        reader.digests = reader.read_digests()?;
        Ok(reader)
    }

    /// Gives the file that it reads from.
    pub fn source(&self) -> &R {
        &self.source
    }

    /// Gives the file back.
    pub fn into_source(self) -> R {
        self.source
    }

    /// Gives the digest that the bytes of `frame` must have.
    pub fn digest(&self, frame: usize) -> Result<Digest> {
        let digest = self.digests.get(frame).copied();
        digest.ok_or_else(|| Fault::damaged("a frame is missing"))
    }

    /// Gives each frame before the member `frames`, with the digest that its bytes must have.
    pub fn digested(&self) -> impl Iterator<Item = (Span, Digest)> {
        let digests = self.digests.iter().copied();
        self.table.spans().iter().copied().zip(digests)
    }

    pub fn trailer(&self) -> &Trailer {
        &self.trailer
    }

    pub fn file_size(&self) -> u64 {
        self.tail.file_size()
    }

    /// Counts the frames that hold licences: the first ones.
    pub fn license_frames(&self) -> usize {
        self.license_frames
    }

    pub fn span(&self, frame: usize) -> Result<Span> {
        self.table.span(frame)
    }

    /// Gives the content of `frame`, checked.
    pub fn frame<'a>(&self, frame: usize, memory: &'a mut FrameReader) -> Result<&'a [u8]> {
        memory.read(
            &self.source,
            &self.tail,
            self.table.span(frame)?,
            self.digests.get(frame),
        )
    }

    /// Gives the content of `frame`, checked except for its digest, which is still to be [vouched
    /// for](Self::vouches_for).
    pub fn undigested<'a>(
        &self,
        frame: usize,
        memory: &'a mut FrameReader,
    ) -> Result<Unpacked<'a>> {
        memory.read_undigested(&self.source, &self.tail, self.table.span(frame)?)
    }

    /// Tells whether `digest` is that of the bytes of `frame`, as far as that is known.
    pub fn vouches_for(&self, frame: usize, digest: &Digest) -> bool {
        let expected = self.digests.get(frame);
        expected.is_none_or(|expected| expected == digest)
    }

    /// Finds the frame that holds the byte `offset` of the decompressed stream.
    pub fn frame_at(&self, offset: u64) -> Result<usize> {
        self.table.frame_at(offset)
    }

    /// Reads the member `name` from its beginning.
    pub fn member(&self, name: &str) -> Result<MemberReader<'_, R>> {
        let entry = self.trailer.entry(name)?;
        let frame = self.table.frame_at(entry.offset)?;
        Ok(MemberReader {
            reader: self,
            entry,
            memory: FrameReader::new()?,
            frame,
            part: 0..0,
            sha256: Some(Sha256::new()),
        })
    }

    /// Reads the lines of the member `name`.
    pub fn lines(&self, name: &str) -> Result<Lines<'_, R>> {
        Ok(Lines {
            member: self.member(name)?,
            rest: 0..0,
        })
    }

    /// Reads the member `name` by parts. The digests of its frames vouch for them, not its own: so
    /// it can't be finished.
    pub fn framed_member(&self, name: &str) -> Result<MemberReader<'_, R>> {
        let mut member = self.member(name)?;
        member.sha256 = None;
        Ok(member)
    }

    /// Reads the lines of the member `name` in the same way.
    pub fn framed_lines(&self, name: &str) -> Result<Lines<'_, R>> {
        Ok(Lines {
            member: self.framed_member(name)?,
            rest: 0..0,
        })
    }

    /// Reads the members that this version does not know, which must also be what the trailer says.
    pub fn check_unknown(&self) -> Result<()> {
        let unknown = self
            .trailer
            .members
            .iter()
            .filter(|entry| !KNOWN.contains(&entry.name.as_str()));
        for entry in unknown {
            let mut member = self.member(&entry.name)?;
            while member.next()?.is_some() {}
            member.finish()?;
        }
        Ok(())
    }

    fn read_digests(&self) -> Result<Vec<Digest>> {
        let mut digests = Vec::new();
        let mut member = self.member(FRAMES)?;
        while let Some(part) = member.next()? {
            let (new, rest) = part.as_chunks::<32>();
            if !rest.is_empty() {
                return Err(Fault::damaged("the list of frames is malformed"));
            }
            digests.try_reserve(new.len())?;
            digests.extend_from_slice(new);
        }
        member.finish()?;
        Ok(digests)
    }
}

/// Tells whether `source` is a backup, of any version: one ends with a backup's trailer.
pub fn is_backup(source: &impl ReadAt) -> Result<bool> {
    if !seek_table::ends_as_table(source)? {
        return Ok(false);
    }
    let read = || {
        let tail = Tail::read_from(source)?;
        read_trailer(source, &tail, &SeekTable::read(source, &tail)?)
    };
    match read() {
        Ok(_) | Err(Fault::OtherVersion { .. }) => Ok(true),
        Err(Fault::Damaged(_)) => Ok(false),
        Err(fault) => Err(fault),
    }
}

/// Reads `backup.json` and the end of the archive, which are alone in the last frame.
fn read_trailer(source: &impl ReadAt, tail: &Tail, table: &SeekTable) -> Result<Trailer> {
    let last = table
        .spans()
        .len()
        .checked_sub(1)
        .ok_or_else(|| Fault::damaged("it has no frames"))?;
    let mut memory = FrameReader::new()?;
    let content = memory.read(source, tail, table.span(last)?, None)?;
    let member = members::parse(content)?;
    if member.path != TRAILER || member.size > limits::TRAILER_MAX {
        return Err(Fault::damaged(
            "its last member is not backup.json: it is no backup of licbak",
        ));
    }
    if content.get(member.end..) != Some(&members::END) {
        return Err(Fault::damaged("the archive has no end"));
    }
    let json = content.get(member.content..member.content + member.size as usize);
    Trailer::parse(json.ok_or_else(|| Fault::damaged("backup.json is cut off"))?)
}

/// Checks that members follow each other without a gap, from the last licence to the trailer.
/// Returns the number of frames before them.
fn check_layout(trailer: &Trailer, table: &SeekTable) -> Result<usize> {
    let bad = || Fault::damaged("the members are not where backup.json says");
    let order = trailer
        .members
        .iter()
        .filter(|entry| KNOWN.contains(&entry.name.as_str()));
    if !order.map(|entry| entry.name.as_str()).eq(KNOWN) {
        return Err(bad());
    }
    // A member that a later version adds is a plain file beside these: not a licence, nor in
    // another folder, or any tar would take it for such.
    let is_plain = |name: &str| name::is_allowed(name) && !name.contains('/');
    let mut names = HashSet::default();
    names.try_reserve(trailer.members.len() + 1)?;
    names.insert(TRAILER);
    let mut end = trailer.entry(SUMS)?.offset;
    for entry in &trailer.members {
        if !is_plain(&entry.name) || !names.insert(entry.name.as_str()) {
            return Err(bad());
        }
        if entry.offset != end {
            return Err(bad());
        }
        end = entry.end();
    }
    let last = table.spans().last().ok_or_else(bad)?;
    let starts_a_frame = |offset| {
        let frame = table.frame_at(offset)?;
        if table.span(frame)?.content_start == offset {
            Ok(frame)
        } else {
            Err(bad())
        }
    };
    let (licenses, digests) = (trailer.licenses, trailer.entry(FRAMES)?);
    let (index, frames) = (trailer.entry(INDEX)?, starts_a_frame(digests.offset)?);
    let counts = starts_a_frame(index.offset)? as u64 * COUNT as u64;
    // Each licence has a record, or more.
    let records = index.size.checked_sub(counts).ok_or_else(bad)?;
    if end != last.content_start
        || !records.is_multiple_of(RECORD as u64)
        || records / (RECORD as u64) < licenses
        || licenses > limits::LICENSES_MAX
        || digests.size != frames as u64 * 32
    {
        return Err(bad());
    }
    starts_a_frame(trailer.entry(SUMS)?.offset)
}

/// Reads a member frame by frame.
pub struct MemberReader<'r, R> {
    reader: &'r Reader<R>,
    entry: &'r Entry,
    memory: FrameReader,
    /// The next frame to read.
    frame: usize,
    /// The part that was given last, by its place in its frame.
    part: Range<usize>,
    /// The digest of the content, none where only a part is read.
    sha256: Option<Sha256>,
}

impl<R: ReadAt> MemberReader<'_, R> {
    /// Passes over some frames; such a member can't be finished.
    pub fn skip(&mut self, frames: usize) {
        self.frame += frames;
        self.sha256 = None;
    }

    /// Gives the next part of the content, as much as one frame holds of it.
    pub fn next(&mut self) -> Result<Option<&[u8]>> {
        while self.reader.span(self.frame)?.content_start < self.entry.content_end()
            || self.is_at_header()?
        {
            let span = self.reader.span(self.frame)?;
            let content = self.reader.frame(self.frame, &mut self.memory)?;
            self.frame += 1;
            let within = |offset: u64| {
                (offset.clamp(span.content_start, span.content_end()) - span.content_start) as usize
            };
            if span.content_start <= self.entry.offset {
                let member =
                    members::parse(content.get(within(self.entry.offset)..).unwrap_or_default())?;
                if member.path != self.entry.name.as_str()
                    || member.size != self.entry.size
                    || member.content as u64 != members::header_size(member.size)
                {
                    return Err(Fault::damaged("a member is not what backup.json says"));
                }
            }
            let range = within(self.entry.content())..within(self.entry.content_end());
            if range.is_empty() {
                continue;
            }
            self.part = range.clone();
            // The content is borrowed once more, since the borrow checker does not follow a loan
            // that is returned on one path only.
            let part = self.memory.content(range);
            if let Some(sha256) = &mut self.sha256 {
                sha256.update(part);
            }
            return Ok(Some(part));
        }
        Ok(None)
    }

    /// Gives the part that was given last once more.
    pub fn part(&self) -> &[u8] {
        self.memory.content(self.part.clone())
    }

    /// Tells whether the next frame is the one with the member's header, which a member without
    /// content has too.
    fn is_at_header(&self) -> Result<bool> {
        Ok(self.reader.span(self.frame)?.content_start <= self.entry.offset)
    }

    /// Checks that all that was read is what the trailer says.
    pub fn finish(self) -> Result<()> {
        let found = self.sha256.map(|sha256| sha256.finalize().into());
        if found == Some(self.entry.digest()?) {
            return Ok(());
        }
        Err(Fault::Damaged(format!(
            "{} has been altered",
            self.entry.name
        )))
    }
}

/// Reads a member line by line; no line is in two frames.
pub struct Lines<'r, R> {
    pub(super) member: MemberReader<'r, R>,
    /// The rest of the member's present part.
    pub(super) rest: Range<usize>,
}

impl<R: ReadAt> Lines<'_, R> {
    /// Gives the next line, without its newline.
    pub fn next(&mut self) -> Result<Option<&[u8]>> {
        if self.rest.is_empty() {
            let Some(part) = self.member.next()? else {
                return Ok(None);
            };
            self.rest = 0..part.len();
        }
        let part = self.member.part();
        let rest = part.get(self.rest.clone()).unwrap_or_default();
        let length = line_length(rest).ok_or_else(|| Fault::damaged("a line has no end"))?;
        self.rest.start += length + 1;
        Ok(rest.get(..length))
    }

    /// Checks that every line was read and all of them are what the trailer says.
    pub fn finish(mut self) -> Result<()> {
        if self.next()?.is_some() {
            return Err(Fault::Damaged(format!(
                "{} names more than the backup holds",
                self.member.entry.name
            )));
        }
        self.member.finish()
    }
}

/// Counts the bytes before the next newline, unless they are more than a line may have.
pub(super) fn line_length(text: &[u8]) -> Option<usize> {
    memchr(b'\n', text.get(..limits::LINE_MAX).unwrap_or(text))
}

/// A licence in a frame's content.
#[derive(Debug)]
pub struct Found<'c> {
    pub name: Cow<'c, str>,
    /// The time of modification in seconds since 1970 UTC.
    pub modified: u64,
    pub content: &'c [u8],
}

/// Calls `visit` with each licence of a frame, which must hold licences and nothing else.
pub fn licenses_in<'c, E: From<Fault>>(
    content: &'c [u8],
    mut visit: impl FnMut(Found<'c>) -> Result<(), E>,
) -> Result<(), E> {
    let mut start = 0;
    while start < content.len() {
        let rest = content.get(start..).unwrap_or_default();
        let member = members::parse(rest)?;
        let content = rest
            .get(member.content..)
            .and_then(|rest| rest.get(..member.size as usize));
        let name = match &member.path {
            Cow::Borrowed(path) => path.strip_prefix(FOLDER).map(Cow::Borrowed),
            Cow::Owned(path) => path.strip_prefix(FOLDER).map(|name| name.to_owned().into()),
        };
        let name = name.filter(|name| name::is_allowed(name));
        let (Some(name), Some(content)) = (name, content) else {
            let shown = name::shown(&member.path);
            return Err(Fault::Damaged(format!("a member is no licence: {shown}")).into());
        };
        if content.len() as u64 > license::SIZE_MAX || member.end > rest.len() {
            return Err(Fault::Damaged(format!("a licence is too large: {name}")).into());
        }
        visit(Found {
            name,
            modified: member.modified,
            content,
        })?;
        start += member.end;
    }
    Ok(())
}
