//! What a caller does with the actions of a machine: network, files, store.

use std::path::{Path, PathBuf};

use super::disk::{Image, Run};
use super::life::{Job, Life};
use super::pump::{Move, Pump};
use super::server::{Reply, digest_of};
use super::summary::brief;
use super::world::World;
use crate::checkpoint::{Checkpoint, FileIdentity, Part, Stage, ValidityToken};
use crate::download::{Action, Input, PartPlan, PartUse, Stream, VerifyOrder};
use crate::failure::{Failure, FailureKind};
use crate::limits::TAIL_BYTES;
use crate::recovery::{Found, FoundPart};
use crate::resume_data::ResumeData;
use crate::session::Durability;
use crate::task::{Collision, Outcome};

impl World {
    fn life(&mut self) -> &mut Life {
        self.life
            .as_mut()
            .expect("only a living machine orders anything")
    }

    pub(super) fn perform(&mut self, action: Action) {
        match action {
            Action::Recover(checkpoint) => self.life().jobs.push(Job::Recover(checkpoint)),
            Action::Ask(ask) => {
                self.check_ask(&ask);
                let life = self.life();
                life.bodies.remove(&ask.conn);
                life.asking.push(ask);
            }
            Action::Stream(stream) => self.stream(stream),
            Action::Limit { conn, until } => {
                for pump in self
                    .life()
                    .pumps
                    .iter_mut()
                    .filter(|pump| pump.conn == conn)
                {
                    pump.until = Some(until);
                }
            }
            Action::Stop { conn } => {
                let life = self.life();
                life.asking.retain(|ask| ask.conn != conn);
                life.bodies.remove(&conn);
                for pump in life.pumps.iter_mut().filter(|pump| pump.conn == conn) {
                    pump.is_stopped = true;
                }
            }
            Action::Drain { conn } => drop(self.life().bodies.remove(&conn)),
            Action::Record(checkpoint) => {
                let life = self.life();
                life.records += 1;
                assert_eq!(life.records, 1, "two records in flight");
                life.jobs.push(Job::Record(checkpoint));
            }
            Action::Sync => self.sync(),
            Action::Verify(order) => {
                let inode = match &order.published {
                    Some(published) => published.identity.inode,
                    None => self.part(),
                };
                self.life().jobs.push(Job::Verify { inode, order });
            }
            Action::Name(wanted) => self.life().jobs.push(Job::Name(wanted)),
            Action::Publish {
                target,
                length,
                collision,
            } => {
                self.check_announced(&target);
                let inode = self.part();
                self.life().jobs.push(Job::Publish {
                    inode,
                    target,
                    length,
                    collision,
                });
            }
            Action::Discard(part) => {
                let life = self.life();
                life.part = None;
                life.jobs.push(Job::Discard(part));
            }
            Action::Seal => self.life().jobs.push(Job::Seal),
            Action::Close(outcome) => self.life().jobs.push(Job::Close(outcome)),
            Action::ReleasePlace => {}
            Action::Tell(news) => self.check_news(&news),
            Action::Exit(exit) => self.life().exit = Some(exit),
        }
    }

    fn part(&mut self) -> u64 {
        self.life().part.expect("a file is used that is not open")
    }

    fn sync(&mut self) {
        let inode = self.part();
        let image = self.disk.live(inode).clone();
        let life = self.life();
        life.syncs += 1;
        assert_eq!(life.syncs, 1, "two syncs in flight");
        life.jobs.push(Job::Sync { inode, image });
    }

    fn stream(&mut self, stream: Stream) {
        let life = self.life();
        let body = life
            .bodies
            .remove(&stream.conn)
            .expect("a body that was not let go");
        assert_eq!(
            body.at, stream.from,
            "the body begins elsewhere than its place in the file"
        );
        let mut pump = Pump::new(stream.conn, body, stream.until);
        match stream.part {
            PartUse::Existing => {
                pump.inode = Some(life.part.expect("a stream into a file that is not open"));
            }
            PartUse::Create(plan) => {
                life.part = None;
                pump.plan = Some(plan);
            }
        }
        life.pumps.push(pump);
    }

    pub(super) fn answer(&mut self, index: usize) {
        let ask = self.life().asking.remove(index);
        match self.server.answer(&ask, &mut self.dice) {
            Reply::Head(head, body) => {
                if let Some(body) = body {
                    self.life().bodies.insert(ask.conn, body);
                } else {
                    let nothing = super::server::Body {
                        version: 0,
                        at: 0,
                        end: 0,
                        is_clean: true,
                    };
                    self.life().bodies.insert(ask.conn, nothing);
                }
                self.feed(Input::Head {
                    conn: ask.conn,
                    head,
                });
            }
            Reply::Failed(failure) => self.feed(Input::AskFailed {
                conn: ask.conn,
                failure,
            }),
        }
    }

