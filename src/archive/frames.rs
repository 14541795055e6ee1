//! zstd frames, by RFC 8878. Every frame states its content's size and ends with its checksum.

use zstd_safe::{CCtx, CParameter, DCtx, InBuffer, OutBuffer, ResetDirective};

use super::seek_table::{Span, Tail};
use super::{Digest, Fault, ReadAt, Result, digest, parameters};
use crate::buffer::sized;

/// Gives the zstd levels that a host may ask for; zstd defines them.
pub fn levels() -> std::ops::RangeInclusive<i32> {
    zstd_safe::min_c_level()..=zstd_safe::max_c_level()
}

/// Bytes of a block at most, RFC 8878, 3.1.1.2.4.
const BLOCK_MAX: usize = 128 << 10;

/// One compressed frame, complete.
#[derive(Debug)]
pub struct Frame {
    pub bytes: Vec<u8>,
    pub content_size: u32,
    pub digest: Digest,
}

pub struct Compressor {
    context: CCtx<'static>,
    level: Option<i32>,
    /// Tells whether to go on, where anybody wants to be asked.
    go_on: Option<GoOn>,
}

/// Tells whether an operation is to go on.
pub type GoOn = Box<dyn Fn() -> bool + Send>;

/// The level from which on a large licence takes longer than who stops an operation should wait.
const SLOW: i32 = 10;

impl Compressor {
    /// Makes a compressor for licences, at zstd's `level` or at the measured default.
    pub fn of_licenses(level: Option<i32>) -> Result<Compressor> {
        Compressor::new(level, &parameters::LICENSES)
    }

    /// Makes a compressor for the lists of licences, at zstd's `level` or at a default of their
    /// own.
    pub fn of_lists(level: Option<i32>) -> Result<Compressor> {
        Compressor::new(level, &parameters::LISTS)
    }

    fn new(level: Option<i32>, default: &[CParameter]) -> Result<Compressor> {
        let mut compressor = Compressor {
            context: CCtx::try_create().ok_or(Fault::OutOfMemory)?,
            level,
            go_on: None,
        };
        if let Some(level) = level {
            compressor.set(&[CParameter::CompressionLevel(level)])?;
        }
        compressor.set(&[CParameter::ChecksumFlag(true)])?;
        compressor.suit(default)?;
        Ok(compressor)
    }

    /// Stops with [`Fault::Stopped`] once `go_on` tells so.
    pub fn asking(self, go_on: GoOn) -> Compressor {
        let go_on = Some(go_on);
        Compressor { go_on, ..self }
    }

    /// Compresses from now on by these parameters, unless a level was asked for.
    pub fn suit(&mut self, parameters: &[CParameter]) -> Result<()> {
        match self.level {
            Some(_) => Ok(()),
            None => self.set(parameters),
        }
    }

    fn set(&mut self, parameters: &[CParameter]) -> Result<()> {
        let mut set = |parameter| self.context.set_parameter(parameter).map(drop);
        let mut parameters = parameters.iter().copied();
        parameters.try_for_each(&mut set).map_err(zstd_fault)
    }

    /// Compresses `content` into a frame.
    pub fn compress(&mut self, content: &[u8]) -> Result<Frame> {
        let bytes = self.pack(content, Vec::new())?;
        let digest = digest(&bytes);
        Frame::new(bytes, content, digest)
    }

    /// Makes the bytes of a frame with `content`, in the memory of `buffer`.
    pub fn pack(&mut self, content: &[u8], mut buffer: Vec<u8>) -> Result<Vec<u8>> {
        buffer.clear();
        buffer.try_reserve_exact(zstd_safe::compress_bound(content.len()))?;
        if self.level.is_some_and(|level| level >= SLOW) {
            self.pack_by_blocks(content, &mut buffer)?;
            return Ok(buffer);
        }
        self.ask()?;
        self.context
            .compress2(&mut buffer, content)
            .map_err(zstd_fault)?;
        Ok(buffer)
    }

    /// Compresses block by block, so that it can be stopped between two of them.
    fn pack_by_blocks(&mut self, content: &[u8], buffer: &mut Vec<u8>) -> Result<()> {
        let size = Some(content.len() as u64);
        // It may have been stopped within a frame.
        let session = ResetDirective::SessionOnly;
        self.context.reset(session).map_err(zstd_fault)?;
        self.context
            .set_pledged_src_size(size)
            .map_err(zstd_fault)?;
        let mut output = OutBuffer::around(buffer);
        for block in content.chunks(BLOCK_MAX) {
            let mut input = InBuffer::around(block);
            while input.pos() < block.len() {
                self.ask()?;
                let compressed = self.context.compress_stream(&mut output, &mut input);
                compressed.map_err(zstd_fault)?;
            }
        }
        self.ask()?;
        while self.context.end_stream(&mut output).map_err(zstd_fault)? > 0 {}
        Ok(())
    }

