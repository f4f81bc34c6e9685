//! The network part of an upload: one request after the other, and the beginning of the last answer.

use std::time::Duration;

use actix::{
    ActorFutureExt, Addr, AsyncContext, Context, Handler, Message, SpawnHandle, WrapFuture,
};
use longhaul_engine::failure::Failure;
use longhaul_engine::http::head::ResponseHead;
use longhaul_engine::limits::RESPONSE_BODY_BYTES_MAX;
use longhaul_engine::upload::{Ask, Input, RequestId};

use super::super::TransferActor;
use super::super::requests::{DRAIN_BYTES_MAX, from_net};
use super::content::FileContent;
use super::order::Order;
use super::sent::SentBytes;
use crate::fault;
use crate::net::{Answered, Body, Listener, SendFailure};

/// The connection of the machine.
pub(super) enum Line {
    /// There is none.
    Idle,
    /// A request is under way.
    Asking(Asking),
    /// The head has come; the body waits for the machine's word.
    Answered(Body),
    /// The body is not wanted; it is read away before the next request.
    Drained(Body),
}

/// A request that is under way.
pub(super) struct Asking {
    request: RequestId,
    handle: SpawnHandle,
    /// Holds its body while an interim answer is being dealt with.
    listener: Listener,
    /// What was given to the network of its body.
    sent: SentBytes,
}

/// An interim answer has come. The body waits for the machine's word.
#[derive(Debug, Message)]
#[rtype(result = "()")]
struct InterimCame {
    request: RequestId,
    head: ResponseHead,
}

impl Handler<InterimCame> for TransferActor {
    type Result = ();

    fn handle(&mut self, message: InterimCame, context: &mut Self::Context) {
        fault::point("upload.interim");
        let InterimCame { request, head } = message;
        tracing::debug!(status = head.status, "interim answer");
        self.feed_upload(Input::Interim { request, head }, context);
    }
}

impl TransferActor {
    pub(super) fn ask_upload(&mut self, ask: Ask, context: &mut Context<Self>) {
        let report = context.address();
        let blocks = self.parts.session.world.blocks.clone();
        let limits = self.parts.limits.clone();
        let idle_timeout = self.parts.session.rules.timeout_for_request;
        let Some(uploading) = &mut self.uploading else {
            return;
        };
        let drained = match std::mem::replace(&mut uploading.line, Line::Idle) {
            Line::Drained(body) | Line::Answered(body) => Some(body),
            Line::Asking(_) | Line::Idle => None,
        };
        let request = ask.request;
        let listener = listener(request, report.clone());
        let sent = SentBytes::new(request, report);
        let (file, bytes) = (uploading.file.clone(), sent.clone());
        let order = Order::new(ask, idle_timeout, listener.clone(), |body| {
            FileContent::new(file, body, (blocks, limits), bytes)
        });
        let (client, probe) = (uploading.client.clone(), uploading.metrics.probe());
        let send = async move {
            fault::point("upload.asking");
            if let Some(body) = drained {
                body.discard(DRAIN_BYTES_MAX).await;
            }
            order.send(&client, probe).await
        };
        let handle = context
            .spawn(send.into_actor(self).map(move |answer, actor, context| {
                actor.upload_answered(request, answer, context)
            }));
        if let Some(uploading) = &mut self.uploading {
            uploading.line = Line::Asking(Asking {
                request,
                handle,
                listener,
                sent,
            });
        }
    }

    /// The body of this request may flow on.
    pub(super) fn proceed(&self, request: RequestId) {
        let line = self.uploading.as_ref().map(|uploading| &uploading.line);
        if let Some(Line::Asking(asking)) = line
            && asking.request == request
        {
            asking.listener.proceed();
        }
    }

    fn upload_answered(
        &mut self,
        request: RequestId,
        answer: Result<Answered, SendFailure<Failure>>,
        context: &mut Context<Self>,
    ) {
        fault::point("upload.answered");
        let Some(uploading) = &mut self.uploading else {
            return;
        };
        let input = match answer {
            Ok(Answered { response, sent }) => {
                tracing::debug!(
                    status = response.head.status,
                    reused = response.facts.reused,
                    sent,
                    "answer"
                );
                uploading.line = Line::Answered(response.body);
                Input::Head {
                    request,
                    head: response.head,
                    sent,
                }
            }
            Err(failure) => {
                let sent = match std::mem::replace(&mut uploading.line, Line::Idle) {
                    Line::Asking(asking) => asking.sent.newest(),
                    Line::Answered(_) | Line::Drained(_) | Line::Idle => 0,
                };
                let failure = match failure {
                    SendFailure::Net(failure) => from_net(&failure),
                    SendFailure::Content(failure) => failure,
                };
                Input::AskFailed {
                    request,
                    failure,
                    sent,
                }
            }
        };
        self.feed_upload(input, context);
    }

    /// Tells the machine of every byte that was given to the network, ahead of what may end the
    /// request: whether the server can have the whole of it decides if it may be sent again.
    pub(in crate::transfer) fn tell_sent(&mut self, context: &mut Context<Self>) {
        let line = self.uploading.as_ref().map(|uploading| &uploading.line);
        if let Some(Line::Asking(asking)) = line {
            let (request, bytes) = (asking.request, asking.sent.newest());
            self.feed_upload(Input::Sent { request, bytes }, context);
        }
    }

    pub(super) fn stop_upload(&mut self, context: &mut Context<Self>) {
        let Some(uploading) = &mut self.uploading else {
            return;
        };
        match std::mem::replace(&mut uploading.line, Line::Idle) {
            Line::Asking(asking) => {
                context.cancel_future(asking.handle);
            }
            Line::Answered(_) | Line::Drained(_) | Line::Idle => {}
        }
    }

    pub(super) fn drain_upload(&mut self) {
        let Some(uploading) = &mut self.uploading else {
            return;
        };
        uploading.line = match std::mem::replace(&mut uploading.line, Line::Idle) {
            Line::Answered(body) => Line::Drained(body),
            other @ (Line::Asking(_) | Line::Drained(_) | Line::Idle) => other,
        };
    }

    /// Reads the beginning of the answer. What it says is the server's receipt; the file was
    /// acknowledged by its head, so nothing that happens here makes it a failure.
    pub(super) fn receive(&mut self, context: &mut Context<Self>) {
        let Some(uploading) = &mut self.uploading else {
            return;
        };
        let body = match std::mem::replace(&mut uploading.line, Line::Idle) {
            Line::Answered(body) => Some(body),
            Line::Asking(_) | Line::Drained(_) | Line::Idle => None,
        };
        let read = async move {
            let mut response = Vec::new();
            if let Some(body) = body {
                response = beginning(body).await;
            }
            response
        };
        context.spawn(read.into_actor(self).map(|response, actor, context| {
            fault::point("upload.received");
            actor.feed_upload(Input::Received(response), context);
        }));
    }
}

/// Tells the transfer of the interim answers to a request.
fn listener(request: RequestId, report: Addr<TransferActor>) -> Listener {
    Listener::new(move |head| report.do_send(InterimCame { request, head }))
}

/// What comes of a body, at most [`RESPONSE_BODY_BYTES_MAX`].
async fn beginning(mut body: Body) -> Vec<u8> {
    let mut response = vec![0; RESPONSE_BODY_BYTES_MAX];
    let mut filled = 0;
    while filled < response.len() {
        let linger = Duration::ZERO;
        match body.fill(&mut response[filled..], linger).await {
            Ok(count @ 1..) => filled += count,
            Ok(0) | Err(_) => break,
        }
    }
    response.truncate(filled);
    response
}
