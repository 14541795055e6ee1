//! An allocator with a reserve: where the system has no memory left, small requests are served from
//! a static pool. The operation at work notices that, and ends with an error that itself needs a
//! little memory.
//!
//! Rust's collections end the process when an allocation fails. So large buffers are asked for with
//! `try_reserve`, data made from a hostile content is bounded, and small things (a sentence, a
//! path, a licence's name) come from here. An operation compares [`used`] at its steps with the
//! value at its beginning, so that it fails as out of memory long before the pool is empty.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts the requests that reached the reserve since the library was loaded.
pub fn used() -> usize {
    DRAWN.load(Ordering::Relaxed)
}

#[global_allocator]
static ALLOCATOR: Reserving = Reserving;

/// The largest request served; larger ones come from code that can live with a refusal.
const LARGEST: usize = 128 * 1024;
/// The number of slabs in the pool. Each is whole again when its last block has been returned, so a
/// long-lived block costs only its own slab.
const SLABS: usize = 32;
const POOL_SIZE: usize = SLABS * LARGEST;

#[repr(align(4096))]
struct Pool(UnsafeCell<[u8; POOL_SIZE]>);

// SAFETY: each byte is handed out at most once between two resets of its slab, through the atomic
// cursor.
unsafe impl Sync for Pool {}

static POOL: Pool = Pool(UnsafeCell::new([0; POOL_SIZE]));
/// The state of each slab: the low bits tell where its free part begins, the high ones how many
/// blocks are in use. It is one atomic, so that the cursor goes back to the start in the same step
/// in which the last block is returned.
static SLAB_STATES: [AtomicUsize; SLABS] = [const { AtomicUsize::new(0) }; SLABS];
static DRAWN: AtomicUsize = AtomicUsize::new(0);

const CURSOR_BITS: u32 = 18;
const CURSOR_MASK: usize = (1 << CURSOR_BITS) - 1;
const ONE_BLOCK: usize = 1 << CURSOR_BITS;

struct Reserving;

// SAFETY: memory comes from the system's allocator, or from a part of the pool that is handed out
// once.
unsafe impl GlobalAlloc for Reserving {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise, passed on.
        let memory = unsafe { System.alloc(layout) };
        if memory.is_null() {
            draw(layout)
        } else {
            memory
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise, passed on.
        let memory = unsafe { System.alloc_zeroed(layout) };
        if !memory.is_null() {
            return memory;
        }
        let memory = draw(layout);
        if !memory.is_null() {
            // SAFETY: the block was just handed out with this size.
            unsafe { memory.write_bytes(0, layout.size()) };
        }
        memory
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        if is_ours(memory) {
            put_back(memory);
        } else {
            // SAFETY: the caller's promise, passed on: memory that is not from the pool is from the
            // system.
            unsafe { System.dealloc(memory, layout) };
        }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        if !is_ours(memory) {
            // SAFETY: as above.
            let moved = unsafe { System.realloc(memory, layout, new_size) };
            if !moved.is_null() {
                return moved;
            }
        }
        // SAFETY: the size was rounded and checked by the caller, the alignment is unchanged.
        let new_layout = unsafe { Layout::from_size_align_unchecked(new_size, layout.align()) };
        // SAFETY: both blocks are alive and distinct, and the shorter length is copied.
        unsafe {
            let moved = self.alloc(new_layout);
            if !moved.is_null() {
                moved.copy_from_nonoverlapping(memory, layout.size().min(new_size));
                self.dealloc(memory, layout);
            }
            moved
        }
    }
}

fn is_ours(memory: *mut u8) -> bool {
    let start = POOL.0.get() as usize;
    (start..start + POOL_SIZE).contains(&(memory as usize))
}

