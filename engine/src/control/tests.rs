//! What version 1 of the API looks like: every call, and one of each kind of document.
//!
//! The samples are checked in. Each is read, and written again as it stands there.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::*;
use crate::authorization_challenge::Disposition;
use crate::checksum::Algorithm;
use crate::delayed_request::DelayedRequest;
use crate::event::{Event, Fact};
use crate::failure::FailureKind;
use crate::http::authorization::Credentials;
use crate::launch::LaunchReason;
use crate::resume_data::ResumeDataError;
use crate::session::{Durability, Invalidation, ProxyKind, SessionState};
use crate::task::{Adjustment, Collision, Desired, Destination, Outcome, Phase, Spec, TaskState};
use crate::upload::protocol::{Evidence, Protocol, UploadProtocol};
use crate::why::RateScope;

const CALLS: &str = include_str!("tests/calls.json");

const DOCUMENTS: &str = include_str!("tests/documents.json");

/// The text without the spaces between its words.
fn compact(text: &str) -> String {
    let (mut is_text, mut is_escaped) = (false, false);
    let is_kept = |character: &char| {
        if is_text {
            is_text = is_escaped || *character != '"';
            is_escaped = !is_escaped && *character == '\\';
            return true;
        }
        is_text = *character == '"';
        !character.is_whitespace()
    };
    text.chars().filter(is_kept).collect()
}

/// Reads a value as what it is said to be, and writes it.
#[track_caller]
fn again<T: Serialize + DeserializeOwned>(value: &Value) -> String {
    let read = serde_json::from_value::<T>(value.clone());
    let read = read.unwrap_or_else(|error| panic!("{error}: {value}"));
    serde_json::to_string(&read).expect("it is written")
}

/// Checks that the samples are these, in this order.
#[track_caller]
fn assert_all(samples: &str, members: &[String]) {
    let samples = compact(samples);
    for member in members {
        assert!(
            samples.contains(member),
            "this is not among the samples:\n{member}"
        );
    }
    assert_eq!(samples, format!("{{{}}}", members.join(",")));
}

#[test]
fn every_call_stays_as_it_is() {
    struct Members(Value, Vec<String>);
    impl Visitor for Members {
        fn call<C: Call>(&mut self) {
            let name = C::NAME;
            let Value::Object(sample) = &self.0[name] else {
                panic!("{name} has no sample");
            };
            let at = C::At::read(|part| sample["at"][part].as_str());
            let path = at.expect("the parts of its path").fill(C::PATH);
            self.1.push(format!(
                r#""{name}":{{"at":{},"path":"{path}","question":{},"answer":{}}}"#,
                sample["at"],
                again::<C>(&sample["question"]),
                again::<C::Answer>(&sample["answer"])
            ));
        }
    }
    let samples = serde_json::from_str(CALLS).expect("they are JSON");
    let mut members = Members(samples, Vec::new());
    visit(&mut members);
    assert_all(CALLS, &members.1);
}

/// The members of the samples of these types.
macro_rules! members {
    ($samples:ident: $($type:ident),* $(,)?) => {
        [$({
            let name = stringify!($type);
            let samples = $samples[name].as_array().unwrap_or_else(|| panic!("no {name}"));
            let written: Vec<_> = samples.iter().map(again::<$type>).collect();
            format!(r#""{name}":[{}]"#, written.join(","))
        }),*]
    };
}

#[test]
fn every_kind_of_document_stays_as_it_is() {
    let samples: Value = serde_json::from_str(DOCUMENTS).expect("they are JSON");
    let members = members!(
        samples: Event, Fact, Outcome, Phase, Evidence, FailureKind, ResumeDataError, Problem,
        ClientEvent, SessionEvent, Spec, Destination, UploadProtocol, Protocol, Credentials,
        Disposition, DelayedRequest, Adjustment, AskedAnew, Collision, Desired, TaskState,
        SessionState, Invalidation, Durability, ProxyKind, LaunchReason, RateScope, Algorithm,
        Hello, EventsQuery,
    );
    assert_all(DOCUMENTS, &members);
}

#[test]
fn a_problem_is_read_by_its_code_and_its_own_members() {
    for (text, problem) in [
        (r#"{"code": "no_such_client"}"#, Problem::NoSuchClient),
        (
            r#"{"status": 599, "title": 7, "detail": "no", "code": "too_long", "bytes_max": 9}"#,
            Problem::TooLong { bytes_max: 9 },
        ),
        (
            r#"{"code": "invalid", "detail": "no"}"#,
            Problem::invalid("no"),
        ),
    ] {
        assert_eq!(serde_json::from_str(text).ok(), Some(problem), "{text}");
    }
}

#[cfg(feature = "openapi")]
#[test]
fn every_call_and_every_stream_is_described() {
    struct Described(Value, usize);
    impl Visitor for Described {
        fn call<C: Call>(&mut self) {
            let method = C::METHOD.as_str().to_lowercase();
            let found = &self.0["paths"][C::PATH][&method];
            assert_eq!(found["operationId"], C::NAME);
            assert!(found["responses"]["200"].is_object(), "{found}");
            self.1 += 1;
        }
    }
    let mut described = Described(openapi(), 0);
    visit(&mut described);
    let Described(document, calls) = described;
    assert_eq!(document["openapi"], "3.1.0");
    let paths = document["paths"].as_object().expect("paths");
    let operations = paths.values().filter_map(Value::as_object);
    assert_eq!(
        operations.map(serde_json::Map::len).sum::<usize>(),
        calls + 3
    );
    for (path, method) in [
        (CLIENTS_PATH, "post"),
        (EVENTS_PATH, "get"),
        (METRICS_PATH, "get"),
    ] {
        assert!(paths[path][method].is_object(), "{path}");
    }
    let mut wanted = Vec::new();
    references(&document, &mut wanted);
    for reference in wanted {
        let pointer = reference.trim_start_matches('#');
        assert!(
            document.pointer(pointer).is_some(),
            "{reference} leads nowhere"
        );
    }
}

/// What the parts of a description refer to.
#[cfg(feature = "openapi")]
fn references(part: &Value, found: &mut Vec<String>) {
    match part {
        Value::Object(members) => {
            if let Some(reference) = members.get("$ref").and_then(Value::as_str) {
                found.push(reference.to_owned());
            }
            members
                .values()
                .for_each(|member| references(member, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
