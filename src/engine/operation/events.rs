//! What the host is to be told, and where its functions are to be called.
//!
//! The operation's threads post notices; whoever calls the host takes them and calls the listener,
//! with no lock held. That is a thread of the operation's own or, where the host wants it so, the
//! one that waits for the operation: this one also makes the calls of the host's other functions.
//! Progress is not posted: the counters are read when it is due. So progress costs the workers
//! nothing, and only the newest figures are told.

use std::collections::{TryReserveError, VecDeque};
use std::sync::{Arc, MutexGuard};
use std::time::{Duration, Instant};

use super::listener::{Caller, Notice};
use super::queue::{Call, Due, Patience, Queue};
use super::teller::Teller;
use crate::error::Result;
use crate::sync::locks::{Condvar, Mutex};
use crate::sys::wait_descriptor::WaitDescriptor;

/// Notices that wait for a slow listener before the operation waits too.
const WAITING_MAX: usize = 4096;
/// Calls that may wait beside them: functions of the host are called one at a time.
const CALLS_MAX: usize = 1;
/// The interval at which progress is told.
pub const TICK: Duration = Duration::from_millis(40);

pub struct Events {
    queue: Mutex<Queue>,
    /// The signals that something is due, or never will be, to threads that wait, and to the
    /// operation's own.
    due: Condvar,
    own: Condvar,
    /// The signal that something has been told.
    told: Condvar,
    /// The signal that a call has something for the thread that left it.
    called: Condvar,
    /// The signal that the operation is over.
    ended: Condvar,
    /// Shows a host that polls whether something is due.
    descriptor: Arc<WaitDescriptor>,
}

impl Events {
    /// Makes a queue with room for all that may wait, so that leaving a notice needs no large
    /// memory.
    pub fn new(caller: Caller, descriptor: Arc<WaitDescriptor>) -> Result<Events, TryReserveError> {
        let mut waiting = VecDeque::new();
        waiting.try_reserve_exact(WAITING_MAX + CALLS_MAX)?;
        Ok(Events {
            queue: Mutex::new(Queue::new(caller, waiting)),
            due: Condvar::default(),
            own: Condvar::default(),
            told: Condvar::default(),
            called: Condvar::default(),
            ended: Condvar::default(),
            descriptor,
        })
    }

    /// Shows what is due, or is not any more, to those that call the host; the lock is free again
    /// when they wake. When the operation is over, the descriptor is the next one's.
    fn show(&self, queue: MutexGuard<'_, Queue>) {
        let caller = queue.caller;
        if caller != Caller::Own && !queue.over {
            self.descriptor
                .show(!queue.calling && queue.due_in_wait() > 0);
        }
        drop(queue);
        if caller != Caller::Waiting {
            self.own.notify_all();
        }
        if caller != Caller::Own {
            self.due.notify_all();
        }
    }

    /// Wakes all threads that wait here: nothing is as it was.
    fn wake_all(&self) {
        let all = [&self.due, &self.own, &self.told, &self.called];
        all.into_iter().for_each(Condvar::notify_all);
    }

    /// Lets the begin be told, and all that follows it.
    pub fn begin(&self, teller: Teller) {
        let mut queue = self.queue.lock();
        queue.teller = Some(teller);
        queue.begin = true;
        self.show(queue);
    }

    /// Leaves a notice for the listener; waits while too many are left.
    pub fn post(&self, notice: Notice) {
        let mut queue = self.queue.lock();
        while queue.waiting.len() >= WAITING_MAX && !queue.muted {
            queue = self.told.wait(queue);
        }
        if !queue.muted && queue.caller != Caller::WaitingDeaf {
            queue.waiting.push_back(Due::Tell(notice));
            self.show(queue);
        }
    }

    /// Leaves a call for the thread that waits; gives it back where nothing is called any more.
    pub fn call(&self, call: Call) -> Result<(), Call> {
        let mut queue = self.queue.lock();
        if queue.muted {
            return Err(call);
        }
        queue.waiting.push_back(Due::Call(call));
        self.show(queue);
        Ok(())
    }

