//! Values for tests: small ones with defaults, and full ones in which every field says something.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use longhaul_engine::authorization_challenge::{Answers, Challenge};
use longhaul_engine::checkpoint::{
    Checkpoint, FileIdentity, Part, Retry, SpanRecord, Stage, TaskCheckpoint, ValidityToken,
};
use longhaul_engine::checksum::{Algorithm, Digest};
use longhaul_engine::failure::{Failure, FailureKind};
use longhaul_engine::http::authorization::Credentials;
use longhaul_engine::http::validator::{EntityTag, Validator};
use longhaul_engine::id::{Sequence, SessionId, TaskId};
use longhaul_engine::launch::{LaunchCommand, LaunchLog, LaunchReason};
use longhaul_engine::metrics::{Counts, TaskMetrics, TransactionMetrics};
use longhaul_engine::safe_url::{HttpUrl, parse_http_url};
use longhaul_engine::session::{Durability, OriginCredentials, ProxyKind, ProxyUrl, SessionRules};
use longhaul_engine::task::{
    Collision, Desired, Destination, DownloadSpec, Finished, NotificationTitles, Outcome, Priority,
    Spec, TaskOptions, UploadSpec,
};
use longhaul_engine::time::Timestamp;
use longhaul_engine::upload::protocol::UploadLimits;
use longhaul_engine::upload::{
    Protocol, Remote, Source, Unheard, UploadCheckpoint, UploadProtocol, UploadStage,
};

use crate::resume::{ResumeToken, TicketId};
use crate::{Change, Effect, Refusal, Store};

pub(super) const CREATED_AT: Timestamp = Timestamp::from_unix_ms(1_700_000_000_123);

pub(super) fn session(name: &str) -> SessionId {
    SessionId::new(name).unwrap()
}

pub(super) fn url(text: &str) -> HttpUrl {
    parse_http_url(text).unwrap().url
}

