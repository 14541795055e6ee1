//! Tickets for restorers.
//!
//! A handle is a number in the shape of a pointer: the place of its restorer in a table, and how
//! often that place has been taken. The two numbers are mixed, so that small numbers, addresses and
//! handles with a flipped bit do not look like a handle. The whole number is compared. No value of
//! a host is ever followed as an address.

use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use super::guard::{Success, guard};
use super::types::{licbak_hresult, licbak_restorer};
use crate::engine::restorer::Restorer;
use crate::error::{Error, Outcome, Result};
use crate::sync::locks::RwLock;
use crate::sys::fork::{HomeMark, home};

/// The table of this process. A forked child makes its own: the parent's may be locked for ever
/// there.
struct HandleTable {
    home: &'static HomeMark,
    slots: RwLock<Slots>,
}

/// All places. Taking one and giving it back cost the same however many there are.
#[derive(Default)]
struct Slots {
    all: Vec<Slot>,
    /// The free place that is taken next.
    free: Option<usize>,
}

struct Slot {
    /// How often the place has been taken. The place is retired when this number can't grow.
    generation: usize,
    content: Content,
}

enum Content {
    Restorer(Arc<Restorer>),
    Free {
        /// The free place that is taken after this one.
        next: Option<usize>,
    },
}

impl Slots {
    /// Takes a free place for `restorer`, a new one if there is none. Gives it and its generation.
    fn take(&mut self, restorer: Arc<Restorer>) -> Result<(usize, usize)> {
        let place = match self.free {
            Some(place) => place,
            None => self.grow()?,
        };
        let slot = self.all.get_mut(place).ok_or_else(Error::out_of_memory)?;
        slot.generation += 1;
        if mix(place, slot.generation) == 0 {
            slot.generation += 1; // NULL is no handle
        }
        if let Content::Free { next } = slot.content {
            self.free = next;
        }
        slot.content = Content::Restorer(restorer);
        Ok((place, slot.generation))
    }

    /// Makes a place, which is behind all others.
    fn grow(&mut self) -> Result<usize> {
        let place = self.all.len();
        if place >= HALF_MAX {
            return Err(Error::out_of_memory());
        }
        self.all.try_reserve(1)?;
        self.all.push(Slot {
            generation: HIGHEST.load(Ordering::Relaxed),
            content: Content::Free { next: self.free },
        });
        Ok(place)
    }

    fn get(&self, place: usize, generation: usize) -> Option<&Arc<Restorer>> {
        let slot = self.all.get(place)?;
        match &slot.content {
            Content::Restorer(restorer) if slot.generation == generation => Some(restorer),
            _ => None,
        }
    }

    /// Takes the restorer out. Its place is free, unless it is retired.
    fn give_back(&mut self, place: usize, generation: usize) -> Option<Arc<Restorer>> {
        self.get(place, generation)?;
        let slot = self.all.get_mut(place)?;
        let is_free = slot.generation < HALF_MAX;
        let free = Content::Free {
            next: self.free.filter(|_| is_free),
        };
        let Content::Restorer(restorer) = std::mem::replace(&mut slot.content, free) else {
            return None;
        };
        if is_free {
            self.free = Some(place);
        }
        Some(restorer)
    }
}

static TABLE: AtomicPtr<HandleTable> = AtomicPtr::new(std::ptr::null_mut());
/// The highest generation in use, so that a child begins above all of its parent's.
static HIGHEST: AtomicUsize = AtomicUsize::new(0);

/// Half of the bits number the place, half the generation.
const HALF: u32 = usize::BITS / 2;
const HALF_MAX: usize = (1 << HALF) - 1;

/// Gives out a handle for `restorer`.
pub fn insert(restorer: Arc<Restorer>) -> Result<*mut licbak_restorer> {
    let (place, generation) = own_table().slots.write().take(restorer)?;
    HIGHEST.fetch_max(generation, Ordering::Relaxed);
    Ok(mix(place, generation) as *mut licbak_restorer)
}

/// The restorer of a handle.
fn find(handle: *const licbak_restorer) -> Result<Arc<Restorer>> {
    let (place, generation) = unmix(handle as usize);
    let slots = table().ok_or_else(unknown)?.slots.read();
    slots.get(place, generation).cloned().ok_or_else(unknown)
}

/// The body of a function of the ABI that takes a restorer.
pub fn on<S: Success>(
    handle: *const licbak_restorer,
    body: impl FnOnce(&Arc<Restorer>) -> Result<S>,
) -> licbak_hresult {
    guard(|| body(&find(handle)?))
}

/// The body of a function that starts something. The restorer remembers its failure.
pub fn attempt(
    handle: *const licbak_restorer,
    body: impl FnOnce(&Arc<Restorer>) -> Result<()>,
) -> licbak_hresult {
    on(handle, |restorer| restorer.attempt(|| body(restorer)))
}

/// Takes a handle back: from now on it is unknown.
pub fn remove(handle: *const licbak_restorer) -> Result<Arc<Restorer>> {
    let (place, generation) = unmix(handle as usize);
    let mut slots = table().ok_or_else(unknown)?.slots.write();
    slots.give_back(place, generation).ok_or_else(unknown)
}

fn unknown() -> Error {
    Error::new(Outcome::Handle, "")
}

