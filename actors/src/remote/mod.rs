//! An engine in another process: the handles of this one ask it over the control API.
//!
//! ```text
//! EngineHandle ─┐                      ┌─ keeping: becomes a client, says everything again
//! SessionHandle ┼─ Link ── Order ──> orders ─ calls: one question until its answer came
//! Subscription ─┘   (any thread)       └─ hearing: one stream of events, read as it is polled
//! ```
//!
//! Everything below `Link` runs on one thread, `longhaul-client`. A `Book` that both
//! sides share holds what this process has said and has to say again to an engine that was started
//! anew: its sessions, its delegates, that it takes refresh tasks.

mod backoff;
mod book;
mod calls;
mod convert;
mod handle;
mod hearing;
mod keeping;
mod link;
mod orders;
mod question;
mod reader;
mod refresh;
mod session;
mod spawning;
mod subscription;
mod thread;
mod turns;
mod waits;
mod wire;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::time::Duration;

pub use longhaul_engine::control::CALL_PATIENCE;

pub use self::book::Attachment;
pub use self::handle::EngineHandle;
pub use self::refresh::RefreshTask;
pub use self::session::SessionHandle;
pub use self::spawning::DaemonOptions;
pub use self::subscription::Subscription;

/// How an app is connected.
#[derive(Clone, Debug)]
pub struct ConnectOptions {
    /// The socket of the daemon.
    pub socket: PathBuf,
    /// How long a call waits for a daemon that is not there, or is there again; [`CALL_PATIENCE`] is
    /// usual.
    pub patience: Duration,
    /// The token of the launch that this process is the answer to, if it is one.
    pub launch: Option<String>,
    /// The daemon that is started when nobody answers at first; nobody is started without it.
    pub daemon: Option<DaemonOptions>,
}

/// Why an app could not be connected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// Nobody answers at the socket; the text says why.
    #[error("{0}")]
    Unreachable(String),
    /// Who answers does not speak this version of the control API.
    #[error("{0}")]
    OtherVersion(String),
    /// The daemon takes no more clients, or not this one; the text says why.
    #[error("{0}")]
    Refused(String),
    /// The thread of the client could not be started.
    #[error("the client's thread could not be started: {0}")]
    Threads(String),
}
