//! The payload of an encrypted backup, read from any offset by many threads.

use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;
use std::{iter, ops::Range};

use age::stream::StreamReader;
use age::{DecryptError, Decryptor};
use age_core::format::FileKey;

use super::keys::{Keys, Known, Opened, Trial};
use super::window::{Ask, Window};
use super::{CHUNK, MAGIC, SEALED, TAG};
use crate::archive::{ReadAt, limits};
use crate::buffer::sized;
use crate::sync::locks::Mutex;

/// Bytes that are read first, which hold the header of a file with some recipients, and the most
/// that a header may have: some hundred bytes for each recipient, of whom a property has room for
/// five hundred.
const FIRST: u64 = 4 << 10;
const HEADER_MAX: u64 = 256 << 10;

/// The readers that wait for their next part: those of lists, of the index, and of some workers.
const IDLE: usize = 8;

/// The reason why an encrypted file can't be opened.
#[derive(Debug)]
pub enum Refusal {
    /// None of the keys fits, or what holds the file's key has been altered.
    NoKey,
    /// A passphrase would take more work than is good.
    TooMuchWork,
    /// The file is truncated or altered.
    Damaged(&'static str),
    System(io::Error),
    OutOfMemory,
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Refusal {
        match error.kind() {
            io::ErrorKind::OutOfMemory => Refusal::OutOfMemory,
            io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
                Refusal::Damaged("its encrypted content is truncated or altered")
            }
            _ => Refusal::System(error),
        }
    }
}

/// Tells whether a file begins as an encrypted one does.
pub fn is_encrypted(source: &impl ReadAt) -> io::Result<bool> {
    let mut first = [0; MAGIC.len()];
    if source.size()? < first.len() as u64 {
        return Ok(false);
    }
    source.read_exact_at(&mut first, 0)?;
    Ok(first == MAGIC)
}

pub struct Payload<S> {
    source: Arc<S>,
    /// The header and the nonce, with which the file begins.
    header: Vec<u8>,
    key: FileKey,
    by_passphrase: bool,
    file_size: u64,
    /// Bytes of the payload.
    size: u64,
    /// Chunks that have been altered are read as zeros.
    is_lenient: bool,
    /// Readers that nobody uses now.
    idle: Mutex<Vec<Reader<S>>>,
}

struct Reader<S> {
    stream: StreamReader<Window<S>>,
    ask: Arc<Ask>,
    /// The place in the payload that is reached; the stream still has its chunk.
    reached: u64,
}

impl<S: ReadAt> Payload<S> {
    /// Opens the file with one of the keys, and checks that its end is the one it had.
    pub fn open(source: S, keys: &Keys) -> Result<Payload<S>, Refusal> {
        let payload = Payload::unlock(source, keys)?;
        // What the archive will read first, with whole chunks alone.
        let tail = payload.size.saturating_sub(limits::TAIL);
        let tail = payload.sealed(tail.next_multiple_of(CHUNK).min(payload.size)..payload.size);
        let mut reader = payload.reader()?;
        reader.ask.set(tail);
        if reader.stream.seek(SeekFrom::End(0))? != payload.size {
            return Err(Refusal::Damaged("its encrypted content is truncated"));
        }
        reader.reached = payload.size;
        payload.idle.lock().push(reader);
        Ok(payload)
    }

    /// Opens what is left of the file: chunks that are lost are read as zeros, in which nobody finds
    /// anything.
    pub fn open_damaged(source: S, keys: &Keys) -> Result<Payload<S>, Refusal> {
        let payload = Payload::unlock(source, keys)?;
        Ok(payload.forgive())
    }

    /// Reads lost chunks as zeros from now on.
    pub fn forgive(mut self) -> Payload<S> {
        self.is_lenient = true;
        self
    }

