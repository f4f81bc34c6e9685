//! Resume data: the registry seals what it has on record, and makes tasks of it.
//!
//! It does so itself, one after the other, and for the transfer of now alone. A transfer that crashed
//! may have work on the pool that goes on; such work could remove or replace the ticket of the next.

use std::path::{Path, PathBuf};

use actix::{ActorContext, Context, Handler, Message};
use longhaul_engine::checkpoint::{Checkpoint, TaskCheckpoint};
use longhaul_engine::failure::{Failure, FailureKind};
use longhaul_engine::id::{Generation, SessionId, TaskId};
use longhaul_engine::resume_data::{ResumeData, ResumeDataError};
use longhaul_engine::safe_url::HttpUrl;
use longhaul_engine::schedule::Schedule;
use longhaul_engine::task::{Collision, Destination, DownloadSpec, Spec, Task, UploadSpec};
use longhaul_engine::time::Timestamp;
use longhaul_engine::upload::UploadCheckpoint;
use longhaul_persistence::{Change, Effect, Refusal, ResumeToken, Ticket};

use super::{NotStored, RegistryActor};
use crate::fault;
use crate::file::place::{ticket_path, upload_ticket_paths};
use crate::file::publish::{TargetCheck, check_directory, check_target};
use crate::file::ticket::{OpenTicket, check_part, check_source, remove, seal, seal_upload};
use crate::local::{RefusedStart, ResumeAs, ResumeOptions, Resuming};

/// A transfer that ends leaves what is on record to its owner. Refused unless it is of the generation
/// that was begun last, with the options of now. Answered when the ticket is on the device; the inner error says why there is
/// none.
#[derive(Debug, Message)]
#[rtype(result = "Result<Result<ResumeData, Failure>, NotStored>")]
pub(crate) struct Seal {
    pub(crate) session: SessionId,
    pub(crate) task: TaskId,
    pub(crate) generation: Generation,
}

impl Handler<Seal> for RegistryActor {
    type Result = Result<Result<ResumeData, Failure>, NotStored>;

    fn handle(&mut self, message: Seal, context: &mut Self::Context) -> Self::Result {
        fault::point("registry.seal");
        if !self.fences.lets_end(message.task, message.generation) {
            return Err(NotStored::Fenced);
        }
        let found = self.store.task(&message.session, message.task);
        let parts_dir = &self.world.parts_dir;
        let sealed = match self.read(found, context)? {
            Some((known, Some(progress))) => match (known.spec, progress) {
                (Spec::Download(spec), TaskCheckpoint::Download(progress)) => {
                    seal_download(message.task, spec, progress, parts_dir)
                }
                (Spec::Upload(spec), TaskCheckpoint::Upload(progress)) => {
                    seal_sending(message.task, spec, progress, parts_dir)
                }
                (Spec::Download(_), TaskCheckpoint::Upload(_))
                | (Spec::Upload(_), TaskCheckpoint::Download(_)) => Err(nothing_kept()),
            },
            Some((_, None)) | None => Err(nothing_kept()),
        };
        fault::point("registry.sealed");
        Ok(sealed)
    }
}

fn seal_download(
    task: TaskId,
    spec: DownloadSpec,
    progress: Checkpoint,
    parts_dir: &Path,
) -> Result<ResumeData, Failure> {
    let part = progress.part.as_ref().ok_or_else(nothing_kept)?;
    let path = ticket_path(&part.path, task, parts_dir);
    seal(&path, &Ticket::Download(spec, progress))
}

fn seal_sending(
    task: TaskId,
    spec: UploadSpec,
    progress: UploadCheckpoint,
    parts_dir: &Path,
) -> Result<ResumeData, Failure> {
    if progress.source.is_none() {
        return Err(nothing_kept());
    }
    let source = spec.source.clone();
    // The name of the first request is no name of the next one.
    let spec = UploadSpec {
        request_id: 0,
        is_adoptable: false,
        ..spec
    };
    let ticket = Ticket::Upload(spec, progress.for_successor());
    seal_upload((&source, task), parts_dir, &ticket)
}

fn nothing_kept() -> Failure {
    Failure::new(
        FailureKind::File,
        "nothing is on record to go on with; start the transfer anew",
    )
}

/// Makes a task that goes on with what another one left. Answered after the commit.
#[derive(Debug, Message)]
#[rtype(result = "Result<Result<Resumed, RefusedStart>, NotStored>")]
pub(crate) struct Resume {
    pub(crate) session: SessionId,
    pub(crate) asked: Resuming,
    pub(crate) created_at: Timestamp,
}

