//! Calls of a host's own store, and of its authorizer, on the thread that waits for the operation.
//!
//! The thread of the library that needs a call leaves it, and waits. A licence that the host emits
//! meanwhile goes to that thread and not further on the host's: there what takes it could wait for
//! the host to be told something. While the host's thread waits for the answer, it tells what is
//! due.

use std::sync::Arc;

use super::Operation;
use super::events::{Caller, Due};
use crate::error::{Error, Outcome, Result};
use crate::store::Place;
use crate::store::host::{Host, Take};
use crate::store::license::{License, OwnLicense};
use crate::sync::locks::Mutex;

impl Operation {
    /// Gives the store as the threads of the operation are to use it.
    pub fn place(self: &Arc<Self>, store: &Place) -> Place {
        match store {
            Place::Host(host) if self.caller != Caller::Own => Place::Host(Arc::new(InWait {
                operation: Arc::clone(self),
                host: Arc::clone(host),
            })),
            store => store.clone(),
        }
    }
}

/// A host's store, called by the thread that waits.
struct InWait {
    operation: Arc<Operation>,
    host: Arc<dyn Host>,
}

impl Host for InWait {
    fn can_back_up(&self) -> bool {
        self.host.can_back_up()
    }

    fn can_restore(&self, dry_run: bool) -> bool {
        self.host.can_restore(dry_run)
    }

    fn enumerate(&self, take: Take) -> Result<()> {
        self.call(take, |host, take| host.enumerate(take))
    }

    fn get(&self, name: &str, take: Take) -> Result<()> {
        let name = name.to_owned();
        self.call(take, move |host, take| host.get(&name, take))
    }

    fn put(&self, license: &License) -> Result<()> {
        let license = OwnLicense::of(license)?;
        self.call(&mut |_| Ok(()), move |host, _| host.put(&license.get()))
    }

    fn can_merge(&self) -> bool {
        self.host.can_merge()
    }

    fn merge(&self, mine: &License, theirs: &License, take: Take) -> Result<()> {
        let (mine, theirs) = (OwnLicense::of(mine)?, OwnLicense::of(theirs)?);
        self.call(take, move |host, take| {
            host.merge(&mine.get(), &theirs.get(), take)
        })
    }
}

impl InWait {
    /// Has the host called, and gives what it emits to `take` on this thread.
    fn call(
        &self,
        take: Take,
        call: impl FnOnce(&dyn Host, Take) -> Result<()> + Send + 'static,
    ) -> Result<()> {
        let host = Arc::clone(&self.host);
        let call = move |take: Take| call(host.as_ref(), take);
        self.operation.call_in_wait(take, call)
    }
}

impl Operation {
    /// Has the host asked something, and gives the answer.
    pub fn ask<T: Send + 'static>(
        self: &Arc<Self>,
        call: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T> {
        if self.caller == Caller::Own {
            return Ok(call());
        }
        let answer = Arc::new(Mutex::new(None));
        let place = Arc::clone(&answer);
        let nothing: Take = &mut |_| Ok(());
        self.call_in_wait(nothing, move |_| {
            *place.lock() = Some(call());
            Ok(())
        })?;
        let answer = answer.lock().take();
        answer.ok_or_else(Error::canceled)
    }

    fn call_in_wait(
        self: &Arc<Self>,
        take: Take,
        call: impl FnOnce(Take) -> Result<()> + Send + 'static,
    ) -> Result<()> {
        let events = &self.events;
        let exchange = Arc::new(Exchange::default());
        let promise = Promise(Arc::clone(&exchange));
        let operation = Arc::clone(self);
        let left = events.call(Box::new(move |tell| {
            let result = call(&mut |license| promise.0.give(&operation, tell, &license));
            match operation.home.is_home() {
                true => {
                    promise.0.state.lock().returned = Some(result);
                    operation.events.ring();
                }
                // What it holds is the parent's.
                false => std::mem::forget(promise),
            }
        }));
        left.map_err(|_| Error::canceled())?;
        loop {
            match events.wait_until(|| exchange.take()) {
                Message::Emitted(license) => {
                    let answer = take(license.get());
                    exchange.state.lock().answer = Some(answer);
                    events.ring();
                }
                Message::Returned(result) => return result,
            }
        }
    }
}

/// What a call of the host and the thread that needs it have for each other.
#[derive(Default)]
struct Exchange {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    emitted: Option<OwnLicense>,
    answer: Option<Result<()>>,
    returned: Option<Result<()>>,
}

enum Message {
    Emitted(OwnLicense),
    Returned(Result<()>),
}

impl Exchange {
    fn take(&self) -> Option<Message> {
        let mut state = self.state.lock();
        match state.emitted.take() {
            Some(license) => Some(Message::Emitted(license)),
            None => state.returned.take().map(Message::Returned),
        }
    }

    /// Sends a licence of the host, and tells the host what is due until there is an answer.
    fn give(
        &self,
        operation: &Operation,
        tell: &mut dyn FnMut(Due),
        license: &License,
    ) -> Result<()> {
        self.state.lock().emitted = Some(OwnLicense::of(license)?);
        operation.events.ring();
        let is_answered = || self.state.lock().answer.is_some();
        while let Some(due) = operation.events.next_inside(is_answered) {
            tell(due);
            if !operation.home.is_home() {
                return Err(Error::new(Outcome::Handle, ""));
            }
        }
        self.state.lock().answer.take().unwrap_or(Ok(()))
    }
}

/// The promise that a call returns, or will never be made.
struct Promise(Arc<Exchange>);

impl Drop for Promise {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.returned.get_or_insert_with(|| Err(Error::canceled()));
    }
}
