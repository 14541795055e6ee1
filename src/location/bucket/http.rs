//! HTTP/1.1 as a store speaks it: one request after the other on a connection, and answers of
//! which nothing is believed before it is bounded.

use std::io::{self, ErrorKind, Read, Write};

use zeroize::Zeroizing;

use super::connection::Connection;
use crate::error::GoOn;

/// The most bytes of the head of an answer, and of headers in it.
const HEAD_MAX: usize = 64 << 10;
const HEADERS_MAX: usize = 128;
/// The most heads of an answer, of which all but the last announce it.
const HEADS_MAX: usize = 16;
/// The most bytes of the body of an answer that says why there is no other.
pub const REFUSAL_MAX: usize = 64 << 10;
/// The most bytes of a tag: several times what a store gives.
const TAG_MAX: usize = 512;
/// Bytes that are read at once.
const PART: usize = 64 << 10;

/// A request as it is sent.
pub struct Message<'m> {
    pub head: &'m Zeroizing<String>,
    pub body: &'m [u8],
    /// Is asked for leave before the last byte is sent.
    pub leave: &'m dyn Fn() -> io::Result<()>,
    /// The most bytes of the answer's body.
    pub most: usize,
}

/// An answer of a store.
#[derive(Debug, Default)]
pub struct Answer {
    pub status: u16,
    /// The headers, with names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers
            .find(|(own, _)| own == name)
            .map(|(_, value)| value.as_str())
    }

    /// Gives the tag of the version that the answer is about.
    pub fn tag(&self) -> Option<&str> {
        self.header("etag").filter(|tag| tag.len() <= TAG_MAX)
    }
}

/// A connection, and what came on it beyond the last answer.
pub struct Line<C = Connection> {
    connection: C,
    input: Vec<u8>,
    /// Something has come in answer to the last request.
    is_answered: bool,
}

/// The reason why an exchange failed.
pub struct Broken {
    pub error: io::Error,
    /// The whole request may have been read.
    pub was_sent: bool,
    /// The connection was closed, and nothing has come in answer: perhaps while it waited.
    pub is_stale: bool,
}

impl Line {
    /// Goes on from now on as long as `go_on` says.
    pub fn obey(&mut self, go_on: &GoOn) {
        self.connection.obey(go_on);
    }
}

impl<C: Read + Write> Line<C> {
    pub fn new(connection: C) -> Line<C> {
        Line {
            connection,
            input: Vec::new(),
            is_answered: false,
        }
    }

    /// Sends a request and reads the answer; tells whether another may follow.
    pub fn exchange(&mut self, message: &Message) -> Result<(Answer, bool), Broken> {
        self.is_answered = false;
        let mut was_sent = false;
        let sent = self.send(message, &mut was_sent);
        let answer = match sent {
            Ok(()) => self.receive(message),
            // A store may answer before it has read all, and close.
            Err(error) if is_closed(&error) => match self.receive(message) {
                Ok((answer, _)) if answer.status >= 300 => Ok((answer, false)),
                _ => Err(error),
            },
            Err(error) => Err(error),
        };
        answer.map_err(|error| Broken {
            was_sent,
            is_stale: !self.is_answered && is_closed(&error),
            error,
        })
    }

    fn send(&mut self, message: &Message, was_sent: &mut bool) -> io::Result<()> {
        let body = message.body;
        let (first, last) = body.split_at(body.len().saturating_sub(1));
        self.connection.write_all(message.head.as_bytes())?;
        self.connection.write_all(first)?;
        self.connection.flush()?;
        (message.leave)()?;
        *was_sent = true;
        self.connection.write_all(last)?;
        self.connection.flush()
    }

    fn receive(&mut self, message: &Message) -> io::Result<(Answer, bool)> {
        let mut heads = 1;
        let (mut answer, lasts) = loop {
            let (answer, lasts) = self.head()?;
            // Those before 200 announce another.
            match answer.status {
                200.. => break (answer, lasts),
                _ if heads == HEADS_MAX => return Err(bad("it only announces an answer")),
                _ => heads += 1,
            }
        };
        if matches!(answer.status, 204 | 304) {
            return Ok((answer, lasts)); // without a body, whatever the headers say
        }
        let most = match answer.status {
            300.. => REFUSAL_MAX,
            _ => message.most,
        };
        match self.body(&mut answer, most) {
            // What is said beside a refusal is not needed.
            Err(error) if error.kind() == ErrorKind::Unsupported && answer.status >= 300 => {
                answer.body.clear();
                Ok((answer, false))
            }
            // What comes behind an answer is not one to the next request.
            ends => {
                let lasts = ends? && lasts && self.input.is_empty();
                Ok((answer, lasts))
            }
        }
    }

