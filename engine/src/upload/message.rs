//! The words between an upload machine and its caller.

use std::path::PathBuf;

use crate::checksum::{Algorithm, Digest};
use crate::download::{Exit, News};
use crate::failure::Failure;
use crate::http::head::ResponseHead;
use crate::resume_data::ResumeData;
use crate::safe_url::HttpUrl;
use crate::task::{Desired, Outcome};
use crate::upload::{Capability, Source, UploadCheckpoint};

/// Names a request for its life; never used twice in one machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub(super) u32);

/// What happened in the world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// The owner wants something else.
    Want(Desired),
    /// The answer to [`Action::Inspect`].
    Inspected(Result<Source, Failure>),
    /// The answer to [`Action::Record`], after the commit.
    Recorded(Result<(), Failure>),
    /// So many bytes of the body of a request were given to the network; the number only grows. It is
    /// exact ahead of an [`Input::Want`], which may end the request.
    Sent {
        /// Which request.
        request: RequestId,
        /// All bytes of it so far.
        bytes: u64,
    },
    /// The head of the final answer. The body is not sent on.
    Head {
        /// Which request.
        request: RequestId,
        /// The head.
        head: ResponseHead,
        /// All bytes of the body that were given to the network.
        sent: u64,
    },
    /// The head of an interim answer (1xx) but 100. The body of the request waits until
    /// [`Action::Proceed`].
    Interim {
        /// Which request.
        request: RequestId,
        /// The head.
        head: ResponseHead,
    },
    /// The answer to [`Action::Digest`].
    Digested(Result<Digest, Failure>),
    /// No answer came, or the file could not be read or had changed.
    AskFailed {
        /// Which request.
        request: RequestId,
        /// Why.
        failure: Failure,
        /// All bytes of the body that were given to the network: whether the server may have acted
        /// depends on them, and [`Input::Sent`] may come too late.
        sent: u64,
    },
    /// The answer to [`Action::Receive`]: the beginning of the answer's body, as far as it came.
    Received(Vec<u8>),
    /// The answer to [`Action::Seal`]; an `Err` left everything as it was.
    Sealed(Result<ResumeData, Failure>),
    /// The answer to [`Action::Close`], after the commit: the outcome that stands in the store.
    Closed(Outcome),
    /// Time passed.
    Tick,
}

/// What must be done in the world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Open this file, keep it open, and say what it is.
    Inspect(PathBuf),
    /// Commit a checkpoint.
    Record(Box<UploadCheckpoint>),
    /// Compute the digest of a part of the open file, which must still be the one that was inspected.
    Digest {
        /// The first byte.
        offset: u64,
        /// How many.
        length: u64,
        /// With what.
        algorithm: Algorithm,
    },
    /// Send a request, and the open file as its body if it has one. A block of the file is sent only
    /// when the file is still the one that was inspected after the block was read.
    Ask(Ask),
    /// The body of a request, which has waited since an interim answer came, may flow on.
    Proceed(RequestId),
    /// Remember what the origin of the task's URL supports, for other uploads to it.
    Remember(Capability),
    /// End a request, whatever it has sent or received; it answers nothing more.
    Stop(RequestId),
    /// Read the rest of a small answer so that the connection can be used again.
    Drain(RequestId),
    /// Read the beginning of the answer's body, at most
    /// [`RESPONSE_BODY_BYTES_MAX`](crate::limits::RESPONSE_BODY_BYTES_MAX).
    Receive(RequestId),
    /// Make resume data of what is on record.
    Seal,
    /// Commit the terminal fact.
    Close(Outcome),
    /// The network is not needed any more: another task may have the place.
    ReleasePlace,
    /// Tell whoever listens.
    Tell(News),
    /// The machine is done.
    Exit(Exit),
}

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Its name.
    pub request: RequestId,
    /// Its method.
    pub method: String,
    /// Whom to ask; without fragment and userinfo.
    pub url: HttpUrl,
    /// All header fields but those of the connection and of the body's length.
    pub headers: Vec<(String, String)>,
    /// What is sent with it; a request that asks, or follows a 303, has none.
    pub body: Option<RequestBody>,
}

/// The body of a request: a part of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestBody {
    /// Its first byte in the file.
    pub offset: u64,
    /// Its length in bytes; it may be zero.
    pub length: u64,
    /// Whether it waits for the server's word before it flows (`Expect: 100-continue`).
    pub expects_continue: bool,
}
