//! Calls of a host's own store, and of its authorizer, on the thread that waits for the operation.
//!
//! The thread of the library that needs a call leaves it, and waits. A batch of licences that the
//! host has emitted goes to that thread and not further on the host's: there what takes it could
//! wait for the host to be told something. While the host's thread waits for the answer, it tells
//! what is due.

use std::cell::RefCell;
use std::sync::Arc;

use super::Operation;
use super::listener::Caller;
use super::queue::Due;
use crate::error::{Error, Outcome, Result, caught};
use crate::store::{Batch, Feed, Snapshot};
use crate::sync::locks::Mutex;
use crate::sys::files::File;

impl Operation {
    /// Gives a host's store as a thread of the operation is to list it.
    pub fn listed_by_host(self: &Arc<Self>, store: Arc<dyn Snapshot>) -> Arc<dyn Snapshot> {
        match self.caller {
            Caller::Own => store,
            Caller::Waiting | Caller::WaitingDeaf => Arc::new(ListedInWait {
                operation: Arc::clone(self),
                store,
            }),
        }
    }

    /// Has the host asked something, and gives the answer. What asks is given a function that has
    /// the host told what is due meanwhile.
    pub fn ask<T: Send + 'static>(
        self: &Arc<Self>,
        call: impl FnOnce(&dyn Fn() -> Result<()>) -> T + Send + 'static,
    ) -> Result<T> {
        match self.caller {
            Caller::Own => Ok(call(&|| Ok(()))),
            Caller::Waiting | Caller::WaitingDeaf => self.call_in_wait(
                |()| Ok(()),
                move |inside| Ok(call(&|| inside.tell_what_is_due())),
            ),
        }
    }

    /// Has a thread that waits make a call of the host, and gives what that sends to `take` on this
    /// thread.
    fn call_in_wait<M: Send + 'static, R: Send + 'static>(
        self: &Arc<Self>,
        mut take: impl FnMut(M) -> Result<()>,
        call: impl FnOnce(&Inside<M, R>) -> Result<R> + Send + 'static,
    ) -> Result<R> {
        let events = &self.events;
        let exchange = Arc::new(Exchange::default());
        let promise = Promise(Arc::clone(&exchange));
        let operation = Arc::clone(self);
        let left = events.call(Box::new(move |tell| {
            let inside = Inside {
                operation: &operation,
                exchange: &promise.0,
                tell: RefCell::new(tell),
            };
            let result = caught(|| call(&inside)); // else nobody would call the host any more
            match operation.home.is_home() {
                true => {
                    promise.0.state.lock().returned = Some(result);
                    operation.events.answer_call();
                }
                // What it holds is the parent's.
                false => std::mem::forget(promise),
            }
        }));
        left.map_err(|_| Error::canceled())?;
        loop {
            match events.wait_for_call(|| exchange.take()) {
                Message::Sent(sent) => {
                    let answer = caught(|| take(sent)); // the host's thread waits for it
                    exchange.state.lock().answer = Some(answer);
                    events.answer_host();
                }
                Message::Returned(result) => return result,
            }
        }
    }
}

/// A host's store, listed by the thread that waits.
struct ListedInWait {
    operation: Arc<Operation>,
    store: Arc<dyn Snapshot>,
}

impl Snapshot for ListedInWait {
    fn batches_ahead(&self) -> usize {
        self.store.batches_ahead()
    }

    fn list(self: Arc<Self>, feed: &mut dyn Feed) -> Result<()> {
        let store = Arc::clone(&self.store);
        let (takes_over, keeps_going) = (feed.takes_over(), feed.keeps_going());
        let mut scratch = feed.scratch();
        self.operation.call_in_wait(
            |batch| feed.emit(batch),
            move |inside| {
                store.list(&mut FeedInside {
                    inside,
                    takes_over,
                    keeps_going,
                    scratch: scratch.take(),
                })
            },
        )
    }
}

/// Takes the entries of a store on the host's thread, and sends them on.
struct FeedInside<'f, 't> {
    inside: &'f Inside<'t, Box<dyn Batch>, ()>,
    takes_over: bool,
    keeps_going: bool,
    scratch: Option<File>,
}

impl Feed for FeedInside<'_, '_> {
    fn check(&self) -> Result<()> {
        self.inside.tell_what_is_due()?;
        self.inside.operation.check()
    }

    fn takes_over(&self) -> bool {
        self.takes_over
    }

    fn keeps_going(&self) -> bool {
        self.keeps_going
    }

    fn emit(&mut self, batch: Box<dyn Batch>) -> Result<()> {
        self.inside.send(batch)
    }

