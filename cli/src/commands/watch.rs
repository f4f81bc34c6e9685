//! `longhaul watch`: a live look at tasks until they have ended.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, IsTerminal as _};
use std::time::Duration;

use futures_util::stream::{self, BoxStream, SelectAll, StreamExt as _};
use longhaul::{
    Engine, Error, Event, Events, Fact, NumberedFact, Outcome, Phase, Progress, TaskId,
};
use tokio::time::{MissedTickBehavior, interval};

use super::told::{self, Worst};
use super::{look, lost, reach};
use crate::address::TaskName;
use crate::args::WatchArgs;
use crate::exit::{Exit, Fault};
use crate::report::entry::{Ending, Entry, TaskEntry};
use crate::report::{Bars, Label, Out, complain};
use crate::transfer::{Standing, Transfer};
use crate::words;

/// How often time shows.
const TICK: Duration = Duration::from_secs(1);

/// Watches tasks until all have ended.
///
/// # Errors
/// When there is no daemon, or no such task.
pub(crate) async fn watch(args: WatchArgs) -> Result<Exit, Fault> {
    let engine = reach(&args.reach).await?;
    let mut watch = Watch::new(args.reach.json);
    let mut heard = match args.tasks.is_empty() {
        true => watch.open_live(&engine).await?,
        false => watch.open(&engine, args.tasks).await?,
    };
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut gone = std::pin::pin!(lost(&engine));
    while watch.is_open() {
        tokio::select! {
            biased;
            Some((session, event)) = heard.next() => match event {
                Some(event) => watch.handle(&session, &event),
                None => watch.lost(&session).await?,
            },
            fault = &mut gone => return Err(fault),
            _ = ticks.tick() => watch.tick(),
        }
    }
    engine.shutdown().await;
    Ok(watch.worst.0)
}

/// What is heard of several sessions; `None` when one of them tells nothing more.
type Heard = SelectAll<BoxStream<'static, (String, Option<Event>)>>;

/// What a session tells, and that it tells nothing more.
fn told_by(identifier: &str, events: Events) -> BoxStream<'static, (String, Option<Event>)> {
    let (of_event, of_end) = (identifier.to_owned(), identifier.to_owned());
    let events = events.map(move |event| (of_event.clone(), Some(event)));
    let end = stream::once(std::future::ready((of_end, None)));
    events.chain(end).boxed()
}

/// Tasks under watch.
struct Watch {
    rows: BTreeMap<TaskName, Row>,
    shown: Shown,
    worst: Worst,
}

/// A task that has not ended.
struct Row {
    task: Transfer,
    phase: Phase,
    progress: Progress,
}

/// How it is shown.
enum Shown {
    /// One object a line on stdout.
    Json(Out),
    /// A line for each change on stdout.
    Lines(Out),
    /// Bars on stderr, ends on stdout.
    Bars(Out, Bars<TaskName>),
}

impl Watch {
    fn new(is_json: bool) -> Self {
        let out = Out::default();
        let shown = match (is_json, io::stderr().is_terminal()) {
            (true, _) => Shown::Json(out),
            (false, true) => Shown::Bars(out, Bars::new()),
            (false, false) => Shown::Lines(out),
        };
        Self {
            rows: BTreeMap::new(),
            shown,
            worst: Worst::NONE,
        }
    }

    /// Listens, and then looks at these tasks: what happens between is heard.
    async fn open(&mut self, engine: &Engine, names: Vec<TaskName>) -> Result<Heard, Fault> {
        let sessions: BTreeSet<&str> = names.iter().map(|name| name.session.as_str()).collect();
        let mut heard = Heard::new();
        for identifier in sessions {
            let session = engine.observe(identifier).await?;
            heard.push(told_by(identifier, session.events().await?));
        }
        for name in names {
            let (_, standing) = look(engine, &name).await?;
            self.begin(name, standing);
        }
        Ok(heard)
    }

    /// Listens, and then looks at every task that has not ended: all of a session at once.
    async fn open_live(&mut self, engine: &Engine) -> Result<Heard, Fault> {
        let mut heard = Heard::new();
        for summary in engine.sessions().await? {
            if summary.live_tasks == 0 {
                continue;
            }
            let identifier = &summary.identifier;
            let session = engine.observe(identifier).await?;
            heard.push(told_by(identifier, session.events().await?));
            let standings = Standing::all(&session).await?;
            for standing in standings.into_iter().filter(|it| it.outcome.is_none()) {
                self.begin(TaskName::new(identifier, standing.task.id()), standing);
            }
        }
        Ok(heard)
    }

