//! The file that a backup is written to, frame by frame, and the facts about its frames.

use std::io::Write;

use sha2::{Digest as _, Sha256};

use super::frames::{Compressor, Frame};
use super::seek_table::SeekTable;
use super::trailer::{Entry, Trailer};
use super::{Digest, FRAMES, Fault, Result, TRAILER, limits, lines, members};

pub struct Output<F> {
    out: F,
    pub table: SeekTable,
    digests: Vec<Digest>,
    /// Of each frame, the number of licences or lines that count in it.
    pub counts: Vec<u32>,
}

impl<F: Write> Output<F> {
    pub fn new(out: F) -> Output<F> {
        Output {
            out,
            table: SeekTable::default(),
            digests: Vec::new(),
            counts: Vec::new(),
        }
    }

    /// Gives the place in the decompressed stream that is reached.
    pub fn position(&self) -> u64 {
        self.table.content_size()
    }

    pub fn written(&self) -> u64 {
        self.table.end()
    }

    pub fn append(&mut self, frame: &Frame, count: u32) -> Result<()> {
        self.append_bytes(&frame.bytes, frame.content_size, frame.digest, count)
    }

    pub fn append_bytes(
        &mut self,
        bytes: &[u8],
        content_size: u32,
        digest: Digest,
        count: u32,
    ) -> Result<()> {
        self.adopt(bytes.len() as u32, content_size, digest, count)?;
        Ok(self.out.write_all(bytes)?)
    }

    /// Takes the next frame in, whose bytes are in the file or will be.
    pub fn adopt(
        &mut self,
        length: u32,
        content_size: u32,
        digest: Digest,
        count: u32,
    ) -> Result<()> {
        if content_size as usize > limits::FRAME_MAX {
            return Err(Fault::damaged("a frame is larger than a reader takes"));
        }
        self.digests.try_reserve(1)?;
        self.counts.try_reserve(1)?;
        self.table.push(length, content_size)?;
        self.digests.push(digest);
        self.counts.push(count);
        Ok(())
    }

    /// Appends a member of `size` bytes, whose content `next` appends to a buffer, a frame at a
    /// time.
    pub fn member(
        &mut self,
        name: &str,
        size: u64,
        mut next: impl FnMut(&mut Vec<u8>) -> Result<()>,
        mut pack: impl FnMut(&[u8]) -> Result<Frame>,
    ) -> Result<Entry> {
        let offset = self.position();
        let (mut sha256, mut left) = (Sha256::new(), size);
        let mut content = members::header(name, checked(size)?, 0).into_owned();
        loop {
            let start = content.len();
            if left > 0 {
                next(&mut content)?;
            }
            let new = content.get(start..).unwrap_or_default();
            sha256.update(new);
            left -= new.len() as u64;
            if left == 0 {
                content.resize(content.len() + (members::padded(size) - size) as usize, 0);
            }
            self.append(&pack(&content)?, 0)?;
            content.clear();
            if left == 0 {
                return Ok(entry(name, offset, size, sha256));
            }
        }
    }

    /// Appends the member with the digests of all frames before it.
    pub fn frames(&mut self, compressor: &mut Compressor) -> Result<Entry> {
        let digests = std::mem::take(&mut self.digests);
        let mut frames = digests.chunks(limits::LIST_TARGET / size_of::<Digest>());
        let next = |content: &mut Vec<u8>| {
            let frame = frames.next().unwrap_or_default().as_flattened();
            content.try_reserve(frame.len() + members::BLOCK)?;
            content.extend_from_slice(frame);
            Ok(())
        };
        let size = size_of_val(digests.as_slice()) as u64;
        self.member(FRAMES, size, next, |content| stored(compressor, content))
    }

    /// Gives the file itself.
    pub fn file(&mut self) -> &mut F {
        &mut self.out
    }

    /// Appends the last frame, of `backup.json` and the end of the archive, and the seek table.
    /// Returns the file.
    pub fn end(mut self, trailer: &Trailer, compressor: &mut Compressor) -> Result<F> {
        let mut json = Vec::new();
        // More than the members and the figures take, and each number of the index with its comma.
        json.try_reserve(4096 + trailer.index.len() * 11)?;
        lines::push_json(&mut json, trailer)?;
        if json.len() as u64 > limits::TRAILER_MAX {
            return Err(too_many());
        }
        let mut content = members::header(TRAILER, json.len() as u64, 0).into_owned();
        content.try_reserve_exact(json.len() + 3 * members::BLOCK)?;
        content.extend_from_slice(&json);
        content.resize(content.len().next_multiple_of(members::BLOCK), 0);
        content.extend_from_slice(&members::END);
        self.append(&stored(compressor, &content)?, 0)?;
        self.table.write(&mut self.out)?;
        Ok(self.out)
    }
}

/// Makes the fault of a backup that would outgrow its format.
pub fn too_many() -> Fault {
    Fault::damaged("there are more licences than a backup can hold")
}

/// Checks that a reader will take a member of this size.
pub fn checked(size: u64) -> Result<u64> {
    match size <= limits::MEMBER_MAX {
        true => Ok(size),
        false => Err(too_many()),
    }
}

/// Makes a frame that no digest of an earlier member covers; its own checksum and size must be
/// enough.
fn stored(compressor: &mut Compressor, content: &[u8]) -> Result<Frame> {
    compressor.compress(content)?.stored(content)
}

pub fn entry(name: &str, offset: u64, size: u64, sha256: Sha256) -> Entry {
    let sha256: Digest = sha256.finalize().into();
    Entry {
        name: name.into(),
        offset,
        size,
        sha256: lines::hex_text::<64>(&sha256),
    }
}
