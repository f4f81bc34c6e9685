//! Arbitrary values of everything that is stored.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::time::Duration;

use longhaul_engine::authorization_challenge::{Answers, Challenge};
use longhaul_engine::checkpoint::{
    Checkpoint, FileIdentity, Part, Retry, SpanRecord, Stage, ValidityToken,
};
use longhaul_engine::checksum::{Algorithm, Digest};
use longhaul_engine::failure::{Failure, FailureKind};
use longhaul_engine::http::authorization::Credentials;
use longhaul_engine::http::validator::{EntityTag, Validator};
use longhaul_engine::launch::LaunchCommand;
use longhaul_engine::metrics::Counts;
use longhaul_engine::resume_data::ResumeData;
use longhaul_engine::session::{Durability, OriginCredentials, ProxyKind, ProxyUrl, SessionRules};
use longhaul_engine::task::{
    Collision, Destination, DownloadSpec, Finished, NotificationTitles, Outcome, Priority,
    TaskOptions, Uploaded,
};
use longhaul_engine::time::Timestamp;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::samples::url;

/// Every kind of failure.
pub(super) const KINDS: [FailureKind; 23] = [
    FailureKind::InvalidRequest,
    FailureKind::TargetExists,
    FailureKind::File,
    FailureKind::NoSpace,
    FailureKind::Resolve,
    FailureKind::Connect,
    FailureKind::Disconnected,
    FailureKind::TimedOut,
    FailureKind::Proxy,
    FailureKind::Tls,
    FailureKind::Authentication,
    FailureKind::Protocol,
    FailureKind::Encoded,
    FailureKind::Redirect,
    FailureKind::Status(418),
    FailureKind::Unstable,
    FailureKind::Integrity,
    FailureKind::ResourceTimedOut,
    FailureKind::Crashed,
    FailureKind::Store,
    FailureKind::SourceMissing,
    FailureKind::SourceChanged,
    FailureKind::OutcomeUnknown,
];

fn text() -> impl Strategy<Value = String> {
    "\\PC{0,20}"
}

fn pairs() -> impl Strategy<Value = Vec<(String, String)>> {
    vec((text(), text()), 0..4)
}

fn path() -> impl Strategy<Value = PathBuf> {
    vec(1_u8.., 0..40).prop_map(|bytes| PathBuf::from(OsString::from_vec(bytes)))
}

fn duration() -> impl Strategy<Value = Duration> {
    (any::<u64>(), 0..1_000_000_000_u32).prop_map(|(secs, nanos)| Duration::new(secs, nanos))
}

fn timestamp() -> impl Strategy<Value = Timestamp> {
    any::<u64>().prop_map(Timestamp::from_unix_ms)
}

fn digests() -> impl Strategy<Value = Vec<Digest>> {
    let digest = (0..Algorithm::ALL.len(), any::<u8>()).prop_map(|(at, byte)| {
        let algorithm = Algorithm::ALL[at];
        Digest::new(algorithm, vec![byte; algorithm.digest_bytes()]).unwrap()
    });
    vec(digest, 0..3)
}

fn failure() -> impl Strategy<Value = Failure> {
    let data = option::of(vec(any::<u8>(), 0..60));
    (0..KINDS.len(), text(), data).prop_map(|(at, message, data)| {
        let data = data.map(|bytes| ResumeData::from_bytes(bytes).unwrap());
        Failure::new(KINDS[at], message).with_resume_data(data)
    })
}

pub(super) fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        (path(), any::<u64>(), any::<bool>(), any::<u16>()).prop_map(
            |(path, bytes, length_unverified, status)| {
                Outcome::Finished(Finished {
                    path,
                    bytes,
                    length_unverified,
                    status,
                })
            }
        ),
        path().prop_map(Outcome::Skipped),
        failure().prop_map(Outcome::Failed),
        Just(Outcome::Cancelled),
        vec(any::<u8>(), 0..60)
            .prop_map(|bytes| Outcome::CancelledResumable(ResumeData::from_bytes(bytes).unwrap())),
        (any::<u16>(), any::<u64>(), pairs(), vec(any::<u8>(), 0..60)).prop_map(
            |(status, bytes, headers, response)| Outcome::Uploaded(Uploaded {
                status,
                bytes,
                headers,
                response,
            })
        ),
    ]
}

