//! One operation: from its start to exactly one end.

pub mod events;
pub mod out_of_memory;
pub mod pool;
pub mod progress;
mod state;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use self::events::{Due, Event, Events, Listener, Notice, TICK};
use self::out_of_memory::Memory;
use self::pool::Pool;
use self::progress::{Counters, Progress};
use self::state::State;
use crate::error::{Error, Outcome, Result};
use crate::store::GoOn;
use crate::sync::channel::bounded;
use crate::sync::locks::{Condvar, Mutex};
use crate::sys::threads::Thread;

/// The kind of an operation, for hosts that cancel only one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperationKind {
    Backup,
    Restore,
    Verify,
}

pub struct Operation {
    pub kind: OperationKind,
    pub counters: Counters,
    events: Events,
    state: Mutex<State>,
    /// A copy of what `state` says about stopping, for checks at every licence.
    stopping: AtomicBool,
    over: Mutex<bool>,
    over_changed: Condvar,
    /// The event thread, until its end has been waited for.
    thread: Mutex<Option<Thread>>,
    memory: Memory,
}

/// Learns of an operation's end, on the thread that tells it.
pub trait Ending: Send + 'static {
    /// Learns of an error that the host will be told, unless it caused it.
    fn failed(&self, error: &Error);

    /// Learns that only the end is still to be told.
    fn tells_end(self);
}

/// The work of an operation, on its conductor's thread.
pub type Story = Box<dyn FnOnce(&Arc<Operation>, &Pool) -> Result<()> + Send>;

impl Operation {
    pub fn new(kind: OperationKind) -> Result<Operation> {
        Ok(Operation {
            kind,
            counters: Counters::default(),
            events: Events::new()?,
            state: Mutex::new(State::Running),
            stopping: AtomicBool::new(false),
            over: Mutex::default(),
            over_changed: Condvar::default(),
            thread: Mutex::default(),
            memory: Memory::now(),
        })
    }

    /// Starts the threads: `workers` of them for the story, one that conducts it, and one that
    /// tells `listener`. That one waits until the operation `before` has told all of its events.
    /// After the end has been told, all waiting threads are woken.
    pub fn launch(
        self: &Arc<Self>,
        workers: usize,
        story: Story,
        listener: Box<dyn Listener>,
        before: Option<Arc<Operation>>,
        ending: impl Ending,
    ) -> Result<()> {
        let pool = Pool::start(workers)?;
        let (go, ready) = bounded::<()>(1);
        let (verdict, ended) = bounded::<Result<()>>(1);
        // The event thread comes first: until it is given the conductor it can still be sent home.
        let (begin, begun) = bounded::<Thread>(1);
        let mut thread = self.thread.lock();
        let events = Thread::start({
            let operation = Arc::clone(self);
            move || {
                let Some(conductor) = begun.recv() else {
                    return;
                };
                if let Some(before) = before {
                    before.wait(None);
                }
                // This notice is told first and alone: if the host objects, or cancels in it,
                // nothing is done.
                if let Err(code) = listener.tell(Event::Notice(&Notice::Begin)) {
                    operation.stop(Outcome::Host(code));
                }
                let _ = go.send(());
                let told = operation.tell_events(listener.as_ref());
                conductor.join();
                let gone = || Err(Error::panicked(&"the conductor is gone"));
                let result = ended.recv().unwrap_or_else(gone);
                operation.tell_end(result, told, listener.as_ref(), ending);
                *operation.over.lock() = true;
                operation.over_changed.notify_all();
            }
        })?;
        let conductor = Thread::start({
            let operation = Arc::clone(self);
            move || {
                if ready.recv().is_some() {
                    let result = operation.conduct(story, &pool);
                    drop(pool);
                    let _ = verdict.send(result);
                    operation.events.close();
                }
            }
        });
        match conductor {
            Ok(conductor) => {
                let _ = begin.send(conductor);
                *thread = Some(events);
                Ok(())
            }
            Err(refused) => {
                drop(begin);
                events.join();
                Err(refused.into())
            }
        }
    }

    /// Ends an operation that could not be launched.
    pub fn abandon(&self, outcome: Outcome) {
        let mut state = self.state.lock();
        (*state, _) = state.conclude(Err(outcome));
        drop(state);
        *self.over.lock() = true;
        self.over_changed.notify_all();
    }

    fn conduct(self: &Arc<Self>, story: Story, pool: &Pool) -> Result<()> {
        let told = catch_unwind(AssertUnwindSafe(|| {
            self.check()?;
            story(self, pool)?;
            self.commit()
        }));
        let told = told.unwrap_or_else(|panic| Err(Error::panicked(panic.as_ref())));
        told.map_err(|error| self.memory.explain(error))
    }

