//! One run of `longhaul get`: start or go on, watch, and clean up.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::future::join_all;
use longhaul::{
    DownloadRequest, DownloadTask, Engine, Error, Events, Outcome, Session, TaskSnapshot, TaskState,
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

/// Downloads of a long list that are put on record together.
const START_AT_ONCE: usize = 1024;

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
        let mut reporter = Reporter::new(output, requests.len());
        reporter.begin(requests.len(), &path);
        // One step with the opening: what an earlier run left goes on with the options of this one.
        let at_opening = match was_there {
            true => requests.len(),
            false => requests.len().min(START_AT_ONCE),
        };
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
        let rest = start.requests.iter().enumerate().skip(at_opening);
        wanted.extend(rest.map(|(item, request)| (item, adopting(request))));
        start.begin(&session, &wanted, &mut reporter).await?;
        let Start { ledger, tasks, .. } = start;
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

/// The beginning of a run: which task is which download's, and which were fetched by an earlier run.
struct Start {
    requests: Vec<DownloadRequest>,
    ledger: Ledger,
    tasks: Vec<Option<DownloadTask>>,
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
    ) -> Vec<(usize, DownloadRequest)> {
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
                        reporter.note(note, Label::of(&task), self.ledger.tally());
                    }
                    self.tasks[item] = Some(task);
                }
                (Ok(_), Some(_)) => gone.push((item, self.requests[item].clone())),
                (result, _) => self.take(item, result, reporter),
            }
        }
        gone
    }

    /// Starts these downloads in groups, of which the first runs while the next is recorded.
    async fn begin(
        &mut self,
        session: &Session,
        wanted: &[(usize, DownloadRequest)],
        reporter: &mut Reporter,
    ) -> Result<(), Fault> {
        for group in wanted.chunks(START_AT_ONCE) {
            let requests = group.iter().map(|(_, request)| request.clone());
            let results = session.start_downloads(requests.collect()).await?;
            for ((item, _), result) in group.iter().zip(results) {
                self.take(*item, result, reporter);
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
            Ok(task) => self.tasks[item] = Some(task),
            Err(error) => {
                let request = &self.requests[item];
                let label = Label {
                    task: None,
                    url: request.url(),
                    destination: request.destination(),
                };
                if let Some(note) = self.ledger.refuse(item, &error) {
                    reporter.note(note, label, self.ledger.tally());
                }
            }
        }
    }
}

/// A request that goes on with the task of an earlier run, if there is one.
fn adopting(request: &DownloadRequest) -> DownloadRequest {
    request.clone().adopt_existing(true)
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
