//! What a request of an upload is for, and what its answer may mean, whatever the protocol.

use crate::checksum::Digest;
use crate::failure::FailureKind;
use crate::http::head::ResponseHead;
use crate::time::Timestamp;
use crate::upload::protocol::{self, Protocol, UploadLimits};

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    /// `OPTIONS`: the server is asked what it supports.
    Discover,
    /// The caller's own request with the whole file.
    Whole {
        /// The interop version of the IETF draft that is offered along with it.
        offer: Option<u16>,
    },
    /// What a 303 points at: the answer to a file that was taken.
    SeeOther,
    /// Something with the place that the server makes, or has made, for the upload.
    Place(Dialect, Act),
}

/// A protocol in which uploads have places of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// tus 1.0.0.
    Tus,
    /// The IETF draft in this interop version.
    Ietf(u16),
}

/// What is done with a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// It is made, with so many bytes from the beginning of the file in it.
    Create(u64),
    /// `HEAD`: the server is asked how much it has.
    Offset,
    /// `PATCH`: it is given more.
    Append(Piece),
    /// `DELETE`: it is removed.
    Terminate,
}

/// The part of the file that one request appends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// Its first byte.
    pub(super) offset: u64,
    /// Its length in bytes.
    pub(super) length: u64,
    /// It reaches the end of the file.
    pub(super) is_last: bool,
}

/// What a request is made from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Brief<'a> {
    /// The method that the caller named.
    pub(super) method: &'a str,
    /// What the server is told of the file.
    pub(super) metadata: &'a [(String, String)],
    /// The length of the file.
    pub(super) length: u64,
    /// The digest of what the request is about: the piece, or the whole file.
    pub(super) digest: Option<&'a Digest>,
    /// The server takes no `PATCH` by its name.
    pub(super) overrides_method: bool,
}

/// A request without what its caller adds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Form {
    /// The method.
    pub(super) method: String,
    /// The fields of the protocol; those of the caller with one of these names do not go along.
    pub(super) fields: Vec<(&'static str, String)>,
    /// Which of the caller's fields go along.
    pub(super) companions: Companions,
}

/// Which of the caller's header fields go along with a request to the origin that they are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Companions {
    /// All: it is the caller's request.
    All,
    /// All but those that describe the content: it has none.
    AllButContent,
    /// Those that say who asks: it is another request than the caller's.
    OfTheCaller,
}

/// An answer, and what it is an answer to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heard<'a> {
    /// The answer.
    pub(super) head: &'a ResponseHead,
    /// All bytes of the request's body that were sent.
    pub(super) sent: u64,
    /// When it came.
    pub(super) now: Timestamp,
}

/// What a server says of an upload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Held {
    /// How many bytes it has.
    pub(super) offset: Option<u64>,
    /// How long it takes the file to be.
    pub(super) length: Option<u64>,
    /// Whether it takes the upload to be complete.
    pub(super) is_complete: Option<bool>,
    /// What it allows.
    pub(super) limits: Option<UploadLimits>,
    /// When it removes it.
    pub(super) expires_at: Option<Timestamp>,
}

/// What an answer means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// A success that says nothing of uploads: it counts for a request with the whole file.
    Taken,
    /// A place was made.
    Created(Held),
    /// The server has so much.
    Held(Held),
    /// The server has taken the upload to be complete, and this is its last word on it, good or bad.
    Final(Held),
    /// It went well, and how much the server has is not said.
    Unsaid,
    /// The append does not fit what the server has; this, if it says so.
    Conflict(Option<u64>),
    /// Another request is at work on the upload.
    Locked,
    /// There is no such upload, or not any more.
    Gone,
    /// The digest of the piece is another one.
    Mismatched,
    /// The body is too long.
    TooLarge,
    /// The method is not known, or not allowed.
    MethodRefused,
    /// The server speaks tus, or another version of what it was asked in.
    OtherVersion,
    /// Not now.
    Later,
    /// No.
    Refused,
    /// It breaks the protocol, in this way.
    Broken(&'static str),
}

