//! Chance that can be repeated: a small generator whose seed is printed when a test fails.

use std::env;
use std::ops::Range;
use std::thread;

/// The environment variable that replaces a test's own seed.
pub const SEED_VARIABLE: &str = "LONGHAUL_SEED";

/// An xorshift64* generator (Vigna 2016). While it unwinds from a panic it prints its seed, so that
/// the failure can be repeated with `LONGHAUL_SEED=<seed>`.
#[derive(Debug)]
pub struct Rng {
    seed: u64,
    state: u64,
}

impl Rng {
    /// A generator whose whole sequence follows from `seed`.
    pub fn new(seed: u64) -> Self {
        // The state must never be zero; mixing also parts the sequences of neighbouring seeds.
        Self {
            seed,
            state: mix(seed).max(1),
        }
    }

    /// A generator with the seed of [`SEED_VARIABLE`], or with `default` if it is not set.
    ///
    /// # Panics
    /// When the variable is set to something that is no unsigned decimal number.
    pub fn from_env_or(default: u64) -> Self {
        let seed = env::var(SEED_VARIABLE).map_or(default, |text| {
            text.trim()
                .parse()
                .expect("LONGHAUL_SEED must be an unsigned decimal number")
        });
        Self::new(seed)
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        self.state.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number in `range`.
    ///
    /// # Panics
    /// When the range is empty.
    pub fn within(&mut self, range: Range<u64>) -> u64 {
        assert!(
            range.start < range.end,
            "cannot choose from the empty range {range:?}"
        );
        range.start + self.next_u64() % (range.end - range.start)
    }

    /// The seed that repeats this sequence.
    pub fn seed(&self) -> u64 {
        self.seed
    }
}

impl Drop for Rng {
    #[expect(
        clippy::print_stderr,
        reason = "a failure without its seed cannot be repeated"
    )]
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("to repeat: {SEED_VARIABLE}={}", self.seed);
        }
    }
}

/// The finaliser of splitmix64: spreads every bit of `word` over the whole result.
pub(crate) fn mix(word: u64) -> u64 {
    let word = word.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use super::Rng;

    #[test]
    fn one_seed_gives_one_sequence_and_another_seed_another() {
        let draw = |seed| {
            let mut rng = Rng::new(seed);
            [rng.next_u64(), rng.next_u64(), rng.next_u64()]
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
        assert_ne!(draw(0), [0, 0, 0]);
    }

    #[test]
    fn choices_stay_within_their_range() {
        let mut rng = Rng::new(1);
        for _ in 0..1000 {
            assert!((10..17).contains(&rng.within(10..17)));
        }
    }
}
