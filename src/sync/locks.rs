//! Locks without a state beyond their own.
//!
//! Locks that threads wait for are the standard library's, without its poison: no code of ours
//! panics while it holds one, and if it did, the operation would end as a bug and its data with it.
//!
//! parking_lot keeps its waiting threads in one table of the whole process. A thread that waits may
//! have to enlarge the table, and without memory the process ends. In a child that was forked while
//! a thread held a part of the table, that part is locked for ever, and a restorer must work in a
//! child. So parking_lot's locks are used only where no thread ever waits: [`Unshared`].

#![forbid(unsafe_code)]

use std::sync::{MutexGuard, PoisonError, RwLockReadGuard, RwLockWriteGuard, TryLockError};
use std::time::Duration;

#[derive(Debug, Default)]
pub struct Mutex<T>(std::sync::Mutex<T>);

impl<T> Mutex<T> {
    pub fn new(value: T) -> Mutex<T> {
        Mutex(std::sync::Mutex::new(value))
    }

    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the lock, if nobody has it.
    pub fn lock_if_free(&self) -> Option<MutexGuard<'_, T>> {
        match self.0.try_lock() {
            Ok(guard) => Some(guard),
            Err(TryLockError::Poisoned(poison)) => Some(poison.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

#[derive(Debug, Default)]
pub struct Condvar(std::sync::Condvar);

impl Condvar {
    pub fn wait<'g, T>(&self, guard: MutexGuard<'g, T>) -> MutexGuard<'g, T> {
        self.0.wait(guard).unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for `timeout` at most.
    pub fn wait_for<'g, T>(
        &self,
        guard: MutexGuard<'g, T>,
        timeout: Duration,
    ) -> MutexGuard<'g, T> {
        self.0
            .wait_timeout(guard, timeout)
            .unwrap_or_else(PoisonError::into_inner)
            .0
    }

    pub fn notify_one(&self) {
        self.0.notify_one();
    }

    pub fn notify_all(&self) {
        self.0.notify_all();
    }
}

/// A value that one thread has at a time, so that no thread ever waits for it: a database that is
/// listed, and the names that its authorizer sees.
pub struct Unshared<T>(parking_lot::Mutex<T>);

impl<T> Unshared<T> {
    pub fn new(value: T) -> Unshared<T> {
        Unshared(parking_lot::Mutex::new(value))
    }

    pub fn lock(&self) -> parking_lot::MutexGuard<'_, T> {
        debug_assert!(!self.0.is_locked(), "two threads have it at a time");
        self.0.lock()
    }
}

#[derive(Debug, Default)]
pub struct RwLock<T>(std::sync::RwLock<T>);

impl<T> RwLock<T> {
    pub fn read(&self) -> RwLockReadGuard<'_, T> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn write(&self) -> RwLockWriteGuard<'_, T> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}
