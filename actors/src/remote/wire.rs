//! One try to ask something, and the beginning of a stream: HTTP and nothing of what it is about.

use std::path::{Path, PathBuf};
use std::time::Duration;

use awc::error::{ConnectError, SendRequestError};
use awc::http::{self, header};
use awc::{Client, ClientRequest};
use futures_util::StreamExt as _;
use longhaul_engine::control::{Method, Problem};

use super::question::Content;
use super::reader::Reader;
use crate::net::unix;

/// How long the daemon may take for one answer. It commits before it answers, which takes
/// milliseconds, and seconds on a disk that is busy with something else.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// The longest answer: a hundred thousand tasks with their requests are some 100 MB.
const ANSWER_BYTES_MAX: usize = 512 * 1024 * 1024;

/// The longest answer that says why something failed.
const PROBLEM_BYTES_MAX: usize = 64 * 1024;

/// Any name: all connections go to one socket.
const HOST: &str = "http://localhost";

/// The daemon as one thread speaks to it.
pub(super) struct Wire {
    client: Client,
    socket: PathBuf,
}

/// Why one try had no answer.
#[derive(Debug)]
pub(super) enum Unheard {
    /// The daemon says why.
    Refused(Problem),
    /// Nobody took the question.
    NotThere(String),
    /// The connection broke: it is not known whether it was done.
    Lost(String),
}

impl Wire {
    pub(super) fn new(socket: &Path) -> Self {
        Self {
            client: unix::client(socket),
            socket: socket.to_path_buf(),
        }
    }

    pub(super) fn socket(&self) -> &Path {
        &self.socket
    }

    /// Asks once.
    ///
    /// # Errors
    /// As [`Unheard`] says.
    pub(super) async fn ask(
        &self,
        method: Method,
        path: &str,
        content: &Content,
    ) -> Result<Vec<u8>, Unheard> {
        in_time(async {
            let (length, status, pieces) = self.send(method, path, content).await?;
            let body = read(pieces, length, ANSWER_BYTES_MAX).await?;
            match status.is_success() {
                true => Ok(body),
                false => Err(Unheard::Refused(problem_of(status.as_u16(), &body))),
            }
        })
        .await
    }

    /// Opens a stream of events.
    ///
    /// # Errors
    /// As [`Unheard`] says.
    pub(super) async fn open(
        &self,
        method: Method,
        path: &str,
        content: &Content,
    ) -> Result<Reader, Unheard> {
        in_time(async {
            let (length, status, pieces) = self.send(method, path, content).await?;
            if status.is_success() {
                return Ok(Reader::new(pieces));
            }
            let body = read(pieces, length, PROBLEM_BYTES_MAX).await?;
            Err(Unheard::Refused(problem_of(status.as_u16(), &body)))
        })
        .await
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        content: &Content,
    ) -> Result<(Option<usize>, http::StatusCode, awc::ClientResponse), Unheard> {
        let request = self.request(method, path, &content.query);
        let sent = match &content.body {
            Some(body) => request
                .insert_header((header::CONTENT_TYPE, "application/json"))
                .send_body(body.clone()),
            None => request.send(),
        };
        let response = sent.await.map_err(|error| self.not_sent(&error))?;
        let length = response.headers().get(header::CONTENT_LENGTH);
        let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
        Ok((length, response.status(), response))
    }

    fn request(&self, method: Method, path: &str, query: &str) -> ClientRequest {
        let mark = if query.is_empty() { "" } else { "?" };
        let method = match method {
            Method::Get => http::Method::GET,
            Method::Put => http::Method::PUT,
            Method::Post => http::Method::POST,
            Method::Patch => http::Method::PATCH,
            Method::Delete => http::Method::DELETE,
        };
        self.client
            .request(method, format!("{HOST}{path}{mark}{query}"))
    }

    fn not_sent(&self, error: &SendRequestError) -> Unheard {
        match error {
            // It was closed as it was idle, perhaps after it had taken the question.
            SendRequestError::Connect(ConnectError::Disconnected) => {
                Unheard::Lost("it closed the connection".to_owned())
            }
            SendRequestError::Connect(error) => {
                let socket = self.socket.display();
                Unheard::NotThere(format!("nobody answers at {socket}: {error}"))
            }
            error => Unheard::Lost(error.to_string()),
        }
    }
}

/// What the daemon says, unless it takes too long.
async fn in_time<T>(answer: impl Future<Output = Result<T, Unheard>>) -> Result<T, Unheard> {
    let within = tokio::time::timeout(ANSWER_TIMEOUT, answer).await;
    within.unwrap_or_else(|_| {
        Err(Unheard::Lost(format!(
            "it has not answered within {} s",
            ANSWER_TIMEOUT.as_secs()
        )))
    })
}

/// The whole body, which has to be as long as was said.
async fn read(
    mut response: awc::ClientResponse,
    length: Option<usize>,
    bytes_max: usize,
) -> Result<Vec<u8>, Unheard> {
    let mut body = Vec::with_capacity(length.unwrap_or(0).min(PROBLEM_BYTES_MAX));
    while let Some(piece) = response.next().await {
        let piece = piece.map_err(|error| Unheard::Lost(error.to_string()))?;
        if body.len() + piece.len() > bytes_max {
            let detail = format!("the daemon's answer is longer than {bytes_max} bytes");
            return Err(Unheard::Refused(Problem::invalid(detail)));
        }
        body.extend_from_slice(&piece);
    }
    // awc takes the end of a connection for the end of a body.
    match length {
        Some(length) if length != body.len() => {
            Err(Unheard::Lost("its answer was cut off".to_owned()))
        }
        Some(_) | None => Ok(body),
    }
}

/// What the body of an answer with this status says.
fn problem_of(status: u16, body: &[u8]) -> Problem {
    serde_json::from_slice(body).unwrap_or_else(|_| {
        let said: Option<serde_json::Value> = serde_json::from_slice(body).ok();
        let detail = said.as_ref().and_then(|said| said.get("detail")?.as_str());
        Problem::invalid(match detail {
            Some(detail) => detail.to_owned(),
            None => format!("the daemon answered with status {status} and did not say why"),
        })
    })
}