    fn unlock(source: S, keys: &Keys) -> Result<Payload<S>, Refusal> {
        let file_size = source.size()?;
        let mut header = Vec::new();
        let opened = match try_keys(&source, file_size.min(FIRST), keys, &mut header) {
            // The header is longer.
            Err(Refusal::Damaged(_)) if file_size > FIRST => {
                try_keys(&source, file_size.min(HEADER_MAX), keys, &mut header)
            }
            opened => opened,
        }?;
        let sealed = file_size - header.len() as u64;
        let (chunks, last) = (sealed.div_ceil(SEALED), sealed % SEALED);
        // Only a payload of no bytes has a chunk of none.
        let is_empty = last == TAG && chunks > 1;
        if sealed == 0 || (1..TAG).contains(&last) || is_empty {
            return Err(Refusal::Damaged("its encrypted content is truncated"));
        }
        Ok(Payload {
            source: Arc::new(source),
            header,
            key: opened.key,
            by_passphrase: opened.by_passphrase,
            file_size,
            size: sealed - chunks * TAG,
            is_lenient: false,
            idle: Mutex::default(),
        })
    }

    pub fn source(&self) -> &S {
        &self.source
    }

    pub fn is_by_passphrase(&self) -> bool {
        self.by_passphrase
    }

    pub fn file_size(&self) -> u64 {
        self.file_size
    }

    /// Gives the part of the file that holds this part of the payload.
    pub fn sealed(&self, part: Range<u64>) -> Range<u64> {
        let start = self.header.len() as u64 + part.start / CHUNK * SEALED;
        let end = self.header.len() as u64 + part.end.div_ceil(CHUNK) * SEALED;
        start..end.min(self.file_size)
    }

    /// Makes a reader at the beginning of the payload.
    fn reader(&self) -> io::Result<Reader<S>> {
        let (mut first, ask) = (Vec::new(), Arc::new(Ask::default()));
        sized(&mut first, self.header.len())
            .map_err(|_| io::ErrorKind::OutOfMemory)?
            .copy_from_slice(&self.header);
        let source = Arc::clone(&self.source);
        let window = Window::new(source, self.file_size, Arc::clone(&ask), first);
        let decryptor = Decryptor::new_buffered(window).map_err(|_| io::ErrorKind::InvalidData)?;
        let key = Known(&self.key);
        let stream = decryptor.decrypt(iter::once(&key as _));
        Ok(Reader {
            stream: stream.map_err(|_| io::ErrorKind::InvalidData)?,
            ask,
            reached: 0,
        })
    }

    /// Takes a reader; the best has the chunk at `offset` in memory. So several parts of the payload
    /// can be read in turns, each in a row, and no chunk twice.
    fn take_reader(&self, offset: u64) -> io::Result<Reader<S>> {
        let chunk = self.sealed(offset..offset).start;
        let mut idle = self.idle.lock();
        let has = |reader: &Reader<S>| reader.has_chunk_at(offset) || reader.ask.has(chunk);
        let best = idle.iter().position(has);
        let reader = match best {
            Some(best) => Some(idle.remove(best)),
            None if idle.len() >= IDLE => Some(idle.remove(0)),
            None => None,
        };
        drop(idle);
        reader.map_or_else(|| self.reader(), Ok)
    }

    fn read(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let mut reader = self.take_reader(offset)?;
        let end = offset + buffer.len() as u64;
        let start = match reader.has_chunk_at(offset) {
            true => (offset / CHUNK + 1) * CHUNK,
            false => offset,
        };
        reader.ask.set(self.sealed(start..end.max(start)));
        // One that has failed is used no more.
        if offset.is_multiple_of(CHUNK) {
            // On its way to a chunk's first byte the crate looks at the last chunk, which may be lost.
            reader.stream.seek(SeekFrom::Start(offset + 1))?;
        }
        reader.stream.seek(SeekFrom::Start(offset))?;
        reader.stream.read_exact(buffer)?;
        reader.reached = end;
        let mut idle = self.idle.lock();
        idle.try_reserve(1)
            .map_err(|_| io::ErrorKind::OutOfMemory)?;
        idle.push(reader);
        Ok(())
    }

    /// Reads chunk by chunk, and zeros where one is lost.
    fn read_forgiving(&self, mut buffer: &mut [u8], mut offset: u64) -> io::Result<()> {
        while !buffer.is_empty() {
            let length = (CHUNK - offset % CHUNK).min(buffer.len() as u64);
            let (part, rest) = buffer.split_at_mut(length as usize);
            match self.read(part, offset) {
                Err(error) if is_damage(&error) => part.fill(0),
                read => read?,
            }
            (buffer, offset) = (rest, offset + length);
        }
        Ok(())
    }
}

