//! What is known of each transfer of a run: events go in, notes for the reader come out. It is pure
//! and each event costs the same however many transfers there are.

use std::collections::HashMap;
use std::time::Duration;

use longhaul::{
    Error, Event, Evidence, Fact, Failure, Negotiated, NumberedFact, Outcome, Phase, Progress,
    TaskId, Timestamp,
};

use crate::exit::Exit;
use crate::transfer::Standing;

mod note;
#[cfg(test)]
mod tests;

pub(crate) use note::{Note, Problem, What};

/// When to give up on a file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RetryLimits {
    /// Retries in a row that brought nothing new.
    pub(crate) retries_max: u32,
    /// Time from the start of the command after which no retry begins.
    pub(crate) time_max: Option<Duration>,
}

/// All transfers of a run.
pub(crate) struct Ledger {
    retry: RetryLimits,
    is_retry_time_over: bool,
    places: HashMap<TaskId, usize>,
    items: Vec<Item>,
    open: usize,
    tally: Tally,
    first_failure: Option<Exit>,
}

/// How many transfers ended how, and how many bytes are where they shall be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// All of them.
    pub(crate) transfers: usize,
    /// Complete.
    pub(crate) finished: usize,
    /// The file existed.
    pub(crate) skipped: usize,
    /// Failed or given up.
    pub(crate) failed: usize,
    /// Bytes that need not be transferred again, with those of earlier runs: in files, or at servers
    /// that have said so.
    pub(crate) kept_bytes: u64,
}

/// One transfer.
#[derive(Clone, Copy, Debug, Default)]
struct Item {
    state: State,
    kept_bytes: u64,
    /// Retries since the last new byte.
    retries: u32,
    /// The retry that was counted last: it may be told twice.
    retry_at: Option<Timestamp>,
    /// What was negotiated last: each attempt may tell it.
    negotiated: Option<Negotiated>,
    /// Bytes of it were sent in this run.
    has_sent: bool,
}

/// Where a transfer is, for this command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Nothing was heard of it.
    #[default]
    Waiting,
    /// It was told as started.
    Started,
    /// It waits to try again.
    Retrying,
    /// It ended, or was given up; nothing more is told of it.
    Settled,
}

impl Ledger {
    /// A ledger of this many transfers.
    pub(crate) fn new(transfers: usize, retry: RetryLimits) -> Self {
        Self {
            retry,
            is_retry_time_over: false,
            places: HashMap::with_capacity(transfers),
            items: vec![Item::default(); transfers],
            open: transfers,
            tally: Tally {
                transfers,
                ..Tally::default()
            },
            first_failure: None,
        }
    }

    /// The task of a transfer has this number. False when another transfer has it already.
    pub(crate) fn track(&mut self, item: usize, task: TaskId) -> bool {
        self.places.insert(task, item).is_none()
    }

    /// A transfer could not be started.
    pub(crate) fn refuse(&mut self, item: usize, error: &Error) -> Option<Note> {
        self.settle(item, What::Failed(Problem::refused(error)))
    }

    /// A transfer ended in this way, now or in an earlier run.
    pub(crate) fn end(&mut self, item: usize, outcome: Outcome) -> Option<Note> {
        let what = match outcome {
            Outcome::Finished(finished) => What::Finished(finished),
            Outcome::Skipped(path) => What::Skipped(path),
            Outcome::Failed(failure) => What::Failed(Problem::of(&failure, false)),
            Outcome::Uploaded(uploaded) => What::Uploaded(uploaded),
            // No command asks for resume data.
            Outcome::Cancelled | Outcome::CancelledResumable(_) => {
                What::Failed(Problem::cancelled())
            }
        };
        self.settle(item, what)
    }

    /// Takes in one event; what is to be told comes to the end of `notes`.
    pub(crate) fn handle(&mut self, event: Event, notes: &mut Vec<Note>) {
        let Some(&item) = event.task().and_then(|task| self.places.get(&task)) else {
            return;
        };
        if self.items[item].state == State::Settled {
            return;
        }
        match event {
            Event::Fact(NumberedFact {
                fact: Fact::Completed { outcome, .. },
                ..
            }) => {
                self.begin(item, notes);
                notes.extend(self.end(item, outcome));
            }
            Event::Progress { progress, .. } => {
                self.begin(item, notes);
                self.advance(item, kept_bytes(&progress));
                self.items[item].has_sent |= progress.sent_bytes > 0;
                notes.push(Note {
                    item,
                    what: What::Progress(progress),
                });
            }
            Event::Resumed {
                held_bytes,
                total_bytes,
                ..
            } => {
                self.begin(item, notes);
                self.advance(item, held_bytes);
                notes.push(Note {
                    item,
                    what: What::Resumed {
                        held_bytes,
                        total_bytes,
                    },
                });
            }
            Event::Negotiated { negotiated, .. } => self.negotiated(item, negotiated, notes),
            Event::PhaseChanged { phase, .. } => self.change(item, phase, notes),
            // The events may grow; those that this command does not know it does not need.
            _ => {}
        }
    }

