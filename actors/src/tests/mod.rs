//! Whole engines on one thread, under virtual time, against a server in memory.

mod bench;
mod challenges;
mod downloads;
mod facts;
mod inbox;
mod limits;
mod matrix;
mod metrics;
mod refresh;
mod restarts;
mod resuming;
mod server;
mod sessions;
mod taking_over;
mod uploads;
mod wishes;
