//! One request with the whole file, as its caller has it.

use crate::http::head::ResponseHead;
use crate::upload::operation::{Companions, Form, Meaning, common};

/// The caller's own request.
pub(in crate::upload) fn form(method: &str) -> Form {
    Form {
        method: method.to_owned(),
        fields: Vec::new(),
        companions: Companions::All,
    }
}

/// What its answer means.
pub(in crate::upload) fn meaning(head: &ResponseHead) -> Meaning {
    match head.status {
        200..=299 => Meaning::Taken,
        _ => common(head),
    }
}
