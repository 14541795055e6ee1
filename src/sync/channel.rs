//! Bounded channels in which a thread needs no memory to wait.
//!
//! The queue is crossbeam's. A thread that waits in crossbeam's queue, or in the standard
//! library's, uses thread-local storage, and the first use allocates. If that fails, the C library
//! or Rust's own ends the process. So the queue's waiting functions are never called, and threads
//! wait on a lock of the system.

#![forbid(unsafe_code)]

use std::sync::Arc;

use crossbeam_channel::{TryRecvError, TrySendError, never};

use super::locks::{Condvar, Mutex};

pub struct Sender<T> {
    queue: crossbeam_channel::Sender<T>,
    /// Dropped after the queue, so that a woken receiver finds that nobody sends any more.
    bell: Bell,
}

/// The one receiver; threads may share it.
pub struct Receiver<T> {
    queue: crossbeam_channel::Receiver<T>,
    bell: Bell,
}

/// Rings when an end is gone.
#[derive(Clone, Default)]
struct Bell(Arc<Waiting>);

#[derive(Default)]
struct Waiting {
    lock: Mutex<()>,
    /// There is something to receive, or never will be.
    filled: Condvar,
    /// There is room to send, or nobody who receives.
    emptied: Condvar,
}

/// A channel in which at most `most` values wait, one at least. Its memory can't be refused, so it
/// must be little enough for the reserve.
pub fn bounded<T>(most: usize) -> (Sender<T>, Receiver<T>) {
    let (queue, receiving) = crossbeam_channel::bounded(most.max(1));
    let bell = Bell::default();
    let receiver = Receiver {
        queue: receiving,
        bell: bell.clone(),
    };
    (Sender { queue, bell }, receiver)
}

impl Waiting {
    /// Attempts under the lock, and waits for `change` after each attempt that fails. The lock
    /// keeps a change from being missed between the two.
    fn until<R>(&self, change: &Condvar, mut attempt: impl FnMut() -> Option<R>) -> R {
        let mut held = self.lock.lock();
        loop {
            match attempt() {
                Some(done) => return done,
                None => held = change.wait(held),
            }
        }
    }
}

impl<T> Sender<T> {
    /// Waits for room; gives the value back where nobody receives any more.
    pub fn send(&self, value: T) -> Result<(), T> {
        let (waiting, mut value) = (&self.bell.0, Some(value));
        waiting.until(&waiting.emptied, || {
            let sent = self.queue.try_send(value.take()?);
            if let Err(TrySendError::Full(back)) = sent {
                value = Some(back);
                return None;
            }
            waiting.filled.notify_one();
            Some(sent.map_err(TrySendError::into_inner))
        })
    }
}

impl<T> Receiver<T> {
    /// Waits for a value; None where nothing waits and nobody sends any more.
    pub fn recv(&self) -> Option<T> {
        let waiting = &self.bell.0;
        waiting.until(&waiting.filled, || match self.queue.try_recv() {
            Err(TryRecvError::Empty) => None,
            received => {
                waiting.emptied.notify_one();
                Some(received.ok())
            }
        })
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
        let (queue, bell) = (self.queue.clone(), self.bell.clone());
        Sender { queue, bell }
    }
}

impl<T> Drop for Receiver<T> {
    /// Drops the values that are left, which may hold ends of other channels. Crossbeam would keep
    /// them until the senders are gone.
    fn drop(&mut self) {
        loop {
            let held = self.bell.0.lock.lock();
            let Ok(left) = self.queue.try_recv() else {
                self.queue = never();
                return;
            };
            drop(held);
            drop(left);
        }
    }
}

impl Drop for Bell {
    fn drop(&mut self) {
        let _held = self.0.lock.lock();
        self.0.filled.notify_all();
        self.0.emptied.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::iter::from_fn;

    use super::*;
    use crate::sys::threads::Thread;

    #[test]
    fn what_is_sent_comes_in_order_and_once_each() {
        let (sender, receiver) = bounded(3);
        let (results, sums) = bounded(1);
        let receiver = Arc::new(receiver);
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let (receiver, results) = (Arc::clone(&receiver), results.clone());
                Thread::start(move || {
                    let all: Vec<u64> = from_fn(|| receiver.recv()).collect();
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
        let (sender, receiver) = bounded(1);
        sender.send(1).unwrap();
        let thread = Thread::start(move || assert_eq!(sender.send(3), Err(3))).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(20)); // most likely it waits now
        drop(receiver);
        thread.join();

        let (sender, receiver) = bounded::<()>(1);
        let thread = Thread::start(move || assert_eq!(receiver.recv(), None)).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(20));
        drop(sender);
        thread.join();
    }

    #[test]
    fn nothing_is_kept_for_nobody() {
        let (sender, receiver) = bounded(2);
        let (inner, ended) = bounded::<()>(1);
        sender.send(inner).ok().unwrap();
        drop(receiver);
        assert_eq!(ended.recv(), None);
        assert!(sender.send(bounded(1).0).is_err());
    }
}
