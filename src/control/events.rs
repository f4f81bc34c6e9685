//! The events of a session, as one reader is told them.

use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use futures_core::Stream;
use longhaul_actors::local::{SessionHandle, Subscription};
use longhaul_engine::control::SessionEvent;
use longhaul_engine::event::{Event, Fact};
use longhaul_engine::id::{Sequence, TaskId};

/// Streams of events at once: each holds a connection of the server and a bounded queue. More are a loop
/// that forgets to hang up.
pub(super) const STREAMS_MAX: usize = 6144;

/// The events of a session, as [`Control::events`](super::Control::events) gives them. Dropping it ends
/// the subscription and nothing else.
///
/// It keeps nothing itself: a reader that does not read costs what the engine holds for one subscriber
/// (some thousand facts and news; the rest of the facts is read from the store later).
pub struct EventStream {
    seat: Arc<Seat>,
    session: SessionHandle,
    task: Option<TaskId>,
    stage: Stage,
    /// The last event of the subscription was told.
    is_complete: bool,
    _counted: Counted,
}

/// One of the streams at once, for as long as this lives.
pub(super) struct Counted(Arc<AtomicUsize>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Nothing was told.
    New,
    /// It tells what happens.
    Telling,
    /// Nothing follows.
    Over,
}

/// The place of a subscription: whoever ends its client takes it away.
pub(super) struct Seat(Mutex<Taken>);

struct Taken {
    subscription: Option<Subscription>,
    waker: Option<Waker>,
}

impl Counted {
    /// Counts one more; `None` when there are as many as there may be.
    pub(super) fn new(count: &Arc<AtomicUsize>) -> Option<Self> {
        let counted = Self(Arc::clone(count));
        (counted.0.fetch_add(1, Ordering::Relaxed) < STREAMS_MAX).then_some(counted)
    }
}

impl Seat {
    pub(super) fn new(subscription: Subscription) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Taken {
            subscription: Some(subscription),
            waker: None,
        })))
    }

    /// Ends the subscription; its stream ends too.
    pub(super) fn end(&self) {
        let (subscription, waker) = {
            let mut taken = self.lock();
            (taken.subscription.take(), taken.waker.take())
        };
        drop(subscription);
        waker.into_iter().for_each(Waker::wake);
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the subscription has.
enum Found {
    Event(Event),
    /// News are missing before what comes next.
    Missed,
    /// It has ended.
    End,
    /// It was taken away.
    Nothing,
}

impl EventStream {
    pub(super) fn new(
        seat: Arc<Seat>,
        session: SessionHandle,
        task: Option<TaskId>,
        counted: Counted,
    ) -> Self {
        Self {
            seat,
            session,
            task,
            stage: Stage::New,
            is_complete: false,
            _counted: counted,
        }
    }

    fn look(&self, context: &mut Context<'_>) -> Poll<Found> {
        let mut taken = self.seat.lock();
        taken.waker = Some(context.waker().clone());
        let Some(subscription) = &mut taken.subscription else {
            return Poll::Ready(Found::Nothing);
        };
        if subscription.take_missed_news() {
            return Poll::Ready(Found::Missed);
        }
        subscription.poll_next(context).map(|event| match event {
            Some(event) => Found::Event(event),
            None => Found::End,
        })
    }

    fn tell(&mut self, event: Event) -> (Option<Sequence>, SessionEvent) {
        let sequence = match &event {
            Event::Fact(told) => {
                self.is_complete |= match told.fact {
                    Fact::Completed { task, .. } => self.task == Some(task),
                    Fact::BecameInvalid => true,
                    Fact::Challenged { .. } | Fact::StateLost => false,
                };
                Some(told.sequence)
            }
            _ => None,
        };
        (sequence, SessionEvent::Told { told: event })
    }
}

impl Stream for EventStream {
    type Item = (Option<Sequence>, SessionEvent);

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<(Option<Sequence>, SessionEvent)>> {
        match self.stage {
            Stage::New => {
                self.stage = Stage::Telling;
                return Poll::Ready(Some((None, SessionEvent::Listening)));
            }
            Stage::Telling => {}
            Stage::Over => return Poll::Ready(None),
        }
        Poll::Ready(match std::task::ready!(self.look(context)) {
            Found::Event(event) => Some(self.tell(event)),
            Found::Missed => Some((None, SessionEvent::MissedNews)),
            Found::End if self.is_complete || self.session.is_over() => {
                self.stage = Stage::Over;
                Some((None, SessionEvent::Over))
            }
            // The engine stops: what is not told yet is told after its next start.
            Found::End | Found::Nothing => {
                self.stage = Stage::Over;
                None
            }
        })
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl fmt::Debug for EventStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventStream")
            .field("session", self.session.id())
            .field("task", &self.task)
            .field("stage", &self.stage)
            .finish_non_exhaustive()
    }
}
