//! Seeded runs of the machine against servers that lie, a file that changes, and a killer.
//!
//! One seed is one task: its request, its server, every crash and every wish. `LONGHAUL_SEEDS=N` runs
//! more of them, `LONGHAUL_SEED=N` one.

mod dice;
mod owner;
mod perform;
mod place;
mod scene;
mod server;
mod summary;
mod trouble;
mod wire;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};

use summary::Summary;
use world::World;

/// Runs of the default test: as many as a debug build does in a few seconds.
const SEEDS: u64 = 40_000;

#[test]
fn every_upload_keeps_the_promises_and_an_honest_server_gets_the_file() {
    let number = |name| {
        std::env::var(name)
            .ok()
            .and_then(|text| text.parse::<u64>().ok())
    };
    let one = number("LONGHAUL_SEED");
    let first = one.unwrap_or(1);
    let count = one.map_or_else(|| number("LONGHAUL_SEEDS").unwrap_or(SEEDS), |_| 1);
    let mut sum = Summary::default();
    for seed in first..first + count {
        match catch_unwind(AssertUnwindSafe(|| World::new(seed).run())) {
            Ok(summary) => sum.add(&summary),
            Err(cause) => {
                let text = cause.downcast_ref::<String>().map(String::as_str);
                let text = text.or_else(|| cause.downcast_ref::<&str>().copied());
                panic!("LONGHAUL_SEED={seed}: {}", text.unwrap_or("a panic"));
            }
        }
    }
    if count >= SEEDS {
        sum.check_that_nothing_was_missed();
    }
}
