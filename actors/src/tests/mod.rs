//! Whole engines on one thread, under virtual time, against a server in memory.

pub(crate) mod bench;
mod challenges;
mod depot;
mod downloads;
mod facts;
mod inbox;
mod limits;
mod matrix;
mod metrics;
mod notices;
mod observing;
mod refresh;
mod restarts;
mod resuming;
mod scheduling;
mod server;
mod sessions;
mod sharing;
mod successors;
mod taking_over;
mod upload_challenges;
mod upload_protocols;
mod upload_resuming;
mod upload_sending;
mod uploads;
mod wishes;
