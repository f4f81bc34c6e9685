//! What one subscriber has not taken yet: facts without loss, news as far as there is room.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use longhaul_engine::event::{Event, Fact, NumberedFact};
use longhaul_engine::id::{Sequence, TaskId};

/// Facts that wait in memory for one subscriber. What comes beyond is read from the store again when
/// the subscriber has caught up.
pub(crate) const FACTS_MAX: usize = 4096;

/// News that wait for one subscriber; more are dropped.
const NEWS_MAX: usize = 4096;

/// Ended tasks whose late news are known as such. They were sent before the end and come a moment
/// after it at most, so these are many more than needed.
const ENDED_MAX: usize = 1024;

/// One subscriber's queue, shared by the notifier, which fills it, and the stream that empties it.
#[derive(Debug)]
pub(crate) struct Feed {
    task: Option<TaskId>,
    reader: Reader,
    state: Mutex<State>,
}

/// Who reads a feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reader {
    /// The session's owner: its app is there and need not be called.
    Owner,
    /// Somebody who looks on.
    Observer,
}

#[derive(Debug, Default)]
struct State {
    events: VecDeque<Event>,
    facts: usize,
    news: usize,
    /// The tasks that ended last: the end of a task is the last that is told of it.
    ended: VecDeque<TaskId>,
    /// The last fact that was put in or passed over for good.
    last: Sequence,
    /// Facts after `last` are in the store only.
    is_behind: bool,
    /// Somebody was told to read them.
    is_refilling: bool,
    /// A fact came since then: what is read may not have it.
    is_outdated: bool,
    /// News were dropped since somebody asked.
    has_missed_news: bool,
    /// Nothing comes any more.
    is_over: bool,
    waker: Option<Waker>,
}

/// What a poll of a feed found.
#[derive(Debug)]
pub(crate) enum Polled {
    /// An event, or the end.
    Ready(Option<Event>),
    /// Nothing yet; the waker is kept.
    Pending,
    /// Nothing yet, and facts after this one wait in the store: somebody must read them.
    Behind(Sequence),
}

impl Feed {
    /// A feed of one task or of all. It begins behind, so that the facts after `after` that nobody
    /// has acknowledged come first.
    pub(crate) fn new(task: Option<TaskId>, after: Sequence, reader: Reader) -> Arc<Self> {
        let state = State {
            last: after,
            is_behind: true,
            ..State::default()
        };
        Arc::new(Self {
            task,
            reader,
            state: Mutex::new(state),
        })
    }

    /// Who reads it.
    pub(crate) const fn reader(&self) -> Reader {
        self.reader
    }

    /// Puts in a fact that was just committed.
    pub(crate) fn put_fact(&self, fact: &NumberedFact) {
        let mut state = self.lock();
        let is_next = fact.sequence.get() == state.last.get() + 1;
        if state.is_behind || !is_next || state.facts >= FACTS_MAX {
            // A gap: it was committed while nobody told of it. The store knows it.
            state.is_behind |= fact.sequence > state.last;
            state.is_outdated = true;
        } else {
            self.take_in(&mut state, fact);
        }
        state.wake();
    }

    /// Puts in facts as they stand in the store, in order; `is_last_page` when there are no more.
    pub(crate) fn refill(&self, facts: &[NumberedFact], is_last_page: bool) {
        let mut state = self.lock();
        state.is_refilling = false;
        for fact in facts {
            if fact.sequence > state.last {
                self.take_in(&mut state, fact);
            }
        }
        state.is_behind = !is_last_page || state.is_outdated;
        state.wake();
    }

    /// Puts in news, if there is room and they concern this subscriber.
    pub(crate) fn put_news(&self, event: Event) {
        let mut state = self.lock();
        let is_ours = self.task.is_none_or(|task| event.task() == Some(task));
        let is_late = event.task().is_some_and(|task| state.ended.contains(&task));
        if !is_ours || is_late || state.is_over {
            return;
        }
        if state.news >= NEWS_MAX {
            state.has_missed_news = true;
            return;
        }
        state.news += 1;
        state.events.push_back(event);
        state.wake();
    }

