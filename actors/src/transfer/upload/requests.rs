//! The network part of an upload: one request after the other, and the beginning of the last answer.

use std::time::Duration;

use actix::{ActorFutureExt, AsyncContext, Context, SpawnHandle, WrapFuture};
use longhaul_engine::failure::Failure;
use longhaul_engine::limits::{EXPECT_CONTINUE_WAIT, RESPONSE_BODY_BYTES_MAX, UPLOAD_ANSWER_WAIT};
use longhaul_engine::upload::{Ask, Input, RequestBody, RequestId};

use super::super::TransferActor;
use super::super::requests::{DRAIN_BYTES_MAX, from_net};
use super::content::FileContent;
use crate::fault;
use crate::net::{Answered, Body, BodyRequest, Client, Method, Probe, Request, SendFailure};

/// The connection of the machine.
pub(super) enum Line {
    /// There is none.
    Idle,
    /// A request is under way.
    Asking(SpawnHandle),
    /// The head has come; the body waits for the machine's word.
    Answered(Body),
    /// The body is not wanted; it is read away before the next request.
    Drained(Body),
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
        let content = ask.body.map(|body| FileContent {
            request,
            file: uploading.file.clone(),
            length: body.length,
            blocks,
            limits,
            report,
            sent: 0,
        });
        let (client, probe) = (uploading.client.clone(), uploading.metrics.probe());
        let send = async move {
            fault::point("upload.asking");
            if let Some(body) = drained {
                body.discard(DRAIN_BYTES_MAX).await;
            }
            match (content, ask.body) {
                (Some(mut content), Some(body)) => {
                    let order = with_body(ask, body, idle_timeout);
                    let answer = client.send_content(&order, &mut content, probe).await;
                    answer.map_err(|failure| (failure, content.sent))
                }
                (_, _) => {
                    let answer = follow((&client, probe), ask, idle_timeout).await;
                    answer.map_err(|failure| (failure, 0))
                }
            }
        };
        let handle = context
            .spawn(send.into_actor(self).map(move |answer, actor, context| {
                actor.upload_answered(request, answer, context)
            }));
        if let Some(uploading) = &mut self.uploading {
            uploading.line = Line::Asking(handle);
        }
    }

    fn upload_answered(
        &mut self,
        request: RequestId,
        answer: Result<Answered, (SendFailure<Failure>, u64)>,
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
            Err((failure, sent)) => {
                uploading.line = Line::Idle;
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

    pub(super) fn stop_upload(&mut self, context: &mut Context<Self>) {
        let Some(uploading) = &mut self.uploading else {
            return;
        };
        match std::mem::replace(&mut uploading.line, Line::Idle) {
            Line::Asking(handle) => {
                context.cancel_future(handle);
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

fn with_body(ask: Ask, body: RequestBody, idle_timeout: Duration) -> BodyRequest {
    BodyRequest {
        method: ask.method,
        url: ask.url.as_url().clone(),
        headers: ask.headers,
        idle_timeout,
        answer_timeout: idle_timeout.max(UPLOAD_ANSWER_WAIT),
        expect_continue: body.expects_continue.then_some(EXPECT_CONTINUE_WAIT),
    }
}

/// Asks for what a 303 points at.
async fn follow(
    (client, probe): (&Client, Probe),
    ask: Ask,
    idle_timeout: Duration,
) -> Result<Answered, SendFailure<Failure>> {
    let request = Request {
        method: Method::Get,
        url: ask.url.as_url().clone(),
        headers: ask.headers,
        idle_timeout,
    };
    let response = client.send_probed(request, probe).await?;
    Ok(Answered { response, sent: 0 })
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
