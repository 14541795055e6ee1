//! A connection to a store: TCP, and TLS where the endpoint has it. Whatever it waits for, it asks
//! several times a second whether to go on.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::super::address::Endpoint;
use crate::error::{Error, GoOn, Outcome, Result};
use crate::sys::{sockets, trust};

/// The time for which a store may be silent.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// Bytes, and the time in which they must come or end, whatever is said meanwhile: a store that puts a
/// large object together sends blanks for minutes, and an enemy a byte now and then for ever.
const PIECE: usize = 1 << 20;
const PIECE_PATIENCE: Duration = Duration::from_secs(600);
/// The time between two questions whether to go on.
const TICK: Duration = Duration::from_millis(100);

pub enum Connection {
    Plain(Wire),
    Secret(Box<StreamOwned<ClientConnection, Wire>>),
}

impl Connection {
    pub fn open(
        endpoint: &Endpoint,
        trust: Option<&Arc<ClientConfig>>,
        go_on: &GoOn,
    ) -> io::Result<Connection> {
        let wire = Wire::open(endpoint, go_on)?;
        let Some(trust) = trust else {
            return Ok(Connection::Plain(wire));
        };
        let name = ServerName::try_from(endpoint.host.clone());
        let name = name.map_err(|_| ErrorKind::InvalidInput)?;
        let client = ClientConnection::new(Arc::clone(trust), name);
        let client = client.map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
        let mut stream = StreamOwned::new(client, wire);
        stream.conn.complete_io(&mut stream.sock)?;
        Ok(Connection::Secret(Box::new(stream)))
    }

    /// Goes on from now on as long as `go_on` says.
    pub fn obey(&mut self, go_on: &GoOn) {
        let wire = match self {
            Connection::Plain(wire) => wire,
            Connection::Secret(stream) => &mut stream.sock,
        };
        wire.go_on = Arc::clone(go_on);
    }
}

impl Read for Connection {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Connection::Plain(wire) => wire.read(buffer),
            Connection::Secret(stream) => match stream.read(buffer) {
                // Without a word of farewell; what an answer lacks its own length tells.
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(0),
                read => read,
            },
        }
    }
}

impl Write for Connection {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Connection::Plain(wire) => wire.write(bytes),
            Connection::Secret(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Connection::Plain(wire) => wire.flush(),
            Connection::Secret(stream) => stream.flush(),
        }
    }
}

/// A TCP connection that waits in short steps.
pub struct Wire {
    stream: TcpStream,
    go_on: GoOn,
    pace: Pace,
}

/// The piece that is being sent or read, the time that was waited for it, and that for its next byte.
#[derive(Default)]
struct Pace {
    is_read: bool,
    moved: usize,
    waited: Duration,
    silent: Duration,
}

impl Pace {
    /// Turns from sending to reading, or back, if that is not what went on.
    fn turn(&mut self, is_read: bool) {
        if self.is_read != is_read {
            *self = Pace {
                is_read,
                ..Pace::default()
            };
        }
    }

    /// Counts bytes that have moved.
    fn count(&mut self, bytes: usize) {
        self.silent = Duration::ZERO;
        self.moved += bytes;
        if self.moved >= PIECE {
            (self.moved, self.waited) = (0, Duration::ZERO);
        }
    }

    /// Counts a wait; tells whether another may follow.
    fn wait(&mut self, time: Duration) -> bool {
        self.silent += time;
        self.waited += time;
        self.silent < PATIENCE && self.waited < PIECE_PATIENCE
    }
}

impl Wire {
    fn open(endpoint: &Endpoint, go_on: &GoOn) -> io::Result<Wire> {
        let ask = || go_on().map_err(io::Error::other);
        let mut failed = io::Error::from(ErrorKind::NotFound);
        let addresses = sockets::addresses(&endpoint.host, endpoint.port())?;
        // One that does not answer must not take the time of the others.
        let each = PATIENCE / addresses.len().max(1) as u32;
        for address in addresses {
            ask()?;
            match sockets::connect(address, Instant::now() + each, &ask) {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    stream.set_read_timeout(Some(TICK))?;
                    stream.set_write_timeout(Some(TICK))?;
                    let go_on = Arc::clone(go_on);
                    let pace = Pace::default();
                    return Ok(Wire {
                        stream,
                        go_on,
                        pace,
                    });
                }
                Err(error) => failed = error,
            }
        }
        ask()?;
        Err(failed)
    }

    /// Repeats an attempt that waits for a tick at most, until it is done.
    fn patiently(
        &mut self,
        is_read: bool,
        mut attempt: impl FnMut(&TcpStream) -> io::Result<usize>,
    ) -> io::Result<usize> {
        self.pace.turn(is_read);
        loop {
            (self.go_on)().map_err(io::Error::other)?;
            let start = Instant::now();
            match attempt(&self.stream) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if is_wait(&error) => {
                    if !self.pace.wait(start.elapsed()) {
                        return Err(ErrorKind::TimedOut.into());
                    }
                }
                Ok(moved) => {
                    self.pace.count(moved);
                    return Ok(moved);
                }
                Err(error) => return Err(error),
            }
        }
    }
}

fn is_wait(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.patiently(true, |mut stream| stream.read(buffer))
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.patiently(false, |mut stream| stream.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Collects whom this system trusts. Nothing of the process's environment is asked.
pub fn trusting() -> Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(trust::trusted());
    if roots.is_empty() {
        let sentence = "This system has no certificates of authorities, without which no server can be trusted. \
                        Install them (ca-certificates).";
        return Err(Error::new(Outcome::Fail, sentence));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(|error| Error::new(Outcome::Fail, error.to_string()))?;
    let config = config.with_root_certificates(roots);
    Ok(Arc::new(config.with_no_client_auth()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives the bytes that come until no wait may follow, so many at once after each wait.
    fn moved(bytes: usize, wait: Duration) -> usize {
        let mut pace = Pace::default();
        let mut moved = 0;
        while moved < 10 * PIECE && pace.wait(wait) {
            pace.count(bytes);
            moved += bytes;
        }
        moved
    }

    #[test]
    fn whoever_is_silent_or_never_ends_is_not_waited_for_and_whoever_is_slow_is() {
        let seconds = Duration::from_secs;
        assert_eq!(moved(1, PATIENCE), 0);
        // Blanks every ten seconds, for minutes.
        assert!(moved(1, seconds(10)) > 5 * 60 / 10);
        assert!(moved(1, seconds(1)) < 10 * 60);
        // A piece that took long, and then a silence.
        assert_eq!(moved(PIECE, seconds(29)), 10 * PIECE);
        assert_eq!(moved(PIECE / 16, seconds(29)), 10 * PIECE);
        assert!(moved(PIECE / 64, seconds(29)) < PIECE);
    }

    #[test]
    fn the_time_of_an_answer_begins_when_all_is_sent() {
        let mut pace = Pace::default();
        assert!(pace.wait(PATIENCE - TICK));
        pace.turn(true);
        assert!(pace.wait(PATIENCE - TICK));
        pace.turn(true);
        assert!(!pace.wait(TICK));
    }
}
