//! The backup restorer: idle, or busy with one operation.
//!
//! Locks: `inner` is held only for moments, never while a function of the host runs, a file is
//! touched or a thread waited for. `message` is taken alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::authorizer::Authorizer;
use super::operation::listener::Listening;
use super::operation::out_of_memory::Memory;
use super::operation::progress::{Done, Progress};
use super::operation::teller::Ending;
use super::operation::{Operation, OperationKind, Story};
use super::properties::{Properties, Property, Value};
use crate::error::{Access, Error, GoOn, Outcome, Result};
use crate::store::Place;
use crate::store::host::Host;
use crate::sync::locks::{Condvar, Mutex};
use crate::sys::fork::{HomeMark, home};
use crate::sys::wait_descriptor::WaitDescriptor;

#[derive(Default)]
pub struct Restorer {
    inner: Mutex<Inner>,
    /// It is set under that lock, and read without it for every licence of a list.
    closed: AtomicBool,
    /// The signal that something has ended for which a destroying host waits.
    idle: Condvar,
    message: Mutex<String>,
    descriptor: Arc<WaitDescriptor>,
}

#[derive(Default)]
struct Inner {
    settings: Settings,
    /// An operation is being prepared; nobody can cancel or wait for it yet.
    starting: bool,
    running: Option<Arc<Operation>>,
    /// The operation before.
    last: Option<Arc<Operation>>,
    /// The number of readings that run on threads of the host.
    readings: usize,
}

/// The settings of a host: an operation takes them as they are when it starts.
#[derive(Clone, Default)]
pub struct Settings {
    pub properties: Properties,
    /// The host's own store, in place of StorePath.
    pub host: Option<Arc<dyn Host>>,
    /// The host's function that allows a restore.
    pub authorizer: Option<Arc<dyn Authorizer>>,
}

impl Settings {
    pub fn place(&self) -> Result<Place> {
        match &self.host {
            Some(host) => Ok(Place::Host(Arc::clone(host))),
            None => Ok(Place::Path(self.properties.path(Property::StorePath)?)),
        }
    }
}

/// The story of an operation and its threads, made from the settings.
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

impl Restorer {
    /// Runs a host's request; the sentence of a failure replaces the one before. In a child that
    /// was forked meanwhile a lock of the parent may be held for ever.
    pub fn attempt(&self, what: impl FnOnce() -> Result<()>) -> Result<()> {
        let process = home();
        self.message.lock().clear();
        what().inspect_err(|error| {
            if process.is_home() {
                self.set_message(error);
            }
        })
    }

    /// Fails once the restorer is closed.
    fn check_open(&self) -> Result<()> {
        match self.closed.load(Ordering::Acquire) {
            true => Err(Error::new(
                Outcome::Handle,
                "The restorer has been destroyed.",
            )),
            false => Ok(()),
        }
    }

    /// Begins an operation; `plan` is made from the settings as they are now.
    pub fn start(
        self: &Arc<Self>,
        kind: OperationKind,
        listening: Listening,
        plan: impl FnOnce(&Settings) -> Result<Plan>,
    ) -> Result<()> {
        let (starting, settings) = self.begin()?;
        let plan = plan(&settings)?;
        let descriptor = Arc::clone(&self.descriptor);
        let operation = Arc::new(Operation::new(kind, listening.caller, descriptor)?);
        starting.run(operation, plan, listening)
    }

    /// Makes the restorer busy.
    fn begin(self: &Arc<Self>) -> Result<(Starting, Settings)> {
        let mut inner = self.inner.lock();
        self.check_open()?;
        if inner.starting || inner.running.is_some() {
            return Err(busy());
        }
        inner.starting = true;
        let starting = Starting {
            restorer: Arc::clone(self),
            before: inner.last.clone(),
            is_over: false,
        };
        Ok((starting, inner.settings.clone()))
    }

    /// Runs `reading` on this thread, and gives it a function that tells whether to go on.
    pub fn read<T>(
        self: &Arc<Self>,
        reading: impl FnOnce(&Properties, &GoOn) -> Result<T>,
    ) -> Result<T> {
        let mut inner = self.inner.lock();
        self.check_open()?;
        inner.readings += 1;
        let properties = inner.settings.properties.clone();
        drop(inner);
        let _running = RunningReading(self, home());
        let memory = Memory::now();
        let restorer = Arc::clone(self);
        let go_on: GoOn = Arc::new(move || {
            restorer.check_open()?;
            memory.check()
        });
        reading(&properties, &go_on).map_err(|error| match error.outcome {
            Outcome::Handle => error,
            _ => memory.explain(error),
        })
    }

    /// Makes the restorer idle again. `last` is the operation, if one ran, that is about to tell
    /// its end: the host may then start the next.
    fn leave(&self, last: Option<Arc<Operation>>) {
        let mut inner = self.inner.lock();
        inner.running = None;
        inner.last = last.or(inner.last.take());
        self.idle.notify_all();
    }

    /// Cancels the running operation, if it is of `kind` or that does not matter; returns whether
    /// it will take effect.
    pub fn cancel(&self, kind: Option<OperationKind>) -> bool {
        let running = self.inner.lock().running.clone();
        running.is_some_and(|running| {
            kind.is_none_or(|kind| kind == running.kind) && running.stop(Outcome::Canceled)
        })
    }

