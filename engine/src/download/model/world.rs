//! The world of one seed: one step at a time, whatever can happen next happens in any order.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::dice::Dice;
use super::disk::Disk;
use super::life::Life;
use super::scene::{Scene, Troubles};
use super::server::Server;
use super::summary::{Summary, brief};
use crate::checkpoint::Checkpoint;
use crate::download::{Action, Download, Exit, Input, Start};
use crate::lifecycle::{Command, Event, State, step};
use crate::session::SessionRules;
use crate::task::{Desired, DownloadSpec, Outcome};
use crate::time::Timestamp;

/// Steps within which an honest world must have ended the task.
const HONEST_STEPS_MAX: u64 = 5000;

/// Events that a failing run shows.
const TRACE_LINES: usize = 60;

/// What is on record.
#[derive(Debug, Default)]
pub(super) struct Store {
    pub(super) checkpoint: Option<Checkpoint>,
    pub(super) desired: Desired,
    pub(super) outcome: Option<Outcome>,
    /// What lies sealed beside the part file, once it does.
    pub(super) ticket: Option<Checkpoint>,
}

#[derive(Debug)]
pub(super) struct World {
    pub(super) dice: Dice,
    pub(super) now: Timestamp,
    pub(super) created_at: Timestamp,
    pub(super) boot: u8,
    pub(super) is_honest: bool,
    pub(super) spec: DownloadSpec,
    pub(super) rules: Arc<SessionRules>,
    pub(super) disk: Disk,
    pub(super) server: Server,
    pub(super) troubles: Troubles,
    pub(super) store: Store,
    pub(super) state: State,
    pub(super) life: Option<Life>,
    pub(super) summary: Summary,
    /// The owner has refused to be asked, or to authenticate in some way.
    pub(super) was_refused: bool,
    /// Restarts on record when the world became honest.
    pub(super) restarts_before: u32,
    /// Every byte of some version was on record by then.
    pub(super) was_complete_before: bool,
    /// The power was cut while a file that nobody was told of had its final name.
    pub(super) is_damaged: bool,
    /// A process ended without a last record: what it had made since its last one is an orphan.
    pub(super) has_forgotten: bool,
    /// The power was cut after the end: a removal may be undone, and `Durability::Process` does not
    /// promise to keep what was announced.
    pub(super) was_cut_after_end: bool,
    /// The owner asked for the same again with other expectations.
    pub(super) has_other_wishes: bool,
    steps: u64,
    pace_ms: u64,
    trace: Option<VecDeque<String>>,
}

