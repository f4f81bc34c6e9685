//! OPTIONS: what a server says of the protocols it speaks.

use super::answer::Answer;
use super::asked::Asked;
use super::behaviour::{Behaviour, Discovery};
use super::{ietf, tus};

/// The answer to an OPTIONS request: of both protocols at once, if a server speaks both.
pub(super) fn answer(behaviour: &Behaviour, asked: &Asked) -> Answer {
    let mut answer = Answer::new(204);
    if behaviour.tus.is_some() {
        answer = tus::describe(behaviour, answer);
    }
    let interop = asked
        .interop
        .filter(|interop| behaviour.interops.contains(interop));
    if let Some(interop) = interop {
        let (accepts, limits) = match discovery(behaviour, interop) {
            Discovery::Nothing => (false, false),
            Discovery::Limit => (false, true),
            Discovery::AcceptPatch => (true, !ietf::is_unlimited(behaviour)),
            Discovery::Both => (true, true),
        };
        if accepts {
            answer = answer.with("Accept-Patch", ietf::CONTENT_TYPE);
        }
        if limits {
            answer = answer.with("Upload-Limit", ietf::limit(behaviour, interop));
        }
    }
    if answer.fields.is_empty() {
        return Answer::text(405, "not here").with("Allow", "PUT, POST");
    }
    answer
}

/// As the drafts have it, unless the test has it otherwise.
fn discovery(behaviour: &Behaviour, interop: u16) -> Discovery {
    behaviour.discovery.unwrap_or(match interop {
        0..=5 => Discovery::Nothing,
        6 | 7 => Discovery::Limit,
        8.. => Discovery::Both,
    })
}