    /// Waits for the running operation, and gives its outcome; gives that of the one before, if
    /// none runs. None means that the time is up.
    pub fn wait(&self, timeout: Option<Duration>) -> Result<Option<Result<Done, Outcome>>> {
        let operation = {
            let inner = self.inner.lock();
            inner.running.as_ref().or(inner.last.as_ref()).cloned()
        };
        let outcome =
            operation.map_or(Ok(Some(Ok(Done::All))), |operation| operation.wait(timeout))?;
        self.check_open()?;
        Ok(outcome)
    }

    /// Cancels the running operation and lets no more begin. Returns when the last function of the
    /// host has returned and no thread is left; at once, where the caller is such a function
    /// itself.
    pub fn close(&self, inside_host: bool) {
        let inner = self.inner.lock();
        self.closed.store(true, Ordering::Release);
        let running = inner.running.clone();
        drop(inner);
        if let Some(running) = running {
            running.stop(Outcome::Canceled);
            running.leave(inside_host);
        }
        if inside_host {
            return;
        }
        let mut inner = self.inner.lock();
        while inner.starting || inner.running.is_some() || inner.readings > 0 {
            inner = self.idle.wait(inner);
        }
        let last = inner.last.clone();
        drop(inner);
        if let Some(last) = last {
            last.wait_until_gone();
        }
    }

    /// Gives the descriptor that shows whether a wait would call the host.
    pub fn wait_descriptor(&self) -> Result<isize> {
        let opened = self.descriptor.open();
        opened.map_err(|errno| {
            Error::system(Access::Write, "make a pipe that tells of events", errno)
        })
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

    /// Gives the sentence of the last failure, empty if there was none.
    pub fn message(&self) -> String {
        self.message.lock().clone()
    }

    fn set_message(&self, error: &Error) {
        error.sentence().clone_into(&mut self.message.lock());
    }

    /// Takes the host's own store, or goes back to StorePath. The store before is dropped.
    pub fn set_host(&self, host: Option<Arc<dyn Host>>) -> Result<()> {
        self.set_idle(|settings| settings.host = host)
    }

    /// Takes the host's authorizer, or none. The authorizer before is dropped.
    pub fn set_authorizer(&self, authorizer: Option<Arc<dyn Authorizer>>) -> Result<()> {
        self.set_idle(|settings| settings.authorizer = authorizer)
    }

    /// Changes settings that hold a context of the host, which the host may free afterwards.
    fn set_idle(&self, change: impl FnOnce(&mut Settings)) -> Result<()> {
        let mut inner = self.inner.lock();
        if inner.starting || inner.running.is_some() {
            return Err(busy());
        }
        change(&mut inner.settings);
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

/// A start that is under way; when it is dropped, the restorer is idle again.
struct Starting {
    restorer: Arc<Restorer>,
    /// The operation before, which may still be telling its end.
    before: Option<Arc<Operation>>,
    is_over: bool,
}

impl Starting {
    fn run(mut self, operation: Arc<Operation>, plan: Plan, listening: Listening) -> Result<()> {
        let restorer = Arc::clone(&self.restorer);
        let mut inner = restorer.inner.lock();
        restorer.check_open()?;
        inner.running = Some(Arc::clone(&operation));
        inner.starting = false;
        drop(inner);
        self.is_over = true;
        let owner = Owner {
            restorer: Arc::clone(&restorer),
            operation: Arc::clone(&operation),
        };
        operation
            .launch(
                plan.threads,
                plan.story,
                listening.listener,
                self.before.take(),
                Box::new(owner),
            )
            .inspect_err(|error| {
                restorer.leave(None);
                operation.abandon(error.outcome);
            })
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        if !self.is_over {
            self.restorer.inner.lock().starting = false;
        }
        self.restorer.idle.notify_all();
    }
}

/// The restorer of an operation, which learns of its end.
struct Owner {
    restorer: Arc<Restorer>,
    operation: Arc<Operation>,
}

impl Ending for Owner {
    fn failed(&self, error: &Error) {
        self.restorer.set_message(error);
    }

    fn tells_end(self: Box<Self>) {
        self.restorer.leave(Some(self.operation));
    }
}

/// A reading that is under way in a process.
struct RunningReading<'r>(&'r Restorer, &'static HomeMark);

impl Drop for RunningReading<'_> {
    fn drop(&mut self) {
        if self.1.is_home() {
            self.0.inner.lock().readings -= 1;
            self.0.idle.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::operation::listener::Caller;
    use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind}; // this panics without a word

    fn deaf() -> Listening {
        Listening {
            caller: Caller::Own,
            listener: None,
        }
    }

    #[test]
    fn a_panic_leaves_the_restorer_usable() {
        let restorer = Arc::new(Restorer::default());
        let reading = AssertUnwindSafe(|| {
            restorer.read(|_, _| -> Result<()> { resume_unwind(Box::new("on purpose")) })
        });
        assert!(catch_unwind(reading).is_err());
        let starting = AssertUnwindSafe(|| {
            restorer.start(OperationKind::Verify, deaf(), |_| {
                resume_unwind(Box::new("on purpose"))
            })
        });
        assert!(catch_unwind(starting).is_err());
        let plan = |_: &Settings| {
            Ok(Plan {
                threads: 1,
                story: Box::new(|_, _| Ok(())),
            })
        };
        restorer.start(OperationKind::Verify, deaf(), plan).unwrap();
        assert_eq!(restorer.wait(None).unwrap(), Some(Ok(Done::All)));
        restorer.close(false);
    }
}
