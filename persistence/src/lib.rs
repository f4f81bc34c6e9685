//! What longhaul remembers: sessions, tasks, their progress and the facts nobody has taken yet.
//!
//! One file holds everything. Each value in it is a versioned, checksummed record, every change
//! is part of one durable transaction, and what [`Store::commit`] has answered survives `kill -9`
//! and a power cut. All functions block; the caller gives them a thread of their own.
//!
//! Secrets (header values, credentials, signed URLs) are stored, in a file of mode 0600, and never
//! appear in an error or a `Debug` of this crate.

mod change;
mod codec;
mod commit;
mod error;
mod open;
mod records;
mod resume;
mod store;
mod tables;
mod view;

pub use change::{Change, Effect, Forgotten, Refusal, TaskSummary};
pub use error::StoreError;
pub use resume::{ResumeToken, Ticket, TicketClaim, TicketId, TicketTooLarge};
pub use store::Store;
pub use view::StoreView;

#[cfg(test)]
mod tests;
