//! Chance, from one seed.

use crate::retry::Jitter;

/// A source of decisions that is the same for the same seed.
#[derive(Debug)]
pub(super) struct Dice(Jitter);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        // Neighbouring seeds shall have nothing in common.
        let mut jitter = Jitter::new(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0x5851_F42D);
        for _ in 0..4 {
            jitter.next_u64();
        }
        Self(jitter)
    }

    /// A number below `end`, which is not zero.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        (self.0.next_u64() >> 11) % end
    }

    /// True in so many of a thousand cases.
    pub(super) fn permille(&mut self, of_thousand: u64) -> bool {
        self.below(1000) < of_thousand
    }

    pub(super) fn percent(&mut self, of_hundred: u64) -> bool {
        self.permille(of_hundred * 10)
    }

    pub(super) fn index(&mut self, length: usize) -> usize {
        let length = u64::try_from(length).expect("lists are short");
        usize::try_from(self.below(length)).expect("it is below a usize")
    }

    pub(super) fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.index(from.len())].clone()
    }
}
