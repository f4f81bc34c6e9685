//! The upload machine: what happens is an input, what must be done is an action.
//!
//! One machine lives as long as one transfer, as [`Download`](crate::download::Download) does. It
//! sends a file as the body of one request (the plain protocol): what a server has of a body that was
//! cut is of no use to the next attempt, which begins at the first byte.
//!
//! An upload is done when the server has answered 2xx to a request whose every byte was sent. Until
//! then it is tried again, whatever its method, as Foundation's background sessions do: a server may
//! see a POST twice when its answer was lost.

mod answer;
mod asking;
mod leave;
mod message;
#[cfg(test)]
mod model;
pub mod protocol;
mod sealing;
pub mod source;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::authorization_challenge::{Answers, Challenge as Asked};
use crate::authorizer::{Authorizer, Petition};
use crate::download::{Exit, News};
use crate::failure::{Failure, FailureKind};
use crate::metrics::Counts;
use crate::resume_data::Ending;
use crate::retry::Jitter;
use crate::safe_url::HttpUrl;
use crate::schedule::resource_deadline;
use crate::session::SessionRules;
use crate::task::{Desired, Outcome, Phase, Progress, UploadSpec};
use crate::time::Timestamp;
pub use message::{Action, Ask, Input, RequestBody, RequestId};
pub use protocol::{Capability, Negotiated, Protocol, Remote, Unheard, UploadProtocol};
pub use source::{Source, UploadCheckpoint, UploadStage};

/// Progress of one task is told at most this often, and so is what it does; neither waits for the
/// other.
const NEWS_INTERVAL: Duration = Duration::from_millis(100);

/// What a machine starts from.
#[derive(Clone, Debug)]
pub struct Start {
    /// What was asked.
    pub spec: UploadSpec,
    /// The session's configuration.
    pub rules: Arc<SessionRules>,
    /// When the task was made.
    pub created_at: Timestamp,
    /// What the store knows of its progress.
    pub checkpoint: Option<UploadCheckpoint>,
    /// What its owner wants.
    pub desired: Desired,
    /// What the origin of its URL was seen to support lately.
    pub known: Option<Capability>,
    /// The seed of jitter and of the client nonces of Digest authentication: take real entropy.
    pub seed: u64,
}

/// The machine; see the module's text.
#[derive(Debug)]
pub struct Upload {
    spec: UploadSpec,
    rules: Arc<SessionRules>,
    deadline: Timestamp,
    now: Timestamp,
    jitter: Jitter,
    step: Step,
    phase: Phase,
    told_at: Timestamp,
    told_bytes: u64,
    phase_told_at: Timestamp,
    /// The file as it is on record.
    source: Option<Source>,
    attempts_failed: u32,
    sent: u64,
    hop: Hop,
    next_request: u32,
    authorizer: Authorizer,
    answers: Answers,
    counts: Counts,
    remote: Option<Remote>,
    unheard: Unheard,
    restarts: u32,
    actions: VecDeque<Action>,
}

/// Where a machine is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    /// The file is looked at.
    Inspecting,
    /// The record that says what the file is is being written.
    Announcing,
    /// A request is under way.
    Asking(RequestId),
    /// The server has acknowledged every byte with this status; its answer is read.
    Receiving(u16),
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
enum Leave {
    /// Its owner suspended it.
    Suspend,
    /// It tries again later.
    Retry(Timestamp, Failure),
    /// The server wants this.
    Authorization(Box<Asked>),
    /// Its owner cancelled it and wants resume data.
    CancelResumable,
}

/// Where the next request goes, and what goes along.
#[derive(Clone, Debug)]
struct Hop {
    url: HttpUrl,
    method: String,
    redirects: u32,
    /// Every hop so far had the origin that the caller named.
    is_same_origin: bool,
    /// The file goes along; not after a 303.
    has_body: bool,
    /// Requests that the credentials went with.
    answers: u32,
    /// The server does not understand expectations (417).
    refuses_expectations: bool,
}