    /// Reads the body of an answer; tells whether another answer may follow.
    fn body(&mut self, answer: &mut Answer, most: usize) -> io::Result<bool> {
        let codings = answer
            .header("transfer-encoding")
            .map(str::to_ascii_lowercase);
        let length = answer.header("content-length").map(str::to_owned);
        match (codings.as_deref(), length) {
            (Some("chunked"), _) => self.chunks(&mut answer.body, most)?,
            (Some(_), _) => return Err(bad("it is encoded in an unknown way")),
            (None, Some(length)) => {
                let length: u64 = length.parse().map_err(|_| bad("its length is no number"))?;
                self.take(&mut answer.body, length, most)?;
            }
            (None, None) => loop {
                let length = self.input.len() as u64;
                self.take(&mut answer.body, length, most)?;
                if !self.fill()? {
                    return Ok(false);
                }
            },
        }
        Ok(true)
    }

    /// Reads the head of an answer; tells whether the connection lasts beyond it.
    fn head(&mut self) -> io::Result<(Answer, bool)> {
        loop {
            let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
            let mut response = httparse::Response::new(&mut headers);
            let parsed = response
                .parse(&self.input)
                .map_err(|_| bad("it is not HTTP"))?;
            if let httparse::Status::Complete(length) = parsed {
                let text = |value: &[u8]| String::from_utf8_lossy(value).trim().to_owned();
                let own = response.headers.iter();
                let answer = Answer {
                    status: response.code.unwrap_or_default(),
                    headers: own
                        .map(|header| (header.name.to_ascii_lowercase(), text(header.value)))
                        .collect(),
                    body: Vec::new(),
                };
                let says = answer.header("connection").unwrap_or_default();
                let lasts = response.version == Some(1) && !says.eq_ignore_ascii_case("close");
                self.input.drain(..length);
                return Ok((answer, lasts));
            }
            if self.input.len() > HEAD_MAX {
                return Err(bad("its head is too long"));
            }
            if !self.fill()? {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Reads a body in chunks, and what follows it.
    fn chunks(&mut self, body: &mut Vec<u8>, most: usize) -> io::Result<()> {
        loop {
            let parsed = httparse::parse_chunk_size(&self.input);
            match parsed.map_err(|_| bad("a chunk has no size"))? {
                httparse::Status::Complete((length, size)) => {
                    self.input.drain(..length);
                    if size == 0 {
                        return self.trailers();
                    }
                    self.take(body, size, most)?;
                    if self.line()? != 2 {
                        return Err(bad("a chunk does not end"));
                    }
                }
                httparse::Status::Partial if self.input.len() > HEAD_MAX => {
                    return Err(bad("a chunk has no size"));
                }
                httparse::Status::Partial => {
                    if !self.fill()? {
                        return Err(ErrorKind::UnexpectedEof.into());
                    }
                }
            }
        }
    }

    /// Reads what follows the last chunk, up to an empty line.
    fn trailers(&mut self) -> io::Result<()> {
        let mut read = 0;
        while read <= HEAD_MAX {
            match self.line()? {
                2 => return Ok(()),
                length => read += length,
            }
        }
        Err(bad("its end is too long"))
    }

    /// Reads a line, and gives its length with its end.
    fn line(&mut self) -> io::Result<usize> {
        loop {
            if let Some(end) = memchr::memmem::find(&self.input, b"\r\n") {
                self.input.drain(..end + 2);
                return Ok(end + 2);
            }
            if self.input.len() > HEAD_MAX {
                return Err(bad("a line is too long"));
            }
            if !self.fill()? {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Moves `length` bytes of the input to the body, which has at most `most`.
    fn take(&mut self, body: &mut Vec<u8>, length: u64, most: usize) -> io::Result<()> {
        let left = most.saturating_sub(body.len());
        let length = usize::try_from(length)
            .ok()
            .filter(|length| *length <= left);
        let too_long =
            || io::Error::new(ErrorKind::Unsupported, "it gives more than was asked for");
        let length = length.ok_or_else(too_long)?;
        body.try_reserve(length)
            .map_err(|_| ErrorKind::OutOfMemory)?;
        let had = length.min(self.input.len());
        body.extend(self.input.drain(..had));
        let start = body.len();
        body.resize(start + length - had, 0);
        let rest = body.get_mut(start..).unwrap_or_default();
        self.connection.read_exact(rest)
    }

    /// Reads some more; false where nothing more comes.
    fn fill(&mut self) -> io::Result<bool> {
        let start = self.input.len();
        self.input
            .try_reserve(PART)
            .map_err(|_| ErrorKind::OutOfMemory)?;
        self.input.resize(start + PART, 0);
        let read = self
            .connection
            .read(self.input.get_mut(start..).unwrap_or_default());
        self.input.truncate(start + *read.as_ref().unwrap_or(&0));
        let read = read?;
        self.is_answered |= read > 0;
        Ok(read > 0)
    }
}

fn is_closed(error: &io::Error) -> bool {
    use ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(
        error.kind(),
        BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof
    )
}

/// Makes the error of an answer that no store should give.
fn bad(what: &'static str) -> io::Error {
    io::Error::other(what)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::sync::Arc;
    use std::thread;

    use super::*;
    use crate::error::Error;
    use crate::location::address::Endpoint;

    /// Sends `body` to a server that reads all and gives these answers, one for each request.
    fn exchange(
        answers: &[&[u8]],
        body: &[u8],
        most: usize,
    ) -> Vec<Result<(Answer, bool), Broken>> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let endpoint = Endpoint::parse(&format!("http://127.0.0.1:{port}")).unwrap();
        let head = Zeroizing::new("PUT / HTTP/1.1\r\n\r\n".to_owned());
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut stream = listener.accept().unwrap().0;
                for answer in answers {
                    let mut request = vec![0; head.len() + body.len()];
                    stream.read_exact(&mut request).unwrap();
                    assert_eq!(request, [head.as_bytes(), body].concat());
                    stream.write_all(answer).unwrap();
                }
            });
            let go_on = Arc::new(|| Ok(()));
            let connection = Connection::open(&endpoint, None, &(go_on as _)).unwrap();
            let mut line = Line::new(connection);
            let message = Message {
                head: &head,
                body,
                leave: &|| Ok(()),
                most,
            };
            let exchanges = answers.iter().map(|_| line.exchange(&message));
            exchanges.collect()
        })
    }

    fn one(answer: &[u8]) -> Result<(Answer, bool), Broken> {
        exchange(&[answer], b"body", 10).pop().unwrap()
    }

    #[test]
    fn an_answer_ends_by_its_length_by_chunks_or_by_the_connection() {
        let answers: [(&[u8], &[u8], bool); 7] = [
            (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nETag: \"a\"\r\n\r\nabc", b"abc", true),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nETag: \"a\"\r\n\r\n", b"", true),
            (
                b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\netag: \"a\"\r\n\
                  Transfer-Encoding: Chunked\r\n\r\n2;x=y\r\nab\r\n1\r\nc\r\n0\r\nmore: x\r\n\r\n",
                b"abc",
                true,
            ),
            (b"HTTP/1.1 200 OK\r\nETag: \"a\"\r\n\r\nabc", b"abc", false),
            (b"HTTP/1.1 204 None\r\nETag:  \"a\" \r\n\r\n", b"", true),
            (
                b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\nETag: \"a\"\r\n\r\nabc",
                b"abc",
                false,
            ),
            (b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\nETag: \"a\"\r\n\r\nabc", b"abc", false),
        ];
        for (answer, body, lasts) in answers {
            let Ok(read) = one(answer) else {
                panic!("{}", String::from_utf8_lossy(answer))
            };
            let (read, read_lasts) = read;
            assert_eq!((read.body.as_slice(), read_lasts), (body, lasts));
            assert_eq!(read.header("etag"), Some("\"a\""));
        }
        let two = exchange(&[answers[2].0, answers[0].0], b"body", 10);
        assert!(two.iter().all(Result::is_ok));
    }

