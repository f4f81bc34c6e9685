//! From a question on the wire to the one function that answers it.

use std::fmt;
use std::future::{Future, ready};

use longhaul_engine::control::{Call, Method, Place, Problem};
use longhaul_engine::{control as api, with_calls};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Answer, Control, Peer};

/// Where a call is asked. There is one for every call of the control API.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Route {
    /// How it is asked.
    pub method: Method,
    /// Where, with the names of its parts in braces.
    pub path: &'static str,
    /// The name of the call.
    pub name: &'static str,
    ask: Ask,
}

/// What a call without members may be asked with, as well as with nothing.
const EMPTY: &[u8] = b"{}";

/// Reads a question, and answers it.
type Ask = fn(&Control, Part<'_, '_>, Question<'_>, Peer) -> Result<Answer, Problem>;

/// Gives a part of the path by its name.
type Part<'p, 'a> = &'p dyn Fn(&str) -> Option<&'a str>;

/// What a question says beside its path.
#[derive(Clone, Copy)]
pub(super) struct Question<'a> {
    pub(super) query: &'a str,
    pub(super) body: &'a [u8],
}

/// How a call is answered. A call without this does not compile.
pub(super) trait Answered: Call + Sized {
    /// Checks it, does it, and answers.
    fn answer(
        self,
        control: Control,
        at: Self::At,
    ) -> impl Future<Output = Result<Self::Answer, Problem>> + Send;
}

macro_rules! routes {
    ($($call:ident)*) => {
        pub(super) const ROUTES: &[Route] = &[$(Route::of::<api::$call>()),*];
    };
}

with_calls!(routes);

impl Route {
    const fn of<C: Answered>() -> Self {
        Self {
            method: C::METHOD,
            path: C::PATH,
            name: C::NAME,
            ask: ask::<C>,
        }
    }

    pub(super) fn ask(
        &self,
        control: &Control,
        part: Part<'_, '_>,
        question: Question<'_>,
        peer: Peer,
    ) -> Answer {
        match (self.ask)(control, part, question, peer) {
            Ok(answer) => answer,
            Err(problem) => Box::pin(ready(Err(problem))),
        }
    }
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Route")
            .field("method", &self.method)
            .field("path", &self.path)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

fn ask<C: Answered>(
    control: &Control,
    part: Part<'_, '_>,
    question: Question<'_>,
    peer: Peer,
) -> Result<Answer, Problem> {
    let at = C::At::read(part)?;
    let call: C = question.read(C::METHOD)?;
    let control = control.clone();
    tracing::trace!(call = C::NAME, pid = peer.pid, "asked");
    let answer = call.answer(control, at);
    Ok(Box::pin(async move { encoded(&answer.await?) }))
}

impl Question<'_> {
    fn read<C: DeserializeOwned>(&self, method: Method) -> Result<C, Problem> {
        match method {
            Method::Get => serde_urlencoded::from_str(self.query)
                .map_err(|error| not_understood("query", &error)),
            Method::Put | Method::Post | Method::Patch | Method::Delete => {
                let body = if self.body.is_empty() {
                    EMPTY
                } else {
                    self.body
                };
                serde_json::from_slice(body).map_err(|error| not_understood("body", &error))
            }
        }
    }
}

fn encoded<A: Serialize>(answer: &A) -> Result<Vec<u8>, Problem> {
    serde_json::to_vec(answer).map_err(|error| Problem::Store {
        detail: format!("the answer can not be written as JSON: {error}"),
    })
}

fn not_understood(what: &str, error: &dyn fmt::Display) -> Problem {
    let reason = without_values(&error.to_string());
    Problem::invalid(format!(
        "the {what} is not understood: {reason}; give the members that the call has, as its \
         description names them"
    ))
}

/// A parser's text without what it found between quotation marks: it may be a secret.
fn without_values(text: &str) -> String {
    let mut shown = String::new();
    let mut rest = text;
    while let Some((before, quoted)) = rest.split_once('"') {
        shown.push_str(before);
        shown.push('…');
        rest = match end_of_quotation(quoted) {
            Some(end) => &quoted[end..],
            None => "",
        };
    }
    shown.push_str(rest);
    shown
}

/// Where the text after a quotation begins, whose own quotation marks have a backslash before them.
fn end_of_quotation(quoted: &str) -> Option<usize> {
    let mut is_escaped = false;
    for (at, byte) in quoted.bytes().enumerate() {
        match byte {
            b'\\' => is_escaped = !is_escaped,
            b'"' if !is_escaped => return Some(at + 1),
            _ => is_escaped = false,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_call_has_one_route_and_no_two_are_the_same() {
        struct Names(Vec<&'static str>);
        impl api::Visitor for Names {
            fn call<C: Call>(&mut self) {
                self.0.push(C::NAME);
            }
        }
        let mut names = Names(Vec::new());
        api::visit(&mut names);
        let routed: Vec<_> = ROUTES.iter().map(|route| route.name).collect();
        assert_eq!(routed, names.0);
        let places: HashSet<_> = ROUTES.iter().map(|it| (it.method, it.path)).collect();
        assert_eq!(places.len(), ROUTES.len());
    }

    #[test]
    fn what_a_parser_found_is_not_shown() {
        for (text, shown) in [
            ("missing field `url`", "missing field `url`"),
            (
                r#"invalid type: string "hush \"hush\"", expected u64 at line 1"#,
                "invalid type: string …, expected u64 at line 1",
            ),
            (r#"string "hush"#, "string …"),
            (r#"a "" b"#, "a … b"),
        ] {
            assert_eq!(without_values(text), shown);
        }
    }
}
