//! Single rules of the machine, each driven by hand.

mod authorizing;
mod cadence;
mod connections;
mod endings;
mod error_bodies;
mod finishing;
mod recovering;
mod requests;
mod sealing;

use std::path::PathBuf;
use std::sync::Arc;

use super::{Action, Ask, ConnId, Download, Exit, Input, News, PartUse, Start, Stream};
use crate::checkpoint::{Checkpoint, FileIdentity, Part, SpanRecord, Stage, ValidityToken};
use crate::failure::{Failure, FailureKind};
use crate::http::head::{HttpVersion, ResponseHead};
use crate::http::validator::{EntityTag, Validator};
use crate::recovery::{Found, FoundPart};
use crate::safe_url::parse_http_url;
use crate::session::SessionRules;
use crate::task::{Collision, Desired, Destination, DownloadSpec, Outcome, TaskOptions};
use crate::time::Timestamp;

const MIB: u64 = 1024 * 1024;
const START_MS: u64 = 1_800_000_000_000;
const ETAG: (&str, &str) = ("etag", "\"a\"");

fn spec() -> DownloadSpec {
    DownloadSpec {
        url: parse_http_url("https://origin.example/f")
            .expect("a URL")
            .url,
        destination: Destination::File(PathBuf::from("/d/f")),
        collision: Collision::Fail,
        headers: Vec::new(),
        credentials: None,
        digests: Vec::new(),
        length: None,
        connections: 1,
        allow_unvalidated_resume: false,
        allow_encoded: false,
        allow_downgrade: false,
        options: TaskOptions::default(),
        accept_error_status: false,
    }
}

const fn token(boot: u8) -> ValidityToken {
    ValidityToken {
        boot: [boot; 16],
        mount: 1,
    }
}

fn part(inode: u64) -> Part {
    let identity = FileIdentity { device: 1, inode };
    Part {
        path: PathBuf::from("/d/.f.part"),
        identity,
        token: token(1),
    }
}

/// 400 of 1000 bytes of `"a"` in the file, 300 of them on the device.
fn checkpoint() -> Checkpoint {
    let span = SpanRecord {
        start: 0,
        end: Some(1000),
        written: 400,
        synced: 300,
        tail: [0; 32],
    };
    Checkpoint {
        total: Some(1000),
        validator: Validator::Tag(EntityTag::parse("\"a\"").expect("a tag")),
        status: Some(200),
        part: Some(part(1)),
        spans: vec![span],
        ..Checkpoint::default()
    }
}

/// The part file of a checkpoint as this boot finds it, every tail unchanged.
fn found(boot: u8) -> Found {
    Found::Part(FoundPart {
        token: token(boot),
        length: 1 << 40,
        tails_match: vec![true; 128],
    })
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
    machine: Download,
    now_ms: u64,
}

impl Driver {
    /// A machine at its first request.
    fn fresh(spec: DownloadSpec) -> (Self, Ask) {
        Self::fresh_with(spec, SessionRules::default())
    }

    fn fresh_with(spec: DownloadSpec, rules: SessionRules) -> (Self, Ask) {
        let (driver, actions) = Self::start(spec, rules, None);
        (driver, sole_ask(&actions))
    }

    /// A machine that has looked at the part of its checkpoint, and what it did then.
    fn recovered(spec: DownloadSpec, checkpoint: Checkpoint, found: Found) -> (Self, Vec<Action>) {
        let (mut driver, actions) = Self::start(spec, SessionRules::default(), Some(checkpoint));
        assert_eq!(kinds(&actions), ["recover"]);
        let actions = driver.feed(Input::Recovered(found));
        (driver, actions)
    }

    fn start(
        spec: DownloadSpec,
        rules: SessionRules,
        checkpoint: Option<Checkpoint>,
    ) -> (Self, Vec<Action>) {
        Self::start_wanting(spec, rules, checkpoint, Desired::Running)
    }

    fn start_wanting(
        spec: DownloadSpec,
        rules: SessionRules,
        checkpoint: Option<Checkpoint>,
        desired: Desired,
    ) -> (Self, Vec<Action>) {
        let at = Timestamp::from_unix_ms(START_MS);
        let rules = Arc::new(rules);
        let start = Start {
            spec,
            rules,
            created_at: at,
            checkpoint,
            desired,
            seed: 7,
        };
        let mut driver = Self {
            machine: Download::new(start, at),
            now_ms: START_MS,
        };
        let actions = driver.actions();
        (driver, actions)
    }

