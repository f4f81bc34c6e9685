//! What becomes of a connection whose server wants credentials.

use crate::authorizer::{Applicant, Petition, Verdict};
use crate::download::connection::Connection;
use crate::download::{Action, ConnId, Download, Leave};
use crate::http::head::ResponseHead;

/// Every request of a download has this method.
const METHOD: &str = "GET";

impl Download {
    /// Whether the owner wants to be asked about an answer of this status instead of having it
    /// handled as any other.
    pub(super) fn is_asked_about(&self, status: u16) -> bool {
        Applicant::of_download(&self.spec, &self.rules, &self.answers).is_asked_about(status)
    }

    /// The value of `Authorization` that goes with the request of this connection.
    pub(super) fn authorization(&mut self, connection: &Connection) -> Option<String> {
        let applicant = Applicant::of_download(&self.spec, &self.rules, &self.answers);
        self.authorizer.field(applicant, petition(connection))
    }

    /// An answer wants credentials, or its status is one that the owner is asked about.
    pub(super) fn challenged(&mut self, conn: ConnId, head: &ResponseHead) {
        let Some(connection) = self.connections.iter().find(|c| c.id == conn) else {
            return;
        };
        let applicant = Applicant::of_download(&self.spec, &self.rules, &self.answers);
        let asked = (applicant, petition(connection));
        let verdict = self.authorizer.challenged(head, asked, &mut self.jitter);
        self.act(Action::Drain { conn });
        match verdict {
            Verdict::Show => self.ask(conn),
            Verdict::Ask(asked) => {
                if !self.others_stream_without(conn) {
                    self.leave(Leave::Authorization(asked));
                }
            }
            // The bytes are kept for another one.
            Verdict::Fail(failure) => {
                if !self.others_stream_without(conn) {
                    self.fail(failure);
                }
            }
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

const fn petition(connection: &Connection) -> Petition<'_> {
    Petition {
        method: METHOD,
        url: &connection.url,
        is_same_origin: connection.is_same_origin,
        answers: connection.answers,
    }
}
