//! The requests of an upload: where to, what goes along, how the caller proves itself.

use crate::authorizer::Applicant;
use crate::checksum::{Algorithm, Digest, blake3, hex};
use crate::failure::Failure;
use crate::http::redirect;
use crate::limits::EXPECT_CONTINUE_BYTES_MIN;
use crate::task::UploadSpec;
use crate::upload::operation::{Act, Brief, Companions, Dialect, Form, Operation};
use crate::upload::protocol::{UploadProtocol, ietf};
use crate::upload::{Action, Ask, Hop, RequestBody, RequestId, Step, Upload};

/// Fields that describe the body. They are no secrets, and without them a server takes another one
/// for it: so they go where the body goes, and nowhere else (RFC 9110 section 15.4).
const BODY_FIELDS: [&str; 4] = [
    "content-encoding",
    "content-language",
    "content-location",
    "content-type",
];

/// Fields of the caller's own request that mean something else, or nothing, in any other one:
/// conditions on the target, and what tells repetitions and the file (RFC 9110 section 13.1, RFC 9530).
const REQUEST_FIELDS: [&str; 4] = [
    "digest",
    "idempotency-key",
    "repr-digest",
    "want-repr-digest",
];

impl Upload {
    /// Goes on with this, from the place where it is to be asked first.
    pub(super) fn go(&mut self, operation: Operation) {
        self.begin_request(operation);
        self.prepare();
    }

    /// The next request is for this.
    pub(super) fn begin_request(&mut self, operation: Operation) {
        let task_url = &self.spec.url;
        self.hop = match (&self.remote, operation) {
            (Some(remote), Operation::Place(_, Act::Offset | Act::Append(_) | Act::Terminate)) => {
                let is_same_origin = redirect::same_origin(task_url.as_url(), remote.url.as_url());
                Hop::new(remote.url.clone(), is_same_origin)
            }
            (
                _,
                Operation::Discover
                | Operation::Whole { .. }
                | Operation::SeeOther
                | Operation::Place(_, _),
            ) => Hop::new(task_url.clone(), true),
        };
        self.operation = operation;
        self.sent = 0;
        self.digest = None;
    }

    /// Sends the next request when all is there that it needs: what must be on record before, and
    /// the digest that goes along.
    pub(super) fn prepare(&mut self) {
        let unheard = self.unheard_ahead();
        if self.in_flight.is_some() || !self.is_on_record(unheard) {
            self.step = Step::Announcing;
            if self.in_flight.is_none() {
                let checkpoint = self.checkpoint(unheard);
                self.record(checkpoint);
            }
            return;
        }
        match self.digest_due() {
            Some((offset, length, algorithm)) if self.digest.is_none() => {
                self.step = Step::Digesting;
                self.act(Action::Digest {
                    offset,
                    length,
                    algorithm,
                });
            }
            Some(_) | None => self.ask(),
        }
    }

    pub(super) fn digested(&mut self, result: Result<Digest, Failure>) {
        if self.step != Step::Digesting {
            return;
        }
        match result {
            Ok(digest) => {
                self.digest = Some(digest);
                self.ask();
            }
            Err(failure) => self.lose(failure, None),
        }
    }

    /// Sends the request, the first time or again elsewhere or with credentials, with its body from
    /// the beginning.
    pub(super) fn ask(&mut self) {
        let brief = brief(&self.spec, self.length());
        let form = self.operation.form(&Brief {
            digest: self.digest.as_ref(),
            overrides_method: self.oddities.refuses_patch,
            ..brief
        });
        self.hop.method.clone_from(&form.method);
        let applicant = Applicant::of_upload(&self.spec, &self.rules, &self.answers);
        let authorization = self.authorizer.field(applicant, self.hop.petition());
        let request = RequestId(self.next_request);
        self.next_request += 1;
        let mut headers = self.companions(&form);
        if let Some(value) = authorization {
            self.hop.answers += 1;
            headers.retain(|(name, _)| !name.eq_ignore_ascii_case("authorization"));
            headers.push(("authorization".to_owned(), value));
        }
        let fields = form.fields.into_iter();
        headers.extend(fields.map(|(name, value)| (name.to_owned(), value)));
        let body = self.operation.body(self.length());
        let body = body.map(|(offset, length)| RequestBody {
            offset,
            length,
            expects_continue: self.expects_continue(),
        });
        if body.is_some() {
            self.sent = 0;
        }
        self.counts.requests = self.counts.requests.saturating_add(1);
        self.step = Step::Asking(request);
        self.is_held = false;
        self.act(Action::Ask(Ask {
            request,
            method: form.method,
            url: self.hop.url.clone(),
            headers,
            body,
        }));
    }