    /// Lets progress be due.
    pub fn tick(&self) {
        let mut queue = self.queue.lock();
        if !queue.muted && !queue.tick && queue.caller != Caller::WaitingDeaf {
            queue.tick = true;
            self.show(queue);
        }
    }

    /// Lets the end be told when all else has been.
    pub fn end(&self, result: Result<()>) {
        let mut queue = self.queue.lock();
        queue.end = Some(result);
        self.show(queue);
    }

    /// Drops all notices and calls, also later ones, and wakes the threads that wait here.
    pub fn mute(&self) {
        let mut queue = self.queue.lock();
        queue.mute();
        self.show(queue);
        self.wake_all();
    }

    /// Lets no waiting thread call the host any more, but for one that is doing it inside a
    /// function of the host, where that has asked for this: it lasts until the end has been told.
    pub fn leave(&self, is_inside_host: bool) {
        let mut queue = self.queue.lock();
        if queue.caller == Caller::Own {
            return;
        }
        if is_inside_host && queue.calling {
            queue.lasting = true;
        } else {
            queue.mute();
            queue.unasked = false;
            queue.caller = Caller::Own;
            self.descriptor.show(false);
        }
        drop(queue);
        self.wake_all();
    }

    /// Waits until all that was posted has been told, and the host's function has returned.
    pub fn flush(&self) {
        let mut queue = self.queue.lock();
        while (queue.calling || !queue.waiting.is_empty()) && !queue.muted {
            queue = self.told.wait(queue);
        }
    }

    /// Takes the next task for the operation's own thread, and the teller with it; waits for one
    /// until `tick`. The teller is brought [back](Self::told).
    pub fn next(&self, tick: Instant) -> Option<(Due, Teller)> {
        let mut queue = self.queue.lock();
        loop {
            if let Some(taken) = self.take(&mut queue, false, true) {
                return Some(taken);
            }
            let left = tick.saturating_duration_since(Instant::now());
            if left.is_zero() || queue.over {
                return None;
            }
            queue = self.own.wait_for(queue, left);
        }
    }

    /// Takes the next task for a thread that waits in the same way, as far as it has patience.
    pub fn next_in_wait(&self, patience: &mut Patience) -> Option<(Due, Teller)> {
        let mut queue = self.queue.lock();
        loop {
            patience.look_at_the_clock(&queue);
            if patience.lasts(&queue)
                && let Some(taken) = self.take(&mut queue, true, patience.takes_tick())
            {
                if let (Due::Tick, Patience::Due { tick, .. }) = (&taken.0, patience) {
                    *tick = false;
                }
                return Some(taken);
            }
            if queue.over || queue.caller == Caller::Own {
                return None;
            }
            queue = match *patience {
                Patience::Due { .. } => return None,
                Patience::Until(None) => self.due.wait(queue),
                Patience::Until(Some(end)) => {
                    let left = end.saturating_duration_since(Instant::now());
                    self.due.wait_for(queue, left)
                }
            };
        }
    }

    fn take(
        &self,
        queue: &mut MutexGuard<'_, Queue>,
        is_waiting: bool,
        takes_tick: bool,
    ) -> Option<(Due, Teller)> {
        let teller = queue.teller.take()?;
        match queue.take(is_waiting, takes_tick) {
            Some(due) => {
                queue.calling = true;
                self.taken(queue);
                Some((due, teller))
            }
            None => {
                queue.teller = Some(teller);
                None
            }
        }
    }

    /// Shows that something has been taken.
    fn taken(&self, queue: &Queue) {
        if queue.caller != Caller::Own {
            self.descriptor.show(false);
        }
        if queue.waiting.len() + CALLS_MAX >= WAITING_MAX {
            self.told.notify_all();
        }
    }

    /// Takes the next task of a thread that is inside a function of the host; waits for one until
    /// `is_ready`.
    pub fn next_inside(&self, is_ready: impl Fn() -> bool) -> Option<Due> {
        let mut queue = self.queue.lock();
        loop {
            if let Some(due) = queue.take(true, true) {
                self.taken(&queue);
                return Some(due);
            }
            if is_ready() {
                return None;
            }
            queue = self.due.wait(queue);
        }
    }

