//! The thread of one delegate: it reads events in their order, calls the methods, and acknowledges
//! what was told.

use std::collections::HashMap;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Context, Poll};

use longhaul_actors::handle::{CallError, SessionHandle};
use longhaul_engine::authorization_challenge::Challenge;
use longhaul_engine::delayed_request::DelayedRequest;
use longhaul_engine::event::{Event, Fact, NumberedFact};
use longhaul_engine::id::{Sequence, TaskId};
use longhaul_engine::metrics::TaskMetrics;
use longhaul_engine::task::{Outcome, Phase, Progress};

use super::Delegate;
use super::answers::{answer_challenge, decide_begin};
use super::guard::Leash;
use crate::incoming::Incoming;

/// Facts that are told before they are acknowledged together, when they come without a pause. A
/// process that is killed has so many told again at most.
const UNACKNOWLEDGED_MAX: usize = 256;

/// Times that the store is asked once more to take an acknowledgement or a decision: it is opened
/// again when it fails, and what can not be acknowledged now is with what is told next.
const SETTLE_TRIES: usize = 3;

pub(super) struct Dispatcher {
    session: SessionHandle,
    incoming: Incoming,
    leash: Arc<Leash>,
    caller: Caller,
    /// What the tasks are that have told of progress and not ended.
    kinds: HashMap<TaskId, Kind>,
    /// The last fact that was told, until it is acknowledged.
    told: Option<Sequence>,
    /// How many were told since the last acknowledgement.
    told_count: usize,
    /// Tasks after this one may wait to be asked whether they shall begin, and nobody has told of
    /// it; `None` when all that is known of was looked at.
    looks_after: Option<TaskId>,
    /// A task has ended since the session was last found empty.
    owes_finish: bool,
    /// Something was told, and whether that was all was not looked at yet.
    is_unsettled: bool,
}

/// Calls methods of a delegate that may panic.
struct Caller {
    delegate: Arc<dyn Delegate>,
    /// A fact was not taken care of, so neither it nor a later one may be acknowledged.
    is_withholding: bool,
}

#[derive(Clone, Copy)]
enum Kind {
    Download,
    Upload,
}

enum Step {
    Tell(Event),
    /// Delayed tasks after this one may wait for a word.
    Look(TaskId),
    /// Nothing waits to be told.
    Settle,
    End,
}

impl Dispatcher {
    pub(super) fn new(
        session: SessionHandle,
        incoming: Incoming,
        delegate: Arc<dyn Delegate>,
        leash: Arc<Leash>,
    ) -> Self {
        Self {
            session,
            incoming,
            leash,
            caller: Caller {
                delegate,
                is_withholding: false,
            },
            kinds: HashMap::new(),
            told: None,
            told_count: 0,
            // What waited when it came.
            looks_after: Some(TaskId::default()),
            owes_finish: false,
            is_unsettled: false,
        }
    }

    /// Tells until the guard is gone, the engine has stopped or the session is no more.
    pub(super) async fn run(mut self) {
        loop {
            match poll_fn(|context| self.poll_step(context)).await {
                Step::Tell(Event::Fact(fact)) => {
                    let is_last = matches!(fact.fact, Fact::BecameInvalid);
                    self.tell_fact(fact).await;
                    if is_last || self.told_count >= UNACKNOWLEDGED_MAX {
                        self.settle().await;
                    }
                    if is_last {
                        return;
                    }
                }
                Step::Tell(event) => self.tell_news(event).await,
                Step::Look(after) => self.look(after).await,
                Step::Settle => self.settle().await,
                Step::End => return,
            }
        }
    }

    fn poll_step(&mut self, context: &mut Context<'_>) -> Poll<Step> {
        if self.leash.is_released(context) {
            return Poll::Ready(Step::End);
        }
        if self.incoming.take_missed_news() {
            self.looks_after = Some(TaskId::default());
        }
        if let Some(after) = self.looks_after {
            return Poll::Ready(Step::Look(after));
        }
        match self.incoming.poll_next(context) {
            Poll::Ready(Some(event)) => Poll::Ready(Step::Tell(event)),
            Poll::Ready(None) => Poll::Ready(Step::End),
            Poll::Pending if self.is_unsettled => Poll::Ready(Step::Settle),
            Poll::Pending => Poll::Pending,
        }
    }

    async fn tell_fact(&mut self, fact: NumberedFact) {
        let NumberedFact { sequence, fact } = fact;
        match fact {
            Fact::Completed {
                task,
                outcome,
                metrics,
            } => {
                self.kinds.remove(&task);
                self.caller.completed(task, &outcome, metrics.as_deref());
                self.owes_finish = true;
            }
            Fact::Challenged { task, challenge } => self.tell_challenge(task, &challenge).await,
            Fact::BecameInvalid => {
                // It comes after every end, and nothing comes after it.
                self.finish_events();
                self.caller.tell("did_become_invalid", |delegate| {
                    delegate.did_become_invalid()
                });
            }
            Fact::StateLost => {
                self.caller
                    .tell("state_lost", |delegate| delegate.state_lost());
            }
        }
        self.told = Some(sequence);
        self.told_count += 1;
        self.is_unsettled = true;
    }

    async fn tell_challenge(&mut self, task: TaskId, challenge: &Challenge) {
        let answer = self.caller.tell("did_receive_challenge", |delegate| {
            delegate.did_receive_challenge(task, challenge)
        });
        // Without an answer the task goes on waiting, and the next delegate is asked.
        let Some(disposition) = answer else { return };
        let answered = answer_challenge(&self.session, task, disposition).await;
        self.caller.is_withholding |= matches!(answered, Err(CallError::Store(_)));
        heed(task, answered);
    }

