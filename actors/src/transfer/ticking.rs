//! Wakes a transfer when its machine has asked for it.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{self, Poll};

use actix::{ActorFuture, Context};
use longhaul_engine::time::Timestamp;
use longhaul_engine::{download, upload};

use super::TransferActor;
use crate::fault;
use crate::time::Clock;
use crate::timers::Timer;

/// The timer of a transfer.
#[derive(Default)]
pub(super) struct Tick {
    timer: Rc<RefCell<Timer>>,
    due: Option<Timestamp>,
}

impl Tick {
    /// Ticks when it is due, or not at all.
    pub(super) fn set(&mut self, due: Option<Timestamp>, clock: Clock) {
        if self.due != due {
            self.due = due;
            let deadline = due.map(|due| clock.deadline(due));
            self.timer.borrow_mut().set(deadline);
        }
    }

    /// What ticks, for as long as the actor lives.
    pub(super) fn ticks(&self) -> Ticks {
        Ticks(Rc::clone(&self.timer))
    }
}

/// Feeds the machine whenever the timer rings.
pub(super) struct Ticks(Rc<RefCell<Timer>>);

impl ActorFuture<TransferActor> for Ticks {
    type Output = ();

    fn poll(
        self: Pin<&mut Self>,
        actor: &mut TransferActor,
        context: &mut Context<TransferActor>,
        task: &mut task::Context<'_>,
    ) -> Poll<()> {
        while self.0.borrow_mut().poll_rung(task).is_ready() {
            actor.tick.due = None;
            if actor.running.is_some() {
                fault::point("transfer.tick");
                actor.feed(download::Input::Tick, context);
            } else if actor.uploading.is_some() {
                fault::point("upload.tick");
                actor.feed_upload(upload::Input::Tick, context);
            }
        }
        Poll::Pending
    }
}
