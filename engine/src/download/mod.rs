//! The download machine: what happens is an input, what must be done is an action.
//!
//! One machine lives as long as one transfer: from the moment the task gets a place until it has
//! ended, must wait, or is told to stop. What it knows beyond that lies in its [`Checkpoint`]. The
//! caller feeds it with [`Download::handle`], performs what [`Download::poll`] gives until that is
//! `None`, and calls again at [`Download::poll_timeout`].

mod answer;
mod authorize;
mod cadence;
mod connection;
mod finish;
mod leave;
mod message;
#[cfg(test)]
mod model;
mod recovering;
mod sealing;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;

use crate::authorization_challenge::{Answers, Challenge as Asked};
use crate::authorizer::Authorizer;
use crate::checkpoint::{Checkpoint, Part, SpanRecord, Stage};
use crate::checksum::Digest;
use crate::download::cadence::Cadence;
use crate::download::connection::Connection;
pub use crate::download::message::{
    Action, Ask, ConnId, Exit, Input, News, PartPlan, PartUse, Stream, VerifyOrder,
};
use crate::failure::{Failure, FailureKind};
use crate::http::validator::Validator;
use crate::limits::CONNECTIONS_MAX;
use crate::metrics::Counts;
use crate::pace::Pace;
use crate::resume;
use crate::resume_data::Ending;
use crate::retry::Jitter;
use crate::schedule::resource_deadline;
use crate::session::SessionRules;
use crate::span::Spans;
use crate::task::{Desired, DownloadSpec, Finished, Outcome, Phase};
use crate::time::Timestamp;

/// What a machine starts from.
#[derive(Clone, Debug)]
pub struct Start {
    /// What was asked.
    pub spec: DownloadSpec,
    /// The session's configuration.
    pub rules: Arc<SessionRules>,
    /// When the task was made.
    pub created_at: Timestamp,
    /// What the store knows of its progress.
    pub checkpoint: Option<Checkpoint>,
    /// What its owner wants.
    pub desired: Desired,
    /// The seed of jitter and of the client nonces of Digest authentication: take real entropy.
    pub seed: u64,
}

/// The machine; see the module's text.
#[derive(Debug)]
pub struct Download {
    spec: DownloadSpec,
    rules: Arc<SessionRules>,
    deadline: Timestamp,
    desired: Desired,
    now: Timestamp,
    jitter: Jitter,
    step: Step,
    phase: Pace<Phase>,

    spans: Spans,
    total: Option<u64>,
    validator: Validator,
    status: Option<u16>,
    offered_digests: Vec<Digest>,
    file_name: Option<String>,
    length_unverified: bool,
    part: Option<Part>,
    /// The part file of an earlier start, of whose bytes nothing is used: the next one takes its
    /// place, or it is removed at the end.
    leftover: Option<Part>,
    /// The store may claim bytes of a part file.
    has_claims: bool,
    /// The first stream of a new part file, which waits until the store claims nothing.
    pending: Option<Stream>,
    attempts_failed: u32,
    restarts: u32,
    answers: Answers,
    counts: Counts,
    was_unsatisfiable: bool,
    was_resumed: bool,
    /// Bytes were held that are of no use, and nobody was told yet.
    has_lost_bytes: bool,

    connections: Vec<Connection>,
    connections_wanted: usize,
    next_connection: u32,
    reopen_at: Option<Timestamp>,
    authorizer: Authorizer,
    cadence: Cadence,
    actions: VecDeque<Action>,
}

/// Where a machine is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    /// The part file of an earlier transfer is looked at.
    Recovering(Box<Checkpoint>),
    /// Connections bring bytes.
    Fetching,
    /// Connections were told to stop; when the last has, the progress is recorded.
    Stopping(Box<Leave>),
    /// The last record is being written.
    Recording(Box<Leave>),
    /// The digests of the part file are computed.
    Verifying,
    /// The part file is synced before it is announced.
    Syncing,
    /// A free name is looked for.
    Naming,
    /// The record that says that it will get this name is being written.
    Announcing(PathBuf),
    /// The part file gets this name.
    Publishing(PathBuf),
    /// The digests of a file that has its final name already are computed.
    Checking(Part),
    /// The part file is removed; then the task is closed with this outcome.
    Discarding(Outcome),
    /// Resume data is made of what is on record; then the task is closed.
    Sealing(Ending),
    /// A file that has the final name and cannot be believed is removed; then it starts from zero.
    Clearing,
    /// The terminal fact is being committed.
    Closing,
    /// The last action was given out.
    Gone,
}

/// Why a machine leaves while bytes may be held.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Leave {
    /// Its owner suspended it.
    Suspend,
    /// It tries again later.
    Retry(Timestamp, Failure),
    /// The server wants this.
    Authorization(Box<Asked>),
    /// It failed for good, but its bytes may serve another attempt.
    Fail(Failure),
    /// It failed for good, and its bytes are of no use.
    FailAndDiscard(Failure),
    /// Its owner cancelled it.
    Cancel,
    /// Its owner cancelled it and wants its bytes as resume data.
    CancelResumable,
}

