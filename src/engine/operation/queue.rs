//! What is due for the host, and which thread may take it: nothing here waits, or has a lock.

use std::collections::VecDeque;
use std::time::Instant;

use super::listener::{Caller, Notice};
use super::teller::Teller;
use crate::error::Result;

/// The next task of a thread that calls the host.
pub enum Due {
    Tell(Notice),
    /// Progress is due.
    Tick,
    /// A function of the host other than the listener is to be called.
    Call(Call),
    /// The story has ended so, and only that is still to be told.
    End(Result<()>),
}

/// Calls the host, and can have it told what is due meanwhile.
pub type Call = Box<dyn FnOnce(&mut dyn FnMut(Due)) + Send>;

/// What a waiting thread takes of what is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// All that becomes due until that time, or without an end.
    Until(Option<Instant>),
    /// What was due when the time was up: progress, if it was, and of all else as much as this,
    /// since the begin.
    Due { tick: bool, up_to: usize },
}

impl Patience {
    /// Settles what is still taken, if the time is up.
    pub fn look_at_the_clock(&mut self, queue: &Queue) {
        if let Patience::Until(Some(end)) = *self
            && Instant::now() >= end
        {
            *self = Patience::Due {
                tick: queue.tick,
                up_to: queue.taken + queue.due_in_wait() - usize::from(queue.tick),
            };
        }
    }

    pub fn takes_tick(self) -> bool {
        !matches!(self, Patience::Due { tick: false, .. })
    }

    /// Tells whether there may be something that is still taken.
    pub fn lasts(self, queue: &Queue) -> bool {
        match self {
            Patience::Until(_) => true,
            Patience::Due { tick, up_to } => (tick && queue.tick) || queue.taken < up_to,
        }
    }
}

/// What is due, and for which thread. Its holder has the lock of it.
pub struct Queue {
    pub caller: Caller,
    /// Tells the host: none before the begin, while the host is called, and after the end.
    pub teller: Option<Teller>,
    /// The host is being called.
    pub calling: bool,
    /// The begin is still to be told, which not even a cancel takes back.
    pub begin: bool,
    /// Progress is due.
    pub tick: bool,
    /// Notices and calls.
    pub waiting: VecDeque<Due>,
    /// How much has been taken or dropped so far, but for progress.
    pub taken: usize,
    pub end: Option<Result<()>>,
    /// Nothing but the end will be told any more.
    pub muted: bool,
    /// The thread that calls the host lasts until the end has been told.
    pub lasting: bool,
    pub over: bool,
    /// The host has not asked for the outcome yet, and is told nothing by itself.
    pub unasked: bool,
}

impl Queue {
    pub fn new(caller: Caller, waiting: VecDeque<Due>) -> Queue {
        Queue {
            caller,
            teller: None,
            calling: false,
            begin: false,
            tick: false,
            waiting,
            taken: 0,
            end: None,
            muted: false,
            lasting: false,
            over: false,
            unasked: false,
        }
    }

    /// Counts what is due for the thread that waits.
    pub fn due_in_wait(&self) -> usize {
        let notices = usize::from(self.begin) + usize::from(self.tick);
        match self.caller {
            Caller::Own => 0,
            Caller::Waiting => notices + self.waiting.len() + usize::from(self.end.is_some()),
            Caller::WaitingDeaf => self.waiting.len(),
        }
    }

    /// Gives what is due for the thread that waits, or for the operation's own.
    pub fn take(&mut self, is_waiting: bool, takes_tick: bool) -> Option<Due> {
        let is_told = match self.caller {
            Caller::Own | Caller::WaitingDeaf => !is_waiting,
            Caller::Waiting => is_waiting,
        };
        if is_told && !self.begin && takes_tick && std::mem::take(&mut self.tick) {
            return Some(Due::Tick);
        }
        let due = match self.waiting.front() {
            _ if is_told && std::mem::take(&mut self.begin) => Some(Due::Tell(Notice::Begin)),
            // Whoever is told: the host's other functions are called by the thread that waits.
            Some(Due::Call(_)) if !is_waiting => None,
            Some(Due::Call(_)) => self.waiting.pop_front(),
            Some(_) if is_told => self.waiting.pop_front(),
            None if is_told => self.end.take().map(Due::End),
            _ => None,
        }?;
        self.taken += 1;
        Some(due)
    }

    /// Drops all notices and calls, and lets no more be taken in but the end.
    pub fn mute(&mut self) {
        self.muted = true;
        self.tick = false;
        self.taken += self.waiting.len();
        self.waiting.clear();
    }
}
