//! The uploads of the transfer actor: it feeds the upload machine and performs what it says.

mod content;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use actix::{ActorFutureExt, AsyncContext, Context, SpawnHandle, WrapFuture};
use longhaul_engine::failure::{Failure, FailureKind};
use longhaul_engine::id::Generation;
use longhaul_engine::limits::{EXPECT_CONTINUE_WAIT, RESPONSE_BODY_BYTES_MAX, UPLOAD_ANSWER_WAIT};
use longhaul_engine::task::{Outcome, UploadSpec};
use longhaul_engine::time::Timestamp;
use longhaul_engine::upload::{
    Action, Ask, Input, RequestBody, RequestId, Source, Start, Upload, UploadCheckpoint,
};
use longhaul_persistence::{Change, Refusal};

use self::content::FileContent;
use super::TransferActor;
use super::files::blocking;
use super::requests::{DRAIN_BYTES_MAX, from_net};
use crate::fault;
use crate::file::source::SourceFile;
use crate::net::{Answered, Body, BodyRequest, Client, Method, Request, SendFailure};
use crate::registry::NotStored;
use crate::time::entropy;

/// An upload whose task was read from the store.
pub(super) struct Uploading {
    machine: Upload,
    generation: Generation,
    client: Client,
    file: Option<SourceFile>,
    line: Line,
}

/// The connection of the machine.
enum Line {
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
    pub(super) fn start_upload(
        &self,
        spec: UploadSpec,
        created_at: Timestamp,
        checkpoint: Option<UploadCheckpoint>,
    ) -> Start {
        Start {
            spec,
            rules: Arc::clone(&self.parts.session.rules),
            created_at,
            checkpoint,
            desired: self.desired,
            seed: entropy(),
        }
    }

    pub(super) fn run_upload(
        &mut self,
        start: Start,
        generation: Generation,
        client: Client,
        context: &mut Context<Self>,
    ) {
        let machine = Upload::new(start, self.parts.session.world.clock.now());
        self.uploading = Some(Box::new(Uploading {
            machine,
            generation,
            client,
            file: None,
            line: Line::Idle,
        }));
        self.perform_uploads(context);
    }

    /// Feeds the machine and performs what it says; nothing for a download.
    pub(super) fn feed_upload(&mut self, input: Input, context: &mut Context<Self>) {
        let now = self.parts.session.world.clock.now();
        let Some(uploading) = &mut self.uploading else {
            return;
        };
        uploading.machine.handle(now, input);
        self.perform_uploads(context);
    }

    fn perform_uploads(&mut self, context: &mut Context<Self>) {
        while let Some(action) = self
            .uploading
            .as_mut()
            .and_then(|uploading| uploading.machine.poll())
        {
            fault::point(name_of(&action));
            match action {
                Action::Inspect(path) => self.inspect(path, context),
                Action::Record(checkpoint) => self.record_upload(*checkpoint, context),
                Action::Ask(ask) => self.ask_upload(ask, context),
                Action::Stop(_) => self.stop_upload(context),
                Action::Drain(_) => self.drain_upload(),
                Action::Receive(_) => self.receive(context),
                Action::Close(outcome) => self.close_upload(outcome, context),
                Action::ReleasePlace => self.release_place(),
                Action::Tell(news) => self.tell(news),
                Action::Exit(exit) => self.exit(exit, context),
            }
        }
        if let Some(uploading) = &self.uploading {
            let due = uploading.machine.poll_timeout();
            self.tick.set(due, self.parts.session.world.clock);
        }
    }

    fn inspect(&self, path: PathBuf, context: &mut Context<Self>) {
        let inspect = blocking(move || SourceFile::inspect(&path)).into_actor(self);
        context.spawn(inspect.map(|inspected, actor, context| {
            fault::point("upload.inspected");
            let found = inspected.map(|(file, found): (SourceFile, Source)| {
                if let Some(uploading) = &mut actor.uploading {
                    uploading.file = Some(file);
                }
                found
            });
            actor.feed_upload(Input::Inspected(found), context);
        }));
    }

    fn record_upload(&self, checkpoint: UploadCheckpoint, context: &mut Context<Self>) {
        let Some(generation) = self.uploading.as_ref().map(|it| it.generation) else {
            return;
        };
        let change = Change::Record {
            session: self.parts.session.id.clone(),
            task: self.parts.task,
            checkpoint: Box::new(checkpoint.into()),
        };
        self.write(generation, change, context, |actor, answer, context| {
            fault::point("upload.recorded");
            let recorded = match answer {
                Ok(_) => Ok(()),
                Err(NotStored::Failed(why)) => Err(why),
                Err(
                    error @ (NotStored::Fenced
                    | NotStored::Refused(
                        Refusal::NoSuchTask | Refusal::Ended(_) | Refusal::NoSuchSession(_),
                    )),
                ) => return actor.not_stored(&error, context),
                Err(NotStored::Refused(refusal)) => Err(refusal.to_string()),
            };
            let recorded = recorded.map_err(|why| Failure::new(FailureKind::Store, why));
            actor.feed_upload(Input::Recorded(recorded), context);
        });
    }

    fn ask_upload(&mut self, ask: Ask, context: &mut Context<Self>) {
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
        });
        let client = uploading.client.clone();
        let send = async move {
            fault::point("upload.asking");
            if let Some(body) = drained {
                body.discard(DRAIN_BYTES_MAX).await;
            }
            match (content, ask.body) {
                (Some(mut content), Some(body)) => {
                    let order = with_body(ask, body, idle_timeout);
                    client.send_content(&order, &mut content).await
                }
                (_, _) => follow(&client, ask, idle_timeout).await,
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
                uploading.line = Line::Idle;
                let failure = match failure {
                    SendFailure::Net(failure) => from_net(&failure),
                    SendFailure::Content(failure) => failure,
                };
                Input::AskFailed { request, failure }
            }
        };
        self.feed_upload(input, context);
    }

    fn stop_upload(&mut self, context: &mut Context<Self>) {
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

    fn drain_upload(&mut self) {
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
    fn receive(&mut self, context: &mut Context<Self>) {
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

    fn close_upload(&self, outcome: Outcome, context: &mut Context<Self>) {
        let Some(generation) = self.uploading.as_ref().map(|it| it.generation) else {
            return;
        };
        let change = self.close_change(outcome.clone());
        self.write(generation, change, context, |actor, answer, context| {
            fault::point("upload.closed");
            match answer {
                Ok(_) => {
                    actor.tell_person(&outcome);
                    actor.feed_upload(Input::Closed(outcome), context);
                }
                Err(NotStored::Refused(Refusal::Ended(earlier))) => {
                    actor.feed_upload(Input::Closed(*earlier), context);
                }
                Err(error) => actor.not_stored(&error, context),
            }
        });
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
    client: &Client,
    ask: Ask,
    idle_timeout: Duration,
) -> Result<Answered, SendFailure<Failure>> {
    let request = Request {
        method: Method::Get,
        url: ask.url.as_url().clone(),
        headers: ask.headers,
        idle_timeout,
    };
    let response = client.send(request).await?;
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

const fn name_of(action: &Action) -> &'static str {
    match action {
        Action::Inspect(_) => "upload.inspect",
        Action::Record(_) => "upload.record",
        Action::Ask(_) => "upload.ask",
        Action::Stop(_) => "upload.stop",
        Action::Drain(_) => "upload.drain",
        Action::Receive(_) => "upload.receive",
        Action::Close(_) => "upload.close",
        Action::ReleasePlace => "upload.release_place",
        Action::Tell(_) => "upload.tell",
        Action::Exit(_) => "upload.exit",
    }
}
