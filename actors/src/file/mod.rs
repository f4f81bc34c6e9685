//! The file edge: the only place that touches payload files.
//!
//! Everything here is synchronous and may block for as long as a device likes: call it where
//! blocking is allowed, never on an arbiter that moves bytes. Only paths in a target's directory and
//! in the state directory are ever written.
//!
//! The way of a download: [`recover::recover`] when a checkpoint exists, [`publish::check_target`]
//! before anything is fetched, [`part::PartFile`] while bytes arrive, [`publish::choose_name`] if it
//! may take another name, the record of that name, [`publish::publish`], the record of the end, and
//! [`discard::discard`] for what may be left. A task that is ended to go on elsewhere leaves its part
//! and a [`ticket`]. The file of an upload is only read: [`source`].

mod daemon_log;
pub mod discard;
mod disk;
mod error;
pub mod leftover;
pub mod lock;
mod mode;
pub mod part;
pub mod place;
pub mod publish;
pub mod recover;
pub mod source;
pub mod ticket;
pub mod token;

pub(crate) use self::daemon_log::DaemonLog;

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests;
