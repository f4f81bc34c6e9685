//! Events as a stream.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use longhaul_actors::handle::Subscription;
use longhaul_engine::event::Event;

/// The events of a session or of one task, as a [`Stream`] for any executor.
///
/// Facts arrive in their order, each at least once until it is acknowledged; progress and changes
/// of phase are news, of which a slow reader misses some. Dropping the stream ends the
/// subscription and nothing else.
#[derive(Debug)]
pub struct Events {
    subscription: Subscription,
}

impl Events {
    pub(crate) const fn new(subscription: Subscription) -> Self {
        Self { subscription }
    }

    /// The next event, for callers without a library of stream adapters; `None` when the stream
    /// has ended.
    pub async fn next(&mut self) -> Option<Event> {
        std::future::poll_fn(|context| self.subscription.poll_next(context)).await
    }
}

impl Stream for Events {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Event>> {
        self.subscription.poll_next(context)
    }
}
