//! Which protocol an upload speaks, what a server was seen to support, and what is known of its place.

pub(super) mod discovery;
pub(super) mod ietf;
pub(super) mod plain;
pub(super) mod tus;

use serde::{Deserialize, Serialize};

use crate::checksum::Algorithm;
use crate::safe_url::HttpUrl;
use crate::time::Timestamp;

/// The interop version of the IETF draft that is offered first: the one that most servers and Apple's
/// clients speak (draft-ietf-httpbis-resumable-upload-04 and -05).
pub const INTEROP_DEFAULT: u16 = 6;

/// Interop versions that are taken up when a server names one of them.
pub const INTEROP_KNOWN: [u16; 3] = [INTEROP_DEFAULT, 5, 3];

/// The protocol that the owner of an upload asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum UploadProtocol {
    /// What the server proves to speak; a plain request when it proves nothing.
    #[default]
    Auto,
    /// One request with the whole file, and nothing that its caller did not give.
    Plain,
    /// tus 1.0.0.
    Tus,
    /// Resumable Uploads for HTTP (draft-ietf-httpbis-resumable-upload).
    Ietf {
        /// Its interop version, 3 or above.
        #[serde(default = "interop_default")]
        interop: u16,
    },
}

impl UploadProtocol {
    /// The IETF draft, in the interop version that most servers speak.
    pub const IETF: Self = Self::Ietf {
        interop: INTEROP_DEFAULT,
    };
}

/// The default of [`UploadProtocol::Ietf`].
const fn interop_default() -> u16 {
    INTEROP_DEFAULT
}

/// A protocol that an upload speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Protocol {
    /// One request with the whole file; what was interrupted begins again at its first byte.
    Plain,
    /// tus 1.0.0.
    Tus,
    /// Resumable Uploads for HTTP.
    Ietf {
        /// Its interop version.
        interop: u16,
    },
}

impl Protocol {
    /// Whether an interrupted upload goes on where the server has it.
    #[must_use]
    pub const fn is_resumable(self) -> bool {
        match self {
            Self::Plain => false,
            Self::Tus | Self::Ietf { .. } => true,
        }
    }
}

/// The protocol of an upload and why it is that one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct Negotiated {
    /// What is spoken.
    pub protocol: Protocol,
    /// Why.
    pub evidence: Evidence,
}

/// Why an upload speaks its protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(tag = "kind", content = "value", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Evidence {
    /// Its owner asked for it.
    Requested,
    /// It goes on with what an earlier transfer has begun.
    Recorded,
    /// The server's answers to an earlier upload.
    Remembered,
    /// The server's answer to `OPTIONS`.
    Options,
    /// The server's interim answer 104 (Upload Resumption Supported).
    Interim,
    /// The server's refusal of a request that was not in its protocol.
    Refusal,
    /// The server has proven nothing: the upload can not be resumed.
    Nothing,
    /// The server speaks another interop version of the IETF draft, so the upload can not be resumed.
    OtherVersion(u16),
    /// The file is too small to be worth asking.
    Small,
}

/// What a server was seen to support; remembered for its origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Capability {
    /// It gave no sign of any protocol.
    Plain,
    /// tus 1.0.0.
    Tus(TusExtensions),
    /// The IETF draft, proven by an answer to `OPTIONS`: an upload may be created before its bytes flow.
    Ietf {
        /// Its interop version.
        interop: u16,
        /// What it allows.
        limits: UploadLimits,
    },
    /// The IETF draft, proven by a 104 alone: the request itself creates the upload.
    IetfInterim {
        /// Its interop version.
        interop: u16,
    },
}

/// The extensions of tus that matter to us (`Tus-Extension`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TusExtensions {
    /// `creation`: uploads can be made by a request.
    pub creation: bool,
    /// `creation-with-upload`: and that request may carry bytes.
    pub creation_with_upload: bool,
    /// `termination`: uploads can be removed.
    pub termination: bool,
    /// `checksum`, with the best algorithm of `Tus-Checksum-Algorithm` that we know.
    pub checksum: Option<Algorithm>,
    /// `Tus-Max-Size`.
    pub size_max: Option<u64>,
}

/// What a server allows one upload (`Upload-Limit`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UploadLimits {
    /// The longest file.
    pub size_max: Option<u64>,
    /// The longest body of one append.
    pub append_max: Option<u64>,
    /// The shortest body of one append, but for the last.
    pub append_min: Option<u64>,
}

/// The place that a server has made for an upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    /// The protocol that is spoken with it: never [`Protocol::Plain`].
    pub protocol: Protocol,
    /// Where it is; whoever knows this URL may write there. Its `Debug` shows no secret.
    pub url: HttpUrl,
    /// Bytes that the server said it has.
    pub acknowledged: u64,
    /// What it allows.
    pub limits: UploadLimits,
    /// When the server removes it, as far as it said so.
    pub expires_at: Option<Timestamp>,
    /// Whether the server removes it when asked to.
    pub can_terminate: bool,
    /// With what the server checks each piece.
    pub checksum: Option<Algorithm>,
    /// The longest piece that the way to the server takes; `None` while it takes any.
    pub piece_max: Option<u64>,
}

/// What may have happened at the server that nobody has heard of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Unheard {
    /// Nothing that matters.
    #[default]
    Nothing,
    /// A request that must not be sent twice was on its way.
    Creation,
    /// The last byte was on its way to the place that the server has made.
    Completion,
}