impl Hop {
    /// The request as a server sees it that wants to know who asks.
    fn petition(&self) -> Petition<'_> {
        Petition {
            method: &self.method,
            url: &self.url,
            is_same_origin: self.is_same_origin,
            answers: self.answers,
        }
    }
}

impl Upload {
    /// A machine that has not done anything; its first actions are ready to be polled.
    #[must_use]
    pub fn new(start: Start, now: Timestamp) -> Self {
        let known = start.checkpoint.unwrap_or_default();
        let begin = start.spec.options.earliest_begin;
        let deadline = resource_deadline(start.created_at, begin, &start.rules);
        let hop = Hop {
            url: start.spec.url.clone(),
            method: start.spec.method.clone(),
            redirects: 0,
            is_same_origin: true,
            has_body: true,
            answers: 0,
            refuses_expectations: false,
        };
        let mut machine = Self {
            spec: start.spec,
            rules: start.rules,
            deadline,
            now,
            jitter: Jitter::new(start.seed),
            step: Step::Inspecting,
            phase: Phase::Connecting,
            told_at: now,
            told_bytes: 0,
            phase_told_at: now,
            source: known.source,
            attempts_failed: known.attempts_failed,
            sent: 0,
            hop,
            next_request: 0,
            authorizer: Authorizer::default(),
            answers: known.answers,
            counts: known.counts,
            remote: known.remote,
            unheard: known.unheard,
            restarts: known.restarts,
            actions: VecDeque::new(),
        };
        machine.begin(start.desired, &known.stage);
        machine.maintain();
        machine
    }

    fn begin(&mut self, desired: Desired, stage: &UploadStage) {
        match (desired, stage) {
            // It was told to stop before it began.
            (Desired::Suspended, _) => self.exit(Exit::Stopped),
            // A crash came after the challenge was recorded: it is not told again.
            (Desired::Running, UploadStage::AwaitingAuthorization(_)) => {
                self.exit(Exit::NeedsAuthorization);
            }
            (Desired::Running, UploadStage::Transferring) => {
                let path = self.spec.source.clone();
                self.act(Action::Inspect(path));
            }
            (Desired::Cancelled, _) => self.close(Outcome::Cancelled),
            (Desired::CancelledResumable, _) => self.cancel_resumable(),
        }
    }

    /// Takes in what happened. Inputs of requests that are gone change nothing.
    pub fn handle(&mut self, now: Timestamp, input: Input) {
        self.now = now;
        match input {
            Input::Want(desired) => self.want(desired),
            Input::Inspected(result) => self.inspected(result),
            Input::Recorded(result) => self.recorded(result),
            Input::Sent { request, bytes } => self.was_sent(request, bytes),
            Input::Head {
                request,
                head,
                sent,
            } => {
                if self.step == Step::Asking(request) {
                    self.sent = self.sent.max(sent);
                    self.answered(request, &head);
                }
            }
            Input::AskFailed {
                request, failure, ..
            } => {
                if self.step == Step::Asking(request) {
                    self.lose(failure, None);
                }
            }
            Input::Received(response) => self.received(response),
            Input::Sealed(result) => self.sealed(result),
            Input::Closed(outcome) => self.closed(outcome),
            Input::Interim { request, .. } => {
                if self.step == Step::Asking(request) {
                    self.act(Action::Proceed(request));
                }
            }
            Input::Digested(_) => {}
            Input::Tick => {}
        }
        self.maintain();
    }

    /// The next thing to do; `None` when nothing is to be done before the next input.
    pub fn poll(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When to call [`Upload::handle`] with [`Input::Tick`] at the latest.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        let news = [self.phase_due(), self.progress_due()];
        let due = news.into_iter().flatten().fold(self.deadline, Ord::min);
        self.is_limited_in_time().then_some(due)
    }

    /// What was asked of servers so far, earlier transfers included.
    #[must_use]
    pub const fn counts(&self) -> Counts {
        self.counts
    }

