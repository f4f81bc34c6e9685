//! The beginning of a run of `longhaul get`: what goes on, what is new, what is there already.

use std::collections::HashMap;

use longhaul::{DownloadRequest, DownloadTask, Error, Outcome, Session, TaskSnapshot};

use super::{Run, signals, start};
use crate::exit::{Exit, Fault};
use crate::ledger::{Ledger, RetryLimits};
use crate::plan::Plan;
use crate::report::{Label, Reporter};
use crate::transfer::{Kind, Place, Transfer};

/// Downloads of a long list that are put on record together, at most.
const START_AT_ONCE: usize = 1024;

/// Those that are put on record first, so that their requests go out while the next are recorded.
const START_FIRST: usize = 64;

/// Downloads what the plan says, or goes on with it.
///
/// # Errors
/// When the run as a whole can not be made; single failures are told and make the exit code.
pub(crate) async fn get(plan: Plan<Vec<DownloadRequest>>) -> Result<Exit, Fault> {
    let mut signals = signals()?;
    let time_max = plan.retry.time_max;
    open(plan).await?.finish(&mut signals, time_max).await
}

async fn open(plan: Plan<Vec<DownloadRequest>>) -> Result<Run, Fault> {
    let Plan {
        requests,
        configuration,
        directory,
        retry,
        output,
    } = plan;
    let was_there = directory.path().is_dir();
    let engine = start(&directory, Kind::Downloads)?;
    let mut reporter = Reporter::new(output, Kind::Downloads, requests.len());
    reporter.begin(&directory.path());
    // One step with the opening: what an earlier run left goes on with the options of this one.
    let at_opening = match was_there {
        true => requests.len(),
        false => requests.len().min(START_FIRST),
    };
    let adopting = |request: &DownloadRequest| request.clone().adopt_existing(true);
    let wanted = requests[..at_opening].iter().map(adopting).collect();
    let opened = engine.session_with(configuration, wanted).await?;
    let (session, events) = (opened.session, opened.events);
    let mut start = Start::new(requests, retry);
    let known = if was_there {
        session.snapshot().await?
    } else {
        Vec::new()
    };
    let mut wanted = start.sort(opened.tasks, known, &mut reporter);
    let later = at_opening..start.requests.len();
    wanted.extend(later.map(|item| Wanted { item, adopts: true }));
    start.begin(&session, &wanted, &mut reporter).await?;
    let Start { ledger, tasks, .. } = start;
    Ok(Run {
        engine,
        session,
        events,
        directory,
        kind: Kind::Downloads,
        ledger,
        tasks,
        reporter,
    })
}

/// The beginning of a run: which task is which download's, and which were fetched by an earlier run.
struct Start {
    requests: Vec<DownloadRequest>,
    ledger: Ledger,
    tasks: Vec<Option<Transfer>>,
}

/// A download that is started.
struct Wanted {
    item: usize,
    /// It goes on with the task of an earlier run, if there is one.
    adopts: bool,
}

impl Start {
    fn new(requests: Vec<DownloadRequest>, retry: RetryLimits) -> Self {
        Self {
            ledger: Ledger::new(requests.len(), retry),
            tasks: vec![None; requests.len()],
            requests,
        }
    }

    /// Sorts the tasks that the first requests have got. What an earlier run has fetched is told as
    /// finished; the answer is the downloads whose file has gone since: there is nothing to take over.
    fn sort(
        &mut self,
        results: Vec<Result<DownloadTask, Error>>,
        known: Vec<TaskSnapshot>,
        reporter: &mut Reporter,
    ) -> Vec<Wanted> {
        let fetched = |known: TaskSnapshot| match known.outcome {
            Some(outcome @ (Outcome::Finished(_) | Outcome::Skipped(_))) => {
                Some((known.task.id(), outcome))
            }
            Some(
                Outcome::Uploaded(_)
                | Outcome::Failed(_)
                | Outcome::Cancelled
                | Outcome::CancelledResumable(_),
            )
            | None => None,
        };
        let mut fetched: HashMap<_, _> = known.into_iter().filter_map(fetched).collect();
        let mut gone = Vec::new();
        for (item, result) in results.into_iter().enumerate() {
            let outcome = result.as_ref().ok().and_then(|it| fetched.remove(&it.id()));
            match (result, outcome) {
                (Ok(task), Some(outcome)) if is_there(&outcome) => {
                    if let Some(note) = self.ledger.end(item, outcome) {
                        let task = Transfer::Download(task);
                        reporter.note(note, Label::of(&task), self.ledger.tally());
                        self.tasks[item] = Some(task);
                    }
                }
                (Ok(_), Some(_)) => gone.push(Wanted {
                    item,
                    adopts: false,
                }),
                (result, _) => self.take(item, result, reporter),
            }
        }
        gone
    }

    /// Starts these downloads in groups, of which the first runs while the next is recorded.
    async fn begin(
        &mut self,
        session: &Session,
        wanted: &[Wanted],
        reporter: &mut Reporter,
    ) -> Result<(), Fault> {
        let (mut rest, mut size) = (wanted, START_FIRST);
        while !rest.is_empty() {
            size = (size * 2).min(START_AT_ONCE);
            let (group, later) = rest.split_at(size.min(rest.len()));
            rest = later;
            let requests = group.iter().map(|wanted| {
                let request = self.requests[wanted.item].clone();
                request.adopt_existing(wanted.adopts)
            });
            let results = session.start_downloads(requests.collect()).await?;
            for (wanted, result) in group.iter().zip(results) {
                self.take(wanted.item, result, reporter);
            }
        }
        Ok(())
    }

    /// Takes the task of a download that has not ended, or tells why there is none.
    fn take(&mut self, item: usize, result: Result<DownloadTask, Error>, reporter: &mut Reporter) {
        let result = result.and_then(|task| match self.ledger.track(item, task.id()) {
            true => Ok(task),
            false => Err(Error::Store(format!("it gave task {} twice", task.id()))),
        });
        match result {
            Ok(task) => self.tasks[item] = Some(Transfer::Download(task)),
            Err(error) => {
                let request = &self.requests[item];
                let label = Label {
                    task: None,
                    url: request.url(),
                    place: Place::Destination(request.destination()),
                };
                if let Some(note) = self.ledger.refuse(item, &error) {
                    reporter.note(note, label, self.ledger.tally());
                }
            }
        }
    }
}

/// Whether what an earlier run has fetched is still there.
pub(crate) fn is_there(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Finished(finished) => finished
            .path
            .symlink_metadata()
            .is_ok_and(|file| file.len() == finished.bytes),
        Outcome::Skipped(path) => path.symlink_metadata().is_ok(),
        Outcome::Uploaded(_)
        | Outcome::Failed(_)
        | Outcome::Cancelled
        | Outcome::CancelledResumable(_) => false,
    }
}