    /// Whether news were missed since this was asked last: what they told must be looked up by who
    /// can not do without it.
    pub(crate) fn take_missed_news(&self) -> bool {
        std::mem::take(&mut self.lock().has_missed_news)
    }

    /// Facts may have been missed: the next poll asks for them. News may have been too.
    pub(crate) fn fall_behind(&self) {
        let mut state = self.lock();
        state.has_missed_news = true;
        state.is_behind = true;
        state.is_refilling = false;
        state.wake();
    }

    /// Nothing comes any more.
    pub(crate) fn end(&self) {
        let mut state = self.lock();
        state.is_over = true;
        state.is_behind = false;
        state.wake();
    }

    /// The next event.
    pub(crate) fn poll(&self, context: &Context<'_>) -> Polled {
        let mut state = self.lock();
        if let Some(event) = state.events.pop_front() {
            match &event {
                Event::Fact(_) => state.facts -= 1,
                _ => state.news -= 1,
            }
            if self.is_last(&event) {
                state.is_over = true;
                state.events.clear();
            }
            return Polled::Ready(Some(event));
        }
        if state.is_over {
            return Polled::Ready(None);
        }
        state.waker = Some(context.waker().clone());
        if state.is_behind && !state.is_refilling {
            state.is_refilling = true;
            state.is_outdated = false;
            return Polled::Behind(state.last);
        }
        Polled::Pending
    }

    /// Whether nothing follows this event here.
    fn is_last(&self, event: &Event) -> bool {
        let Event::Fact(NumberedFact { fact, .. }) = event else {
            return false;
        };
        match fact {
            Fact::Completed { .. } => self.task.is_some(),
            Fact::BecameInvalid => true,
            Fact::Challenged { .. } | Fact::StateLost => false,
        }
    }

