//! Single rules of the machine, each driven by hand.

mod answers;
mod appending;
mod authorizing;
mod begun;
mod endings;
mod negotiating;
mod places;
mod requests;
mod resumable;
mod sealing;
mod unheard;

use std::path::PathBuf;
use std::sync::Arc;

use super::{
    Action, Ask, Capability, Input, Negotiated, Protocol, Remote, RequestId, Source, Start, Upload,
    UploadCheckpoint, UploadStage,
};
use crate::authorization_challenge::Challenge;
use crate::checkpoint::FileIdentity;
use crate::download::{Exit, News};
use crate::failure::{Failure, FailureKind};
use crate::http::head::{HttpVersion, ResponseHead};
use crate::safe_url::parse_http_url;
use crate::session::SessionRules;
use crate::task::{Desired, Outcome, TaskOptions, UploadSpec};
use crate::time::Timestamp;
use crate::upload::protocol::UploadLimits;

const START_MS: u64 = 1_800_000_000_000;
const LENGTH: u64 = 1000;

fn spec() -> UploadSpec {
    UploadSpec {
        url: parse_http_url("https://origin.example/f")
            .expect("a URL")
            .url,
        source: PathBuf::from("/d/f"),
        method: "PUT".to_owned(),
        protocol: crate::upload::UploadProtocol::Plain,
        place: None,
        is_repeatable: false,
        metadata: Vec::new(),
        checksum: None,
        headers: Vec::new(),
        credentials: None,
        allow_downgrade: false,
        request_id: 7,
        is_adoptable: false,
        options: TaskOptions::default(),
    }
}

const fn source(length: u64) -> Source {
    Source {
        length,
        modified_s: 1_700_000_000,
        modified_ns: 5,
        identity: FileIdentity {
            device: 1,
            inode: 2,
        },
        samples: [3; 32],
    }
}

/// What is on record of an upload that has a place, where so much is acknowledged.
fn placed(protocol: Protocol, length: u64, acknowledged: u64) -> UploadCheckpoint {
    let url = parse_http_url("https://origin.example/up/1").expect("a URL");
    UploadCheckpoint {
        source: Some(source(length)),
        remote: Some(Remote {
            protocol,
            url: url.url,
            acknowledged,
            limits: UploadLimits::default(),
            expires_at: None,
            can_terminate: true,
            checksum: None,
            piece_max: None,
        }),
        ..UploadCheckpoint::default()
    }
}

fn failure(kind: FailureKind) -> Failure {
    Failure::new(kind, "as the test says")
}

fn head(status: u16, fields: &[(&str, &str)]) -> ResponseHead {
    let headers = fields.iter().copied().collect();
    ResponseHead {
        version: HttpVersion::Http11,
        status,
        headers,
    }
}

/// A machine and its caller's hands.
struct Driver {
    machine: Upload,
    now_ms: u64,
    /// What was told of the protocol; it is not among the actions.
    agreed: Vec<Negotiated>,
}

impl Driver {
    fn start_with(
        spec: UploadSpec,
        rules: SessionRules,
        checkpoint: Option<UploadCheckpoint>,
        desired: Desired,
    ) -> (Self, Vec<Action>) {
        Self::start_knowing(spec, rules, checkpoint, desired, None)
    }

    fn start_knowing(
        spec: UploadSpec,
        rules: SessionRules,
        checkpoint: Option<UploadCheckpoint>,
        desired: Desired,
        known: Option<Capability>,
    ) -> (Self, Vec<Action>) {
        let now = Timestamp::from_unix_ms(START_MS);
        let start = Start {
            spec,
            rules: Arc::new(rules),
            created_at: now,
            checkpoint,
            known,
            desired,
            seed: 11,
        };
        let mut driver = Self {
            machine: Upload::new(start, now),
            now_ms: START_MS,
            agreed: Vec::new(),
        };
        let actions = driver.drain();
        (driver, actions)
    }

    fn start(spec: UploadSpec) -> (Self, Vec<Action>) {
        Self::start_with(spec, SessionRules::default(), None, Desired::Running)
    }

    /// A machine at its first request, for a file of this length.
    fn asking(spec: UploadSpec, length: u64) -> (Self, Ask) {
        Self::asking_with(spec, SessionRules::default(), length)
    }

    fn asking_with(spec: UploadSpec, rules: SessionRules, length: u64) -> (Self, Ask) {
        let (mut driver, actions) = Self::start_with(spec, rules, None, Desired::Running);
        assert_eq!(actions, [Action::Inspect(PathBuf::from("/d/f"))]);
        let actions = driver.feed(Input::Inspected(Ok(source(length))));
        assert_eq!(kinds(&actions), ["record"]);
        let actions = driver.feed(Input::Recorded(Ok(())));
        (driver, sole_ask(&actions))
    }

