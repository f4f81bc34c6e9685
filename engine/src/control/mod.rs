//! The control API: what an app in one process asks of an engine in another, as documents.
//!
//! It is HTTP/1.1 with JSON over a Unix socket, so that `curl --unix-socket` is a client too. A
//! [`Call`] is one question: its method, its path, its body (or query, for a `GET`), and the answer.
//! What is not answered is a [`Problem`]. Events come as server-sent events: [`EVENTS_PATH`] for those
//! of a session, [`CLIENTS_PATH`] for what concerns one client.
//!
//! A *client* is one process for as long as its stream at [`CLIENTS_PATH`] lasts. It owns the sessions
//! that it has opened; when the stream ends, whatever the reason, they are free at once.
//!
//! Everything below `/v1` stays as it is; members may be added to answers, and to questions when they
//! may be left out. Times are milliseconds, bytes in texts are base64 (RFC 4648 section 4).

mod calls;
mod documents;
#[cfg(feature = "openapi")]
mod openapi;
mod place;
mod problem;
mod shown;
#[cfg(test)]
mod tests;

pub use calls::*;
pub use documents::*;
#[cfg(feature = "openapi")]
pub use openapi::openapi;
pub use place::{
    AtClient, AtClientSession, AtRefreshTask, AtRoot, AtSession, AtTask, ClientId, Place,
};
pub use problem::Problem;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The version that all paths begin with.
pub const API_VERSION: u32 = 1;

/// `POST` [`Hello`] here to become a client; the answer is a stream of [`ClientEvent`]s.
pub const CLIENTS_PATH: &str = "/v1/clients";

/// `GET` with [`EventsQuery`]: the events of a session, a stream of [`SessionEvent`]s.
pub const EVENTS_PATH: &str = "/v1/sessions/{session}/events";

/// `GET`: counts and gauges as OpenMetrics text.
pub const METRICS_PATH: &str = "/metrics";

/// The variable of the environment that names the daemon's socket, for apps and for the daemon.
pub const SOCKET_VARIABLE: &str = "LONGHAUL_SOCKET";

/// The variable that tells an app that was launched for which session it is.
pub const SESSION_VARIABLE: &str = "LONGHAUL_SESSION";

/// The variable that holds the token of a launch, which its app says in [`Hello::launch`].
pub const LAUNCH_VARIABLE: &str = "LONGHAUL_LAUNCH";

/// The file beside its socket in which a daemon that a client has started says what goes wrong.
pub const LOG_NAME: &str = "daemon.log";

/// The longest body of a question: some ten thousand requests at once.
pub const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The longest line of a stream: one fact with metrics, headers and 16 KiB of an answer's body.
pub const EVENT_BYTES_MAX: usize = 1024 * 1024;

/// Silence after which a comment is sent on a stream, so that both ends know of each other.
pub const KEEP_ALIVE_INTERVAL: std::time::Duration = std::time::Duration::from_secs(15);

/// How long a call waits for a daemon that is not there, unless its caller says otherwise: longer than a
/// supervisor takes to start it again, and not so long that an app seems to hang.
pub const CALL_PATIENCE: std::time::Duration = std::time::Duration::from_secs(30);

/// The method of a call (RFC 9110 section 9.3, RFC 5789).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// It reads; the call travels as the query.
    Get,
    /// It sets a state; harmless to repeat.
    Put,
    /// It does something.
    Post,
    /// It changes a part of something.
    Patch,
    /// It removes; the call has no members.
    Delete,
}

impl Method {
    /// Its name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Put => "PUT",
            Self::Post => "POST",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// What travels: it is written down and read back, and with the feature `openapi` described.
#[cfg(not(feature = "openapi"))]
pub trait Document: Serialize + DeserializeOwned + Send + 'static {}

/// What travels: it is written down and read back, and with the feature `openapi` described.
#[cfg(feature = "openapi")]
pub trait Document: Serialize + DeserializeOwned + Send + schemars::JsonSchema + 'static {}

#[cfg(not(feature = "openapi"))]
impl<T: Serialize + DeserializeOwned + Send + 'static> Document for T {}

#[cfg(feature = "openapi")]
impl<T: Serialize + DeserializeOwned + Send + schemars::JsonSchema + 'static> Document for T {}

/// One question of the API and its answer.
pub trait Call: Document {
    /// How it is asked.
    const METHOD: Method;
    /// Where, with the names of the parts of [`Call::At`] in braces.
    const PATH: &'static str;
    /// Its name.
    const NAME: &'static str;
    /// One line that says what it does and when it answers.
    const SUMMARY: &'static str;
    /// What it is about: the parts of the path.
    type At: Place;
    /// The body of a good answer.
    type Answer: Document;
}
