//! A descriptor that a host polls beside others, to learn that something is due. It is the end of a
//! pipe, which every event loop takes.

use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::{Mutex, PoisonError};

use rustix::io::Errno;

use super::descriptors;

/// A pipe that has a byte in it while something is due. It is made when it is first asked for.
#[derive(Debug, Default)]
pub struct WaitDescriptor(Mutex<Shown>);

#[derive(Debug, Default)]
struct Shown {
    is_due: bool,
    pipe: Option<Pipe>,
}

#[derive(Debug)]
struct Pipe {
    reading: OwnedFd,
    writing: OwnedFd,
}

impl WaitDescriptor {
    /// Gives the descriptor, which is the same until this is dropped.
    pub fn open(&self) -> Result<isize, Errno> {
        let mut shown = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let pipe = match shown.pipe.take() {
            Some(pipe) => pipe,
            None => Pipe::new(shown.is_due)?,
        };
        let descriptor = pipe.reading.as_raw_fd();
        shown.pipe = Some(pipe);
        Ok(descriptor as isize)
    }

    /// Shows whether something is due.
    pub fn show(&self, is_due: bool) {
        let mut shown = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if shown.is_due != is_due {
            shown.is_due = is_due;
            if let Some(pipe) = &shown.pipe {
                pipe.show(is_due);
            }
        }
    }
}

impl Pipe {
    fn new(is_due: bool) -> Result<Pipe, Errno> {
        let (reading, writing) = descriptors::pipe()?;
        let pipe = Pipe { reading, writing };
        if is_due {
            pipe.show(true);
        }
        Ok(pipe)
    }

    /// Puts the byte in, or takes it out. Neither can fail: at most one is in it, and nobody else
    /// reads or writes.
    fn show(&self, is_due: bool) {
        let _ = match is_due {
            true => rustix::io::write(&self.writing, &[1]),
            false => rustix::io::read(&self.reading, &mut [0; 1]),
        };
    }
}

#[cfg(test)]
impl WaitDescriptor {
    pub fn is_due(&self) -> bool {
        self.0.lock().unwrap().is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_readable(descriptor: &WaitDescriptor) -> bool {
        let shown = descriptor.0.lock().unwrap();
        let reading = &shown.pipe.as_ref().unwrap().reading;
        rustix::io::ioctl_fionread(reading).unwrap() > 0
    }

    #[test]
    fn what_was_due_before_it_was_asked_for_shows_too() {
        for is_due in [false, true] {
            let descriptor = WaitDescriptor::default();
            descriptor.show(is_due);
            let number = descriptor.open().unwrap();
            assert_eq!(is_readable(&descriptor), is_due);
            for _ in 0..3 {
                descriptor.show(!is_due);
                descriptor.show(!is_due);
                assert_eq!(is_readable(&descriptor), !is_due);
                descriptor.show(is_due);
                assert_eq!(is_readable(&descriptor), is_due);
            }
            assert_eq!(descriptor.open(), Ok(number));
        }
    }
}