    fn ask(&self) -> Result<()> {
        match self.go_on.as_ref().is_none_or(|go_on| go_on()) {
            true => Ok(()),
            false => Err(Fault::Stopped),
        }
    }
}

impl Frame {
    /// Makes a frame of these `bytes`, which have that digest and stand for `content`.
    pub fn new(bytes: Vec<u8>, content: &[u8], digest: Digest) -> Result<Frame> {
        Ok(Frame {
            bytes,
            content_size: u32::try_from(content.len()).map_err(|_| Fault::OutOfMemory)?,
            digest,
        })
    }

    /// Makes the same frame with its content in raw blocks, for a frame that no digest covers: in a
    /// compressed block there are bits that no decoder looks at.
    pub fn stored(self, content: &[u8]) -> Result<Frame> {
        // The descriptor says: one segment, a size of four bytes, and a checksum, which is that of
        // the content.
        const DESCRIPTOR: u8 = 0b1010_0100;
        let checksum = self.bytes.last_chunk::<4>().copied().unwrap_or_default();
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(content.len() + content.len() / BLOCK_MAX * 3 + 16)?;
        bytes.extend_from_slice(&zstd_safe::MAGICNUMBER.to_le_bytes());
        bytes.push(DESCRIPTOR);
        bytes.extend_from_slice(&self.content_size.to_le_bytes());
        let mut blocks = content.chunks(BLOCK_MAX).peekable();
        while let Some(block) = blocks.next() {
            let header = (block.len() as u32) << 3 | u32::from(blocks.peek().is_none());
            let [low, middle, high, _] = header.to_le_bytes();
            bytes.extend_from_slice(&[low, middle, high]);
            bytes.extend_from_slice(block);
        }
        bytes.extend_from_slice(&checksum);
        let digest = digest(&bytes);
        Frame::new(bytes, content, digest)
    }
}

pub struct Decompressor {
    context: DCtx<'static>,
}

impl Decompressor {
    pub fn new() -> Result<Decompressor> {
        Ok(Decompressor {
            context: DCtx::try_create().ok_or(Fault::OutOfMemory)?,
        })
    }

    /// Decompresses `frame`, exactly one frame as this library writes them, into all of `content`.
    pub fn decompress(&mut self, frame: &[u8], content: &mut [u8]) -> Result<()> {
        // Magic, then the descriptor: no dictionary, no unused or reserved bit, and the checksum's
        // bit set. Bits that a decoder ignores could otherwise be altered unseen.
        let descriptor = frame.get(4).copied().unwrap_or(0);
        let ours = frame.starts_with(&zstd_safe::MAGICNUMBER.to_le_bytes())
            && descriptor & 0b0001_1111 == 0b0000_0100;
        let stated = zstd_safe::get_frame_content_size(frame).ok().flatten();
        let length = zstd_safe::find_frame_compressed_size(frame).unwrap_or(0);
        if !ours || stated != Some(content.len() as u64) || length != frame.len() {
            return Err(Fault::damaged("a frame is not what the seek table says"));
        }
        match self.context.decompress(content, frame) {
            Ok(size) if size == content.len() => Ok(()),
            Ok(_) => Err(Fault::damaged(
                "a frame is shorter than the seek table says",
            )),
            Err(code) => Err(zstd_fault(code)),
        }
    }
}

fn zstd_fault(code: usize) -> Fault {
    const MEMORY_ALLOCATION: usize = 0usize.wrapping_sub(64);
    match code {
        MEMORY_ALLOCATION => Fault::OutOfMemory,
        _ => Fault::Damaged(format!("zstd: {}", zstd_safe::get_error_name(code))),
    }
}

/// The bytes that a frame begins with, and so a backup.
pub const FRAME_MAGIC: [u8; 4] = zstd_safe::MAGICNUMBER.to_le_bytes();

/// The bytes of a frame, with the content that they stand for.
pub struct Unpacked<'f> {
    pub bytes: &'f [u8],
    pub content: Result<&'f [u8]>,
}

/// Reads frames one by one, in memory that is used again.
pub struct FrameReader {
    decompressor: Decompressor,
    compressed: Vec<u8>,
    content: Vec<u8>,
    /// Bytes that frames were unpacked into so far, right or wrong.
    #[cfg(test)]
    pub unpacked: u64,
}

impl FrameReader {
    pub fn new() -> Result<FrameReader> {
        Ok(FrameReader {
            decompressor: Decompressor::new()?,
            compressed: Vec::new(),
            content: Vec::new(),
            #[cfg(test)]
            unpacked: 0,
        })
    }