    pub(super) fn pump(&mut self, index: usize) {
        let wants_to_tell = self.dice.percent(50);
        let most = self.dice.pick(&[1, 4096, 300_000, 1 << 20, 1 << 20]);
        let fails = self.dice.permille(self.troubles.file);
        let life = self.life.as_mut().expect("pumps belong to a life");
        let pump = &mut life.pumps[index];
        let conn = pump.conn;
        match pump.next(wants_to_tell) {
            Move::Create => self.create(index),
            Move::Write(_) if fails => {
                let failure = Failure::new(FailureKind::NoSpace, "no space is left");
                life.pumps.remove(index);
                self.feed(Input::Ended {
                    conn,
                    result: Err(failure),
                });
            }
            Move::Write(run) => {
                pump.written = run.end;
                let inode = pump.inode.expect("it is made before the first write");
                self.disk.write(inode, run);
            }
            Move::Receive => pump.receive(most),
            Move::Tell => {
                pump.told = pump.written;
                let (received, written) = (pump.received, pump.written);
                self.feed(Input::Wrote {
                    conn,
                    received,
                    written,
                });
            }
            Move::End(is_clean) => {
                life.pumps.remove(index);
                let broken = || Failure::new(FailureKind::Disconnected, "the connection broke");
                let result = if is_clean { Ok(()) } else { Err(broken()) };
                self.feed(Input::Ended { conn, result });
            }
        }
    }

    fn create(&mut self, index: usize) {
        let plan = self.life().pumps[index]
            .plan
            .clone()
            .expect("only a new file is made");
        let is_taken = self.disk.named(&plan.target).is_some();
        if is_taken && matches!(plan.collision, Collision::Fail | Collision::Skip) {
            self.life().pumps.remove(index);
            return self.feed(Input::TargetTaken(plan.target));
        }
        let path = part_path(&plan);
        let mut held = self.life().held();
        // What is replaced is there until the new file has its name.
        held.extend(self.disk.named(&path));
        let inode = self.disk.create(&path, plan.length.unwrap_or(0), &held);
        let life = self.life();
        life.pumps[index].inode = Some(inode);
        life.part = Some(inode);
        let part = Part {
            path,
            identity: identity(inode),
            token: self.token(),
        };
        self.feed(Input::PartReady(part));
    }

    pub(super) fn job(&mut self, index: usize) {
        match self.life().jobs.remove(index) {
            Job::Recover(checkpoint) => self.recover(&checkpoint),
            Job::Record(checkpoint) => self.commit(*checkpoint),
            Job::Sync { inode, image } => {
                self.disk.sync(inode, &image);
                self.disk.flush_names();
                self.life().syncs -= 1;
                self.reply(Input::Synced(Ok(())));
            }
            Job::Verify { inode, order } => {
                let result = self.verify(inode, &order);
                self.reply(Input::Verified(result));
            }
            Job::Name(wanted) => {
                let mut numbers = 1..;
                let mut name = wanted.clone();
                while self.disk.named(&name).is_some() {
                    let number = numbers.next().expect("numbers do not end");
                    name = PathBuf::from(format!("{}.{number}", wanted.display()));
                }
                self.reply(Input::Named(Ok(name)));
            }
            Job::Publish {
                inode,
                target,
                length,
                collision,
            } => {
                self.publish(inode, &target, length, collision);
            }
            Job::SyncNames => {
                self.disk.flush_names();
                self.reply(Input::Published(Ok(())));
            }
            Job::Discard(part) => {
                if self.disk.named(&part.path) == Some(part.identity.inode) {
                    self.disk.unlink(&part.path);
                    self.disk.flush_names();
                }
                self.reply(Input::Discarded);
            }
            Job::Seal => self.seal(),
            Job::Close(outcome) => self.close(outcome),
        }
    }

    fn reply(&mut self, input: Input) {
        self.life().replies.push(input);
    }

    fn commit(&mut self, mut checkpoint: Checkpoint) {
        let fails = self.dice.permille(self.troubles.store);
        self.life().records -= 1;
        if fails || self.store.outcome.is_some() {
            let failure = Failure::new(FailureKind::Store, "the store did not take it");
            return self.reply(Input::Recorded(Err(failure)));
        }
        // Without an open file the tails of an older record stay as they are.
        if let Some(inode) = self.life().part {
            for span in &mut checkpoint.spans {
                span.tail = tail(self.disk.live(inode), span.start, span.written);
            }
        }
        self.note(|| format!("COMMIT {}", brief(&checkpoint)));
        self.check_claims(&checkpoint);
        self.check_challenge(&checkpoint);
        self.store.checkpoint = Some(checkpoint);
        self.reply(Input::Recorded(Ok(())));
    }

