//! What a server asked for, and what the owner of a task may answer.

mod answers;
#[cfg(test)]
mod tests;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::http::authorization::Credentials;
use crate::http::challenge;
use crate::limits::{CHALLENGE_HOST_BYTES_MAX, REALM_BYTES_MAX, SCHEME_BYTES_MAX};
use crate::safe_url::{HttpUrl, UrlError, parse_http_url};
use crate::session::host_key;

pub use answers::{Answered, Answers};

/// What a server asked for before it lets a task go on (`URLAuthenticationChallenge`). Every text in
/// it is cut to its limit and has no control characters, for it is shown to a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct Challenge {
    /// The host and port that ask: another one than the task's after a redirect.
    pub host: String,
    /// The status that asked: 401 of the server, 407 of a proxy, or 403 and others of a URL that has
    /// expired.
    pub status: u16,
    /// The strongest scheme that is offered and was not rejected: `Digest`, `Basic`, `Bearer`, or the
    /// name of another one in lower case; empty when the server named none.
    pub scheme: String,
    /// The realm, when the server named one, cut at
    /// [`REALM_BYTES_MAX`].
    pub realm: Option<String>,
    /// Answers to this task's challenges, since a byte of a download came last, that the server did
    /// not take (`previousFailureCount`).
    pub previous_failures: u32,
}

impl Challenge {
    /// The challenge of an answer with this status of `url`, which offers these ways, none of them
    /// rejected before.
    pub(crate) fn new(
        url: &HttpUrl,
        status: u16,
        offered: &[challenge::Challenge],
        previous_failures: u32,
    ) -> Self {
        let strongest = offered.iter().rev().max_by_key(|offer| offer.strength());
        Self {
            host: shown(&host_key(url), CHALLENGE_HOST_BYTES_MAX),
            status,
            scheme: strongest
                .map_or_else(String::new, |offer| shown(offer.scheme(), SCHEME_BYTES_MAX)),
            realm: strongest
                .and_then(challenge::Challenge::realm)
                .map(|realm| shown(realm, REALM_BYTES_MAX)),
            previous_failures,
        }
    }
}

/// What the owner of a task answers to a [`Challenge`]
/// (`URLSession.AuthChallengeDisposition`).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Disposition {
    /// Go on with these.
    UseCredential(Renewal),
    /// Go on as if nobody could be asked: with what the configuration has. When the server does not
    /// take that, the task fails: with [`Authentication`](crate::failure::FailureKind::Authentication)
    /// after a 401 or 407, with the status itself after another one.
    PerformDefaultHandling,
    /// Cancel the task.
    Cancel,
    /// Refuse this way of authenticating, for good: the next one that the server offers is tried with
    /// the credentials that there are, or asked for in a challenge of its own. When none is left the
    /// task fails. A status other than 401 offers one way only.
    RejectProtectionSpace,
}

/// What a task goes on with after a challenge. What is `None` stays as it was, with one exception:
/// the old credentials and header fields do not go along to a URL of another origin, but for
/// `User-Agent` and `Accept*`.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Renewal {
    /// Credentials in place of the old ones.
    pub credentials: Option<Credentials>,
    /// Header fields in place of the old ones.
    pub headers: Option<Vec<(String, String)>>,
    /// Another URL of the same resource, such as one that was signed anew. The bytes of a download
    /// that are held are kept when total length and validator are the same there (`If-Range`, RFC 9110 section
    /// 13.1.5); whoever names another origin vouches that its validators mean the same.
    pub url: Option<HttpUrl>,
}

impl Renewal {
    /// Goes on with these credentials.
    #[must_use]
    pub fn with_credentials(mut self, credentials: Credentials) -> Self {
        self.credentials = Some(credentials);
        self
    }

    /// Goes on with these header fields instead of all that the task was given.
    #[must_use]
    pub fn with_headers(mut self, headers: Vec<(String, String)>) -> Self {
        self.headers = Some(headers);
        self
    }

    /// Goes on at this URL. A user name and password in it become credentials.
    ///
    /// # Errors
    /// When it can not be fetched; the message says what to do and does not repeat the text.
    pub fn with_url(mut self, text: &str) -> Result<Self, UrlError> {
        let parsed = parse_http_url(text)?;
        self.url = Some(parsed.url);
        if parsed.credentials.is_some() {
            self.credentials = parsed.credentials;
        }
        Ok(self)
    }
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

/// `text` without control characters, at most so many bytes of it.
fn shown(text: &str, bytes_max: usize) -> String {
    let mut shown = String::new();
    for character in text.chars().filter(|character| !character.is_control()) {
        if shown.len() + character.len_utf8() > bytes_max {
            break;
        }
        shown.push(character);
    }
    shown
}
