//! What is told of tasks and their events, for people and for programs.

use longhaul::{Event, Fact, NumberedFact, Outcome, Phase, Timestamp, Why};

use crate::address::TaskName;
use crate::clock;
use crate::exit::{Exit, exit_of_outcome};
use crate::report::entry::{About, Ending, Entry, PhaseEntry, moved};
use crate::report::printable;
use crate::transfer::{Kind, Standing};
use crate::units;
use crate::words;

/// The worst of some ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Worst(pub(super) Exit);

impl Worst {
    /// Nothing has ended badly.
    pub(super) const NONE: Self = Self(Exit::OK);

    /// Takes one in.
    pub(super) fn add(&mut self, outcome: &Outcome) {
        self.0 = self.0.max(exit_of_outcome(outcome));
    }
}

/// How a task has ended, in a line.
pub(super) fn ended(outcome: &Outcome) -> String {
    let text = match outcome {
        Outcome::Finished(finished) => format!("finished: {}", finished.path.display()),
        Outcome::Uploaded(uploaded) => {
            format!(
                "finished: the server has {} bytes (status {})",
                uploaded.bytes, uploaded.status
            )
        }
        Outcome::Skipped(path) => format!("skipped: {} exists", path.display()),
        Outcome::Failed(failure) => format!("failed: {}", failure.message()),
        Outcome::Cancelled => "cancelled".to_owned(),
        Outcome::CancelledResumable(_) => "cancelled, and can be gone on with".to_owned(),
    };
    // Names come from other programs, and causes from servers.
    printable(&text)
}

/// That a task has ended and how, as an answer to why it does nothing.
pub(super) fn is_over(outcome: &Outcome) -> String {
    let verb = match outcome {
        Outcome::Finished(_) | Outcome::Uploaded(_) | Outcome::Failed(_) => "has",
        Outcome::Skipped(_) | Outcome::Cancelled | Outcome::CancelledResumable(_) => "was",
    };
    format!("it {verb} {}", ended(outcome))
}

/// What a task does, in a line.
pub(super) fn doing(phase: &Phase) -> String {
    Why::new(phase.clone(), None).to_string()
}

/// A time, from now.
pub(super) fn from_now(at: Timestamp) -> String {
    let now = clock::now();
    if at > now {
        format!("in {}", units::shown(at.since(now)))
    } else {
        format!("{} ago", units::shown(now.since(at)))
    }
}

/// An event as a line for people; `None` for what only programs want.
pub(super) fn line(session: &str, event: &Event) -> Option<String> {
    let name = |task| TaskName::new(session, task);
    Some(match event {
        Event::Fact(NumberedFact { sequence, fact }) => match fact {
            Fact::Completed { task, outcome, .. } => {
                format!("#{sequence} {}: {}", name(*task), ended(outcome))
            }
            Fact::Challenged {
                task, challenge, ..
            } => format!(
                "#{sequence} {}: needs credentials for {} (status {})",
                name(*task),
                challenge.host,
                challenge.status
            ),
            Fact::BecameInvalid => format!("#{sequence} the session is no more"),
            Fact::StateLost => format!("#{sequence} what the session knew before is lost"),
        },
        Event::PhaseChanged { task, phase } => format!("- {}: {}", name(*task), doing(phase)),
        Event::Resumed {
            task, held_bytes, ..
        } => format!("- {}: goes on from byte {held_bytes}", name(*task)),
        _ => return None,
    })
}

/// An event as a line for programs; `None` for one that this version has no words for. `kind` is that
/// of the task, which progress does not say.
pub(super) fn entry<'a>(session: &'a str, kind: Kind, event: &'a Event) -> Option<Entry<'a>> {
    let about = |task| About::from(&TaskName::new(session, task));
    Some(match event {
        Event::Fact(NumberedFact { sequence, fact }) => {
            let sequence = sequence.get();
            match fact {
                Fact::Completed { task, outcome, .. } => Entry::Ended {
                    about: about(*task),
                    sequence: Some(sequence),
                    end: Ending::new(outcome),
                },
                Fact::Challenged { task, challenge } => Entry::Challenged {
                    about: about(*task),
                    sequence,
                    host: &challenge.host,
                    status: challenge.status,
                },
                Fact::BecameInvalid => Entry::BecameInvalid { session, sequence },
                Fact::StateLost => Entry::StateLost { session, sequence },
            }
        }
        Event::Progress { task, progress } => Entry::Progress {
            about: about(*task),
            moved: moved(kind, *progress),
        },
        Event::PhaseChanged { task, phase } => Entry::Phase {
            about: about(*task),
            phase: PhaseEntry::new(phase),
        },
        Event::Negotiated { task, negotiated } => Entry::negotiated(about(*task), *negotiated),
        Event::Resumed {
            task,
            held_bytes,
            total_bytes,
        } => Entry::Resumed {
            about: about(*task),
            held_bytes: *held_bytes,
            total_bytes: *total_bytes,
        },
        _ => return None,
    })
}

/// What a task does or how it ended, in a word or two.
pub(super) const fn word(standing: &Standing) -> &'static str {
    words::doing(&standing.phase, standing.outcome.as_ref())
}

#[cfg(test)]
mod tests {
    use longhaul::{Failure, FailureKind, Sequence, TaskId};

    use super::*;

    fn completed(outcome: Outcome) -> Event {
        Event::Fact(NumberedFact {
            sequence: Sequence::new(7),
            fact: Fact::Completed {
                task: TaskId::new(3),
                outcome,
                metrics: None,
            },
        })
    }

    #[test]
    fn an_end_is_told_with_its_number_its_task_and_its_cause() {
        let failure = Failure::new(FailureKind::Connect, "refused");
        let event = completed(Outcome::Failed(failure));
        assert_eq!(
            line("photos", &event).unwrap(),
            "#7 photos/3: failed: refused"
        );
        let entry = entry("photos", Kind::Downloads, &event).unwrap();
        let entry = serde_json::to_value(&entry).unwrap();
        let expected = serde_json::json!({
            "event": "ended", "name": "photos/3", "session": "photos", "task": 3, "sequence": 7,
            "outcome": "failed", "code": "connect", "message": "refused", "exit_code": 4,
            "is_resumable": false,
        });
        assert_eq!(entry, expected);
    }

    #[test]
    fn why_a_task_that_is_over_does_nothing_is_a_sentence() {
        let failure = Failure::new(FailureKind::Connect, "refused");
        for (outcome, said) in [
            (Outcome::Cancelled, "it was cancelled"),
            (Outcome::Skipped("/a".into()), "it was skipped: /a exists"),
            (Outcome::Failed(failure), "it has failed: refused"),
            (
                Outcome::Skipped("/a\u{1b}[31m".into()),
                "it was skipped: /a?[31m exists",
            ),
        ] {
            assert_eq!(is_over(&outcome), said);
        }
    }

    #[test]
    fn the_worst_end_makes_the_exit_code() {
        let failed = |kind| Outcome::Failed(Failure::new(kind, "no"));
        let mut worst = Worst::NONE;
        for (outcome, code) in [
            (Outcome::Skipped("/a".into()), 0),
            (Outcome::Cancelled, 1),
            (failed(FailureKind::Connect), 4),
            (Outcome::Cancelled, 4),
            (failed(FailureKind::Status(404)), 8),
        ] {
            worst.add(&outcome);
            assert_eq!(worst.0.code(), code);
        }
    }
}
