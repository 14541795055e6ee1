//! Workers, and the one way in which a story uses them: work is done in any order, and taken in
//! order.

use std::collections::VecDeque;
use std::iter::from_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::sync::channel::{Sender, bounded};
use crate::sync::locks::{Condvar, Mutex};
use crate::sys::threads::Thread;

/// Bytes of results that may wait to be taken; beyond that only the result that is taken next is
/// made.
const HELD_MAX: usize = 16 << 20;

type Task = Box<dyn FnOnce() + Send>;

/// Threads that live as long as their operation.
pub struct Pool {
    /// The queue of tasks, none once the pool is closed.
    tasks: Option<Sender<Task>>,
    threads: Vec<Thread>,
}

impl Pool {
    pub fn start(threads: usize) -> Result<Pool> {
        let (tasks, receiver) = bounded::<Task>(threads);
        let receiver = Arc::new(receiver);
        let mut pool = Pool {
            tasks: Some(tasks),
            threads: Vec::new(),
        };
        for _ in 0..threads {
            let receiver = Arc::clone(&receiver);
            let run_all = move || from_fn(|| receiver.recv()).for_each(|task| task());
            pool.threads.push(Thread::start(run_all)?);
        }
        Ok(pool)
    }

    /// Runs `task` on a thread of the pool, as soon as one is free. The task reports its own
    /// panics.
    pub fn run(&self, task: impl FnOnce() + Send + 'static) -> Result<()> {
        let gone = || Error::panicked(&"the workers are gone");
        self.tasks
            .as_ref()
            .ok_or_else(gone)?
            .send(Box::new(task))
            .map_err(|_| gone())
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.tasks = None;
        self.threads.drain(..).for_each(Thread::join);
    }
}

/// The work that is done for each job.
pub trait Work: Send + Sync + 'static {
    type Job: Send + 'static;
    type Output: Send + 'static;
    /// The tools that a worker keeps from job to job: buffers, contexts.
    type Scratch;

    fn scratch(&self) -> Result<Self::Scratch>;

    /// Does a job, or its first part: what it leaves it gives back as `rest`, as early as it can,
    /// for another worker to begin meanwhile.
    fn work(
        &self,
        scratch: &mut Self::Scratch,
        job: Self::Job,
        rest: Rest<Self::Job, Self::Output>,
    ) -> Result<Self::Output>;

    /// Gives about how many bytes an output holds.
    fn weight(output: &Self::Output) -> usize;
}

/// The place behind a job that is being worked on, where the rest of it may be put.
pub struct Rest<'l, J, O> {
    line: &'l Line<J, O>,
    number: u64,
}

impl<J, O> Rest<'_, J, O> {
    pub fn give(self, job: J) {
        self.line.insert_behind(self.number, job);
    }
}

/// Does `jobs` on `workers` threads of `pool`, and gives the results to `take` on this thread, in
/// the order of the jobs, up to the first error. Few jobs are under way at a time, so that memory
/// is bounded whatever their number.
pub fn ordered<W: Work>(
    pool: &Pool,
    workers: usize,
    work: Arc<W>,
    mut jobs: impl Iterator<Item = Result<W::Job>>,
    mut take: impl FnMut(W::Output) -> Result<()>,
) -> Result<()> {
    let line = Arc::new(Line::new(2 * workers + 1)?);
    let closing = Closing(&line);
    let (leaving, all_left) = bounded::<()>(1);
    for _ in 0..workers {
        let (work, line) = (Arc::clone(&work), Arc::clone(&line));
        let leaving = leaving.clone();
        pool.run(move || {
            do_jobs(work.as_ref(), &line);
            drop((line, work));
            drop(leaving);
        })?;
    }
    drop(leaving);
    let mut take_all = || loop {
        while line.has_room() {
            let Some(job) = jobs.next() else { break };
            line.push(job);
        }
        match line.take() {
            Some(output) => take(output?)?,
            None => return Ok(()),
        }
    };
    let done = take_all();
    // When this returns no worker is busy any more, and what the workers shared is the caller's
    // alone.
    drop(closing);
    let _ = all_left.recv();
    done
}

