//! The only place where threads are made.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::{Builder, JoinHandle};

/// The error that no memory or no thread is available.
#[derive(Debug)]
pub struct Refused;

/// A running thread. It is joined; or it is dropped and goes on alone until its task ends.
#[derive(Debug)]
pub struct Thread(JoinHandle<()>);

/// The stack of a thread, in bytes: a database's schema or a function of the host may need as much.
const STACK: usize = 8 << 20;

impl Thread {
    /// Runs `task` on a new thread. A panic in the task ends only the thread.
    pub fn start(task: impl FnOnce() + Send + 'static) -> Result<Thread, Refused> {
        let named = Builder::new().name("licbak".to_owned()).stack_size(STACK);
        // The task reports its own panics; none may leave the thread.
        let caught = || drop(catch_unwind(AssertUnwindSafe(task)));
        named.spawn(caught).map(Thread).map_err(|_| Refused)
    }

    /// Waits until the thread has ended.
    pub fn join(self) {
        let _ = self.0.join();
    }
}

/// Does nothing: no child is forked that could go on on a thread of ours.
pub fn end_if_ours() {}
