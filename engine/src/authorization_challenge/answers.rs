//! What the answers to challenges make of a task.

use super::{Disposition, Renewal, shown};
use crate::checkpoint::TaskCheckpoint;
use crate::http::challenge::Challenge as Offer;
use crate::http::redirect;
use crate::limits::{REJECTED_SCHEMES_MAX, SCHEME_BYTES_MAX};
use crate::task::Spec;

/// The status of a challenge that may offer several ways.
const UNAUTHORIZED: u16 = 401;

/// What the owner of a task has answered to its challenges so far; a part of its checkpoint.
///
/// "A byte came" is what proves an answer to a download. A server may take every byte of an upload
/// before it looks at who sends them: only its success proves an answer, and that is the end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answers {
    /// Answers since a byte came last: none of them has helped yet.
    pub unproven: u32,
    /// The schemes that were rejected, in lower case, at most [`REJECTED_SCHEMES_MAX`]; the empty one
    /// stands for a server that names none. They stay so.
    pub rejected_schemes: Vec<String>,
    /// Nobody is to be asked: the next challenge fails the task. Until a byte comes.
    pub is_default_handling: bool,
}

/// What an answer did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answered {
    /// The task does not wait for an answer, and nothing was changed.
    NotAsked,
    /// The task goes on.
    GoesOn,
    /// The task is to be cancelled.
    Cancelled,
}

impl Answers {
    /// A byte came: the server took the last answer.
    pub(crate) const fn prove(&mut self) {
        self.unproven = 0;
        self.is_default_handling = false;
    }

    /// The offers that were not rejected; `None` when the task's owner has rejected every way there
    /// is.
    pub(crate) fn left_of(&self, offered: Vec<Offer>) -> Option<Vec<Offer>> {
        if offered.is_empty() {
            return (!self.rejects("")).then_some(offered);
        }
        let left: Vec<Offer> = offered
            .into_iter()
            .filter(|offer| !self.rejects(offer.scheme()))
            .collect();
        (!left.is_empty()).then_some(left)
    }

    fn rejects(&self, scheme: &str) -> bool {
        let scheme = comparable(scheme);
        self.rejected_schemes.contains(&scheme)
    }

    fn reject(&mut self, scheme: &str) {
        let scheme = comparable(scheme);
        if self.rejected_schemes.len() >= REJECTED_SCHEMES_MAX {
            self.is_default_handling = true;
        } else if !self.rejected_schemes.contains(&scheme) {
            self.rejected_schemes.push(scheme);
        }
    }
}

impl Disposition {
    /// Applies the answer to a task whose checkpoint says that it waits for one. Its bytes and marks
    /// are left as they are; whether they are of use is asked of the server.
    pub fn apply(&self, spec: &mut Spec, checkpoint: &mut TaskCheckpoint) -> Answered {
        let Some(challenge) = checkpoint.challenge().cloned() else {
            return Answered::NotAsked;
        };
        let answers = checkpoint.answers_mut();
        match self {
            Self::Cancel => return Answered::Cancelled,
            Self::UseCredential(renewal) => {
                answers.unproven = answers.unproven.saturating_add(1);
                renewal.apply(spec);
            }
            Self::PerformDefaultHandling => answers.is_default_handling = true,
            Self::RejectProtectionSpace if challenge.status == UNAUTHORIZED => {
                answers.reject(&challenge.scheme);
            }
            Self::RejectProtectionSpace => answers.is_default_handling = true,
        }
        checkpoint.ask_again();
        Answered::GoesOn
    }
}

impl Renewal {
    fn apply(&self, spec: &mut Spec) {
        let (url, headers, credentials) = match spec {
            Spec::Download(spec) => (&mut spec.url, &mut spec.headers, &mut spec.credentials),
            Spec::Upload(spec) => (&mut spec.url, &mut spec.headers, &mut spec.credentials),
        };
        if let Some(new) = &self.url {
            if !redirect::same_origin(url.as_url(), new.as_url()) {
                // They are secrets between the owner and the old origin.
                headers.retain(|(name, _)| redirect::keeps_header(name, false));
                *credentials = None;
            }
            url.clone_from(new);
        }
        if let Some(new) = &self.headers {
            headers.clone_from(new);
        }
        if self.credentials.is_some() {
            credentials.clone_from(&self.credentials);
        }
    }
}

fn comparable(scheme: &str) -> String {
    shown(scheme, SCHEME_BYTES_MAX).to_ascii_lowercase()
}
