//! The body of a request: bounded in length, in time, and in what all of them hold together.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::http::header::{CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING};
use actix_web::web::Payload;
use futures_util::StreamExt as _;
use longhaul::control::Problem;
use longhaul::control::api::BODY_BYTES_MAX;
use tokio::time::timeout;

/// What the bodies that are being read may hold together: four of the longest. A process of the same
/// user that sends more at once has to wait.
const BODIES_BYTES_MAX: usize = 4 * BODY_BYTES_MAX;

/// A sender on the same machine that is silent for this long in the middle of a body has stopped.
const SILENCE_MAX: Duration = Duration::from_secs(10);

/// The bytes that the bodies hold.
#[derive(Clone, Debug, Default)]
pub(super) struct Budget(Arc<AtomicUsize>);

/// A body, and its part of the budget until it is dropped.
#[derive(Debug)]
pub(super) struct Body {
    pub(super) bytes: Vec<u8>,
    budget: Budget,
}

impl Body {
    /// Reads it. A request without a body has an empty one.
    ///
    /// # Errors
    /// [`Problem::NotJson`], [`Problem::TooLong`], [`Problem::TooSlow`], [`Problem::TooMany`], or
    /// [`Problem::Invalid`] when it breaks off.
    pub(super) async fn read(
        request: &HttpRequest,
        mut payload: Payload,
        budget: &Budget,
    ) -> Result<Self, Problem> {
        let mut body = Self {
            bytes: Vec::new(),
            budget: budget.clone(),
        };
        let announced = announced_bytes(request);
        if announced == Some(0) {
            return Ok(body);
        }
        if !is_json(request) {
            return Err(Problem::NotJson);
        }
        if announced.is_some_and(|bytes| bytes > BODY_BYTES_MAX as u64) {
            return Err(too_long());
        }
        loop {
            let next = timeout(SILENCE_MAX, payload.next()).await;
            match next.map_err(|_| Problem::TooSlow)? {
                None => return Ok(body),
                Some(Ok(chunk)) => body.take(&chunk)?,
                Some(Err(error)) => {
                    return Err(Problem::invalid(format!(
                        "the body broke off: {error}; send all of it"
                    )));
                }
            }
        }
    }

    fn take(&mut self, chunk: &[u8]) -> Result<(), Problem> {
        if self.bytes.len() + chunk.len() > BODY_BYTES_MAX {
            return Err(too_long());
        }
        let all = self.budget.0.fetch_add(chunk.len(), Ordering::Relaxed);
        // From here on it is counted, and given back when this is dropped.
        self.bytes.extend_from_slice(chunk);
        if all + chunk.len() > BODIES_BYTES_MAX {
            return Err(Problem::TooMany {
                detail: format!(
                    "requests hold {BODIES_BYTES_MAX} bytes together already; send this one again when they are answered"
                ),
            });
        }
        Ok(())
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        self.budget.0.fetch_sub(self.bytes.len(), Ordering::Relaxed);
    }
}

fn too_long() -> Problem {
    Problem::TooLong {
        bytes_max: BODY_BYTES_MAX as u64,
    }
}

/// How long it will be; `None` when that is seen at its end only (RFC 9112 section 6.3).
fn announced_bytes(request: &HttpRequest) -> Option<u64> {
    let headers = request.headers();
    if headers.contains_key(TRANSFER_ENCODING) {
        return None;
    }
    let Some(length) = headers.get(CONTENT_LENGTH) else {
        return Some(0);
    };
    length.to_str().ok()?.trim().parse().ok()
}

fn is_json(request: &HttpRequest) -> bool {
    let Some(value) = request.headers().get(CONTENT_TYPE) else {
        return false;
    };
    let essence = value.to_str().unwrap_or_default().split(';').next();
    essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
}
