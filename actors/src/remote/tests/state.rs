//! What a played daemon knows, and how it does what it is asked.

use std::collections::{BTreeMap, HashMap};
use std::os::unix::net::UnixStream;

use longhaul_engine::conditions::Conditions;
use longhaul_engine::control::{
    ClientEvent, OpenSession, Problem, SessionDocument, StartDocument, StartTasks, TaskDocument,
    WaitForEnd,
};
use longhaul_engine::event::{Fact, NumberedFact};
use longhaul_engine::id::{Sequence, SessionId, TaskId};
use longhaul_engine::session::SessionState;
use longhaul_engine::task::{Outcome, Phase, Progress, Spec, TaskState};
use serde::Serialize;

use super::http::Asked;

/// All that there is to know of it.
#[derive(Default)]
pub(super) struct State {
    // What it has committed.
    pub(super) tasks: BTreeMap<TaskId, (Spec, Option<Outcome>)>,
    pub(super) facts: Vec<NumberedFact>,
    pub(super) acknowledged: u64,
    // What ends with it.
    pub(super) life: u64,
    pub(super) is_up: bool,
    pub(super) connections: Vec<UnixStream>,
    pub(super) clients: BTreeMap<String, Vec<ClientEvent>>,
    pub(super) clients_ever: u64,
    /// Who has the session: a client of ours, or some other process.
    pub(super) owner: Option<String>,
    pub(super) waits: Vec<(String, WaitForEnd)>,
    pub(super) delegate: bool,
    pub(super) listening: bool,
    // What it is told to do.
    pub(super) api: u32,
    /// Calls of this name that are done, but whose answer is lost with the connection.
    pub(super) loses: Vec<&'static str>,
    /// Calls of this name go no further for as long as they are here.
    pub(super) holds: Vec<(&'static str, Held)>,
    /// Calls of this name that are refused once.
    pub(super) refuses: Vec<(&'static str, Problem)>,
    /// The next stream of events is cut off after so many bytes.
    pub(super) cuts: Vec<usize>,
    /// How many news each stream of events tells first.
    pub(super) news: u64,
    // What it has seen.
    pub(super) asked: Vec<(String, String)>,
    pub(super) told_news: u64,
    pub(super) is_stuck: bool,
    pub(super) streams: u64,
}

/// How far a call goes that is held up.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Held {
    /// It has come.
    Undone,
    /// It was done.
    Unanswered,
}

impl State {
    pub(super) fn tell(&mut self, fact: Fact) {
        let last = self
            .facts
            .last()
            .map_or(self.acknowledged, |last| last.sequence.get());
        let sequence = Sequence::new(last + 1);
        self.facts.push(NumberedFact { sequence, fact });
    }

    pub(super) fn end(&mut self, task: TaskId) {
        let outcome = Outcome::Cancelled;
        self.tasks.get_mut(&task).expect("it was started").1 = Some(outcome.clone());
        self.tell(Fact::Completed {
            task,
            outcome: outcome.clone(),
            metrics: None,
        });
        let (over, waits) = self
            .waits
            .drain(..)
            .partition(|(_, wait)| wait.task == task);
        self.waits = waits;
        let over: Vec<(String, WaitForEnd)> = over;
        for (client, wait) in over {
            let event = ClientEvent::Ended {
                wait: wait.wait,
                outcome: outcome.clone(),
            };
            self.clients.entry(client).or_default().push(event);
        }
    }

    fn session(&self, session: SessionId) -> SessionDocument {
        SessionDocument {
            session,
            state: SessionState::Open,
            owner_pid: None,
            is_attended: false,
            live_tasks: 0,
            ended_tasks: 0,
            launches: Default::default(),
        }
    }

    fn start(&mut self, specs: Vec<Spec>, is_repeated: bool) -> Vec<StartDocument> {
        let mut starts = Vec::new();
        for spec in specs {
            let there = self.tasks.iter().find(|(_, (known, _))| *known == spec);
            let there = there.map(|(task, _)| *task);
            starts.push(match there {
                Some(task) if is_repeated => StartDocument::Task(task),
                Some(task) => StartDocument::Problem(Problem::TargetInUse {
                    session: super::name(),
                    task,
                }),
                None => {
                    let task = TaskId::new(self.tasks.len() as u64 + 1);
                    self.tasks.insert(task, (spec, None));
                    StartDocument::Task(task)
                }
            });
        }
        starts
    }

