//! What lies in the tables: frozen structs, apart from the engine's types, and the way between.
//!
//! A struct that was released never changes. Another layout is another struct and another version
//! number, and the old one stays readable; `golden` holds the bytes of each.

mod checkpoint;
mod event;
mod launch;
mod meta;
mod metrics;
mod options;
mod remote;
mod schedule;
mod session;
mod state;
mod target;
mod task;
mod ticket;
mod upload;

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use longhaul_engine::checksum::{Algorithm, Digest};
use longhaul_engine::failure::{Failure, FailureKind};
use longhaul_engine::resume_data::ResumeData;
use longhaul_engine::safe_url::{HttpUrl, parse_http_url};

pub(crate) use checkpoint::CheckpointV1;
pub(crate) use event::FactV1;
pub(crate) use launch::LaunchV1;
pub(crate) use meta::CounterV1;
pub(crate) use session::SessionV1;
pub(crate) use state::{DesiredV1, EndedV1, StateV1, TicketClaimV1};
pub(crate) use target::{TargetV1, target_key, ticket_key};
pub(crate) use task::TaskV1;
pub(crate) use ticket::{TicketV1, TokenV1};

/// A record that can be read and still is nothing that the engine allows; names the field, never
/// its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unusable(pub(crate) &'static str);

/// Implements [`Record`](crate::codec::Record) for the first version of a kind.
macro_rules! first_version {
    ($record:ty, kind: $kind:literal, bytes_max: $bytes_max:expr) => {
        impl crate::codec::Record for $record {
            const KIND: u8 = $kind;
            const VERSION: u8 = 1;
            const BYTES_MAX: usize = $bytes_max;

            fn read(version: u8, payload: &[u8]) -> Result<Self, crate::codec::CodecError> {
                match version {
                    1 => crate::codec::payload(payload),
                    other => crate::codec::unknown_version(other),
                }
            }
        }
    };
}
pub(crate) use first_version;

/// A path as the bytes that Unix takes it for; not every path is text.
type PathV1 = Vec<u8>;

fn path_to_record(path: &Path) -> PathV1 {
    path.as_os_str().as_bytes().to_vec()
}

fn path_from_record(bytes: PathV1) -> PathBuf {
    PathBuf::from(OsString::from_vec(bytes))
}

fn url_from_record(text: &str) -> Result<HttpUrl, Unusable> {
    let parsed = parse_http_url(text).map_err(|_| Unusable("its URL is none that is allowed"))?;
    Ok(parsed.url)
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DigestV1 {
    algorithm: AlgorithmV1,
    bytes: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum AlgorithmV1 {
    Sha256,
    Sha512,
    Sha1,
    Md5,
    Blake3,
}

impl From<Algorithm> for AlgorithmV1 {
    fn from(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Sha256 => Self::Sha256,
            Algorithm::Sha512 => Self::Sha512,
            Algorithm::Sha1 => Self::Sha1,
            Algorithm::Md5 => Self::Md5,
            Algorithm::Blake3 => Self::Blake3,
        }
    }
}

impl From<AlgorithmV1> for Algorithm {
    fn from(record: AlgorithmV1) -> Self {
        match record {
            AlgorithmV1::Sha256 => Self::Sha256,
            AlgorithmV1::Sha512 => Self::Sha512,
            AlgorithmV1::Sha1 => Self::Sha1,
            AlgorithmV1::Md5 => Self::Md5,
            AlgorithmV1::Blake3 => Self::Blake3,
        }
    }
}

impl From<&Digest> for DigestV1 {
    fn from(digest: &Digest) -> Self {
        Self {
            algorithm: digest.algorithm().into(),
            bytes: digest.bytes().to_vec(),
        }
    }
}

impl TryFrom<DigestV1> for Digest {
    type Error = Unusable;

    fn try_from(record: DigestV1) -> Result<Self, Unusable> {
        Self::new(record.algorithm.into(), record.bytes)
            .ok_or(Unusable("a digest has the wrong length"))
    }
}

fn digests_from_record(records: Vec<DigestV1>) -> Result<Vec<Digest>, Unusable> {
    records.into_iter().map(Digest::try_from).collect()
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FailureV1 {
    kind: FailureKindV1,
    message: String,
    resume_data: Option<Vec<u8>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum FailureKindV1 {
    InvalidRequest,
    TargetExists,
    File,
    NoSpace,
    Resolve,
    Connect,
    Disconnected,
    TimedOut,
    Proxy,
    Tls,
    Authentication,
    Protocol,
    Encoded,
    Redirect,
    Status(u16),
    Unstable,
    Integrity,
    ResourceTimedOut,
    Crashed,
    Store,
    SourceMissing,
    SourceChanged,
    OutcomeUnknown,
}

impl From<&Failure> for FailureV1 {
    fn from(failure: &Failure) -> Self {
        Self {
            kind: failure.kind().into(),
            message: failure.message().to_owned(),
            resume_data: failure.resume_data().map(|data| data.as_bytes().to_vec()),
        }
    }
}

impl From<FailureV1> for Failure {
    fn from(record: FailureV1) -> Self {
        let resume_data = record.resume_data.map(ResumeData::from_bytes);
        Self::new(record.kind.into(), record.message)
            .with_resume_data(resume_data.and_then(Result::ok))
    }
}

/// The two lists of kinds, once. `FailureKind` is open to new kinds; one that this version can not
/// store would be kept as `Crashed`, whose meaning is "our own mistake".
macro_rules! failure_kinds {
    ($($kind:ident),* $(,)?) => {
        impl From<FailureKind> for FailureKindV1 {
            fn from(kind: FailureKind) -> Self {
                match kind {
                    FailureKind::Status(status) => Self::Status(status),
                    $(FailureKind::$kind => Self::$kind,)*
                    _ => Self::Crashed,
                }
            }
        }

        impl From<FailureKindV1> for FailureKind {
            fn from(kind: FailureKindV1) -> Self {
                match kind {
                    FailureKindV1::Status(status) => Self::Status(status),
                    $(FailureKindV1::$kind => Self::$kind,)*
                }
            }
        }
    };
}

failure_kinds! {
    InvalidRequest, TargetExists, File, NoSpace, Resolve, Connect, Disconnected, TimedOut, Proxy,
    Tls, Authentication, Protocol, Encoded, Redirect, Unstable, Integrity, ResourceTimedOut,
    Crashed, Store, SourceMissing, SourceChanged, OutcomeUnknown,
}