/// The task that was made of resume data.
#[derive(Debug)]
pub(crate) struct Resumed {
    pub(crate) task: TaskId,
    /// What it fetches, or where it sends its file.
    pub(crate) url: HttpUrl,
    /// Its file.
    pub(crate) file: PathBuf,
    /// When it runs.
    pub(crate) schedule: Schedule,
    /// It was made just now, and not by the same request before.
    pub(crate) is_new: bool,
}

impl Handler<Resume> for RegistryActor {
    type Result = Result<Result<Resumed, RefusedStart>, NotStored>;

    fn handle(&mut self, message: Resume, context: &mut Self::Context) -> Self::Result {
        fault::point("registry.resume");
        let asked = &message.asked;
        let token = match ResumeToken::decode(&asked.data) {
            Ok(token) => token,
            Err(error) => return Ok(Err(error.into())),
        };
        let holder = self.store.ticket_holder(token.ticket);
        match self.read(holder, context)? {
            Some((session, task)) if asked.is_repeated && session == message.session => {
                return self.resumed_before(&session, task, context);
            }
            Some(_) => return Ok(Err(ResumeDataError::Used.into())),
            None => {}
        }
        let (opened, mut spec, checkpoint) = match open(asked) {
            Ok(opened) => opened,
            Err(refused) => return Ok(Err(refused)),
        };
        fault::point("registry.ticket_opened");
        spec.options_mut().is_discretionary |= asked.is_discretionary;
        self.world.scheduling.take_background(spec.options_mut());
        let (url, file) = (spec.url().clone(), file_of(&spec));
        let schedule = Schedule::from(spec.options());
        let change = Change::Resume {
            session: message.session,
            spec: Box::new(spec),
            checkpoint: Box::new(checkpoint),
            ticket: opened.token().claim(),
            created_at: message.created_at,
        };
        let answer = self.commit_alone(change, context)?;
        fault::point("registry.resumed");
        Ok(match answer {
            Ok(Effect::Registered(task)) => {
                // The claim is committed; when this is not done, the task's transfer sees to it.
                opened.remove();
                fault::point("registry.ticket_removed");
                Ok(Resumed {
                    task,
                    url,
                    file,
                    schedule,
                    is_new: true,
                })
            }
            Ok(other) => return Err(NotStored::Failed(format!("{other:?} is no answer"))),
            Err(Refusal::TicketUsed) => Err(ResumeDataError::Used.into()),
            Err(Refusal::TargetInUse { session, task }) => {
                Err(RefusedStart::TargetInUse { session, task })
            }
            Err(Refusal::Invalidated(session)) => Err(RefusedStart::Invalidated(session)),
            Err(refusal) => Err(RefusedStart::Invalid(refusal.to_string())),
        })
    }
}

/// Opens the ticket, looks whether what it needs is there, and takes on what was asked anew.
fn open(asked: &Resuming) -> Result<(OpenTicket, Spec, TaskCheckpoint), RefusedStart> {
    let opened = OpenTicket::open(&asked.data)?;
    let (spec, progress) = match (opened.ticket(), asked.anew.clone()) {
        (
            Ticket::Download(spec, progress),
            ResumeAs::Download {
                destination,
                options,
            },
        ) => {
            check_part(progress)?;
            let spec = receiving(spec.clone(), destination, options)?;
            (spec.into(), progress.clone().into())
        }
        (Ticket::Upload(spec, progress), ResumeAs::Upload { notify_on_finished }) => {
            check_source(&spec.source, progress)?;
            let mut spec = spec.clone();
            if notify_on_finished.is_some() {
                spec.options.notify_on_finished = notify_on_finished;
            }
            (spec.into(), progress.clone().into())
        }
        (Ticket::Download(..), ResumeAs::Upload { .. }) => {
            return Err(ResumeDataError::OfADownload.into());
        }
        (Ticket::Upload(..), ResumeAs::Download { .. }) => {
            return Err(ResumeDataError::OfAnUpload.into());
        }
    };
    Ok((opened, spec, progress))
}

/// What is to be fetched, and where it goes now.
fn receiving(
    mut spec: DownloadSpec,
    destination: PathBuf,
    options: ResumeOptions,
) -> Result<DownloadSpec, RefusedStart> {
    let ResumeOptions {
        collision,
        notify_on_finished,
    } = options;
    spec.collision = collision.unwrap_or(spec.collision);
    if notify_on_finished.is_some() {
        spec.options.notify_on_finished = notify_on_finished;
    }
    let checked = check_target(&destination, spec.collision);
    match checked.and_then(|found| check_directory(&destination).map(|()| found)) {
        // To skip what exists is what was asked for, and no use of the bytes.
        Ok(TargetCheck::Taken) if spec.collision == Collision::Fail => {
            return Err(RefusedStart::Invalid(format!(
                "{destination:?} exists; remove it, or resume to another path"
            )));
        }
        Ok(TargetCheck::Taken | TargetCheck::Free) => {}
        Err(failure) => return Err(RefusedStart::Invalid(failure.to_string())),
    }
    spec.destination = Destination::File(destination);
    Ok(spec)
}

