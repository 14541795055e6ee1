//! Reads a backup from its end, and checks every byte before it is believed.
//!
//! The chain of trust: `backup.json` holds the digests of the other members; one of these,
//! `frames`, holds the digest of every earlier frame; `SHA256SUMS` that of every licence.

use memchr::memchr;
use sha2::{Digest as _, Sha256};

use super::frames::{self, FrameReader, SeekTable, Span, Tail, Unpacked};
use super::index::{RECORD, Record};
use super::trailer::{Entry, Trailer, VERSION};
use super::{
    Digest, FOLDER, FRAMES, Fault, INDEX, LICENSES, RESTRICTED, ReadAt, Result, STATE, SUMS,
    TRAILER, limits, lines, members,
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

    /// Tells whether the members behind the licences are those that this version writes.
    pub fn is_of_this_version(&self) -> bool {
        let names = self.trailer.members.iter().map(|entry| entry.name.as_str());
        let with_states = [SUMS, LICENSES, RESTRICTED, INDEX, STATE, FRAMES];
        self.trailer.version == VERSION && (names.clone().eq(KNOWN) || names.eq(with_states))
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
            sha256: Some(Sha256::new()),
        })
    }

    /// Reads the lines of the member `name`.
    pub fn lines(&self, name: &str) -> Result<Lines<'_, R>> {
        Ok(Lines {
            member: self.member(name)?,
            start: 0,
            end: 0,
            frame_start: 0,
        })
    }

    /// Reads the lines of the member `name`, which was read before and found right: the digests of
    /// its frames say that it is still the same. Such lines can't be finished.
    pub fn lines_again(&self, name: &str) -> Result<Lines<'_, R>> {
        let mut lines = self.lines(name)?;
        lines.member.sha256 = None;
        Ok(lines)
    }

    /// Gives the whole index, sorted as it is in the file.
    pub fn index(&self) -> Result<Vec<Record>> {
        let bad = || Fault::damaged("the index is not what it should be");
        let mut records: Vec<Record> = Vec::new();
        let mut member = self.member(INDEX)?;
        let mut first = self.trailer.index.iter();
        while let Some((_, part)) = member.next()? {
            let (new, rest) = part.as_chunks::<RECORD>();
            let stated = first.next().and_then(|hex| lines::parse_hex(hex));
            if !rest.is_empty() || stated.as_ref() != new.first() {
                return Err(bad());
            }
            // Records are checked one by one: a list that is not sorted may be endless.
            for record in new.iter().map(Record::from_bytes) {
                if records.last().is_some_and(|last| *last >= record) {
                    return Err(bad());
                }
                records.try_reserve(1)?;
                records.push(record);
            }
        }
        member.finish()?;
        let complete = records.len() as u64 == self.trailer.licenses && first.next().is_none();
        if complete { Ok(records) } else { Err(bad()) }
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
        while let Some((_, part)) = member.next()? {
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
    if !frames::ends_as_table(source)? {
        return Ok(false);
    }
    let read = || {
        let tail = Tail::read_from(source)?;
        read_trailer(source, &tail, &SeekTable::read(source, &tail)?)
    };
    match read() {
        Ok(_) | Err(Fault::Newer(_)) => Ok(true),
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
    let is_plain = |name: &str| name::check(name.as_bytes()).is_ok() && !name.contains('/');
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
    let sizes = (trailer.entry(INDEX)?.size, digests.size);
    let frames = starts_a_frame(digests.offset)?;
    if end != last.content_start
        || sizes != (licenses.saturating_mul(RECORD as u64), frames as u64 * 32)
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
    /// The digest of the content, none where only a part is read.
    sha256: Option<Sha256>,
}

impl<R: ReadAt> MemberReader<'_, R> {
    /// Passes over some frames; such a member can't be finished.
    pub fn skip(&mut self, frames: usize) {
        self.frame += frames;
        self.sha256 = None;
    }

    /// Gives the next part of the content, as much as one frame holds of it, and its offset in the
    /// decompressed stream.
    pub fn next(&mut self) -> Result<Option<(u64, &[u8])>> {
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
                    || member.content != members::BLOCK
                {
                    return Err(Fault::damaged("a member is not what backup.json says"));
                }
            }
            let range = within(self.entry.content())..within(self.entry.content_end());
            if range.is_empty() {
                continue;
            }
            let start = span.content_start + range.start as u64;
            // The content is borrowed once more, since the borrow checker does not follow a loan
            // that is returned on one path only.
            let part = self.memory.content(range);
            if let Some(sha256) = &mut self.sha256 {
                sha256.update(part);
            }
            return Ok(Some((start, part)));
        }
        Ok(None)
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
    member: MemberReader<'r, R>,
    /// The rest of the frame's part of the member, by its place in the frame.
    start: usize,
    end: usize,
    frame_start: u64,
}

impl<R: ReadAt> Lines<'_, R> {
    /// Gives the next line, without its newline, and its offset in the decompressed stream.
    pub fn next(&mut self) -> Result<Option<(u64, &[u8])>> {
        if self.start == self.end {
            let Some((offset, part)) = self.member.next()? else {
                return Ok(None);
            };
            let size = part.len();
            let span = self.member.reader.span(self.member.frame - 1)?;
            self.frame_start = span.content_start;
            self.start = (offset - span.content_start) as usize;
            self.end = self.start + size;
        }
        let rest = self.member.memory.content(self.start..self.end);
        let within = rest.get(..limits::LINE_MAX).unwrap_or(rest);
        let length = memchr(b'\n', within);
        let length = length.ok_or_else(|| Fault::damaged("a line has no end"))?;
        let offset = self.frame_start + self.start as u64;
        let line = self.start..self.start + length;
        self.start += length + 1;
        Ok(Some((offset, self.member.memory.content(line))))
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

/// A licence in a frame's content.
#[derive(Debug)]
pub struct Found<'n, 'c> {
    /// The place of its first block in the decompressed stream.
    pub offset: u64,
    pub name: &'n str,
    /// The time of modification in seconds since 1970 UTC.
    pub modified: u64,
    pub content: &'c [u8],
}

/// Calls `visit` with each licence of a frame, which must hold licences and nothing else.
pub fn licenses_in<'c, E: From<Fault>>(
    content: &'c [u8],
    span: Span,
    mut visit: impl FnMut(Found<'_, 'c>) -> Result<(), E>,
) -> Result<(), E> {
    let mut start = 0;
    while start < content.len() {
        let rest = content.get(start..).unwrap_or_default();
        let member = members::parse(rest)?;
        let content = rest
            .get(member.content..)
            .and_then(|rest| rest.get(..member.size as usize));
        let path = member.path.as_ref();
        let name = path
            .strip_prefix(FOLDER)
            .filter(|name| name::check(name.as_bytes()).is_ok());
        let (Some(name), Some(content)) = (name, content) else {
            let shown = name::shown(path);
            return Err(Fault::Damaged(format!("a member is no licence: {shown}")).into());
        };
        if content.len() as u64 > license::SIZE_MAX || member.end > rest.len() {
            return Err(Fault::Damaged(format!("a licence is too large: {name}")).into());
        }
        visit(Found {
            offset: span.content_start + start as u64,
            name,
            modified: member.modified,
            content,
        })?;
        start += member.end;
    }
    Ok(())
}
