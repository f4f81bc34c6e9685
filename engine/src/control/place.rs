//! What a call is about: the parts of its path.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Problem;
use crate::http::{percent_decode, percent_encode_segment};
use crate::id::{SessionId, TaskId};

/// A process for as long as its stream lasts: 128 bits of chance, as 32 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct ClientId(pub String);

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The parts of a path.
pub trait Place: Sized + Clone + Send + Sync + 'static {
    /// The path with its parts in place of the braces, percent-encoded.
    fn fill(&self, path: &str) -> String;

    /// Reads the parts, as they stand in the path, by their names.
    ///
    /// # Errors
    /// [`Problem::Invalid`] when one is missing or is no such part.
    fn read<'a>(part: impl Fn(&str) -> Option<&'a str>) -> Result<Self, Problem>;
}

/// The engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AtRoot;

/// A session: `{session}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AtSession(pub SessionId);

/// A task: `{session}` and `{task}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AtTask(pub SessionId, pub TaskId);

/// A client: `{client}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AtClient(pub ClientId);

/// A session of a client: `{client}` and `{session}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AtClientSession(pub ClientId, pub SessionId);

/// A refresh task of a client: `{client}` and `{number}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AtRefreshTask(pub ClientId, pub u64);

impl Place for AtRoot {
    fn fill(&self, path: &str) -> String {
        path.to_owned()
    }

    fn read<'a>(_: impl Fn(&str) -> Option<&'a str>) -> Result<Self, Problem> {
        Ok(Self)
    }
}

impl Place for AtSession {
    fn fill(&self, path: &str) -> String {
        fill(path, "session", self.0.as_str())
    }

    fn read<'a>(part: impl Fn(&str) -> Option<&'a str>) -> Result<Self, Problem> {
        Ok(Self(session(&part)?))
    }
}

impl Place for AtTask {
    fn fill(&self, path: &str) -> String {
        let path = fill(path, "session", self.0.as_str());
        fill(&path, "task", &self.1.to_string())
    }

    fn read<'a>(part: impl Fn(&str) -> Option<&'a str>) -> Result<Self, Problem> {
        Ok(Self(session(&part)?, TaskId::new(number(&part, "task")?)))
    }
}

impl Place for AtClient {
    fn fill(&self, path: &str) -> String {
        fill(path, "client", &self.0.0)
    }

    fn read<'a>(part: impl Fn(&str) -> Option<&'a str>) -> Result<Self, Problem> {
        Ok(Self(client(&part)?))
    }
}

impl Place for AtClientSession {
    fn fill(&self, path: &str) -> String {
        let path = fill(path, "client", &self.0.0);
        fill(&path, "session", self.1.as_str())
    }

    fn read<'a>(part: impl Fn(&str) -> Option<&'a str>) -> Result<Self, Problem> {
        Ok(Self(client(&part)?, session(&part)?))
    }
}

impl Place for AtRefreshTask {
    fn fill(&self, path: &str) -> String {
        let path = fill(path, "client", &self.0.0);
        fill(&path, "number", &self.1.to_string())
    }

    fn read<'a>(part: impl Fn(&str) -> Option<&'a str>) -> Result<Self, Problem> {
        Ok(Self(client(&part)?, number(&part, "number")?))
    }
}

fn fill(path: &str, name: &str, value: &str) -> String {
    path.replace(&format!("{{{name}}}"), &percent_encode_segment(value))
}

fn decoded<'a>(part: &impl Fn(&str) -> Option<&'a str>, name: &str) -> Result<String, Problem> {
    let text = part(name).ok_or_else(|| Problem::invalid(format!("the path has no {name}")))?;
    String::from_utf8(percent_decode(text.as_bytes()))
        .map_err(|_| Problem::invalid(format!("the {name} in the path is not UTF-8")))
}

fn session<'a>(part: &impl Fn(&str) -> Option<&'a str>) -> Result<SessionId, Problem> {
    SessionId::new(decoded(part, "session")?).map_err(|error| Problem::invalid(error.to_string()))
}

fn client<'a>(part: &impl Fn(&str) -> Option<&'a str>) -> Result<ClientId, Problem> {
    decoded(part, "client").map(ClientId)
}

fn number<'a>(part: &impl Fn(&str) -> Option<&'a str>, name: &str) -> Result<u64, Problem> {
    let text = decoded(part, name)?;
    let number = text.parse();
    number.map_err(|_| Problem::invalid(format!("the {name} in the path is no number: {text:?}")))
}
