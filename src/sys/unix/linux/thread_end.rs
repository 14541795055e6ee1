//! What a thread has to destroy when it ends.
//!
//! Rust leaves this to glibc, which ends the process where there is no memory for an entry. The
//! linker takes this in its place, for the library alone: others do not see it. An entry is dropped
//! where there is no memory for it, so that what it would destroy stays.

use std::alloc::{Layout, alloc, dealloc};
use std::arch::global_asm;
use std::sync::LazyLock;

type Destroy = unsafe extern "C" fn(*mut libc::c_void);

/// Something that a thread destroys, and what it destroys after that.
struct Entry {
    destroy: Destroy,
    what: *mut libc::c_void,
    next: *mut Entry,
}

const ENTRY: Layout = Layout::new::<Entry>();

/// The key under which each thread has its first entry; None where the system has no more keys.
static FIRST: LazyLock<Option<libc::pthread_key_t>> = LazyLock::new(|| {
    let mut key = 0;
    // SAFETY: the key is written, and a thread calls `destroy_all` with an entry of its own.
    let error = unsafe { libc::pthread_key_create(&raw mut key, Some(destroy_all)) };
    (error == 0).then_some(key)
});

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

/// Has `destroy` called with `what` when this thread ends.
///
/// # Safety
/// Nobody else destroys it.
unsafe extern "C" fn remember(destroy: Destroy, what: *mut libc::c_void) {
    let Some(first) = *FIRST else { return };
    // SAFETY: the entry is this thread's own, whole before it is the first, and nobody's where it
    // can't be.
    unsafe {
        let entry = alloc(ENTRY).cast::<Entry>();
        if entry.is_null() {
            return;
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