impl<S> Reader<S> {
    fn has_chunk_at(&self, offset: u64) -> bool {
        !self.reached.is_multiple_of(CHUNK) && self.reached / CHUNK == offset / CHUNK
    }
}

impl<S: ReadAt> ReadAt for Payload<S> {
    fn size(&self) -> io::Result<u64> {
        Ok(self.size)
    }

    fn block(&self) -> u64 {
        CHUNK
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let end = offset.checked_add(buffer.len() as u64);
        if end.is_none_or(|end| end > self.size) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if buffer.is_empty() {
            return Ok(());
        }
        match self.read(buffer, offset) {
            Err(error) if self.is_lenient && is_damage(&error) => {
                self.read_forgiving(buffer, offset)
            }
            read => read,
        }
    }
}

fn is_damage(error: &io::Error) -> bool {
    let kind = error.kind();
    kind == io::ErrorKind::InvalidData || kind == io::ErrorKind::UnexpectedEof
}

/// Tries the keys on the header in the first `length` bytes of the file, and gives the file's own.
fn try_keys(
    source: &impl ReadAt,
    length: u64,
    keys: &Keys,
    header: &mut Vec<u8>,
) -> Result<Opened, Refusal> {
    header.clear();
    let first = sized(header, length as usize).map_err(|_| Refusal::OutOfMemory)?;
    source.read_exact_at(first, 0)?;
    let mut rest = &*first;
    let trial = Trial::of(keys);
    let decryptor = Decryptor::new_buffered(&mut rest).map_err(refusal)?;
    let decrypted = decryptor.decrypt(iter::once(&trial as _)).map(drop);
    let left = rest.len();
    header.truncate(header.len() - left);
    if *trial.lacks_memory.borrow() {
        return Err(Refusal::OutOfMemory);
    }
    decrypted.map_err(refusal)?;
    trial.found.into_inner().ok_or(Refusal::NoKey)
}

