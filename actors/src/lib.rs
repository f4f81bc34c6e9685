//! The actors of longhaul and its two edges, the network and the files.
//!
//! A root starts four kinds of actors and restarts what crashes: one registry, which owns the store;
//! one notifier, which tells what was committed; a session actor per open session; and a transfer
//! actor per running task, which feeds a pure machine of `longhaul-engine` and performs its actions
//! on the two edges. [`handle`] is what the outside holds.

#[cfg(panic = "abort")]
compile_error!("longhaul restarts what panics: build it with panic = \"unwind\"");

mod attachment;
mod blocks;
mod capabilities;
pub mod checkup;
mod child;
pub mod conditions;
mod desktop;
pub mod fault;
mod feed;
pub mod file;
pub mod handle;
mod intake;
mod limiter;
pub mod local;
pub mod net;
mod notifier;
mod ownership;
mod refresh;
mod registry;
pub mod remote;
mod root;
mod scheduling;
mod session;
mod slot;
mod starting;
mod threads;
mod time;
mod timers;
mod transfer;
mod world;

#[cfg(test)]
mod tests;
