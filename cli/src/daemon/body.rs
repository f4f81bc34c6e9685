//! The body of a request: bounded in length, in time, and in what all of them hold together.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::http::header::{CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING};
use actix_web::web::{Bytes, Payload};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::StreamExt as _;
use longhaul::control::Problem;
use longhaul::control::api::BODY_BYTES_MAX;
use tokio::time::timeout;

/// What the bodies that are being read may hold together: four of the longest. A process of the same
/// user that sends more at once has to wait.
const BODIES_BYTES_MAX: usize = 4 * BODY_BYTES_MAX;

/// As much of a body as is one allocation while the rest is awaited. A vector that doubled up to the
/// longest would leave as much again behind it, which an allocator may keep.
const PIECE_BYTES: usize = 1024 * 1024;

/// A sender on the same machine that is silent for this long in the middle of a body has stopped.
const SILENCE_MAX: Duration = Duration::from_secs(10);

/// The bytes that the bodies hold.
#[derive(Clone, Debug, Default)]
pub(super) struct Budget(Arc<AtomicUsize>);

/// A body, and its share of the budget until it is dropped.
#[derive(Debug)]
pub(super) struct Body {
    pub(super) bytes: Vec<u8>,
    _share: Share,
}

impl Body {
    /// Reads it. A request without a body has an empty one.
    ///
    /// # Errors
    /// [`Problem::NotJson`], [`Problem::TooLong`], [`Problem::TooSlow`], [`Problem::TooMany`], or
    /// [`Problem::Invalid`] when it breaks off.
    pub(super) async fn read(
        request: &HttpRequest,
        payload: &mut Payload,
        budget: &Budget,
    ) -> Result<Self, Problem> {
        let mut share = Share {
            bytes: 0,
            budget: budget.clone(),
        };
        let mut pieces = Vec::new();
        let announced = announced_bytes(request);
        if announced != Some(0) {
            if !is_json(request) {
                return Err(Problem::NotJson);
            }
            if announced.is_some_and(|bytes| bytes > BODY_BYTES_MAX as u64) {
                return Err(too_long());
            }
            while let Some(chunk) = next(payload).await? {
                share.grow(chunk.len())?;
                append(&mut pieces, &chunk);
            }
        }
        Ok(Self {
            bytes: joined(pieces, share.bytes),
            _share: share,
        })
    }
}

/// The next bytes that arrived.
async fn next(payload: &mut Payload) -> Result<Option<Bytes>, Problem> {
    let next = timeout(SILENCE_MAX, payload.next()).await;
    let next = next.map_err(|_| Problem::TooSlow)?.transpose();
    next.map_err(|error| Problem::invalid(format!("the body broke off: {error}; send all of it")))
}

fn append(pieces: &mut Vec<Vec<u8>>, chunk: &[u8]) {
    match pieces.last_mut() {
        Some(last) if last.len() + chunk.len() <= PIECE_BYTES => last.extend_from_slice(chunk),
        Some(_) | None => pieces.push(chunk.to_vec()),
    }
}

/// All of them as one, each let go as soon as it is copied.
fn joined(mut pieces: Vec<Vec<u8>>, bytes: usize) -> Vec<u8> {
    if pieces.len() <= 1 {
        return pieces.pop().unwrap_or_default();
    }
    let mut all = Vec::with_capacity(bytes);
    for piece in pieces {
        all.extend_from_slice(&piece);
    }
    all
}

/// What one body takes of the budget, given back when it is dropped.
#[derive(Debug)]
struct Share {
    bytes: usize,
    budget: Budget,
}

impl Share {
    fn grow(&mut self, bytes: usize) -> Result<(), Problem> {
        if self.bytes + bytes > BODY_BYTES_MAX {
            return Err(too_long());
        }
        let all = self.budget.0.fetch_add(bytes, Ordering::Relaxed);
        self.bytes += bytes;
        if all + bytes > BODIES_BYTES_MAX {
            return Err(Problem::TooMany {
                detail: format!(
                    "requests hold {BODIES_BYTES_MAX} bytes together already; send this one again when they are answered"
                ),
            });
        }
        Ok(())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.0.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// The body of an answer that holds the rest of the request's until it is sent: with it the server ends
/// the connection. Once that is dropped, a chunked body would be read for as long as its sender likes.
struct Refusal {
    body: BoxBody,
    _unread: Payload,
}

/// This answer, which ends the connection when the body of its request was not read to the end.
pub(super) fn refusing(response: HttpResponse, unread: Payload) -> HttpResponse {
    let refusal = |_: &mut _, body| Refusal {
        body,
        _unread: unread,
    };
    response.map_body(refusal).map_into_boxed_body()
}

impl MessageBody for Refusal {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.body).poll_next(context)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_its_pieces_in_their_order() {
        for chunks in [&[][..], &[7], &[PIECE_BYTES, 1], &[65_521; 50], &[3; 1000]] {
            let mut pieces = Vec::new();
            let mut sent = Vec::new();
            for (number, bytes) in chunks.iter().enumerate() {
                let chunk = vec![number as u8; *bytes];
                append(&mut pieces, &chunk);
                sent.extend(chunk);
            }
            assert!(pieces.iter().all(|piece| piece.len() <= PIECE_BYTES));
            assert_eq!(pieces.len(), sent.len().div_ceil(PIECE_BYTES));
            assert!(joined(pieces, sent.len()) == sent, "{chunks:?}");
        }
    }
}
