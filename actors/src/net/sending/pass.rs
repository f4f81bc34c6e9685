//! Bytes of a body that go straight from the content to the socket, without passing through us.

use std::{
    future::poll_fn,
    io,
    os::fd::AsFd as _,
    task::{Poll, ready},
};

use tokio::io::Interest;

use super::{Content, Passed, SendFailure, duplex::Exchange};

impl Exchange<'_> {
    /// Lets the content give its next bytes to the socket, if there is one without TLS above it;
    /// false when they must go as a block. What was given counts.
    pub(super) async fn pass<C: Content>(
        &mut self,
        content: &mut C,
    ) -> Result<bool, SendFailure<C::Error>> {
        self.alarm.disarm();
        poll_fn(|context| {
            while ready!(self.poll_wanted(context))? {
                let Some(socket) = self.wire.socket() else {
                    return Poll::Ready(Ok(false));
                };
                match socket.poll_write_ready(context) {
                    Poll::Ready(Ok(())) => {}
                    Poll::Ready(Err(_)) => {
                        self.is_deaf = true;
                        break;
                    }
                    Poll::Pending => {
                        let idle = self.poll_idle(self.request.idle_timeout, context);
                        return idle.map_err(SendFailure::Net);
                    }
                }
                // Within the call, so that the runtime knows that the socket is full.
                let tried = socket.try_io(Interest::WRITABLE, || {
                    match content.pass(self.sent, socket.as_fd()) {
                        Ok(Passed::Full) => Err(io::ErrorKind::WouldBlock.into()),
                        other => Ok(other),
                    }
                });
                let Ok(passed) = tried else { continue };
                match passed.map_err(SendFailure::Content)? {
                    Passed::Bytes(count) => {
                        self.sent += count;
                        break;
                    }
                    Passed::Full => {}
                    Passed::Broken => self.is_deaf = true,
                    Passed::Unable => return Poll::Ready(Ok(false)),
                }
            }
            Poll::Ready(Ok(true))
        })
        .await
    }
}
