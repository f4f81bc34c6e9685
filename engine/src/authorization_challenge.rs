//! What a server asked for, and what the owner of a task may answer.

use std::fmt;

use crate::http::authorization::Credentials;
use crate::safe_url::HttpUrl;

/// What a server asked for before it lets a task go on (`URLAuthenticationChallenge`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// The host and port that ask.
    pub host: String,
    /// The status that asked: 401 of the server, 407 of a proxy, or 403 and others of a URL that has
    /// expired.
    pub status: u16,
    /// The scheme as the server spelled it, such as `Digest`; empty when it named none.
    pub scheme: String,
    /// The realm, when the server named one, cut at
    /// [`REALM_BYTES_MAX`](crate::limits::REALM_BYTES_MAX).
    pub realm: Option<String>,
    /// Answers to this task's challenges that the server did not take.
    pub previous_failures: u32,
}

/// What the owner of a task answers to a [`Challenge`]
/// (`URLSession.AuthChallengeDisposition`).
#[derive(Clone, PartialEq, Eq)]
pub enum Disposition {
    /// Go on with these.
    UseCredential(Renewal),
    /// Go on as if nobody had been asked: with what the configuration has, and the task fails when
    /// that is nothing.
    PerformDefaultHandling,
    /// Cancel the task.
    Cancel,
    /// Refuse this way of authenticating: the next one that the server offers is tried, and the task
    /// fails when there is none.
    RejectProtectionSpace,
}

/// What a task goes on with after a challenge. What is `None` stays as it was.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Renewal {
    /// Credentials in place of the old ones.
    pub credentials: Option<Credentials>,
    /// Header fields in place of the old ones.
    pub headers: Option<Vec<(String, String)>>,
    /// Another URL of the same resource, such as one that was signed anew. The bytes that are held
    /// are kept when the validators there are the same.
    pub url: Option<HttpUrl>,
}

impl fmt::Debug for Disposition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UseCredential(renewal) => f.debug_tuple("UseCredential").field(renewal).finish(),
            Self::PerformDefaultHandling => f.write_str("PerformDefaultHandling"),
            Self::Cancel => f.write_str("Cancel"),
            Self::RejectProtectionSpace => f.write_str("RejectProtectionSpace"),
        }
    }
}

impl fmt::Debug for Renewal {
    /// Without any value: they are secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Renewal")
            .field("has_credentials", &self.credentials.is_some())
            .field("has_headers", &self.headers.is_some())
            .field("url", &self.url)
            .finish()
    }
}
