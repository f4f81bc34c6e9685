//! The address of an actor that may be restarted: a place to look it up, and to wait for the next.

use std::sync::Arc;

use actix::dev::{MessageResponse, OneshotSender, ToEnvelope};
use actix::{Actor, Addr, Handler, Message};
use tokio::sync::{oneshot, watch};

/// The owner's end: it puts in the address of each new incarnation.
#[derive(Debug)]
pub(crate) struct Slot<A: Actor>(Arc<watch::Sender<Option<Incarnation<A>>>>);

/// The callers' end.
#[derive(Debug)]
pub(crate) struct SlotRef<A: Actor>(watch::Receiver<Option<Incarnation<A>>>);

#[derive(Debug)]
struct Incarnation<A: Actor> {
    number: u64,
    address: Addr<A>,
}

/// An answer that the actor gives later, through the other end of the channel. When it dies before,
/// the one who asked sees it as dead, as [`SlotRef::call`] needs to ask its successor.
#[derive(Debug)]
pub(crate) struct Later<T>(pub(crate) oneshot::Receiver<T>);

impl<A, M> MessageResponse<A, M> for Later<M::Result>
where
    A: Actor,
    M: Message,
{
    fn handle(self, _: &mut A::Context, sender: Option<OneshotSender<M::Result>>) {
        actix_rt::spawn(async move {
            if let (Some(sender), Ok(answer)) = (sender, self.0.await) {
                // Who asked may be gone.
                let _ = sender.send(answer);
            }
        });
    }
}

/// The actor is gone for good: its owner has stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gone;

impl<A: Actor> Clone for Incarnation<A> {
    fn clone(&self) -> Self {
        Self {
            number: self.number,
            address: self.address.clone(),
        }
    }
}

impl<A: Actor> Clone for SlotRef<A> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<A: Actor> Clone for Slot<A> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<A: Actor> Slot<A> {
    pub(crate) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(None)))
    }

    pub(crate) fn reference(&self) -> SlotRef<A> {
        SlotRef(self.0.subscribe())
    }

    /// The address of a new incarnation.
    pub(crate) fn put(&self, address: Addr<A>) {
        self.0.send_modify(|slot| {
            let number = slot.as_ref().map_or(0, |old| old.number + 1);
            *slot = Some(Incarnation { number, address });
        });
    }
}

impl<A: Actor> SlotRef<A> {
    /// The address of now, if there is one: for hints that may be lost.
    pub(crate) fn current(&self) -> Option<Addr<A>> {
        self.0
            .borrow()
            .as_ref()
            .map(|incarnation| incarnation.address.clone())
    }

    /// Sends a message and waits for the answer. When the actor dies meanwhile, the message is made
    /// and sent again to the next incarnation: so it must be harmless to repeat.
    pub(crate) async fn call<M>(&self, make: impl Fn() -> M) -> Result<M::Result, Gone>
    where
        M: Message + Send + 'static,
        M::Result: Send,
        A: Handler<M>,
        A::Context: ToEnvelope<A, M>,
    {
        let mut slot = self.0.clone();
        let mut dead = None;
        loop {
            let is_new = |slot: &Option<Incarnation<A>>| {
                slot.as_ref()
                    .is_some_and(|incarnation| Some(incarnation.number) != dead)
            };
            let current = slot.wait_for(is_new).await.map_err(|_| Gone)?.clone();
            let Some(Incarnation { number, address }) = current else {
                return Err(Gone);
            };
            match address.send(make()).await {
                Ok(answer) => return Ok(answer),
                Err(_) => dead = Some(number),
            }
        }
    }
}
