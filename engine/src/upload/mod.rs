//! The upload machine: what happens is an input, what must be done is an action.
//!
//! One machine lives as long as one transfer, as [`Download`](crate::download::Download) does. What it
//! asks and what the answers mean is a table for each protocol: tus 1.0.0, the IETF draft, and the
//! plain request. In the first two the server makes a place for the upload, and what it has there is
//! never sent again. What it has of a plain request that was cut is of no use to the next attempt,
//! which begins at the first byte.
//!
//! An upload is done when the server has said 2xx and acknowledged the length of the file; a plain
//! request when every byte was sent and the answer is 2xx. Until then it is tried again, but for a
//! request that must not reach a server twice: one with another method than PUT, whose answer was lost
//! after a byte of it had gone, and that nobody declared repeatable (RFC 9110 section 9.2.2).

mod answer;
mod appending;
mod asking;
mod holding;
mod interim;
mod leave;
mod lost;
mod message;
#[cfg(test)]
mod model;
mod negotiating;
mod operation;
pub mod protocol;
mod recording;
mod redirected;
mod sealing;
pub mod source;
mod state;
mod telling;
mod terminating;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::Arc;

use crate::authorization_challenge::Answers;
use crate::authorizer::Authorizer;
use crate::checksum::Digest;
use crate::download::Exit;
use crate::failure::{Failure, FailureKind};
use crate::metrics::Counts;
use crate::retry::Jitter;
use crate::schedule::resource_deadline;
use crate::session::SessionRules;
use crate::task::{Desired, UploadSpec, Uploaded};
use crate::time::Timestamp;
pub use message::{Action, Ask, Input, RequestBody, RequestId};
use negotiating::Negotiation;
use operation::Operation;
pub use protocol::{Capability, Negotiated, Protocol, Remote, Unheard, UploadProtocol};
pub use source::{Source, UploadCheckpoint, UploadStage};
use state::{Hop, Leave, Oddities, Step};
use telling::Told;
use terminating::Termination;

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
    created_at: Timestamp,
    deadline: Timestamp,
    now: Timestamp,
    jitter: Jitter,
    step: Step,
    /// What the request is for that is under way, or about to be.
    operation: Operation,
    hop: Hop,
    told: Told,
    /// The file as it is on record, or about to be.
    source: Option<Source>,
    attempts_failed: u32,
    /// Bytes of the latest request's body that were given to the network.
    sent: u64,
    next_request: u32,
    authorizer: Authorizer,
    answers: Answers,
    counts: Counts,
    remote: Option<Remote>,
    /// What requests before the one that is under way have left unheard.
    unheard: Unheard,
    restarts: u32,
    negotiation: Negotiation,
    oddities: Oddities,
    /// The digest that goes along with the next request.
    digest: Option<Digest>,
    /// What is committed.
    on_record: Option<UploadCheckpoint>,
    /// What is being committed.
    in_flight: Option<Box<UploadCheckpoint>>,
    recorded_at: Timestamp,
    /// The body of the request that is under way waits for a record.
    is_held: bool,
    termination: Option<Termination>,
    /// The server's last word, once it has acknowledged every byte.
    answer: Option<Uploaded>,
    actions: VecDeque<Action>,
}

