//! The file part of a transfer: everything that may block, on the pool.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use actix::{ActorFutureExt, AsyncContext, Context, WrapFuture};
use longhaul_engine::checkpoint::{Checkpoint, Part, Stage};
use longhaul_engine::checksum;
use longhaul_engine::download::{Input, VerifyOrder};
use longhaul_engine::failure::{Failure, FailureKind};
use longhaul_engine::recovery::Found;
use longhaul_engine::session::Durability;
use longhaul_engine::task::{Collision, Destination, Outcome};
use longhaul_persistence::{Change, Refusal};

use super::TransferActor;
use super::disk::quick;
use super::pump::Created;
use crate::fault;
use crate::file::discard::{discard, discard_unrecorded};
use crate::file::part::PartFile;
use crate::file::publish::{Publication, Published, choose_name, publish};
use crate::file::recover::recover;
use crate::registry::NotStored;

/// Runs what may block on the pool. A panic there goes on here, so that it ends the actor.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is being shut down, and this future with it.
            Err(_) => std::future::pending().await,
        },
    }
}

/// What a file job does with its result.
trait Then<T>: FnOnce(&mut TransferActor, T, &mut Context<TransferActor>) + 'static {}
impl<T, F: FnOnce(&mut TransferActor, T, &mut Context<TransferActor>) + 'static> Then<T> for F {}

impl TransferActor {
    fn on_pool<T: Send + 'static>(
        &self,
        context: &mut Context<Self>,
        work: impl FnOnce() -> T + Send + 'static,
        then: impl Then<T>,
    ) {
        self.when_done(context, blocking(work), then);
    }

    /// The same for work that is short unless the disk is slow.
    fn quickly<T: Send + 'static>(
        &self,
        context: &mut Context<Self>,
        work: impl FnOnce() -> T + Send + 'static,
        then: impl Then<T>,
    ) {
        self.when_done(context, quick(work), then);
    }

    fn when_done<T: 'static>(
        &self,
        context: &mut Context<Self>,
        work: impl Future<Output = T> + 'static,
        then: impl Then<T>,
    ) {
        let work = async {
            fault::point("transfer.file_work");
            work.await
        };
        context.spawn(work.into_actor(self).map(move |done, actor, context| {
            fault::point("transfer.file_done");
            then(actor, done, context);
        }));
    }

    fn part(&self) -> Option<PartFile> {
        self.running
            .as_ref()
            .and_then(|running| running.part.clone())
    }

    pub(super) fn recover(&self, checkpoint: Checkpoint, context: &mut Context<Self>) {
        self.on_pool(
            context,
            move || recover(&checkpoint),
            |actor, recovered, context| match recovered {
                Ok(recovered) => {
                    let is_published = matches!(recovered.found, Found::Published(_));
                    let Some(running) = &mut actor.running else {
                        return;
                    };
                    running.part = recovered.part;
                    if is_published && let Some(copied) = running.part.take() {
                        actor.leftover(copied);
                    }
                    actor.feed(Input::Recovered(recovered.found), context);
                }
                Err(failure) => actor.feed(Input::FileFailed(failure), context),
            },
        );
    }

    pub(super) fn part_created(&mut self, created: Created, context: &mut Context<Self>) {
        let (part, record) = created;
        let Some(running) = &mut self.running else {
            return;
        };
        running.part = Some(part);
        if let Some(past) = &mut running.past {
            past.has_part = true;
        }
        self.feed(Input::PartReady(record), context);
    }

    pub(super) fn record(&self, mut checkpoint: Box<Checkpoint>, context: &mut Context<Self>) {
        let Some(running) = &self.running else { return };
        let mut is_known = true;
        for span in &mut checkpoint.spans {
            match running.tails.get(&span.written) {
                Some(tail) => span.tail = *tail,
                None if span.written == span.start => {}
                None => is_known = false,
            }
        }
        match self.part() {
            Some(part) if !is_known => {
                self.quickly(
                    context,
                    move || fill_tails(&part, checkpoint),
                    |actor, filled, context| match filled {
                        Ok(checkpoint) => actor.write_checkpoint(checkpoint, context),
                        Err(failure) => actor.feed(Input::Recorded(Err(failure)), context),
                    },
                );
            }
            Some(_) | None => self.write_checkpoint(checkpoint, context),
        }
    }

    fn write_checkpoint(&self, checkpoint: Box<Checkpoint>, context: &mut Context<Self>) {
        let Some(generation) = self.running.as_ref().map(|running| running.generation) else {
            return;
        };
        let change = Change::Record {
            session: self.parts.session.id.clone(),
            task: self.parts.task,
            checkpoint: Box::new((*checkpoint).into()),
        };
        self.write(generation, change, context, |actor, answer, context| {
            fault::point("transfer.recorded");
            match answer {
                Ok(_) => actor.feed(Input::Recorded(Ok(())), context),
                Err(NotStored::Failed(why)) => {
                    let failure = Failure::new(FailureKind::Store, why);
                    actor.feed(Input::Recorded(Err(failure)), context);
                }
                Err(
                    error @ (NotStored::Fenced
                    | NotStored::Refused(
                        Refusal::NoSuchTask | Refusal::Ended(_) | Refusal::NoSuchSession(_),
                    )),
                ) => actor.not_stored(&error, context),
                Err(NotStored::Refused(refusal)) => {
                    let failure = Failure::new(FailureKind::Store, refusal.to_string());
                    actor.feed(Input::Recorded(Err(failure)), context);
                }
            }
        });
    }

    pub(super) fn sync(&mut self, context: &mut Context<Self>) {
        match self.part() {
            Some(part) => self.on_pool(
                context,
                move || part.sync(),
                |actor, synced, context| actor.feed(Input::Synced(synced), context),
            ),
            None => self.feed(Input::Synced(Err(lost())), context),
        }
    }

    pub(super) fn verify(&self, order: VerifyOrder, context: &mut Context<Self>) {
        let open = match &order.published {
            None => self.part(),
            // A file that was copied to its name has the bytes of the part that it was copied from.
            Some(_) => self.leftover.clone(),
        };
        self.on_pool(
            context,
            move || check_digests(open, &order),
            |actor, verified, context| actor.feed(Input::Verified(verified), context),
        );
    }

    pub(super) fn choose_name(&self, wanted: PathBuf, context: &mut Context<Self>) {
        self.on_pool(
            context,
            move || choose_name(&wanted),
            |actor, named, context| actor.feed(Input::Named(named), context),
        );
    }

    pub(super) fn publish(
        &mut self,
        target: PathBuf,
        length: u64,
        collision: Collision,
        context: &mut Context<Self>,
    ) {
        let Some(part) = self.part() else {
            return self.feed(Input::Published(Err(lost())), context);
        };
        let durability = self.parts.session.rules.durability;
        let work = move || {
            let order = Publication {
                target: &target,
                length,
                collision,
                durability,
            };
            publish(&part, &order)
        };
        match durability {
            Durability::Process => self.quickly(context, work, Self::published),
            Durability::Power => self.on_pool(context, work, Self::published),
        }
    }

    fn published(&mut self, published: Result<Published, Failure>, context: &mut Context<Self>) {
        fault::point("transfer.published");
        let done = published.map(|how| {
            let part = self
                .running
                .as_mut()
                .and_then(|running| running.part.take());
            if let (Published::Copied, Some(part)) = (how, part) {
                self.leftover(part);
            }
        });
        self.feed(Input::Published(done), context);
    }

    /// A part that was copied to another device stays until the terminal fact is committed.
    fn leftover(&mut self, part: PartFile) {
        self.leftover = Some(part);
    }

    /// Removes what a copy left, after the terminal fact.
    pub(super) fn remove_leftover(&mut self) {
        let Some(part) = self.leftover.take() else {
            return;
        };
        // Nobody waits for it; what can not be removed lies in the state directory and says whose
        // it is.
        tokio::task::spawn_blocking(move || {
            if let Err(error) = discard(part.path(), part.identity()) {
                tracing::warn!(%error, "a part file was left behind");
            }
        });
    }

    /// Removes what an earlier transfer made and did not record, then closes the task.
    pub(super) fn discard_unrecorded(
        &self,
        destination: Destination,
        outcome: Outcome,
        context: &mut Context<Self>,
    ) {
        let task = self.parts.task;
        let parts_dir = self.parts.session.world.parts_dir.clone();
        self.on_pool(
            context,
            move || discard_unrecorded(&[(task, destination)], &parts_dir),
            |actor, discarded, context| {
                if let Err(error) = discarded {
                    tracing::warn!(%error, "a part file was left behind");
                }
                actor.close(outcome, context);
            },
        );
    }

    pub(super) fn discard(&mut self, part: Part, context: &mut Context<Self>) {
        if let Some(running) = &mut self.running {
            running.part = None;
            running.tails.clear();
        }
        self.on_pool(
            context,
            move || discard(&part.path, part.identity),
            |actor, discarded, context| {
                if let Err(error) = discarded {
                    tracing::warn!(%error, "a part file was left behind");
                }
                actor.feed(Input::Discarded, context);
            },
        );
    }
}

