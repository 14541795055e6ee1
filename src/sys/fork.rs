//! Tells a forked child from the process that it was forked from.

use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

/// Made in one process, and [gone](HomeMark::is_home) in each child forked from it.
///
/// The mark is a page that the kernel clears in a child, so that looking is one load: `getpid` has
/// been a system call since glibc 2.25. Kernels before Linux 4.14 have no such page; there the
/// process ID is compared.
pub struct HomeMark {
    page: Option<NonNull<AtomicU32>>,
    process: u32,
}

// SAFETY: the page is never unmapped and is touched through an atomic only.
unsafe impl Send for HomeMark {}
// SAFETY: as above.
unsafe impl Sync for HomeMark {}

impl HomeMark {
    /// Marks this process. The page is never given back: marks live as long as the process.
    pub fn new() -> HomeMark {
        HomeMark {
            page: cleared_on_fork(),
            process: std::process::id(),
        }
    }

    /// Whether this is the process that made the mark.
    pub fn is_home(&self) -> bool {
        match self.page {
            // SAFETY: the page is mapped for as long as the process lives, and holds an aligned
            // u32.
            Some(page) => unsafe { page.as_ref() }.load(Ordering::Relaxed) != 0,
            None => self.process == std::process::id(),
        }
    }
}

fn cleared_on_fork() -> Option<NonNull<AtomicU32>> {
    use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous, munmap};
    let length = 4096;
    // SAFETY: a new private mapping at an address that the kernel chooses touches nothing that
    // exists.
    let page = unsafe {
        mmap_anonymous(
            std::ptr::null_mut(),
            length,
            ProtFlags::READ | ProtFlags::WRITE,
            MapFlags::PRIVATE,
        )
    }
    .ok()?;
    // SAFETY: the range is the mapping just made, and clearing it in a child is what it is for.
    if unsafe { madvise(page, length, Advice::LinuxWipeOnFork) }.is_err() {
        // SAFETY: the mapping is ours and nobody else knows of it.
        let _ = unsafe { munmap(page, length) };
        return None;
    }
    let mark = NonNull::new(page.cast::<AtomicU32>())?;
    // SAFETY: a page is aligned for a u32, and zeros are one.
    unsafe { mark.as_ref() }.store(1, Ordering::Relaxed);
    Some(mark)
}

#[cfg(test)]
mod tests {
    use super::HomeMark;

    #[test]
    fn a_child_is_not_home() {
        let by_page = HomeMark::new();
        let by_process = HomeMark {
            page: None,
            process: by_page.process,
        };
        assert!(by_page.is_home() && by_process.is_home());
        // SAFETY: the child does nothing but compare and leave.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let away = !by_page.is_home() && !by_process.is_home();
            // SAFETY: ends the child without running what the test harness registered.
            unsafe { libc::_exit(i32::from(!away)) };
        }
        let mut status = -1;
        // SAFETY: waits for the child made above.
        unsafe { libc::waitpid(child, &mut status, 0) };
        assert_eq!(status, 0);
    }
}
