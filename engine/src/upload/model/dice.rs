//! Decisions that are the same for the same seed.

use crate::retry::Jitter;

/// A source of decisions.
#[derive(Debug)]
pub(super) struct Dice(Jitter);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        let mut jitter = Jitter::new(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0x5851_F42D);
        for _ in 0..4 {
            jitter.next_u64();
        }
        Self(jitter)
    }

    pub(super) const fn below(&mut self, end: u64) -> u64 {
        (self.0.next_u64() >> 11) % end
    }

    pub(super) fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).expect("lists are short")
    }

    pub(super) const fn percent(&mut self, of_hundred: u64) -> bool {
        self.below(100) < of_hundred
    }

    pub(super) fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.index(list.len())]
    }
}
