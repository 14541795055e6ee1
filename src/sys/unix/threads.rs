//! The only place where threads are made.
//!
//! They are POSIX threads and not `std::thread`s: a refused thread is an outcome of the call.
//! Signals are blocked, so that the host's handlers never run on our threads, and a file-size limit
//! is an error rather than the end of the host. Signals that a fault raises are not blocked: a
//! host's crash handler or sandbox takes them wherever they come. Nobody cancels the threads, since
//! functions of the host run on them.

use std::cell::Cell;
use std::ffi::CStr;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::system::process::{end_thread, name_thread};

/// The error that no memory or no thread is available.
#[derive(Debug)]
pub struct Refused;

type Task = Box<dyn FnOnce() + Send>;

/// A running thread. It is joined; or it is dropped and goes on alone until its task ends.
#[derive(Debug)]
pub struct Thread {
    id: libc::pthread_t,
}

// SAFETY: a pthread_t may be joined or detached from any thread.
unsafe impl Send for Thread {}
// SAFETY: it is only used by value.
unsafe impl Sync for Thread {}

/// The smallest stack of a thread, in bytes: whatever limit the host has set, a database's schema
/// or a function of the host may need as much.
const STACK_MIN: usize = 1 << 20;

/// The signals that a fault raises on the thread that commits it.
const FAULTS: [libc::c_int; 7] = [
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGFPE,
    libc::SIGILL,
    libc::SIGTRAP,
    libc::SIGSYS,
    libc::SIGABRT,
];

impl Thread {
    /// Runs `task` on a new thread. A panic in the task ends only the thread.
    pub fn start(task: impl FnOnce() + Send + 'static) -> Result<Thread, Refused> {
        super::system::static_tls::keep();
        let task: *mut Task = Box::into_raw(Box::new(Box::new(task)));
        let created = with_signals_blocked(|| create(task));
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

/// Makes a thread that runs `task`; None where no thread is available, and the task stays the
/// caller's.
fn create(task: *mut Task) -> Option<libc::pthread_t> {
    // SAFETY: the attributes are initialised before they are used and destroyed after, the thread's
    // ID, which is a number or a pointer, is written, and `run` takes the task over.
    unsafe {
        let mut id: libc::pthread_t = std::mem::zeroed();
        let (mut attributes, mut stack): (libc::pthread_attr_t, usize) = std::mem::zeroed();
        if libc::pthread_attr_init(&raw mut attributes) != 0 {
            return None;
        }
        // The host's own default is taken if it is larger, since functions of the host run on the
        // thread.
        libc::pthread_attr_getstacksize(&raw const attributes, &raw mut stack);
        libc::pthread_attr_setstacksize(&raw mut attributes, stack.max(STACK_MIN));
        let error = libc::pthread_create(&raw mut id, &raw const attributes, run, task.cast());
        libc::pthread_attr_destroy(&raw mut attributes);
        (error == 0).then_some(id)
    }
}

thread_local! {
    static IS_OURS: Cell<bool> = const { Cell::new(false) };
}

/// Ends this thread, if it was started here, without unwinding its stack. As a rule it is the last
/// thread of a forked child, which then ends with it.
pub fn end_if_ours() {
    while IS_OURS.get() {
        end_thread(libc::EXIT_FAILURE);
    }
}

/// The name of the library's threads in debuggers and `top -H`.
const NAME: &CStr = c"licbak";

extern "C" fn run(task: *mut libc::c_void) -> *mut libc::c_void {
    name_thread(NAME);
    IS_OURS.set(true);
    let _uncancelled = super::cancelling::off();
    // SAFETY: `start` made the box and leaves it to this thread.
    let task = unsafe { Box::from_raw(task.cast::<Task>()) };
    // The task reports its own panics; none may leave the thread.
    let _ = catch_unwind(AssertUnwindSafe(task));
    std::ptr::null_mut()
}

/// Calls `make` with signals blocked: a new thread inherits the mask of the one that makes it.
fn with_signals_blocked<T>(make: impl FnOnce() -> T) -> T {
    // SAFETY: the sets are initialised by the calls that fill them, and the caller's mask is put
    // back.
    unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        let mut before: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&mut all);
        for signal in FAULTS {
            libc::sigdelset(&mut all, signal);
        }
        libc::pthread_sigmask(libc::SIG_SETMASK, &all, &mut before);
        let made = make();
        libc::pthread_sigmask(libc::SIG_SETMASK, &before, std::ptr::null_mut());
        made
    }
}

#[cfg(test)]
mod tests {
    use std::panic::resume_unwind; // panics without a word

    use super::{FAULTS, Thread};

    #[test]
    fn a_thread_runs_its_task_with_all_signals_blocked_but_those_of_faults() {
        let (sender, receiver) = std::sync::mpsc::channel();
        let thread = Thread::start(move || {
            // SAFETY: reads the mask of this thread.
            let is_right = unsafe {
                let mut mask: libc::sigset_t = std::mem::zeroed();
                libc::pthread_sigmask(libc::SIG_BLOCK, std::ptr::null(), &mut mask);
                let is_blocked = |signal| libc::sigismember(&mask, signal) == 1;
                is_blocked(libc::SIGXFSZ)
                    && is_blocked(libc::SIGTERM)
                    && !FAULTS.into_iter().any(is_blocked)
            };
            sender.send(is_right).unwrap();
        });
        assert!(receiver.recv().unwrap());
        thread.unwrap().join();
    }

    #[test]
    fn a_panic_ends_the_thread_and_nothing_else() {
        Thread::start(|| resume_unwind(Box::new("caught")))
            .unwrap()
            .join();
    }
}
