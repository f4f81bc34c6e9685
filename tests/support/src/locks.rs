//! Locking that outlives a panicked holder: one failed test must not hide what the others say.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks `mutex`, taking the value over if a thread panicked while it held the lock.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
