//! How much of a body was given to the network, told to its transfer now and then.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use actix::{Addr, Handler, Message};
use longhaul_engine::upload::{Input, RequestId};
use tokio::time::sleep;

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
    told: Cell<u64>,
    /// It was told lately, and will be again when the interval is over, if there is more.
    is_resting: Cell<bool>,
}

impl SentBytes {
    pub(super) fn new(request: RequestId, report: Addr<TransferActor>) -> Self {
        Self(Rc::new(Inner {
            request,
            report,
            newest: Cell::new(0),
            told: Cell::new(0),
            is_resting: Cell::new(false),
        }))
    }

    /// All bytes so far.
    pub(super) fn newest(&self) -> u64 {
        self.0.newest.get()
    }

    /// So many bytes went until now: the transfer hears of them soon.
    pub(super) fn tell(&self, bytes: u64) {
        self.0.newest.set(bytes);
        if self.0.is_resting.replace(true) {
            return;
        }
        let inner = Rc::clone(&self.0);
        inner.report();
        actix_rt::spawn(async move {
            sleep(TOLD_INTERVAL).await;
            while inner.newest.get() > inner.told.get() {
                inner.report();
                sleep(TOLD_INTERVAL).await;
            }
            inner.is_resting.set(false);
        });
    }
}

impl Inner {
    fn report(&self) {
        self.told.set(self.newest.get());
        self.report.do_send(BytesSent {
            request: self.request,
            bytes: self.newest.get(),
        });
    }
}
