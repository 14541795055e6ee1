//! The backup restorer: idle, or busy with one operation.
//!
//! Locks: `inner` is held for moments only, never while a function of the host runs, a file is
//! touched or a thread waited for. `message` is taken alone.

use std::sync::Arc;
use std::time::Duration;

use super::events::Listener;
use super::operation::{Kind, Operation, Story};
use super::progress::Progress;
use super::properties::{Properties, Property, Value};
use crate::error::{Error, Outcome, Result};
use crate::store::host::Host;
use crate::sys::locks::{Condvar, Mutex};

#[derive(Default)]
pub struct Restorer {
    inner: Mutex<Inner>,
    /// Something ended that a destroying host waits for.
    idle: Condvar,
    message: Mutex<String>,
}

#[derive(Default)]
struct Inner {
    settings: Settings,
    running: Option<Arc<Operation>>,
    /// The one before.
    last: Option<Arc<Operation>>,
    /// Lists that run on threads of the host.
    lists: usize,
    closed: bool,
}

/// What a host has set: an operation takes it as it is when it starts.
#[derive(Clone, Default)]
pub struct Settings {
    pub properties: Properties,
    /// The host's own store, in place of StorePath.
    pub host: Option<Arc<dyn Host>>,
}

/// What an operation needs to begin, when it knows its properties.
pub struct Plan {
    /// Threads for the story besides the conductor's own.
    pub threads: usize,
    pub story: Story,
}

fn busy() -> Error {
    Error::new(
        Outcome::Busy,
        "Another operation is running on this restorer. Wait for its end.",
    )
}

fn closed() -> Error {
    Error::new(Outcome::Handle, "The restorer has been destroyed.")
}

impl Restorer {
    /// Begins an operation; `plan` is made from the properties as they are now.
    pub fn start(
        self: &Arc<Self>,
        kind: Kind,
        listener: Box<dyn Listener>,
        plan: impl FnOnce(&Settings) -> Result<Plan>,
    ) -> Result<()> {
        let done = self.reserve(kind).and_then(|(operation, settings)| {
            let launched = plan(&settings).and_then(|plan| self.launch(&operation, plan, listener));
            launched.inspect_err(|error| {
                self.leave(&operation, false);
                operation.abandon(error.outcome);
            })
        });
        self.remember(done)
    }

    /// Makes the restorer busy.
    fn reserve(&self, kind: Kind) -> Result<(Arc<Operation>, Settings)> {
        let mut inner = self.inner.lock();
        if inner.closed {
            return Err(closed());
        }
        if inner.running.is_some() {
            return Err(busy());
        }
        let operation = Arc::new(Operation::new(kind));
        inner.running = Some(Arc::clone(&operation));
        let (before, settings) = (inner.last.clone(), inner.settings.clone());
        drop(inner);
        // The thread of the one before has told its end; nobody may have waited until it was gone.
        before.inspect(|before| before.join());
        self.message.lock().clear();
        Ok((operation, settings))
    }

    fn launch(
        self: &Arc<Self>,
        operation: &Arc<Operation>,
        plan: Plan,
        listener: Box<dyn Listener>,
    ) -> Result<()> {
        let (restorer, ending) = (Arc::clone(self), Arc::clone(self));
        let ended = Arc::clone(operation);
        let failed = move |error: &Error| restorer.set_message(error);
        operation.launch(plan.threads, plan.story, listener, failed, move || {
            ending.leave(&ended, true)
        })
    }

    /// Makes the restorer idle again.
    fn leave(&self, operation: &Arc<Operation>, ran: bool) {
        let mut inner = self.inner.lock();
        inner.running = None;
        if ran {
            inner.last = Some(Arc::clone(operation));
        }
        self.idle.notify_all();
    }

    /// Does `list` on this thread; it is given what tells whether to go on.
    pub fn list(
        &self,
        list: impl FnOnce(&Properties, &dyn Fn() -> Result<()>) -> Result<()>,
    ) -> Result<()> {
        let properties = {
            let mut inner = self.inner.lock();
            if inner.closed {
                return Err(closed());
            }
            inner.lists += 1;
            inner.settings.properties.clone()
        };
        self.message.lock().clear();
        let done = list(&properties, &|| {
            if self.inner.lock().closed {
                Err(closed())
            } else {
                Ok(())
            }
        });
        self.inner.lock().lists -= 1;
        self.idle.notify_all();
        self.remember(done)
    }

    /// Cancels what runs, if it is of `kind` or that does not matter; returns whether it will take
    /// effect.
    pub fn cancel(&self, kind: Option<Kind>) -> bool {
        let running = self.inner.lock().running.clone();
        running.is_some_and(|running| {
            kind.is_none_or(|kind| kind == running.kind) && running.stop(Outcome::Canceled)
        })
    }

    /// Waits for what runs, and gives its outcome; that of the one before, if nothing runs. None
    /// when the time is out.
    pub fn wait(&self, timeout: Option<Duration>) -> Result<Option<Result<(), Outcome>>> {
        let operation = {
            let inner = self.inner.lock();
            inner.running.as_ref().or(inner.last.as_ref()).cloned()
        };
        let outcome = operation.map_or(Some(Ok(())), |operation| operation.wait(timeout));
        if self.inner.lock().closed {
            Err(closed())
        } else {
            Ok(outcome)
        }
    }

    /// Cancels what runs and lets no more begin. Returns when the last function of the host has
    /// returned and no thread is left; at once, where the caller is such a function itself.
    pub fn close(&self, inside_host: bool) {
        let mut inner = self.inner.lock();
        inner.closed = true;
        let running = inner.running.clone();
        drop(inner);
        if let Some(running) = running {
            running.stop(Outcome::Canceled);
        }
        if inside_host {
            return;
        }
        let mut inner = self.inner.lock();
        while inner.running.is_some() || inner.lists > 0 {
            inner = self.idle.wait(inner);
        }
        let last = inner.last.clone();
        drop(inner);
        if let Some(last) = last {
            last.wait(None);
        }
    }

    pub fn progress(&self) -> Progress {
        let inner = self.inner.lock();
        inner
            .running
            .as_ref()
            .or(inner.last.as_ref())
            .map(|operation| operation.counters.read())
            .unwrap_or_default()
    }

    /// The sentence of the last failure, empty if there was none.
    pub fn message(&self) -> String {
        self.message.lock().clone()
    }

    fn set_message(&self, error: &Error) {
        error.sentence().clone_into(&mut self.message.lock());
    }

    fn remember(&self, done: Result<()>) -> Result<()> {
        done.inspect_err(|error| self.set_message(error))
    }

    /// Takes the host's own store, or goes back to StorePath. The one before is dropped.
    pub fn set_host(&self, host: Option<Arc<dyn Host>>) -> Result<()> {
        let mut inner = self.inner.lock();
        if inner.running.is_some() {
            return Err(busy());
        }
        inner.settings.host = host;
        Ok(())
    }

    pub fn set_property(&self, property: Property, value: Value) -> Result<()> {
        self.inner.lock().settings.properties.set(property, value)
    }

    pub fn remove_property(&self, property: Property) -> Result<()> {
        self.inner.lock().settings.properties.remove(property)
    }

    pub fn remove_all_properties(&self) {
        self.inner.lock().settings.properties = Properties::default();
    }

    /// Looks at the properties as they are now.
    pub fn with_properties<T>(&self, look: impl FnOnce(&Properties) -> T) -> T {
        look(&self.inner.lock().settings.properties)
    }
}
