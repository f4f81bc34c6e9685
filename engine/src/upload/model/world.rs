//! One task's life: transfers that crash and come back, a store, and the oracle that watches.

use std::path::PathBuf;
use std::sync::Arc;

use super::server::{Deed, deed, head};
use crate::authorization_challenge::{Answered, Disposition, Renewal};
use crate::checkpoint::{FileIdentity, TaskCheckpoint};
use crate::download::{Exit, News};
use crate::failure::{Failure, FailureKind};
use crate::http::authorization::Credentials;
use crate::limits::EXPECT_CONTINUE_BYTES_MIN;
use crate::resume_data::ResumeData;
use crate::retry::Jitter;
use crate::safe_url::parse_http_url;
use crate::session::SessionRules;
use crate::task::{Desired, Outcome, Spec, TaskOptions, UploadSpec};
use crate::time::Timestamp;
use crate::upload::{Action, Ask, Input, Source, Start, Upload, UploadCheckpoint, UploadStage};

/// Lives of one task before its server and its file are as they should be.
const TROUBLED_LIVES: u32 = 6;

/// Lives after which an honest end must have come: a wait or two, and an answer to a challenge.
const LIVES_MAX: u32 = 20;

/// A source of decisions that is the same for the same seed.
#[derive(Debug)]
pub(super) struct Dice(Jitter);

impl Dice {
    fn new(seed: u64) -> Self {
        let mut jitter = Jitter::new(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0x5851_F42D);
        for _ in 0..4 {
            jitter.next_u64();
        }
        Self(jitter)
    }

    pub(super) fn below(&mut self, end: u64) -> u64 {
        (self.0.next_u64() >> 11) % end
    }

    pub(super) fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).expect("lists are short")
    }

    fn percent(&mut self, of_hundred: u64) -> bool {
        self.below(100) < of_hundred
    }
}

/// How the runs ended, so that nothing is believed tested that never happened.
#[derive(Debug, Default)]
pub(super) struct Summary {
    uploaded: u64,
    failed: u64,
    changed: u64,
    cancelled: u64,
    crashes: u64,
    retries: u64,
    redirects: u64,
    authorizations: u64,
    repeats: u64,
    left: u64,
}

impl Summary {
    pub(super) fn add(&mut self, other: &Self) {
        self.uploaded += other.uploaded;
        self.failed += other.failed;
        self.changed += other.changed;
        self.cancelled += other.cancelled;
        self.crashes += other.crashes;
        self.retries += other.retries;
        self.redirects += other.redirects;
        self.authorizations += other.authorizations;
        self.repeats += other.repeats;
        self.left += other.left;
    }

    pub(super) fn check_that_nothing_was_missed(&self) {
        let Self {
            uploaded,
            failed,
            changed,
            cancelled,
            crashes,
            retries,
            redirects,
            authorizations,
            repeats,
            left,
        } = *self;
        let all = [
            uploaded,
            failed,
            changed,
            cancelled,
            crashes,
            retries,
            redirects,
            authorizations,
            repeats,
            left,
        ];
        assert!(all.iter().all(|count| *count > 100), "{self:?}");
    }
}

