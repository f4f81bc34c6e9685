//! The way from the handles to the thread of their client.

use std::fmt;
use std::sync::Arc;

use longhaul_engine::control::{Call, ClientId};
use tokio::sync::{mpsc, oneshot};

use super::book::Shared;
use super::orders::Order;
use super::question::{Question, Unanswered, answer_of};

/// What all handles of one client share. With the last of them the client is closed.
pub(super) struct Link {
    orders: mpsc::UnboundedSender<Order>,
    shared: Arc<Shared>,
}

impl Link {
    pub(super) const fn new(orders: mpsc::UnboundedSender<Order>, shared: Arc<Shared>) -> Self {
        Self { orders, shared }
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Gives an order. A client that has stopped drops it, and the reply in it.
    pub(super) fn order(&self, order: Order) {
        let _ = self.orders.send(order);
    }

    /// Asks until there is an answer.
    ///
    /// # Errors
    /// As [`Unanswered`] says.
    pub(super) async fn ask<C: Call>(
        &self,
        call: &C,
        at: impl Fn(&ClientId) -> C::At + Send + 'static,
    ) -> Result<C::Answer, Unanswered> {
        self.ask_question::<C>(Question::new(call, at)?).await
    }

    /// The same, for a question that was written down.
    ///
    /// # Errors
    /// As [`Unanswered`] says.
    pub(super) async fn ask_question<C: Call>(
        &self,
        question: Question,
    ) -> Result<C::Answer, Unanswered> {
        let (reply, answer) = oneshot::channel();
        self.order(Order::Ask { question, reply });
        match answer.await {
            Ok(body) => answer_of::<C>(&body?),
            Err(_) => Err(self.gone().await),
        }
    }

    /// Why an order is not carried out: the client has stopped.
    pub(super) async fn gone(&self) -> Unanswered {
        let reason = self.stopped().await;
        Unanswered::Stopped { reason }
    }

    /// Waits until the client has stopped; `Some` reason when it gave up by itself.
    pub(super) async fn stopped(&self) -> Option<String> {
        let mut stopped = self.shared.stopped.subscribe();
        let ended = stopped.wait_for(Option::is_some).await;
        ended
            .ok()
            .and_then(|stopped| stopped.as_ref().and_then(|it| it.reason.clone()))
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("stopped", &*self.shared.stopped.borrow())
            .finish_non_exhaustive()
    }
}
