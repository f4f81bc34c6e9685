//! Interim answers: a 104 (Upload Resumption Supported) names the place of an upload, and later ones
//! how much of it is there.

use crate::http::head::ResponseHead;
use crate::upload::operation::{Act, Dialect, Operation};
use crate::upload::protocol::{Capability, Evidence, Protocol, UploadProtocol, ietf};
use crate::upload::{Action, RequestId, Upload};

/// Upload Resumption Supported (draft-ietf-httpbis-resumable-upload section 5).
const UPLOAD_RESUMPTION_SUPPORTED: u16 = 104;

impl Upload {
    /// The body of the request waits until it is let flow on: at once, or when the place that the
    /// answer names is on record.
    pub(super) fn interim(&mut self, request: RequestId, head: &ResponseHead) {
        let offered = match self.operation {
            Operation::Whole {
                offer: Some(version),
            }
            | Operation::Place(Dialect::Ietf(version), Act::Create(_) | Act::Append(_)) => {
                Some(version)
            }
            Operation::Discover
            | Operation::Whole { offer: None }
            | Operation::SeeOther
            | Operation::Place(_, _) => None,
        };
        if head.status == UPLOAD_RESUMPTION_SUPPORTED
            && let Some(version) = offered
        {
            self.resumption_supported(version, head);
        }
        self.let_flow(request);
    }

    /// Lets the body flow on, when nothing is to be recorded before.
    pub(super) fn let_flow(&mut self, request: RequestId) {
        let unheard = self.unheard_ahead();
        self.is_held = !self.is_on_record(unheard);
        if !self.is_held {
            return self.act(Action::Proceed(request));
        }
        if self.in_flight.is_none() {
            let checkpoint = self.checkpoint(unheard);
            self.record(checkpoint);
        }
    }

    fn resumption_supported(&mut self, version: u16, head: &ResponseHead) {
        // A 104 of another version, or of none, is none (section 4.1 of the drafts).
        match ietf::version(head) {
            Some(found) if found == version => {}
            found => {
                self.negotiation.other_version = found.or(self.negotiation.other_version);
                return;
            }
        }
        let held = ietf::held(head, self.now);
        if self.remote.is_none() && self.adopt(Dialect::Ietf(version), head).is_ok() {
            let is_offer = matches!(self.operation, Operation::Whole { .. });
            if is_offer && self.spec.protocol == UploadProtocol::Auto {
                self.act(Action::Remember(Capability::IetfInterim {
                    interop: version,
                }));
            }
            self.agree(Protocol::Ietf { interop: version }, Evidence::Interim);
        }
        let length = self.length();
        let offset = held.offset.filter(|offset| *offset <= length);
        self.note_terms(&held);
        if let (Some(remote), Some(offset)) = (&mut self.remote, offset)
            && offset > remote.acknowledged
        {
            remote.acknowledged = offset;
            self.advanced();
        }
    }
}
