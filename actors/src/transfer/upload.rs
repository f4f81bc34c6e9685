//! The uploads of the transfer actor: it feeds the upload machine and performs what it says.

mod content;
mod order;
mod requests;
mod sent;

use std::path::PathBuf;
use std::sync::Arc;

use actix::{ActorFutureExt, AsyncContext, Context, WrapFuture};
use longhaul_engine::checksum::Algorithm;
use longhaul_engine::failure::{Failure, FailureKind};
use longhaul_engine::id::Generation;
use longhaul_engine::metrics::{TaskMetrics, TransactionLog};
use longhaul_engine::safe_url::HttpUrl;
use longhaul_engine::task::{Desired, Outcome, UploadSpec};
use longhaul_engine::time::Timestamp;
use longhaul_engine::upload::{Action, Capability, Input, Source, Start, Upload, UploadCheckpoint};
use longhaul_persistence::{Change, Refusal};

use self::requests::Line;
use super::TransferActor;
use super::files::blocking;
use super::metrics::Metrics;
use super::sealing::as_cancelled;
use crate::fault;
use crate::file::source::SourceFile;
use crate::net::Client;
use crate::registry::NotStored;
use crate::time::entropy;

/// An upload whose task was read from the store.
pub(super) struct Uploading {
    machine: Upload,
    generation: Generation,
    /// The URL of the task, for which a capability is remembered.
    url: HttpUrl,
    client: Client,
    file: Option<SourceFile>,
    line: Line,
    metrics: Metrics,
}

impl Uploading {
    pub(super) const fn generation(&self) -> Generation {
        self.generation
    }

    /// What the task took until now.
    pub(super) fn summary(&self) -> Option<Box<TaskMetrics>> {
        self.metrics.summary(self.machine.counts())
    }

    /// What the next transfer of the task goes on with.
    pub(super) fn take_log(&self) -> TransactionLog {
        self.metrics.take_log()
    }
}

impl TransferActor {
    pub(super) fn start_upload(
        &self,
        spec: UploadSpec,
        created_at: Timestamp,
        checkpoint: Option<UploadCheckpoint>,
        recorded: Desired,
    ) -> Start {
        let known = self.parts.session.world.capabilities.of(&spec.url);
        Start {
            spec,
            rules: Arc::clone(&self.parts.session.rules),
            created_at,
            checkpoint,
            desired: as_cancelled(self.desired, recorded),
            known,
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
        let clock = self.parts.clock;
        let metrics = Metrics::new(std::mem::take(&mut self.parts.log), start.created_at, clock);
        let url = start.spec.url.clone();
        let machine = Upload::new(start, clock.now());
        self.uploading = Some(Box::new(Uploading {
            machine,
            generation,
            url,
            client,
            file: None,
            line: Line::Idle,
            metrics,
        }));
        self.perform_uploads(context);
    }

    /// Feeds the machine and performs what it says; nothing for a download.
    pub(super) fn feed_upload(&mut self, input: Input, context: &mut Context<Self>) {
        let now = self.parts.clock.now();
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
                Action::Digest {
                    offset,
                    length,
                    algorithm,
                } => self.digest((offset, length), algorithm, context),
                Action::Proceed(request) => self.proceed(request),
                Action::Remember(capability) => self.remember(capability),
                Action::Stop(_) => self.stop_upload(context),
                Action::Drain(_) => self.drain_upload(),
                Action::Receive(_) => self.receive(context),
                Action::Seal => self.seal(context),
                Action::Close(outcome) => self.close_upload(outcome, context),
                Action::ReleasePlace => self.release_place(),
                Action::Tell(news) => self.tell(news),
                Action::Exit(exit) => self.exit(exit, context),
            }
        }
        if let Some(uploading) = &self.uploading {
            let due = uploading.machine.poll_timeout();
            self.tick.set(due, self.parts.clock);
        }
    }

    fn remember(&self, capability: Capability) {
        if let Some(uploading) = &self.uploading {
            let world = &self.parts.session.world;
            world.capabilities.remember(&uploading.url, capability);
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

    /// Reads a part of the file for its digest, as long as this transfer lives.
    fn digest(&self, part: (u64, u64), algorithm: Algorithm, context: &mut Context<Self>) {
        let file = self.uploading.as_ref().and_then(|it| it.file.clone());
        let wanted = Arc::new(());
        let is_wanted = Arc::downgrade(&wanted);
        let digest = async move {
            let work = move || match file {
                Some(file) => file.digest(part, algorithm, &|| is_wanted.strong_count() > 0),
                None => Err(not_open()),
            };
            let digested = blocking(work).await;
            drop(wanted);
            digested
        };
        context.spawn(digest.into_actor(self).map(|digested, actor, context| {
            fault::point("upload.digested");
            actor.feed_upload(Input::Digested(digested), context);
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

/// The file was closed before it was asked for.
fn not_open() -> Failure {
    let message = "the file is not open any more; start the upload again";
    Failure::new(FailureKind::File, message)
}

const fn name_of(action: &Action) -> &'static str {
    match action {
        Action::Inspect(_) => "upload.inspect",
        Action::Record(_) => "upload.record",
        Action::Ask(_) => "upload.ask",
        Action::Digest { .. } => "upload.digest",
        Action::Proceed(_) => "upload.proceed",
        Action::Remember(_) => "upload.remember",
        Action::Stop(_) => "upload.stop",
        Action::Drain(_) => "upload.drain",
        Action::Receive(_) => "upload.receive",
        Action::Seal => "upload.seal",
        Action::Close(_) => "upload.close",
        Action::ReleasePlace => "upload.release_place",
        Action::Tell(_) => "upload.tell",
        Action::Exit(_) => "upload.exit",
    }
}
