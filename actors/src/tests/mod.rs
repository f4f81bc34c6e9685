//! Whole engines on one thread, under virtual time, against a server in memory.

mod bench;
mod downloads;
mod facts;
mod inbox;
mod limits;
mod matrix;
mod restarts;
mod server;
mod uploads;
mod wishes;
