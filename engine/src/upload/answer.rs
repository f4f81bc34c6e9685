//! What the final answer means for an upload.

use crate::failure::{Failure, FailureKind};
use crate::http::challenge::{self, Challenge};
use crate::http::head::ResponseHead;
use crate::http::redirect::{self, RedirectLimits, Redirectable};
use crate::http::retry_after;
use crate::resume::status_failure;
use crate::task::{Outcome, Uploaded};
use crate::upload::{Action, Leave, RequestId, Step, Upload};

/// Answers to the challenges of one request: the first one, and some for nonces that grew too old
/// on the way. A server with a new nonce for each answer would otherwise be asked for ever.
const ANSWERS_MAX: u32 = 4;

impl Upload {
    /// The table of answers. One that came while the body still flowed has ended it, and is obeyed
    /// like any other; only a success needs every byte.
    pub(super) fn answered(&mut self, request: RequestId, head: &ResponseHead) {
        match head.status {
            200..=299 if self.is_all_sent() => {
                self.step = Step::Receiving(head.status);
                self.act(Action::Receive(request));
            }
            200..=299 => self.lose(self.too_early(head.status), None),
            301 | 302 | 303 | 307 | 308 => self.redirected(request, head),
            401 | 407 => self.challenged(request, head),
            417 if self.expects_continue() => {
                // RFC 9110 section 15.5.18: the same again without the expectation.
                self.hop.refuses_expectations = true;
                self.act(Action::Drain(request));
                self.ask();
            }
            408 | 425 | 429 | 500 | 502 | 503 | 504 => {
                let delay = retry_after::from_head(head, self.now.as_unix_secs());
                self.lose(status_failure(head.status), delay);
            }
            400..=599 => self.lose(status_failure(head.status), None),
            status => self.lose(
                Failure::new(
                    FailureKind::Protocol,
                    format!(
                        "the server answered an upload with status {status}, which has no meaning \
                         there"
                    ),
                ),
                None,
            ),
        }
    }

    /// A success for bytes that the server can not have: it does not say what it means.
    fn too_early(&self, status: u16) -> Failure {
        let (sent, length) = (self.sent, self.length());
        Failure::new(
            FailureKind::Protocol,
            format!("the server answered {status} after {sent} of {length} bytes and took no more"),
        )
    }

    pub(super) fn received(&mut self, mut response: Vec<u8>) {
        let Step::Receiving(status) = self.step else {
            return;
        };
        response.truncate(crate::limits::RESPONSE_BODY_BYTES_MAX);
        self.act(Action::ReleasePlace);
        self.close(Outcome::Uploaded(Uploaded {
            status,
            bytes: self.length(),
            response,
        }));
    }

    fn redirected(&mut self, request: RequestId, head: &ResponseHead) {
        let redirectable = Redirectable {
            url: &self.hop.url,
            method: &self.hop.method,
            followed: self.hop.redirects,
            limits: RedirectLimits {
                redirects_max: self.rules.redirects_max,
                allow_downgrade: self.spec.allow_downgrade,
            },
        };
        let next = redirect::next(&redirectable, head);
        self.act(Action::Drain(request));
        let refused = |message: String| Failure::new(FailureKind::Redirect, message);
        let next = match next {
            Ok(Some(next)) => next,
            Ok(None) => {
                let message = format!("a redirect with status {} leads nowhere", head.status);
                return self.fail(refused(message));
            }
            Err(error) => return self.fail(refused(error.to_string())),
        };
        // Only "see other" answers the request itself. The other two say that the place is another
        // one, and a POST may stay a POST there (RFC 9110 sections 15.4.2 and 15.4.3): made into a
        // GET, its success would acknowledge a file that nobody took.
        let sees_other = head.status == 303 && self.hop.has_body;
        if sees_other && !self.is_all_sent() {
            return self.fail(refused(
                "the server pointed elsewhere (303) before it had taken the file".to_owned(),
            ));
        }
        self.hop.is_same_origin &= next.same_origin;
        self.hop.redirects += 1;
        self.hop.url = next.url;
        if sees_other {
            self.hop.has_body = false;
            "GET".clone_into(&mut self.hop.method);
        }
        self.ask();
    }

    fn challenged(&mut self, request: RequestId, head: &ResponseHead) {
        let challenges = challenge::of_server(head);
        let is_stale = challenges.iter().any(is_stale);
        let may_answer = head.status == 401
            && self.hop.is_same_origin
            && self.spec.credentials.is_some()
            && !challenges.is_empty()
            && (self.hop.answers == 0
                || (is_stale && self.challenges != challenges && self.hop.answers < ANSWERS_MAX));
        self.act(Action::Drain(request));
        if may_answer {
            self.challenges = challenges;
            self.nonce_count = 0;
            // One for each nonce of the server's (RFC 7616 3.4: the -sess algorithms bind both).
            let (high, low) = (self.jitter.next_u64(), self.jitter.next_u64());
            self.client_nonce = format!("{high:016x}{low:016x}");
            if let Some(answer) = self.authorization() {
                return self.send(Some(answer));
            }
        }
        self.leave(Leave::Authorization);
    }
}

/// Whether only the nonce of an answer was too old, so that the same password is worth a try.
const fn is_stale(challenge: &Challenge) -> bool {
    matches!(challenge, Challenge::Digest(digest) if digest.stale)
}
