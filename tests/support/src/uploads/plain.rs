//! An ordinary server: PUT and POST are stored whole, or not at all.

use std::io;

use super::answer::Answer;
use super::asked::Protocol;
use super::digests::Digests;
use super::exchange::{Begun, Exchange, Intake};
use super::tus;

/// What an ordinary request gets, or where its body goes.
pub(super) fn begin<'a>(exchange: &Exchange<'a>) -> io::Result<Begun<'a>> {
    let (asked, behaviour) = (exchange.asked, exchange.behaviour);
    if behaviour.tus.is_some() {
        // A server for tus takes requests of its own version only.
        return Ok(Begun::Answered(tus::unsupported()));
    }
    match asked.method.as_str() {
        "PUT" | "POST" => {}
        "HEAD" | "GET" => return Ok(Begun::Answered(stored(exchange))),
        _ => {
            let refused = Answer::text(405, "not here").with("Allow", "PUT, POST");
            return Ok(Begun::Answered(refused));
        }
    }
    let claim = exchange.store.create(
        (Protocol::Plain, &asked.path),
        &asked.fields,
        exchange.connection.handle(),
    )?;
    Ok(Begun::Taking(Intake {
        claim,
        offset: 0,
        length_max: None,
        is_last: true,
        digests: Digests::default(),
        location: None,
    }))
}

/// The target's answer to a body that has come whole.
pub(super) fn end(exchange: &Exchange<'_>, intake: &Intake<'_>) -> io::Result<Answer> {
    intake.claim.complete()?;
    Ok(outcome(exchange))
}

/// What the target says when it has everything.
pub(super) fn outcome(exchange: &Exchange<'_>) -> Answer {
    let outcome = &exchange.behaviour.outcome;
    Answer {
        status: outcome.status,
        fields: outcome.fields.clone(),
        body: outcome.body.clone(),
    }
}

/// Whether something was stored under the path.
fn stored(exchange: &Exchange<'_>) -> Answer {
    let uploads = exchange.store.snapshot();
    let is_stored = uploads
        .iter()
        .any(|upload| upload.is_complete && upload.target == exchange.asked.path);
    Answer::new(if is_stored { 200 } else { 404 })
}
