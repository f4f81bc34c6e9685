//! How much of a body was given to the network, told to its transfer now and then.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use actix::{Addr, Handler, Message};
use longhaul_engine::upload::{Input, RequestId};
use tokio::time::{Instant, sleep_until};

use super::super::TransferActor;
use crate::fault;

/// The transfer is told at most this often: a fast body has thousands of blocks in this time, and
/// whoever watches hears less often.
const TOLD_INTERVAL: Duration = Duration::from_millis(50);

/// Bytes of the file were given to the network.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(in crate::transfer) struct BytesSent {
    request: RequestId,
    bytes: u64,
}

impl Handler<BytesSent> for TransferActor {
    type Result = ();

    fn handle(&mut self, message: BytesSent, context: &mut Self::Context) {
        fault::point("upload.sent");
        let BytesSent { request, bytes } = message;
        self.feed_upload(Input::Sent { request, bytes }, context);
    }
}

/// How much of the body of one request was given to the network. Clones count for the same body.
#[derive(Clone)]
pub(super) struct SentBytes(Rc<Inner>);

struct Inner {
    request: RequestId,
    report: Addr<TransferActor>,
    newest: Cell<u64>,
    told_at: Cell<Option<Instant>>,
    /// It will be told when the interval is over.
    is_due: Cell<bool>,
}

impl SentBytes {
    pub(super) fn new(request: RequestId, report: Addr<TransferActor>) -> Self {
        Self(Rc::new(Inner {
            request,
            report,
            newest: Cell::new(0),
            told_at: Cell::new(None),
            is_due: Cell::new(false),
        }))
    }

    /// All bytes so far.
    pub(super) fn newest(&self) -> u64 {
        self.0.newest.get()
    }

    /// So many bytes went until now: the transfer hears of them soon.
    pub(super) fn tell(&self, bytes: u64) {
        self.0.newest.set(bytes);
        if self.0.is_due.get() {
            return;
        }
        let next = self.0.told_at.get().map(|told_at| told_at + TOLD_INTERVAL);
        let Some(next) = next.filter(|next| *next > Instant::now()) else {
            return self.0.report();
        };
        self.0.is_due.set(true);
        let inner = Rc::clone(&self.0);
        actix_rt::spawn(async move {
            sleep_until(next).await;
            inner.is_due.set(false);
            inner.report();
        });
    }
}

impl Inner {
    fn report(&self) {
        self.told_at.set(Some(Instant::now()));
        self.report.do_send(BytesSent {
            request: self.request,
            bytes: self.newest.get(),
        });
    }
}
