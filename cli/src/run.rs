//! One run of `longhaul get`: start or go on, watch, and clean up.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use futures_util::future::join_all;
use longhaul::{
    Destination, DownloadRequest, DownloadTask, Engine, Error, Events, Outcome, Session,
    TaskSnapshot, TaskState,
};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use crate::exit::{Exit, Fault};
use crate::ledger::{Ledger, Note, RetryLimits, What};
use crate::plan::Plan;
use crate::report::{Label, Reporter, complain};
use crate::signals::{Signals, Stop};
use crate::state::RunDirectory;

/// The engine promises to have stopped by then; a user who asked for it waits no longer.
const STOP_MAX: Duration = Duration::from_secs(2);

/// When everything has ended there is time to close the store in good order.
const CLOSE_MAX: Duration = Duration::from_secs(30);

/// How often progress is told.
const TICK: Duration = Duration::from_secs(1);

/// Ticks without any event after which the session is asked how it stands: news may get lost.
const SILENT_TICKS_MAX: u32 = 30;

/// A run under way.
struct Run {
    engine: Engine,
    session: Session,
    events: Events,
    directory: RunDirectory,
    ledger: Ledger,
    /// The task of each download; `None` when it was refused.
    tasks: Vec<Option<DownloadTask>>,
    reporter: Reporter,
}

/// Why watching ended.
enum End {
    /// Every download has ended or was given up.
    Settled,
    /// The user wants it to stop.
    Signal(Stop),
    /// The engine stopped by itself.
    EngineStopped,
}

/// What identifies a download: the same in two runs of one command.
type Key = (String, bool, PathBuf);

/// Downloads what the plan says, or goes on with it.
///
/// # Errors
/// When the run as a whole can not be made; single failures are told and make the exit code.
pub(crate) async fn get(plan: Plan) -> Result<Exit, Fault> {
    let mut signals = Signals::catch()
        .map_err(|error| Fault::Other(format!("signals can not be caught: {error}")))?;
    let time_max = plan.retry.time_max;
    let mut run = Run::open(plan).await?;
    match run.watch(&mut signals, time_max).await? {
        End::Settled => run.conclude(&mut signals).await,
        End::Signal(stop) => Ok(run.stop(stop, &mut signals).await),
        End::EngineStopped => {
            run.engine.stopped().await?;
            Err(Error::Stopped { reason: None }.into())
        }
    }
}

impl Run {
    async fn open(plan: Plan) -> Result<Self, Fault> {
        let Plan {
            requests,
            configuration,
            directory,
            retry,
            output,
        } = plan;
        let path = directory.path();
        let was_there = path.is_dir();
        let engine = Engine::builder(&path).start().map_err(explain)?;
        let session = engine.session(configuration).await?;
        let known = if was_there {
            session.snapshot().await?
        } else {
            Vec::new()
        };
        let events = session.events().await?;
        let mut reporter = Reporter::new(output, requests.len());
        reporter.begin(requests.len(), &path);
        let (ledger, tasks) = start(&session, requests, known, retry, &mut reporter).await?;
        Ok(Self {
            engine,
            session,
            events,
            directory,
            ledger,
            tasks,
            reporter,
        })
    }

    async fn watch(
        &mut self,
        signals: &mut Signals,
        time_max: Option<Duration>,
    ) -> Result<End, Fault> {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let retry_time = sleep(time_max.unwrap_or_default());
        tokio::pin!(retry_time);
        let mut is_limited = time_max.is_some();
        let mut silent_ticks = 0;
        let mut notes = Vec::new();
        while !self.ledger.is_settled() {
            tokio::select! {
                biased;
                stop = signals.next() => return Ok(End::Signal(stop)),
                event = self.events.next() => {
                    let Some(event) = event else {
                        return Ok(End::EngineStopped);
                    };
                    silent_ticks = 0;
                    self.ledger.handle(event, &mut notes);
                }
                _ = ticks.tick() => {
                    self.reporter.tick();
                    silent_ticks += 1;
                    if silent_ticks >= SILENT_TICKS_MAX {
                        silent_ticks = 0;
                        self.ledger.reconcile(self.session.snapshot().await?, &mut notes);
                    }
                }
                () = &mut retry_time, if is_limited => {
                    is_limited = false;
                    self.ledger.end_retries(&mut notes);
                }
            }
            self.tell(&mut notes).await;
        }
        Ok(End::Settled)
    }

    /// Tells what happened, and lets the engine rest what was given up.
    async fn tell(&mut self, notes: &mut Vec<Note>) {
        for note in notes.drain(..) {
            let Some(task) = &self.tasks[note.item] else {
                continue;
            };
            if matches!(&note.what, What::Failed(problem) if problem.is_kept) {
                // It may have ended in this moment, which is as good.
                let _ = task.suspend().await;
            }
            self.reporter
                .note(note, Label::of(task), self.ledger.tally());
        }
    }