    async fn tell_news(&mut self, event: Event) {
        match event {
            Event::Progress { task, progress } => self.tell_progress(task, progress).await,
            Event::Resumed {
                task,
                held_bytes,
                total_bytes,
            } => {
                self.caller.call("did_resume_at_offset", |delegate| {
                    delegate.did_resume_at_offset(task, held_bytes, total_bytes)
                });
            }
            Event::PhaseChanged {
                task,
                phase: Phase::AwaitingBegin,
            } => {
                // The news of a question may come when it was answered.
                let before = TaskId::new(task.get().saturating_sub(1));
                if self.session.next_awaiting_begin(before).await == Ok(Some(task)) {
                    self.ask_begin(task).await;
                }
            }
            // Foundation has no method for it.
            _ => {}
        }
    }

    /// Asks about the next task that waits for it.
    async fn look(&mut self, after: TaskId) {
        // Without an answer the engine has stopped, and no task waits.
        self.looks_after = (self.session.next_awaiting_begin(after).await).unwrap_or(None);
        if let Some(task) = self.looks_after {
            self.ask_begin(task).await;
        }
    }

    /// A decision is committed when this returns; a kill before that has the next one asked.
    async fn ask_begin(&self, task: TaskId) {
        let answer = self.caller.call("will_begin_delayed_request", |delegate| {
            delegate.will_begin_delayed_request(task)
        });
        let decision = answer.unwrap_or(DelayedRequest::ContinueLoading);
        for _ in 0..SETTLE_TRIES {
            match decide_begin(&self.session, task, decision.clone()).await {
                Err(error @ CallError::Store(_)) => {
                    tracing::warn!(%task, %error, "whether a task begins is not recorded yet");
                }
                answered => return heed(task, answered),
            }
        }
    }

    async fn tell_progress(&mut self, task: TaskId, progress: Progress) {
        let kind = match self.kinds.get(&task) {
            Some(kind) => *kind,
            None => {
                // A task that is not known any more has ended.
                let Ok(view) = self.session.view(task).await else {
                    return;
                };
                let kind = match view.spec.destination() {
                    Some(_) => Kind::Download,
                    None => Kind::Upload,
                };
                self.kinds.insert(task, kind);
                kind
            }
        };
        match kind {
            Kind::Download => self.caller.call("did_write_data", |delegate| {
                delegate.did_write_data(task, progress)
            }),
            Kind::Upload => self.caller.call("did_send_body_data", |delegate| {
                delegate.did_send_body_data(task, progress)
            }),
        };
    }

    /// Looks whether all was told, says so, and acknowledges. In this order, so that a kill in
    /// between has the last fact told again, and then that it was the last.
    async fn settle(&mut self) {
        self.is_unsettled = false;
        let Some(told) = self.told else { return };
        for _ in 0..SETTLE_TRIES {
            match self.try_settle(told).await {
                Ok(()) => return,
                Err(error @ CallError::Store(_)) => {
                    tracing::warn!(%error, "told facts are not acknowledged yet");
                }
                // The engine has stopped: who starts the next one hears them again.
                Err(_) => return,
            }
        }
    }

    async fn try_settle(&mut self, told: Sequence) -> Result<(), CallError> {
        if self.owes_finish && self.session.is_drained(told).await? {
            self.finish_events();
        }
        if !self.caller.is_withholding {
            self.session.acknowledge(told).await?;
        }
        self.told = None;
        self.told_count = 0;
        Ok(())
    }

    fn finish_events(&mut self) {
        if std::mem::take(&mut self.owes_finish) {
            self.caller.tell("session_finished_events", |delegate| {
                delegate.session_finished_events()
            });
        }
    }
}

/// A task that is not known any more needs no answer.
fn heed(task: TaskId, answered: Result<(), CallError>) {
    if let Err(error) = answered {
        tracing::warn!(%task, %error, "a delegate's answer had no effect");
    }
}

impl Caller {
    /// Calls a method; `None` when it panicked.
    fn call<T>(&self, method: &'static str, call: impl FnOnce(&dyn Delegate) -> T) -> Option<T> {
        match catch_unwind(AssertUnwindSafe(|| call(&*self.delegate))) {
            Ok(answer) => Some(answer),
            Err(_) => {
                tracing::error!(method, "a delegate panicked");
                None
            }
        }
    }

    /// Calls a method for a fact, which is not acknowledged when that panics.
    fn tell<T>(
        &mut self,
        method: &'static str,
        tell: impl FnOnce(&dyn Delegate) -> T,
    ) -> Option<T> {
        let answer = self.call(method, tell);
        self.is_withholding |= answer.is_none();
        answer
    }

    /// Everything that one end is told with.
    fn completed(&mut self, task: TaskId, outcome: &Outcome, metrics: Option<&TaskMetrics>) {
        if let Outcome::Finished(file) = outcome {
            self.tell("did_finish_downloading", |delegate| {
                delegate.did_finish_downloading(task, file)
            });
        }
        if let Some(metrics) = metrics {
            self.tell("did_finish_collecting_metrics", |delegate| {
                delegate.did_finish_collecting_metrics(task, metrics)
            });
        }
        self.tell("did_complete", |delegate| {
            delegate.did_complete(task, outcome)
        });
    }
}

#[cfg(test)]
mod tests;
