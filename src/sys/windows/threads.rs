//! The only place where threads are made.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;
use std::thread::{Builder, JoinHandle};

use windows_sys::Win32::System::LibraryLoader::{
    GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS, GET_MODULE_HANDLE_EX_FLAG_PIN, GetModuleHandleExW,
};

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
        stay_loaded();
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

/// Keeps the library in the process, whatever the host does: a thread that has told its end has
/// still some steps to go in it.
fn stay_loaded() {
    static ONCE: Once = Once::new();
    let how = GET_MODULE_HANDLE_EX_FLAG_PIN | GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS;
    ONCE.call_once(|| {
        let (own, mut library) = (stay_loaded as *const u16, std::ptr::null_mut());
        // SAFETY: the address is one in this library, and `library` is a place for the result.
        unsafe { GetModuleHandleExW(how, own, &raw mut library) };
    });
}

/// Does nothing: no child is forked that could go on on a thread of ours.
pub fn end_if_ours() {}