    /// Does what was asked.
    pub(super) fn answer(&mut self, name: &str, asked: &Asked) -> Result<Vec<u8>, Problem> {
        let last = |state: &Self| state.facts.last().map_or(0, |fact| fact.sequence.get());
        match name {
            "open" => {
                let client = &asked.parts[1];
                if self.owner.as_ref().is_some_and(|owner| owner != client) {
                    return Err(Problem::SessionInUse {
                        session: super::name(),
                        pid: Some(4242),
                    });
                }
                self.owner = Some(client.clone());
                let call: OpenSession = parsed(&asked.body);
                self.delegate = call.has_delegate;
                let specs = call.requests.into_iter().map(|it| it.request).collect();
                json(&self.start(specs, call.is_repeated))
            }
            "close" => {
                if self.owner.as_ref() == Some(&asked.parts[1]) {
                    self.owner = None;
                }
                json(&())
            }
            "delegate" => {
                let call: HashMap<String, bool> = parsed(&asked.body);
                self.delegate = call["is_there"];
                json(&())
            }
            "refresh" => {
                let call: HashMap<String, bool> = parsed(&asked.body);
                self.listening = call["is_listening"];
                json(&())
            }
            "wait" => {
                let wait: WaitForEnd = parsed(&asked.body);
                let (_, outcome) = self
                    .tasks
                    .get(&wait.task)
                    .ok_or(Problem::NoSuchTask { task: wait.task })?;
                match outcome.clone() {
                    Some(outcome) => {
                        let event = ClientEvent::Ended {
                            wait: wait.wait,
                            outcome,
                        };
                        self.clients
                            .entry(asked.parts[1].clone())
                            .or_default()
                            .push(event);
                    }
                    None => {
                        let wait = (asked.parts[1].clone(), wait);
                        // It may be asked again.
                        if !self.waits.contains(&wait) {
                            self.waits.push(wait);
                        }
                    }
                }
                json(&())
            }
            "forget" => {
                let call: HashMap<String, u64> = parsed(&asked.body);
                self.waits.retain(|(_, wait)| wait.wait != call["wait"]);
                json(&())
            }
            "session" if self.acknowledged > 0 && last(self) == 0 && self.owner.is_none() => {
                Err(Problem::NoSuchSession {
                    session: super::name(),
                })
            }
            "session" => json(&self.session(super::name())),
            "start" => {
                let call: StartTasks = parsed(&asked.body);
                let specs = call.requests.into_iter().map(|it| it.request).collect();
                json(&self.start(specs, call.is_repeated))
            }
            "tasks" => {
                let tasks: Vec<_> = self.tasks.keys().map(|task| self.view(*task)).collect();
                json(&tasks)
            }
            "task" => {
                let task = TaskId::new(asked.parts[3].parse().unwrap());
                match self.tasks.contains_key(&task) {
                    true => json(&self.view(task)),
                    false => Err(Problem::NoSuchTask { task }),
                }
            }
            "acknowledge" => {
                let call: HashMap<String, u64> = parsed(&asked.body);
                self.acknowledged = self.acknowledged.max(call["up_to"]);
                let (gone, left): (Vec<_>, Vec<_>) = self
                    .facts
                    .drain(..)
                    .partition(|fact| fact.sequence.get() <= call["up_to"]);
                self.facts = left;
                for fact in gone {
                    fact.fact.task().map(|task| self.tasks.remove(&task));
                    if fact.fact == Fact::BecameInvalid {
                        self.owner = None;
                    }
                }
                json(&())
            }
            "conditions" => json(&parsed::<HashMap<String, Conditions>>(&asked.body)["conditions"]),
            "rate-limit" | "foreground" | "complete" | "desired" => json(&()),
            other => panic!("{other} is not played"),
        }
    }

    fn view(&self, task: TaskId) -> TaskDocument {
        let (spec, outcome) = &self.tasks[&task];
        TaskDocument {
            task,
            request: spec.clone(),
            state: TaskState::Running,
            phase: Phase::Connecting,
            progress: Progress::default(),
            outcome: outcome.clone(),
            slowed_by: None,
        }
    }
}

pub(super) fn json(answer: &impl Serialize) -> Result<Vec<u8>, Problem> {
    Ok(serde_json::to_vec(answer).expect("JSON"))
}

fn parsed<T: serde::de::DeserializeOwned>(body: &[u8]) -> T {
    serde_json::from_slice(body).expect("a call")
}
