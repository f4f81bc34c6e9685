//! One task's life: transfers that crash and come back, a store, and the oracle that watches.

use std::sync::Arc;
use std::time::Duration;

use super::dice::Dice;
use super::scene;
use super::server::{Kind, Server};
use super::summary::Summary;
use super::wire::Wire;
use crate::checkpoint::FileIdentity;
use crate::download::Exit;
use crate::failure::{Failure, FailureKind};
use crate::session::SessionRules;
use crate::task::{Desired, Outcome, UploadSpec};
use crate::time::Timestamp;
use crate::upload::{Capability, Input, Source, Start, Upload, UploadCheckpoint, UploadStage};

/// Lives of one task before its server and its file are as they should be.
const TROUBLED_LIVES: [u32; 4] = [0, 2, 10, 10];

/// Lives after which an honest end must have come: a wait or two, and an answer to a challenge.
const LIVES_MAX: u32 = 30;

/// Things that happen in one life, at most: twenty pieces with all that is about them.
const EVENTS_MAX: u32 = 600;

/// Everything around the machine.
pub(super) struct World {
    pub(super) dice: Dice,
    pub(super) spec: UploadSpec,
    pub(super) rules: Arc<SessionRules>,
    pub(super) now: Timestamp,
    /// What the file is now; it becomes another one when the number grows.
    pub(super) file: u64,
    pub(super) length: u64,
    pub(super) stored: Option<UploadCheckpoint>,
    pub(super) outcome: Option<Outcome>,
    pub(super) desired: Desired,
    pub(super) server: Server,
    known: Option<Capability>,
    life: u32,
    troubled_lives: u32,
    /// The server has done something that no honest end may follow.
    pub(super) is_spoilt: bool,
    /// The connection, and a record under way.
    pub(super) wire: Option<Wire>,
    pub(super) record: Option<UploadCheckpoint>,
    /// What the machine has not heard yet, in order.
    pub(super) replies: Vec<Input>,
    pub(super) summary: Summary,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let spec = scene::spec(&mut dice);
        let rules = Arc::new(scene::rules(&mut dice));
        let length = scene::length(&mut dice);
        let server = Server::new(spec.protocol, &mut dice);
        let troubled_lives = dice.pick(&TROUBLED_LIVES);
        Self {
            dice,
            spec,
            rules,
            now: Timestamp::from_unix_ms(1_800_000_000_000),
            file: 1,
            length,
            stored: None,
            outcome: None,
            desired: Desired::Running,
            server,
            known: None,
            life: 0,
            troubled_lives,
            is_spoilt: false,
            wire: None,
            record: None,
            replies: Vec::new(),
            summary: Summary::default(),
        }
    }

    pub(super) fn run(mut self) -> Summary {
        while self.outcome.is_none() {
            self.life += 1;
            assert!(self.life <= LIVES_MAX, "an honest end did not come");
            self.live();
        }
        self.judge();
        self.summary
    }

    pub(super) fn remember(&mut self, capability: Capability) {
        self.known = Some(capability);
    }

    pub(super) fn recorded_file(&self) -> Option<u64> {
        let source = self.stored.as_ref()?.source?;
        Some(source.identity.inode)
    }

    pub(super) const fn source(&self) -> Source {
        Source {
            length: self.length,
            modified_s: 5,
            modified_ns: 0,
            identity: FileIdentity {
                device: 1,
                inode: self.file,
            },
            samples: [0; 32],
        }
    }

    pub(super) const fn is_troubled(&self) -> bool {
        self.life <= self.troubled_lives
    }

    /// One transfer, from its start to its exit or its crash.
    fn live(&mut self) {
        let knows = self.dice.percent(50);
        let start = Start {
            spec: self.spec.clone(),
            rules: Arc::clone(&self.rules),
            created_at: Timestamp::from_unix_ms(1_800_000_000_000),
            checkpoint: self.stored.clone(),
            known: self.known.clone().filter(|_| knows),
            desired: self.desired,
            seed: self.dice.below(u64::MAX),
        };
        let was_begun = self.stored.as_ref().is_some_and(|it| it.remote.is_some());
        if was_begun && self.life > 1 {
            self.summary.note("resumed");
        }
        let mut machine = Upload::new(start, self.now);
        for _ in 0..EVENTS_MAX {
            if let Some(exit) = self.perform_all(&mut machine) {
                self.hang_up();
                self.replies.clear();
                self.record = None;
                return self.left(exit);
            }
            if self.is_troubled() && self.dice.percent(1) {
                return self.crash();
            }
            let pause = self.dice.below(300);
            self.now = self.now.after(Duration::from_millis(pause));
            if let Some(desired) = self.wish() {
                self.tell_sent(&mut machine);
                machine.handle(self.now, Input::Want(desired));
                continue;
            }
            self.happen(&mut machine);
        }
        panic!("it never ends");
    }

    /// What was committed stays, the rest is gone; what was on its way may still arrive.
    fn crash(&mut self) {
        self.summary.note("crash");
        if let Some(record) = self.record.take()
            && self.dice.percent(50)
        {
            self.commit(record);
        }
        self.hang_up();
        self.replies.clear();
    }

    /// The next thing that happens, of all that may.
    fn happen(&mut self, machine: &mut Upload) {
        let can_flow = self.wire.as_ref().is_some_and(|wire| !wire.is_held);
        let mut choices = Vec::new();
        if !self.replies.is_empty() {
            choices.push(0);
        }
        if self.record.is_some() {
            choices.push(1);
        }
        if can_flow {
            choices.push(2);
        }
        match choices.is_empty() {
            true => {
                let due = machine.poll_timeout();
                let due = due.expect("a machine without anything to wait for waits for ever");
                assert!(self.wire.is_none(), "a body waits for ever");
                self.now = self.now.max(due);
                machine.handle(self.now, Input::Tick);
            }
            false => match self.dice.pick(&choices) {
                0 => {
                    let reply = self.replies.remove(0);
                    machine.handle(self.now, reply);
                }
                1 => {
                    let record = self.record.take().expect("it is under way");
                    let fails = self.is_troubled() && self.dice.percent(2);
                    let result = match fails {
                        true => Err(Failure::new(FailureKind::Store, "full")),
                        false => {
                            self.commit(record);
                            Ok(())
                        }
                    };
                    machine.handle(self.now, Input::Recorded(result));
                }
                _ => self.flow(machine),
            },
        }
    }

    pub(super) fn commit(&mut self, checkpoint: UploadCheckpoint) {
        let before = self.recorded_file();
        let is_asked = |known: &UploadCheckpoint| known.stage != UploadStage::Transferring;
        let was_asked = self.stored.as_ref().is_some_and(is_asked);
        assert!(!(was_asked && is_asked(&checkpoint)), "it is told twice");
        self.stored = Some(checkpoint);
        assert!(before.is_none() || before == self.recorded_file());
    }

    fn left(&mut self, exit: Exit) {
        match exit {
            Exit::Stopped => {
                assert_eq!(self.desired, Desired::Suspended);
                self.desired = Desired::Running;
            }
            Exit::Retry { at, .. } => {
                self.summary.note("retry");
                self.now = self.now.max(at);
                if self.desired == Desired::Suspended {
                    self.desired = Desired::Running;
                }
            }
            Exit::NeedsAuthorization => self.answer_challenge(),
            Exit::Ended(outcome) => assert_eq!(self.outcome, Some(outcome)),
            Exit::Fenced => assert!(self.is_troubled(), "the store was well"),
        }
    }

    /// How often the server may have been given the whole file.
    const fn may_be_taken_often(&self) -> bool {
        let is_idempotent = matches!(self.spec.method.as_bytes(), b"PUT");
        let is_made_anew = matches!(self.server.kind, Kind::Tus) && self.length > 0;
        self.spec.is_repeatable || (is_idempotent && !is_made_anew)
    }

    fn judge(&mut self) {
        let file = self.recorded_file().unwrap_or(self.file);
        if self.stored.as_ref().is_some_and(|known| known.restarts > 0) {
            self.summary.note("begun again");
        }
        let taken = &self.server.taken;
        assert!(!taken.contains(&0), "two files are spliced");
        assert!(
            taken.len() < 2 || self.may_be_taken_often(),
            "a request that must not be repeated was: {taken:?}"
        );
        match self.outcome.clone().expect("it has ended") {
            Outcome::Uploaded(done) => {
                assert_eq!(done.bytes, self.length);
                assert!(
                    taken.contains(&file),
                    "a success for a file that is not there"
                );
                self.summary.note("uploaded");
                self.summary
                    .note(match self.stored.as_ref().map(|known| &known.remote) {
                        Some(Some(remote)) if remote.protocol == crate::upload::Protocol::Tus => {
                            "tus"
                        }
                        Some(Some(_)) => "ietf",
                        Some(None) | None => "plain",
                    });
            }
            Outcome::Failed(failure) => self.judge_failure(&failure),
            Outcome::Cancelled | Outcome::CancelledResumable(_) => {
                assert!(self.desired != Desired::Running, "nobody cancelled it");
                self.summary.note("cancelled");
            }
            other => panic!("{other:?}"),
        }
    }

    fn judge_failure(&mut self, failure: &Failure) {
        match failure.kind() {
            FailureKind::SourceChanged => self.summary.note("changed"),
            FailureKind::OutcomeUnknown => {
                let is_mute = !self.server.ways.says_offset && !self.server.ways.says_complete;
                let is_doubtful = is_mute && (self.server.ways.drops_finished || self.is_spoilt);
                let may_repeat = self.spec.is_repeatable && !is_doubtful;
                assert!(!may_repeat, "it might have been repeated");
                self.summary.note("outcome unknown");
            }
            _ => {
                let is_excused = self.is_troubled() || self.is_spoilt;
                assert!(is_excused, "an honest server got no file: {failure:?}");
                self.summary.note("failed");
            }
        }
    }
}
