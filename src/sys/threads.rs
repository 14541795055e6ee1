//! The only place where threads are made.
//!
//! They are POSIX threads and not `std::thread`s: a refused thread is an outcome of the call, every
//! signal is blocked so that the host's handlers never run on our threads, and a file-size limit is
//! an error rather than the end of the host.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// No memory or no thread to be had.
#[derive(Debug)]
pub struct Refused;

type Task = Box<dyn FnOnce() + Send>;

/// A running thread. It is joined, or dropped and then goes on alone until its task ends.
#[derive(Debug)]
pub struct Thread {
    id: libc::pthread_t,
}

// SAFETY: a pthread_t may be joined or detached from any thread.
unsafe impl Send for Thread {}
// SAFETY: it is only used by value.
unsafe impl Sync for Thread {}

impl Thread {
    /// Runs `task` on a new thread. A panic in the task ends the thread, nothing else.
    pub fn start(task: impl FnOnce() + Send + 'static) -> Result<Thread, Refused> {
        super::static_tls::keep();
        let task: *mut Task = Box::into_raw(Box::new(Box::new(task)));
        let created = with_signals_blocked(|| {
            let mut id: libc::pthread_t = 0;
            // With the host's own default for the stack, since functions of the host run on it.
            // SAFETY: `id` is written and `run` takes the task over.
            let error =
                unsafe { libc::pthread_create(&mut id, std::ptr::null(), run, task.cast()) };
            (error == 0).then_some(id)
        });
        created.map(|id| Thread { id }).ok_or_else(|| {
            // SAFETY: no thread was made, so the task is still ours.
            drop(unsafe { Box::from_raw(task) });
            Refused
        })
    }

    /// Waits until the thread has ended.
    pub fn join(self) {
        // SAFETY: the thread is neither joined nor detached yet: both consume the value.
        unsafe { libc::pthread_join(self.id, std::ptr::null_mut()) };
        std::mem::forget(self);
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        // SAFETY: as in `join`.
        unsafe { libc::pthread_detach(self.id) };
    }
}

extern "C" fn run(task: *mut libc::c_void) -> *mut libc::c_void {
    // SAFETY: `start` made the box and leaves it to this thread.
    let task = unsafe { Box::from_raw(task.cast::<Task>()) };
    // The task tells of its own panics; none may leave the thread.
    let _ = catch_unwind(AssertUnwindSafe(task));
    std::ptr::null_mut()
}

/// A new thread inherits the mask of the one that makes it.
fn with_signals_blocked<T>(make: impl FnOnce() -> T) -> T {
    // SAFETY: the sets are initialised by the calls that fill them, and the caller's mask is put
    // back.
    unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        let mut before: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &all, &mut before);
        let made = make();
        libc::pthread_sigmask(libc::SIG_SETMASK, &before, std::ptr::null_mut());
        made
    }
}

#[cfg(test)]
mod tests {
    use super::Thread;

    #[test]
    fn a_thread_runs_its_task_with_signals_blocked() {
        let (sender, receiver) = crate::sys::channel::bounded(1).unwrap();
        let thread = Thread::start(move || {
            // SAFETY: reads the mask of this thread.
            let blocked = unsafe {
                let mut mask: libc::sigset_t = std::mem::zeroed();
                libc::pthread_sigmask(libc::SIG_BLOCK, std::ptr::null(), &mut mask);
                libc::sigismember(&mask, libc::SIGXFSZ) == 1
                    && libc::sigismember(&mask, libc::SIGTERM) == 1
            };
            sender.send(blocked).unwrap();
        });
        assert!(receiver.recv().unwrap());
        thread.unwrap().join();
    }

    #[test]
    fn a_panic_ends_the_thread_and_nothing_else() {
        Thread::start(|| panic!("caught")).unwrap().join();
    }
}