    fn feed(&mut self, input: Input) -> Vec<Action> {
        self.machine
            .handle(Timestamp::from_unix_ms(self.now_ms), input);
        self.actions()
    }

    fn actions(&mut self) -> Vec<Action> {
        std::iter::from_fn(|| self.machine.poll()).collect()
    }

    fn head(&mut self, conn: ConnId, status: u16, fields: &[(&str, &str)]) -> Vec<Action> {
        self.feed(Input::Head {
            conn,
            head: head(status, fields),
        })
    }

    fn wrote(&mut self, conn: ConnId, to: u64) -> Vec<Action> {
        self.feed(Input::Wrote {
            conn,
            received: to,
            written: to,
        })
    }

    fn ended(&mut self, conn: ConnId) -> Vec<Action> {
        self.feed(Input::Ended {
            conn,
            result: Ok(()),
        })
    }

    fn broke(&mut self, conn: ConnId) -> Vec<Action> {
        self.feed(Input::Ended {
            conn,
            result: Err(failure(FailureKind::Disconnected)),
        })
    }

    fn recorded(&mut self) -> Vec<Action> {
        self.feed(Input::Recorded(Ok(())))
    }

    /// A 200 of `"a"` with this length has come, and its part file is made.
    fn streaming(spec: DownloadSpec, length: u64) -> (Self, ConnId, Vec<Action>) {
        let (mut driver, ask) = Self::fresh(spec);
        driver.head(
            ask.conn,
            200,
            &[ETAG, ("content-length", &length.to_string())],
        );
        let actions = driver.feed(Input::PartReady(part(1)));
        (driver, ask.conn, actions)
    }
}

fn kinds(actions: &[Action]) -> Vec<&'static str> {
    let kind = |action: &Action| match action {
        Action::Recover(_) => Some("recover"),
        Action::Ask(_) => Some("ask"),
        Action::Stream(_) => Some("stream"),
        Action::Limit { .. } => Some("limit"),
        Action::Stop { .. } => Some("stop"),
        Action::Drain { .. } => Some("drain"),
        Action::Record(_) => Some("record"),
        Action::Sync => Some("sync"),
        Action::Verify(_) => Some("verify"),
        Action::Name(_) => Some("name"),
        Action::Publish { .. } => Some("publish"),
        Action::Discard(_) => Some("discard"),
        Action::Seal => Some("seal"),
        Action::Close(_) => Some("close"),
        Action::Exit(_) => Some("exit"),
        Action::ReleasePlace | Action::Tell(_) => None,
    };
    actions.iter().filter_map(kind).collect()
}

fn asks(actions: &[Action]) -> Vec<Ask> {
    let ask = |action: &Action| match action {
        Action::Ask(ask) => Some(ask.clone()),
        _ => None,
    };
    actions.iter().filter_map(ask).collect()
}

fn sole_ask(actions: &[Action]) -> Ask {
    let mut asks = asks(actions);
    assert_eq!(asks.len(), 1, "{actions:?}");
    asks.remove(0)
}

fn field<'a>(ask: &'a Ask, name: &str) -> Option<&'a str> {
    ask.headers
        .iter()
        .find(|(known, _)| known == name)
        .map(|(_, value)| value.as_str())
}

fn stream(actions: &[Action]) -> Stream {
    let stream = |action: &Action| match action {
        Action::Stream(stream) => Some(stream.clone()),
        _ => None,
    };
    actions
        .iter()
        .find_map(stream)
        .unwrap_or_else(|| panic!("no stream: {actions:?}"))
}

fn record(actions: &[Action]) -> Checkpoint {
    let record = |action: &Action| match action {
        Action::Record(checkpoint) => Some((**checkpoint).clone()),
        _ => None,
    };
    actions
        .iter()
        .find_map(record)
        .unwrap_or_else(|| panic!("no record: {actions:?}"))
}

fn exit(actions: &[Action]) -> Exit {
    match actions.last() {
        Some(Action::Exit(exit)) => exit.clone(),
        other => panic!("no exit: {other:?}"),
    }
}

fn closed(actions: &[Action]) -> Outcome {
    match actions.last() {
        Some(Action::Close(outcome)) => outcome.clone(),
        other => panic!("not closed: {other:?}"),
    }
}

/// The kind of failure that the task is closed with.
fn failed(actions: &[Action]) -> FailureKind {
    match closed(actions) {
        Outcome::Failed(failure) => failure.kind(),
        other => panic!("not failed: {other:?}"),
    }
}