impl Upload {
    /// A machine that has not done anything; its first actions are ready to be polled.
    #[must_use]
    pub fn new(start: Start, now: Timestamp) -> Self {
        let begun = || UploadCheckpoint::of(&start.spec);
        let known = start.checkpoint.clone().unwrap_or_else(begun);
        let begin = start.spec.options.earliest_begin;
        let deadline = resource_deadline(start.created_at, begin, &start.rules);
        let hop = Hop::new(start.spec.url.clone(), true);
        let oddities = Oddities {
            lock_wait: appending::lock_wait(known.retry.as_ref()),
            ..Oddities::default()
        };
        let mut machine = Self {
            spec: start.spec,
            rules: start.rules,
            created_at: start.created_at,
            deadline,
            now,
            jitter: Jitter::new(start.seed),
            step: Step::Inspecting,
            operation: Operation::Whole { offer: None },
            hop,
            told: Told::new(now),
            source: known.source,
            attempts_failed: known.attempts_failed,
            sent: 0,
            next_request: 0,
            authorizer: Authorizer::default(),
            answers: known.answers,
            counts: known.counts,
            remote: known.remote.filter(|remote| remote.protocol.is_resumable()),
            unheard: known.unheard,
            restarts: known.restarts,
            negotiation: Negotiation::new(start.known),
            oddities,
            digest: None,
            on_record: start.checkpoint,
            in_flight: None,
            recorded_at: now,
            is_held: false,
            termination: None,
            answer: None,
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
            (Desired::Running, UploadStage::Transferring) if self.is_lost_for_good() => {
                self.fail(lost::outcome_unknown());
            }
            (Desired::Running, UploadStage::Transferring) => {
                let path = self.spec.source.clone();
                self.act(Action::Inspect(path));
            }
            (Desired::Cancelled, _) => self.cancel(),
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
            Input::Sent { request, bytes } => {
                if self.step == Step::Asking(request) {
                    self.sent = self.sent.max(bytes);
                }
            }
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
            Input::Interim { request, head } => {
                if self.step == Step::Asking(request) {
                    self.interim(request, &head);
                }
            }
            Input::AskFailed {
                request,
                failure,
                sent,
            } => {
                if self.step == Step::Asking(request) {
                    self.sent = self.sent.max(sent);
                    self.unanswered(failure);
                }
            }
            Input::Digested(result) => self.digested(result),
            Input::Received(response) => self.received(response),
            Input::Sealed(result) => self.sealed(result),
            Input::Closed(outcome) => self.closed(outcome),
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
        if let Step::Pausing(until) = self.step {
            return Some(until);
        }
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
        let is_at_the_end = match self.step {
            Step::Inspecting => false,
            Step::Confirming => true,
            Step::Announcing
            | Step::Digesting
            | Step::Asking(_)
            | Step::Receiving
            | Step::Pausing(_)
            | Step::Recording(_)
            | Step::Sealing(_)
            | Step::Closing
            | Step::Gone => return,
        };
        match (result, self.source) {
            (Err(failure), _) => self.fail(failure),
            (Ok(found), Some(known)) if !found.is_same(&known) => self.fail(Failure::new(
                FailureKind::SourceChanged,
                format!(
                    "{} has changed since its upload began; start it again with the new file",
                    self.spec.source.display()
                ),
            )),
            (Ok(_), Some(_)) if is_at_the_end => self.finish(),
            (Ok(found), _) => {
                self.source = Some(found);
                self.negotiate();
            }
        }
    }

    /// What must be true after every input, done in one place.
    fn maintain(&mut self) {
        if self.is_limited_in_time() && self.now >= self.deadline {
            self.interrupt();
            return self.fail(Failure::new(
                FailureKind::ResourceTimedOut,
                "the time for the whole upload ran out; start it again with a longer one",
            ));
        }
        if matches!(self.step, Step::Pausing(until) if until <= self.now) {
            self.remove();
        }
        self.record_acknowledged();
        self.tell_phase();
        self.tell_progress();
    }

    /// Whether the time for the whole resource counts in this step.
    const fn is_limited_in_time(&self) -> bool {
        match self.step {
            Step::Inspecting | Step::Announcing | Step::Digesting | Step::Asking(_) => {
                self.termination.is_none()
            }
            Step::Receiving
            | Step::Confirming
            | Step::Pausing(_)
            | Step::Recording(_)
            | Step::Sealing(_)
            | Step::Closing
            | Step::Gone => false,
        }
    }

    /// The length of the file; it is on record before any request.
    fn length(&self) -> u64 {
        self.source.map_or(0, |source| source.length)
    }

    /// Where in the file the body of the latest request begins, and its length; nothing for a request
    /// without one.
    fn body(&self) -> (u64, u64) {
        self.operation.body(self.length()).unwrap_or_default()
    }

    fn is_all_sent(&self) -> bool {
        self.sent >= self.body().1
    }

    fn act(&mut self, action: Action) {
        self.actions.push_back(action);
    }
}
