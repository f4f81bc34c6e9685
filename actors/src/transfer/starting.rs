//! The start of a transfer: the machine that its task needs, from what the store knows.

use std::collections::HashMap;
use std::sync::Arc;

use actix::Context;
use longhaul_engine::checkpoint::{Checkpoint, TaskCheckpoint};
use longhaul_engine::download::{Download, Exit, Start};
use longhaul_engine::failure::{Failure, FailureKind};
use longhaul_engine::id::Generation;
use longhaul_engine::task::{Desired, DownloadSpec, Outcome, Spec, Task};
use longhaul_engine::time::Timestamp;

use super::metrics::Metrics;
use super::sealing::as_cancelled;
use super::{Past, Running, TransferActor, worker};
use crate::desktop::Notice;
use crate::net::Client;
use crate::time::entropy;

impl TransferActor {
    /// Starts the machine of a task that was read from the store.
    pub(super) fn run(
        &mut self,
        task: Task,
        checkpoint: Option<TaskCheckpoint>,
        generation: Generation,
        context: &mut Context<Self>,
    ) {
        self.notice = Notice::wanted(&task.spec);
        let session = &self.parts.session;
        let client = match worker::client(&session.rules, &session.world) {
            Ok(client) => client,
            Err(failure) => {
                let failure = Failure::new(FailureKind::InvalidRequest, failure.to_string());
                return self.close_at_once(generation, Outcome::Failed(failure), context);
            }
        };
        let created_at = task.created_at;
        match task.spec {
            Spec::Download(spec) => {
                let checkpoint = checkpoint.and_then(TaskCheckpoint::into_download);
                let start = self.start_download(spec, created_at, checkpoint, task.desired);
                self.run_download(start, generation, client, context);
            }
            Spec::Upload(spec) => {
                let checkpoint = checkpoint.and_then(TaskCheckpoint::into_upload);
                let start = self.start_upload(spec, created_at, checkpoint, task.desired);
                self.run_upload(start, generation, client, context);
            }
        }
    }

    fn start_download(
        &self,
        spec: DownloadSpec,
        created_at: Timestamp,
        checkpoint: Option<Checkpoint>,
        recorded: Desired,
    ) -> Start {
        Start {
            spec,
            rules: Arc::clone(&self.parts.session.rules),
            created_at,
            checkpoint,
            desired: as_cancelled(self.desired, recorded),
            seed: entropy(),
        }
    }

    fn run_download(
        &mut self,
        start: Start,
        generation: Generation,
        client: Client,
        context: &mut Context<Self>,
    ) {
        let past = (!self.parts.is_first).then(|| Past {
            destination: start.spec.destination.clone(),
            has_part: start
                .checkpoint
                .as_ref()
                .is_some_and(|known| known.part.is_some()),
        });
        let clock = self.parts.clock;
        let metrics = Metrics::new(std::mem::take(&mut self.parts.log), start.created_at, clock);
        let machine = Download::new(start, clock.now());
        self.running = Some(Running {
            machine,
            generation,
            client,
            lines: HashMap::new(),
            metrics,
            part: None,
            tails: HashMap::new(),
            past,
        });
        self.perform_all(context);
    }

    fn close_at_once(&self, generation: Generation, outcome: Outcome, context: &mut Context<Self>) {
        let change = self.close_change(outcome.clone());
        self.write(
            generation,
            change,
            context,
            |actor, answer, context| match answer {
                Ok(_) => {
                    actor.tell_person(&outcome);
                    actor.exit(Exit::Ended(outcome), context);
                }
                Err(error) => actor.not_stored(&error, context),
            },
        );
    }
}
