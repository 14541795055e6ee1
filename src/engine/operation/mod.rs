//! One operation: from its start to exactly one end.

pub mod calls;
pub mod events;
pub mod listener;
pub mod out_of_memory;
pub mod pool;
pub mod progress;
mod queue;
mod state;
pub mod teller;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use self::events::{Events, TICK};
use self::listener::{Caller, Event, Listener, Notice, Silent};
use self::out_of_memory::Memory;
use self::pool::Pool;
use self::progress::{Counters, Done, Progress};
use self::queue::{Due, Patience};
use self::state::State;
use self::teller::{Answer, Ending, Teller};
use crate::error::{Error, GoOn, Outcome, Result, caught};
use crate::sync::channel::bounded;
use crate::sync::locks::Mutex;
use crate::sys::fork::{HomeMark, home};
use crate::sys::threads::Thread;
use crate::sys::wait_descriptor::WaitDescriptor;

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
    /// The thread that calls the host, unless the restorer is destroyed.
    caller: Caller,
    events: Events,
    state: Mutex<State>,
    /// A copy of what `state` says about stopping, for checks at every licence.
    stopping: AtomicBool,
    /// The event thread, until its end has been waited for.
    thread: Mutex<Option<Thread>>,
    memory: Memory,
    /// The progress that was told last.
    told: Mutex<Progress>,
    /// The process that it runs in.
    home: &'static HomeMark,
}

/// The work of an operation, on its conductor's thread.
pub type Story = Box<dyn FnOnce(&Arc<Operation>, &Pool) -> Result<()> + Send>;

impl Operation {
    /// Makes an operation whose host is called by `caller`; `descriptor` shows what is due.
    pub fn new(
        kind: OperationKind,
        caller: Caller,
        descriptor: Arc<WaitDescriptor>,
    ) -> Result<Operation> {
        Ok(Operation {
            kind,
            counters: Counters::default(),
            caller,
            events: Events::new(caller, descriptor)?,
            state: Mutex::new(State::Running),
            stopping: AtomicBool::new(false),
            thread: Mutex::default(),
            memory: Memory::now(),
            told: Mutex::default(),
            home: home(),
        })
    }

