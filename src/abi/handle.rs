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
    slots: RwLock<Vec<Slot>>,
}

struct Slot {
    /// How often the place has been taken. The place is retired when this number can't grow.
    generation: usize,
    restorer: Option<Arc<Restorer>>,
}

static TABLE: AtomicPtr<HandleTable> = AtomicPtr::new(std::ptr::null_mut());
/// The highest generation in use, so that a child begins above all of its parent's.
static HIGHEST: AtomicUsize = AtomicUsize::new(0);

/// Half of the bits number the place, half the generation.
const HALF: u32 = usize::BITS / 2;
const HALF_MAX: usize = (1 << HALF) - 1;

/// Gives out a handle for `restorer`.
pub fn insert(restorer: Arc<Restorer>) -> Result<*mut licbak_restorer> {
    let mut slots = own_table().slots.write();
    let free = slots
        .iter()
        .position(|slot| slot.restorer.is_none() && slot.generation < HALF_MAX);
    let place = match free {
        Some(place) => place,
        None if slots.len() >= HALF_MAX => return Err(Error::out_of_memory()),
        None => {
            slots.try_reserve(1)?;
            slots.push(Slot {
                generation: HIGHEST.load(Ordering::Relaxed),
                restorer: None,
            });
            slots.len() - 1
        }
    };
    let slot = slots.get_mut(place).ok_or_else(Error::out_of_memory)?;
    slot.generation += 1;
    if mix(place, slot.generation) == 0 {
        slot.generation += 1; // NULL is no handle
    }
    HIGHEST.fetch_max(slot.generation, Ordering::Relaxed);
    slot.restorer = Some(restorer);
    Ok(mix(place, slot.generation) as *mut licbak_restorer)
}

/// The restorer of a handle.
fn find(handle: *const licbak_restorer) -> Result<Arc<Restorer>> {
    let (place, generation) = unmix(handle as usize);
    let slots = table().ok_or_else(unknown)?.slots.read();
    let slot = slots
        .get(place)
        .filter(|slot| slot.generation == generation);
    slot.and_then(|slot| slot.restorer.clone())
        .ok_or_else(unknown)
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
    let slot = slots
        .get_mut(place)
        .filter(|slot| slot.generation == generation);
    slot.and_then(|slot| slot.restorer.take())
        .ok_or_else(unknown)
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
        let handle = insert(Arc::default()).unwrap();
        let (place, _) = unmix(handle as usize);
        remove(handle).unwrap();
        own_table().slots.write()[place].generation = HALF_MAX;
        let next = insert(Arc::default()).unwrap();
        assert_ne!(unmix(next as usize).0, place);
        remove(next).unwrap();
    }
}
