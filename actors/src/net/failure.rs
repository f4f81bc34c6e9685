//! What can go wrong between a request and the end of its body, sorted by who must act.

use std::io;

use longhaul_engine::http::framing::FramingError;
use thiserror::Error;

/// Most characters kept of a text that a server or proxy chose: an error is stored and logged, so a
/// hostile peer must not decide its size.
const REASON_CHARS_MAX: usize = 256;

/// Why a request or its body failed.
///
/// No variant ever holds a path, a query, a credential or a field of the message.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NetFailure {
    /// The caller's mistake: a URL, a field, a proxy or a certificate that cannot be used.
    #[error("{reason}")]
    InvalidInput {
        /// What is wrong with it.
        reason: String,
    },
    /// The resolver knows no address for the host (or there is no network).
    #[error("the name {host} could not be resolved")]
    Dns {
        /// The host that was looked up.
        host: String,
    },
    /// No address of the host accepted a connection.
    #[error("no connection to {to}: {kind}")]
    Connect {
        /// Host and port.
        to: String,
        /// The error of the address that was tried first.
        kind: io::ErrorKind,
    },
    /// Name, TCP, proxy and TLS together took longer than the connect timeout.
    #[error("no connection to {to} within {limit_ms} ms")]
    ConnectTimeout {
        /// Host and port.
        to: String,
        /// The limit that passed, in milliseconds.
        limit_ms: u64,
    },
    /// The TLS handshake failed.
    #[error("tls failed: {reason}")]
    Tls {
        /// What rustls says.
        reason: String,
        /// True when the server's certificate is what was refused.
        certificate: bool,
    },
    /// The proxy did not open the way.
    #[error("the proxy refused: {reason}")]
    Proxy {
        /// What it answered.
        reason: String,
        /// The HTTP status of its answer, if it gave one.
        status: Option<u16>,
    },
    /// The connection broke, or was closed before a whole response head had come.
    #[error("the connection broke: {kind}")]
    Reset {
        /// The system's word for it.
        kind: io::ErrorKind,
    },
    /// The connection ended cleanly in the middle of a body.
    #[error("the body ended after {received} bytes, before its end")]
    Truncated {
        /// Body bytes received in this response.
        received: u64,
        /// Body bytes that the head declared, if it did.
        expected: Option<u64>,
    },
    /// No byte came for as long as the request allows.
    #[error("no byte came for {limit_ms} ms")]
    IdleTimeout {
        /// The limit that passed, in milliseconds.
        limit_ms: u64,
    },
    /// The server broke HTTP in a way that no other variant names.
    #[error("the server broke the protocol: {0}")]
    Protocol(String),
    /// The response head is longer than 64 KiB or has more than 256 fields.
    #[error("the response head is too large")]
    HeadTooLarge,
    /// More than 32 interim (1xx) responses came, and for a body more than one a second beyond them.
    #[error("too many interim responses")]
    TooManyInterim,
    /// The answer does not begin as an HTTP/1 response: HTTP/0.9, another protocol, or garbage.
    #[error("the answer is not http/1")]
    Http09,
    /// The body comes in a transfer coding that nobody asked for.
    #[error("the server used a transfer coding other than chunked")]
    UnsupportedTransferCoding,
    /// The head declares lengths that contradict each other or the framing.
    #[error("the server declared conflicting lengths")]
    ConflictingLength,
    /// More body bytes came than the head declared.
    #[error("the body is longer than the {expected} bytes declared")]
    LongBody {
        /// The declared length in bytes.
        expected: u64,
    },
}

impl NetFailure {
    /// Says whether the same request may succeed later with nobody changing anything.
    ///
    /// A broken connection is worth another try; a certificate, a broken protocol and the caller's
    /// mistakes are not. A proxy is asked again after a 5xx answer only.
    #[must_use]
    pub const fn retryable(&self) -> bool {
        match self {
            Self::Dns { .. }
            | Self::Connect { .. }
            | Self::ConnectTimeout { .. }
            | Self::Reset { .. }
            | Self::Truncated { .. }
            | Self::IdleTimeout { .. } => true,
            Self::Proxy { status, .. } => matches!(status, Some(500..=599)),
            Self::InvalidInput { .. }
            | Self::Tls { .. }
            | Self::Protocol(_)
            | Self::HeadTooLarge
            | Self::TooManyInterim
            | Self::Http09
            | Self::UnsupportedTransferCoding
            | Self::ConflictingLength
            | Self::LongBody { .. } => false,
        }
    }

    /// The caller's mistake, in our words.
    pub(super) fn invalid(reason: impl Into<String>) -> Self {
        Self::InvalidInput {
            reason: reason.into(),
        }
    }

    /// A broken protocol, with a text that a peer may have chosen cut to size.
    pub(super) fn protocol(reason: &str) -> Self {
        Self::Protocol(bounded(reason))
    }

    /// A proxy that answered something else than a way through.
    pub(super) fn proxy(reason: &str, status: Option<u16>) -> Self {
        Self::Proxy {
            reason: bounded(reason),
            status,
        }
    }

    /// A connection that failed while bytes were moved. A damaged TLS record counts as a broken
    /// connection: another connection may carry the bytes intact.
    pub(super) fn broken(error: &io::Error) -> Self {
        Self::Reset { kind: error.kind() }
    }

    /// A TLS handshake that failed; a connection that broke meanwhile stays a broken connection.
    pub(super) fn handshake(error: &io::Error) -> Self {
        let tls = error
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<rustls::Error>());
        match tls {
            Some(reason) => Self::Tls {
                reason: bounded(&reason.to_string()),
                certificate: matches!(reason, rustls::Error::InvalidCertificate(_)),
            },
            None => Self::broken(error),
        }
    }
}

impl From<FramingError> for NetFailure {
    fn from(error: FramingError) -> Self {
        match error {
            FramingError::ConflictingLengths { .. } | FramingError::LengthWithTransferEncoding => {
                Self::ConflictingLength
            }
            FramingError::UnknownTransferCoding
            | FramingError::ChunkedNotFinal
            | FramingError::TransferEncodingInHttp10 => Self::UnsupportedTransferCoding,
            // `FramingError` may grow; whatever it adds is a broken protocol.
            _ => Self::protocol(&error.to_string()),
        }
    }
}

/// `text` without control characters, at most [`REASON_CHARS_MAX`] characters of it.
pub(super) fn bounded(text: &str) -> String {
    text.chars()
        .filter(|character| !character.is_control())
        .take(REASON_CHARS_MAX)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_pass_by_itself_is_retryable() {
        let proxy = |status| NetFailure::Proxy {
            reason: String::new(),
            status,
        };
        let table = [
            (
                NetFailure::Reset {
                    kind: io::ErrorKind::ConnectionReset,
                },
                true,
            ),
            (NetFailure::IdleTimeout { limit_ms: 1 }, true),
            (proxy(Some(502)), true),
            (proxy(Some(407)), false),
            (proxy(None), false),
            (NetFailure::invalid("x"), false),
            (NetFailure::LongBody { expected: 1 }, false),
            (NetFailure::Http09, false),
        ];
        for (failure, expected) in table {
            assert_eq!(failure.retryable(), expected, "{failure:?}");
        }
    }

    #[test]
    fn a_text_from_outside_is_cut_and_has_no_control_characters() {
        let NetFailure::Protocol(text) = NetFailure::protocol(&"a\u{1b}\n".repeat(1000)) else {
            panic!("not a protocol failure");
        };
        assert_eq!(text, "a".repeat(REASON_CHARS_MAX));
    }
}