impl Download {
    /// A machine that has not done anything; its first actions are ready to be polled.
    #[must_use]
    pub fn new(start: Start, now: Timestamp) -> Self {
        let wanted = start.spec.connections.clamp(1, CONNECTIONS_MAX);
        let begin = start.spec.options.earliest_begin;
        let deadline = resource_deadline(start.created_at, begin, &start.rules);
        let mut machine = Self {
            spec: start.spec,
            rules: start.rules,
            deadline,
            desired: start.desired,
            now,
            jitter: Jitter::new(start.seed),
            step: Step::Fetching,
            phase: Pace::new(Phase::Connecting, now),
            spans: Spans::default(),
            total: None,
            validator: Validator::None,
            status: None,
            offered_digests: Vec::new(),
            file_name: None,
            length_unverified: false,
            part: None,
            leftover: None,
            has_claims: false,
            pending: None,
            attempts_failed: 0,
            restarts: 0,
            answers: Answers::default(),
            counts: Counts::default(),
            was_unsatisfiable: false,
            was_resumed: false,
            has_lost_bytes: false,
            connections: Vec::new(),
            connections_wanted: usize::try_from(wanted).unwrap_or(1),
            next_connection: 0,
            reopen_at: None,
            authorizer: Authorizer::default(),
            cadence: Cadence::new(now),
            actions: VecDeque::new(),
        };
        machine.begin(start.checkpoint);
        machine
    }

    /// Takes in what happened. Inputs of connections that are gone change nothing.
    pub fn handle(&mut self, now: Timestamp, input: Input) {
        self.now = now;
        match input {
            Input::Want(desired) => self.want(desired),
            Input::Recovered(found) => self.recovered(&found),
            Input::Head { conn, head } => self.answered(conn, &head),
            Input::AskFailed { conn, failure } => self.lose(conn, failure, None),
            Input::PartReady(part) => self.part_ready(part),
            Input::Wrote {
                conn,
                received,
                written,
            } => self.wrote(conn, received, written),
            Input::Ended { conn, result } => self.ended(conn, result),
            Input::FileFailed(failure) => self.file_failed(failure),
            Input::TargetTaken(path) => self.target_taken(path),
            Input::Synced(result) => self.synced(result),
            Input::Recorded(result) => self.recorded(result),
            Input::Verified(result) => self.verified(result),
            Input::Named(result) => self.named(result),
            Input::Published(result) => self.published(result),
            Input::Discarded => self.discarded(),
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

    /// When to call [`Download::handle`] with [`Input::Tick`] at the latest.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        let phase_due = self.phase_due();
        if self.step != Step::Fetching {
            return phase_due;
        }
        let dirty = self.unrecorded_bytes();
        let unsynced = self.spans.written_bytes() - self.spans.synced_bytes();
        [
            Some(self.deadline),
            self.reopen_at,
            self.cadence.record_due(dirty),
            self.cadence.sync_due(unsynced),
            self.progress_due(),
            phase_due,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// What was asked of servers so far, earlier transfers included.
    #[must_use]
    pub const fn counts(&self) -> Counts {
        self.counts
    }

    /// What the task was last said to do, for a person.
    #[must_use]
    pub const fn phase(&self) -> &Phase {
        self.phase.told()
    }

    fn begin(&mut self, checkpoint: Option<Checkpoint>) {
        // It was told to stop before it began.
        if self.desired == Desired::Suspended {
            self.step = Step::Gone;
            return self.act(Action::Exit(Exit::Stopped));
        }
        match checkpoint {
            Some(checkpoint) => {
                self.remember(&checkpoint);
                let may_be_published = matches!(checkpoint.stage, Stage::Finishing(_));
                let is_asked = matches!(checkpoint.stage, Stage::AwaitingAuthorization(_));
                if self.desired == Desired::Cancelled && !may_be_published {
                    self.leave(Leave::Cancel);
                } else if is_asked && self.desired != Desired::CancelledResumable {
                    // A crash came after the challenge was recorded: it is not told again.
                    self.step = Step::Gone;
                    self.act(Action::Exit(Exit::NeedsAuthorization));
                } else {
                    self.act(Action::Recover(Box::new(checkpoint.clone())));
                    self.step = Step::Recovering(Box::new(checkpoint));
                }
            }
            None => match self.desired {
                Desired::Cancelled | Desired::CancelledResumable => self.leave(Leave::Cancel),
                Desired::Running | Desired::Suspended => self.fetch(),
            },
        }
        self.maintain();
    }

    /// The claims that can be made now. The tails are filled in by who can read the file.
    fn progress_checkpoint(&self) -> Checkpoint {
        let spans = self
            .part
            .iter()
            .flat_map(|_| self.spans.iter())
            .map(|span| SpanRecord {
                start: span.start(),
                end: span.end(),
                written: span.written(),
                synced: span.synced(),
                tail: [0; 32],
            });
        Checkpoint {
            stage: Stage::Transferring,
            total: self.total,
            validator: self.validator.clone(),
            status: self.status,
            offered_digests: self.offered_digests.clone(),
            // What is left over is named so that it can be removed, without a claim.
            part: self.part.clone().or_else(|| self.leftover.clone()),
            spans: spans.collect(),
            file_name: self.file_name.clone(),
            attempts_failed: self.attempts_failed,
            restarts: self.restarts,
            retry: None,
            length_unverified: self.length_unverified,
            answers: self.answers.clone(),
            counts: self.counts,
        }
    }

    /// What must be true after every input, done in one place.
    fn maintain(&mut self) {
        if self.step == Step::Fetching {
            if self.is_overdue() {
                return self.fail(Failure::new(
                    FailureKind::ResourceTimedOut,
                    "the time for the whole resource ran out; start it again with a longer one",
                ));
            }
            self.reopen_if_due();
            self.keep_cadence();
        }
        self.tell_phase();
        self.tell_progress();
    }

    /// Whether the time for the whole resource is over.
    fn is_overdue(&self) -> bool {
        self.now >= self.deadline
    }

    fn finished(&self, path: PathBuf) -> Outcome {
        Outcome::Finished(Finished {
            path,
            bytes: self.total.unwrap_or_default(),
            length_unverified: self.length_unverified,
            status: self.status.unwrap_or(resume::STATUS_OK),
        })
    }

    fn act(&mut self, action: Action) {
        self.actions.push_back(action);
    }
}
