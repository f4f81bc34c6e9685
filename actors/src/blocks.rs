//! The buffers between the network and the files: large, reused, and bounded in all.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Memory that all blocks of an engine may take together. Two blocks of a mebibyte for each of a few
/// streams keep the disk busy; more streams share it in smaller blocks or wait.
const BLOCK_BYTES_TOTAL: usize = 8 * 1024 * 1024;

/// The largest block: from here on larger writes are no faster (measured).
pub(crate) const BLOCK_BYTES_MAX: usize = 1024 * 1024;

/// The smallest block.
pub(crate) const BLOCK_BYTES_MIN: usize = 16 * 1024;

/// Free blocks that are kept of each size class.
const FREE_MAX: usize = 4;

/// More are kept of a class while they take no more memory than this together, so that many small
/// files do not ask the system for memory again and again.
const FREE_BYTES: usize = 1024 * 1024;

/// The size classes: powers of two from [`BLOCK_BYTES_MIN`] to [`BLOCK_BYTES_MAX`].
const CLASSES: usize = 7;

/// Hands out blocks. Clones share one budget.
#[derive(Clone, Debug)]
pub(crate) struct Blocks {
    budget: Arc<Semaphore>,
    free: Arc<Mutex<[Vec<Vec<u8>>; CLASSES]>>,
}

/// A buffer out of the budget; dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Block {
    bytes: Vec<u8>,
    class: usize,
    free: Arc<Mutex<[Vec<Vec<u8>>; CLASSES]>>,
    _budget: OwnedSemaphorePermit,
}

impl Default for Blocks {
    fn default() -> Self {
        let units = BLOCK_BYTES_TOTAL / BLOCK_BYTES_MIN;
        Self {
            budget: Arc::new(Semaphore::new(units)),
            free: Arc::default(),
        }
    }
}

impl Blocks {
    /// A block of at least `bytes`, as far as that is no more than the largest; waits while the
    /// budget is used up.
    pub(crate) async fn take(&self, bytes: usize) -> Block {
        let class = class_of(bytes);
        let size = BLOCK_BYTES_MIN << class;
        let units = u32::try_from(size / BLOCK_BYTES_MIN).expect("a block has at most 64 units");
        let budget = Arc::clone(&self.budget).acquire_many_owned(units).await;
        let budget = budget.expect("the budget is never closed");
        let kept = self.free.lock().unwrap_or_else(PoisonError::into_inner)[class].pop();
        let bytes = kept.unwrap_or_else(|| vec![0; size]);
        Block {
            bytes,
            class,
            free: Arc::clone(&self.free),
            _budget: budget,
        }
    }
}

fn class_of(bytes: usize) -> usize {
    (0..CLASSES)
        .find(|class| BLOCK_BYTES_MIN << class >= bytes)
        .unwrap_or(CLASSES - 1)
}

impl Deref for Block {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl DerefMut for Block {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let free_max = FREE_MAX.max(FREE_BYTES / self.bytes.len());
        if free[self.class].len() < free_max {
            free[self.class].push(std::mem::take(&mut self.bytes));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix_rt::test]
    async fn blocks_are_at_least_as_large_as_asked_and_never_over_the_budget() {
        let blocks = Blocks::default();
        for (asked, got) in [
            (0, 16 << 10),
            (16385, 32 << 10),
            (1 << 20, 1 << 20),
            (9 << 20, 1 << 20),
        ] {
            assert_eq!(blocks.take(asked).await.len(), got, "{asked}");
        }
        let mut held = Vec::new();
        for _ in 0..BLOCK_BYTES_TOTAL / BLOCK_BYTES_MAX {
            held.push(blocks.take(BLOCK_BYTES_MAX).await);
        }
        assert!(futures_util::FutureExt::now_or_never(blocks.take(1)).is_none());
        held.pop();
        assert!(futures_util::FutureExt::now_or_never(blocks.take(1)).is_some());
    }
}
