//! The parts of the limit, which no backup can do without, besides reading the store: SHA-256 of every
//! content, zstd of the same frames, writing the file; and what no verify can, besides SHA-256:
//! decompressing. Each runs alone, on one core, as a whole process.
//!
//! What digests or compresses has its input from a backup that is there, frame by frame in the same
//! memory, as a backup reads files into the memory of one frame. What it takes to get it there is
//! measured alone, and taken off.

use std::fs::{File, OpenOptions};
use std::hint::black_box;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::{io, iter};

use rustix::fs::OFlags;
use zstd_safe::{CCtx, CParameter, DCtx};

use crate::Outcome;

/// The library's own SHA-256, and tests that run with the library's.
#[allow(dead_code, clippy::indexing_slicing)]
#[path = "../src/digest/mod.rs"]
mod digest;
/// The library's own parameters of zstd.
#[path = "../src/archive/parameters.rs"]
mod parameters;

#[derive(Clone, Copy)]
pub enum Work {
    /// Reads and decompresses each frame, and finds the contents in it.
    Unpack,
    /// Unpacks, and digests each content.
    Digest,
    /// Unpacks, and compresses each frame again.
    Compress,
    /// Unpacks, and digests each content and each compressed frame.
    Check,
    /// Writes a file as large as the backup.
    Write,
}

impl Work {
    /// The argument by which this program does only that.
    pub fn word(self) -> &'static str {
        match self {
            Work::Unpack => "unpack",
            Work::Digest => "unpack-digest",
            Work::Compress => "unpack-compress",
            Work::Check => "unpack-check",
            Work::Write => "write",
        }
    }

    pub fn from_word(word: &str) -> Option<Work> {
        [
            Work::Unpack,
            Work::Digest,
            Work::Compress,
            Work::Check,
            Work::Write,
        ]
        .into_iter()
        .find(|work| work.word() == word)
    }
}

/// Does the work on the file of a backup; `made` is what is written.
pub fn run(work: Work, backup: &Path, made: &Path) -> Outcome<()> {
    let backup = File::open(backup)?;
    let licenses = match work {
        Work::Write => return write(&backup, made),
        Work::Unpack => each_frame(&backup, |_| Ok(()))?,
        Work::Digest => each_frame(&backup, |frame| {
            digest::each(contents(frame.content), |_, digest| {
                black_box(digest);
            });
            Ok(())
        })?,
        Work::Check => each_frame(&backup, |frame| {
            let messages = iter::once(frame.bytes).chain(contents(frame.content));
            digest::each(messages, |_, digest| {
                black_box(digest);
            });
            Ok(())
        })?,
        Work::Compress => {
            let mut licenses = Compressor::new(&parameters::LICENSES)?;
            let mut small = Compressor::new(&parameters::SMALL_LICENSES)?;
            let mut lists = Compressor::new(&parameters::LISTS)?;
            each_frame(&backup, |frame| {
                let count = contents(frame.content).count();
                let compressor = match frame.content.len() <= parameters::SMALL * count {
                    _ if count == 0 => return lists.compress(frame.content).map(drop),
                    true => &mut small,
                    false => &mut licenses,
                };
                match compressor.compress(frame.content)? == frame.bytes.len() {
                    true => Ok(()),
                    false => Err("the backup's frames are compressed in another way".into()),
                }
            })?
        }
    };
    println!("{licenses} licences");
    Ok(())
}

struct Frame<'f> {
    bytes: &'f [u8],
    content: &'f [u8],
}

/// Calls `take` with each frame, and tells how many licences are in all.
fn each_frame(backup: &File, mut take: impl FnMut(Frame) -> Outcome<()>) -> Outcome<usize> {
    let mut context = DCtx::create();
    let (mut bytes, mut content, mut start, mut licenses) = (Vec::new(), Vec::new(), 0, 0);
    for (length, size) in seek_table(backup)? {
        bytes.resize(length, 0);
        backup.read_exact_at(&mut bytes, start)?;
        start += length as u64;
        content.clear();
        content.reserve(size);
        context
            .decompress(&mut content, &bytes)
            .map_err(zstd_safe::get_error_name)?;
        licenses += contents(&content).count();
        take(Frame {
            bytes: &bytes,
            content: &content,
        })?;
    }
    Ok(licenses)
}

