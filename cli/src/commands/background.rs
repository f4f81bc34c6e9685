//! `get -b` and `put -b`: transfers for the daemon, which has them when this answers.

use std::collections::HashMap;

use longhaul::{
    DownloadRequest, DownloadTask, Engine, Error, Outcome, Session, TaskId, TaskSnapshot,
    UploadRequest, UploadTask,
};

use super::{reach_or_start, session_for};
use crate::address::TaskName;
use crate::exit::{Exit, Fault, exit_of};
use crate::facts::end_of;
use crate::plan::Handover;
use crate::report::entry::Entry;
use crate::report::{Label, Out, complain};
use crate::run::{is_there, is_to_be_told};
use crate::transfer::{Place, Transfer};

/// Transfers of a long list that are put on record together.
const START_AT_ONCE: usize = 1024;

/// Hands downloads to the daemon.
///
/// # Errors
/// When none of them can be handed over; what is wrong with one of them is told and makes the exit code.
pub(crate) async fn download(handover: Handover<DownloadRequest>) -> Result<Exit, Fault> {
    let (engine, session, requests, mut told) = open(handover).await?;
    let ends = ends(&session, requests.len()).await?;
    for group in requests.chunks(START_AT_ONCE) {
        let results = session.start_downloads(group.to_vec()).await?;
        for (request, result) in group.iter().zip(results) {
            let result = match result {
                Ok(task) => fresh(&session, request, task, ends.as_ref()).await,
                Err(error) => Err(error),
            };
            let place = Place::Destination(request.destination());
            let label = Label {
                task: None,
                url: request.url(),
                place,
            };
            told.tell(&session, label, result.map(Transfer::Download));
        }
    }
    engine.shutdown().await;
    Ok(told.exit)
}

/// Hands uploads to the daemon.
///
/// # Errors
/// As [`download`].
pub(crate) async fn upload(handover: Handover<UploadRequest>) -> Result<Exit, Fault> {
    let (engine, session, requests, mut told) = open(handover).await?;
    let results = session.start_uploads(requests.clone()).await?;
    for (request, result) in requests.iter().zip(results) {
        let result = match result {
            Ok(task) => unsent(&session, request, task).await,
            Err(error) => Err(error),
        };
        let label = Label {
            task: None,
            url: request.url(),
            place: Place::Source(request.source()),
        };
        told.tell(&session, label, result.map(Transfer::Upload));
    }
    engine.shutdown().await;
    Ok(told.exit)
}

/// How the downloads that are there have ended. They are asked for together; `None` when there is only one
/// to ask about, which is then asked for alone.
async fn ends(
    session: &Session,
    requests: usize,
) -> Result<Option<HashMap<TaskId, Outcome>>, Error> {
    if requests == 1 {
        return Ok(None);
    }
    let end = |it: TaskSnapshot| Some((it.task.id(), it.outcome?));
    let ends = session.snapshot().await?.into_iter().filter_map(end);
    Ok(Some(ends.collect()))
}

/// The task of a request: one that has fetched the file before is the answer while the file is there.
async fn fresh(
    session: &Session,
    request: &DownloadRequest,
    task: DownloadTask,
    ends: Option<&HashMap<TaskId, Outcome>>,
) -> Result<DownloadTask, Error> {
    let end = match ends {
        Some(ends) => ends.get(&task.id()).cloned(),
        None => task.snapshot().await?.outcome,
    };
    match end {
        Some(outcome) if !is_there(&outcome) => {
            let anew = request.clone().adopt_existing(false);
            session.start_download(anew).await
        }
        Some(_) | None => Ok(task),
    }
}

/// The task of a request: one that has ended is the answer while its end is to be told of this file.
async fn unsent(
    session: &Session,
    request: &UploadRequest,
    task: UploadTask,
) -> Result<UploadTask, Error> {
    if task.snapshot().await?.outcome.is_none() {
        return Ok(task);
    }
    let mut events = session.events().await?;
    match end_of(&task, &mut events).await? {
        Some(end) if is_to_be_told(&end.fact, request.source()) => Ok(task),
        Some(_) | None => {
            session
                .start_upload(request.clone().supersede_ended())
                .await
        }
    }
}

async fn open<R>(handover: Handover<R>) -> Result<(Engine, Session, Vec<R>, Told), Fault> {
    let Handover {
        requests,
        configuration,
        of_session,
        reach,
        is_quiet,
    } = handover;
    let engine = reach_or_start(&reach).await?;
    let session = session_for(&engine, configuration, &of_session).await?;
    let told = Told {
        out: Out::default(),
        is_json: reach.json,
        is_quiet,
        exit: Exit::OK,
    };
    Ok((engine, session, requests, told))
}

/// What was told so far.
struct Told {
    out: Out,
    is_json: bool,
    is_quiet: bool,
    /// The code of the first that was refused.
    exit: Exit,
}

impl Told {
    fn tell(&mut self, session: &Session, label: Label<'_>, result: Result<Transfer, Error>) {
        let task = match result {
            Ok(task) => task,
            Err(error) => {
                complain(&format!("{}: {error}", label.url));
                if self.exit == Exit::OK {
                    self.exit = exit_of(&error);
                }
                return;
            }
        };
        let name = TaskName::new(session.identifier(), task.id());
        if self.is_json {
            self.out.json(&Entry::handed_over(&name, label));
        } else if !self.is_quiet {
            self.out.line(name.to_string().as_bytes());
        }
    }
}