fn do_jobs<W: Work>(work: &W, line: &Line<W::Job, W::Output>) {
    let mut scratch = None;
    while let Some((number, job)) = line.begin() {
        let done = catch_unwind(AssertUnwindSafe(|| {
            let scratch = match &mut scratch {
                Some(scratch) => scratch,
                none => none.insert(work.scratch()?),
            };
            let output = work.work(scratch, job, Rest { line, number })?;
            let weight = W::weight(&output);
            Ok((output, weight))
        }));
        let done = done.unwrap_or_else(|panic| {
            scratch = None;
            Err(Error::panicked(panic.as_ref()))
        });
        line.end(number, done);
    }
}

/// Closes a line when it is dropped, after a panic of whoever takes the results too: the workers
/// would wait for ever.
struct Closing<'l, J, O>(&'l Line<J, O>);

impl<J, O> Drop for Closing<'_, J, O> {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Jobs and what was made of them, in the order in which that is taken.
struct Line<J, O> {
    state: Mutex<State<J, O>>,
    /// A job may have become free to begin, or the line has been closed.
    freed: Condvar,
    /// A job is done.
    done: Condvar,
}

struct State<J, O> {
    places: VecDeque<Place<J, O>>,
    /// The number of the next job.
    next: u64,
    /// Jobs that have been begun, and not taken yet; and the most of them.
    begun: usize,
    most: usize,
    /// Bytes of outputs that wait to be taken.
    held: usize,
    is_closed: bool,
}

struct Place<J, O> {
    number: u64,
    stage: Stage<J, O>,
}

enum Stage<J, O> {
    Waiting(J),
    Begun,
    Done(Result<O>, usize),
}

impl<J, O> Line<J, O> {
    /// Makes an empty line, of which at most that many jobs are begun before the first is taken.
    fn new(most: usize) -> Result<Line<J, O>> {
        let mut places = VecDeque::new();
        // As many wait at most as have been pushed, of each the rest.
        places.try_reserve_exact(2 * most + 2)?;
        Ok(Line {
            state: Mutex::new(State {
                places,
                next: 0,
                begun: 0,
                most,
                held: 0,
                is_closed: false,
            }),
            freed: Condvar::default(),
            done: Condvar::default(),
        })
    }

    fn has_room(&self) -> bool {
        let state = self.state.lock();
        state.places.len() < state.most
    }

    /// Puts a job at the end.
    fn push(&self, job: Result<J>) {
        let mut state = self.state.lock();
        let stage = match job {
            Ok(job) => Stage::Waiting(job),
            Err(error) => Stage::Done(Err(error), 0),
        };
        state.begun += usize::from(matches!(stage, Stage::Done(..)));
        let place = state.place(stage);
        state.places.push_back(place);
        drop(state);
        self.freed.notify_one();
    }

    /// Puts the rest of the job `number` behind it.
    fn insert_behind(&self, number: u64, rest: J) {
        let mut state = self.state.lock();
        let place = state.place(Stage::Waiting(rest));
        let behind = state.find(number).map_or(0, |found| found + 1);
        state.places.insert(behind, place);
        drop(state);
        self.freed.notify_one();
    }

    /// Waits for a job that may begin; none once the line is closed.
    fn begin(&self) -> Option<(u64, J)> {
        let mut state = self.state.lock();
        loop {
            if state.is_closed {
                return None;
            }
            if let Some(begun) = state.begin() {
                return Some(begun);
            }
            state = self.freed.wait(state);
        }
    }

    fn end(&self, number: u64, done: Result<(O, usize)>) {
        let (output, weight) = match done {
            Ok((output, weight)) => (Ok(output), weight),
            Err(error) => (Err(error), 0),
        };
        let mut state = self.state.lock();
        state.held += weight;
        let found = state.find(number);
        if let Some(place) = found.and_then(|found| state.places.get_mut(found)) {
            place.stage = Stage::Done(output, weight);
        }
        drop(state);
        self.done.notify_one();
    }

