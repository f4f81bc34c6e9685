//! One run of a command: start or go on, watch, and clean up.

use std::time::Duration;

use futures_util::future::{FutureExt as _, join_all};
use longhaul::{Engine, Error, Events, Session};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use crate::again::Again;
use crate::exit::{Exit, Fault};
use crate::ledger::{Ledger, Note, What};
use crate::report::{Label, Reporter, complain};
use crate::signals::{Signals, Stop};
use crate::state::RunDirectory;
use crate::transfer::{Kind, Standing, Transfer};

mod get;
mod put;

pub(crate) use get::{get, is_there};
pub(crate) use put::{is_to_be_told, put};

/// The engine promises to have stopped by then; a user who asked for it waits no longer.
const STOP_MAX: Duration = Duration::from_secs(2);

/// When everything has ended there is time to close the store in good order.
const CLOSE_MAX: Duration = Duration::from_secs(30);

/// How often progress is told.
const TICK: Duration = Duration::from_secs(1);

/// Ticks without any event after which the session is asked how it stands: news may get lost.
const SILENT_TICKS_MAX: u32 = 30;

/// Events that are told together: few enough that a signal is heard in between.
const EVENTS_TOGETHER_MAX: usize = 64;

/// A run under way.
struct Run {
    engine: Engine,
    session: Session,
    events: Events,
    directory: RunDirectory,
    kind: Kind,
    ledger: Ledger,
    /// The task of each transfer; `None` when it was refused.
    tasks: Vec<Option<Transfer>>,
    reporter: Reporter,
}

/// Why watching ended.
enum End {
    /// Every transfer has ended or was given up.
    Settled,
    /// The user wants it to stop.
    Signal(Stop),
    /// The engine stopped by itself.
    EngineStopped,
}

impl Run {
    /// Watches the run until it is over or stopped.
    ///
    /// # Errors
    /// When the run as a whole fails; single failures are told and make the exit code.
    async fn finish(
        mut self,
        signals: &mut Signals,
        time_max: Option<Duration>,
    ) -> Result<Exit, Fault> {
        match self.watch(signals, time_max).await? {
            End::Settled => self.conclude(signals).await,
            End::Signal(stop) => Ok(self.stop(stop, signals).await),
            End::EngineStopped => {
                self.engine.stopped().await?;
                Err(Error::Stopped { reason: None }.into())
            }
        }
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
                    // What is there already, of files that were done together, is told together.
                    let more = || self.events.next().now_or_never().flatten();
                    for event in std::iter::from_fn(more).take(EVENTS_TOGETHER_MAX) {
                        self.ledger.handle(event, &mut notes);
                    }
                }
                _ = ticks.tick() => {
                    self.reporter.tick();
                    silent_ticks += 1;
                    if silent_ticks >= SILENT_TICKS_MAX {
                        silent_ticks = 0;
                        let standings = self.kind.standings(&self.session).await?;
                        self.ledger.reconcile(standings, &mut notes);
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
        self.reporter.hold();
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
        self.reporter.release();
    }

    /// Every transfer has ended or was given up: keeps the state when there is something to go on
    /// with, else leaves nothing behind.
    async fn conclude(mut self, signals: &mut Signals) -> Result<Exit, Fault> {
        let exit = self.ledger.exit();
        let mut keeps = false;
        if self.ledger.tally().failed > 0 {
            let standings = self.kind.standings(&self.session).await?;
            let holds_bytes = standings
                .iter()
                .filter(|it| it.may_go_on())
                .any(|it| it.kept_bytes > 0 || self.ledger.has_place(it.task.id()));
            // A list whose finished files are known need not fetch them again.
            keeps = holds_bytes || self.ledger.tally().finished > 0;
            if !keeps {
                let is_open = |it: &&Standing| it.outcome.is_none();
                let open = standings.iter().filter(is_open).map(|it| it.task.cancel());
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
pub(crate) fn leave(exit: Exit) -> ! {
    std::process::exit(i32::from(exit.code()))
}

/// The signals, which from now on no longer end the process by themselves.
fn signals() -> Result<Signals, Fault> {
    Signals::catch().map_err(|error| Fault::Other(format!("signals can not be caught: {error}")))
}

/// The engine over a run's directory.
fn start(directory: &RunDirectory, kind: Kind) -> Result<Engine, Fault> {
    let started = Engine::builder(directory.path()).start();
    let engine = started.map_err(|error| explain(error, kind))?;
    if let Some(again) = Again::of(std::env::args_os()) {
        directory.remember(&again);
    }
    Ok(engine)
}

/// The same command runs already: the library's words for it would be about a directory.
fn explain(error: Error, kind: Kind) -> Fault {
    let does = match kind {
        Kind::Downloads => "downloads the same files to the same places",
        Kind::Uploads => "uploads the same file to the same place",
    };
    match error {
        Error::StateInUse { pid: Some(pid), .. } => Fault::Other(format!(
            "process {pid} {does} already; wait for it, or stop it and run this again"
        )),
        other => Fault::Library(other),
    }
}