    fn take_in(&self, state: &mut State, fact: &NumberedFact) {
        state.last = fact.sequence;
        let is_ours = self.task.is_none_or(|task| fact.fact.task() == Some(task));
        if is_ours && !state.is_over {
            state.facts += 1;
            state.events.push_back(Event::Fact(fact.clone()));
            if let Fact::Completed { task, .. } = fact.fact {
                state.ended.truncate(ENDED_MAX - 1);
                state.ended.push_front(task);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

/// A poll for callers that want the usual type and handle [`Polled::Behind`] themselves.
pub(crate) fn into_poll(polled: Polled, behind: impl FnOnce(Sequence)) -> Poll<Option<Event>> {
    match polled {
        Polled::Ready(event) => Poll::Ready(event),
        Polled::Pending => Poll::Pending,
        Polled::Behind(after) => {
            behind(after);
            Poll::Pending
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use longhaul_engine::task::{Outcome, Progress};

    use super::*;

    fn fact(number: u64, task: u64) -> NumberedFact {
        let fact = Fact::Completed {
            task: TaskId::new(task),
            outcome: Outcome::Cancelled,
            metrics: None,
        };
        NumberedFact {
            sequence: Sequence::new(number),
            fact,
        }
    }

    fn feed(task: Option<TaskId>) -> Arc<Feed> {
        Feed::new(task, Sequence::default(), Reader::Owner)
    }

    fn numbers(feed: &Feed) -> Vec<u64> {
        let context = Context::from_waker(Waker::noop());
        let mut numbers = Vec::new();
        while let Polled::Ready(Some(event)) = feed.poll(&context) {
            if let Event::Fact(fact) = event {
                numbers.push(fact.sequence.get());
            }
        }
        numbers
    }

    #[test]
    fn facts_come_once_and_in_order_whatever_is_told_twice_or_late() {
        let feed = feed(None);
        feed.put_fact(&fact(3, 3));
        assert_eq!(numbers(&feed), [0; 0], "what lies in the store comes first");
        feed.refill(&[fact(1, 1), fact(2, 2), fact(3, 3)], true);
        feed.put_fact(&fact(3, 3));
        feed.put_fact(&fact(4, 4));
        assert_eq!(numbers(&feed), [1, 2, 3, 4]);
        feed.put_fact(&fact(6, 6));
        assert_eq!(numbers(&feed), [0; 0], "the fifth is missing");
        feed.refill(&[fact(5, 5), fact(6, 6)], true);
        assert_eq!(numbers(&feed), [5, 6]);
    }

    #[test]
    fn facts_come_from_the_one_after_that_was_heard_last() {
        let feed = Feed::new(None, Sequence::new(2), Reader::Observer);
        let context = Context::from_waker(Waker::noop());
        let behind = feed.poll(&context);
        assert!(matches!(behind, Polled::Behind(after) if after.get() == 2));
        feed.refill(&[fact(3, 3)], true);
        feed.put_fact(&fact(2, 2));
        feed.put_fact(&fact(4, 4));
        assert_eq!(numbers(&feed), [3, 4]);
    }

    #[test]
    fn a_fact_that_comes_while_the_store_is_read_is_read_next() {
        let feed = feed(None);
        let context = Context::from_waker(Waker::noop());
        assert!(matches!(feed.poll(&context), Polled::Behind(_)));
        // It was committed after the read and is told of before the read is taken in.
        feed.put_fact(&fact(1, 1));
        feed.refill(&[], true);
        assert!(
            matches!(feed.poll(&context), Polled::Behind(_)),
            "the fact would be lost"
        );
        feed.refill(&[fact(1, 1)], true);
        assert_eq!(numbers(&feed), [1]);
        assert!(matches!(feed.poll(&context), Polled::Pending));
    }

    #[test]
    fn a_subscriber_that_does_not_read_costs_bounded_memory_and_misses_no_fact() {
        let feed = feed(None);
        feed.refill(&[], true);
        let progress = |task| Event::Progress {
            task: TaskId::new(task),
            progress: Progress::default(),
        };
        for number in 1..=10_000 {
            feed.put_news(progress(number));
            feed.put_fact(&fact(number, number));
        }
        assert!(feed.lock().events.len() <= FACTS_MAX + NEWS_MAX);
        assert!(feed.take_missed_news(), "it can not be told more");
        assert!(!feed.take_missed_news(), "it was told that it missed some");
        let first = numbers(&feed);
        assert_eq!(first.len(), FACTS_MAX);
        let rest: Vec<_> = (FACTS_MAX as u64 + 1..=10_000)
            .map(|n| fact(n, n))
            .collect();
        feed.refill(&rest, true);
        assert_eq!(numbers(&feed).len(), 10_000 - FACTS_MAX);
    }

    #[test]
    fn news_that_come_after_the_end_of_their_task_are_not_told() {
        let feed = feed(None);
        let context = Context::from_waker(Waker::noop());
        let news = |task| Event::Progress {
            task: TaskId::new(task),
            progress: Progress::default(),
        };
        // They were sent before the end was committed, which was read from the store first.
        feed.refill(&[fact(1, 7)], true);
        feed.put_news(news(7));
        feed.put_news(news(8));
        assert!(!feed.take_missed_news());
        let told = |task| match feed.poll(&context) {
            Polled::Ready(Some(event)) => assert_eq!(event.task(), Some(TaskId::new(task))),
            other => panic!("{other:?}"),
        };
        told(7);
        told(8);
        assert!(matches!(feed.poll(&context), Polled::Pending));
    }

    #[test]
    fn a_feed_of_one_task_ends_after_its_fact() {
        let feed = feed(Some(TaskId::new(2)));
        feed.refill(&[fact(1, 1), fact(2, 2), fact(3, 3)], true);
        assert_eq!(numbers(&feed), [2]);
        let context = Context::from_waker(Waker::noop());
        assert!(matches!(feed.poll(&context), Polled::Ready(None)));
    }
}
