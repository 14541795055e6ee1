//! A backup in a bucket, read by ranges of one version.
//!
//! A request takes longer than what it brings, so readers that go on where one has stopped get more
//! than they ask for, the more the longer they do. What was read too much waits in a few windows.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::sync::Arc;

use super::super::Existing;
use super::client::{Call, Client, call};
use super::failure::Failure;
use super::http::Answer;
use crate::error::{Error, Outcome, Result};
use crate::sync::locks::Mutex;
use crate::sys::files::File;

/// Bytes at the end that are read first: what a reader of a backup asks for first.
pub const TAIL: u64 = 256 << 10;
/// The most bytes that are read at once beyond what was asked for.
const AHEAD_MAX: u64 = 4 << 20;
/// The windows that are kept: those of some readers that each go on.
const WINDOWS: usize = 6;

/// A version of an object.
pub struct Object {
    client: Arc<Client>,
    key: String,
    name: String,
    pub tag: String,
    pub size: u64,
    windows: Mutex<VecDeque<Arc<Window>>>,
}

/// A part of the object that is in memory, or will be when its lock is free.
struct Window {
    part: Range<u64>,
    /// The bytes; none where they could not be read.
    bytes: Mutex<Vec<u8>>,
}

impl Object {
    /// Finds the object with that key, and reads its end; none where there is none.
    pub fn find(client: &Arc<Client>, key: &str) -> Result<Option<Object>, Failure> {
        let range = format!("bytes=-{TAIL}");
        let headers = [("range", range.as_str())];
        let asked = client.call(&Call {
            headers: &headers,
            most: TAIL as usize,
            is_whole: &|answer| end_in(answer).is_some() && answer.tag().is_some(),
            ..call("GET", key)
        });
        let answer = match asked {
            Err(failure) if failure.is_absence() => return Ok(None),
            // Nothing is in it, of which no end can be asked for; or less than that.
            Err(failure) if failure.status() == 416 => client.call(&Call {
                most: TAIL as usize,
                is_whole: &|answer| end_in(answer).is_some() && answer.tag().is_some(),
                ..call("GET", key)
            })?,
            answer => answer?,
        };
        let size = end_in(&answer).unwrap_or_default();
        let tag = answer.tag().unwrap_or_default().to_owned();
        let tail = Window {
            part: size.saturating_sub(answer.body.len() as u64)..size,
            bytes: Mutex::new(answer.body),
        };
        Ok(Some(Object {
            client: Arc::clone(client),
            key: key.to_owned(),
            name: client.address.name_of(key),
            tag,
            size,
            windows: Mutex::new(VecDeque::from([Arc::new(tail)])),
        }))
    }

    /// Tells whether it ends with these bytes, which are as many as were read first.
    pub fn ends_with(&self, end: &[u8]) -> bool {
        let tail = self.windows.lock().front().cloned();
        tail.is_some_and(|tail| *tail.bytes.lock() == end)
    }

    /// Gives a second reader of the same version, with what is known of it.
    pub fn again(&self) -> Object {
        Object {
            client: Arc::clone(&self.client),
            key: self.key.clone(),
            name: self.name.clone(),
            tag: self.tag.clone(),
            size: self.size,
            windows: Mutex::new(self.windows.lock().clone()),
        }
    }

    /// Reads a part by a request.
    fn fetch(&self, part: &Range<u64>) -> io::Result<Vec<u8>> {
        let range = format!("bytes={}-{}", part.start, part.end - 1);
        let headers = [("range", range.as_str()), ("if-match", self.tag.as_str())];
        let length = part.end - part.start;
        let is_whole = |answer: &Answer| match answer.tag() {
            Some(tag) if tag == self.tag => {
                let stated = answer.header("content-range").and_then(part_of);
                let is_all = answer.status == 200 && length == self.size;
                let is_it = is_all || stated == Some((part.clone(), self.size));
                is_it && answer.body.len() as u64 == length
            }
            other => other.is_some(),
        };
        let asked = self.client.call(&Call {
            headers: &headers,
            most: length as usize,
            is_whole: &is_whole,
            ..call("GET", &self.key)
        });
        let answer = asked.map_err(|failure| io::Error::other(self.error(failure)))?;
        match answer.tag() == Some(&self.tag) {
            true => Ok(answer.body),
            // The store has not kept the condition.
            false => Err(io::Error::other(self.replaced())),
        }
    }

    fn error(&self, failure: Failure) -> Error {
        // Every part that is asked for was in the version that was found.
        match matches!(failure.status(), 412 | 416) || failure.is_absence() {
            true => self.replaced(),
            false => self
                .client
                .error(&format!("read the backup '{}'", self.name), failure),
        }
    }