    fn inspected(&mut self, result: Result<Source, Failure>) {
        if self.step != Step::Inspecting {
            return;
        }
        match (result, self.source) {
            (Err(failure), _) => self.fail(failure),
            (Ok(found), Some(known)) if found.is_same(&known) => self.ask(),
            (Ok(_), Some(_)) => self.fail(Failure::new(
                FailureKind::SourceChanged,
                format!(
                    "{} has changed since its upload began; start it again with the new file",
                    self.spec.source.display()
                ),
            )),
            (Ok(found), None) => {
                self.source = Some(found);
                self.step = Step::Announcing;
                let checkpoint = self.checkpoint(&Leave::Suspend);
                self.act(Action::Record(Box::new(checkpoint)));
            }
        }
    }

    fn was_sent(&mut self, request: RequestId, bytes: u64) {
        if self.step == Step::Asking(request) && bytes > self.sent {
            self.sent = bytes;
        }
    }

    /// What must be true after every input, done in one place.
    fn maintain(&mut self) {
        if self.is_limited_in_time() && self.now >= self.deadline {
            return self.fail(Failure::new(
                FailureKind::ResourceTimedOut,
                "the time for the whole upload ran out; start it again with a longer one",
            ));
        }
        self.tell_phase();
        self.tell_progress();
    }

    /// Tells how far it is when that is due; a transfer that is over sooner has no news but its end.
    fn tell_progress(&mut self) {
        if self.progress_due().is_some_and(|due| due <= self.now) {
            let progress = self.progress();
            self.told_at = self.now;
            self.told_bytes = progress.sent_bytes;
            self.act(Action::Tell(News::Progress(progress)));
        }
    }

    /// When it must be told how far it is, though no byte goes any more; `None` when it was.
    fn progress_due(&self) -> Option<Timestamp> {
        let is_asking = matches!(self.step, Step::Asking(_));
        (is_asking && self.sent != self.told_bytes).then(|| self.told_at.after(NEWS_INTERVAL))
    }

    fn tell_phase(&mut self) {
        if self.phase_due().is_some_and(|due| due <= self.now)
            && let Some(phase) = self.phase_now()
        {
            self.phase_told_at = self.now;
            self.phase = phase.clone();
            self.act(Action::Tell(News::Phase(phase)));
        }
    }

    /// When what it does now must be told; `None` when it was.
    fn phase_due(&self) -> Option<Timestamp> {
        let is_new = self.phase_now().is_some_and(|phase| phase != self.phase);
        is_new.then(|| self.phase_told_at.after(NEWS_INTERVAL))
    }

    /// What it does in this step; `None` when that is nothing of its own, but the way to its end.
    fn phase_now(&self) -> Option<Phase> {
        match &self.step {
            Step::Inspecting | Step::Announcing => Some(Phase::Connecting),
            Step::Asking(_) if self.sent == 0 => Some(Phase::Connecting),
            Step::Asking(_) if self.is_all_sent() => Some(Phase::Finishing),
            Step::Asking(_) => Some(Phase::Transferring),
            Step::Receiving(_) => Some(Phase::Finishing),
            Step::Recording(_) | Step::Sealing(_) | Step::Closing | Step::Gone => None,
        }
    }

    /// Whether the time for the whole resource counts in this step.
    const fn is_limited_in_time(&self) -> bool {
        match self.step {
            Step::Inspecting | Step::Announcing | Step::Asking(_) => true,
            Step::Receiving(_)
            | Step::Recording(_)
            | Step::Sealing(_)
            | Step::Closing
            | Step::Gone => false,
        }
    }

    fn progress(&self) -> Progress {
        Progress {
            received_bytes: 0,
            sent_bytes: self.sent,
            acknowledged_bytes: self.remote.as_ref().map_or(0, |remote| remote.acknowledged),
            total_bytes: self.source.map(|source| source.length),
        }
    }

    /// The length of the file; it is on record before any request.
    fn length(&self) -> u64 {
        self.source.map_or(0, |source| source.length)
    }

    fn is_all_sent(&self) -> bool {
        self.sent >= self.length()
    }

    fn act(&mut self, action: Action) {
        self.actions.push_back(action);
    }
}
