//! What the final answer means for an upload.

use crate::authorizer::{Applicant, Verdict};
use crate::failure::{Failure, FailureKind};
use crate::http::head::ResponseHead;
use crate::http::redirect::{self, RedirectLimits, Redirectable};
use crate::http::retry_after;
use crate::resume::status_failure;
use crate::task::{Outcome, Uploaded};
use crate::upload::{Action, Leave, RequestId, Step, Upload};

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
            status if self.is_asked_about(status) => self.challenged(request, head),
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
            headers: Vec::new(),
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
        self.counts.redirects = self.counts.redirects.saturating_add(1);
        self.hop.url = next.url;
        if sees_other {
            self.hop.has_body = false;
            "GET".clone_into(&mut self.hop.method);
        }
        self.ask();
    }

    /// An answer wants credentials, or its status is one that the owner is asked about.
    fn challenged(&mut self, request: RequestId, head: &ResponseHead) {
        let applicant = Applicant::of_upload(&self.spec, &self.rules, &self.answers);
        let asked = (applicant, self.hop.petition());
        let verdict = self.authorizer.challenged(head, asked, &mut self.jitter);
        self.act(Action::Drain(request));
        match verdict {
            Verdict::Show => self.ask(),
            Verdict::Ask(asked) => self.leave(Leave::Authorization(asked)),
            Verdict::Fail(failure) => self.fail(failure),
        }
    }

    fn is_asked_about(&self, status: u16) -> bool {
        Applicant::of_upload(&self.spec, &self.rules, &self.answers).is_asked_about(status)
    }
}