    /// Brings the teller back, when the host's function has returned; tells whether the thread on
    /// which it ran lasts until the end.
    pub fn told(&self, teller: Teller) -> bool {
        let mut queue = self.queue.lock();
        queue.calling = false;
        queue.teller = Some(teller).filter(|_| !queue.over);
        let lasts = queue.lasting;
        self.show(queue);
        self.told.notify_all();
        lasts
    }

    /// Waits until `take` gives what a call of the host has for this thread.
    pub fn wait_for_call<T>(&self, take: impl Fn() -> Option<T>) -> T {
        let mut queue = self.queue.lock();
        loop {
            match take() {
                Some(taken) => return taken,
                None => queue = self.called.wait(queue),
            }
        }
    }

    /// Wakes the thread that left a call. The lock keeps it from missing that, and is free again
    /// when it wakes.
    pub fn answer_call(&self) {
        drop(self.queue.lock());
        self.called.notify_all();
    }

    /// Wakes the thread that is inside a function of the host, in the same way.
    pub fn answer_host(&self) {
        drop(self.queue.lock());
        self.due.notify_all();
    }

    pub fn is_over(&self) -> bool {
        self.queue.lock().over
    }

    /// Says that the end has been told.
    pub fn finish(&self) {
        let mut queue = self.queue.lock();
        // Nobody asks for the outcome of an operation that could not be launched.
        queue.unasked = queue.calling && queue.caller == Caller::WaitingDeaf;
        if queue.unasked {
            self.descriptor.show(true);
        }
        queue.over = true;
        queue.calling = false;
        drop(queue);
        self.wake_all();
        self.ended.notify_all();
    }

