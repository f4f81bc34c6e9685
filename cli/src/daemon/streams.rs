//! Server-sent events: one line of JSON for each, written as fast as they are read.
//!
//! The form is that of the HTML standard, section 9.2. There is no buffer here: an event is taken
//! when the connection has room, so a reader that is slow, or never reads, holds back its own stream
//! only.

use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::web::{BufMut as _, Bytes, BytesMut};
use futures_util::stream::Stream;
use longhaul::Sequence;
use longhaul::control::api::KEEP_ALIVE_INTERVAL;
use longhaul::control::{ClientEvent, SessionEvent};
use serde::Serialize;
use tokio::time::{Interval, MissedTickBehavior, interval};

/// What is written at once when events are there: beyond this they wait for the connection.
const BLOCK_BYTES: usize = 16 * 1024;

/// What is said when nothing happens, so that both ends know of each other: a comment.
const KEEP_ALIVE: &[u8] = b":\n\n";

/// An event that can be written.
pub(super) trait Told {
    /// Writes it with its number, if it has one.
    fn write(&self, block: &mut BytesMut);
}

impl Told for ClientEvent {
    fn write(&self, block: &mut BytesMut) {
        write(None, self, block);
    }
}

impl Told for (Option<Sequence>, SessionEvent) {
    fn write(&self, block: &mut BytesMut) {
        write(self.0, &self.1, block);
    }
}

/// The body of a stream. Dropping it, which the server does when the reader is gone, drops what it
/// tells: that is how a client ends.
pub(super) struct Body<S> {
    events: S,
    silence: Interval,
    is_over: bool,
}

impl<S> Body<S> {
    pub(super) fn new(events: S) -> Self {
        let mut silence = interval(KEEP_ALIVE_INTERVAL);
        silence.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // Its first tick would be now.
        silence.reset();
        Self {
            events,
            silence,
            is_over: false,
        }
    }
}

impl<S: Stream<Item: Told> + Unpin> Stream for Body<S> {
    type Item = Result<Bytes, std::convert::Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut block = BytesMut::new();
        while !self.is_over && block.len() < BLOCK_BYTES {
            match Pin::new(&mut self.events).poll_next(cx) {
                Poll::Ready(Some(event)) => event.write(&mut block),
                Poll::Ready(None) => self.is_over = true,
                Poll::Pending => break,
            }
        }
        if !block.is_empty() {
            self.silence.reset();
            return Poll::Ready(Some(Ok(block.freeze())));
        }
        if self.is_over {
            return Poll::Ready(None);
        }
        let silent = self.silence.poll_tick(cx);
        silent.map(|_| Some(Ok(Bytes::from_static(KEEP_ALIVE))))
    }
}

fn write(number: Option<Sequence>, event: &impl Serialize, block: &mut BytesMut) {
    if let Some(number) = number {
        block.put_slice(format!("id: {number}\n").as_bytes());
    }
    block.put_slice(b"data: ");
    // JSON of one line has no line breaks: those in texts are escaped.
    serde_json::to_writer((&mut *block).writer(), event)
        .expect("documents are written to memory, and their maps have texts as keys");
    block.put_slice(b"\n\n");
}