fn fill_tails(
    part: &PartFile,
    mut checkpoint: Box<Checkpoint>,
) -> Result<Box<Checkpoint>, Failure> {
    for span in &mut checkpoint.spans {
        if span.written > span.start {
            span.tail = part.tail(span.start, span.written)?;
        }
    }
    debug_assert!(
        !matches!(checkpoint.stage, Stage::Finishing(_)) || checkpoint.part.is_some(),
        "a file is announced that was never made"
    );
    Ok(checkpoint)
}

fn check_digests(open: Option<PartFile>, order: &VerifyOrder) -> Result<(), Failure> {
    let part = match (open, &order.published) {
        (Some(part), _) => part,
        (None, Some(published)) => PartFile::reopen(published)?.ok_or_else(lost)?,
        (None, None) => return Err(lost()),
    };
    let algorithms: Vec<_> = order
        .digests
        .iter()
        .map(checksum::Digest::algorithm)
        .collect();
    let never = AtomicBool::new(false);
    let actual = part
        .digest(order.length, &algorithms, &never)?
        .unwrap_or_default();
    checksum::verify(&order.digests, &actual)
        .map_err(|mismatch| Failure::new(FailureKind::Integrity, mismatch.to_string()))
}

fn lost() -> Failure {
    Failure::new(
        FailureKind::File,
        "the part file is not open any more; start the transfer again",
    )
}