/// Everything around the machine.
pub(super) struct World {
    dice: Dice,
    spec: UploadSpec,
    rules: Arc<SessionRules>,
    now: Timestamp,
    /// What the file is now; it becomes another one when the number grows.
    file: u64,
    length: u64,
    stored: Option<UploadCheckpoint>,
    outcome: Option<Outcome>,
    desired: Desired,
    life: u32,
    /// The server has the whole file of this number.
    kept: Vec<u64>,
    /// The store knows which file it is.
    is_recorded: bool,
    summary: Summary,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let length = [0, 1, 1000, 300_000, EXPECT_CONTINUE_BYTES_MIN][dice.index(5)];
        let credentials = dice.percent(50).then(|| Credentials::Login {
            username: "me".to_owned(),
            password: "hush".to_owned(),
        });
        let method = ["PUT", "POST"][dice.index(2)].to_owned();
        let spec = UploadSpec {
            url: parse_http_url("https://origin.example/f")
                .expect("a URL")
                .url,
            source: PathBuf::from("/d/f"),
            method,
            protocol: crate::upload::UploadProtocol::Plain,
            is_repeatable: false,
            metadata: Vec::new(),
            checksum: None,
            headers: vec![("x-key".to_owned(), "hush".to_owned())],
            credentials,
            allow_downgrade: false,
            request_id: 1,
            is_adoptable: false,
            options: TaskOptions::default(),
        };
        let rules = Arc::new(SessionRules {
            resume_data_on_failure: dice.percent(50),
            ..SessionRules::default()
        });
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
            life: 0,
            kept: Vec::new(),
            is_recorded: false,
            summary: Summary::default(),
        }
    }

    pub(super) fn run(mut self) -> Summary {
        while self.outcome.is_none() {
            self.life += 1;
            assert!(self.life <= LIVES_MAX, "an honest end did not come");
            self.live();
        }
        match self.outcome.clone().expect("it has ended") {
            Outcome::Uploaded(done) => {
                let file = self.recorded_file().unwrap_or(self.file);
                assert_eq!(done.bytes, self.length);
                assert!(
                    self.kept.contains(&file),
                    "a success for a file that is not there"
                );
                self.summary.uploaded += 1;
            }
            Outcome::Failed(failure) if failure.kind() == FailureKind::SourceChanged => {
                self.summary.changed += 1;
            }
            Outcome::Failed(_) => self.summary.failed += 1,
            Outcome::Cancelled | Outcome::CancelledResumable(_) => {
                assert!(self.desired != Desired::Running, "nobody cancelled it");
                self.summary.cancelled += 1;
            }
            other => panic!("{other:?}"),
        }
        self.summary
    }

    fn recorded_file(&self) -> Option<u64> {
        let source = self.stored.as_ref()?.source?;
        Some(source.identity.inode)
    }

    const fn source(&self) -> Source {
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

    const fn is_troubled(&self) -> bool {
        self.life <= TROUBLED_LIVES
    }

    /// One transfer, from its start to its exit or its crash.
    fn live(&mut self) {
        let start = Start {
            spec: self.spec.clone(),
            rules: Arc::clone(&self.rules),
            created_at: Timestamp::from_unix_ms(1_800_000_000_000),
            checkpoint: self.stored.clone(),
            known: None,
            desired: self.desired,
            seed: self.dice.below(u64::MAX),
        };
        self.is_recorded = self.recorded_file().is_some();
        let mut machine = Upload::new(start, self.now);
        let mut actions_left = 200;
        loop {
            let Some(action) = machine.poll() else {
                panic!("a machine without an action waits for ever");
            };
            actions_left -= 1;
            assert!(actions_left > 0, "it never ends");
            if self.is_troubled() && self.dice.percent(4) {
                // What was committed stays, the rest is gone.
                self.summary.crashes += 1;
                return;
            }
            if let Action::Exit(exit) = action {
                assert!(machine.poll().is_none(), "the exit is the last action");
                return self.left(exit);
            }
            self.perform(action, &mut machine);
            let may_want = self.is_troubled() && self.dice.percent(3);
            if may_want && self.desired == Desired::Running {
                self.desired = [
                    Desired::Suspended,
                    Desired::Cancelled,
                    Desired::CancelledResumable,
                ][self.dice.index(3)];
                machine.handle(self.now, Input::Want(self.desired));
            }
        }
    }

    fn left(&mut self, exit: Exit) {
        match exit {
            Exit::Stopped => {
                assert_eq!(self.desired, Desired::Suspended);
                self.desired = Desired::Running;
            }
            Exit::Retry { at, .. } => {
                self.summary.retries += 1;
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

    /// The task waits for its owner, who may answer in any way, or only want it to go on.
    fn answer_challenge(&mut self) {
        self.summary.authorizations += 1;
        if self.desired == Desired::Suspended {
            self.desired = Desired::Running;
        }
        let stored = self.stored.take().expect("it was recorded");
        let mut known = TaskCheckpoint::Upload(stored);
        assert!(known.challenge().is_some(), "nobody was asked");
        let login = Renewal::default().with_credentials(Credentials::login("me", "hush"));
        let disposition = match self.dice.below(10) {
            0 => Disposition::PerformDefaultHandling,
            1 => Disposition::RejectProtectionSpace,
            _ => Disposition::UseCredential(login),
        };
        if self.dice.percent(20) {
            known.ask_again();
        } else {
            let mut spec = Spec::Upload(self.spec.clone());
            let answered = disposition.apply(&mut spec, &mut known);
            assert_eq!(answered, Answered::GoesOn);
            let Spec::Upload(spec) = spec else {
                panic!("it was an upload")
            };
            self.spec = spec;
        }
        self.stored = known.into_upload();
    }

    /// Something is left to the owner: only of a file that is on record, and only when it asked.
    fn check_left(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::CancelledResumable(_) => {
                assert_eq!(self.desired, Desired::CancelledResumable);
                assert!(self.is_recorded, "of a file that nobody knows");
                self.summary.left += 1;
            }
            Outcome::Failed(failure) if failure.resume_data().is_some() => {
                assert!(self.rules.resume_data_on_failure && self.is_recorded);
                assert_ne!(failure.kind(), FailureKind::SourceChanged);
                self.summary.left += 1;
            }
            Outcome::Failed(_)
            | Outcome::Cancelled
            | Outcome::Uploaded(_)
            | Outcome::Finished(_)
            | Outcome::Skipped(_) => {}
        }
    }

    fn perform(&mut self, action: Action, machine: &mut Upload) {
        self.now = self
            .now
            .after(std::time::Duration::from_millis(self.dice.below(300)));
        match action {
            Action::Inspect(_) => {
                if self.is_troubled() && self.dice.percent(5) {
                    self.file += 1;
                }
                machine.handle(self.now, Input::Inspected(Ok(self.source())));
            }
            Action::Digest { .. } | Action::Proceed(_) | Action::Remember(_) => {
                panic!("a plain upload needs none of these")
            }
            Action::Record(checkpoint) => {
                let result = if self.is_troubled() && self.dice.percent(3) {
                    Err(Failure::new(FailureKind::Store, "full"))
                } else {
                    let before = self.recorded_file();
                    let is_asked =
                        |known: &UploadCheckpoint| known.stage != UploadStage::Transferring;
                    let was_asked = self.stored.as_ref().is_some_and(is_asked);
                    assert!(!(was_asked && is_asked(&checkpoint)), "it is told twice");
                    self.stored = Some(*checkpoint);
                    self.is_recorded = self.recorded_file().is_some();
                    assert!(before.is_none() || before == self.recorded_file());
                    Ok(())
                };
                machine.handle(self.now, Input::Recorded(result));
            }
            Action::Ask(ask) => self.meet(&ask, machine),
            Action::Receive(_) => {
                machine.handle(self.now, Input::Received(b"ok".to_vec()));
            }
            Action::Seal => {
                let result = match self.dice.percent(80) {
                    true => Ok(ResumeData::from_bytes(vec![1]).expect("it is short")),
                    false => Err(Failure::new(FailureKind::NoSpace, "full")),
                };
                machine.handle(self.now, Input::Sealed(result));
            }
            Action::Close(outcome) => {
                assert!(self.outcome.is_none(), "it ends once");
                self.check_left(&outcome);
                self.outcome = Some(outcome.clone());
                machine.handle(self.now, Input::Closed(outcome));
            }
            Action::Tell(News::Progress(progress)) => {
                assert!(progress.sent_bytes <= progress.total_bytes.unwrap_or(0));
            }
            Action::Tell(News::Phase(_)) => {}
            Action::Tell(News::Negotiated(_)) => {}
            Action::Tell(News::Resumed(_)) => panic!("a plain upload resumes nothing"),
            Action::Stop(_) | Action::Drain(_) | Action::ReleasePlace => {}
            Action::Exit(_) => unreachable!("handled by the caller"),
        }
    }

    fn meet(&mut self, ask: &Ask, machine: &mut Upload) {
        assert!(self.is_recorded, "a byte may flow before the record");
        assert_eq!(
            self.recorded_file(),
            Some(self.file),
            "another file is sent"
        );
        let is_at_home = ask.url.as_str().starts_with("https://origin.example/");
        let has_secret = ask.headers.iter().any(|(_, value)| value.contains("hush"));
        assert!(is_at_home || !has_secret, "a secret leaves its origin");
        if ask.url != self.spec.url {
            self.summary.redirects += 1;
        }
        let request = ask.request;
        let is_honest = !self.is_troubled();
        let input = match deed(ask, &mut self.dice, is_honest) {
            Deed::Answer {
                takes,
                status,
                fields,
                keeps,
            } => {
                let half = takes / 2;
                machine.handle(
                    self.now,
                    Input::Sent {
                        request,
                        bytes: half,
                    },
                );
                if keeps && ask.body.is_some() {
                    self.summary.repeats += u64::from(self.kept.contains(&self.file));
                    self.kept.push(self.file);
                }
                // A server that sends us on after every byte may well have taken them.
                if status == 303 && ask.body.is_some_and(|body| body.length == takes) {
                    self.kept.push(self.file);
                }
                let lies = (200..300).contains(&status) && !keeps;
                if lies && ask.body.is_some_and(|body| body.length == takes) {
                    self.kept.push(self.file);
                }
                Input::Head {
                    request,
                    head: head(status, &fields),
                    sent: takes,
                }
            }
            Deed::Drop(takes) => {
                if ask.body.is_some_and(|body| body.length == takes) {
                    self.kept.push(self.file);
                }
                let bytes = takes;
                machine.handle(self.now, Input::Sent { request, bytes });
                let failure = Failure::new(FailureKind::Disconnected, "it broke");
                Input::AskFailed {
                    request,
                    failure,
                    sent: 0,
                }
            }
            Deed::SourceChanges => {
                self.file += 1;
                let failure = Failure::new(FailureKind::SourceChanged, "it changed");
                Input::AskFailed {
                    request,
                    failure,
                    sent: 0,
                }
            }
        };
        machine.handle(self.now, input);
    }
}
