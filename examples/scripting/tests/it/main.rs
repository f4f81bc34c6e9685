//! The scripts of this example and others, run by the real host against a scripted server, with and
//! without a kill between two runs.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, also in its helpers"
)]

mod bench;
mod downloads;
mod language;
mod uploads;