pub(super) fn rules() -> impl Strategy<Value = SessionRules> {
    let proxy = (
        any::<bool>(),
        text(),
        any::<u16>(),
        option::of((text(), text())),
    )
        .prop_map(|(socks, host, port, login)| {
            let kind = if socks {
                ProxyKind::Socks5
            } else {
                ProxyKind::Http
            };
            ProxyUrl {
                kind,
                host,
                port,
                login,
            }
        });
    let texts = (
        pairs(),
        option::of(text()),
        option::of(vec(any::<u8>(), 0..80)),
    );
    let times = (duration(), duration(), duration(), duration(), duration());
    let numbers = (
        option::of(any::<u32>()),
        any::<u32>(),
        any::<u32>(),
        any::<u32>(),
    );
    let shared = (text(), credentials()).prop_map(|(origin, credentials)| OriginCredentials {
        origin,
        credentials,
    });
    (
        texts,
        times,
        numbers,
        (any::<bool>(), any::<[bool; 5]>()),
        (option::of(proxy), vec(shared, 0..3), option::of(command())),
        option::of(any::<u64>()),
    )
        .prop_map(
            |(texts, times, numbers, (power, flags), (proxy, shared, command), limit)| {
                SessionRules {
                    headers: texts.0,
                    user_agent: texts.1,
                    timeout_for_request: times.0,
                    timeout_for_resource: times.1,
                    timeout_for_connect: times.2,
                    retries_max: numbers.0,
                    retry_base: times.3,
                    retry_cap: times.4,
                    redirects_max: numbers.1,
                    tasks_max: numbers.2,
                    tasks_per_host_max: numbers.3,
                    durability: if power {
                        Durability::Power
                    } else {
                        Durability::Process
                    },
                    ca_certificates_pem: texts.2,
                    proxy,
                    rate_limit_bytes: limit,
                    credentials: shared,
                    is_discretionary: flags[0],
                    allows_expensive_network_access: flags[1],
                    allows_constrained_network_access: flags[2],
                    session_sends_launch_events: flags[3],
                    launch_command: command,
                    resume_data_on_failure: flags[4],
                }
            },
        )
}

fn command() -> impl Strategy<Value = LaunchCommand> {
    let words = vec("[^/\0]{1,9}", 1..4);
    (words, path(), "[^=\0]{1,9}", "[^\0]{0,9}").prop_map(|(argv, path, name, value)| {
        let command = LaunchCommand::new(argv, PathBuf::from("/").join(path));
        let command = command.and_then(|command| command.variable(name, value));
        command.expect("a command")
    })
}

fn options() -> impl Strategy<Value = TaskOptions> {
    let flags = (any::<bool>(), any::<bool>(), any::<bool>());
    let numbers = (
        0..=1000_u16,
        option::of(timestamp()),
        option::of(any::<u64>()),
    );
    let texts = (
        option::of((text(), text())),
        option::of(text()),
        vec(any::<u16>(), 0..4),
    );
    (flags, numbers, texts).prop_map(|(flags, numbers, texts)| TaskOptions {
        priority: Priority::from_thousandths(numbers.0),
        earliest_begin: numbers.1,
        is_discretionary: flags.0,
        allows_expensive_network_access: flags.1,
        allows_constrained_network_access: flags.2,
        rate_limit_bytes: numbers.2,
        notify_on_finished: texts
            .0
            .map(|(success, failure)| NotificationTitles { success, failure }),
        description: texts.1,
        challenge_statuses: texts.2,
    })
}

pub(super) fn spec() -> impl Strategy<Value = DownloadSpec> {
    let destination = prop_oneof![
        path().prop_map(Destination::File),
        path().prop_map(Destination::Directory)
    ];
    let collision = prop_oneof![
        Just(Collision::Fail),
        Just(Collision::Overwrite),
        Just(Collision::Rename),
        Just(Collision::Skip)
    ];
    let flags = (any::<[bool; 4]>(), options());
    let numbers = (option::of(any::<u64>()), any::<u32>());
    let place = ("[a-z/?=%20]{0,30}", destination, collision);
    (
        place,
        pairs(),
        option::of(credentials()),
        digests(),
        numbers,
        flags,
    )
        .prop_map(
            |(place, headers, credentials, digests, numbers, flags)| DownloadSpec {
                url: url(&format!("http://h.example/{}", place.0)),
                destination: place.1,
                collision: place.2,
                headers,
                credentials,
                digests,
                length: numbers.0,
                connections: numbers.1,
                allow_unvalidated_resume: flags.0[0],
                allow_encoded: flags.0[1],
                allow_downgrade: flags.0[2],
                accept_error_status: flags.0[3],
                options: flags.1,
            },
        )
}