    /// Tells the listener the notices, and progress in between, until nothing will be posted any
    /// more. Returns the progress told last.
    fn tell_events(&self, listener: &dyn Listener) -> Progress {
        let (mut told, mut tick) = (Progress::default(), Instant::now() + TICK);
        loop {
            let event = match self.events.next(&mut tick) {
                Due::Closed => return told,
                Due::Tell(ref notice) => listener.tell(Event::Notice(notice)),
                Due::Tick if self.counters.read() == told || self.is_stopping() => continue,
                Due::Tick => {
                    told = self.counters.read();
                    listener.tell(Event::Progress(told))
                }
            };
            if let Err(code) = event {
                self.stop(Outcome::Host(code));
            }
        }
    }

    fn tell_end(
        &self,
        result: Result<()>,
        told: Progress,
        listener: &dyn Listener,
        ending: impl Ending,
    ) {
        let mut state = self.state.lock();
        let stopped = matches!(*state, State::Stopping(_));
        let (next, outcome) =
            state.conclude(result.as_ref().map_err(|error| error.outcome).copied());
        *state = next;
        drop(state);
        let Some(outcome) = outcome else {
            return ending.tells_end();
        };
        let progress = self.counters.read();
        let error = match (&result, outcome) {
            (_, Ok(())) => None,
            (Err(error), Err(outcome)) if error.outcome == outcome => Some(error.clone()),
            (_, Err(outcome)) => Some(stop_error(outcome)),
        };
        if let Some(error) = &error {
            ending.failed(error);
        }
        // The host's answers from here on are ignored: nothing can be stopped any more.
        let host_wanted_it = stopped || outcome == Err(Outcome::Canceled);
        if let Some(error) = error.filter(|_| !host_wanted_it) {
            let _ = listener.tell(Event::Error {
                outcome: error.outcome,
                sentence: error.sentence(),
            });
        } else if outcome.is_ok() && progress != told {
            let _ = listener.tell(Event::Progress(progress));
        }
        ending.tells_end();
        let _ = listener.tell(Event::End { outcome, progress });
    }

    /// Leaves a notice for the host; waits for a slow one.
    pub fn tell(&self, notice: Notice) {
        self.events.post(notice);
    }

    /// Fails if the operation is to end; called by every thread at every licence.
    pub fn check(&self) -> Result<()> {
        self.memory.check()?;
        if !self.is_stopping() {
            return Ok(());
        }
        match *self.state.lock() {
            State::Stopping(cause) => Err(stop_error(cause)),
            _ => Ok(()),
        }
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// Gives [`Operation::check`] as a function, for users outside the engine.
    pub fn go_on(self: &Arc<Self>) -> GoOn {
        let operation = Arc::clone(self);
        Arc::new(move || operation.check())
    }

    /// Waits until the host has been told everything so far; fails if it objects.
    pub fn settle(&self) -> Result<()> {
        self.check()?;
        self.events.flush();
        self.check()
    }

    /// Passes the point after which nobody can stop the operation: the host knows all, and has not
    /// objected.
    pub fn commit(&self) -> Result<()> {
        // A second call does nothing: what has happened since can't take the effect back.
        if *self.state.lock() == State::Committed {
            return Ok(());
        }
        self.settle()?;
        let mut state = self.state.lock();
        let (next, committed) = state.commit();
        *state = next;
        committed.map_err(stop_error)
    }

    /// Ends the operation with `cause`; returns whether it will.
    pub fn stop(&self, cause: Outcome) -> bool {
        let mut state = self.state.lock();
        let (next, heeded) = state.stop(cause);
        *state = next;
        drop(state);
        if heeded {
            self.stopping.store(true, Ordering::Relaxed);
            self.events.mute();
        }
        heeded
    }

    /// Waits until the operation is over, for `timeout` at most, without a limit if there is none.
    /// Gives its outcome, if it is over.
    pub fn wait(&self, timeout: Option<Duration>) -> Option<Result<(), Outcome>> {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut over = self.over.lock();
        while !*over {
            over = match deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()))
            {
                None => self.over_changed.wait(over),
                Some(Duration::ZERO) => return None,
                Some(left) => self.over_changed.wait_for(over, left),
            };
        }
        drop(over);
        self.join();
        match *self.state.lock() {
            State::Concluded(outcome) => Some(outcome),
            _ => None,
        }
    }

    /// Waits for the event thread to leave; the operation must be over.
    pub fn join(&self) {
        // The lock is held meanwhile: no caller may think that the thread is gone before it is.
        let mut thread = self.thread.lock();
        if let Some(thread) = thread.take() {
            thread.join();
        }
    }
}

fn stop_error(cause: Outcome) -> Error {
    match cause {
        Outcome::Canceled => Error::canceled(),
        Outcome::Host(code) => Error::new(
            cause,
            format!(
                "A function of the host ended the operation with {code:#010x}. Look for the reason in the host."
            ),
        ),
        _ => Error::new(cause, "The operation was stopped."),
    }
}

