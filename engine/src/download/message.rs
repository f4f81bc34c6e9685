//! The words between a download machine and its caller.

use std::path::PathBuf;

use crate::checkpoint::{Checkpoint, Part};
use crate::checksum::Digest;
use crate::failure::Failure;
use crate::http::head::ResponseHead;
use crate::recovery::Found;
use crate::resume_data::ResumeData;
use crate::safe_url::HttpUrl;
use crate::task::{Collision, Desired, Outcome, Phase, Progress};
use crate::time::Timestamp;
use crate::upload::Negotiated;

/// Names a connection for its life; never used twice in one machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(pub(super) u32);

/// What happened in the world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// The owner wants something else.
    Want(Desired),
    /// The answer to [`Action::Recover`].
    Recovered(Found),
    /// The head of the answer to [`Action::Ask`].
    Head {
        /// Which connection.
        conn: ConnId,
        /// The head; interim ones (1xx) are not told.
        head: ResponseHead,
    },
    /// No answer came.
    AskFailed {
        /// Which connection.
        conn: ConnId,
        /// Why.
        failure: Failure,
    },
    /// The part file that [`PartUse::Create`] ordered is there.
    PartReady(Part),
    /// Bytes of a stream came and were written. The positions are absolute and only grow.
    Wrote {
        /// Which connection.
        conn: ConnId,
        /// One past the last byte received.
        received: u64,
        /// One past the last byte in the file.
        written: u64,
    },
    /// A stream is over: every byte it had taken is in the file, and no [`Input::Wrote`] follows.
    Ended {
        /// Which connection.
        conn: ConnId,
        /// The body, or the ordered part of it, came whole; or why not. A stopped one is an error.
        result: Result<(), Failure>,
    },
    /// The part file could not be made or written.
    FileFailed(Failure),
    /// The target exists, found before anything was fetched; the policy forbids to replace it.
    TargetTaken(PathBuf),
    /// The answer to [`Action::Sync`].
    Synced(Result<(), Failure>),
    /// The answer to [`Action::Record`], after the commit.
    Recorded(Result<(), Failure>),
    /// The answer to [`Action::Verify`]; an `Err` of kind `Integrity` is a mismatch.
    Verified(Result<(), Failure>),
    /// The answer to [`Action::Name`].
    Named(Result<PathBuf, Failure>),
    /// The answer to [`Action::Publish`]; an `Err` of kind `TargetExists` leaves all as it was.
    Published(Result<(), Failure>),
    /// The answer to [`Action::Discard`].
    Discarded,
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
    /// Look at the part file that the checkpoint names, and keep it open.
    Recover(Box<Checkpoint>),
    /// Send a request.
    Ask(Ask),
    /// Write the body of the answer into the part file.
    Stream(Stream),
    /// A stream shall end here, earlier or later than it was told first.
    Limit {
        /// Which connection.
        conn: ConnId,
        /// One past the last byte to write.
        until: u64,
    },
    /// End a connection. A stream writes what it holds and answers [`Input::Ended`]; a request that
    /// has no answer yet answers nothing.
    Stop {
        /// Which connection.
        conn: ConnId,
    },
    /// Read the rest of a small body so that the connection can be used again.
    Drain {
        /// Which connection.
        conn: ConnId,
    },
    /// Commit a checkpoint; fill in the digests of its tails from the part file that is open. Without
    /// one they stay as they are, and the token always does.
    Record(Box<Checkpoint>),
    /// Sync the data of the part file.
    Sync,
    /// Compute the digests of the part file, or of what has become of it, and compare.
    Verify(VerifyOrder),
    /// Find a free name like this one.
    Name(PathBuf),
    /// Give the part file, cut to this length, the name that was recorded.
    Publish {
        /// The final path.
        target: PathBuf,
        /// Its length in bytes.
        length: u64,
        /// What to do when it exists.
        collision: Collision,
    },
    /// Remove the part file, or the file that took its name, so that no power cut brings it back.
    Discard(Part),
    /// Make resume data of what is on record: the part file stays for whoever holds it.
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
    /// The connection that it opens.
    pub conn: ConnId,
    /// What to ask; without fragment and userinfo.
    pub url: HttpUrl,
    /// All header fields but those of the connection itself.
    pub headers: Vec<(String, String)>,
}

/// A body to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stream {
    /// Whose body.
    pub conn: ConnId,
    /// Where its first byte goes.
    pub from: u64,
    /// One past the last byte to write; `None` is to the end of the body.
    pub until: Option<u64>,
    /// Which file.
    pub part: PartUse,
    /// Its last byte is the last that is missing: with it the place in the network can be given
    /// back, before it is written.
    pub is_last: bool,
}

/// The file that a stream writes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PartUse {
    /// The one that is open.
    Existing,
    /// A new one; a leftover of its name is replaced.
    Create(PartPlan),
}

/// How to make a part file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartPlan {
    /// The final path, beside which it is made.
    pub target: PathBuf,
    /// What to do when the target exists: found out now, not after the transfer.
    pub collision: Collision,
    /// Space to reserve.
    pub length: Option<u64>,
    /// The part file whose bytes are of no use any more. It is removed once the new one is there, if
    /// that has another name.
    pub replaces: Option<Part>,
}

/// What to verify.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyOrder {
    /// The length in bytes.
    pub length: u64,
    /// All of them must agree.
    pub digests: Vec<Digest>,
    /// The file that has its final name already; `None` is the part file that is open.
    pub published: Option<Part>,
}

/// News that may be lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// How far it is; at most one per 100 ms.
    Progress(Progress),
    /// It does something else now.
    Phase(Phase),
    /// An upload has agreed with its server on a protocol.
    Negotiated(Negotiated),
    /// It goes on with bytes of an earlier transfer, or from zero because they are of no use.
    Resumed(Progress),
}

/// Why a machine is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It was told to stop; the progress is recorded.
    Stopped,
    /// It is to be tried again at this time; recorded.
    Retry {
        /// When.
        at: Timestamp,
        /// Why.
        cause: Failure,
    },
    /// The server wants credentials; recorded.
    NeedsAuthorization,
    /// The task has ended; committed.
    Ended(Outcome),
    /// The store does not take its records; start it again from there.
    Fenced,
}
