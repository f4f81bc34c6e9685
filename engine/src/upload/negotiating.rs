//! Which protocol an upload speaks: what was recorded before what was asked for, what is known of the
//! server before a question, and the caller's own request when nothing is proven.
//!
//! A server that has proven nothing never gets an empty request, nor one that says that more is to
//! come: it would take it for the whole.

use crate::download::News;
use crate::failure::{Failure, FailureKind};
use crate::http::head::ResponseHead;
use crate::limits::{CREATION_BYTES_MAX, UPLOAD_PROBE_BYTES_MIN};
use crate::resume::status_failure;
use crate::upload::holding::Answer;
use crate::upload::operation::{Act, Dialect, Operation};
use crate::upload::protocol::{
    Capability, Evidence, INTEROP_DEFAULT, INTEROP_KNOWN, Negotiated, Protocol, TusExtensions,
    UploadLimits, UploadProtocol, discovery,
};
use crate::upload::{Action, Upload};

/// What this transfer knows of how its server speaks.
#[derive(Debug, Default)]
pub(super) struct Negotiation {
    /// What was known before; nothing once it has turned out wrong.
    known: Option<Capability>,
    /// What was told last.
    agreed: Option<Negotiated>,
    /// The server was asked in this transfer.
    is_discovered: bool,
    /// A server of tus has said what it can do.
    pub(super) extensions: Option<TusExtensions>,
    /// What a server of the IETF draft allows.
    pub(super) limits: UploadLimits,
    /// The version of a 104 that is not the one that was offered.
    pub(super) other_version: Option<u16>,
    /// The answer that made us ask the server what it supports.
    refused: Option<Failure>,
    /// A refusal said that the server speaks tus.
    met_tus: bool,
    /// It was told that the upload goes on with what an earlier transfer has sent.
    pub(super) is_resumed: bool,
}

impl Negotiation {
    pub(super) fn new(known: Option<Capability>) -> Self {
        Self {
            known,
            ..Self::default()
        }
    }

    /// The upload goes on with what an earlier transfer has begun.
    pub(super) fn is_recorded(&self) -> bool {
        let agreed = self.agreed.map(|agreed| agreed.evidence);
        agreed == Some(Evidence::Recorded)
    }
}

impl Upload {
    /// Begins with what is to be asked first.
    pub(super) fn negotiate(&mut self) {
        if let Some(remote) = &self.remote
            && let Some(dialect) = Dialect::of(remote.protocol)
        {
            self.agree(dialect.protocol(), Evidence::Recorded);
            return self.go(Operation::Place(dialect, Act::Offset));
        }
        match self.spec.protocol {
            UploadProtocol::Plain => self.go_plain(Evidence::Requested),
            UploadProtocol::Ietf { interop } => self.go_careful(interop, Evidence::Requested),
            UploadProtocol::Tus => self.negotiate_tus(),
            UploadProtocol::Auto => self.negotiate_openly(),
        }
    }

    fn negotiate_tus(&mut self) {
        let is_to_be_checked = self.spec.checksum.is_some();
        let extensions = match self.negotiation.known.take() {
            Some(Capability::Tus(extensions)) => Some(extensions),
            Some(Capability::Plain | Capability::Ietf { .. } | Capability::IetfInterim { .. })
            | None => self.negotiation.extensions,
        };
        // Without its word on checksums a server is sent none.
        if extensions.is_none() && is_to_be_checked && !self.negotiation.is_discovered {
            self.agree(Protocol::Tus, Evidence::Requested);
            return self.discover();
        }
        self.go_tus(extensions, Evidence::Requested);
    }

    fn negotiate_openly(&mut self) {
        match self.negotiation.known.clone() {
            Some(known) => self.go_with(known, Evidence::Remembered),
            None if self.negotiation.is_discovered => self.go_optimistic(INTEROP_DEFAULT),
            None if self.length() < UPLOAD_PROBE_BYTES_MIN => self.go_plain(Evidence::Small),
            None => self.discover(),
        }
    }

    fn go_with(&mut self, capability: Capability, evidence: Evidence) {
        match capability {
            Capability::Plain => self.go_plain(evidence),
            Capability::Tus(extensions) => self.go_tus(Some(extensions), evidence),
            Capability::Ietf { interop, limits } => {
                self.negotiation.limits = limits;
                self.go_careful(interop, evidence);
            }
            Capability::IetfInterim { interop } => self.go_optimistic(interop),
        }
    }

    fn go_plain(&mut self, evidence: Evidence) {
        self.agree(Protocol::Plain, evidence);
        self.go(Operation::Whole { offer: None });
    }

    /// The caller's request, with the offer to make it resumable.
    fn go_optimistic(&mut self, interop: u16) {
        let offer = Some(interop);
        self.go(Operation::Whole { offer });
    }

    fn go_tus(&mut self, extensions: Option<TusExtensions>, evidence: Evidence) {
        self.agree(Protocol::Tus, evidence);
        self.negotiation.extensions = extensions;
        let known = extensions.unwrap_or_default();
        if known.size_max.is_some_and(|most| most < self.length()) {
            return self.fail(too_long(known.size_max));
        }
        // A request that brings the last byte may be taken for done, and must not be sent twice.
        let may_bring_all = known.creation_with_upload
            && self.is_declared_repeatable()
            && self.spec.checksum.is_none()
            && self.length() <= CREATION_BYTES_MAX;
        let length = if may_bring_all { self.length() } else { 0 };
        self.go(Operation::Place(Dialect::Tus, Act::Create(length)));
    }

