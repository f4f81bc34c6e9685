//! The requests of an upload: where to, what goes along, how the caller proves itself.

use crate::authorizer::Applicant;
use crate::http::redirect;
use crate::limits::EXPECT_CONTINUE_BYTES_MIN;
use crate::upload::{Action, Ask, RequestBody, RequestId, Step, Upload};

/// Fields that describe the body. They are no secrets, and without them a server takes another one
/// for it: so they go where the body goes, and nowhere else (RFC 9110 section 15.4).
const BODY_FIELDS: [&str; 4] = [
    "content-encoding",
    "content-language",
    "content-location",
    "content-type",
];

impl Upload {
    /// Sends the request, the first time or again elsewhere or with credentials, from the first byte.
    pub(super) fn ask(&mut self) {
        let applicant = Applicant::of_upload(&self.spec, &self.rules, &self.answers);
        let authorization = self.authorizer.field(applicant, self.hop.petition());
        let request = RequestId(self.next_request);
        self.next_request += 1;
        let mut headers = Vec::new();
        for (name, value) in self.rules.headers_with(&self.spec.headers) {
            if self.goes_along(name) {
                headers.push((name.clone(), value.clone()));
            }
        }
        if let Some(value) = authorization {
            self.hop.answers += 1;
            headers.retain(|(name, _)| !name.eq_ignore_ascii_case("authorization"));
            headers.push(("authorization".to_owned(), value));
        }
        let body = self.hop.has_body.then(|| RequestBody {
            offset: 0,
            length: self.length(),
            expects_continue: self.expects_continue(),
        });
        if self.hop.has_body {
            self.sent = 0;
        }
        self.counts.requests = self.counts.requests.saturating_add(1);
        self.step = Step::Asking(request);
        self.act(Action::Ask(Ask {
            request,
            method: self.hop.method.clone(),
            url: self.hop.url.clone(),
            headers,
            body,
        }));
    }

    fn goes_along(&self, name: &str) -> bool {
        let is_of_body = BODY_FIELDS
            .iter()
            .any(|field| field.eq_ignore_ascii_case(name));
        if is_of_body {
            self.hop.has_body
        } else {
            redirect::keeps_header(name, self.hop.is_same_origin)
        }
    }

    pub(super) fn expects_continue(&self) -> bool {
        self.hop.has_body
            && !self.hop.refuses_expectations
            && self.length() >= EXPECT_CONTINUE_BYTES_MIN
    }
}