    /// The caller's fields that go along, and a key of ours that tells repetitions.
    fn companions(&self, form: &Form) -> Vec<(String, String)> {
        let is_ours = |name: &str| {
            let mut fields = form.fields.iter();
            fields.any(|(ours, _)| ours.eq_ignore_ascii_case(name))
        };
        let mut headers = Vec::new();
        let mut has_key = false;
        for (name, value) in self.rules.headers_with(&self.spec.headers) {
            has_key |= name.eq_ignore_ascii_case("idempotency-key");
            if !is_ours(name) && self.goes_along(name, form.companions) {
                headers.push((name.clone(), value.clone()));
            }
        }
        let is_offer = matches!(self.operation, Operation::Whole { offer: Some(_) });
        // A key that was used for an upload that is gone would be answered with that.
        let is_first = self.restarts == 0;
        let is_open = self.spec.protocol == UploadProtocol::Auto;
        if is_offer && is_open && is_first && !has_key && self.spec.request_id != 0 {
            headers.push(("idempotency-key".to_owned(), self.repetition_key()));
        }
        headers
    }

    /// A key that is the same whenever this task sends this file, and for no other task or file: the
    /// same request made anew is meant to be taken anew (draft-ietf-httpapi-idempotency-key-header).
    fn repetition_key(&self) -> String {
        let mut named = self.spec.request_id.to_be_bytes().to_vec();
        named.extend(self.created_at.as_unix_ms().to_be_bytes());
        if let Some(source) = &self.source {
            named.extend(source.length.to_be_bytes());
            named.extend(source.modified_s.to_be_bytes());
            named.extend(source.modified_ns.to_be_bytes());
            named.extend(source.samples);
        }
        format!("\"{}\"", hex(&blake3(&named)[..16]))
    }

    fn goes_along(&self, name: &str, companions: Companions) -> bool {
        let lower = name.to_ascii_lowercase();
        let describes_body = BODY_FIELDS.contains(&lower.as_str());
        let has_body = self.operation != Operation::SeeOther;
        let is_kept = redirect::keeps_header(name, self.hop.is_same_origin);
        match companions {
            Companions::All if describes_body => has_body,
            Companions::All => is_kept,
            Companions::AllButContent => is_kept && !lower.starts_with("content-"),
            Companions::OfTheCaller => {
                is_kept
                    && !lower.starts_with("content-")
                    && !lower.starts_with("if-")
                    && !REQUEST_FIELDS.contains(&lower.as_str())
            }
        }
    }

    pub(super) fn expects_continue(&self) -> bool {
        let is_whole = matches!(self.operation, Operation::Whole { .. });
        is_whole
            && !self.oddities.refuses_expectations
            && self.length() >= EXPECT_CONTINUE_BYTES_MIN
    }

    /// The part of the file whose digest goes along with the next request, as offset, length and
    /// algorithm.
    fn digest_due(&self) -> Option<(u64, u64, Algorithm)> {
        match self.operation {
            Operation::Place(Dialect::Tus, Act::Append(piece)) if piece.length > 0 => {
                let algorithm = self.remote.as_ref()?.checksum?;
                Some((piece.offset, piece.length, algorithm))
            }
            Operation::Whole { offer: Some(_) }
            | Operation::Place(Dialect::Ietf(_), Act::Create(_)) => {
                let algorithm = self.spec.checksum?;
                ietf::digest_name(algorithm)?;
                Some((0, self.length(), algorithm))
            }
            Operation::Discover
            | Operation::Whole { offer: None }
            | Operation::SeeOther
            | Operation::Place(Dialect::Tus, Act::Create(_) | Act::Append(_))
            | Operation::Place(Dialect::Ietf(_), Act::Append(_))
            | Operation::Place(_, Act::Offset | Act::Terminate) => None,
        }
    }

    /// Reads what is left of an answer, which ends its request.
    pub(super) fn drain(&mut self, request: RequestId) {
        self.act(Action::Drain(request));
    }
}

fn brief(spec: &UploadSpec, length: u64) -> Brief<'_> {
    Brief {
        method: &spec.method,
        metadata: &spec.metadata,
        length,
        digest: None,
        overrides_method: false,
    }
}
