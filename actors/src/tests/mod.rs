//! Whole engines on one thread, under virtual time, against a server in memory.

mod bench;
mod downloads;
mod facts;
mod limits;
mod matrix;
mod restarts;
mod server;
mod taking_over;
mod wishes;
