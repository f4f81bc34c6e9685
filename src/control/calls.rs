//! How each call is answered, in the order of the description.

mod clients;
mod engine;
mod sessions;
mod tasks;

use longhaul_actors::local::{StartRequest, Starts};
use longhaul_engine::control::{Problem, RequestDocument, StartDocument};

use super::{checked, problems};

/// Requests as their builders would have made them; the first that can not be made says which it is.
fn requests(
    documents: Vec<RequestDocument>,
    is_repeated: bool,
) -> Result<Vec<StartRequest>, Problem> {
    let numbered = documents.into_iter().enumerate();
    let checked = numbered.map(|(index, document)| -> Result<StartRequest, Problem> {
        let mut request = checked::request(document)
            .map_err(|error| Problem::invalid(format!("request {index} of the list: {error}")))?;
        // What an earlier asking has made is taken over.
        request.adopts |= is_repeated;
        Ok(request)
    });
    checked.collect()
}

/// What became of them.
fn started(starts: Starts) -> Vec<StartDocument> {
    let started = |start| match start {
        Ok(task) => StartDocument::Task(task),
        Err(refusal) => StartDocument::Problem(problems::of_refusal(refusal)),
    };
    starts.into_iter().map(started).collect()
}
