//! The lines of `--json`, field by field. The names are stable: fields are added, never changed.

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use longhaul::limits::RESPONSE_BODY_BYTES_MAX;
use longhaul::{Destination, Evidence, Finished, Negotiated, Progress, Protocol, Uploaded};
use serde::Serialize;

use crate::ledger::Tally;
use crate::report::Label;
use crate::transfer::{Kind, Place};

/// One line.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(super) enum Line<'a> {
    Run {
        schema: u32,
        #[serde(flatten)]
        count: Count,
        state: &'a str,
    },
    Started {
        #[serde(flatten)]
        about: About,
        #[serde(flatten)]
        file: File<'a>,
    },
    Resumed {
        #[serde(flatten)]
        about: About,
        held_bytes: u64,
        total_bytes: Option<u64>,
    },
    Negotiated {
        #[serde(flatten)]
        about: About,
        #[serde(flatten)]
        spoken: Spoken,
    },
    Progress {
        task: u64,
        #[serde(flatten)]
        moved: Moved,
    },
    Retrying {
        #[serde(flatten)]
        about: About,
        retry: u32,
        at_unix_ms: u64,
        code: &'a str,
        message: &'a str,
    },
    Finished {
        #[serde(flatten)]
        about: About,
        #[serde(flatten)]
        end: End<'a>,
    },
    Skipped {
        #[serde(flatten)]
        about: About,
        path: &'a str,
    },
    Failed {
        #[serde(flatten)]
        about: About,
        code: &'a str,
        message: &'a str,
        exit_code: u8,
        is_resumable: bool,
    },
    Stopped {
        signal: &'a str,
        exit_code: u8,
        is_resumable: bool,
    },
    Fault {
        code: &'a str,
        message: &'a str,
        exit_code: u8,
    },
    Summary {
        #[serde(flatten)]
        totals: Totals,
        exit_code: u8,
        is_resumable: bool,
    },
}

/// How many transfers a run has.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Count {
    Downloads(usize),
    Uploads(usize),
}

/// Which transfer a line is about. The URL is the safe one.
#[derive(Serialize)]
pub(crate) struct About {
    pub(super) task: Option<u64>,
    pub(super) url: String,
}

/// The file of a transfer.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum File<'a> {
    Destination(Cow<'a, str>),
    Source(Cow<'a, str>),
}

/// How an upload is sent, and why so.
#[derive(Serialize)]
pub(crate) struct Spoken {
    protocol: &'static str,
    interop: Option<u16>,
    evidence: &'static str,
    is_resumable: bool,
}

/// How far a transfer is.
#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum Moved {
    Received {
        received_bytes: u64,
        total_bytes: Option<u64>,
    },
    Sent {
        sent_bytes: u64,
        acknowledged_bytes: u64,
        total_bytes: Option<u64>,
    },
}

/// What a transfer has brought.
#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum End<'a> {
    Downloaded {
        path: Cow<'a, str>,
        bytes: u64,
        length_unverified: bool,
        status: u16,
    },
    Uploaded {
        bytes: u64,
        status: u16,
        /// By their names in small letters, as curl's `header_json` has them.
        headers: BTreeMap<String, Vec<&'a str>>,
        #[serde(flatten)]
        body: Body<'a>,
        body_is_cut: bool,
    },
}

/// What a server has answered.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Body<'a> {
    Body(&'a str),
    BodyBase64(String),
}

/// What became of a run.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Totals {
    Downloads {
        downloads: usize,
        finished: usize,
        skipped: usize,
        failed: usize,
        received_bytes: u64,
    },
    Uploads {
        uploads: usize,
        finished: usize,
        failed: usize,
        acknowledged_bytes: u64,
    },
}

impl Count {
    pub(super) const fn new(kind: Kind, transfers: usize) -> Self {
        match kind {
            Kind::Downloads => Self::Downloads(transfers),
            Kind::Uploads => Self::Uploads(transfers),
        }
    }
}

impl About {
    pub(super) fn new(label: Label<'_>) -> Self {
        Self {
            task: label.task.map(|id| id.get()),
            url: label.url.to_string(),
        }
    }
}

impl<'a> File<'a> {
    pub(super) fn new(place: Place<'a>) -> Self {
        match place {
            Place::Destination(Destination::File(path) | Destination::Directory(path)) => {
                Self::Destination(path.to_string_lossy())
            }
            Place::Source(path) => Self::Source(path.to_string_lossy()),
        }
    }
}

impl Spoken {
    pub(super) const fn new(negotiated: Negotiated) -> Self {
        let Negotiated { protocol, evidence } = negotiated;
        let (name, interop) = match protocol {
            Protocol::Plain => ("plain", None),
            Protocol::Tus => ("tus", None),
            Protocol::Ietf { interop } => ("ietf", Some(interop)),
        };
        let evidence = match evidence {
            Evidence::Requested => "requested",
            Evidence::Recorded => "recorded",
            Evidence::Remembered => "remembered",
            Evidence::Options => "options",
            Evidence::Interim => "interim",
            Evidence::Nothing => "nothing",
            Evidence::OtherVersion(_) => "other_version",
            Evidence::Small => "small",
            Evidence::Refusal => "refusal",
            // The enum may grow.
            _ => "other",
        };
        Self {
            protocol: name,
            interop,
            evidence,
            is_resumable: protocol.is_resumable(),
        }
    }
}

impl Moved {
    pub(super) const fn new(kind: Kind, progress: Progress) -> Self {
        let Progress {
            received_bytes,
            sent_bytes,
            acknowledged_bytes,
            total_bytes,
        } = progress;
        match kind {
            Kind::Downloads => Self::Received {
                received_bytes,
                total_bytes,
            },
            Kind::Uploads => Self::Sent {
                sent_bytes,
                acknowledged_bytes,
                total_bytes,
            },
        }
    }
}

impl<'a> End<'a> {
    pub(super) fn downloaded(finished: &'a Finished) -> Self {
        Self::Downloaded {
            path: finished.path.to_string_lossy(),
            bytes: finished.bytes,
            length_unverified: finished.length_unverified,
            status: finished.status,
        }
    }

    pub(super) fn uploaded(uploaded: &'a Uploaded) -> Self {
        let mut headers: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for (name, value) in &uploaded.headers {
            let values = headers.entry(name.to_ascii_lowercase()).or_default();
            values.push(value);
        }
        Self::Uploaded {
            bytes: uploaded.bytes,
            status: uploaded.status,
            headers,
            body: Body::new(&uploaded.response),
            body_is_cut: uploaded.response.len() >= RESPONSE_BODY_BYTES_MAX,
        }
    }
}

impl<'a> Body<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::Body(text),
            Err(_) => Self::BodyBase64(BASE64_STANDARD.encode(bytes)),
        }
    }
}

impl Totals {
    pub(super) const fn new(kind: Kind, tally: Tally) -> Self {
        let Tally {
            transfers,
            finished,
            skipped,
            failed,
            kept_bytes,
        } = tally;
        match kind {
            Kind::Downloads => Self::Downloads {
                downloads: transfers,
                finished,
                skipped,
                failed,
                received_bytes: kept_bytes,
            },
            Kind::Uploads => Self::Uploads {
                uploads: transfers,
                finished,
                failed,
                acknowledged_bytes: kept_bytes,
            },
        }
    }
}

#[cfg(test)]
mod tests;