/// The sizes of all frames, compressed and not, as the zstd seekable format has them.
fn seek_table(backup: &File) -> Outcome<Vec<(usize, usize)>> {
    const FOOTER: usize = 9;
    const ENTRY: usize = 8;
    let end = backup.metadata()?.len();
    let mut footer = [0; FOOTER];
    backup.read_exact_at(&mut footer, end - FOOTER as u64)?;
    let [c0, c1, c2, c3, ..] = footer;
    let mut entries = vec![0; u32::from_le_bytes([c0, c1, c2, c3]) as usize * ENTRY];
    let start = end - (entries.len() + FOOTER) as u64;
    backup.read_exact_at(&mut entries, start)?;
    let (entries, _) = entries.as_chunks::<ENTRY>();
    let sizes = entries.iter().map(|[l0, l1, l2, l3, s0, s1, s2, s3]| {
        (
            u32::from_le_bytes([*l0, *l1, *l2, *l3]) as usize,
            u32::from_le_bytes([*s0, *s1, *s2, *s3]) as usize,
        )
    });
    Ok(sizes.collect())
}

/// The contents of the licences in a frame, each between a tar header and the end of its last block. A
/// frame of the lists has none.
fn contents(frame: &[u8]) -> impl Iterator<Item = &[u8]> {
    const BLOCK: usize = 512;
    let mut rest = frame;
    iter::from_fn(move || {
        let (header, behind) = rest.split_first_chunk::<BLOCK>()?;
        if !header.starts_with(b"licenses/") {
            return None;
        }
        let digits = header.get(124..135)?.iter();
        let size = digits.fold(0, |size, digit| size * 8 + usize::from(digit & 7));
        rest = behind.get(size.next_multiple_of(BLOCK)..)?;
        behind.get(..size)
    })
}

/// Like the library's, in the same memory frame after frame.
struct Compressor {
    context: CCtx<'static>,
    buffer: Vec<u8>,
}

impl Compressor {
    fn new(parameters: &[CParameter]) -> Outcome<Compressor> {
        let mut context = CCtx::create();
        for parameter in [&[CParameter::ChecksumFlag(true)], parameters].concat() {
            context
                .set_parameter(parameter)
                .map_err(zstd_safe::get_error_name)?;
        }
        Ok(Compressor {
            context,
            buffer: Vec::new(),
        })
    }

    fn compress(&mut self, content: &[u8]) -> Outcome<usize> {
        self.buffer.clear();
        self.buffer
            .reserve(zstd_safe::compress_bound(content.len()));
        let compressed = self.context.compress2(&mut self.buffer, content);
        Ok(compressed.map_err(zstd_safe::get_error_name)?)
    }
}

/// Writes a piece of the backup again and again up to the backup's size, the last block whole: past the page
/// cache where that can be, as the library does, which is the cheapest.
fn write(backup: &File, made: &Path) -> Outcome<()> {
    const BLOCK: usize = 4096;
    const PIECE: usize = 1 << 20;
    let mut memory = vec![0; BLOCK + PIECE];
    let start = memory.as_ptr().align_offset(BLOCK) % BLOCK;
    let piece = memory.get_mut(start..start + PIECE).unwrap_or_default();
    let mut left = backup.metadata()?.len() as usize;
    let filled = piece.len().min(left);
    backup.read_exact_at(piece.get_mut(..filled).unwrap_or_default(), 0)?;
    let mut file = create(made)?;
    while left > 0 {
        let part = PIECE.min(left.next_multiple_of(BLOCK));
        file.write_all(piece.get(..part).unwrap_or_default())?;
        left = left.saturating_sub(part);
    }
    Ok(file.sync_all()?)
}

fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true);
    let direct = options
        .clone()
        .custom_flags(OFlags::DIRECT.bits() as i32)
        .open(path);
    match direct {
        Err(error) if error.kind() == ErrorKind::InvalidInput => options.open(path),
        opened => opened,
    }
}
