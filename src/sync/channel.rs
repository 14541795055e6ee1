//! Bounded channels that need no memory but what they are made with.
//!
//! Those of crossbeam and of the standard library keep something in thread-local storage for a thread
//! that waits. Its first use allocates, and where that fails the C library and Rust's own end the
//! process. These wait on a lock of the system, and have room for all that they may hold.

#![forbid(unsafe_code)]

use std::collections::{TryReserveError, VecDeque};
use std::sync::Arc;

use super::locks::{Condvar, Mutex};

struct Shared<T> {
    state: Mutex<State<T>>,
    /// There is something to receive, or never will be.
    filled: Condvar,
    /// There is room to send, or nobody who receives.
    emptied: Condvar,
}

struct State<T> {
    waiting: VecDeque<T>,
    most: usize,
    senders: usize,
    receivers: usize,
}

pub struct Sender<T>(Arc<Shared<T>>);
pub struct Receiver<T>(Arc<Shared<T>>);

/// A channel in which at most `most` values wait, one at least.
pub fn bounded<T>(most: usize) -> Result<(Sender<T>, Receiver<T>), TryReserveError> {
    let most = most.max(1);
    let mut waiting = VecDeque::new();
    waiting.try_reserve_exact(most)?;
    let shared = Arc::new(Shared {
        state: Mutex::new(State {
            waiting,
            most,
            senders: 1,
            receivers: 1,
        }),
        filled: Condvar::default(),
        emptied: Condvar::default(),
    });
    Ok((Sender(Arc::clone(&shared)), Receiver(shared)))
}

impl<T> Sender<T> {
    /// Waits for room; gives the value back where nobody receives any more.
    pub fn send(&self, value: T) -> Result<(), T> {
        let mut state = self.0.state.lock();
        while state.receivers > 0 && state.waiting.len() >= state.most {
            state = self.0.emptied.wait(state);
        }
        if state.receivers == 0 {
            return Err(value);
        }
        state.waiting.push_back(value);
        self.0.filled.notify_one();
        Ok(())
    }

    /// Sends where there is room and somebody who receives.
    pub fn try_send(&self, value: T) -> Result<(), T> {
        let mut state = self.0.state.lock();
        if state.receivers == 0 || state.waiting.len() >= state.most {
            return Err(value);
        }
        state.waiting.push_back(value);
        self.0.filled.notify_one();
        Ok(())
    }
}

impl<T> Receiver<T> {
    /// Waits for a value; None where nothing waits and nobody sends any more.
    pub fn recv(&self) -> Option<T> {
        let mut state = self.0.state.lock();
        while state.senders > 0 && state.waiting.is_empty() {
            state = self.0.filled.wait(state);
        }
        let value = state.waiting.pop_front();
        self.0.emptied.notify_one();
        value
    }

    /// A value, if one waits.
    pub fn try_recv(&self) -> Option<T> {
        let value = self.0.state.lock().waiting.pop_front();
        self.0.emptied.notify_one();
        value
    }
}

impl<T> Iterator for Receiver<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.recv()
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Sender<T> {
        self.0.state.lock().senders += 1;
        Sender(Arc::clone(&self.0))
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Receiver<T> {
        self.0.state.lock().receivers += 1;
        Receiver(Arc::clone(&self.0))
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.senders -= 1;
        if state.senders == 0 {
            self.0.filled.notify_all();
        }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.receivers -= 1;
        if state.receivers > 0 {
            return;
        }
        let left = std::mem::take(&mut state.waiting);
        self.0.emptied.notify_all();
        drop(state);
        // It may hold ends of other channels.
        drop(left);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::threads::Thread;

    #[test]
    fn what_is_sent_comes_in_order_and_once_each() {
        let (sender, receiver) = bounded(3).unwrap();
        let (results, sums) = bounded(1).unwrap();
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let (receiver, results) = (receiver.clone(), results.clone());
                Thread::start(move || {
                    let all: Vec<u64> = receiver.collect();
                    assert!(all.is_sorted());
                    results.send(all.iter().sum::<u64>()).unwrap();
                })
                .unwrap()
            })
            .collect();
        drop((receiver, results));
        (0..10_000).for_each(|number| sender.send(number).unwrap());
        drop(sender);
        assert_eq!(sums.sum::<u64>(), 9_999 * 10_000 / 2);
        threads.into_iter().for_each(Thread::join);
    }

    #[test]
    fn an_end_that_is_gone_lets_the_other_go_on() {
        let (sender, receiver) = bounded(1).unwrap();
        sender.send(1).unwrap();
        assert_eq!(sender.try_send(2), Err(2));
        let thread = Thread::start(move || assert_eq!(sender.send(3), Err(3))).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(20)); // most likely it waits now
        drop(receiver);
        thread.join();

        let (sender, receiver) = bounded::<()>(1).unwrap();
        let thread = Thread::start(move || assert_eq!(receiver.recv(), None)).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(20));
        drop(sender);
        thread.join();
    }

    #[test]
    fn nothing_is_kept_for_nobody() {
        let (sender, receiver) = bounded(2).unwrap();
        let (inner, ended) = bounded::<()>(1).unwrap();
        sender.send(inner).ok().unwrap();
        drop(receiver);
        assert_eq!(ended.recv(), None);
        assert!(sender.send(bounded(1).unwrap().0).is_err());
    }
}
