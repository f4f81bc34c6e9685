//! Whole engines on one thread, under virtual time, against a server in memory.

mod bench;
mod challenges;
mod downloads;
mod facts;
mod limits;
mod matrix;
mod metrics;
mod restarts;
mod server;
mod wishes;