fn draw(layout: Layout) -> *mut u8 {
    DRAWN.fetch_add(1, Ordering::Relaxed);
    if layout.size() > LARGEST || layout.align() > 4096 {
        return std::ptr::null_mut();
    }
    let slabs = SLAB_STATES.iter().enumerate();
    let mut found = slabs.filter_map(|(slab, state)| Some(slab * LARGEST + take(state, layout)?));
    found.next().map_or(std::ptr::null_mut(), |start| {
        // SAFETY: the block lies in the pool, and was given to this caller alone.
        unsafe { POOL.0.get().cast::<u8>().add(start) }
    })
}

/// Takes a block from the slab with this state, and gives the place where it begins; None where it
/// does not fit.
fn take(slab: &AtomicUsize, layout: Layout) -> Option<usize> {
    let mut state = slab.load(Ordering::Relaxed);
    loop {
        let start = (state & CURSOR_MASK).next_multiple_of(layout.align());
        // A block has one byte at least, so that none begins where its slab ends.
        let end = start + layout.size().max(1);
        if end > LARGEST {
            return None;
        }
        let next = ((state & !CURSOR_MASK) + ONE_BLOCK) | end;
        match slab.compare_exchange_weak(state, next, Ordering::AcqRel, Ordering::Relaxed) {
            Ok(_) => return Some(start),
            Err(now) => state = now,
        }
    }
}

fn put_back(memory: *mut u8) {
    let slab = (memory as usize - POOL.0.get() as usize) / LARGEST;
    let Some(slab) = SLAB_STATES.get(slab) else {
        return;
    };
    let mut state = slab.load(Ordering::Relaxed);
    loop {
        let left = (state & !CURSOR_MASK) - ONE_BLOCK;
        let next = if left == 0 {
            0
        } else {
            left | (state & CURSOR_MASK)
        };
        match slab.compare_exchange_weak(state, next, Ordering::AcqRel, Ordering::Relaxed) {
            Ok(_) => return,
            Err(now) => state = now,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The only test, since there is only one pool.
    #[test]
    fn the_pool_serves_small_requests_and_is_whole_again_afterwards() {
        let small = Layout::from_size_align(1000, 64).unwrap();
        let before = used();
        let blocks: Vec<_> = (0..500).map(|_| draw(small)).collect();
        assert_eq!(used(), before + 500);
        assert!(
            blocks
                .iter()
                .all(|block| !block.is_null() && block.align_offset(64) == 0 && is_ours(*block))
        );
        let mut sorted = blocks.clone();
        sorted.sort();
        assert!(
            sorted
                .windows(2)
                .all(|pair| pair[0] as usize + 1000 <= pair[1] as usize)
        );
        assert!(draw(Layout::from_size_align(LARGEST + 1, 1).unwrap()).is_null());

        // SAFETY: the block came from the pool with this layout.
        let grown = unsafe { ALLOCATOR.realloc(blocks[0], small, 5000) };
        assert!(!grown.is_null() && !is_ours(grown));
        // SAFETY: as allocated above.
        unsafe { ALLOCATOR.dealloc(grown, Layout::from_size_align(5000, 64).unwrap()) };
        assert!(
            blocks[1..]
                .iter()
                .any(|block| slab_of(*block) != slab_of(blocks[0]))
        );

        // A block that stays in use leaves the rest of the pool to others, however often they come.
        blocks[2..].iter().for_each(|block| put_back(*block));
        let large = Layout::from_size_align(LARGEST, 1).unwrap();
        for _ in 0..3 {
            let all: Vec<_> = (0..SLABS - 1).map(|_| draw(large)).collect();
            assert!(all.iter().all(|block| !block.is_null()) && draw(large).is_null());
            all.into_iter().for_each(put_back);
        }
        put_back(blocks[1]);
        assert!(
            SLAB_STATES
                .iter()
                .all(|state| state.load(Ordering::Relaxed) == 0)
        );
    }

    fn slab_of(block: *mut u8) -> usize {
        (block as usize - POOL.0.get() as usize) / LARGEST
    }
}