impl Dialect {
    /// The dialect of a protocol; the plain one has no places.
    pub(super) const fn of(protocol: Protocol) -> Option<Self> {
        match protocol {
            Protocol::Plain => None,
            Protocol::Tus => Some(Self::Tus),
            Protocol::Ietf { interop } => Some(Self::Ietf(interop)),
        }
    }

    /// The protocol that it is of.
    pub(super) const fn protocol(self) -> Protocol {
        match self {
            Self::Tus => Protocol::Tus,
            Self::Ietf(interop) => Protocol::Ietf { interop },
        }
    }
}

impl Operation {
    /// The bytes of the file that go along, as offset and length, of a file of this length; `None`
    /// when the request has no body.
    pub(super) const fn body(&self, file_length: u64) -> Option<(u64, u64)> {
        match self {
            Self::Whole { .. } => Some((0, file_length)),
            Self::Place(_, Act::Create(length)) => Some((0, *length)),
            Self::Place(_, Act::Append(piece)) => Some((piece.offset, piece.length)),
            Self::Discover | Self::SeeOther | Self::Place(_, Act::Offset | Act::Terminate) => None,
        }
    }

    /// The request for this.
    pub(super) fn form(&self, brief: &Brief<'_>) -> Form {
        match self {
            Self::Discover => protocol::discovery::form(),
            Self::Whole { offer: None } => protocol::plain::form(brief.method),
            Self::Whole {
                offer: Some(version),
            } => protocol::ietf::offer(*version, brief),
            Self::SeeOther => protocol::plain::form("GET"),
            Self::Place(Dialect::Tus, act) => protocol::tus::form(act, brief),
            Self::Place(Dialect::Ietf(version), act) => protocol::ietf::form(*version, act, brief),
        }
    }

    /// What an answer to it means that is no redirect, no challenge, and not about expectations.
    pub(super) fn meaning(&self, heard: &Heard<'_>) -> Meaning {
        match self {
            Self::Discover | Self::SeeOther | Self::Whole { offer: None } => {
                protocol::plain::meaning(heard.head)
            }
            Self::Whole { offer: Some(_) } => protocol::ietf::meaning_of_offer(heard),
            Self::Place(Dialect::Tus, act) => protocol::tus::meaning(act, heard),
            Self::Place(Dialect::Ietf(version), act) => {
                protocol::ietf::meaning(*version, act, heard)
            }
        }
    }
}

/// What the answer to `act` means in every protocol that has places, where it says this much of one.
pub(super) fn of_place(act: &Act, head: &ResponseHead, held: Held) -> Meaning {
    let has_offset = held.offset.is_some();
    match (act, head.status) {
        (Act::Create(_), 200..=299) => Meaning::Created(held),
        (Act::Offset | Act::Append(_), 200..=299) if has_offset => Meaning::Held(held),
        (Act::Offset, 200..=299) => Meaning::Broken("it does not say how much it has"),
        (Act::Append(_), 200..=299) => Meaning::Unsaid,
        (Act::Append(_), 409) => Meaning::Conflict(held.offset),
        (Act::Append(_), 413) => Meaning::TooLarge,
        (Act::Append(_), 460) => Meaning::Mismatched,
        (Act::Append(_), 405 | 501) => Meaning::MethodRefused,
        (Act::Append(_) | Act::Offset, 404 | 410) => Meaning::Gone,
        (Act::Append(_) | Act::Offset | Act::Create(_), 423) => Meaning::Locked,
        (Act::Terminate, 200..=299) => Meaning::Taken,
        (Act::Terminate, 404 | 410) => Meaning::Gone,
        (Act::Create(_) | Act::Offset | Act::Append(_) | Act::Terminate, _) => common(head),
    }
}

/// What a status means that the protocols have no word of their own for.
pub(super) fn common(head: &ResponseHead) -> Meaning {
    match head.status {
        status if FailureKind::Status(status).is_transient() => Meaning::Later,
        412 if is_of_tus(head) => Meaning::OtherVersion,
        400..=599 => Meaning::Refused,
        _ => Meaning::Broken("the status has no meaning there"),
    }
}

/// Whether an answer is one of tus, which every server of it says with every answer.
fn is_of_tus(head: &ResponseHead) -> bool {
    let has = |name| head.headers.get_all(name).next().is_some();
    has("tus-resumable") || has("tus-version")
}
