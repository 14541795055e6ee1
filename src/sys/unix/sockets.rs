//! Connections over TCP, above the standard streams.

#![forbid(unsafe_code)]

use std::io;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::os::fd::AsFd;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{AddressFamily, connect as begin};

use super::descriptors;

/// The longest wait between two questions whether to go on.
const TICK: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 100_000_000,
};

/// Looks a name up. Nothing ends this early but its own time limits.
pub fn addresses(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let found = descriptors::beside_streams(|| (host, port).to_socket_addrs())?;
    Ok(found.collect())
}

/// Connects to an address, `until` then at most; `go_on` may end it.
pub fn connect(
    address: SocketAddr,
    until: Instant,
    go_on: &dyn Fn() -> io::Result<()>,
) -> io::Result<TcpStream> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let socket = descriptors::socket(family)?;
    match begin(&socket, &address) {
        Ok(()) => {}
        Err(Errno::INPROGRESS | Errno::INTR) => loop {
            go_on()?;
            let mut polled = [PollFd::new(&socket, PollFlags::OUT)];
            match poll(&mut polled, Some(&TICK)) {
                Ok(0) | Err(Errno::INTR) if Instant::now() < until => {}
                Ok(0) | Err(Errno::INTR) => return Err(io::ErrorKind::TimedOut.into()),
                Ok(_) => {
                    rustix::net::sockopt::socket_error(socket.as_fd())??;
                    break;
                }
                Err(errno) => return Err(errno.into()),
            }
        },
        Err(errno) => return Err(errno.into()),
    }
    let stream = TcpStream::from(socket);
    stream.set_nonblocking(false)?;
    Ok(stream)
}
