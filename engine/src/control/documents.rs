//! The documents of the control API that are not words of the engine already.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{ClientId, Problem};
use crate::conditions::Conditions;
use crate::event::Event;
use crate::id::{Sequence, SessionId, TaskId};
use crate::launch::LaunchReason;
use crate::safe_url::HttpUrl;
use crate::session::SessionState;
use crate::task::{Desired, Outcome, Phase, Progress, Spec, TaskState};
use crate::time::Timestamp;
use crate::why::RateDelay;

/// An engine that answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct EngineDocument {
    /// The version of the program.
    pub version: String,
    /// The version of this API.
    pub api: u32,
    /// Its process.
    pub pid: u32,
    /// The directory that it owns.
    #[serde(with = "crate::serial::PathText")]
    pub state_dir: PathBuf,
    /// When it was started.
    pub started_at: Timestamp,
    /// What network and power are like, as far as is known.
    pub conditions: Conditions,
}

/// A session, as everybody may see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct SessionDocument {
    /// Its identifier.
    pub session: SessionId,
    /// Where it is in its life.
    pub state: SessionState,
    /// The process that owns it, if one does.
    pub owner_pid: Option<u32>,
    /// Whether somebody listens to it: a delegate, or a reader of its events who owns it.
    pub is_attended: bool,
    /// Its tasks that have not ended.
    pub live_tasks: u64,
    /// Its tasks that have ended and were not acknowledged.
    pub ended_tasks: u64,
    /// How its app is called.
    pub launches: LaunchesDocument,
}

/// The calls of a session's app: made, wanted, and when the next may be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct LaunchesDocument {
    /// What the engine runs to call it; without one it waits until the app comes.
    pub command: Option<crate::launch::LaunchCommand>,
    /// Why it is to be called, if it is.
    pub wanted: Option<LaunchReason>,
    /// It was called and has not completed its refresh task; it is called again after this time.
    pub open_until: Option<Timestamp>,
    /// The earliest time of the next call, when one is wanted or the budget holds it back.
    pub next_at: Option<Timestamp>,
    /// The last calls.
    pub called_at: Vec<Timestamp>,
}

/// A task at one moment. What is secret in its request is left out: credentials, values of header
/// fields and the URL of the upload at its server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct TaskDocument {
    /// Its number.
    pub task: TaskId,
    /// What was asked of it.
    pub request: Spec,
    /// Its state.
    pub state: TaskState,
    /// What it does or waits for.
    pub phase: Phase,
    /// How far it is.
    pub progress: Progress,
    /// How it ended, once it has.
    pub outcome: Option<Outcome>,
    /// The rate limit that holds its bytes back now.
    pub slowed_by: Option<RateDelay>,
}

/// A task to be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct RequestDocument {
    /// What to transfer. Paths are absolute.
    pub request: Spec,
    /// Take over the session's task of the same URL and destination, or its adoptable upload of the same
    /// file, URL, place and method, if it has one.
    #[serde(default)]
    pub adopts: bool,
    /// Whether it runs at once.
    #[serde(default)]
    pub desired: Desired,
}

/// What became of one request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum StartDocument {
    /// This task was made or taken over.
    Task(TaskId),
    /// It was refused.
    Problem(Problem),
}

/// A task that was made of resume data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct ResumedDocument {
    /// Its number.
    pub task: TaskId,
    /// What it fetches, or where it sends its file.
    pub url: HttpUrl,
    /// Where a download goes, or what an upload sends.
    #[serde(with = "crate::serial::PathText")]
    pub file: PathBuf,
}

/// What a process says to become a client.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct Hello {
    /// The token of the launch that it is the answer to, from its environment.
    #[serde(default)]
    pub launch: Option<String>,
}

/// Which events of a session are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct EventsQuery {
    /// Facts up to this one were heard already; without it every fact that was not acknowledged comes.
    #[serde(default)]
    pub after: Option<Sequence>,
    /// Only those of this task; the stream ends with its end.
    #[serde(default)]
    pub task: Option<TaskId>,
    /// The client that asks, when it owns the session: its app is there then and is not called. Anybody
    /// else only looks on.
    #[serde(default)]
    pub client: Option<ClientId>,
}

/// What is told to one client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum ClientEvent {
    /// It is a client now: the first of the stream.
    Welcome {
        /// Who it is.
        client: ClientId,
        /// Whom it talks to.
        engine: EngineDocument,
    },
    /// A task that it waits for has ended.
    Ended {
        /// The number that the client gave to the wait.
        wait: u64,
        /// How it ended.
        outcome: Outcome,
    },
    /// A task that it waits for can not be waited for any more.
    Lost {
        /// The number that the client gave to the wait.
        wait: u64,
        /// Why.
        problem: Problem,
    },
    /// The app is called.
    RefreshTask {
        /// The number of the refresh task.
        number: u64,
        /// The session.
        session: SessionId,
        /// Why.
        reason: LaunchReason,
        /// When it expires.
        expires_at: Timestamp,
    },
    /// Network and power are like this now.
    Conditions(Conditions),
    /// The engine stops in good order: the last of the stream.
    Stopping,
}

/// What is told of a session. A fact carries its number as the `id` of the server-sent event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum SessionEvent {
    /// The stream is heard from here on: the first of it.
    Listening,
    /// Something happened.
    Told {
        /// What.
        told: Event,
    },
    /// News were left out because this reader is slow. Facts never are.
    MissedNews,
    /// Nothing comes any more: the session is no more, or the one task has ended.
    Over,
}
