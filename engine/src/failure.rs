//! What can go wrong, sorted by who must act, with names that stay stable for scripts.

use serde::{Deserialize, Serialize};

use crate::limits::ERROR_TEXT_BYTES_MAX;
use crate::resume_data::ResumeData;

/// Why a task failed or must try again: a stable kind and a bounded text for a person.
///
/// The text never holds a secret: no header value, no userinfo, no query value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[error("{message}")]
pub struct Failure {
    #[serde(flatten)]
    kind: FailureKind,
    #[serde(deserialize_with = "crate::serial::bounded_text")]
    message: String,
    #[serde(default)]
    resume_data: Option<ResumeData>,
}

/// The kinds of [`Failure`]. The numbers of the command's exit codes hang on [`Class`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(tag = "kind", content = "value", rename_all = "snake_case")]
#[non_exhaustive]
pub enum FailureKind {
    /// The request itself can not be made: a bad URL, header or option.
    InvalidRequest,
    /// The target exists and the collision policy is to fail.
    TargetExists,
    /// The target's directory is missing or not writable, or another file error.
    File,
    /// No space is left on the device, or a quota is used up.
    NoSpace,
    /// The file of an upload is not there.
    SourceMissing,
    /// The file of an upload is not the one any more that the task began to send.
    SourceChanged,
    /// The answer to an upload was lost, and its request must not be sent twice: the server may have
    /// the file or not.
    OutcomeUnknown,
    /// The host's name could not be resolved.
    Resolve,
    /// No connection could be made.
    Connect,
    /// The connection broke, or the body ended early.
    Disconnected,
    /// No byte came for the idle timeout, or the connection took too long.
    TimedOut,
    /// The proxy refused or failed.
    Proxy,
    /// The TLS handshake or the certificate failed.
    Tls,
    /// The server asked for credentials that we do not have or that it refused (401, 407).
    Authentication,
    /// The server broke the protocol.
    Protocol,
    /// The server sent a coded body (`Content-Encoding`) that nobody asked for.
    Encoded,
    /// Too many redirects, or one that is not allowed.
    Redirect,
    /// The server answered with an error status.
    Status(u16),
    /// The resource changed again and again while it was fetched.
    Unstable,
    /// The bytes do not have the expected digest or length.
    Integrity,
    /// The time for the whole resource ran out.
    ResourceTimedOut,
    /// The transfer crashed more often than its restart budget allows.
    Crashed,
    /// The engine's store failed.
    Store,
}

/// Who must act on a failure. The command's exit codes are these, see `design` of the command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// The caller's request is wrong.
    Usage,
    /// A file, directory or device of this machine.
    File,
    /// The way to the server.
    Network,
    /// The trust in the server.
    Tls,
    /// The credentials.
    Authentication,
    /// The server's handling of HTTP.
    Protocol,
    /// The server said no.
    Server,
    /// The bytes are not the expected ones.
    Integrity,
    /// Time ran out.
    Timeout,
    /// This program.
    Internal,
}

impl Failure {
    /// A failure of this kind; the text is cut at [`ERROR_TEXT_BYTES_MAX`].
    #[must_use]
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: Self::bounded(message.into()),
            resume_data: None,
        }
    }

    pub(crate) fn bounded(mut message: String) -> String {
        if message.len() > ERROR_TEXT_BYTES_MAX {
            let cut = (0..=ERROR_TEXT_BYTES_MAX)
                .rev()
                .find(|at| message.is_char_boundary(*at));
            message.truncate(cut.unwrap_or(0));
        }
        message
    }

    /// The same failure with what a later task may go on with.
    #[must_use]
    pub fn with_resume_data(mut self, resume_data: Option<ResumeData>) -> Self {
        self.resume_data = resume_data;
        self
    }

    /// What a later task may go on with (`NSURLSessionDownloadTaskResumeData`).
    #[must_use]
    pub const fn resume_data(&self) -> Option<&ResumeData> {
        self.resume_data.as_ref()
    }

    /// What went wrong, for a program.
    #[must_use]
    pub const fn kind(&self) -> FailureKind {
        self.kind
    }

    /// What went wrong, for a person: lower case, no full stop.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Whether the same request may succeed later without anybody acting.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        self.kind.is_transient()
    }
}

