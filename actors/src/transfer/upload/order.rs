//! A request of the machine as the network edge takes it.

use std::time::Duration;

use longhaul_engine::failure::Failure;
use longhaul_engine::limits::{EXPECT_CONTINUE_WAIT, UPLOAD_ANSWER_WAIT, UPLOAD_STATUS_WAIT};
use longhaul_engine::upload::{Ask, RequestBody};

use super::content::FileContent;
use crate::net::{Answered, BodyRequest, Client, Listener, Method, Probe, Request, SendFailure};

/// What a method with a body sends when the machine names none: `Content-Length: 0` (RFC 9110 section
/// 8.6).
const NOTHING: RequestBody = RequestBody {
    offset: 0,
    length: 0,
    expects_continue: false,
};

/// A request as the network edge takes it.
pub(super) enum Order {
    /// It has no body.
    Bare(Request),
    /// It has this one.
    WithBody(BodyRequest, FileContent),
}

impl Order {
    /// `content` makes the body, if there is one.
    pub(super) fn new(
        ask: Ask,
        idle_timeout: Duration,
        listener: Listener,
        content: impl FnOnce(RequestBody) -> FileContent,
    ) -> Self {
        let url = ask.url.as_url().clone();
        match (ask.body, Method::from_name(&ask.method)) {
            (None, Some(method)) => Self::Bare(Request {
                method,
                url,
                headers: ask.headers,
                idle_timeout: match method {
                    Method::Head | Method::Delete => idle_timeout.max(UPLOAD_STATUS_WAIT),
                    Method::Get | Method::Options => idle_timeout,
                },
            }),
            (body, _) => {
                let body = body.unwrap_or(NOTHING);
                let request = BodyRequest {
                    method: ask.method,
                    url,
                    headers: ask.headers,
                    idle_timeout,
                    answer_timeout: idle_timeout.max(UPLOAD_ANSWER_WAIT),
                    expect_continue: body.expects_continue.then_some(EXPECT_CONTINUE_WAIT),
                    listener,
                };
                Self::WithBody(request, content(body))
            }
        }
    }

    /// Sends it.
    pub(super) async fn send(
        self,
        client: &Client,
        probe: Probe,
    ) -> Result<Answered, SendFailure<Failure>> {
        match self {
            Self::Bare(request) => {
                let response = client.send_probed(request, probe).await?;
                Ok(Answered { response, sent: 0 })
            }
            Self::WithBody(request, mut content) => {
                client.send_content(&request, &mut content, probe).await
            }
        }
    }
}
