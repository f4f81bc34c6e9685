//! Where an upload is on its way, and where its next request goes.

use std::time::Duration;

use crate::authorization_challenge::Challenge as Asked;
use crate::authorizer::Petition;
use crate::checkpoint::Retry;
use crate::failure::Failure;
use crate::resume_data::Ending;
use crate::safe_url::HttpUrl;
use crate::time::Timestamp;
use crate::upload::RequestId;

/// Where a machine is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The file is looked at.
    Inspecting,
    /// What must be on record before the next request is being written.
    Announcing,
    /// The digest that goes along with the next request is computed.
    Digesting,
    /// A request is under way.
    Asking(RequestId),
    /// The server has acknowledged every byte; its answer is read.
    Receiving,
    /// The server has acknowledged every byte; the file is looked at once more.
    Confirming,
    /// The server is asked again at this time to remove the upload.
    Pausing(Timestamp),
    /// The last record is being written.
    Recording(Leave),
    /// Resume data is made of what is on record; then the task is closed.
    Sealing(Ending),
    /// The terminal fact is being committed.
    Closing,
    /// The last action was given out.
    Gone,
}

/// Why a machine leaves before the task has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Leave {
    /// Its owner suspended it.
    Suspend,
    /// It tries again later.
    Retry(Retry),
    /// The server wants this.
    Authorization(Box<Asked>),
    /// Its owner cancelled it and wants resume data.
    CancelResumable,
    /// It has failed, and its owner gets resume data.
    FailResumable(Failure),
}

/// Where the next request goes, and what goes along.
#[derive(Clone, Debug)]
pub(super) struct Hop {
    pub(super) url: HttpUrl,
    pub(super) method: String,
    pub(super) redirects: u32,
    /// Every hop so far had the origin that the caller named.
    pub(super) is_same_origin: bool,
    /// Requests that the credentials went with.
    pub(super) answers: u32,
}

/// What this transfer has seen of its server that is not as it should be.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Oddities {
    /// It does not understand expectations (417).
    pub(super) refuses_expectations: bool,
    /// It does not take `PATCH` by its name.
    pub(super) refuses_patch: bool,
    /// Appends in a row that did not fit, or of which nothing was acknowledged.
    pub(super) conflicts: u32,
    /// Times in a row that a piece had another digest there.
    pub(super) mismatches: u32,
    /// It took the last piece and did not say what it has.
    pub(super) ended_unsaid: bool,
    /// It has lost bytes that it had acknowledged.
    pub(super) went_back: bool,
    /// How long was waited last because another request was at work on the upload.
    pub(super) lock_wait: Option<Duration>,
}

impl Hop {
    pub(super) const fn new(url: HttpUrl, is_same_origin: bool) -> Self {
        Self {
            url,
            method: String::new(),
            redirects: 0,
            is_same_origin,
            answers: 0,
        }
    }

    /// The request as a server sees it that wants to know who asks.
    pub(super) fn petition(&self) -> Petition<'_> {
        Petition {
            method: &self.method,
            url: &self.url,
            is_same_origin: self.is_same_origin,
            answers: self.answers,
        }
    }
}