fn span() -> impl Strategy<Value = SpanRecord> {
    let marks = (
        any::<u32>(),
        any::<u32>(),
        any::<u32>(),
        option::of(any::<u32>()),
    );
    (marks, any::<[u8; 32]>()).prop_map(|((start, synced, written, end), tail)| {
        let start = u64::from(start);
        let synced = start + u64::from(synced);
        let written = synced + u64::from(written);
        SpanRecord {
            start,
            synced,
            written,
            end: end.map(|left| written + u64::from(left)),
            tail,
        }
    })
}

pub(super) fn checkpoint() -> impl Strategy<Value = Checkpoint> {
    let stage = prop_oneof![
        Just(Stage::Transferring),
        path().prop_map(Stage::Finishing),
        challenge().prop_map(|challenge| Stage::AwaitingAuthorization(Box::new(challenge)))
    ];
    let tag = (any::<bool>(), "[!#-~]{0,20}").prop_map(|(weak, tag)| {
        let prefix = if weak { "W/" } else { "" };
        Validator::Tag(EntityTag::parse(&format!("{prefix}\"{tag}\"")).unwrap())
    });
    let date =
        (any::<u64>(), any::<bool>()).prop_map(|(last_modified_s, strong)| Validator::Date {
            last_modified_s,
            strong,
        });
    let validator = prop_oneof![tag, date, Just(Validator::None)];
    let part = (path(), any::<[u64; 3]>(), any::<[u8; 16]>()).prop_map(|(path, ids, boot)| Part {
        path,
        identity: FileIdentity {
            device: ids[0],
            inode: ids[1],
        },
        token: ValidityToken {
            boot,
            mount: ids[2],
        },
    });
    let numbers = (
        option::of(any::<u64>()),
        any::<u32>(),
        any::<u32>(),
        any::<bool>(),
        option::of(any::<u16>()),
    );
    let whole = (stage, validator, digests(), option::of(text()));
    let retry = (timestamp(), any::<u32>(), failure()).prop_map(|(at, delay_ms, cause)| Retry {
        at,
        delay: Duration::from_millis(delay_ms.into()),
        cause,
    });
    let retry = option::of(retry);
    let asked = (answers(), any::<u32>(), any::<u32>());
    let parts = (option::of(part), vec(span(), 0..5));
    (whole, parts, numbers, retry, asked).prop_map(
        |(whole, (part, spans), numbers, retry, asked)| Checkpoint {
            stage: whole.0,
            total: numbers.0,
            validator: whole.1,
            status: numbers.4,
            offered_digests: whole.2,
            part,
            spans,
            file_name: whole.3,
            attempts_failed: numbers.1,
            restarts: numbers.2,
            retry,
            length_unverified: numbers.3,
            answers: asked.0,
            counts: Counts {
                requests: asked.1,
                redirects: asked.2,
            },
        },
    )
}

fn challenge() -> impl Strategy<Value = Challenge> {
    let texts = (text(), text(), option::of(text()));
    (texts, any::<u16>(), any::<u32>()).prop_map(|(texts, status, previous_failures)| Challenge {
        host: texts.0,
        status,
        scheme: texts.1,
        realm: texts.2,
        previous_failures,
    })
}

fn answers() -> impl Strategy<Value = Answers> {
    (any::<u32>(), vec(text(), 0..4), any::<bool>()).prop_map(
        |(unproven, rejected_schemes, is_default_handling)| Answers {
            unproven,
            rejected_schemes,
            is_default_handling,
        },
    )
}

fn credentials() -> impl Strategy<Value = Credentials> {
    prop_oneof![
        (text(), text()).prop_map(|(username, password)| Credentials::login(username, password)),
        text().prop_map(Credentials::Bearer),
    ]
}