    /// Waits for the output that is the first in line, and takes it; none where the line is empty.
    fn take(&self) -> Option<Result<O>> {
        let mut state = self.state.lock();
        loop {
            let first = state.places.pop_front()?;
            match first.stage {
                Stage::Done(output, weight) => {
                    state.held -= weight;
                    state.begun -= 1;
                    drop(state);
                    // One more may begin, and what is the first now.
                    self.freed.notify_all();
                    return Some(output);
                }
                _ => state.places.push_front(first),
            }
            state = self.done.wait(state);
        }
    }

    /// Lets no job begin any more.
    fn close(&self) {
        self.state.lock().is_closed = true;
        self.freed.notify_all();
    }
}

impl<J, O> State<J, O> {
    fn place(&mut self, stage: Stage<J, O>) -> Place<J, O> {
        let number = self.next;
        self.next += 1;
        Place { number, stage }
    }

    fn find(&self, number: u64) -> Option<usize> {
        self.places.iter().position(|place| place.number == number)
    }

    /// Begins the first job that waits. The output that is taken next is made in any case.
    fn begin(&mut self) -> Option<(u64, J)> {
        let mut places = self.places.iter_mut().enumerate();
        let waits = |place: &Place<J, O>| matches!(place.stage, Stage::Waiting(_));
        let (before, place) = places.find(|(_, place)| waits(place))?;
        if before > 0 && (self.begun >= self.most || self.held >= HELD_MAX) {
            return None;
        }
        match std::mem::replace(&mut place.stage, Stage::Begun) {
            Stage::Waiting(job) => {
                self.begun += 1;
                Some((place.number, job))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::resume_unwind;
    use std::sync::{Mutex, mpsc};
    use std::time::Duration;

    use super::*;
    use crate::error::Outcome;

    /// Gives each number back, the later the sooner, and `number % 3` more times as rests; fails or
    /// panics at one.
    struct Repeat {
        fails_at: usize,
        panics_at: usize,
    }

    impl Work for Repeat {
        /// A number, and how many times it has been given.
        type Job = (usize, usize);
        type Output = usize;
        type Scratch = ();

        fn scratch(&self) -> Result<()> {
            Ok(())
        }

        fn work(
            &self,
            (): &mut (),
            (number, given): (usize, usize),
            rest: Rest<(usize, usize), usize>,
        ) -> Result<usize> {
            if given < number % 3 {
                rest.give((number, given + 1));
            }
            std::thread::sleep(Duration::from_micros(400 - 4 * number as u64));
            if number == self.panics_at {
                resume_unwind(Box::new("on purpose")); // a panic without a word
            }
            match number == self.fails_at && given == number % 3 {
                true => Err(Error::new(Outcome::Fail, number.to_string())),
                false => Ok(number),
            }
        }

        fn weight(number: &usize) -> usize {
            // Some weigh so much that others wait.
            number % 7 * (HELD_MAX / 4)
        }
    }

    fn run(workers: usize, fails_at: usize, panics_at: usize) -> (Vec<usize>, Result<()>) {
        let pool = Pool::start(workers).unwrap();
        let mut taken = Vec::new();
        let work = Arc::new(Repeat {
            fails_at,
            panics_at,
        });
        let jobs = (0..100).map(|number| Ok((number, 0)));
        let done = ordered(&pool, workers, work, jobs, |number| {
            taken.push(number);
            Ok(())
        });
        (taken, done)
    }

    #[test]
    fn what_is_made_comes_in_order_up_to_the_first_error() {
        let expected = |end: usize| (0..end).flat_map(|n| vec![n; n % 3 + 1]);
        for workers in [1, 2, 7] {
            let (taken, done) = run(workers, 1000, 1000);
            assert!(done.is_ok());
            assert_eq!(taken, expected(100).collect::<Vec<_>>());
            let (taken, done) = run(workers, 50, 1000);
            let before = expected(50).chain([50, 50]).collect();
            assert_eq!((taken, done.unwrap_err().sentence()), (before, "50"));
            let (taken, done) = run(workers, 60, 50);
            assert_eq!(
                (taken, done.unwrap_err().outcome),
                (expected(50).collect(), Outcome::Unexpected)
            );
        }
    }

    /// Gives back the rest of a job until nothing is left, and makes nothing of the first part
    /// before the last is made.
    struct TheOtherWayRound {
        made: mpsc::SyncSender<()>,
        last_made: Mutex<mpsc::Receiver<()>>,
        parts: usize,
    }

    impl Work for TheOtherWayRound {
        type Job = usize;
        type Output = usize;
        type Scratch = ();

        fn scratch(&self) -> Result<()> {
            Ok(())
        }

        fn work(&self, (): &mut (), part: usize, rest: Rest<usize, usize>) -> Result<usize> {
            match part + 1 < self.parts {
                true => rest.give(part + 1),
                false => self.made.send(()).unwrap(),
            }
            if part == 0 {
                let long = Duration::from_secs(60); // instead of waiting forever
                self.last_made.lock().unwrap().recv_timeout(long).unwrap();
            }
            Ok(part)
        }

        fn weight(_: &usize) -> usize {
            0
        }
    }

    #[test]
    fn two_workers_work_on_one_job() {
        let pool = Pool::start(2).unwrap();
        let (made, last_made) = mpsc::sync_channel(1);
        let work = Arc::new(TheOtherWayRound {
            made,
            last_made: Mutex::new(last_made),
            parts: 5,
        });
        let mut taken = Vec::new();
        ordered(&pool, 2, work, [Ok(0)].into_iter(), |part| {
            taken.push(part);
            Ok(())
        })
        .unwrap();
        assert_eq!(taken, [0, 1, 2, 3, 4]);
    }

    #[test]
    fn little_waits_to_be_taken_and_the_next_to_be_taken_never_does() {
        let line = Line::new(3).unwrap();
        let end = |number, weight| line.end(number, Ok((number, weight)));
        let begin = || line.state.lock().begin().map(|(number, ())| number);
        (0..3).for_each(|_| line.push(Ok(())));
        assert!(!line.has_room());
        assert_eq!((begin(), begin()), (Some(0), Some(1)));
        line.insert_behind(1, ()); // number 3
        assert_eq!((begin(), begin()), (Some(3), None));
        end(1, HELD_MAX);
        end(0, 1);
        assert!(matches!(line.take(), Some(Ok(0))));
        // Few have been begun, but what waits is heavy.
        assert_eq!(begin(), None);
        assert!(matches!(line.take(), Some(Ok(1))));
        assert_eq!((begin(), begin()), (Some(2), None));
        end(3, HELD_MAX);
        end(2, HELD_MAX);
        line.insert_behind(2, ()); // number 4
        assert_eq!(begin(), None);
        assert!(matches!(line.take(), Some(Ok(3))));
        assert!(matches!(line.take(), Some(Ok(2))));
        // Heavy or not, this is taken next.
        line.state.lock().held = HELD_MAX;
        assert_eq!(begin(), Some(4));
    }

    #[test]
    fn a_panic_of_who_takes_the_results_leaves_no_worker_behind() {
        let pool = Pool::start(3).unwrap();
        let work = Arc::new(Repeat {
            fails_at: usize::MAX,
            panics_at: usize::MAX,
        });
        let jobs = (0..100).map(|number| Ok((number, 0)));
        let taken = catch_unwind(AssertUnwindSafe(|| {
            ordered(&pool, 3, work, jobs, |_| resume_unwind(Box::new("taken")))
        }));
        assert!(taken.is_err());
        drop(pool); // which waits for them
    }

    #[test]
    fn an_error_in_the_jobs_comes_after_what_was_before_it() {
        let pool = Pool::start(2).unwrap();
        let mut taken = Vec::new();
        let jobs = (0..10).map(|number| Ok((3 * number, 0)));
        let done = ordered(
            &pool,
            2,
            Arc::new(Repeat {
                fails_at: 1000,
                panics_at: 1000,
            }),
            jobs.chain([Err(Error::canceled())]),
            |number| {
                taken.push(number);
                Ok(())
            },
        );
        assert_eq!(
            (taken.last(), done.unwrap_err().outcome),
            (Some(&27), Outcome::Canceled)
        );
    }
}
