//! Answers: documents, and what was not answered well as `application/problem+json` (RFC 9457).

use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, CACHE_CONTROL, HeaderValue};
use actix_web::{HttpResponse, HttpResponseBuilder};
use longhaul::control::{Method, Problem};

/// A good answer.
pub(super) fn document(json: Vec<u8>) -> HttpResponse {
    let mut response = begin(StatusCode::OK);
    response.content_type("application/json").body(json)
}

/// The head of a good answer of another kind.
pub(super) fn begin(status: StatusCode) -> HttpResponseBuilder {
    let mut response = HttpResponse::build(status);
    // It is true at this moment only, and may tell what is private.
    response.insert_header((CACHE_CONTROL, HeaderValue::from_static("no-store")));
    response
}

/// What was not answered well.
pub(super) fn problem(problem: &Problem) -> HttpResponse {
    let status =
        StatusCode::from_u16(problem.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = begin(status);
    if let Problem::MethodNotAllowed { allowed } = problem {
        response.insert_header((ALLOW, allowed.as_str()));
    }
    response
        .content_type("application/problem+json")
        .body(serde_json::to_vec(problem).unwrap_or_default())
}

/// Methods as they stand in `Allow` (RFC 9110 section 10.2.1).
pub(super) fn allowed(methods: &[Method]) -> Problem {
    let mut names: Vec<&str> = methods.iter().map(|method| method.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    Problem::MethodNotAllowed {
        allowed: names.join(", "),
    }
}