    fn begin(&mut self, name: TaskName, standing: Standing) {
        if let Shown::Json(out) = &mut self.shown {
            out.json(&Entry::Task(TaskEntry::new(&name, &standing)));
        }
        let row = Row {
            task: standing.task,
            phase: standing.phase,
            progress: standing.progress,
        };
        if let Some(outcome) = &standing.outcome {
            self.rows.insert(name.clone(), row);
            return self.end(&name, outcome);
        }
        if let Shown::Lines(out) = &mut self.shown {
            out.line(format!("{name}: {}", told::doing(&row.phase)).as_bytes());
        }
        self.rows.insert(name.clone(), row);
        self.draw(&name);
    }

    /// Whether one of the tasks has not ended, and somebody reads what is told of it.
    fn is_open(&self) -> bool {
        let out = match &self.shown {
            Shown::Json(out) | Shown::Lines(out) => out,
            Shown::Bars(..) => return !self.rows.is_empty(),
        };
        !self.rows.is_empty() && !out.is_closed()
    }

    fn handle(&mut self, session: &str, event: &Event) {
        let Some(name) = event
            .task()
            .map(|task: TaskId| TaskName::new(session, task))
        else {
            return;
        };
        let Some(row) = self.rows.get_mut(&name) else {
            return;
        };
        match event {
            Event::Fact(NumberedFact {
                fact: Fact::Completed { outcome, .. },
                ..
            }) => return self.end(&name, outcome),
            Event::Progress { progress, .. } => row.progress = *progress,
            Event::PhaseChanged { phase, .. } => row.phase = phase.clone(),
            // News of other kinds change nothing that is drawn.
            _ => {}
        }
        let kind = row.task.place().kind();
        match &mut self.shown {
            Shown::Json(out) => {
                if let Some(entry) = told::entry(session, kind, event) {
                    out.json(&entry);
                }
            }
            Shown::Lines(out) => {
                if let Event::PhaseChanged { phase, .. } = event {
                    out.line(format!("{name}: {}", told::doing(phase)).as_bytes());
                }
            }
            Shown::Bars(..) => self.draw(&name),
        }
    }

    fn end(&mut self, name: &TaskName, outcome: &Outcome) {
        self.worst.add(outcome);
        self.rows.remove(name);
        let line = format!("{name}: {}", told::ended(outcome));
        match &mut self.shown {
            Shown::Json(out) => out.json(&Entry::Ended {
                about: name.into(),
                sequence: None,
                end: Ending::new(outcome),
            }),
            Shown::Lines(out) => out.line(line.as_bytes()),
            Shown::Bars(out, bars) => {
                bars.end(name);
                bars.hidden_while(|| out.line(line.as_bytes()));
            }
        }
    }

    fn draw(&mut self, name: &TaskName) {
        let (Shown::Bars(_, bars), Some(row)) = (&mut self.shown, self.rows.get(name)) else {
            return;
        };
        // Those that wait for their turn would push the others off the screen.
        if matches!(row.phase, Phase::Queued(_)) {
            return bars.end(name);
        }
        let doing = match row.phase {
            Phase::Transferring => None,
            _ => Some(words::doing(&row.phase, None)),
        };
        bars.show(name, Label::of(&row.task), &row.progress, doing);
    }

    fn tick(&self) {
        if let Shown::Bars(_, bars) = &self.shown {
            bars.tick();
        }
    }

    /// A session tells nothing more. Its tasks have ended, unless the daemon is gone.
    async fn lost(&mut self, session: &str) -> Result<(), Fault> {
        let rows = self.rows.iter().filter(|(name, _)| name.session == session);
        let open: Vec<(TaskName, Transfer)> = rows
            .map(|(name, row)| (name.clone(), row.task.clone()))
            .collect();
        for (name, task) in open {
            match task.standing().await.map(|standing| standing.outcome) {
                Ok(Some(outcome)) => self.end(&name, &outcome),
                Ok(None) => return Err(Error::Stopped { reason: None }.into()),
                Err(Error::NoSuchTask(_) | Error::Invalidated { .. }) => {
                    self.rows.remove(&name);
                    complain(&format!(
                        "task {name} has ended, and its owner has acknowledged how"
                    ));
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}