    #[test]
    fn what_no_store_should_answer_is_a_failure_and_costs_little() {
        let long = [
            b"HTTP/1.1 200 OK\r\nx: ",
            vec![b'x'; 2 * HEAD_MAX].as_slice(),
        ]
        .concat();
        let many = "a: b\r\n".repeat(HEADERS_MAX + 1);
        let many = format!("HTTP/1.1 200 OK\r\n{many}\r\n");
        let end = [
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
            vec![b'x'; 200_000].as_slice(),
        ]
        .concat();
        let announced = b"HTTP/1.1 100 Continue\r\n\r\n".repeat(HEADS_MAX);
        let answers: [&[u8]; 14] = [
            b"",
            b"HTTP/1.1 200 OK\r\nContent-",
            b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab",
            b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n01234567890",
            b"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
            b"SSH-2.0-OpenSSH\r\n",
            &long,
            many.as_bytes(),
            &end,
            &announced,
        ];
        for answer in answers {
            let start = String::from_utf8_lossy(&answer[..answer.len().min(60)]);
            let Err(broken) = one(answer) else {
                panic!("{start}")
            };
            assert!(broken.was_sent, "{start}");
            assert_eq!(broken.is_stale, answer.is_empty(), "{start}");
        }
    }

    #[test]
    fn who_gets_no_leave_has_not_sent_the_last_byte() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let endpoint = Endpoint::parse(&format!("http://127.0.0.1:{port}")).unwrap();
        let connection = Connection::open(&endpoint, None, &(Arc::new(|| Ok(())) as _)).unwrap();
        let mut line = Line::new(connection);
        let broken = line.exchange(&Message {
            head: &Zeroizing::new("head".to_owned()),
            body: b"body",
            leave: &|| Err(io::Error::other(Error::canceled())),
            most: 0,
        });
        assert!(!broken.err().unwrap().was_sent);
        drop(line);
        let mut sent = Vec::new();
        listener.accept().unwrap().0.read_to_end(&mut sent).unwrap();
        assert_eq!(sent, b"headbod");
    }
}
