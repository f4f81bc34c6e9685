//! Seeded runs of the machine against a lying server, a disk that forgets, and a killer.
//!
//! One seed is one task: its request, its server, every crash and the order of everything that runs
//! side by side. `LONGHAUL_SEEDS=N` runs more of them, `LONGHAUL_SEED=N` one. A run that fails is run
//! again with its last events written down.

mod dice;
mod disk;
mod life;
mod oracle;
mod owner;
mod perform;
mod pump;
mod scene;
mod server;
mod summary;
mod trouble;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};

use summary::Summary;
use world::World;

/// Runs of the default test: as many as a debug build does in a few seconds.
const SEEDS: u64 = 10_000;

#[test]
fn every_run_keeps_the_promises_and_an_honest_end_is_finished() {
    let number = |name| {
        std::env::var(name)
            .ok()
            .and_then(|text| text.parse::<u64>().ok())
    };
    let one = number("LONGHAUL_SEED");
    let first = one.unwrap_or(1);
    let count = if one.is_some() {
        1
    } else {
        number("LONGHAUL_SEEDS").unwrap_or(SEEDS)
    };
    let mut sum = Summary::default();
    for seed in first..first + count {
        sum.add(&run(seed));
    }
    if count >= SEEDS {
        sum.check_that_nothing_was_missed();
    }
}

fn run(seed: u64) -> Summary {
    let mut world = World::new(seed);
    match catch_unwind(AssertUnwindSafe(|| world.run())) {
        Ok(summary) => summary,
        Err(cause) => {
            let mut again = World::new(seed);
            again.keep_trace();
            let _ = catch_unwind(AssertUnwindSafe(|| again.run()));
            let text = cause.downcast_ref::<String>().map(String::as_str);
            let text = text
                .or_else(|| cause.downcast_ref::<&str>().copied())
                .unwrap_or("a panic");
            panic!("LONGHAUL_SEED={seed}: {text}\n{}", again.trace());
        }
    }
}