    /// What is sealed is what the store has.
    fn seal(&mut self) {
        if self.dice.permille(self.troubles.file) {
            let failure = Failure::new(FailureKind::NoSpace, "no space is left");
            return self.reply(Input::Sealed(Err(failure)));
        }
        self.store.ticket.clone_from(&self.store.checkpoint);
        let data = ResumeData::from_bytes(vec![1]).expect("it is short");
        self.reply(Input::Sealed(Ok(data)));
    }

    fn close(&mut self, outcome: Outcome) {
        assert!(
            self.store.outcome.is_none(),
            "a second terminal fact: {outcome:?}"
        );
        self.note(|| format!("CLOSED {outcome:?}"));
        self.check_outcome(&outcome);
        self.store.outcome = Some(outcome.clone());
        self.reply(Input::Closed(outcome));
    }

    fn recover(&mut self, checkpoint: &Checkpoint) {
        if self.dice.permille(self.troubles.file) {
            let failure = Failure::new(FailureKind::File, "the file can not be opened");
            return self.feed(Input::FileFailed(failure));
        }
        let found = self.find(checkpoint);
        if let (Found::Part(_), Some(part)) = (&found, &checkpoint.part) {
            self.life().part = Some(part.identity.inode);
        }
        if matches!(found, Found::Published(_)) {
            self.summary.found_published += 1;
            // What is found under its final name is told of only when that name is durable.
            self.disk.flush_names();
        }
        self.expect_to_go_on(checkpoint, &found);
        self.feed(Input::Recovered(found));
    }

    pub(super) fn find(&self, checkpoint: &Checkpoint) -> Found {
        let Some(part) = &checkpoint.part else {
            return Found::Nothing;
        };
        let is_it = |path: &Path| self.disk.named(path) == Some(part.identity.inode);
        if let Stage::Finishing(target) = &checkpoint.stage
            && is_it(target)
        {
            return Found::Published(self.token());
        }
        if !is_it(&part.path) {
            return Found::Nothing;
        }
        let image = self.disk.live(part.identity.inode);
        let matches = |span: &crate::checkpoint::SpanRecord| {
            span.written <= image.length && tail(image, span.start, span.written) == span.tail
        };
        Found::Part(FoundPart {
            token: self.token(),
            length: image.length,
            tails_match: checkpoint.spans.iter().map(matches).collect(),
        })
    }

    fn verify(&self, inode: u64, order: &VerifyOrder) -> Result<(), Failure> {
        let image = self.disk.live(inode);
        let version = image
            .version_at(0)
            .unwrap_or_else(|| self.empty_version(&order.digests));
        let is_whole = image.is_pure(0, order.length, version)
            && self.server.length_of(version) == Some(order.length);
        let expected = digest_of(version);
        if is_whole && order.digests.iter().all(|digest| *digest == expected) {
            return Ok(());
        }
        Err(Failure::new(FailureKind::Integrity, "another digest"))
    }

    fn publish(&mut self, inode: u64, target: &Path, length: u64, collision: Collision) {
        if self.disk.named(target).is_some() && collision != Collision::Overwrite {
            let failure = Failure::new(FailureKind::TargetExists, "the name is taken");
            return self.reply(Input::Published(Err(failure)));
        }
        self.disk.set_length(inode, length);
        let from = self.disk.names().find(|(_, named)| *named == inode);
        let from = from
            .map(|(path, _)| path.clone())
            .expect("the part file has a name");
        if self.rules.durability == Durability::Power {
            self.disk.sync_whole(inode);
        }
        self.disk.rename(&from, target);
        match self.rules.durability {
            Durability::Power => self.life().jobs.push(Job::SyncNames),
            Durability::Process => self.reply(Input::Published(Ok(()))),
        }
    }

    pub(super) fn token(&self) -> ValidityToken {
        ValidityToken {
            boot: [self.boot; 16],
            mount: 1,
        }
    }
}

pub(super) const fn identity(inode: u64) -> FileIdentity {
    FileIdentity { device: 1, inode }
}

fn part_path(plan: &PartPlan) -> PathBuf {
    let name = plan
        .target
        .file_name()
        .expect("a target has a name")
        .to_string_lossy();
    plan.target.with_file_name(format!(".{name}.part"))
}

/// What stands for the digest of a span's last bytes.
pub(super) fn tail(image: &Image, start: u64, written: u64) -> [u8; 32] {
    let runs: Vec<Run> = image.slice(start.max(written.saturating_sub(TAIL_BYTES)), written);
    *blake3::hash(format!("{runs:?}").as_bytes()).as_bytes()
}
