//! The real command against the servers that people run: nginx and Apache, as Debian packs them, and
//! those for uploads that `tests/peers/install` installs.
//!
//! It needs all of them on the machine, and `openssl`, so it is built with the feature `interop` only.
//! Each test starts servers of its own on free ports. Nothing sleeps: a test waits for bytes that went
//! through a relay, or for the end of a process.

#![allow(
    clippy::unwrap_used,
    reason = "the whole binary is tests; clippy knows their bodies only"
)]

#[allow(dead_code, reason = "the suite `it` uses the rest of it")]
#[path = "../it/bench.rs"]
mod bench;
mod conditions;
mod credentials;
mod notifications;
mod relay;
mod resumption;
mod servers;
mod trust;
mod uploads;
mod whole;