#[cfg(test)]
mod tests {
    use std::panic::resume_unwind; // panics without a word

    use super::*;
    use crate::sync::channel::Sender;

    struct Silent;

    impl Listener for Silent {
        fn tell(&self, _: Event) -> Result<(), i32> {
            Ok(())
        }
    }

    impl Ending for () {
        fn failed(&self, _: &Error) {}
        fn tells_end(self) {}
    }

    struct Sentences(Sender<String>);

    impl Ending for Sentences {
        fn failed(&self, error: &Error) {
            self.0.send(error.sentence().to_owned()).unwrap();
        }
        fn tells_end(self) {}
    }

    #[test]
    fn a_panic_of_the_story_is_an_outcome() {
        let operation = Arc::new(Operation::new(OperationKind::Backup).unwrap());
        let (sender, told) = bounded(1);
        let story: Story = Box::new(|_, _| resume_unwind(Box::new("on purpose")));
        operation
            .launch(1, story, Box::new(Silent), None, Sentences(sender))
            .unwrap();
        assert_eq!(operation.wait(None), Some(Err(Outcome::Unexpected)));
        assert!(told.recv().unwrap().contains("on purpose"));
    }

    /// Counts the ends it is told, and objects to nothing.
    struct Ends(Sender<Result<(), Outcome>>);

    impl Listener for Ends {
        fn tell(&self, event: Event) -> Result<(), i32> {
            if let Event::End { outcome, .. } = event {
                self.0.send(outcome).unwrap();
            }
            Ok(())
        }
    }

    /// An event during the story of an operation.
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Step {
        /// A cancel, as destroying the restorer causes.
        Cancel,
        HostFails,
        Commit,
        Fail,
    }

    const STEPS: [Step; 4] = [Step::Cancel, Step::HostFails, Step::Commit, Step::Fail];

    /// Runs an operation to which these steps happen, and checks that its one end follows from its
    /// state.
    fn run(steps: Vec<Step>) {
        let (mut state, shown) = (State::Running, format!("{steps:?}"));
        let mut result = Ok(());
        for step in &steps {
            match step {
                Step::Cancel => state = state.stop(Outcome::Canceled).0,
                Step::HostFails => state = state.stop(Outcome::Host(-5)).0,
                Step::Commit => (state, result) = state.commit(),
                Step::Fail => result = Err(Outcome::DiskFull),
            }
            if result.is_err() {
                break;
            }
        }
        let result = result.and_then(|()| {
            let (next, result) = state.commit();
            state = next;
            result
        });
        let (_, expected) = state.conclude(result);
        let operation = Arc::new(Operation::new(OperationKind::Backup).unwrap());
        let story: Story = Box::new(move |operation, _| {
            steps.into_iter().try_for_each(|step| match step {
                Step::Cancel => {
                    operation.stop(Outcome::Canceled);
                    Ok(())
                }
                Step::HostFails => {
                    operation.stop(Outcome::Host(-5));
                    Ok(())
                }
                Step::Commit => operation.commit(),
                Step::Fail => Err(Error::new(Outcome::DiskFull, "The disk is full.")),
            })
        });
        let (sender, ends) = bounded(8);
        operation
            .launch(1, story, Box::new(Ends(sender)), None, ())
            .unwrap();
        assert_eq!(operation.wait(None), expected, "{shown}");
        // The listener is gone, so that no more ends can come.
        assert_eq!(
            ends.collect::<Vec<_>>(),
            Vec::from_iter(expected),
            "{shown}"
        );
        assert!(!operation.stop(Outcome::Canceled), "{shown}");
    }

    #[test]
    fn what_happens_in_any_order_ends_once() {
        let mut orders = vec![Vec::new()];
        for _ in 0..4 {
            let longer = orders.iter().flat_map(|steps| {
                STEPS.map(|step| steps.iter().copied().chain([step]).collect::<Vec<_>>())
            });
            orders = longer.chain([Vec::new()]).collect();
        }
        orders.into_iter().for_each(run);
    }

    /// A listener that objects to progress, after a while.
    struct Slow;

    impl Listener for Slow {
        fn tell(&self, event: Event) -> Result<(), i32> {
            match event {
                Event::Progress(_) => {
                    std::thread::sleep(2 * TICK);
                    Err(-5)
                }
                _ => Ok(()),
            }
        }
    }

    #[test]
    fn nothing_is_committed_while_the_host_looks_at_the_progress() {
        let operation = Arc::new(Operation::new(OperationKind::Backup).unwrap());
        let story: Story = Box::new(|operation, _| {
            operation.counters.enter(progress::Phase::Working, 7);
            std::thread::sleep(TICK + TICK / 2);
            operation.commit()
        });
        operation
            .launch(1, story, Box::new(Slow), None, ())
            .unwrap();
        assert_eq!(operation.wait(None), Some(Err(Outcome::Host(-5))));
    }
}
