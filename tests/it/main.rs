//! End-to-end tests: the real command and the real library against a scripted server.
//!
//! Each test has directories and a server of its own, so all of them run at once. Nothing sleeps:
//! a test waits for an entry of the server's log, an event, or the end of a process.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, also in its helpers"
)]

mod bench;
mod challenges;
mod commands;
mod commands_daemon;
mod conformance;
mod daemon;
mod delegate;
mod face;
mod hostile;
mod kill;
mod put;
mod relaunch;
mod resume_data;
mod resuming;
mod scheduling;
mod sessions;
mod succession;
mod tidy;
mod upload_owners;
mod uploads;