/// The table of this process, if it has one.
fn table() -> Option<&'static HandleTable> {
    // SAFETY: a table that was published is never freed.
    unsafe { TABLE.load(Ordering::Acquire).as_ref() }.filter(|table| table.home.is_home())
}

fn own_table() -> &'static HandleTable {
    loop {
        let found = TABLE.load(Ordering::Acquire);
        if let Some(table) = table() {
            return table;
        }
        // None yet, or the parent's, which stays as it is.
        let new = Box::into_raw(Box::new(HandleTable {
            home: home(),
            slots: RwLock::default(),
        }));
        if TABLE
            .compare_exchange(found, new, Ordering::AcqRel, Ordering::Acquire)
            .is_err()
        {
            // SAFETY: another thread was faster, and nobody has seen this one.
            drop(unsafe { Box::from_raw(new) });
        }
    }
}

/// A factor from the golden ratio. It is odd, so that multiplying by it can be undone.
const FACTOR: usize = 0x9E37_79B9_7F4A_7C15_u64 as usize;
const INVERSE: usize = inverse(FACTOR);

/// Newton's iteration for the inverse modulo a power of two: each step doubles the bits that are
/// right.
const fn inverse(factor: usize) -> usize {
    let (mut inverse, mut step) = (factor, 0);
    while step < 6 {
        inverse = inverse.wrapping_mul(2usize.wrapping_sub(factor.wrapping_mul(inverse)));
        step += 1;
    }
    inverse
}

/// A number that differs between copies of the library in one process, so that their handles do.
fn salt() -> usize {
    (&raw const TABLE).addr()
}

/// One number of two, every bit of it depending on every bit of them.
fn mix(place: usize, generation: usize) -> usize {
    let mut ticket = (generation << HALF | place) ^ salt();
    for _ in 0..3 {
        ticket = ticket.wrapping_mul(FACTOR);
        ticket ^= ticket >> HALF; // undone by itself, since it moves half of the bits
    }
    ticket
}

fn unmix(mut ticket: usize) -> (usize, usize) {
    for _ in 0..3 {
        ticket ^= ticket >> HALF;
        ticket = ticket.wrapping_mul(INVERSE);
    }
    ticket ^= salt();
    (ticket & HALF_MAX, ticket >> HALF)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mixing_loses_nothing() {
        for place in [0, 1, 2, 1000, HALF_MAX] {
            for generation in [0, 1, 2, 77, HALF_MAX] {
                assert_eq!(unmix(mix(place, generation)), (place, generation));
            }
        }
    }

    #[test]
    fn only_a_live_handle_is_known() {
        let handles: Vec<_> = (0..100).map(|_| insert(Arc::default()).unwrap()).collect();
        for handle in &handles {
            assert!(find(*handle).is_ok());
            for bit in 0..usize::BITS {
                let flipped = (*handle as usize ^ 1 << bit) as *const licbak_restorer;
                assert!(find(flipped).is_err() && remove(flipped).is_err());
            }
        }
        for number in 0..100_000usize {
            assert!(find(number as *const _).is_err());
            assert!(find(number.wrapping_mul(0x1_0000_0001) as *const _).is_err());
        }
        for handle in handles {
            assert!(remove(handle).is_ok());
            assert!(find(handle).is_err() && remove(handle).is_err());
            let next = insert(Arc::default()).unwrap();
            assert_ne!(next, handle);
            assert!(find(handle).is_err() && remove(next).is_ok());
        }
    }

    #[test]
    fn a_place_is_retired_when_its_generations_are_used_up() {
        let mut slots = Slots::default();
        let take = |slots: &mut Slots| slots.take(Arc::default()).unwrap();
        let [first, second] = [take(&mut slots), take(&mut slots)];
        slots.all[first.0].generation = HALF_MAX;
        assert!(slots.give_back(first.0, HALF_MAX).is_some());
        assert!(slots.give_back(first.0, HALF_MAX).is_none());
        assert_eq!(take(&mut slots).0, 2);
        // The list of free places goes on behind it.
        assert!(slots.give_back(second.0, second.1).is_some());
        assert_eq!(take(&mut slots), (second.0, second.1 + 1));
        assert_eq!(take(&mut slots).0, 3);
    }

    #[test]
    fn every_free_place_is_taken_before_a_new_one() {
        const COUNT: usize = 1000;
        let mut slots = Slots::default();
        let mut taken: Vec<_> = (0..COUNT)
            .map(|_| slots.take(Arc::default()).unwrap())
            .collect();
        for step in [1, 7, 999] {
            for number in (0..COUNT).step_by(step) {
                let (place, generation) = taken[number];
                assert!(slots.give_back(place, generation).is_some());
                assert!(slots.get(place, generation).is_none());
            }
            for number in (0..COUNT).step_by(step) {
                taken[number] = slots.take(Arc::default()).unwrap();
            }
            assert_eq!(slots.all.len(), COUNT);
            let places: std::collections::HashSet<_> =
                taken.iter().map(|(place, _)| place).collect();
            assert_eq!(places.len(), COUNT);
            assert!(
                taken
                    .iter()
                    .all(|(place, generation)| slots.get(*place, *generation).is_some())
            );
        }
    }
}