/// The file of a task: where a download goes, or what an upload sends.
fn file_of(spec: &Spec) -> PathBuf {
    match spec {
        Spec::Download(spec) => match &spec.destination {
            Destination::File(path) | Destination::Directory(path) => path.clone(),
        },
        Spec::Upload(spec) => spec.source.clone(),
    }
}

/// Removes the files that resume data stands for. Answered when they are gone.
#[derive(Debug, Message)]
#[rtype(result = "Result<Result<(), ResumeDataError>, NotStored>")]
pub(crate) struct DiscardResumeData(pub(crate) ResumeData);

impl Handler<DiscardResumeData> for RegistryActor {
    type Result = Result<Result<(), ResumeDataError>, NotStored>;

    fn handle(
        &mut self,
        DiscardResumeData(data): DiscardResumeData,
        context: &mut Self::Context,
    ) -> Self::Result {
        fault::point("registry.discard_resume_data");
        let token = match ResumeToken::decode(&data) {
            Ok(token) => token,
            Err(error) => return Ok(Err(error)),
        };
        let holder = self.store.ticket_holder(token.ticket);
        if self.read(holder, context)?.is_some() {
            return Ok(Err(ResumeDataError::Used));
        }
        Ok(match OpenTicket::open(&data) {
            Ok(opened) => opened
                .discard()
                .map_err(|failure| ResumeDataError::File(failure.to_string())),
            // It is done already.
            Err(ResumeDataError::Stale(_)) => Ok(()),
            Err(error) => Err(error),
        })
    }
}

impl RegistryActor {
    /// The task that an earlier request made, whose answer was lost.
    fn resumed_before(
        &self,
        session: &SessionId,
        task: TaskId,
        context: &mut Context<Self>,
    ) -> Result<Result<Resumed, RefusedStart>, NotStored> {
        let found = self.store.task(session, task);
        Ok(match self.read(found, context)? {
            Some((known, _)) => Ok(Resumed {
                task,
                url: known.spec.url().clone(),
                file: file_of(&known.spec),
                schedule: Schedule::from(known.spec.options()),
                is_new: false,
            }),
            None => Err(ResumeDataError::Used.into()),
        })
    }

    /// Removes what a crash left of tickets of no more use: the one that this task was made of, and one
    /// that it was about to leave before it went on after all.
    pub(super) fn remove_void_tickets(
        &self,
        known: &Task,
        checkpoint: &TaskCheckpoint,
        (session, context): (&SessionId, &mut Context<Self>),
    ) -> Result<(), NotStored> {
        let parts_dir = &self.world.parts_dir;
        let own = match (checkpoint, &known.spec) {
            (TaskCheckpoint::Download(Checkpoint { part, .. }), _) => {
                let beside = part
                    .iter()
                    .map(|it| ticket_path(&it.path, known.id, parts_dir));
                beside.collect()
            }
            (TaskCheckpoint::Upload(UploadCheckpoint { source: None, .. }), _)
            | (TaskCheckpoint::Upload(_), Spec::Download(_)) => Vec::new(),
            (TaskCheckpoint::Upload(_), Spec::Upload(spec)) => {
                let paths = upload_ticket_paths(&spec.source, known.id, parts_dir);
                paths.map_or_else(|_| Vec::new(), Vec::from)
            }
        };
        if own.is_empty() {
            return Ok(());
        }
        let spent = self.store.spent_ticket(session, known.id);
        let spent = self.read(spent, context)?;
        own.iter().chain(&spent).for_each(|path| remove(path));
        Ok(())
    }

    fn commit_alone(
        &mut self,
        change: Change,
        context: &mut Context<Self>,
    ) -> Result<Result<Effect, Refusal>, NotStored> {
        match self.store.commit(&[change]) {
            Ok(answers) => {
                let none = || NotStored::Failed("the store gave no answer".to_owned());
                answers.into_iter().next().ok_or_else(none)
            }
            Err(error) => {
                tracing::error!(%error, "a commit failed; the store is opened again");
                context.stop();
                Err(NotStored::Failed(error.to_string()))
            }
        }
    }
}
