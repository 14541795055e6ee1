//! Workers, and the one way in which a story uses them: work is done in any order, and taken in
//! order.

use std::collections::VecDeque;
use std::iter::from_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::sync::channel::{Receiver, Sender, bounded};
use crate::sys::threads::Thread;

/// Pieces of a job that may wait until those of earlier jobs have been taken, and the same for all
/// jobs together. Jobs of many times that many pieces make the workers take turns instead of
/// working at once.
const AHEAD: usize = 8;
const ALL_AHEAD: usize = 256;

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

    fn work(
        &self,
        scratch: &mut Self::Scratch,
        job: Self::Job,
        outlet: &Outlet<Self::Output>,
    ) -> Result<()>;
}

/// Takes what a worker makes of a job: any number of pieces, which are passed on in the order of
/// the jobs.
pub struct Outlet<T>(Sender<Result<T>>);

impl<T> Outlet<T> {
    /// Sends a piece; waits while several pieces before it are still to be taken.
    pub fn send(&self, piece: T) -> Result<()> {
        // No receiver is left: the operation has failed elsewhere, and that error is told.
        self.0.send(Ok(piece)).map_err(|_| Error::canceled())
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
    let under_way = 2 * workers + 1;
    let ahead = (ALL_AHEAD / under_way).clamp(1, AHEAD);
    let (sender, receiver) = bounded::<(W::Job, Outlet<W::Output>)>(under_way);
    let receiver = Arc::new(receiver);
    let (leaving, all_left) = bounded::<()>(1);
    for _ in 0..workers {
        let (work, receiver) = (Arc::clone(&work), Arc::clone(&receiver));
        let leaving = leaving.clone();
        pool.run(move || {
            do_jobs(work.as_ref(), &receiver);
            drop((receiver, work));
            drop(leaving);
        })?;
    }
    drop((receiver, leaving));
    let mut outputs = VecDeque::new();
    let mut take_all = || loop {
        while outputs.len() < under_way {
            let Some(job) = jobs.next() else { break };
            let (outlet, output) = bounded(ahead);
            match job {
                Ok(job) => drop(sender.send((job, Outlet(outlet)))),
                Err(error) => drop(outlet.send(Err(error))),
            }
            outputs.push_back(output);
        }
        let Some(output) = outputs.pop_front() else {
            return Ok(());
        };
        for piece in output {
            take(piece?)?;
        }
    };
    let done = take_all();
    // Workers that are still busy find nobody to give their pieces to. When this returns no worker
    // is busy any more, and what the workers shared is the caller's alone.
    drop((sender, outputs));
    let _ = all_left.recv();
    done
}

fn do_jobs<W: Work>(work: &W, jobs: &Receiver<(W::Job, Outlet<W::Output>)>) {
    let mut scratch = None;
    for (job, outlet) in from_fn(|| jobs.recv()) {
        let done = catch_unwind(AssertUnwindSafe(|| {
            let scratch = match &mut scratch {
                Some(scratch) => scratch,
                none => none.insert(work.scratch()?),
            };
            work.work(scratch, job, &outlet)
        }));
        let done = done.unwrap_or_else(|panic| {
            scratch = None;
            Err(Error::panicked(panic.as_ref()))
        });
        if let Err(error) = done {
            // The receiver may be gone; then another error was first.
            let _ = outlet.0.send(Err(error));
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

    /// Gives back each number `number % 3` times, the later the sooner; fails or panics at one.
    struct Repeat {
        fails_at: usize,
        panics_at: usize,
    }

    impl Work for Repeat {
        type Job = usize;
        type Output = usize;
        type Scratch = ();

        fn scratch(&self) -> Result<()> {
            Ok(())
        }

        fn work(&self, (): &mut (), number: usize, outlet: &Outlet<usize>) -> Result<()> {
            std::thread::sleep(Duration::from_micros(400 - 4 * number as u64));
            if number == self.panics_at {
                resume_unwind(Box::new("on purpose")); // a panic without a word
            }
            for _ in 0..number % 3 {
                outlet.send(number)?;
            }
            if number == self.fails_at {
                Err(Error::new(Outcome::Fail, number.to_string()))
            } else {
                Ok(())
            }
        }
    }

    fn run(workers: usize, fails_at: usize, panics_at: usize) -> (Vec<usize>, Result<()>) {
        let pool = Pool::start(workers).unwrap();
        let mut taken = Vec::new();
        let work = Arc::new(Repeat {
            fails_at,
            panics_at,
        });
        let done = ordered(&pool, workers, work, (0..100).map(Ok), |number| {
            taken.push(number);
            Ok(())
        });
        (taken, done)
    }

    #[test]
    fn what_is_made_comes_in_order_up_to_the_first_error() {
        let expected = |end: usize| (0..end).flat_map(|n| vec![n; n % 3]).collect::<Vec<_>>();
        for workers in [1, 2, 7] {
            let (taken, done) = run(workers, 1000, 1000);
            assert!(done.is_ok());
            assert_eq!(taken, expected(100));
            let (taken, done) = run(workers, 50, 1000);
            assert_eq!((taken, done.unwrap_err().sentence()), (expected(51), "50"));
            let (taken, done) = run(workers, 60, 50);
            assert_eq!(
                (taken, done.unwrap_err().outcome),
                (expected(50), Outcome::Unexpected)
            );
        }
    }

    /// Makes all pieces of the second job before the first piece of the first.
    struct TheOtherWayRound {
        made: mpsc::SyncSender<()>,
        all_made: Mutex<mpsc::Receiver<()>>,
    }

    impl Work for TheOtherWayRound {
        type Job = usize;
        type Output = usize;
        type Scratch = ();

        fn scratch(&self) -> Result<()> {
            Ok(())
        }

        fn work(&self, (): &mut (), number: usize, outlet: &Outlet<usize>) -> Result<()> {
            if number == 0 {
                let long = Duration::from_secs(60); // instead of waiting forever
                self.all_made.lock().unwrap().recv_timeout(long).unwrap();
            }
            (0..AHEAD).try_for_each(|_| outlet.send(number))?;
            self.made.send(()).unwrap();
            Ok(())
        }
    }

    #[test]
    fn workers_do_not_wait_for_each_other() {
        let pool = Pool::start(2).unwrap();
        let (made, all_made) = mpsc::sync_channel(2);
        let all_made = Mutex::new(all_made);
        let work = Arc::new(TheOtherWayRound { made, all_made });
        let mut taken = Vec::new();
        ordered(&pool, 2, work, (0..2).map(Ok), |number| {
            taken.push(number);
            Ok(())
        })
        .unwrap();
        assert_eq!(taken, [[0; AHEAD], [1; AHEAD]].concat());
    }

    #[test]
    fn an_error_in_the_jobs_comes_after_what_was_before_it() {
        let pool = Pool::start(2).unwrap();
        let mut taken = Vec::new();
        let jobs = (0..10).map(Ok).chain([Err(Error::canceled())]);
        let done = ordered(
            &pool,
            2,
            Arc::new(Repeat {
                fails_at: 1000,
                panics_at: 1000,
            }),
            jobs,
            |number| {
                taken.push(number);
                Ok(())
            },
        );
        assert_eq!(
            (taken.last(), done.unwrap_err().outcome),
            (Some(&8), Outcome::Canceled)
        );
    }
}