    fn replaced(&self) -> Error {
        let sentence = format!(
            "The backup '{}' was replaced or removed while it was read. Try again to read the one that is there now.",
            self.name
        );
        Error::new(Outcome::SharingViolation, sentence)
    }

    /// Gives the window that has the byte at `offset`. A new one begins there: for a reader that has
    /// come to the end of another it reaches further than that one, and else as far as is asked.
    fn window(&self, offset: u64, length: u64) -> Arc<Window> {
        let mut windows = self.windows.lock();
        let mut known = windows.iter();
        if let Some(window) = known.find(|window| window.part.contains(&offset)) {
            return Arc::clone(window);
        }
        let mut known = windows.iter();
        let before = known.position(|window| window.part.end == offset);
        let before = before.and_then(|place| windows.remove(place));
        let ahead = before.map_or(0, |before| 2 * (before.part.end - before.part.start));
        let end = offset.saturating_add(length.max(ahead.min(AHEAD_MAX)));
        let window = Arc::new(Window {
            part: offset..end.min(self.size),
            bytes: Mutex::default(),
        });
        if windows.len() >= WINDOWS {
            windows.pop_front();
        }
        windows.push_back(Arc::clone(&window));
        window
    }

    /// Reads what the window has of these bytes, and gives how many that are.
    fn read_from(&self, window: &Window, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut bytes = window.bytes.lock();
        if bytes.is_empty() {
            *bytes = self.fetch(&window.part)?;
        }
        let within = (offset - window.part.start) as usize;
        let known = bytes.get(within..).unwrap_or_default();
        let count = known.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..count), known.get(..count)) {
            to.copy_from_slice(from);
        }
        Ok(count)
    }
}

/// Gives the size of an object of which the answer has the end; none where it has something else.
pub fn end_in(answer: &Answer) -> Option<u64> {
    let length = answer.body.len() as u64;
    let (part, size) = match answer.header("content-range") {
        Some(range) => part_of(range)?,
        // The whole of it.
        None => (0..length, length),
    };
    let is_end = part.end == size && part.end - part.start == length;
    (is_end && length == TAIL.min(size)).then_some(size)
}

/// Reads `bytes 0-9/100`: the part, and the size of all.
fn part_of(range: &str) -> Option<(Range<u64>, u64)> {
    let (part, size) = range.strip_prefix("bytes ")?.split_once('/')?;
    let (start, last) = part.split_once('-')?;
    let (start, last, size): (u64, u64, u64) =
        (start.parse().ok()?, last.parse().ok()?, size.parse().ok()?);
    (start <= last && last < size).then_some((start..last + 1, size))
}