    /// A place is made before any byte flows. An empty file is whole with the request that makes it.
    fn go_careful(&mut self, interop: u16, evidence: Evidence) {
        self.agree(Protocol::Ietf { interop }, evidence);
        if self
            .negotiation
            .limits
            .size_max
            .is_some_and(|most| most < self.length())
        {
            return self.fail(too_long(self.negotiation.limits.size_max));
        }
        match self.length() {
            0 => self.go_optimistic(interop),
            _ => self.go(Operation::Place(Dialect::Ietf(interop), Act::Create(0))),
        }
    }

    fn discover(&mut self) {
        self.negotiation.is_discovered = true;
        self.negotiation.known = None;
        self.go(Operation::Discover);
    }

    /// What the server supports is known as far as it says it.
    pub(super) fn discovered(&mut self, head: Option<&ResponseHead>) {
        let capability = head.and_then(discovery::capability);
        if let Some(capability) = &capability {
            self.act(Action::Remember(capability.clone()));
        }
        if self.spec.protocol == UploadProtocol::Tus {
            let extensions = match capability {
                Some(Capability::Tus(extensions)) => Some(extensions),
                Some(
                    Capability::Plain | Capability::Ietf { .. } | Capability::IetfInterim { .. },
                )
                | None => None,
            };
            return self.go_tus(extensions, Evidence::Requested);
        }
        match (capability, self.negotiation.refused.take()) {
            (Some(capability), _) => self.go_with(capability, Evidence::Options),
            (None, _) if self.negotiation.met_tus => self.go_tus(None, Evidence::Refusal),
            (None, Some(refused)) => self.fail(refused),
            (None, None) => self.go_optimistic(INTEROP_DEFAULT),
        }
    }

    /// Whether the server is to be asked what it supports after it has refused a request with this
    /// status: one of a resumable protocol refuses so what is not in it. It is asked once.
    pub(super) fn may_discover_after(&self, status: u16) -> bool {
        let may_tell = match self.operation {
            Operation::Whole { .. } | Operation::Place(_, Act::Create(_)) => {
                matches!(status, 400 | 404 | 405 | 412 | 415 | 501)
            }
            Operation::Discover
            | Operation::SeeOther
            | Operation::Place(_, Act::Offset | Act::Append(_) | Act::Terminate) => false,
        };
        let is_open = self.spec.protocol == UploadProtocol::Auto && self.remote.is_none();
        may_tell && is_open && !self.negotiation.is_discovered
    }

    pub(super) fn discover_after(&mut self, status: u16) {
        // What was refused may have been meant for a server that is another one by now.
        let is_of_caller = matches!(self.operation, Operation::Whole { .. });
        self.negotiation.refused = is_of_caller.then(|| status_failure(status));
        self.discover();
    }

    /// A server of tus has refused a request, and says what it speaks. It is asked in that, unless it
    /// was.
    pub(super) fn met_tus(&mut self, (request, head): Answer<'_>) {
        let is_offer = matches!(self.operation, Operation::Whole { .. });
        let is_open = self.spec.protocol == UploadProtocol::Auto && self.remote.is_none();
        if !is_offer || !is_open {
            return self.fail_of_version(head.status);
        }
        self.negotiation.met_tus = true;
        self.drain(request);
        match self.negotiation.is_discovered {
            true => self.go_tus(None, Evidence::Refusal),
            false => self.discover(),
        }
    }

    fn fail_of_version(&mut self, status: u16) {
        self.fail(Failure::new(
            FailureKind::Protocol,
            format!(
                "the server answered {status} and speaks another protocol for uploads, or another \
                 version of it; ask for that one, or let it be found out"
            ),
        ));
    }

    /// The answer to the caller's own request has come, or will not: no 104 before it, and the server
    /// has proven nothing.
    pub(super) fn settle_offer(&mut self) {
        let is_offer = matches!(self.operation, Operation::Whole { offer: Some(_) });
        if !is_offer || self.remote.is_some() || self.spec.protocol != UploadProtocol::Auto {
            return;
        }
        let evidence = match self.negotiation.other_version {
            Some(version) => Evidence::OtherVersion(version),
            None => Evidence::Nothing,
        };
        self.agree(Protocol::Plain, evidence);
    }

    /// The server has taken the caller's own request, and how it speaks is proven by that.
    pub(super) fn remember_taken(&mut self) {
        if !self.negotiation.is_discovered || self.remote.is_some() {
            return;
        }
        match self.negotiation.other_version {
            Some(interop) if INTEROP_KNOWN.contains(&interop) => {
                self.act(Action::Remember(Capability::IetfInterim { interop }));
            }
            Some(_) | None => self.act(Action::Remember(Capability::Plain)),
        }
    }

    /// Tells what is spoken, when that is new.
    pub(super) fn agree(&mut self, protocol: Protocol, evidence: Evidence) {
        let is_new = self
            .negotiation
            .agreed
            .is_none_or(|agreed| agreed.protocol != protocol);
        if is_new {
            let negotiated = Negotiated { protocol, evidence };
            self.negotiation.agreed = Some(negotiated);
            self.act(Action::Tell(News::Negotiated(negotiated)));
        }
    }
}

fn too_long(most: Option<u64>) -> Failure {
    let most = most.unwrap_or_default();
    Failure::new(
        FailureKind::Status(413),
        format!("the server takes files of at most {most} bytes, and this one is longer"),
    )
}
