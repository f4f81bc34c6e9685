//! The supervision matrix: every fault point of a scenario is crashed at in turn, and one oracle
//! judges what is left.

mod budgets;
mod continuing;
mod ends;
mod oracle;
mod resumed;
mod scenarios;
mod scheduled;
mod successors;
mod uploads;

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use futures_util::future::LocalBoxFuture;

use self::oracle::{Story, judge};
use super::bench::virtual_time;
use crate::child::panic_text;
use crate::fault::{self, Plan};
use crate::transfer::pretend_slow;

/// How the text of an ordered panic begins.
const ORDERED: &str = "fault point ";

/// A scenario by name.
struct Scenario {
    name: &'static str,
    play: fn() -> LocalBoxFuture<'static, Story>,
}

#[test]
fn two_downloads_survive_a_crash_at_every_point() {
    explore(&Scenario {
        name: "two downloads",
        play: || Box::pin(scenarios::two_downloads()),
    });
}

#[test]
fn wishes_survive_a_crash_at_every_point() {
    explore(&Scenario {
        name: "wishes",
        play: || Box::pin(scenarios::wishes()),
    });
}

#[test]
fn wishes_survive_a_crash_at_every_point_while_the_disk_is_slow() {
    pretend_slow(true);
    explore(&Scenario {
        name: "wishes, slow disk",
        play: || Box::pin(scenarios::wishes()),
    });
    pretend_slow(false);
}

#[test]
fn a_restart_of_the_engine_survives_a_crash_at_every_point() {
    explore(&Scenario {
        name: "restart",
        play: || Box::pin(scenarios::restart()),
    });
}

#[test]
fn uploads_survive_a_crash_at_every_point() {
    explore(&Scenario {
        name: "uploads",
        play: || Box::pin(uploads::uploads()),
    });
}

#[test]
fn uploads_survive_a_crash_at_every_point_while_the_disk_is_slow() {
    pretend_slow(true);
    explore(&Scenario {
        name: "uploads, slow disk",
        play: || Box::pin(uploads::uploads()),
    });
    pretend_slow(false);
}

#[test]
fn uploads_by_tus_survive_a_crash_at_every_point() {
    explore(&Scenario {
        name: "tus",
        play: || Box::pin(continuing::tus()),
    });
}

#[test]
fn uploads_whose_place_an_interim_answer_names_survive_a_crash_at_every_point() {
    explore(&Scenario {
        name: "interim",
        play: || Box::pin(continuing::interim()),
    });
}

#[test]
fn challenges_of_uploads_survive_a_crash_at_every_point() {
    explore(&Scenario {
        name: "upload challenges",
        play: || Box::pin(uploads::challenges()),
    });
}

#[test]
fn resume_data_of_uploads_survives_a_crash_at_every_point() {
    explore(&Scenario {
        name: "upload resume data",
        play: || Box::pin(uploads::resume_data()),
    });
}

#[test]
fn careful_finishes_survive_a_crash_at_every_point() {
    explore(&Scenario {
        name: "careful finishes",
        play: || Box::pin(scenarios::careful()),
    });
}

#[test]
fn resume_data_survives_a_crash_at_every_point() {
    explore(&Scenario {
        name: "resume data",
        play: || Box::pin(scenarios::resume_data()),
    });
}

#[test]
fn the_end_of_a_session_survives_a_crash_at_every_point() {
    explore(&Scenario {
        name: "finishing session",
        play: || Box::pin(ends::finishing()),
    });
}

#[test]
fn a_cancelled_session_and_its_successor_survive_a_crash_at_every_point() {
    explore(&Scenario {
        name: "cancelled session",
        play: || Box::pin(ends::cancelled()),
    });
}

#[test]
fn answers_to_challenges_survive_a_crash_at_every_point() {
    explore(&Scenario {
        name: "challenges",
        play: || Box::pin(scenarios::challenges()),
    });
}

#[test]
fn holds_and_delayed_begins_survive_a_crash_at_every_point() {
    explore(&Scenario {
        name: "scheduled",
        play: || Box::pin(scheduled::scheduled()),
    });
}

#[test]
fn sessions_that_go_on_by_themselves_survive_a_crash_at_every_point() {
    explore(&Scenario {
        name: "resumed",
        play: || Box::pin(resumed::resumed()),
    });
}

#[test]
fn places_that_are_taken_over_survive_a_crash_at_every_point() {
    let points = explore(&Scenario {
        name: "successors",
        play: || Box::pin(successors::successors()),
    });
    assert!(
        points.contains("session.caught_up"),
        "places were taken over"
    );
}

/// Plays a scenario once to count its points, then once with a crash at each, and once with a crash
/// at each and at the one after it. Every run must hold. The names of the points.
fn explore(scenario: &Scenario) -> BTreeSet<&'static str> {
    let points = play(scenario, Vec::new()).unwrap_or_else(|why| panic!("without a crash: {why}"));
    let mut runs = 1;
    let mut broken = Vec::new();
    for first in 1..=points.len() {
        for panic_at in [vec![first], vec![first, first + 1]] {
            let name = points[first - 1];
            let crashes = panic_at.len();
            let panic_at = panic_at.into_iter().map(|hit| hit as u64).collect();
            if let Err(why) = play(scenario, panic_at) {
                broken.push(format!(
                    "crashes: {crashes}, from point {first} ({name}): {why}"
                ));
            }
            runs += 1;
        }
    }
    let seen: BTreeSet<_> = points.iter().copied().collect();
    let (hits, names, held) = (points.len(), seen.len(), runs - broken.len());
    println!(
        "{}: {hits} points of {names} names, {runs} runs, {held} held",
        scenario.name
    );
    assert!(
        broken.is_empty(),
        "{} of {runs} runs failed:\n{}",
        broken.len(),
        broken.join("\n")
    );
    seen
}

/// Plays a scenario with crashes at these hits and judges it; the points that were hit.
fn play(scenario: &Scenario, panic_at: Vec<u64>) -> Result<Vec<&'static str>, String> {
    silence_ordered_panics();
    let crashes = panic_at.len();
    fault::arm(Plan {
        panic_at,
        ..Plan::default()
    });
    let played = catch_unwind(AssertUnwindSafe(|| {
        let story = virtual_time((scenario.play)());
        fault::disarm();
        judge(&story, crashes);
    }));
    fault::disarm();
    played.map_err(|panic| panic_text(panic.as_ref()))?;
    Ok(fault::hits())
}

/// Panics of fault points are what these tests are about; all others are shown as always.
pub(in crate::tests) fn silence_ordered_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let show = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let is_ordered = panic
                .payload_as_str()
                .is_some_and(|text| text.starts_with(ORDERED));
            if !is_ordered {
                show(panic);
            }
        }));
    });
}
