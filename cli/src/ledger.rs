//! What is known of each download of a run: events go in, notes for the reader come out. It is pure
//! and each event costs the same however many downloads there are.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use longhaul::{
    Error, Event, Fact, Failure, Finished, NumberedFact, Outcome, Phase, Progress, TaskId,
    TaskSnapshot, Timestamp,
};

use crate::exit::{Exit, code_of, exit_of};

/// When to give up on a file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RetryLimits {
    /// Retries in a row that brought no byte.
    pub(crate) retries_max: u32,
    /// Time from the start of the command after which no retry begins.
    pub(crate) time_max: Option<Duration>,
}

/// All downloads of a run.
pub(crate) struct Ledger {
    retry: RetryLimits,
    is_retry_time_over: bool,
    places: HashMap<TaskId, usize>,
    items: Vec<Item>,
    open: usize,
    tally: Tally,
    first_failure: Option<Exit>,
}

/// How many downloads ended how, and how many bytes are there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// All of them.
    pub(crate) downloads: usize,
    /// Complete.
    pub(crate) finished: usize,
    /// The file existed.
    pub(crate) skipped: usize,
    /// Failed or given up.
    pub(crate) failed: usize,
    /// Bytes in all files, with those of earlier runs.
    pub(crate) received_bytes: u64,
}

/// One download.
#[derive(Clone, Copy, Debug, Default)]
struct Item {
    state: State,
    received_bytes: u64,
    /// Retries since the last new byte.
    retries: u32,
    /// The retry that was counted last: it may be told twice.
    retry_at: Option<Timestamp>,
}

/// Where a download is, for this command.
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

/// Something to be told about one download.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Note {
    /// Its place in the run.
    pub(crate) item: usize,
    /// What happened.
    pub(crate) what: What,
}

/// What happened to a download.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// It began, or went on.
    Started,
    /// It goes on with bytes of an earlier attempt.
    Resumed {
        /// Bytes that are not fetched again.
        held_bytes: u64,
        /// The length of the whole, when known.
        total_bytes: Option<u64>,
    },
    /// It is further now.
    Progress(Progress),
    /// It tries again later.
    Retrying {
        /// Retries in a row without a byte, with this one.
        retry: u32,
        /// When.
        at: Timestamp,
        /// Why.
        cause: Failure,
    },
    /// It is complete.
    Finished(Finished),
    /// The file exists already.
    Skipped(PathBuf),
    /// It failed, or was given up.
    Failed(Problem),
}

/// Why there is no file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    /// The stable name for scripts.
    pub(crate) code: &'static str,
    /// The exit code that goes with it.
    pub(crate) exit: Exit,
    /// For a person.
    pub(crate) message: String,
    /// The engine has not ended the task: what it holds is kept, and the same command goes on.
    pub(crate) is_kept: bool,
}

impl Ledger {
    /// A ledger of this many downloads.
    pub(crate) fn new(downloads: usize, retry: RetryLimits) -> Self {
        Self {
            retry,
            is_retry_time_over: false,
            places: HashMap::with_capacity(downloads),
            items: vec![Item::default(); downloads],
            open: downloads,
            tally: Tally {
                downloads,
                ..Tally::default()
            },
            first_failure: None,
        }
    }

    /// The task of a download has this number. False when another download has it already.
    pub(crate) fn track(&mut self, item: usize, task: TaskId) -> bool {
        self.places.insert(task, item).is_none()
    }

    /// A download could not be started.
    pub(crate) fn refuse(&mut self, item: usize, error: &Error) -> Option<Note> {
        let problem = Problem {
            code: code_of(error),
            exit: exit_of(error),
            message: error.to_string(),
            is_kept: false,
        };
        self.settle(item, What::Failed(problem))
    }

    /// A download ended in this way, now or in an earlier run.
    pub(crate) fn end(&mut self, item: usize, outcome: Outcome) -> Option<Note> {
        let what = match outcome {
            Outcome::Finished(finished) => What::Finished(finished),
            Outcome::Skipped(path) => What::Skipped(path),
            Outcome::Failed(failure) => What::Failed(Problem::of(&failure, false)),
            // This command starts no upload and asks for no resume data.
            Outcome::Uploaded(_) | Outcome::Cancelled | Outcome::CancelledResumable(_) => {
                What::Failed(Problem {
                    code: "cancelled",
                    exit: Exit::OTHER,
                    message: "it was cancelled".to_owned(),
                    is_kept: false,
                })
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
                self.advance(item, progress.received_bytes);
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
            Event::PhaseChanged { phase, .. } => self.change(item, phase, notes),
            // The events may grow; those that this command does not know it does not need.
            _ => {}
        }
    }

    /// Takes in what the session knows, for news that got lost: they may, facts may not.
    pub(crate) fn reconcile(&mut self, snapshots: Vec<TaskSnapshot>, notes: &mut Vec<Note>) {
        for TaskSnapshot {
            task,
            phase,
            outcome,
            ..
        } in snapshots
        {
            let Some(&item) = self.places.get(&task.id()) else {
                continue;
            };
            if let Some(outcome) = outcome {
                notes.extend(self.end(item, outcome));
            } else if self.items[item].state != State::Settled {
                self.change(item, phase, notes);
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

    /// Whether every download has ended or was given up.
    pub(crate) const fn is_settled(&self) -> bool {
        self.open == 0
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

    fn advance(&mut self, item: usize, received_bytes: u64) {
        let item = &mut self.items[item];
        if received_bytes > item.received_bytes {
            item.retries = 0;
        }
        self.tally.received_bytes += received_bytes;
        self.tally.received_bytes -= item.received_bytes;
        item.received_bytes = received_bytes;
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
            What::Skipped(_) => self.tally.skipped += 1,
            What::Failed(problem) => {
                self.tally.failed += 1;
                self.first_failure.get_or_insert(problem.exit);
            }
            What::Started | What::Resumed { .. } | What::Progress(_) | What::Retrying { .. } => {
                unreachable!("only ends settle a download")
            }
        }
        self.items[item].state = State::Settled;
        self.open -= 1;
        Some(Note { item, what })
    }
}

impl Problem {
    fn of(failure: &Failure, is_kept: bool) -> Self {
        Self {
            code: failure.kind().code(),
            exit: Exit::of(failure.kind().class()),
            message: failure.message().to_owned(),
            is_kept,
        }
    }

    fn out_of_retries(cause: &Failure, retries_max: u32) -> Self {
        let mut problem = Self::of(cause, true);
        match retries_max {
            0 => {}
            1 => problem.message.push_str(" (given up after 1 retry)"),
            many => problem
                .message
                .push_str(&format!(" (given up after {many} retries)")),
        }
        problem
    }

    fn out_of_time(cause: Option<&Failure>) -> Self {
        let last = cause.map_or_else(String::new, |cause| format!(": {}", cause.message()));
        Self {
            code: "retry_timed_out",
            exit: Exit::TIMED_OUT,
            message: format!("the time for retries is over{last}"),
            is_kept: true,
        }
    }

    fn unauthorized() -> Self {
        Self {
            code: "authentication",
            exit: Exit::AUTHENTICATION,
            message: "the server asks for credentials, or refused those it was given".to_owned(),
            is_kept: true,
        }
    }
}

#[cfg(test)]
mod tests;