fn refusal(error: DecryptError) -> Refusal {
    match error {
        DecryptError::Io(error) => match error.kind() {
            io::ErrorKind::UnexpectedEof => Refusal::Damaged("its header is truncated"),
            _ => Refusal::from(error),
        },
        DecryptError::ExcessiveWork { .. } => Refusal::TooMuchWork,
        DecryptError::UnknownFormat => Refusal::Damaged("it is of no version of age that is known"),
        _ => Refusal::NoKey,
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::io::Write;
    use std::path::{Path, PathBuf};
    use std::process::{Command, Stdio};

    use age::secrecy::ExposeSecret;
    use age::x25519::Identity;

    use super::super::lock::{Lock, recipients};
    use super::*;
    use crate::secret::Secret;

    const LARGE: usize = 7 * CHUNK as usize + 1234;

    fn secret(text: &str) -> Secret {
        Secret::new(text.to_owned()).unwrap()
    }

    fn content(size: usize) -> Vec<u8> {
        (0..size).map(|n| (n / 1000 + n % 251) as u8).collect()
    }

    fn encrypt(lock: &Lock, content: &[u8]) -> Vec<u8> {
        let mut out = lock.encrypt(Vec::new()).unwrap();
        out.write_all(content).unwrap();
        out.finish().unwrap()
    }

    fn key_and_lock(count: usize) -> (Keys, Lock) {
        let identity = Identity::generate();
        let mut lines: Vec<_> = (1..count)
            .map(|_| Identity::generate().to_public().to_string())
            .collect();
        lines.push(identity.to_public().to_string());
        let keys = Keys {
            identities: Some(secret(identity.to_string().expose_secret())),
            passphrase: None,
        };
        let recipients = recipients(&lines.join("\n")).unwrap();
        (keys, Lock::Recipients(recipients))
    }

    /// A file that counts the bytes read of it.
    struct Counted<'f> {
        file: &'f [u8],
        read: &'f Cell<u64>,
    }

    impl ReadAt for Counted<'_> {
        fn size(&self) -> io::Result<u64> {
            self.file.size()
        }

        fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
            self.read.set(self.read.get() + buffer.len() as u64);
            self.file.read_exact_at(buffer, offset)
        }
    }

    #[test]
    fn every_part_is_read_whatever_its_place_and_the_number_of_recipients() {
        for (size, count) in [(0, 1), (1, 2), (CHUNK as usize, 1), (LARGE, 400)] {
            let ((keys, lock), content) = (key_and_lock(count), content(size));
            let file = encrypt(&lock, &content);
            let payload = Payload::open(file.as_slice(), &keys).unwrap();
            assert_eq!(payload.size().unwrap(), size as u64);
            assert_eq!(payload.file_size(), file.len() as u64);
            assert!(!payload.is_by_passphrase());
            for start in [0, 1, CHUNK as usize - 1, CHUNK as usize, 200_000, size] {
                for length in [0, 1, CHUNK as usize, CHUNK as usize + 1, 150_000, size] {
                    let mut found = vec![0; length];
                    let read = payload.read_exact_at(&mut found, start as u64);
                    match content.get(start..start + length) {
                        Some(expected) => assert_eq!(found, expected, "{start} {length}"),
                        None => assert_eq!(
                            read.unwrap_err().kind(),
                            io::ErrorKind::UnexpectedEof,
                            "{start} {length}"
                        ),
                    }
                }
            }
            let stranger = Payload::open(file.as_slice(), &key_and_lock(1).0);
            assert!(matches!(stranger.err(), Some(Refusal::NoKey)));
        }
    }

    #[test]
    fn parts_in_a_row_read_each_chunk_once_and_the_end_is_read_with_the_first() {
        let ((keys, lock), content) = (key_and_lock(1), content(LARGE));
        let (file, read) = (encrypt(&lock, &content), Cell::new(0));
        let counted = Counted {
            file: &file,
            read: &read,
        };
        let payload = Payload::open(counted, &keys).unwrap();
        let mut tail = vec![0; limits::TAIL as usize / 2];
        let start = (LARGE as u64 - tail.len() as u64).next_multiple_of(CHUNK);
        tail.truncate(LARGE - start as usize);
        payload.read_exact_at(&mut tail, start).unwrap();
        assert!(
            read.get() < limits::TAIL + CHUNK + 3 * FIRST,
            "{}",
            read.get()
        );
        read.set(0);
        let mut part = [0; 10_000];
        for start in (0..LARGE as u64 - 10_000).step_by(part.len()) {
            payload.read_exact_at(&mut part, start).unwrap();
        }
        assert!(read.get() <= file.len() as u64, "{}", read.get());
    }

    #[test]
    fn what_is_lost_is_read_as_zeros_where_that_is_asked_for() {
        let ((keys, lock), content) = (key_and_lock(1), content(LARGE));
        let mut file = encrypt(&lock, &content);
        let at = file.len() / 2;
        file[at] ^= 1;
        let payload = Payload::open(file.as_slice(), &keys).unwrap();
        let mut found = vec![0; LARGE];
        let read = payload.read_exact_at(&mut found, 0).unwrap_err();
        assert_eq!(read.kind(), io::ErrorKind::InvalidData);
        let payload = payload.forgive();
        payload.read_exact_at(&mut found, 0).unwrap();
        let lost = |chunk: &[u8]| chunk.iter().all(|byte| *byte == 0);
        let chunks = found.chunks(CHUNK as usize);
        let mut both = chunks.zip(content.chunks(CHUNK as usize));
        assert!(
            both.clone()
                .all(|(found, expected)| found == expected || lost(found))
        );
        assert_eq!(both.by_ref().filter(|(found, _)| lost(found)).count(), 1);
        file.truncate(file.len() - 1000);
        assert!(matches!(
            Payload::open(file.as_slice(), &keys).err(),
            Some(Refusal::Damaged(_))
        ));
        let payload = Payload::open_damaged(file.as_slice(), &keys).unwrap();
        payload
            .read_exact_at(&mut found[..LARGE - 1000], 0)
            .unwrap();
        let chunks = found
            .chunks(CHUNK as usize)
            .zip(content.chunks(CHUNK as usize));
        assert_eq!(
            chunks.filter(|(found, expected)| found == expected).count(),
            6
        );
        let payload = Payload::open_damaged(file.as_slice(), &keys).unwrap();
        let (part, start) = (&mut found[..200], 2 * CHUNK as usize);
        payload.read_exact_at(part, start as u64).unwrap();
        assert_eq!(part, &content[start..start + 200]);
    }

    #[test]
    fn a_header_without_end_costs_little() {
        let (keys, lock) = key_and_lock(1);
        let file = encrypt(&lock, b"content");
        let line = file.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        let stanzas = "-> none of ours\nAAAA\n".repeat(100_000);
        let long = [&file[..line], stanzas.as_bytes(), &file[line..]].concat();
        let read = Cell::new(0);
        let counted = Counted {
            file: &long,
            read: &read,
        };
        assert!(Payload::open(counted, &keys).is_err());
        assert!(read.get() <= FIRST + HEADER_MAX);
    }

    /// Finds the vectors of C2SP's CCTV in the package of the crate.
    fn vectors() -> PathBuf {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["metadata", "--format-version", "1", "--filter-platform"]);
        cargo.arg(format!("{}-unknown-linux-gnu", std::env::consts::ARCH));
        let output = cargo
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .unwrap();
        let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let mut packages = metadata["packages"].as_array().unwrap().iter();
        let age = packages.find(|package| package["name"] == "age").unwrap();
        let manifest = Path::new(age["manifest_path"].as_str().unwrap());
        manifest.with_file_name("tests/testdata/testkit")
    }

    fn inflate(bytes: &[u8]) -> Vec<u8> {
        let script =
            "import sys, zlib; sys.stdout.buffer.write(zlib.decompress(sys.stdin.buffer.read()))";
        let mut python = Command::new("python3");
        python
            .args(["-c", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = python.spawn().unwrap();
        child.stdin.take().unwrap().write_all(bytes).unwrap();
        child.wait_with_output().unwrap().stdout
    }

    #[test]
    fn the_vectors_of_cctv_are_read_as_they_say() {
        let mut tried = [0, 0];
        for entry in std::fs::read_dir(vectors()).unwrap() {
            let path = entry.unwrap().path();
            let bytes = std::fs::read(&path).unwrap();
            let end = bytes.windows(2).position(|two| two == b"\n\n").unwrap();
            let head = std::str::from_utf8(&bytes[..end]).unwrap();
            let said = |name: &str| {
                let mut lines = head.lines().filter_map(|line| line.split_once(": "));
                lines.find(|(key, _)| *key == name).map(|(_, value)| value)
            };
            // Text around the file is a kind of its own, which no backup has.
            if said("armored").is_some() {
                continue;
            }
            let file = match said("compressed") {
                Some(_) => inflate(&bytes[end + 2..]),
                None => bytes[end + 2..].to_vec(),
            };
            let keys = Keys {
                identities: said("identity").map(secret),
                passphrase: said("passphrase").map(secret),
            };
            let read = Payload::open(file.as_slice(), &keys).map(|payload| {
                let mut found = vec![0; payload.size().unwrap() as usize];
                payload.read_exact_at(&mut found, 0).map(|()| found)
            });
            let name = path.file_name().unwrap();
            let expected = said("expect").unwrap();
            let is_right = match (expected, &read) {
                ("success", Ok(Ok(found))) => {
                    let digest = crate::archive::digest(found);
                    let digest = crate::archive::lines::hex_text::<64>(&digest);
                    said("payload") == Some(digest.as_str())
                }
                ("payload failure", Ok(Err(error))) => is_damage(error),
                ("payload failure", Err(Refusal::Damaged(_))) => true,
                ("no match" | "HMAC failure", Err(Refusal::NoKey)) => true,
                ("header failure", Err(_)) => true,
                // As older versions of age have written them.
                ("header failure", Ok(Ok(_))) => {
                    let name = name.to_str().unwrap();
                    ["stanza_missing_body", "stanza_missing_final_line"].contains(&name)
                }
                _ => false,
            };
            assert!(is_right, "{name:?}: {expected}");
            tried[usize::from(expected == "success")] += 1;
        }
        assert!(tried[0] > 60 && tried[1] > 10, "{tried:?}");
    }
}