/// Something that can happen next.
#[derive(Clone, Copy, Debug)]
enum Turn {
    Answer(usize),
    Pump(usize),
    Job(usize),
    Reply(usize),
    Tick,
    Wake,
    Place,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let scene = Scene::new(&mut dice);
        let now = Timestamp::from_unix_ms(1_800_000_000_000);
        let mut world = Self {
            dice,
            now,
            created_at: now,
            boot: 1,
            is_honest: false,
            spec: scene.spec,
            rules: Arc::new(scene.rules),
            disk: Disk::default(),
            server: scene.server,
            troubles: scene.troubles,
            store: Store::default(),
            state: State::Queued,
            life: None,
            summary: Summary::default(),
            was_refused: false,
            restarts_before: 0,
            was_complete_before: false,
            is_damaged: false,
            has_forgotten: false,
            was_cut_after_end: false,
            has_other_wishes: false,
            steps: scene.steps,
            pace_ms: scene.pace_ms,
            trace: None,
        };
        if scene.is_taken {
            world.stranger();
        }
        world
    }

    pub(super) fn keep_trace(&mut self) {
        let scene = format!(
            "{:?} {:?} {:?}",
            self.spec, self.rules.durability, self.server
        );
        self.trace = Some(VecDeque::from([scene]));
    }

    pub(super) fn trace(&self) -> String {
        let lines: Vec<&str> = self.trace.iter().flatten().map(String::as_str).collect();
        lines.join("\n")
    }

    pub(super) fn note(&mut self, text: impl FnOnce() -> String) {
        let now = self.now.as_unix_ms() % 1_000_000_000;
        if let Some(trace) = &mut self.trace {
            if trace.len() > TRACE_LINES {
                // The first line says what the run is about.
                trace.remove(1);
            }
            trace.push_back(format!("{now} {}", text()));
        }
    }

    pub(super) fn run(&mut self) -> Summary {
        for _ in 0..self.steps {
            if self.state == State::Ended && !self.go_on_with_resume_data() {
                break;
            }
            self.trouble();
            self.turn();
        }
        if self.state != State::Ended || self.go_on_with_resume_data() {
            self.become_honest();
            for count in 0.. {
                assert!(
                    count < HONEST_STEPS_MAX,
                    "no end in {HONEST_STEPS_MAX} honest steps"
                );
                if self.state == State::Ended && !self.go_on_with_resume_data() {
                    break;
                }
                self.turn();
            }
        }
        self.check_end();
        std::mem::take(&mut self.summary)
    }

    pub(super) fn want(&mut self, desired: Desired) {
        let is_cancelled = matches!(
            self.store.desired,
            Desired::Cancelled | Desired::CancelledResumable
        );
        if is_cancelled || self.store.outcome.is_some() {
            return;
        }
        self.note(|| format!("the owner wants {desired:?}"));
        self.store.desired = desired;
        if desired == Desired::Running {
            self.store.ask_again();
            if let Some(life) = &mut self.life {
                life.is_outdated = true;
            }
        }
        self.event(Event::Want(desired));
    }

    pub(super) fn event(&mut self, event: Event) {
        let (next, command) = step(self.state, event);
        self.state = next;
        match command {
            Command::None | Command::Enqueue | Command::Dequeue | Command::WakeAt(_) => {}
            Command::DequeueAndDiscard | Command::Discard => self.launch(self.store.desired),
            Command::Launch => self.launch(Desired::Running),
            Command::Tell(desired) => self.feed(Input::Want(desired)),
            Command::CloseAsCrashed => panic!("nobody spends a budget here"),
        }
    }

    pub(super) fn launch(&mut self, desired: Desired) {
        assert!(self.life.is_none(), "two lives for one task");
        let start = Start {
            spec: self.spec.clone(),
            rules: Arc::clone(&self.rules),
            created_at: self.created_at,
            checkpoint: self.store.checkpoint.clone(),
            desired,
            seed: self.dice.below(u64::MAX),
        };
        self.note(|| {
            let from = start
                .checkpoint
                .as_ref()
                .map_or_else(|| "nothing".to_owned(), brief);
            format!("LAUNCH {desired:?} from {from}")
        });
        self.life = Some(Life::new(Download::new(start, self.now)));
        self.drain();
    }

    /// One thing that can happen next happens.
    fn turn(&mut self) {
        if self.dice.percent(30) {
            self.now = self
                .now
                .after(Duration::from_millis(self.dice.below(self.pace_ms)));
        }
        let turns = self.turns();
        if turns.is_empty() {
            return self.wait();
        }
        match self.dice.pick(&turns) {
            Turn::Answer(index) => self.answer(index),
            Turn::Pump(index) => self.pump(index),
            Turn::Job(index) => self.job(index),
            Turn::Reply(index) => {
                let life = self.life.as_mut().expect("replies belong to a life");
                let reply = life.replies.remove(index);
                self.feed(reply);
            }
            Turn::Tick => self.tick(),
            Turn::Wake => self.event(Event::TimerDue),
            Turn::Place => self.event(Event::PlaceFree),
        }
        self.check_names();
    }

    fn turns(&self) -> Vec<Turn> {
        let mut turns = Vec::new();
        match self.state {
            State::Queued => turns.push(Turn::Place),
            State::Waiting(at) if at <= self.now => turns.push(Turn::Wake),
            State::Running
            | State::Stopping
            | State::Cancelling
            | State::Waiting(_)
            | State::Held(_)
            | State::AwaitingBegin
            | State::AwaitingAuthorization
            | State::Suspended
            | State::Ended => {}
        }
        if let Some(life) = &self.life {
            turns.extend((0..life.asking.len()).map(Turn::Answer));
            turns.extend((0..life.pumps.len()).map(Turn::Pump));
            turns.extend((0..life.jobs.len()).map(Turn::Job));
            turns.extend((0..life.replies.len()).map(Turn::Reply));
            if life.machine.poll_timeout().is_some_and(|at| at <= self.now) {
                turns.push(Turn::Tick);
            }
        }
        turns
    }

    /// Nothing can happen before the clock or the owner moves.
    fn wait(&mut self) {
        let timeout = self
            .life
            .as_ref()
            .and_then(|life| life.machine.poll_timeout());
        match (self.state, timeout) {
            (State::Waiting(at), _) => self.now = self.now.max(at),
            (State::AwaitingAuthorization, _) => self.answer_challenge(),
            (State::Running, Some(at)) => {
                assert!(
                    at < self.created_at.after(self.rules.timeout_for_resource),
                    "the machine waits for nothing but its deadline"
                );
                self.now = self.now.max(at);
            }
            (State::Running | State::Stopping | State::Cancelling, _) => {
                panic!("the machine waits for nothing: {:?}", self.life);
            }
            (State::Held(_) | State::AwaitingBegin, _) => {
                panic!("no task here asks for a time or a condition")
            }
            (State::Queued | State::Suspended | State::Ended, _) => {}
        }
    }

    fn tick(&mut self) {
        self.feed(Input::Tick);
        let life = self.life.as_ref();
        let next = life.and_then(|life| life.machine.poll_timeout());
        assert!(
            next.is_none_or(|at| at > self.now),
            "a tick changed nothing: the caller spins"
        );
    }

    pub(super) fn feed(&mut self, input: Input) {
        self.note(|| format!("<- {input:?}"));
        let now = self.now;
        let Some(life) = &mut self.life else { return };
        life.machine.handle(now, input);
        self.drain();
    }

    /// Performs what the machine orders.
    fn drain(&mut self) {
        while let Some(action) = self.life.as_mut().and_then(|life| life.machine.poll()) {
            self.note(|| match &action {
                Action::Record(checkpoint) => format!("  -> Record {}", brief(checkpoint)),
                Action::Recover(checkpoint) => format!("  -> Recover {}", brief(checkpoint)),
                other => format!("  -> {other:?}"),
            });
            self.perform(action);
        }
        let Some(exit) = self.life.as_mut().and_then(|life| life.exit.take()) else {
            return;
        };
        let is_outdated = self.life.as_ref().is_some_and(|life| life.is_outdated);
        self.life = None;
        self.has_forgotten |= exit == Exit::Fenced;
        self.event(match exit {
            Exit::Stopped => Event::ChildStopped,
            Exit::Retry { at, .. } => Event::ChildRetries(at),
            Exit::NeedsAuthorization if is_outdated => Event::ChildStopped,
            Exit::NeedsAuthorization => Event::ChildNeedsAuthorization,
            Exit::Ended(_) => Event::ChildEnded,
            Exit::Fenced => Event::ChildCrashed,
        });
    }
}