    fn scratch(&mut self) -> Option<File> {
        self.scratch.take()
    }
}

/// A call of the host on the thread that waits.
struct Inside<'t, M, R> {
    operation: &'t Operation,
    exchange: &'t Exchange<M, R>,
    tell: RefCell<&'t mut dyn FnMut(Due)>,
}

impl<M, R> Inside<'_, M, R> {
    fn tell_what_is_due(&self) -> Result<()> {
        self.tell_until(|| true)
    }

    /// Sends something to the thread that needs the call, and tells the host what is due until
    /// there is an answer.
    fn send(&self, sent: M) -> Result<()> {
        self.exchange.state.lock().sent = Some(sent);
        self.operation.events.answer_call();
        self.tell_until(|| self.exchange.state.lock().answer.is_some())?;
        let answer = self.exchange.state.lock().answer.take();
        answer.unwrap_or(Ok(()))
    }

    /// Tells the host what is due until nothing is, and `is_ready`.
    fn tell_until(&self, is_ready: impl Fn() -> bool) -> Result<()> {
        while let Some(due) = self.operation.events.next_inside(&is_ready) {
            (self.tell.borrow_mut())(due);
            if !self.operation.home.is_home() {
                return Err(Error::new(Outcome::Handle, ""));
            }
        }
        Ok(())
    }
}

/// What a call of the host and the thread that needs it have for each other.
struct Exchange<M, R> {
    state: Mutex<State<M, R>>,
}

struct State<M, R> {
    sent: Option<M>,
    answer: Option<Result<()>>,
    returned: Option<Result<R>>,
}

enum Message<M, R> {
    Sent(M),
    Returned(Result<R>),
}

impl<M, R> Default for Exchange<M, R> {
    fn default() -> Exchange<M, R> {
        Exchange {
            state: Mutex::new(State {
                sent: None,
                answer: None,
                returned: None,
            }),
        }
    }
}

impl<M, R> Exchange<M, R> {
    fn take(&self) -> Option<Message<M, R>> {
        let mut state = self.state.lock();
        match state.sent.take() {
            Some(sent) => Some(Message::Sent(sent)),
            None => state.returned.take().map(Message::Returned),
        }
    }
}

/// The promise that a call returns, or will never be made.
struct Promise<M, R>(Arc<Exchange<M, R>>);

impl<M, R> Drop for Promise<M, R> {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.returned.get_or_insert_with(|| Err(Error::canceled()));
    }
}

#[cfg(test)]
mod tests {
    use std::panic::resume_unwind; // panics without a word

    use super::super::listener::Silent;
    use super::super::{OperationKind, Story};
    use super::*;
    use crate::store::Entry;

    struct NoEntries;

    impl Batch for NoEntries {
        fn len(&self) -> u64 {
            0
        }

        fn next(&mut self) -> Result<Option<Entry<'_>>> {
            Ok(None)
        }

        fn step_back(&mut self) {}
    }

    /// A store of one batch, or one whose listing panics.
    struct Listed {
        is_bad: bool,
    }

    impl Snapshot for Listed {
        fn batches_ahead(&self) -> usize {
            1
        }

        fn list(self: Arc<Self>, feed: &mut dyn Feed) -> Result<()> {
            match self.is_bad {
                true => resume_unwind(Box::new("in the call")),
                false => feed.emit(Box::new(NoEntries)),
            }
        }
    }

    /// Panics when it is given a batch.
    struct BadFeed;

    impl Feed for BadFeed {
        fn check(&self) -> Result<()> {
            Ok(())
        }

        fn takes_over(&self) -> bool {
            false
        }

        fn keeps_going(&self) -> bool {
            false
        }

        fn emit(&mut self, _: Box<dyn Batch>) -> Result<()> {
            resume_unwind(Box::new("beside the call"))
        }

        fn scratch(&mut self) -> Option<File> {
            None
        }
    }

    #[test]
    fn a_panic_in_a_call_or_beside_it_is_an_outcome() {
        for is_bad in [true, false] {
            for caller in [Caller::Waiting, Caller::WaitingDeaf] {
                let kind = OperationKind::Backup;
                let operation = Operation::new(kind, caller, Arc::default()).unwrap();
                let operation = Arc::new(operation);
                let story: Story = Box::new(move |operation, _| {
                    let store = Arc::new(Listed { is_bad });
                    operation.listed_by_host(store).list(&mut BadFeed)
                });
                operation
                    .launch(1, story, Some(Box::new(Silent)), None, Box::new(()))
                    .unwrap();
                let outcome = operation.wait(None).unwrap();
                assert_eq!(outcome, Some(Err(Outcome::Unexpected)));
            }
        }
    }
}