impl Existing for Object {
    fn name(&self) -> &str {
        &self.name
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.size)
    }

    fn read_exact_at(&self, mut buffer: &mut [u8], mut offset: u64) -> io::Result<()> {
        let end = offset.checked_add(buffer.len() as u64);
        if end.is_none_or(|end| end > self.size) {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        while !buffer.is_empty() {
            let window = self.window(offset, buffer.len() as u64);
            let read = self.read_from(&window, buffer, offset)?;
            if read == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            buffer = buffer.split_at_mut(read).1;
            offset += read as u64;
        }
        Ok(())
    }

    fn forget(&self, _: u64, _: u64) {}

    fn is_own(&self) -> bool {
        true
    }

    fn file(&self) -> Option<&File> {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    use std::thread;

    use super::super::super::address::{Access, Address, Endpoint, Keys};
    use super::*;
    use crate::secret::Secret;

    /// A store with one object, which counts what it is asked.
    struct Store {
        content: Vec<u8>,
        is_replaced: AtomicBool,
        requests: AtomicUsize,
        bytes: AtomicUsize,
    }

    impl Store {
        fn serve(&self, listener: &TcpListener) {
            for stream in listener.incoming() {
                let mut lines = BufReader::new(stream.unwrap());
                loop {
                    let (mut first, mut range, mut line) =
                        (String::new(), String::new(), String::new());
                    if lines.read_line(&mut first).unwrap_or(0) == 0 {
                        break;
                    }
                    while lines.read_line(&mut line).unwrap() > 2 {
                        if let Some(value) = line.strip_prefix("range: bytes=") {
                            value.trim().clone_into(&mut range);
                        }
                        line.clear();
                    }
                    if first.starts_with("QUIT") {
                        return;
                    }
                    let answer = self.answer(&range);
                    lines.get_mut().write_all(&answer).unwrap();
                }
            }
        }

        fn answer(&self, range: &str) -> Vec<u8> {
            self.requests.fetch_add(1, Ordering::Relaxed);
            if self.is_replaced.load(Ordering::Relaxed) {
                return b"HTTP/1.1 412 No\r\nContent-Length: 0\r\n\r\n".to_vec();
            }
            let size = self.content.len();
            let (start, end) = match range.split_once('-').unwrap() {
                ("", last) => (size.saturating_sub(last.parse().unwrap()), size),
                (start, last) => (start.parse().unwrap(), last.parse::<usize>().unwrap() + 1),
            };
            self.bytes.fetch_add(end - start, Ordering::Relaxed);
            let head = format!(
                "HTTP/1.1 206 Part\r\nETag: \"1\"\r\nContent-Range: bytes {start}-{}/{size}\r\n\
                 Content-Length: {}\r\n\r\n",
                end - 1,
                end - start
            );
            [head.as_bytes(), &self.content[start..end]].concat()
        }

        fn counted(&self) -> (usize, usize) {
            let of = |count: &AtomicUsize| count.swap(0, Ordering::Relaxed);
            (of(&self.requests), of(&self.bytes))
        }
    }

    /// Runs `test` with a reader of an object of `size` bytes.
    fn with_object(size: usize, test: impl FnOnce(&Store, Object)) {
        let store = Store {
            content: (0..size).map(|n| (n / 100) as u8).collect(),
            is_replaced: AtomicBool::new(false),
            requests: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
        };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let place = listener.local_addr().unwrap();
        let access = Access {
            endpoint: Endpoint::parse(&format!("http://{place}")).unwrap(),
            region: "region".into(),
            keys: Keys {
                id: "id".into(),
                secret: Secret::new("secret".into()).unwrap(),
                token: None,
            },
        };
        let address = Address::parse("s3://bucket/prefix").unwrap();
        thread::scope(|scope| {
            scope.spawn(|| store.serve(&listener));
            let client = Client::new(&address, &access, &(Arc::new(|| Ok(())) as _));
            let found = Object::find(&Arc::new(client.unwrap()), "key");
            let Ok(Some(object)) = found else { panic!() };
            test(&store, object);
            let mut last = std::net::TcpStream::connect(place).unwrap();
            last.write_all(b"QUIT\r\n\r\n").unwrap();
        });
    }

    #[test]
    fn whoever_reads_on_gets_more_at_once_and_whoever_jumps_what_is_asked() {
        const SIZE: usize = 40 << 20;
        with_object(SIZE, |store, object| {
            assert_eq!(store.counted(), (1, TAIL as usize));
            let mut end = vec![0; 1000];
            object.read_exact_at(&mut end, SIZE as u64 - 1000).unwrap();
            assert_eq!(store.counted(), (0, 0));
            let mut part = vec![0; 100_000];
            for start in (0..SIZE - part.len()).step_by(part.len()) {
                object.read_exact_at(&mut part, start as u64).unwrap();
                assert!(part == store.content[start..start + part.len()]);
            }
            let (requests, bytes) = store.counted();
            assert!(requests < 20 && bytes <= SIZE, "{requests} {bytes}");
            for start in [30 << 20, 7, 20 << 20] {
                let mut part = [0; 50];
                object.read_exact_at(&mut part, start as u64).unwrap();
                assert_eq!(part, store.content[start..start + 50]);
            }
            assert_eq!(store.counted(), (3, 150));
            assert!(object.read_exact_at(&mut [0; 2], SIZE as u64 - 1).is_err());
            assert!(object.read_exact_at(&mut [0; 2], u64::MAX).is_err());
        });
    }

    #[test]
    fn a_version_that_has_gone_is_told() {
        with_object(1 << 20, |store, object| {
            store.is_replaced.store(true, Ordering::Relaxed);
            let error = object.read_exact_at(&mut [0; 2], 0).unwrap_err();
            let error = error.get_ref().unwrap().downcast_ref::<Error>().unwrap();
            assert_eq!(error.outcome, Outcome::SharingViolation);
        });
    }

    #[test]
    fn ranges_are_what_a_store_says() {
        assert_eq!(part_of("bytes 0-9/100"), Some((0..10, 100)));
        for bad in [
            "",
            "bytes */100",
            "bytes 0-9/*",
            "bytes 9-0/100",
            "bytes 0-100/100",
            "0-9/100",
        ] {
            assert_eq!(part_of(bad), None, "{bad}");
        }
    }
}
