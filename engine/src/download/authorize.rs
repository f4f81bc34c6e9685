//! What is shown to a server that wants credentials, and when the task's owner is asked.

use crate::authorization_challenge::Challenge as Asked;
use crate::download::{Action, ConnId, Download, Leave};
use crate::failure::{Failure, FailureKind};
use crate::http::authorization::Credentials;
use crate::http::challenge::{self, Challenge};
use crate::http::head::ResponseHead;

/// Answers to the challenges of one request: the first one, and some for nonces that grew too old
/// on the way. A server with a new nonce for each answer would otherwise be asked for ever.
const ANSWERS_MAX: u32 = 4;

impl Download {
    /// Whether the owner wants to be asked about an answer of this status instead of having it
    /// handled as any other.
    pub(super) fn is_asked_about(&self, status: u16) -> bool {
        !self.answers.is_default_handling && self.spec.options.challenge_statuses.contains(&status)
    }

    /// What the origin of the task's URL may be shown: the task's own before the session's. Under
    /// default handling it is the other way round, because the task's own were not taken.
    pub(super) fn credentials(&self) -> Option<&Credentials> {
        let own = self.spec.credentials.as_ref();
        let shared = self.rules.credentials_for(&self.spec.url);
        match self.answers.is_default_handling {
            true => shared.or(own),
            false => own.or(shared),
        }
    }

    /// An answer wants credentials, or its status is one that the owner is asked about.
    pub(super) fn challenged(&mut self, conn: ConnId, head: &ResponseHead) {
        let offered = match head.status {
            401 => challenge::of_server(head),
            407 => challenge::of_proxy(head),
            _ => Vec::new(),
        };
        self.act(Action::Drain { conn });
        let Some(offered) = self.answers.left_of(offered) else {
            return self.unauthorized(conn, "every way to authenticate was rejected");
        };
        if head.status == 401 && self.show_credentials(conn, &offered) {
            return;
        }
        if self.answers.is_default_handling {
            return self.unauthorized(
                conn,
                "the server wants other credentials than those that are there",
            );
        }
        let Some(connection) = self.connections.iter().find(|c| c.id == conn) else {
            return;
        };
        let asked = Asked::new(
            &connection.url,
            head.status,
            &offered,
            self.answers.unproven,
        );
        if !self.others_stream_without(conn) {
            self.leave(Leave::Authorization(Box::new(asked)));
        }
    }

    /// Asks again with an answer to one of these; `false` when there is none to give.
    fn show_credentials(&mut self, conn: ConnId, offered: &[Challenge]) -> bool {
        let Some(connection) = self.connections.iter().find(|c| c.id == conn) else {
            return false;
        };
        let is_stale = offered.iter().any(is_stale);
        let may_answer = connection.is_same_origin
            && self.credentials().is_some()
            && !offered.is_empty()
            && (connection.answers == 0
                || (is_stale && self.challenges != offered && connection.answers < ANSWERS_MAX));
        if !may_answer {
            return false;
        }
        let answers = connection.answers;
        self.challenges = offered.to_vec();
        self.nonce_count = 0;
        // One for each nonce of the server's (RFC 7616 3.4: the -sess algorithms bind both).
        let (high, low) = (self.jitter.next_u64(), self.jitter.next_u64());
        self.client_nonce = format!("{high:016x}{low:016x}");
        let before = (self.actions.len(), self.counts);
        self.ask(conn);
        let is_answered = self
            .connections
            .iter()
            .any(|c| c.id == conn && c.answers > answers);
        if !is_answered {
            // None of the offered schemes is one that we speak: take the request back.
            self.actions.truncate(before.0);
            self.counts = before.1;
        }
        is_answered
    }

    /// Nobody is to be asked about this: the task fails, and its bytes are kept for another one.
    fn unauthorized(&mut self, conn: ConnId, why: &str) {
        if !self.others_stream_without(conn) {
            self.fail(Failure::new(FailureKind::Authentication, why));
        }
    }

    /// Gives a connection up. While others stream the task goes on with them: the server may not want
    /// so many, and the next request of theirs shows whether it wants anything else.
    fn others_stream_without(&mut self, conn: ConnId) -> bool {
        self.connections.retain(|c| c.id != conn);
        let others_stream = self.connections.iter().any(|c| c.is_streaming);
        if others_stream {
            self.connections_wanted = self.connections_wanted.saturating_sub(1).max(1);
        }
        others_stream
    }
}

/// Whether only the nonce of an answer was too old, so that the same password is worth a try.
const fn is_stale(challenge: &Challenge) -> bool {
    matches!(challenge, Challenge::Digest(digest) if digest.stale)
}
