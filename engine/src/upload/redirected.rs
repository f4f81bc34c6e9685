//! Answers that say that the place is another one.

use crate::failure::{Failure, FailureKind};
use crate::http::head::ResponseHead;
use crate::http::redirect::{self, RedirectLimits, Redirectable};
use crate::upload::operation::{Act, Dialect, Operation};
use crate::upload::protocol::ietf;
use crate::upload::{RequestId, Upload};

impl Upload {
    pub(super) fn redirected(&mut self, request: RequestId, head: &ResponseHead) {
        let next = redirect::next(&self.redirectable(), head);
        self.drain(request);
        if self.operation == Operation::Discover && (head.status == 303 || next.is_err()) {
            return self.discovered(None);
        }
        let next = match next {
            Ok(Some(next)) => next,
            Ok(None) => {
                let status = head.status;
                return self.fail(refused(format!(
                    "a redirect with status {status} leads nowhere"
                )));
            }
            Err(error) => return self.fail(refused(error.to_string())),
        };
        // Only "see other" answers the request itself. The other two say that the place is another
        // one, and a POST may stay a POST there (RFC 9110 sections 15.4.2 and 15.4.3): made into a
        // GET, its success would acknowledge a file that nobody took.
        let sees_other = head.status == 303 && self.operation != Operation::SeeOther;
        if sees_other && !self.has_taken_all(head) {
            return self.fail(refused(
                "the server pointed elsewhere (303) before it had taken the file".to_owned(),
            ));
        }
        self.hop.is_same_origin &= next.same_origin;
        self.hop.redirects += 1;
        self.counts.redirects = self.counts.redirects.saturating_add(1);
        self.hop.url = next.url;
        if sees_other {
            self.settle_offer();
            // The file was taken, whatever becomes of the answer.
            self.unheard = self.unheard_ahead();
            self.operation = Operation::SeeOther;
        } else if self.moves_place(head.status) {
            return self.prepare();
        }
        self.ask();
    }

    fn redirectable(&self) -> Redirectable<'_> {
        Redirectable {
            url: &self.hop.url,
            method: &self.hop.method,
            followed: self.hop.redirects,
            limits: self.redirect_limits(),
        }
    }

    fn redirect_limits(&self) -> RedirectLimits {
        RedirectLimits {
            redirects_max: self.rules.redirects_max,
            allow_downgrade: self.spec.allow_downgrade,
        }
    }

    /// Whether a 303 to the latest request says that the file was taken.
    fn has_taken_all(&self, head: &ResponseHead) -> bool {
        let says_complete = || ietf::held(head, self.now).is_complete == Some(true);
        match self.operation {
            Operation::Whole { .. } => self.is_all_sent(),
            Operation::Place(Dialect::Ietf(_), Act::Append(piece)) => {
                piece.is_last && self.is_all_sent() && says_complete()
            }
            Operation::Discover | Operation::SeeOther | Operation::Place(_, _) => false,
        }
    }

    /// The place of the upload is another one for good (RFC 9110 sections 15.4.2 and 15.4.9). True
    /// when it is one of ours that has moved: it is recorded before anything else is asked.
    fn moves_place(&mut self, status: u16) -> bool {
        let is_at_place = matches!(
            self.operation,
            Operation::Place(_, Act::Offset | Act::Append(_))
        );
        match &mut self.remote {
            Some(remote) if is_at_place && matches!(status, 301 | 308) => {
                remote.url = self.hop.url.clone();
                true
            }
            // The caller's request goes elsewhere, and so does the place that it is to have.
            Some(_)
                if matches!(
                    self.operation,
                    Operation::Whole { .. } | Operation::Place(_, Act::Create(_))
                ) =>
            {
                self.remote = None;
                true
            }
            Some(_) | None => false,
        }
    }
}

fn refused(message: String) -> Failure {
    Failure::new(FailureKind::Redirect, message)
}
