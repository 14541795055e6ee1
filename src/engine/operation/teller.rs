//! Tells the host of an operation, from its begin to its end.

use super::listener::{Event, Listener};
use crate::error::Error;
use crate::sync::channel::Sender;
use crate::sys::fork::HomeMark;
use crate::sys::threads::Thread;

/// Learns of an operation's end, on the thread that tells it.
pub trait Ending: Send {
    /// Learns of an error that the host will be told, unless it caused it.
    fn failed(&self, error: &Error);

    /// Learns that only the end is still to be told.
    fn tells_end(self: Box<Self>);
}

/// What is needed to tell the host, which one thread has at a time.
pub struct Teller {
    pub listener: Box<dyn Listener>,
    pub ending: Option<Box<dyn Ending>>,
    /// Lets the conductor begin, once.
    pub go: Option<Sender<()>>,
    pub conductor: Option<Thread>,
}

/// A host's answer to an event.
pub enum Answer {
    GoesOn,
    /// The operation is to end with this code.
    Objects(i32),
    /// The listener has returned in a child that was forked in it, where nothing may be touched.
    IsForked,
}

impl Teller {
    /// Tells the host of an event, in the process of `home`.
    pub fn tell(&self, home: &HomeMark, event: Event) -> Answer {
        let told = self.listener.tell(event);
        match told {
            _ if !home.is_home() => Answer::IsForked,
            Ok(()) => Answer::GoesOn,
            Err(code) => Answer::Objects(code),
        }
    }
}

#[cfg(test)]
impl Teller {
    /// Makes one for a host that is told nothing.
    pub fn silent() -> Teller {
        Teller {
            listener: Box::new(super::listener::Silent),
            ending: None,
            go: None,
            conductor: None,
        }
    }
}