/// A download of `text` into the file `path`, all options at their defaults.
pub(super) fn spec(text: &str, path: &str) -> DownloadSpec {
    DownloadSpec {
        url: url(text),
        destination: Destination::File(PathBuf::from(path)),
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

/// A request for `spec` that does not adopt.
pub(super) fn register(session: &SessionId, spec: impl Into<Spec>) -> Change {
    Change::Register {
        session: session.clone(),
        spec: Box::new(spec.into()),
        desired: Desired::Running,
        created_at: CREATED_AT,
        adopt: false,
    }
}

/// A request for `spec` that adopts.
pub(super) fn adopt(session: &SessionId, spec: DownloadSpec, desired: Desired) -> Change {
    Change::Register {
        session: session.clone(),
        spec: Box::new(spec.into()),
        desired,
        created_at: Timestamp::from_unix_ms(9),
        adopt: true,
    }
}

pub(super) fn put_session(id: &SessionId) -> Change {
    Change::PutSession {
        id: id.clone(),
        rules: Box::default(),
    }
}

pub(super) fn close(session: &SessionId, task: TaskId, outcome: Outcome) -> Change {
    Change::Close {
        session: session.clone(),
        task,
        outcome,
        metrics: None,
    }
}

pub(super) fn record(
    session: &SessionId,
    task: TaskId,
    checkpoint: impl Into<TaskCheckpoint>,
) -> Change {
    Change::Record {
        session: session.clone(),
        task,
        checkpoint: Box::new(checkpoint.into()),
    }
}

pub(super) fn acknowledge(session: &SessionId, up_to: u64) -> Change {
    Change::Acknowledge {
        session: session.clone(),
        up_to: Sequence::new(up_to),
    }
}

/// Makes one change and answers its answer.
pub(super) fn one(store: &mut Store, change: Change) -> Result<Effect, Refusal> {
    let mut answers = store.commit(&[change]).unwrap();
    assert_eq!(answers.len(), 1);
    answers.remove(0)
}

/// Makes a task and answers its number.
pub(super) fn registered(store: &mut Store, session: &SessionId, spec: impl Into<Spec>) -> TaskId {
    match one(store, register(session, spec)) {
        Ok(Effect::Registered(task)) => task,
        other => panic!("{other:?}"),
    }
}

pub(super) fn finished(path: &str) -> Outcome {
    Outcome::Finished(Finished {
        path: path.into(),
        bytes: 65_536,
        length_unverified: false,
        status: 200,
    })
}

/// A new store with the session `a`.
pub(super) fn store_in(directory: &Path) -> (Store, SessionId) {
    let mut store = Store::open(&directory.join("store.redb")).unwrap();
    let id = session("a");
    one(&mut store, put_session(&id)).unwrap();
    (store, id)
}

fn odd_path() -> PathBuf {
    Path::new("/srv/d\u{e9}j\u{e0}").join(OsStr::from_bytes(b"not \xff utf-8"))
}

pub(super) fn full_spec() -> DownloadSpec {
    DownloadSpec {
        url: url("https://example.com:8443/a%20b?signature=hush"),
        destination: Destination::Directory(odd_path()),
        collision: Collision::Rename,
        headers: vec![
            ("X-Api-Key".into(), "hush".into()),
            ("Accept".into(), "*/*".into()),
        ],
        credentials: Some(Credentials::Login {
            username: "me".into(),
            password: "hush".into(),
        }),
        digests: vec![
            Digest::new(Algorithm::Sha256, vec![0xab; 32]).unwrap(),
            Digest::new(Algorithm::Md5, vec![0xcd; 16]).unwrap(),
        ],
        length: Some(5_000_000_000),
        connections: 4,
        allow_unvalidated_resume: true,
        allow_encoded: false,
        allow_downgrade: true,
        options: full_options(),
        accept_error_status: true,
    }
}

pub(super) fn full_options() -> TaskOptions {
    TaskOptions {
        priority: Priority::HIGH,
        earliest_begin: Some(Timestamp::from_unix_ms(1_700_000_900_000)),
        is_discretionary: true,
        allows_expensive_network_access: false,
        allows_constrained_network_access: false,
        rate_limit_bytes: Some(4096),
        notify_on_finished: Some(NotificationTitles {
            success: "\u{4e0b}\u{8f7d}\u{6210}\u{529f}".into(),
            failure: "\u{4e0b}\u{8f7d}\u{5931}\u{8d25}".into(),
        }),
        challenge_statuses: vec![403, 410],
        description: Some("chapter 7".into()),
    }
}

pub(super) fn full_upload() -> UploadSpec {
    UploadSpec {
        url: url("https://example.com/inbox?signature=hush"),
        source: odd_path(),
        method: "PUT".into(),
        headers: vec![("Authorization".into(), "Bearer hush".into())],
        credentials: Some(Credentials::Bearer("hush".into())),
        allow_downgrade: false,
        protocol: UploadProtocol::Ietf { interop: 9 },
        place: Some(url("https://example.com/files/1?key=hush")),
        is_repeatable: true,
        metadata: vec![("filename".into(), "ü.bin".into())],
        checksum: Some(Algorithm::Sha1),
        request_id: u128::MAX - 5,
        is_adoptable: false,
        options: full_options(),
    }
}

pub(super) fn full_upload_checkpoint() -> UploadCheckpoint {
    UploadCheckpoint {
        stage: UploadStage::AwaitingAuthorization(Box::new(full_challenge())),
        source: Some(Source {
            length: 5_000_000_000,
            modified_s: -1,
            modified_ns: 999_999_999,
            identity: FileIdentity {
                device: 2049,
                inode: 1_234_567,
            },
            samples: [0x7e; 32],
        }),
        attempts_failed: 4,
        retry: Some(Retry {
            at: Timestamp::from_unix_ms(1_700_000_100_000),
            delay: Duration::from_secs(30),
            cause: Failure::new(FailureKind::SourceMissing, "the file is not there"),
        }),
        answers: Answers {
            unproven: 2,
            rejected_schemes: vec!["negotiate".into()],
            is_default_handling: true,
        },
        counts: Counts {
            requests: 6,
            redirects: 1,
        },
        remote: Some(Remote {
            protocol: Protocol::Tus,
            url: url("https://example.com/files/5f2a?key=hush"),
            acknowledged: 4_000_000_001,
            limits: UploadLimits {
                size_max: Some(1 << 40),
                append_max: Some(1 << 30),
                append_min: Some(5),
            },
            expires_at: Some(Timestamp::from_unix_ms(1_700_000_900_000)),
            can_terminate: true,
            checksum: Some(Algorithm::Sha256),
            piece_max: Some(8 << 20),
        }),
        unheard: Unheard::Completion,
        restarts: 3,
    }
}

pub(super) fn full_metrics() -> TaskMetrics {
    let at = |ms| Some(Timestamp::from_unix_ms(ms));
    TaskMetrics {
        created_at: CREATED_AT,
        ended_at: Timestamp::from_unix_ms(1_700_000_200_000),
        redirect_count: 1,
        transaction_count: 3,
        transactions: vec![TransactionMetrics {
            fetch_start: CREATED_AT,
            domain_lookup_start: at(1),
            domain_lookup_end: at(2),
            connect_start: at(3),
            connect_end: at(6),
            secure_connection_start: at(4),
            secure_connection_end: at(5),
            request_start: at(7),
            request_end: at(8),
            response_start: at(9),
            response_end: at(10),
            status: Some(206),
            is_reused_connection: true,
            is_proxy_connection: true,
            is_secure: true,
            request_body_bytes: 11,
            response_header_bytes: 12,
            response_body_bytes: 13,
            remote_address: Some("[2001:db8::1]:443".into()),
        }],
    }
}

/// Three calls of an app, and one that is to come.
pub(super) fn launches() -> LaunchLog {
    let at = |minutes: u64| Timestamp::from_unix_ms(1_700_000_000_000 + minutes * 60_000);
    LaunchLog::restored(
        vec![at(0), at(15), at(31)],
        Duration::from_secs(240),
        Some(LaunchReason::AuthorizationRequired),
    )
}

pub(super) fn full_challenge() -> Challenge {
    Challenge {
        host: "example.com:443".into(),
        status: 401,
        scheme: "Digest".into(),
        realm: Some("staff only".into()),
        previous_failures: 2,
    }
}

pub(super) fn full_rules() -> SessionRules {
    SessionRules {
        headers: vec![("Authorization".into(), "Bearer hush".into())],
        user_agent: Some("probe/1".into()),
        timeout_for_request: Duration::from_millis(1_500),
        timeout_for_resource: Duration::from_secs(86_400),
        timeout_for_connect: Duration::new(3, 7),
        retries_max: Some(12),
        retry_base: Duration::from_millis(250),
        retry_cap: Duration::from_secs(90),
        redirects_max: 5,
        tasks_max: 3,
        tasks_per_host_max: 2,
        durability: Durability::Power,
        ca_certificates_pem: Some(b"-----BEGIN CERTIFICATE-----".to_vec()),
        proxy: Some(ProxyUrl {
            kind: ProxyKind::Socks5,
            host: "proxy.example".into(),
            port: 1080,
            login: Some(("me".into(), "hush".into())),
        }),
        rate_limit_bytes: Some(1_000_000),
        is_discretionary: true,
        allows_expensive_network_access: false,
        allows_constrained_network_access: true,
        session_sends_launch_events: false,
        launch_command: Some(full_command()),
        resume_data_on_failure: true,
        credentials: vec![OriginCredentials {
            origin: "https://example.com:8443".into(),
            credentials: Credentials::Bearer("hush".into()),
        }],
    }
}

fn full_command() -> LaunchCommand {
    LaunchCommand::new(["/usr/bin/app", "--refresh"], "/home/me")
        .and_then(|command| command.variable("TOKEN", "hush"))
        .expect("a command")
}

/// The progress of a task that waits for an answer.
pub(super) fn awaiting() -> Checkpoint {
    Checkpoint {
        stage: Stage::AwaitingAuthorization(Box::new(full_challenge())),
        ..full_checkpoint()
    }
}

pub(super) fn full_checkpoint() -> Checkpoint {
    let span = |start: u64, end, written, synced| SpanRecord {
        start,
        end,
        written,
        synced,
        tail: std::array::from_fn(|at| u8::try_from(at).unwrap()),
    };
    Checkpoint {
        stage: Stage::Finishing(odd_path()),
        total: Some(10_000_000_000),
        validator: Validator::Tag(EntityTag::parse("\"33a64df5\"").unwrap()),
        status: Some(203),
        offered_digests: vec![Digest::new(Algorithm::Sha512, vec![0x11; 64]).unwrap()],
        part: Some(Part {
            path: odd_path(),
            identity: FileIdentity {
                device: 2049,
                inode: 1_234_567,
            },
            token: ValidityToken {
                boot: [0x5a; 16],
                mount: 4_294_967_300,
            },
        }),
        spans: vec![
            span(0, Some(5_000_000_000), 4_000_000_000, 3_900_000_000),
            span(5_000_000_000, None, 5_000_000_001, 5_000_000_000),
        ],
        file_name: Some("r\u{e9}sum\u{e9}.pdf".into()),
        attempts_failed: 3,
        restarts: 1,
        retry: Some(Retry {
            at: Timestamp::from_unix_ms(1_700_000_100_000),
            delay: Duration::from_secs(30),
            cause: Failure::new(FailureKind::Status(503), "the server answered 503"),
        }),
        length_unverified: true,
        answers: Answers {
            unproven: 2,
            rejected_schemes: vec!["digest".into()],
            is_default_handling: true,
        },
        counts: Counts {
            requests: 300,
            redirects: 20,
        },
    }
}

pub(super) fn full_token() -> ResumeToken {
    ResumeToken {
        key: [0xa5; 32],
        ticket: TicketId([0x3c; 16]),
        path: odd_path(),
    }
}
