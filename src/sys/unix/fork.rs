//! Tells a forked child from the process that it was forked from, and notes what was in use at the
//! fork.

use std::ptr::NonNull;
use std::sync::Mutex;
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicUsize, Ordering};

use super::streams::Streams;
use super::system::process::cleared_on_fork;

/// A mark made in one process, and [gone](HomeMark::is_home) in each child forked from it.
///
/// The mark is a page that the kernel clears in a child, so that looking is one load: `getpid` has
/// been a system call since glibc 2.25. Where the kernel has no such page, the process ID is
/// compared.
pub struct HomeMark {
    page: Option<NonNull<AtomicU32>>,
    process: u32,
    /// The standard streams that the process lacks. A child has a lock of its own, which nobody
    /// holds.
    pub streams: Mutex<Streams>,
}

// SAFETY: the page is never unmapped and is touched through an atomic only.
unsafe impl Send for HomeMark {}
// SAFETY: as above.
unsafe impl Sync for HomeMark {}

/// Gives the mark of this process. It takes no lock, and is never freed: a child makes its own.
pub fn home() -> &'static HomeMark {
    static MARK: AtomicPtr<HomeMark> = AtomicPtr::new(std::ptr::null_mut());
    loop {
        let found = MARK.load(Ordering::Acquire);
        // SAFETY: a mark that was published is never freed.
        if let Some(mark) = unsafe { found.as_ref() }.filter(|mark| mark.is_home()) {
            return mark;
        }
        let new = Box::into_raw(Box::new(HomeMark::new()));
        let published = MARK.compare_exchange(found, new, Ordering::AcqRel, Ordering::Acquire);
        if published.is_err() {
            // SAFETY: another thread was faster, and nobody has seen this one.
            drop(unsafe { Box::from_raw(new) });
        }
    }
}

impl HomeMark {
    /// Marks this process. The page is never given back: marks live as long as the process.
    fn new() -> HomeMark {
        HomeMark {
            page: cleared_on_fork(),
            process: std::process::id(),
            streams: Mutex::default(),
        }
    }

    /// Tells whether this is the process that made the mark.
    pub fn is_home(&self) -> bool {
        match self.page {
            // SAFETY: the page is mapped for as long as the process lives, and holds an aligned
            // u32.
            Some(page) => unsafe { page.as_ref() }.load(Ordering::Relaxed) != 0,
            None => self.process == std::process::id(),
        }
    }
}

/// Counts the uses of something that has locks of its own. A child that is forked while one of them
/// is held finds it locked for ever, so there the thing can't be used any more.
///
/// The counting takes no lock itself, for the same reason.
pub struct Uses(AtomicPtr<UseCount>);

/// The count of one process. It is never freed: a child makes its own.
struct UseCount {
    home: &'static HomeMark,
    uses: AtomicUsize,
    /// The process was forked in the middle of a use.
    is_stuck: bool,
}

/// One use, which lasts until this is dropped.
pub struct Use(&'static UseCount);

/// The error of a process that was forked in the middle of a use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stuck;

impl Uses {
    pub const fn new() -> Uses {
        Uses(AtomicPtr::new(std::ptr::null_mut()))
    }

    /// Begins a use.
    pub fn begin(&self) -> Result<Use, Stuck> {
        let count = self.own_count();
        if count.is_stuck {
            return Err(Stuck);
        }
        // A child that sees anything of the use sees this too: the strongest order, on both sides
        // of it.
        count.uses.fetch_add(1, Ordering::SeqCst);
        std::sync::atomic::fence(Ordering::SeqCst);
        Ok(Use(count))
    }

    fn own_count(&self) -> &'static UseCount {
        loop {
            let found = self.0.load(Ordering::Acquire);
            // SAFETY: a count that was published is never freed.
            let inherited: Option<&'static UseCount> = unsafe { found.as_ref() };
            if let Some(count) = inherited.filter(|count| count.home.is_home()) {
                return count;
            }
            let is_stuck = inherited
                .is_some_and(|count| count.is_stuck || count.uses.load(Ordering::SeqCst) != 0);
            let new = Box::into_raw(Box::new(UseCount {
                home: home(),
                uses: AtomicUsize::new(0),
                is_stuck,
            }));
            let published =
                self.0
                    .compare_exchange(found, new, Ordering::AcqRel, Ordering::Acquire);
            if published.is_err() {
                // SAFETY: another thread was faster, and nobody has seen this one.
                drop(unsafe { Box::from_raw(new) });
            }
        }
    }
}

impl Drop for Use {
    fn drop(&mut self) {
        self.0.uses.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::{HomeMark, Mutex, Stuck, Uses};

    /// Tells whether `test` holds in a forked child.
    fn holds_in_a_child(test: impl FnOnce() -> bool) -> bool {
        // SAFETY: the child does nothing but run the test, which takes no locks, and leave.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let code = i32::from(!test());
            // SAFETY: ends the child without running what the test harness registered.
            unsafe { libc::_exit(code) };
        }
        let mut status = -1;
        // SAFETY: waits for the child made above.
        unsafe { libc::waitpid(child, &mut status, 0) };
        status == 0
    }

    #[test]
    fn a_child_forked_in_the_middle_of_a_use_is_stuck() {
        static USES: Uses = Uses::new();
        let ours = || USES.begin().is_ok();
        let stuck = || USES.begin().err() == Some(Stuck);
        assert!(holds_in_a_child(ours), "before the first use");
        drop(USES.begin());
        assert!(holds_in_a_child(ours), "between two");
        let held = (USES.begin(), USES.begin());
        assert!(held.0.is_ok() && held.1.is_ok());
        assert!(holds_in_a_child(stuck), "two at once");
        drop(held.0);
        assert!(holds_in_a_child(stuck), "one of them");
        assert!(
            holds_in_a_child(|| stuck() && holds_in_a_child(stuck)),
            "a child's child"
        );
        assert!(ours(), "the process itself");
        drop(held.1);
        assert!(holds_in_a_child(ours), "after the last use");
        assert!(
            holds_in_a_child(|| {
                let held = USES.begin();
                held.is_ok() && holds_in_a_child(stuck)
            }),
            "a child that uses it itself"
        );
    }

    #[test]
    fn a_child_is_not_home() {
        let by_page = HomeMark::new();
        let by_process = HomeMark {
            page: None,
            process: by_page.process,
            streams: Mutex::default(),
        };
        assert!(by_page.is_home() && by_process.is_home());
        assert!(holds_in_a_child(
            || !by_page.is_home() && !by_process.is_home()
        ));
    }
}
