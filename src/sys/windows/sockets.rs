//! Connections over TCP.

#![forbid(unsafe_code)]

use std::io;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

/// The longest wait between two questions whether to go on: longer than an answer takes from
/// anywhere on Earth, since each begins anew.
const TICK: Duration = Duration::from_millis(900);

/// Looks a name up. Nothing ends this early but its own time limits.
pub fn addresses(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    Ok((host, port).to_socket_addrs()?.collect())
}

/// Connects to an address, `until` then at most; `go_on` may end it.
pub fn connect(
    address: SocketAddr,
    until: Instant,
    go_on: &dyn Fn() -> io::Result<()>,
) -> io::Result<TcpStream> {
    loop {
        go_on()?;
        match TcpStream::connect_timeout(&address, TICK) {
            Err(error) if error.kind() == io::ErrorKind::TimedOut && Instant::now() < until => {}
            done => return done,
        }
    }
}