    /// A later transfer of a task, at its first request; the file is as it was.
    fn going_on(spec: UploadSpec, known: UploadCheckpoint) -> (Self, Ask) {
        Self::going_on_with(spec, SessionRules::default(), known)
    }

    fn going_on_with(
        spec: UploadSpec,
        rules: SessionRules,
        known: UploadCheckpoint,
    ) -> (Self, Ask) {
        let found = known.source.expect("it is on record");
        let (mut driver, _) = Self::start_with(spec, rules, Some(known), Desired::Running);
        let actions = driver.feed(Input::Inspected(Ok(found)));
        let ask = driver.next_ask(actions);
        (driver, ask)
    }

    /// The request that follows, after the record that it may wait for.
    fn next_ask(&mut self, actions: Vec<Action>) -> Ask {
        let asks = |actions: &[Action]| kinds(actions).contains(&"ask");
        match asks(&actions) {
            true => sole_ask(&actions),
            false => {
                assert!(kinds(&actions).contains(&"record"), "{actions:?}");
                sole_ask(&self.feed(Input::Recorded(Ok(()))))
            }
        }
    }

    fn feed(&mut self, input: Input) -> Vec<Action> {
        self.now_ms += 1;
        let now = Timestamp::from_unix_ms(self.now_ms);
        self.machine.handle(now, input);
        self.drain()
    }

    /// Every byte was sent, and this answer comes.
    fn answer(&mut self, request: RequestId, head: ResponseHead) -> Vec<Action> {
        self.answer_after(request, head, LENGTH)
    }

    fn answer_after(&mut self, request: RequestId, head: ResponseHead, sent: u64) -> Vec<Action> {
        self.feed(Input::Head {
            request,
            head,
            sent,
        })
    }

    fn drain(&mut self) -> Vec<Action> {
        let mut actions = Vec::new();
        while let Some(action) = self.machine.poll() {
            match action {
                Action::Tell(News::Negotiated(agreed)) => self.agreed.push(agreed),
                action => actions.push(action),
            }
        }
        actions
    }
}

fn kinds(actions: &[Action]) -> Vec<&'static str> {
    let kind = |action: &Action| match action {
        Action::Inspect(_) => "inspect",
        Action::Record(_) => "record",
        Action::Ask(_) => "ask",
        Action::Digest { .. } => "digest",
        Action::Proceed(_) => "proceed",
        Action::Remember(_) => "remember",
        Action::Stop(_) => "stop",
        Action::Drain(_) => "drain",
        Action::Receive(_) => "receive",
        Action::Seal => "seal",
        Action::Close(_) => "close",
        Action::ReleasePlace => "release",
        Action::Tell(_) => "tell",
        Action::Exit(_) => "exit",
    };
    actions.iter().map(kind).collect()
}

fn sole_ask(actions: &[Action]) -> Ask {
    let mut asks = actions.iter().filter_map(|action| match action {
        Action::Ask(ask) => Some(ask.clone()),
        _ => None,
    });
    let ask = asks.next().unwrap_or_else(|| panic!("{actions:?}"));
    assert!(asks.next().is_none(), "{actions:?}");
    ask
}

fn record(actions: &[Action]) -> UploadCheckpoint {
    let found = actions.iter().find_map(|action| match action {
        Action::Record(checkpoint) => Some((**checkpoint).clone()),
        _ => None,
    });
    found.unwrap_or_else(|| panic!("{actions:?}"))
}

/// What the owner is asked, when the machine leaves because of it.
fn asked(actions: &[Action]) -> Challenge {
    match record(actions).stage {
        UploadStage::AwaitingAuthorization(challenge) => *challenge,
        other => panic!("nobody is asked: {other:?}"),
    }
}

fn outcome(actions: &[Action]) -> Outcome {
    let found = actions.iter().find_map(|action| match action {
        Action::Close(outcome) => Some(outcome.clone()),
        _ => None,
    });
    found.unwrap_or_else(|| panic!("{actions:?}"))
}

fn failed_kind(actions: &[Action]) -> FailureKind {
    match outcome(actions) {
        Outcome::Failed(failure) => failure.kind(),
        other => panic!("{other:?}"),
    }
}

fn exit(actions: &[Action]) -> Exit {
    match actions.last() {
        Some(Action::Exit(exit)) => exit.clone(),
        other => panic!("{other:?}"),
    }
}