    /// Takes in what the session knows, for news that got lost: they may, facts may not.
    pub(crate) fn reconcile(&mut self, standings: Vec<Standing>, notes: &mut Vec<Note>) {
        for standing in standings {
            let Some(&item) = self.places.get(&standing.task.id()) else {
                continue;
            };
            if let Some(outcome) = standing.outcome {
                notes.extend(self.end(item, outcome));
            } else if self.items[item].state != State::Settled {
                self.change(item, standing.phase, notes);
            }
        }
    }

    /// The time for retries is over: what waits for one is given up, and so is what fails later.
    pub(crate) fn end_retries(&mut self, notes: &mut Vec<Note>) {
        self.is_retry_time_over = true;
        for item in 0..self.items.len() {
            if self.items[item].state == State::Retrying {
                notes.extend(self.settle(item, What::Failed(Problem::out_of_time(None))));
            }
        }
    }

    /// Whether every transfer has ended or was given up.
    pub(crate) const fn is_settled(&self) -> bool {
        self.open == 0
    }

    /// Whether a server may have a part of this task's file that it has not acknowledged: it can be
    /// asked, because the upload has a place there.
    pub(crate) fn has_place(&self, task: TaskId) -> bool {
        let item = self.places.get(&task).map(|&item| &self.items[item]);
        item.is_some_and(|item| {
            item.negotiated.is_some_and(|negotiated| {
                let is_recorded = negotiated.evidence == Evidence::Recorded;
                negotiated.protocol.is_resumable() && (is_recorded || item.has_sent)
            })
        })
    }

    /// How many ended how.
    pub(crate) const fn tally(&self) -> Tally {
        self.tally
    }

    /// The exit code: that of the first failure.
    pub(crate) fn exit(&self) -> Exit {
        self.first_failure.unwrap_or(Exit::OK)
    }

    fn change(&mut self, item: usize, phase: Phase, notes: &mut Vec<Note>) {
        match phase {
            Phase::Connecting | Phase::Transferring | Phase::Finishing => self.begin(item, notes),
            Phase::WaitingToRetry { at, cause } => {
                self.begin(item, notes);
                notes.extend(self.retry(item, at, cause));
            }
            Phase::AwaitingAuthorization => {
                self.begin(item, notes);
                notes.extend(self.settle(item, What::Failed(Problem::unauthorized())));
            }
            Phase::Queued(_) | Phase::Suspended | Phase::Completed => {}
            // The phases may grow; a new one has no meaning for this command.
            _ => {}
        }
    }

    fn begin(&mut self, item: usize, notes: &mut Vec<Note>) {
        if self.items[item].state == State::Waiting {
            notes.push(Note {
                item,
                what: What::Started,
            });
        }
        self.items[item].state = State::Started;
    }

    fn negotiated(&mut self, item: usize, negotiated: Negotiated, notes: &mut Vec<Note>) {
        self.begin(item, notes);
        let before = self.items[item].negotiated.replace(negotiated);
        if before.is_none_or(|before| before.protocol != negotiated.protocol) {
            notes.push(Note {
                item,
                what: What::Negotiated(negotiated),
            });
        }
    }

    fn advance(&mut self, item: usize, kept_bytes: u64) {
        let item = &mut self.items[item];
        if kept_bytes > item.kept_bytes {
            item.retries = 0;
        }
        self.tally.kept_bytes += kept_bytes;
        self.tally.kept_bytes -= item.kept_bytes;
        item.kept_bytes = kept_bytes;
    }

    fn retry(&mut self, item: usize, at: Timestamp, cause: Failure) -> Option<Note> {
        if self.is_retry_time_over {
            return self.settle(item, What::Failed(Problem::out_of_time(Some(&cause))));
        }
        let record = &mut self.items[item];
        record.state = State::Retrying;
        if record.retry_at.replace(at) == Some(at) {
            return None;
        }
        record.retries = record.retries.saturating_add(1);
        if record.retries > self.retry.retries_max {
            let problem = Problem::out_of_retries(&cause, self.retry.retries_max);
            return self.settle(item, What::Failed(problem));
        }
        Some(Note {
            item,
            what: What::Retrying {
                retry: record.retries,
                at,
                cause,
            },
        })
    }

    fn settle(&mut self, item: usize, what: What) -> Option<Note> {
        if self.items[item].state == State::Settled {
            return None;
        }
        match &what {
            What::Finished(finished) => {
                self.tally.finished += 1;
                self.advance(item, finished.bytes);
            }
            What::Uploaded(uploaded) => {
                self.tally.finished += 1;
                self.advance(item, uploaded.bytes);
            }
            What::Skipped(_) => self.tally.skipped += 1,
            What::Failed(problem) => {
                self.tally.failed += 1;
                self.first_failure.get_or_insert(problem.exit);
            }
            What::Started
            | What::Resumed { .. }
            | What::Negotiated(_)
            | What::Progress(_)
            | What::Retrying { .. } => unreachable!("only ends settle a transfer"),
        }
        self.items[item].state = State::Settled;
        self.open -= 1;
        Some(Note { item, what })
    }
}

/// Bytes that no later attempt has to move: those in a file, or those that a server has said it has.
pub(crate) const fn kept_bytes(progress: &Progress) -> u64 {
    progress.received_bytes + progress.acknowledged_bytes
}
