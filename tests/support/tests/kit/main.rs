//! The test kit itself, seen through a plain socket: each behaviour of the scripted server once.

mod auth;
mod behaviour;
mod client;
mod faults;
mod ranges;
mod uploads;