    /// Waits until the end has been told, or until that time; tells whether it has.
    pub fn wait_for_end(&self, end: Option<Instant>) -> bool {
        let mut queue = self.queue.lock();
        while !queue.over {
            let left = end.map(|end| end.saturating_duration_since(Instant::now()));
            queue = match left {
                None => self.ended.wait(queue),
                Some(Duration::ZERO) => return false,
                Some(left) => self.ended.wait_for(queue, left),
            };
        }
        if queue.unasked {
            queue.unasked = false;
            self.descriptor.show(false);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::threads::Thread;

    fn events(caller: Caller) -> Arc<Events> {
        let events = Events::new(caller, Arc::default()).unwrap();
        events.queue.lock().teller = Some(Teller::silent());
        Arc::new(events)
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(3600)
    }

    /// Gives the next notice, and has told it.
    fn next(events: &Events) -> Option<Notice> {
        let (due, teller) = events.next(soon())?;
        events.told(teller);
        match due {
            Due::Tell(notice) => Some(notice),
            _ => None,
        }
    }

    fn kept(number: usize) -> Notice {
        Notice::Kept {
            name: number.to_string(),
        }
    }

    #[test]
    fn notices_come_in_order_and_the_poster_waits_for_a_slow_listener() {
        let events = events(Caller::Own);
        let count = 3 * WAITING_MAX;
        let posting = Arc::clone(&events);
        let thread = Thread::start(move || {
            (0..count).for_each(|number| posting.post(kept(number)));
            posting.end(Ok(()));
        });
        for number in 0..count {
            assert_eq!(next(&events), Some(kept(number)));
            assert!(events.queue.lock().waiting.len() <= WAITING_MAX);
        }
        assert_eq!(next(&events), None);
        thread.unwrap().join();
    }

    #[test]
    fn muting_lets_everybody_go_on() {
        let events = events(Caller::Own);
        (0..WAITING_MAX).for_each(|number| events.post(kept(number)));
        let posting = Arc::clone(&events);
        let thread = Thread::start(move || {
            posting.post(kept(WAITING_MAX));
            posting.flush();
            posting.end(Ok(()));
        });
        events.mute();
        assert_eq!(next(&events), None);
        thread.unwrap().join();
    }

    #[test]
    fn a_flush_waits_for_the_listener_to_return() {
        let events = events(Caller::Own);
        events.post(kept(1));
        let (_, teller) = events.next(soon()).unwrap();
        let (sender, flushed) = std::sync::mpsc::channel();
        let flushing = Arc::clone(&events);
        let thread = Thread::start(move || {
            flushing.flush();
            sender.send(()).unwrap();
        });
        assert!(flushed.recv_timeout(Duration::from_millis(50)).is_err());
        events.told(teller);
        flushed.recv().unwrap();
        thread.unwrap().join();
    }

    #[test]
    fn progress_is_due_however_much_else_there_is_to_tell() {
        let events = events(Caller::Own);
        (0..WAITING_MAX).for_each(|number| events.post(kept(number)));
        events.tick();
        let (due, teller) = events.next(soon()).unwrap();
        assert!(matches!(due, Due::Tick));
        events.told(teller);
        assert_eq!(next(&events), Some(kept(0)));
    }

    fn next_in_wait(events: &Events, patience: &mut Patience) -> Option<Due> {
        let (due, teller) = events.next_in_wait(patience)?;
        events.told(teller);
        Some(due)
    }

    #[test]
    fn whose_time_is_up_takes_what_was_due() {
        let events = events(Caller::Waiting);
        (0..3).for_each(|number| events.post(kept(number)));
        let mut patience = Patience::Until(Some(Instant::now()));
        for number in 0..3 {
            let due = next_in_wait(&events, &mut patience);
            assert!(matches!(due, Some(Due::Tell(notice)) if notice == kept(number)));
            events.post(kept(number + 3));
            events.tick();
        }
        assert!(next_in_wait(&events, &mut patience).is_none());
        let mut patience = Patience::Until(Some(Instant::now()));
        let mut next = || next_in_wait(&events, &mut patience);
        assert!(matches!(next(), Some(Due::Tick)));
        assert!(matches!(next(), Some(Due::Tell(notice)) if notice == kept(3)));
        // What is dropped was due, and what comes in its place is not.
        events.mute();
        events.end(Ok(()));
        assert!(next().is_none());
    }

    #[test]
    fn one_thread_at_a_time_calls_the_host() {
        let events = events(Caller::Waiting);
        (0..2).for_each(|number| events.post(kept(number)));
        let now = || Patience::Until(Some(Instant::now()));
        let (_, teller) = events.next_in_wait(&mut now()).unwrap();
        assert!(events.next_in_wait(&mut now()).is_none());
        events.told(teller);
        assert!(events.next_in_wait(&mut now()).is_some());
    }

    #[test]
    fn a_host_that_hears_nothing_is_still_called_by_who_waits() {
        let events = events(Caller::WaitingDeaf);
        events.call(Box::new(|_| {})).ok().unwrap();
        events.end(Ok(()));
        assert!(events.next(Instant::now()).is_none());
        let mut patience = Patience::Until(None);
        let due = next_in_wait(&events, &mut patience);
        assert!(matches!(due, Some(Due::Call(_))));
        assert!(matches!(events.next(soon()), Some((Due::End(_), _))));
    }

    /// Tells whether the descriptor that `events` show what is due by says that something is.
    fn shows(events: &Events) -> bool {
        events.descriptor.is_due()
    }

    #[test]
    fn an_operation_that_is_over_shows_nothing() {
        let events = events(Caller::Waiting);
        events.end(Ok(()));
        assert!(shows(&events));
        let (_, teller) = events.next_in_wait(&mut Patience::Until(None)).unwrap();
        events.tick();
        events.finish();
        assert!(!shows(&events));
        // From here on it is the next operation's.
        events.descriptor.show(true);
        events.tick();
        events.told(teller);
        assert!(shows(&events));
    }

    #[test]
    fn an_outcome_is_due_until_it_is_asked_for_and_none_where_nothing_was_launched() {
        let events_of = || events(Caller::WaitingDeaf);
        let (ended, abandoned) = (events_of(), events_of());
        ended.end(Ok(()));
        let (_, teller) = ended.next(soon()).unwrap();
        ended.finish();
        ended.told(teller);
        assert!(shows(&ended));
        assert!(ended.wait_for_end(None) && !shows(&ended));
        abandoned.finish();
        assert!(!shows(&abandoned));
    }
}