    /// Starts the threads: `workers` of them for the story, one that conducts it, and the event
    /// thread, which tells `listener`, or lets progress be due where others tell it. Nothing is
    /// told until the operation `before` has told all of its events. After the end has been told,
    /// all waiting threads are woken.
    pub fn launch(
        self: &Arc<Self>,
        workers: usize,
        story: Story,
        listener: Option<Box<dyn Listener>>,
        before: Option<Arc<Operation>>,
        ending: Box<dyn Ending>,
    ) -> Result<()> {
        let pool = Pool::start(workers)?;
        let (go, ready) = bounded::<()>(1);
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
                    before.wait_until_gone();
                }
                operation.events.begin(Teller {
                    listener: listener.unwrap_or_else(|| Box::new(Silent)),
                    ending: Some(ending),
                    go: Some(go),
                    conductor: Some(conductor),
                });
                operation.tell_events();
            }
        })?;
        let conductor = Thread::start({
            let operation = Arc::clone(self);
            move || {
                if ready.recv().is_some() {
                    let result = operation.conduct(story, &pool);
                    drop(pool);
                    operation.events.end(result);
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
        self.events.finish();
    }

    fn conduct(self: &Arc<Self>, story: Story, pool: &Pool) -> Result<()> {
        let told = caught(|| {
            self.check()?;
            story(self, pool)?;
            self.commit()
        });
        told.map_err(|error| self.memory.explain(error))
    }

    /// Lets progress be due now and then, and tells what is due, on the event thread, until the end
    /// has been told. Where a waiting thread tells, that is nothing, unless the restorer is
    /// destroyed: then nothing is told.
    fn tell_events(&self) {
        let mut tick = Instant::now() + TICK;
        loop {
            match self.events.next(tick) {
                Some((due, mut teller)) => {
                    if self.caller != Caller::Own {
                        teller.listener = Box::new(Silent);
                    }
                    self.handle(due, &mut teller);
                    self.events.told(teller);
                }
                None if self.events.is_over() => return,
                None => {}
            }
            if Instant::now() >= tick {
                if self.counters.read() != *self.told.lock() {
                    self.events.tick();
                }
                tick = Instant::now() + TICK;
            }
        }
    }

    /// Calls the host for what is due. In a child that was forked by the host nothing is touched
    /// any more.
    fn handle(&self, due: Due, teller: &mut Teller) {
        let answer = match due {
            Due::Call(call) => return call(&mut |due| self.handle(due, teller)),
            Due::End(result) => return self.tell_end(result, teller),
            Due::Tick => {
                let progress = self.counters.read();
                let before = std::mem::replace(&mut *self.told.lock(), progress);
                if progress == before || self.is_stopping() {
                    return;
                }
                teller.tell(self.home, Event::Progress(progress))
            }
            Due::Tell(ref notice) => teller.tell(self.home, Event::Notice(notice)),
        };
        match answer {
            Answer::GoesOn => {}
            Answer::Objects(code) => drop(self.stop(Outcome::Host(code))),
            Answer::IsForked => return,
        }
        // The begin is told first and alone: if the host objects, or cancels in it, nothing is done.
        if let (Due::Tell(Notice::Begin), Some(go)) = (due, teller.go.take()) {
            let _ = go.send(());
        }
    }

    fn tell_end(&self, result: Result<()>, teller: &mut Teller) {
        if let Some(conductor) = teller.conductor.take() {
            conductor.join();
        }
        let mut state = self.state.lock();
        let stopped = matches!(*state, State::Stopping(_));
        let (next, outcome) =
            state.conclude(result.as_ref().map_err(|error| error.outcome).copied());
        *state = next;
        drop(state);
        let (Some(ending), Some(outcome)) = (teller.ending.take(), outcome) else {
            return self.events.finish();
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
        let before = match &error {
            Some(error) if !host_wanted_it => Some(Event::Error {
                outcome: error.outcome,
                sentence: error.sentence(),
            }),
            None if progress != *self.told.lock() => Some(Event::Progress(progress)),
            _ => None,
        };
        if let Some(before) = before
            && let Answer::IsForked = teller.tell(self.home, before)
        {
            // What it holds is the parent's.
            return std::mem::forget(ending);
        }
        ending.tells_end();
        if let Answer::IsForked = teller.tell(self.home, Event::End { outcome, progress }) {
            return;
        }
        self.events.finish();
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
    /// Gives its outcome, if it is over. Where the host is called by the thread that waits, it is
    /// called meanwhile.
    pub fn wait(&self, timeout: Option<Duration>) -> Result<Option<Result<Done, Outcome>>> {
        let end = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        if self.caller != Caller::Own {
            self.call_host(Patience::Until(end))?;
        }
        if !self.events.wait_for_end(end) {
            return Ok(None);
        }
        self.join();
        match *self.state.lock() {
            State::Concluded(outcome) => Ok(Some(outcome.map(|()| self.counters.read().done()))),
            _ => Ok(None),
        }
    }

    /// Calls the host on this thread for what is due, and for what becomes due in its patience.
    fn call_host(&self, mut patience: Patience) -> Result<()> {
        while let Some((due, mut teller)) = self.events.next_in_wait(&mut patience) {
            self.handle(due, &mut teller);
            if !self.home.is_home() {
                // What it holds is the parent's.
                std::mem::forget(teller);
                return Err(Error::new(Outcome::Handle, ""));
            }
            let lasts = self.events.told(teller);
            if lasts {
                patience = Patience::Until(None);
            }
        }
        Ok(())
    }

    /// Lets no thread that waits call the host any more, but for the one that is doing it, if the
    /// caller is a function of the host.
    pub fn leave(&self, is_inside_host: bool) {
        self.events.leave(is_inside_host);
    }

    /// Waits until the end has been told and no thread is left, without calling the host.
    pub fn wait_until_gone(&self) {
        self.events.wait_for_end(None);
        self.join();
    }

    /// Waits for the event thread to leave; the operation must be over.
    fn join(&self) {
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

    fn operation() -> Arc<Operation> {
        let operation = Operation::new(OperationKind::Backup, Caller::Own, Arc::default());
        Arc::new(operation.unwrap())
    }

    impl Ending for () {
        fn failed(&self, _: &Error) {}
        fn tells_end(self: Box<Self>) {}
    }

    struct Sentences(Sender<String>);

    impl Ending for Sentences {
        fn failed(&self, error: &Error) {
            self.0.send(error.sentence().to_owned()).unwrap();
        }
        fn tells_end(self: Box<Self>) {}
    }

    #[test]
    fn a_panic_of_the_story_is_an_outcome() {
        let operation = operation();
        let (sender, told) = bounded(1);
        let story: Story = Box::new(|_, _| resume_unwind(Box::new("on purpose")));
        operation
            .launch(1, story, None, None, Box::new(Sentences(sender)))
            .unwrap();
        assert_eq!(
            operation.wait(None).unwrap(),
            Some(Err(Outcome::Unexpected))
        );
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
        let operation = operation();
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
            .launch(1, story, Some(Box::new(Ends(sender))), None, Box::new(()))
            .unwrap();
        let outcome = operation.wait(None).unwrap();
        let all_done = |outcome: Result<(), Outcome>| outcome.map(|()| Done::All);
        assert_eq!(outcome, expected.map(all_done), "{shown}");
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

    #[test]
    fn no_thread_of_an_operation_outlasts_the_next_one() {
        let [first, next] = [operation(), operation()];
        let launch = |operation: &Arc<Operation>, before| {
            let story: Story = Box::new(|_, _| Ok(()));
            operation
                .launch(1, story, None, before, Box::new(()))
                .unwrap();
        };
        launch(&first, None);
        launch(&next, Some(Arc::clone(&first)));
        next.wait_until_gone();
        assert!(first.thread.lock().is_none());
    }

    #[test]
    fn progress_that_has_been_told_is_not_due() {
        let descriptor = Arc::<WaitDescriptor>::default();
        let kind = OperationKind::Backup;
        let operation = Operation::new(kind, Caller::Waiting, Arc::clone(&descriptor)).unwrap();
        let operation = Arc::new(operation);
        let (entered, has_entered) = bounded(1);
        let (go_on, goes_on) = bounded::<()>(1);
        let story: Story = Box::new(move |operation, _| {
            operation.counters.enter(progress::Phase::Working, 7);
            entered.send(()).unwrap();
            goes_on.recv();
            Ok(())
        });
        operation
            .launch(1, story, Some(Box::new(Silent)), None, Box::new(()))
            .unwrap();
        let until_due = || {
            while !descriptor.is_due() {
                std::thread::sleep(Duration::from_millis(1));
            }
        };
        until_due();
        assert_eq!(operation.wait(Some(Duration::ZERO)).unwrap(), None);
        has_entered.recv();
        until_due();
        operation
            .counters
            .phase_done
            .fetch_add(1, Ordering::Relaxed);
        assert_eq!(operation.wait(Some(Duration::ZERO)).unwrap(), None);
        std::thread::sleep(3 * TICK);
        assert!(!descriptor.is_due());
        go_on.send(()).unwrap();
        assert_eq!(operation.wait(None).unwrap(), Some(Ok(Done::All)));
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
        let operation = operation();
        let story: Story = Box::new(|operation, _| {
            operation.counters.enter(progress::Phase::Working, 7);
            std::thread::sleep(TICK + TICK / 2);
            operation.commit()
        });
        operation
            .launch(1, story, Some(Box::new(Slow)), None, Box::new(()))
            .unwrap();
        assert_eq!(operation.wait(None).unwrap(), Some(Err(Outcome::Host(-5))));
    }
}