    /// Every download has ended or was given up: keeps the state when there is something to go on
    /// with, else leaves nothing behind.
    async fn conclude(mut self, signals: &mut Signals) -> Result<Exit, Fault> {
        let exit = self.ledger.exit();
        let mut keeps = false;
        if self.ledger.tally().failed > 0 {
            let snapshots = self.session.snapshot().await?;
            let is_open = |snapshot: &&TaskSnapshot| snapshot.state != TaskState::Completed;
            let may_go_on = |snapshot: &&TaskSnapshot| {
                is_open(snapshot) || snapshot.outcome.as_ref().is_some_and(keeps_bytes)
            };
            let holds_bytes = snapshots
                .iter()
                .filter(may_go_on)
                .any(|kept| kept.progress.received_bytes > 0);
            // A list whose finished files are known need not fetch them again.
            keeps = holds_bytes || self.ledger.tally().finished > 0;
            if !keeps {
                let open = snapshots
                    .iter()
                    .filter(is_open)
                    .map(|open| cancel(&open.task));
                let _ = timeout(STOP_MAX, join_all(open)).await;
            }
        }
        self.reporter.tick();
        self.reporter.end(self.ledger.tally(), exit, keeps);
        if !shut_down(&self.engine, CLOSE_MAX, signals).await {
            leave(exit);
        }
        if !keeps && let Err(error) = self.directory.remove() {
            let path = self.directory.path();
            complain(&format!("{} could not be removed: {error}", path.display()));
        }
        Ok(exit)
    }

    /// Records how far everything is and says how to go on.
    async fn stop(mut self, stop: Stop, signals: &mut Signals) -> Exit {
        let is_done = shut_down(&self.engine, STOP_MAX, signals).await;
        self.reporter.stopped(stop);
        if !is_done {
            leave(stop.exit());
        }
        stop.exit()
    }
}

/// Starts what is not finished yet: with the tasks of an earlier run where there are any.
async fn start(
    session: &Session,
    requests: Vec<DownloadRequest>,
    known: Vec<TaskSnapshot>,
    retry: RetryLimits,
    reporter: &mut Reporter,
) -> Result<(Ledger, Vec<Option<DownloadTask>>), Fault> {
    let mut ledger = Ledger::new(requests.len(), retry);
    let mut tasks = vec![None; requests.len()];
    // The newest task of each download: an older one has failed in an earlier run.
    let mut known: HashMap<Key, TaskSnapshot> = known
        .into_iter()
        .map(|snapshot| (key_of_task(&snapshot.task), snapshot))
        .collect();
    let (mut items, mut places, mut wanted) = (Vec::new(), Vec::new(), Vec::new());
    for (item, request) in requests.into_iter().enumerate() {
        let earlier = known.remove(&key(request.url().as_str(), request.destination()));
        let is_fetched = earlier.as_ref().is_some_and(|earlier| {
            matches!(
                earlier.outcome,
                Some(Outcome::Finished(_) | Outcome::Skipped(_))
            )
        });
        if let Some(TaskSnapshot {
            task,
            outcome: Some(outcome),
            ..
        }) = earlier
            && is_there(&outcome)
        {
            let note = ledger.end(item, outcome);
            note.into_iter()
                .for_each(|n| reporter.note(n, Label::of(&task), ledger.tally()));
            tasks[item] = Some(task);
            continue;
        }
        items.push(item);
        places.push((request.url().clone(), request.destination().clone()));
        // A task that has failed for good is made again and goes on with what the failed one held;
        // one whose file has gone since has nothing to go on with.
        wanted.push(request.adopt_existing(!is_fetched));
    }
    let results = session.start_downloads(wanted).await?;
    for ((item, (url, destination)), result) in items.into_iter().zip(places).zip(results) {
        let result = result.and_then(|task| match ledger.track(item, task.id()) {
            true => Ok(task),
            false => Err(Error::Store(format!("it gave task {} twice", task.id()))),
        });
        match result {
            Ok(task) => tasks[item] = Some(task),
            Err(error) => {
                let label = Label {
                    task: None,
                    url: &url,
                    destination: &destination,
                };
                let note = ledger.refuse(item, &error);
                note.into_iter()
                    .for_each(|note| reporter.note(note, label, ledger.tally()));
            }
        }
    }
    Ok((ledger, tasks))
}

fn key(url: &str, destination: &Destination) -> Key {
    match destination {
        Destination::File(path) => (url.to_owned(), true, path.clone()),
        Destination::Directory(path) => (url.to_owned(), false, path.clone()),
    }
}

fn key_of_task(task: &DownloadTask) -> Key {
    key(task.url().as_str(), task.destination())
}

/// Whether what an earlier run has fetched is still there.
fn is_there(outcome: &Outcome) -> bool {
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

/// Whether a task that ended so has left its bytes for the next one.
fn keeps_bytes(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Failed(failure) => !failure.kind().spoils_bytes(),
        Outcome::Finished(_)
        | Outcome::Uploaded(_)
        | Outcome::Skipped(_)
        | Outcome::Cancelled
        | Outcome::CancelledResumable(_) => false,
    }
}

/// Ends a task that holds nothing, so that it leaves no empty part file behind.
async fn cancel(task: &DownloadTask) -> Result<Outcome, Error> {
    task.cancel().await?;
    task.finished().await
}

/// Waits for the engine to record everything and to stop. False when another signal came, or it
/// took too long: then the process has to go at once, which costs no more than a kill.
async fn shut_down(engine: &Engine, wait_max: Duration, signals: &mut Signals) -> bool {
    tokio::select! {
        biased;
        () = engine.shutdown() => true,
        _ = signals.next() => false,
        () = sleep(wait_max) => false,
    }
}

#[expect(
    clippy::exit,
    reason = "threads that do not stop in time must not hold the process"
)]
fn leave(exit: Exit) -> ! {
    std::process::exit(i32::from(exit.code()))
}

/// The same command runs already: the library's words for it would be about a directory.
fn explain(error: Error) -> Fault {
    match error {
        Error::StateInUse { pid: Some(pid), .. } => Fault::Other(format!(
            "process {pid} downloads the same files to the same places already; \
             wait for it, or stop it and run this again"
        )),
        other => Fault::Library(other),
    }
}