    /// Gives the content of the frame at `span`, whose compressed bytes must have the digest
    /// `expected`, where one is known.
    pub fn read(
        &mut self,
        source: &impl ReadAt,
        tail: &Tail,
        span: Span,
        expected: Option<&Digest>,
    ) -> Result<&[u8]> {
        let compressed = self.load(source, tail, span)?;
        if expected.is_some_and(|expected| *expected != digest(compressed)) {
            return Err(Fault::altered());
        }
        self.unpack(span)?.content
    }

    /// Gives the frame at `span`, whose digest is still to be checked.
    pub fn read_undigested(
        &mut self,
        source: &impl ReadAt,
        tail: &Tail,
        span: Span,
    ) -> Result<Unpacked<'_>> {
        self.load(source, tail, span)?;
        self.unpack(span)
    }

    fn load(&mut self, source: &impl ReadAt, tail: &Tail, span: Span) -> Result<&[u8]> {
        let compressed = sized(&mut self.compressed, span.length as usize)?;
        tail.read(source, compressed, span.start)?;
        Ok(compressed)
    }

    /// Unpacks the bytes that were loaded last, from `span`.
    fn unpack(&mut self, span: Span) -> Result<Unpacked<'_>> {
        let bytes = sized(&mut self.compressed, span.length as usize)?;
        let content = sized(&mut self.content, span.content_size as usize)?;
        #[cfg(test)]
        {
            self.unpacked += u64::from(span.content_size);
        }
        let unpacked = self.decompressor.decompress(bytes, content);
        Ok(Unpacked {
            bytes,
            content: unpacked.map(|()| &*content),
        })
    }

    /// Gives a part of the content that was read last.
    pub fn content(&self, part: std::ops::Range<usize>) -> &[u8] {
        self.content.get(part).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::super::seek_table::SeekTable;
    use super::super::seek_table::tests::file;
    use super::*;

    #[test]
    fn a_slow_level_is_stopped_between_two_blocks_and_begins_anew() {
        let content: Vec<u8> = (0..200_000_u32)
            .flat_map(|n| (n * n).to_le_bytes())
            .collect();
        for level in [SLOW, *levels().end()] {
            let asked = Arc::new(AtomicUsize::new(0));
            let counted = Arc::clone(&asked);
            let mut compressor = Compressor::of_licenses(Some(level)).unwrap();
            compressor = compressor.asking(Box::new(move || {
                counted.fetch_add(1, Ordering::Relaxed) != 5
            }));
            let stopped = compressor.compress(&content);
            assert!(matches!(stopped, Err(Fault::Stopped)));
            assert_eq!(asked.load(Ordering::Relaxed), 6);
            for size in [0, 1, BLOCK_MAX, BLOCK_MAX + 1, content.len()] {
                let content = &content[..size];
                let frame = compressor.compress(content).unwrap();
                let mut decompressed = vec![0; size];
                let mut decompressor = Decompressor::new().unwrap();
                decompressor
                    .decompress(&frame.bytes, &mut decompressed)
                    .unwrap();
                assert!(decompressed == content);
            }
            assert!(asked.load(Ordering::Relaxed) > 6 + content.len() / BLOCK_MAX);
        }
    }

    #[test]
    fn a_stored_frame_is_a_frame_of_which_every_bit_counts() {
        for size in [512, 700, 128 << 10, (128 << 10) + 1, 300_000] {
            let content: Vec<u8> = (0..size).map(|n: u32| (n / 7) as u8).collect();
            let frame = Compressor::of_licenses(None)
                .unwrap()
                .compress(&content)
                .unwrap();
            let bytes = frame.stored(&content).unwrap().bytes;
            let mut decompressed = vec![0; content.len()];
            let mut decompressor = Decompressor::new().unwrap();
            decompressor.decompress(&bytes, &mut decompressed).unwrap();
            assert_eq!(decompressed, content);
            for bit in (0..bytes.len() * 8).step_by(if size > 700 { 99_991 } else { 1 }) {
                let mut bad = bytes.clone();
                bad[bit / 8] ^= 1 << (bit % 8);
                assert!(
                    decompressor.decompress(&bad, &mut decompressed).is_err(),
                    "bit {bit} of {size}"
                );
            }
        }
    }

    #[test]
    fn what_a_decoder_would_ignore_is_refused() {
        let mut file = file(&[b"content"]);
        file[4] |= 0b0001_0000; // the descriptor's unused bit
        let tail = Tail::read_from(&file).unwrap();
        let span = SeekTable::read(&file, &tail).unwrap().span(0).unwrap();
        assert!(
            FrameReader::new()
                .unwrap()
                .read(&file, &tail, span, None)
                .is_err()
        );
    }
}