impl FailureKind {
    /// Whether the same request may succeed later without anybody acting: design 5.3 and 5.4.
    #[must_use]
    pub const fn is_transient(self) -> bool {
        match self {
            Self::Resolve
            | Self::Connect
            | Self::Disconnected
            | Self::TimedOut
            | Self::Proxy
            | Self::Store => true,
            Self::Status(status) => matches!(status, 408 | 425 | 429 | 500 | 502 | 503 | 504),
            Self::InvalidRequest
            | Self::TargetExists
            | Self::File
            | Self::NoSpace
            | Self::SourceMissing
            | Self::SourceChanged
            | Self::OutcomeUnknown
            | Self::Tls
            | Self::Authentication
            | Self::Protocol
            | Self::Encoded
            | Self::Redirect
            | Self::Unstable
            | Self::Integrity
            | Self::ResourceTimedOut
            | Self::Crashed => false,
        }
    }

    /// Whether the bytes that were held are of no use to another attempt: they are removed with the
    /// task. All other failures leave them for the next task of the same URL and target.
    #[must_use]
    pub const fn spoils_bytes(self) -> bool {
        match self {
            Self::Integrity | Self::Unstable | Self::Status(416) => true,
            Self::InvalidRequest
            | Self::TargetExists
            | Self::File
            | Self::NoSpace
            | Self::SourceMissing
            | Self::SourceChanged
            | Self::OutcomeUnknown
            | Self::Resolve
            | Self::Connect
            | Self::Disconnected
            | Self::TimedOut
            | Self::Proxy
            | Self::Tls
            | Self::Authentication
            | Self::Protocol
            | Self::Encoded
            | Self::Redirect
            | Self::Status(_)
            | Self::ResourceTimedOut
            | Self::Crashed
            | Self::Store => false,
        }
    }

    /// Who must act.
    #[must_use]
    pub const fn class(self) -> Class {
        match self {
            Self::InvalidRequest => Class::Usage,
            Self::TargetExists | Self::File | Self::NoSpace => Class::File,
            Self::SourceMissing | Self::SourceChanged => Class::File,
            Self::Resolve | Self::Connect | Self::Disconnected | Self::Proxy => Class::Network,
            Self::TimedOut | Self::OutcomeUnknown => Class::Network,
            Self::Tls => Class::Tls,
            Self::Authentication => Class::Authentication,
            Self::Protocol | Self::Encoded | Self::Redirect | Self::Unstable => Class::Protocol,
            Self::Status(_) => Class::Server,
            Self::Integrity => Class::Integrity,
            Self::ResourceTimedOut => Class::Timeout,
            Self::Crashed | Self::Store => Class::Internal,
        }
    }

    /// The stable name for scripts and logs.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::TargetExists => "target_exists",
            Self::File => "file",
            Self::NoSpace => "no_space",
            Self::SourceMissing => "source_missing",
            Self::SourceChanged => "source_changed",
            Self::OutcomeUnknown => "outcome_unknown",
            Self::Resolve => "resolve",
            Self::Connect => "connect",
            Self::Disconnected => "disconnected",
            Self::TimedOut => "timed_out",
            Self::Proxy => "proxy",
            Self::Tls => "tls",
            Self::Authentication => "authentication",
            Self::Protocol => "protocol",
            Self::Encoded => "encoded",
            Self::Redirect => "redirect",
            Self::Status(_) => "status",
            Self::Unstable => "unstable",
            Self::Integrity => "integrity",
            Self::ResourceTimedOut => "resource_timed_out",
            Self::Crashed => "crashed",
            Self::Store => "store",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_at_a_character() {
        let failure = Failure::new(FailureKind::Protocol, "é".repeat(ERROR_TEXT_BYTES_MAX));
        assert!(failure.message().len() <= ERROR_TEXT_BYTES_MAX);
        assert!(failure.message().chars().all(|c| c == 'é'));
    }

    #[test]
    fn only_what_may_pass_by_itself_is_transient() {
        for status in [408, 425, 429, 500, 502, 503, 504] {
            assert!(FailureKind::Status(status).is_transient(), "{status}");
        }
        for status in [400, 401, 403, 404, 410, 416, 501, 505] {
            assert!(!FailureKind::Status(status).is_transient(), "{status}");
        }
        assert!(FailureKind::Disconnected.is_transient());
        assert!(!FailureKind::Integrity.is_transient());
        assert!(!FailureKind::NoSpace.is_transient());
    }
}
