//! Tells the host of an operation: in order, one event at a time, on one thread.
//!
//! The operation's threads post notices; the operation's event thread takes them and calls the
//! listener, with no lock held. Progress is not posted: the event thread reads the counters when it
//! has nothing else to tell. So progress costs the workers nothing, and only the newest figures are
//! told.

use std::collections::{TryReserveError, VecDeque};
use std::time::{Duration, Instant};

use super::progress::Progress;
use crate::error::Outcome;
use crate::sync::locks::{Condvar, Mutex};

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
    Restricted { key_id: String },
    Kept { name: String },
    Damaged { name: String },
    LeftOut { name: String, reason: String },
}

/// The host's function. It is called on one thread at a time, and may call any function of the
/// library.
pub trait Listener: Send {
    /// Tells the host of an event; a failure ends the operation with that code.
    fn tell(&self, event: Event) -> Result<(), i32>;
}

/// Notices that wait for a slow listener before the operation waits too.
const WAITING_MAX: usize = 4096;
/// The interval at which progress is told.
pub const TICK: Duration = Duration::from_millis(40);

#[derive(Default)]
pub struct Events {
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Notice>,
    /// The listener is being told the last event taken.
    telling: bool,
    /// Nothing will be posted any more.
    closed: bool,
    /// The listener is told nothing any more.
    muted: bool,
}

/// The next task of the event thread.
#[derive(Debug, PartialEq, Eq)]
pub enum Due {
    Tell(Notice),
    /// Progress is due.
    Tick,
    /// All has been told.
    Closed,
}

impl Events {
    /// Makes a queue with room for all that may wait, so that leaving a notice needs no large
    /// memory.
    pub fn new() -> Result<Events, TryReserveError> {
        let events = Events::default();
        events.queue.lock().waiting.try_reserve_exact(WAITING_MAX)?;
        Ok(events)
    }

    /// Leaves a notice for the event thread; waits while too many are left.
    pub fn post(&self, notice: Notice) {
        let mut queue = self.queue.lock();
        while queue.waiting.len() >= WAITING_MAX && !queue.muted {
            queue = self.changed.wait(queue);
        }
        if !queue.muted {
            queue.waiting.push_back(notice);
            self.changed.notify_all();
        }
    }

    /// Waits until all that was posted has been told, and the listener has returned.
    pub fn flush(&self) {
        let mut queue = self.queue.lock();
        while (queue.telling || !queue.waiting.is_empty()) && !queue.muted {
            queue = self.changed.wait(queue);
        }
    }

    /// Says that nothing will be posted any more.
    pub fn close(&self) {
        self.queue.lock().closed = true;
        self.changed.notify_all();
    }

    /// Drops all notices, also later ones, and wakes the threads that wait here.
    pub fn mute(&self) {
        let mut queue = self.queue.lock();
        queue.muted = true;
        queue.waiting.clear();
        self.changed.notify_all();
    }

    /// Gives the event thread its next task; the task before has been done. Progress is due at
    /// `tick`, however much else there is to tell.
    pub fn next(&self, tick: &mut Instant) -> Due {
        let mut queue = self.queue.lock();
        queue.telling = false;
        self.changed.notify_all();
        loop {
            if queue.closed && queue.waiting.is_empty() {
                return Due::Closed;
            }
            let left = tick.saturating_duration_since(Instant::now());
            if left.is_zero() {
                *tick = Instant::now() + TICK;
                queue.telling = true;
                return Due::Tick;
            }
            if let Some(notice) = queue.waiting.pop_front() {
                queue.telling = true;
                return Due::Tell(notice);
            }
            queue = self.changed.wait_for(queue, left);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::sys::threads::Thread;

    /// Gives the next task other than progress.
    fn next(events: &Events) -> Due {
        let mut never = Instant::now() + Duration::from_secs(3600);
        events.next(&mut never)
    }

    fn kept(number: usize) -> Notice {
        Notice::Kept {
            name: number.to_string(),
        }
    }

    #[test]
    fn notices_come_in_order_and_the_poster_waits_for_a_slow_listener() {
        let events = Arc::new(Events::default());
        let count = 3 * WAITING_MAX;
        let posting = Arc::clone(&events);
        let thread = Thread::start(move || {
            (0..count).for_each(|number| posting.post(kept(number)));
            posting.close();
        });
        for number in 0..count {
            assert_eq!(next(&events), Due::Tell(kept(number)));
            assert!(events.queue.lock().waiting.len() <= WAITING_MAX);
        }
        assert_eq!(next(&events), Due::Closed);
        thread.unwrap().join();
    }

    #[test]
    fn muting_lets_everybody_go_on() {
        let events = Arc::new(Events::default());
        (0..WAITING_MAX).for_each(|number| events.post(kept(number)));
        let posting = Arc::clone(&events);
        let thread = Thread::start(move || {
            posting.post(kept(WAITING_MAX));
            posting.flush();
            posting.close();
        });
        events.mute();
        assert_eq!(next(&events), Due::Closed);
        thread.unwrap().join();
    }

    #[test]
    fn a_flush_waits_for_the_listener_to_return() {
        let events = Arc::new(Events::default());
        events.post(kept(1));
        assert_eq!(next(&events), Due::Tell(kept(1)));
        let (sender, flushed) = std::sync::mpsc::channel();
        let flushing = Arc::clone(&events);
        let thread = Thread::start(move || {
            flushing.flush();
            sender.send(()).unwrap();
        });
        assert!(flushed.recv_timeout(Duration::from_millis(50)).is_err());
        events.close();
        assert_eq!(next(&events), Due::Closed);
        flushed.recv().unwrap();
        thread.unwrap().join();
    }

    #[test]
    fn progress_is_due_however_much_else_there_is_to_tell() {
        let events = Events::default();
        (0..WAITING_MAX).for_each(|number| events.post(kept(number)));
        let mut tick = Instant::now();
        assert_eq!(events.next(&mut tick), Due::Tick);
        assert!(tick > Instant::now());
        assert_eq!(events.next(&mut (tick + TICK)), Due::Tell(kept(0)));
    }
}
