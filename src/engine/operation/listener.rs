//! The events of an operation, the host's function that is told them, and the thread that calls it.

use super::progress::Progress;
use crate::error::Outcome;

/// An event that the host's function is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    Notice(&'a Notice),
    Progress(Progress),
    Error {
        outcome: Outcome,
        sentence: &'a str,
    },
    End {
        outcome: Result<(), Outcome>,
        progress: Progress,
    },
}

/// An event that is never dropped while the operation goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    Begin,
    /// The backup is of another machine, and the user consents.
    Individualize,
    /// The backup is of another machine, and the user has not consented.
    NeedsIndividualization,
    /// The host's authorizer is called.
    Connecting,
    /// The host's authorizer has answered.
    Disconnecting,
    /// The host's authorizer refuses, and gives the address of a page about it.
    ErrorWithUrl {
        outcome: Outcome,
        url: String,
    },
    Restricted {
        key_id: String,
    },
    Kept {
        name: String,
    },
    Damaged {
        name: String,
    },
    LeftOut {
        name: String,
        reason: String,
    },
}

/// The host's function. It is called on one thread at a time, and may call any function of the
/// library.
pub trait Listener: Send {
    /// Tells the host of an event; a failure ends the operation with that code.
    fn tell(&self, event: Event) -> Result<(), i32>;
}

/// A host's wish to be told.
pub struct Listening {
    pub caller: Caller,
    pub listener: Option<Box<dyn Listener>>,
}

/// The thread that calls the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// One of the operation's own.
    Own,
    /// The one that waits for the operation.
    Waiting,
    /// The one that waits, of a host that listens to nothing: only its other functions are called
    /// there.
    WaitingDeaf,
}

/// The listener of a host that is told nothing.
pub struct Silent;

impl Listener for Silent {
    fn tell(&self, _: Event) -> Result<(), i32> {
        Ok(())
    }
}
