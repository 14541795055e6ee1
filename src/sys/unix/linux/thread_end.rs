//! What a thread has to destroy when it ends.
//!
//! Rust leaves this to glibc, which ends the process where there is no memory for an entry. The
//! linker takes this in its place, for the library alone: others do not see it. An entry is dropped
//! where there is no memory for it, so that what it would destroy stays.

use std::alloc::{Layout, alloc, dealloc};
use std::arch::global_asm;
use std::sync::atomic::{AtomicU32, Ordering};

type Destroy = unsafe extern "C" fn(*mut libc::c_void);

/// Something that a thread destroys, and what it destroys after that.
struct Entry {
    destroy: Destroy,
    what: *mut libc::c_void,
    next: *mut Entry,
}

const ENTRY: Layout = Layout::new::<Entry>();

/// The key under which each thread has its first entry, and one more; 0 until there is one. No lock
/// makes it: a child that is forked meanwhile would wait for ever.
static FIRST: AtomicU32 = AtomicU32::new(0);

/// Gives that key; None where the system has no more keys.
fn first_key() -> Option<libc::pthread_key_t> {
    if let Some(key) = FIRST.load(Ordering::Acquire).checked_sub(1) {
        return Some(key);
    }
    let mut key = 0;
    // SAFETY: the key is written, and a thread calls `destroy_all` with an entry of its own.
    if unsafe { libc::pthread_key_create(&raw mut key, Some(destroy_all)) } != 0 {
        return None;
    }
    match FIRST.compare_exchange(0, key + 1, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => Some(key),
        Err(first) => {
            // SAFETY: nobody else knows this key.
            unsafe { libc::pthread_key_delete(key) };
            first.checked_sub(1)
        }
    }
}

global_asm!(
    ".globl __cxa_thread_atexit_impl",
    ".hidden __cxa_thread_atexit_impl",
    ".type __cxa_thread_atexit_impl,@function",
    "__cxa_thread_atexit_impl:",
    #[cfg(target_arch = "x86_64")]
    "jmp {remember}",
    #[cfg(target_arch = "aarch64")]
    "b {remember}",
    ".size __cxa_thread_atexit_impl, . - __cxa_thread_atexit_impl",
    remember = sym remember,
);

/// Has `destroy` called with `what` when this thread ends, perhaps after Rust has taken its own leave
/// of the thread: `destroy` must not ask for the present thread. Gives 0, as glibc does.
///
/// # Safety
/// Nobody else destroys it.
unsafe extern "C" fn remember(destroy: Destroy, what: *mut libc::c_void) -> libc::c_int {
    let Some(first) = first_key() else { return 0 };
    // SAFETY: the entry is this thread's own, whole before it is the first, and nobody's where it
    // can't be.
    unsafe {
        let entry = alloc(ENTRY).cast::<Entry>();
        if entry.is_null() {
            return 0;
        }
        let next = libc::pthread_getspecific(first).cast();
        entry.write(Entry {
            destroy,
            what,
            next,
        });
        if libc::pthread_setspecific(first, entry.cast()) != 0 {
            dealloc(entry.cast(), ENTRY);
        }
    }
    0
}

/// Destroys what this thread has remembered, the last first. What is remembered meanwhile gets a
/// call of its own.
unsafe extern "C" fn destroy_all(first: *mut libc::c_void) {
    let mut next = first.cast::<Entry>();
    while !next.is_null() {
        // SAFETY: `remember` made the entry, and left it to this thread.
        unsafe {
            let entry = next.read();
            dealloc(next.cast(), ENTRY);
            (entry.destroy)(entry.what);
            next = entry.next;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::sync::Arc;
    use std::thread;

    #[test]
    fn what_a_thread_has_is_destroyed_when_it_ends() {
        thread_local! {
            static HELD: RefCell<Option<Arc<()>>> = const { RefCell::new(None) };
            static OTHER: RefCell<Vec<Arc<()>>> = const { RefCell::new(Vec::new()) };
        }
        let held = Arc::new(());
        for _ in 0..3 {
            let (one, other) = (Arc::clone(&held), Arc::clone(&held));
            let holds = move || {
                HELD.set(Some(one));
                OTHER.with_borrow_mut(|all| all.push(other));
            };
            thread::spawn(holds).join().unwrap();
            assert_eq!(Arc::strong_count(&held), 1);
        }
    }
}
