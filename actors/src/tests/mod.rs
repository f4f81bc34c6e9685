//! Whole engines on one thread, under virtual time, against a server in memory.

pub(crate) mod bench;
mod downloads;
mod facts;
mod limits;
mod matrix;
mod restarts;
mod scheduling;
mod server;
mod sharing;
mod wishes;
