//! One question of the control API, ready to be sent, and sent again.

use std::fmt;

use longhaul_engine::control::{Call, ClientId, Method, Place, Problem};

/// A question. Who asks is only known when it is sent: a client that was lost becomes another one.
pub(super) struct Question {
    pub(super) name: &'static str,
    pub(super) method: Method,
    path: Box<dyn Fn(&ClientId) -> String + Send>,
    first: Content,
    again: Option<Content>,
    /// It is about something that ends with this connection.
    pub(super) only_on: Option<u64>,
}

/// Why there is no good answer to a question.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum Unanswered {
    /// The daemon says why.
    #[error(transparent)]
    Problem(Problem),
    /// No daemon was there for as long as patience lasts.
    #[error("{0}")]
    Unreachable(String),
    /// The client was closed.
    #[error("the client is closed")]
    Stopped {
        /// Why, when it was not its owner's wish.
        reason: Option<String>,
    },
}

/// What travels with a question.
#[derive(Clone, Default)]
pub(super) struct Content {
    /// Behind the path, without the question mark.
    pub(super) query: String,
    /// JSON.
    pub(super) body: Option<Vec<u8>>,
}

impl Question {
    /// A question that is the same when it is asked again.
    ///
    /// # Errors
    /// [`Problem::Invalid`] when it can not be written down.
    pub(super) fn new<C: Call>(
        call: &C,
        at: impl Fn(&ClientId) -> C::At + Send + 'static,
    ) -> Result<Self, Unanswered> {
        Ok(Self {
            name: C::NAME,
            method: C::METHOD,
            path: Box::new(move |client| at(client).fill(C::PATH)),
            first: Content::of(call)?,
            again: None,
            only_on: None,
        })
    }

    /// What is asked instead when an earlier try may have been heard.
    ///
    /// # Errors
    /// As [`Question::new`].
    pub(super) fn again<C: Call>(mut self, call: &C) -> Result<Self, Unanswered> {
        self.again = Some(Content::of(call)?);
        Ok(self)
    }

    /// It is of no use on any other connection than this one.
    pub(super) const fn only_on(mut self, connection: u64) -> Self {
        self.only_on = Some(connection);
        self
    }

    /// The path, for this client.
    pub(super) fn path(&self, client: &ClientId) -> String {
        (self.path)(client)
    }

    /// What to send.
    pub(super) fn content(&self, may_be_heard: bool) -> &Content {
        match &self.again {
            Some(again) if may_be_heard => again,
            Some(_) | None => &self.first,
        }
    }
}

impl Content {
    fn of<C: Call>(call: &C) -> Result<Self, Unanswered> {
        let unwritten = |error: &dyn fmt::Display| {
            let detail = format!("{} can not be written as a document: {error}", C::NAME);
            Unanswered::Problem(Problem::invalid(detail))
        };
        match C::METHOD {
            Method::Get => {
                let query = serde_urlencoded::to_string(call).map_err(|error| unwritten(&error))?;
                Ok(Self { query, body: None })
            }
            Method::Delete => Ok(Self::default()),
            Method::Put | Method::Post | Method::Patch => {
                let body = serde_json::to_vec(call).map_err(|error| unwritten(&error))?;
                Ok(Self {
                    query: String::new(),
                    body: Some(body),
                })
            }
        }
    }
}

/// What is asked may hold secrets.
impl fmt::Debug for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Question")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// The answer to a call, from what came as its body.
///
/// # Errors
/// [`Problem::Invalid`] when it is no answer to it.
pub(super) fn answer_of<C: Call>(body: &[u8]) -> Result<C::Answer, Unanswered> {
    let body = if body.is_empty() { b"null" } else { body };
    serde_json::from_slice(body).map_err(|error| {
        let detail = format!(
            "the daemon's answer to {} can not be read: {error}; use a daemon of this version",
            C::NAME
        );
        Unanswered::Problem(Problem::invalid(detail))
    })
}
