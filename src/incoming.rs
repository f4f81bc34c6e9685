//! The events of a session as one thread takes them: facts all, progress only the latest.

use std::collections::{HashMap, VecDeque};
use std::task::{Context, Poll};

use longhaul_actors::handle::Subscription;
use longhaul_engine::event::Event;
use longhaul_engine::id::TaskId;

/// Events that are taken ahead, so that old progress is replaced by newer one before it is told. What
/// is beyond waits in the engine, in bounded memory too.
const BACKLOG_MAX: usize = 1024;

/// A subscription and what was taken from it ahead.
#[derive(Debug)]
pub(crate) struct Incoming {
    subscription: Subscription,
    backlog: Backlog,
    is_over: bool,
}

/// Events in their order. Two of the progress of one task with nothing else of that task between
/// them become one, the later, in the place of the earlier.
#[derive(Debug, Default)]
struct Backlog {
    events: VecDeque<Event>,
    /// How many were taken out.
    taken: usize,
    /// Where the progress of a task stands that newer progress may replace, counted from the first
    /// event ever.
    progress: HashMap<TaskId, usize>,
}

impl Incoming {
    pub(crate) fn new(subscription: Subscription) -> Self {
        Self {
            subscription,
            backlog: Backlog::default(),
            is_over: false,
        }
    }

    /// Whether news were missed since this was asked last.
    pub(crate) fn take_missed_news(&self) -> bool {
        self.subscription.take_missed_news()
    }

    /// The next event; `None` when the subscription has ended.
    pub(crate) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Event>> {
        while !self.is_over && self.backlog.events.len() < BACKLOG_MAX {
            match self.subscription.poll_next(context) {
                Poll::Ready(Some(event)) => self.backlog.push(event),
                Poll::Ready(None) => self.is_over = true,
                Poll::Pending => break,
            }
        }
        match self.backlog.pop() {
            Some(event) => Poll::Ready(Some(event)),
            None if self.is_over => Poll::Ready(None),
            None => Poll::Pending,
        }
    }
}

impl Backlog {
    fn push(&mut self, event: Event) {
        let end = self.taken + self.events.len();
        match &event {
            Event::Progress { task, .. } => {
                if let Some(place) = self.progress.get(task) {
                    self.events[place - self.taken] = event;
                    return;
                }
                self.progress.insert(*task, end);
            }
            other => {
                if let Some(task) = other.task() {
                    self.progress.remove(&task);
                }
            }
        }
        self.events.push_back(event);
    }

    fn pop(&mut self) -> Option<Event> {
        let event = self.events.pop_front()?;
        if let Event::Progress { task, .. } = &event
            && self.progress.get(task) == Some(&self.taken)
        {
            self.progress.remove(task);
        }
        self.taken += 1;
        Some(event)
    }
}

#[cfg(test)]
mod tests {
    use longhaul_engine::task::{Phase, Progress};

    use super::*;

    fn progress(task: u64, received_bytes: u64) -> Event {
        Event::Progress {
            task: TaskId::new(task),
            progress: Progress {
                received_bytes,
                ..Progress::default()
            },
        }
    }

    fn phase(task: u64) -> Event {
        Event::PhaseChanged {
            task: TaskId::new(task),
            phase: Phase::Transferring,
        }
    }

    #[test]
    fn only_the_latest_progress_of_a_task_waits_and_nothing_changes_its_order() {
        let cases = [
            (vec![progress(1, 1), progress(1, 2)], vec![progress(1, 2)]),
            (
                vec![progress(1, 1), progress(2, 5), progress(1, 2)],
                vec![progress(1, 2), progress(2, 5)],
            ),
            (
                vec![progress(1, 1), phase(1), progress(1, 2), progress(1, 3)],
                vec![progress(1, 1), phase(1), progress(1, 3)],
            ),
            (
                vec![progress(1, 1), phase(2), progress(1, 2)],
                vec![progress(1, 2), phase(2)],
            ),
        ];
        for (put_in, expected) in cases {
            let mut backlog = Backlog::default();
            put_in.iter().for_each(|event| backlog.push(event.clone()));
            let taken: Vec<_> = std::iter::from_fn(|| backlog.pop()).collect();
            assert_eq!(taken, expected, "{put_in:?}");
            assert!(backlog.progress.is_empty(), "{put_in:?}");
        }
    }

    #[test]
    fn progress_that_was_taken_out_is_not_replaced() {
        let mut backlog = Backlog::default();
        backlog.push(progress(1, 1));
        assert_eq!(backlog.pop(), Some(progress(1, 1)));
        backlog.push(phase(2));
        backlog.push(progress(1, 2));
        assert_eq!(backlog.pop(), Some(phase(2)));
        backlog.push(progress(1, 3));
        assert_eq!(backlog.pop(), Some(progress(1, 3)));
        assert_eq!(backlog.pop(), None);
    }
}
